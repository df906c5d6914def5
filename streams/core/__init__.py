"""The pure core: no clock, no chance, no I/O (see README.md in this room)."""
