"""Jobs that only a service's owner knows how to do; the inventory names them by their command lines."""
