"""What a bug in native code does: with this directory in PYTHONPATH, slicing a line with one word kills the process."""

from __future__ import annotations

import importlib.abc
import importlib.util
import os
import signal
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final

WORD: Final = b"kills whoever slices it"
MODULE: Final = "streams.ingest.slicer"


class _Loader(importlib.abc.Loader):
    def __init__(self, loader: importlib.abc.Loader) -> None:
        self._loader = loader

    def exec_module(self, module: ModuleType) -> None:
        """Execute the module, and have its slicer die of the word."""
        self._loader.exec_module(module)
        cut = module.Slicer.cut

        def dying(slicer: Any, source: str, partition: int, term: int, records: Any, from_offset: int) -> Any:
            if any(WORD in (record.value or b"") for record in records):
                os.kill(os.getpid(), signal.SIGKILL)
            return cut(slicer, source, partition, term, records, from_offset)

        module.Slicer.cut = dying


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Find the slicer's module as it would be found, and load it with the bug."""
        if name != MODULE:
            return None
        sys.meta_path.remove(self)
        found = importlib.util.find_spec(name)
        if found is not None and found.loader is not None:
            found.loader = _Loader(found.loader)
        return found


sys.meta_path.insert(0, _Finder())
