"""Templates: which are one, and what is told of them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.config import Policy
from streams.core.events import Decision, Tally
from streams.core.mining import SIGNALS_PER_HOUR_MAX
from streams.core.templates import CHILDREN_MAX, TEMPLATES_MAX, Mined, shape_of
from streams.ingest.masking import template_id
from tests.core.world import World

KINDS = {"template_joined", "template_new", "template_surging", "template_vanished"}


def line(text: str) -> str:
    """Return the id of a line."""
    return template_id(text.encode())


def placed(*texts: str) -> tuple[Mined, list[str]]:
    """Return the templates after some lines, and under which id each line counts in the end."""
    mined = Mined()
    for text in texts:
        if not mined.known(line(text)):
            mined.place(line(text), 0)
    return mined, [mined.known(line(text)) for text in texts]


def say(world: World, text: str, count: int = 1, service: str = "api") -> list[Decision]:
    """Append lines of one template; return what was decided of templates."""
    tally = Tally(at_ms=world.ms, service=service, severity="error", pattern="", template=line(text), count=count)
    return [decision for decision in world.slice(tallies=(tally,)) if decision.kind in KINDS]


def known(minutes: int = 15) -> World:
    """Return a world in which a service has spoken for some minutes."""
    world = World()
    for _ in range(minutes):
        world.normal("api")
        world.ms += 60_000
    return world


NAMES = ("ada", "bob", "eve", "mallory")


def test_names_are_variable_once_there_are_four() -> None:
    """Three lines that differ in a name are three templates; a fourth makes all of them one."""
    texts = [f"could not mount home of {name} for reading" for name in NAMES]
    assert len(set(placed(*texts[:3])[1])) == 3
    assert len(set(placed(*texts)[1])) == 1


def test_started_and_paused_stay_apart() -> None:
    """Words that say what happened are never variable, however many lines differ in nothing else."""
    for words in (("Started", "Paused", "Stopped", "Failed", "Resumed"), ("up", "down", "on", "off", "open")):
        units = placed(*(f"{word} worker pool of shop" for word in words))[1]
        assert len(set(units)) == len(words)


def test_a_parent_takes_in_what_comes_later() -> None:
    """A fifth name counts under the parent at once."""
    texts = [f"could not mount home of {name} for reading" for name in (*NAMES, "trent")]
    mined, units = placed(*texts)
    assert set(units) == {units[0]}
    assert mined.templates[units[0]].members == 5


def test_two_names_in_a_long_line_may_both_be_variable() -> None:
    """Where a line has enough words, siblings may differ in two names."""
    texts = [
        f"worker {one} gave up its lease on the shared queue because {one}host said nothing any more" for one in NAMES
    ]
    assert len(set(placed(*texts)[1])) == 1


def test_short_lines_are_not_joined() -> None:
    """Of two words that differ in one nothing would be left that says what it is."""
    assert len(set(placed(*(f"{name} odd" for name in NAMES))[1])) == 4


def test_lines_without_words_take_nothing_in() -> None:
    """Lines of which nothing but masked values is left are no parent of lines of one word."""
    assert len(set(placed("7", "8 9", "suspended", "halted", "odd", "warp")[1])) == 5


def test_a_parent_takes_in_names_only() -> None:
    """Where a parent is masked, a word that says what happened is another event."""
    texts = [f"could not mount home of {name} for reading" for name in (*NAMES, "not")]
    assert len(set(placed(*texts)[1])) == 2


def test_lists_of_any_length_are_one() -> None:
    """Lines that differ in how many masked values follow each other are one template as soon as two are seen."""
    assert len(set(placed("no updates for 1 2 3 left", "no updates for 7 8 9 10 11 left")[1])) == 1


def test_a_shape_holds_no_word() -> None:
    """A shape has two characters a word, and the same line has the same shape."""
    assert len(shape_of(line("warp core 7 cold"))) == 4
    assert all(len(word) == 2 for word in shape_of(line("warp core 7 cold")))
    assert line("warp core 7 cold") == line("warp core 8 cold")


def test_templates_of_a_service_have_a_limit() -> None:
    """Any number of different lines holds no more templates and children than the limits."""
    mined, _ = placed(*(f"{word(number)} {word(number * 7)} odd thing {word(number * 3)}" for number in range(500)))
    assert len(mined.templates) <= TEMPLATES_MAX
    for number in range(200):
        mined.place(line(f"could not mount home of {word(number)} for reading"), 0)
    assert len(mined.children) <= CHILDREN_MAX


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(max_size=80), max_size=60))
def test_any_id_is_taken(ids: list[str]) -> None:
    """Whatever stands in a template's id, it gets a place, is known from then on, and the limits hold."""
    mined = Mined()
    for one in ids:
        if not mined.known(one):
            unit, _ = mined.place(one, 0)
            assert mined.known(one) == unit
    assert len(mined.templates) <= TEMPLATES_MAX
    assert len(mined.children) <= CHILDREN_MAX


def word(number: int) -> str:
    """Return a word of letters."""
    return "".join(chr(ord("g") + int(digit)) for digit in f"{number:04d}")


