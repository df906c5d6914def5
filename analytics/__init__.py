"""The event log on disk, and everything that is asked of it. See README.md in this room."""
