"""W1 on other engines, one file each, written as that engine's documentation has it; ``peers.py`` runs them."""
