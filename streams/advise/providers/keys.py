"""A provider's key: read from a file when it is needed, shown nowhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from streams.core.errors import InputError

KEY_BYTES_MAX: Final = 4_096
KEY: Final = re.compile(r"[!-~]{8,}")


class KeyFile:
    """A file with one line, the key. It is read for each request, so that a new key needs no restart."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> str:
        """Return the key. Raises ``InputError``, which names the file and never what is in it."""
        try:
            with self._path.open("rb") as file:
                text = file.read(KEY_BYTES_MAX + 1).decode("ascii", "replace").strip()
        except OSError as error:
            raise InputError(f"the key file {self._path} can't be read: {error.strerror}") from error
        if len(text) > KEY_BYTES_MAX or not KEY.fullmatch(text):
            raise InputError(f"the key file {self._path} must hold one line, the key: ASCII letters without a space")
        return text
