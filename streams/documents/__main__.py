"""``python -m streams.documents`` writes the generated documents; with ``--check`` it only looks at them."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from streams.documents import stale, write


def main(arguments: Sequence[str]) -> int:
    """Return 0 when all is well, else 1 with a line for each document that is not current."""
    if "--check" not in arguments:
        write()
    names = list(stale())
    for name in names:
        sys.stderr.write(f"{name} is not current: run python -m streams.documents\n")
    return 1 if names else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
