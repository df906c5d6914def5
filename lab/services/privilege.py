"""Letting go of root's power to read any file, so that the mode of a file means something to a service."""

from __future__ import annotations

import ctypes
import os
import struct
from typing import Final

VERSION_3: Final = 0x20080522
"""``_LINUX_CAPABILITY_VERSION_3`` of linux/capability.h: two words of 32 capabilities each."""
OVERRIDES: Final = (1 << 1) | (1 << 2)
"""``CAP_DAC_OVERRIDE`` and ``CAP_DAC_READ_SEARCH``."""


def obey_file_modes() -> None:
    """Give the two capabilities up for good; nothing to do for an ordinary user. ``OSError`` when that fails."""
    if os.geteuid() != 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = ctypes.create_string_buffer(struct.pack("Ii", VERSION_3, 0))
    data = ctypes.create_string_buffer(24)
    _call(libc.capget(header, data))
    low_effective, low_permitted, *rest = struct.unpack("6I", data.raw)
    kept = (low_effective & ~OVERRIDES, low_permitted & ~OVERRIDES, *rest)
    _call(libc.capset(header, ctypes.create_string_buffer(struct.pack("6I", *kept), 24)))


def _call(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
