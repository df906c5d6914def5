"""What a process holds for all its life is no matter of the garbage collector's."""

from __future__ import annotations

import gc


def keep() -> None:
    """Take all that there is now out of the collector's sight: modules, rules, tables, the state that was restored.

    A full collection looks at each of these (47 000 objects with the rules loaded) and frees none: 20 ms now and then
    in which no line is read and nothing is decided. What is made from now on is collected as ever, and what is kept is
    freed as ever once nothing refers to it. Each call judges anew what was kept before.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