def test_a_new_template_of_a_known_service_is_told() -> None:
    """What was never seen of a service that has spoken for ten minutes is told of once, with the template's id."""
    world = known()
    decided = say(world, "warp core cold") + say(world, "warp core cold")
    assert [(d.kind, d.reason, d.service) for d in decided] == [("template_new", line("warp core cold"), "api")]


def test_everything_is_new_at_the_beginning() -> None:
    """Templates of the first minutes of a service are learnt without a word."""
    assert say(known(3), "warp core cold") == []


def test_a_join_is_told_of_each_child() -> None:
    """When four templates become one each of them is told to have that parent."""
    world = World()
    texts = [f"could not mount home of {name} for reading" for name in NAMES]
    decided = [decision for text in texts for decision in say(world, text)]
    assert [(d.kind, d.reason) for d in decided] == [("template_joined", line(text)) for text in texts]
    assert len({decision.refers_to for decision in decided}) == 1


def test_a_surge_of_a_template_is_told_once() -> None:
    """A template that comes many times as often as usual is told to surge once, until it is calm again."""
    world, decided = known(), []
    for count in (*([2] * 10), 40, 40, 2, 2, 2, 40):
        decided += [one for one in say(world, "warp core cold", count) if one.kind == "template_surging"]
        world.normal("api")
        world.ms += 60_000
    assert [decision.count for decision in decided] == [40, 40]


def test_a_regular_template_is_missed() -> None:
    """A template that came each minute is missed after ten minutes without it, once, and told when it is back."""
    world, decided = known(), []
    for _ in range(12):
        decided += say(world, "warp core cold")
        world.ms += 60_000
    for _ in range(15):
        decided += [one for one in world.normal("api") if one.kind in KINDS]
        world.ms += 60_000
    decided += say(world, "warp core cold")
    assert [decision.kind for decision in decided] == ["template_new", "template_vanished", "template_new"]
    assert [figure.value for figure in decided[1].figures] == [660_000]


def test_a_silent_service_misses_nothing() -> None:
    """When a service says nothing at all, none of its templates is missed, whoever else speaks."""
    world = known()
    for _ in range(12):
        say(world, "warp core cold")
        world.ms += 60_000
    decided = []
    for _ in range(30):
        decided += [one for one in world.normal("other") if one.kind in KINDS]
        world.ms += 60_000
    decided += [one for one in world.normal("api") if one.kind in KINDS]
    decided += say(world, "warp core cold")
    assert decided == []


def test_signals_have_a_limit_an_hour() -> None:
    """A flood of new templates is told of so many times an hour, and the next hour says how many were not told."""
    world = known()
    told = 0
    for number in range(SIGNALS_PER_HOUR_MAX + 30):
        told += len([d for d in say(world, f"odd {word(number)} {word(number * 31)}") if d.kind == "template_new"])
    assert told == SIGNALS_PER_HOUR_MAX
    world.ms += 3_600_000
    for _ in range(60):
        world.normal("api")
        world.ms += 60_000
    last = say(world, "one more odd thing")
    assert [(figure.name, figure.value) for figure in last[0].figures] == [("unsaid", 30)]


def test_names_of_a_parent_that_had_to_go_are_new() -> None:
    """A line whose template's parent was the longest silent, and left for another, counts as a template of its own."""
    texts = [f"could not mount home of {name} for reading" for name in NAMES]
    mined = placed(*texts)[0]
    for number in range(TEMPLATES_MAX):
        mined.place(f"{number:016x}.Aa{number:02}", 0)
    assert [mined.known(line(text)) for text in texts] == [""] * len(texts)
    assert mined.children == {}


def test_a_line_that_comes_late_is_no_return() -> None:
    """What is missed is still missed when a line from before it went away comes."""
    world = known()
    for _ in range(12):
        say(world, "warp core cold")
        world.ms += 60_000
    went_ms = world.ms
    vanished = []
    for _ in range(15):
        vanished += [one.kind for one in world.normal("api") if one.kind in KINDS]
        world.ms += 60_000
    assert vanished == ["template_vanished"]
    late = Tally(
        at_ms=went_ms - 120_000, service="api", severity="error", pattern="", template=line("warp core cold"), count=1
    )
    world.apply("policy", Policy(old_evidence_ms=10_000_000))
    assert [one.kind for one in world.slice(tallies=(late,)) if one.kind in KINDS] == []
    assert [one.kind for one in say(world, "warp core cold")] == ["template_new"]


def test_of_old_evidence_no_template_is_told() -> None:
    """What an import of last month's lines has of new, surging and missing templates is learnt and not told."""
    world = known()
    month_ms, told = 30 * 86_400_000, []
    for number in range(60):
        at_ms = world.ms - month_ms + number * 60_000
        ids = [line("warp core cold")] * (number < 30) + [line(f"odd {'abcdefghij'[number % 10] * 3}")]
        told += world.slice(
            tallies=tuple(
                Tally(
                    at_ms=at_ms,
                    service="old",
                    severity="error",
                    pattern="",
                    template=one,
                    count=1 + 500 * (number > 50),
                )
                for one in ids
            )
        )
    assert {one.kind for one in told} <= {"template_joined"}
