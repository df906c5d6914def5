"""The models that may be asked for an opinion, all by one interface."""
