"""Three small services that log the way real ones do: an API (JSON lines), a worker (Python text), a proxy (syslog)."""
