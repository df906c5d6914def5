"""The key of redaction's tags: the one that is set, else one that is made once and kept in the data directory.

Without it nobody can tell which secret a tag stands for, not even by trying out likely ones. Hosts of one fleet that
detect should be given the same one (``LOGMEND_REDACTION_KEY``), so that equal secrets have equal tags on all of them.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path
from typing import Final

from streams.core.errors import InputError
from streams.settings import Settings

FILE_NAME: Final = "redaction.key"
KEY_BYTES: Final = 32


def redaction_key(settings: Settings) -> bytes:
    """Return the key; the first process of a data directory makes it, all others read that one.

    Raises ``InputError`` when it can't be read or made, or when the file holds something else.
    """
    if settings.redaction_key:
        return settings.redaction_key.encode()
    path = settings.data_dir / FILE_NAME
    try:
        if not path.exists():
            _make(path)
        kept = path.read_text("ascii").strip()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give the key of redaction by LOGMEND_REDACTION_KEY") from error
    except UnicodeDecodeError:
        kept = ""
    if len(kept) != 2 * KEY_BYTES:
        raise InputError(f"{path} is damaged: restore it, or remove it to begin with new tags")
    return kept.encode()


def _make(path: Path) -> None:
    """Put a new key in place whole, readable by us alone, unless another process was first."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.") as file:  # mode 0600 by itself
        file.write(secrets.token_hex(KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
        try:
            path.hardlink_to(file.name)
        except FileExistsError:
            return
