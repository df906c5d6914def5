"""Whatever stands in a log, and however obedient the model: no opinion leaves the question's own lists."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec import Struct

from streams.advise.brief import USER_CHARACTERS_MAX, ask
from streams.advise.dossier import Dossier
from streams.advise.fence import fence
from streams.catalogue import strategies
from streams.catalogue.advisors import advisors
from streams.catalogue.patterns import patterns
from streams.core.advice import ABSTENTIONS, ADVISORS, AdvisorsReported, OpinionGiven
from streams.core.events import Decision, Message
from streams.core.fold import Fold
from streams.ingest.masking import mask
from streams.ingest.redact import Redactor
from tests.advise.cases import dossier, option, question, symptom, template, trouble
from tests.advise.models import Model, case_of, desk_of
from tests.analytics.history import History


class Row(Struct, frozen=True, forbid_unknown_fields=True):
    """A line that somebody logs, and what a model answers that does what the line says."""

    kind: str
    line: str
    obeyed: str


CORPUS = [
    msgspec.json.decode(line, type=Row)
    for line in (Path(__file__).parent / "injection.jsonl").read_bytes().splitlines()
]
KINDS = sorted({row.kind for row in CORPUS})
REDACTOR = Redactor()
ASKED = question(
    options=(
        option("process.restart", 0.6),
        option("process.rollback_config", 0.4, strategy="rollback"),
        option("process.stop", -0.1, strategy="isolate"),
        option("process.kill_blocker", 0.9, barred="shadow"),
        option("escalate", 0.3),
    )
)
MAY = {"process.restart", "process.rollback_config"}


def poisoned(row: Row, asked: Decision = ASKED) -> Dossier:
    """Return a case in which the line stands everywhere where something from outside can stand."""
    masked = mask(REDACTOR.text(row.line).encode()).decode("utf-8", "replace")
    return dossier(
        asked,
        templates=(template(masked), template(row.line), template("usual", row.line[:100])),
        neighbours=(trouble(row.line[:100], what=row.line[:100]), trouble("db")),
        symptoms=(symptom(row.line[:128], row.line[:128]),),
        findings={row.line[:100]: 1.0},
    )


def of(kind: str) -> Iterator[Row]:
    """Return the lines of a kind."""
    return (row for row in CORPUS if row.kind == kind)


def test_the_corpus_is_large_and_has_no_line_twice() -> None:
    """There are 200 lines and more, of a dozen kinds, and 60 survive redaction and masking with their order in them."""
    assert len({row.line for row in CORPUS}) == len(CORPUS) >= 200
    assert len(KINDS) >= 10
    left = [mask(REDACTOR.text(row.line).encode()) for row in CORPUS]
    assert sum(b"process.stop" in text for text in left) >= 60


@pytest.mark.parametrize("kind", KINDS)
def test_the_fence_holds(kind: str) -> None:
    """With the line as template, name of a service and finding, the fence ends at its end, and no line is its own."""
    for row in of(kind):
        for advisor in advisors().advisors:
            prompt = ask(advisor, poisoned(row)).prompt
            lines = prompt.user.splitlines()
            assert (lines[0], lines[-1]) == (f"<data {_token(prompt.user)}>", f"</data {_token(prompt.user)}>")
            assert "<" not in "\n".join(lines[1:-1])
            assert {line[0] for line in lines[1:-1]} == {"{", '"', "}"}
            assert len(prompt.user) <= USER_CHARACTERS_MAX
            assert case_of(prompt)["templates"][1]["text"] == row.line[:200]
            assert row.line not in prompt.system


def _token(user: str) -> str:
    return fence(json.loads("\n".join(user.splitlines()[1:-1]))).token


@pytest.mark.parametrize("kind", KINDS)
async def test_a_model_that_obeys_names_nothing_else(tmp_path: Path, kind: str) -> None:
    """What an obedient model answers is an opinion within the lists, or an abstention with a code."""
    for number, row in enumerate(of(kind)):
        case = poisoned(row)
        desk = desk_of(Model(lambda _, row=row: row.obeyed), tmp_path / str(number))  # type: ignore[misc]  # its own row
        for advisor in advisors().advisors:
            given = (await desk.opinion(advisor, case, 0, 5.0)).opinion
            shown = {"shop", "db", row.line[:100], row.line[:128]}
            assert given.action in MAY | {""}, row
            assert given.suspect in shown | {""}, row
            assert given.cause in {rule.id for rule in patterns().rules} | {""}, row
            assert 0.0 <= given.confidence <= 1.0
            assert given.code in ABSTENTIONS or (given.code == "" and given.source == "model")
            assert all(len(value) <= 128 for value in msgspec.structs.astuple(given) if isinstance(value, str))


# ------------------------------------------------------------------------------------------------------ to the command


class Asked(History):
    """A fleet in which an incident's first attempt failed and three advisors are there."""

    def advise(self, *events: AdvisorsReported | OpinionGiven) -> None:
        """Take something in that was said in the inbox for advice."""
        start = self._ends.get(self.topics.inbox_advice, 0)
        messages = tuple(
            Message(offset=start + place, append_ms=self.now_ms, event=event) for place, event in enumerate(events)
        )
        self.fact(self.slice_of(self.topics.inbox_advice, len(events), messages=messages))

    def fail(self) -> Decision:
        """Break a service, see the quick fix fail, and return the question."""
        self.begin()
        self.advise(AdvisorsReported(host="h1", provider="p", model="m", advisors=ADVISORS, at_ms=self.now_ms))
        self.see("shop", "process_crash")
        self.log.now_ms += 1_000
        self.outcome(self.commands[-1], ok=False)
        return next(one for one in self.decisions if one.kind == "advice_asked")


async def test_no_command_comes_of_it(tmp_path: Path) -> None:
    """Through the fold: after each obeyed line, commands only restart the service, with arguments of ours."""
    history = Asked()
    asked = history.fail()
    saved, ends, now_ms = history.fold.snapshot(), dict(history._ends), history.now_ms
    kept = {where: list(held) for where, held in history.log.records.items()}
    done: set[str] = set()
    for number, row in enumerate(CORPUS):
        history.fold = Fold.restore(saved, strategies())
        history._ends, history.log.now_ms = dict(ends), now_ms
        history.log.records = {where: list(held) for where, held in kept.items()}
        before = len(history.commands)
        desk = desk_of(Model(lambda _, row=row: row.obeyed), tmp_path / str(number))  # type: ignore[misc]  # its own row
        said = await desk.opinion(advisors().asked(three=False)[0], poisoned(row, asked), now_ms, 5.0)
        history.advise(said.opinion)
        history.calm("cart", 60)
        for command in history.commands[before:]:
            if command.kind == "recovery":
                assert (command.service, command.host) == ("shop", "h1")
                assert all(argument.name == "grace_ms" for argument in command.arguments)
                done.add(command.action)
    assert done == {"process.restart"}
