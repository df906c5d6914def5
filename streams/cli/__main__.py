"""``python -m streams.cli`` is ``logmend``, for processes that must be started by this very Python."""

from streams.cli import main

main(prog_name="logmend")
