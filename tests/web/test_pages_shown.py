from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.web.drawing import BOTTOM, TOP, WIDTH, expected
from streams.web.screens import environment
from streams.web.shown import ago, countdown, counted, figure, level, percent, spoken, utc, visible
from streams.web.states import Forecast


def forecast(**given_: float | None) -> Forecast:
    """Return a forecast of a disk that fills."""
    base = {"level": 60.0, "value": 75.0, "low": 70.0, "high": 82.0, "slope": 1.0, "limit": 95.0}
    return Forecast(
        id="1-2-3",
        service="store",
        metric="disk",
        advice="",
        at_ms=3_600_000,
        for_ms=5_400_000,
        **{**base, **given_},  # type: ignore[arg-type]  # the fields above
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ünïcode 漢字", "plain ünïcode 漢字"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("a\u200bb\x1b[31m\x00", "a\\u200bb\\u001b[31m\\u0000"),
        ("<b>", "<b>"),
        (None, ""),
    ],
)
def test_what_would_be_unseen_is_written_out(text: str | None, shown: str) -> None:
    """Characters that steer or hide are shown as their number; everything that can be read stays as it is."""
    assert visible(text) == shown


@given(st.text())
def test_no_text_becomes_markup(text: str) -> None:
    """Whatever a template is given as text holds no character that could begin markup or leave an attribute."""
    shown = environment().from_string("{{ text | visible }}").render(text=text)
    assert not set(shown) & set("<>\"'")


@pytest.mark.parametrize(
    ("span_ms", "words"),
    [
        (0, "0 s"),
        (59_999, "59 s"),
        (60_000, "1 min"),
        (3_599_000, "59 min"),
        (3_660_000, "1 h 1 min"),
        (36_000_000, "10 h"),
        (90_000_000, "1 d 1 h"),
        (-5, "0 s"),
    ],
)
def test_a_span_is_told_in_its_largest_units(span_ms: int, words: str) -> None:
    """A span has its largest unit, and from an hour on the next smaller one while there are few of it."""
    assert spoken(span_ms) == words


def test_times_are_relative_and_absolute() -> None:
    """A time is told as how long ago it was, and to the second in UTC."""
    assert ago(1_000, 1_500) == "just now"
    assert ago(0, 125_000) == "2 min ago"
    assert utc(1_800_000_000_000) == "2027-01-15 08:00:00 UTC"


@pytest.mark.parametrize(
    ("left_ms", "words"), [(-1, "now"), (59_000, "in 0:59 min"), (600_000, "in 10:00 min"), (7_200_000, "in 2 h")]
)
def test_what_is_left_is_told_to_the_second(left_ms: int, words: str) -> None:
    """A countdown counts seconds within an hour."""
    assert countdown(left_ms) == words


def test_numbers_are_told_with_the_digits_that_say_something() -> None:
    """Shares are percents, counts have their words, and large numbers no decimals."""
    assert (percent(0.456), percent(None)) == ("46 %", "not known")
    assert [counted(count, "is", "are") for count in (0, 1, 2)] == ["No is", "1 is", "2 are"]
    assert (figure(0.12345), figure(123456.7), figure(None)) == ("0.1235", "123,457", "not known")
    assert [level(value) for value in (10.0, 75.0, 90.0)] == ["good", "warn", "bad"]


def numbers(points: str) -> list[tuple[float, float]]:
    """Return the points of a polyline."""
    return [(float(x), float(y)) for x, y in (one.split(",") for one in points.split())]


def test_a_forecast_is_drawn_inside_its_picture() -> None:
    """Time goes to the right, larger values are higher, and everything lies inside of the picture."""
    past = [(0, 40.0), (1_800_000, 50.0)]
    drawn = expected(forecast(), past).drawn
    before, after, between = numbers(drawn.past), numbers(drawn.ahead), numbers(drawn.between)
    assert [x for x, _ in before] == sorted(x for x, _ in before)
    assert before[-1] == after[0]
    assert after[0][1] > after[1][1]
    assert all(0 <= x <= WIDTH and TOP <= y <= BOTTOM for x, y in (*before, *after, *between))
    assert drawn.begins == "1 h ago"
    assert drawn.ends == "in 30 min"


def test_a_limit_far_away_does_not_flatten_the_picture() -> None:
    """A limit is drawn where it is near the values, and left to the words where it is far from them."""
    assert expected(forecast(limit=95.0), []).drawn.limit_y is not None
    far = expected(forecast(limit=10_000.0), [])
    assert far.drawn.limit_y is None
    assert "the limit is 10,000" in far.told


def test_a_forecast_is_told_in_words() -> None:
    """The sentence beside a picture has all that the picture has."""
    assert expected(forecast(), []).told == "60 % now, expected 75 in 30 min (70 to 82); the limit is 95."


def test_a_metric_that_never_moves_can_be_drawn() -> None:
    """Equal values make a picture, not a division by zero."""
    flat = forecast(level=5.0, value=5.0, low=5.0, high=5.0, limit=None)
    assert numbers(expected(flat, [(0, 5.0)]).drawn.ahead)
