"""What was answered is remembered for a while, and not without end."""

from __future__ import annotations

from streams.advise.cache import Cache


def test_a_value_is_remembered_for_its_time() -> None:
    """Just before the end it is there, at the end it isn't."""
    now = [100.0]
    cache = Cache[str](seconds=300.0, clock=lambda: now[0])
    cache.put("a", "x")
    now[0] = 399.9
    assert cache.get("a") == "x"
    now[0] = 400.0
    assert cache.get("a") is None


def test_the_oldest_is_forgotten_first() -> None:
    """A value that is put again is new."""
    cache = Cache[int](entries_max=3)
    for key, value in (("a", 1), ("b", 2), ("a", 3), ("c", 4), ("d", 5)):
        cache.put(key, value)
    assert [cache.get(key) for key in "abcd"] == [3, None, 4, 5]


def test_no_more_is_kept_than_allowed() -> None:
    """Ten thousand questions leave as many values as there is room for."""
    cache = Cache[int](entries_max=16)
    for number in range(10_000):
        cache.put(str(number), number)
    assert [key for key in map(str, range(10_000)) if cache.get(key) is not None] == list(
        map(str, range(9_984, 10_000))
    )
