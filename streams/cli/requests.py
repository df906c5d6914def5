"""What people ask of Logmend beside configuration: answers to escalations, mutes, tasks, healing."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from typing import Final

import click

from streams.cli.asking import open_log
from streams.cli.output import json_option, print_json, print_rows, printable
from streams.cli.steering import WAIT_S, author_option, named, reason_option
from streams.codec import decode_decision
from streams.core.errors import InputError
from streams.core.events import Decision, InboxEvent
from streams.core.requests import METHODS, ROLES, EscalationAnswered, HealRequested, MuteLifted, MuteSet, TaskSubmitted
from streams.core.tasking import HOW_HEARD, NO_POOL
from streams.ingest.people import Said, append, sha256_of
from streams.ingest.redact import Redactor
from streams.ports import TopicPartition
from streams.runtime.kafka import KafkaLog
from streams.runtime.redaction_key import redaction_key
from streams.settings import Settings

REFUSED: Final = "request_refused"
TASK_OVER: Final = frozenset({"task_ended", REFUSED})
DURATION: Final = re.compile(r"(?P<number>[1-9][0-9]{0,5})(?P<unit>[smhd])")
UNIT_S: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
OPEN: Final = """
    SELECT decision, severity, issue_service AS service, issue_type AS issue, status, assigned_to, created_at AS since
    FROM escalations
    WHERE $all OR status IN ('pending', 'acknowledged')
    ORDER BY list_position(['fatal', 'critical', 'error', 'warning', 'info'], severity), id
"""
MUTES: Final = """
    SELECT id, kind, service, pattern, begins_at, ends_at, author, reason
    FROM mutes
    WHERE ended_as IS NULL
    ORDER BY ends_at
"""


def ask_for(settings: Settings, event: InboxEvent, text: str = "", *, until: frozenset[str] = frozenset()) -> Decision:
    """Say something and return what was decided on it; with ``until``, the first decision of such a kind about that.

    Raises ``InputError`` when it is refused, or when nobody decides within ``WAIT_S`` seconds.
    """
    decision = asyncio.run(_asked(settings, Said(event, text), until))
    if decision.kind == REFUSED:
        raise InputError(f"{NO_POOL}: {HOW_HEARD}" if decision.reason == NO_POOL else decision.reason)
    return decision


async def _asked(settings: Settings, said: Said, until: frozenset[str]) -> Decision:
    decisions = TopicPartition(settings.topics.decisions, 0)
    give_up = time.monotonic() + WAIT_S
    async with KafkaLog(settings) as log:
        _, position = await log.bounds(decisions)
        (offset,) = await append(log, settings.topics, [said], Redactor(redaction_key(settings)))
        answered: Decision | None = None
        while time.monotonic() < give_up:
            for record in [one for _, batch in await log.poll({decisions: position}) for one in batch]:
                position = record.offset + 1
                decision = decode_decision(record.value or b"")
                if answered is None and _is_about(decision, settings.topics.inbox_people, offset):
                    answered = decision
                if answered is not None and (not until or _ends(decision, answered, until)):
                    return decision
    if answered is not None:
        return answered
    raise InputError(f"sent, but nothing was decided within {WAIT_S:.0f} s: is `logmend up` (or `decide`) running?")


def _is_about(decision: Decision, inbox: str, offset: int) -> bool:
    return any((cause.topic, cause.offset) == (inbox, offset) for cause in decision.causes)


def _ends(decision: Decision, answered: Decision, until: frozenset[str]) -> bool:
    return decision.kind in until and answered.id in {decision.id, decision.refers_to}


def milliseconds(duration: str) -> int:
    """Return how long ``90s``, ``30m``, ``2h`` or ``1d`` is."""
    found = DURATION.fullmatch(duration)
    if found is None:
        raise click.BadParameter(f"{duration!r} is no duration: give one such as 90s, 30m, 2h or 1d")
    return int(found["number"]) * UNIT_S[found["unit"]] * 1000


# --------------------------------------------------------------------------------------------------------- escalations


@click.group(invoke_without_command=True)
@click.pass_context
def escalations(context: click.Context) -> None:
    r"""List what was given to a person, and say how far you have come with it.

    \b
    Example:
      logmend escalations
      logmend escalations acknowledge 1-4711-0
      logmend escalations assign 1-4711-0 --to ann
      logmend resolve 1-4711-0 --method process.restart --notes "the disk was full"
    """
    if context.invoked_subcommand is None:
        context.invoke(list_escalations)


@escalations.command("list")
@click.option("--all", "everything", is_flag=True, help="Also those that are resolved.")
@json_option
def list_escalations(everything: bool = False, as_json: bool = False) -> None:  # noqa: FBT001, FBT002 - click passes them, or nobody
    r"""List open escalations, the severest first.

    \b
    Example:
      logmend escalations list
      logmend escalations list --all --json
    """
    with open_log(Settings.load()) as log:
        rows = log.query(OPEN, {"all": everything}).to_dicts()
    print_rows(rows, as_json=as_json, nothing="nothing was given to a person that is still open")


def _answer(escalation_id: str, step: str, author: str, **fields: str) -> Decision:
    settings = Settings.load()
    values = {"assignee": "", "method": "", "reason": "", **fields}
    event = EscalationAnswered(escalation_id=escalation_id, step=step, author=named(author, settings), **values)
    return ask_for(settings, event)


@escalations.command()
@click.argument("id_", metavar="ID")
@author_option
def acknowledge(id_: str, author: str) -> None:
    r"""Say that you have seen an escalation.

    \b
    Example:
      logmend escalations acknowledge 1-4711-0
    """
    click.echo(f"{_answer(id_, 'acknowledged', author).refers_to} is acknowledged")


@escalations.command()
@click.argument("id_", metavar="ID")
@click.option("--to", "assignee", required=True, help="Whose it is to be.")
@author_option
def assign(id_: str, assignee: str, author: str) -> None:
    r"""Say whose an escalation is to be.

    \b
    Example:
      logmend escalations assign 1-4711-0 --to ann
    """
    decision = _answer(id_, "assigned", author, assignee=assignee)
    click.echo(printable(f"{decision.refers_to} is {decision.reason}'s"))


@escalations.command()
@click.argument("id_", metavar="ID")
@click.argument("text")
@author_option
def note(id_: str, text: str, author: str) -> None:
    r"""Write something down on an escalation.

    \b
    Example:
      logmend escalations note 1-4711-0 "waiting for the vendor"
    """
    click.echo(f"written down on {_answer(id_, 'noted', author, reason=text).refers_to}")


@click.command()
@click.argument("id_", metavar="ID")
@click.option("--method", required=True, help=f"{', '.join(METHODS)}, or the id of the action that you did.")
@click.option("--notes", default="", help="What was done; it is recorded.")
@author_option
def resolve(id_: str, method: str, notes: str, author: str) -> None:
    r"""Say how an escalation was resolved. An action of the catalogue is learnt, once the symptom stays away.

    When the symptom comes back all the same, a person is asked again; but not after false_alarm or wont_fix.

    \b
    Example:
      logmend resolve 1-4711-0 --method process.restart --notes "the disk was full"
      logmend resolve 1-4711-0 --method false_alarm
    """
    decision = _answer(id_, "resolved", author, method=method, reason=notes)
    click.echo(f"{decision.refers_to} is resolved: {decision.reason}")


# --------------------------------------------------------------------------------------------------------------- mutes


def _mute(kind: str, service: str, pattern: str, duration: str, author: str, why: str) -> None:
    settings, now_ms = Settings.load(), time.time_ns() // 1_000_000
    event = MuteSet(
        kind=kind,
        service="" if service == "*" else service,
        pattern="" if pattern == "*" else pattern,
        begin_ms=now_ms,
        end_ms=now_ms + milliseconds(duration),
        author=named(author, settings),
        reason=why,
    )
    decision = ask_for(settings, event)
    click.echo(f"{kind} {decision.id} holds for {duration}: end it with logmend unmute {decision.id}")


_for_option = click.option("--for", "duration", required=True, help="How long: 90s, 30m, 2h, 1d; 31 days at most.")
_pattern_option = click.option("--pattern", default="*", show_default=True, help="One pattern, or all that begin so.")
_why_option = click.option("--why", default="", help="Why; it is recorded.")


@click.command()
@click.argument("service")
@_for_option
@_pattern_option
@_why_option
@author_option
def silence(service: str, duration: str, pattern: str, why: str, author: str) -> None:
    r"""Tell nobody of a service (or of all that begin so: web-*) for a while; it is healed as ever.

    \b
    Example:
      logmend silence web-* --for 2h --why "load test"
    """
    _mute("silence", service, pattern, duration, author, why)


@click.command()
@click.argument("service")
@_for_option
@_pattern_option
@_why_option
@author_option
def maintain(service: str, duration: str, pattern: str, why: str, author: str) -> None:
    r"""Neither act on a service nor give it to a person for a while; what is open then goes on afterwards.

    \b
    Example:
      logmend maintain db --for 30m --why "upgrade to 17"
    """
    _mute("maintenance", service, pattern, duration, author, why)


@click.command()
@click.argument("id_", metavar="[ID]", required=False, default="")
@reason_option
@author_option
@json_option
def unmute(id_: str, reason: str, author: str, as_json: bool) -> None:  # noqa: FBT001 - click passes it
    r"""End a silence or a maintenance before its time; without an id, list those that hold.

    \b
    Example:
      logmend unmute
      logmend unmute 1-4711-0
    """
    settings = Settings.load()
    if id_:
        ask_for(settings, MuteLifted(mute_id=id_, author=named(author, settings), reason=reason))
        click.echo(f"{id_} is over")
        return
    with open_log(settings) as log:
        print_rows(log.query(MUTES).to_dicts(), as_json=as_json, nothing="nothing is muted")


# ---------------------------------------------------------------------------------------------------------------- pool


@click.group()
def task() -> None:
    """Give the pool something to do."""


@task.command()
@click.option("--role", type=click.Choice(ROLES), default="executor", show_default=True, help="Whose worker answers.")
@click.option("--action", default="", help="What to do on --service; without one, a worker only answers.")
@click.option("--service", default="", help="What to do it on.")
@click.option("--host", default="", help="Whose pool; else the service's, or any that was heard of.")
@click.option("--description", default="", help="What it is for, in words.")
@author_option
@json_option
def submit(role: str, action: str, service: str, host: str, description: str, author: str, *, as_json: bool) -> None:
    r"""Submit a task, and wait for what came of it.

    With an action you approve it by asking; modes, budgets, cool-downs, the kill switch and maintenance still hold.

    \b
    Example:
      logmend task submit --role critic
      logmend task submit --action process.restart --service api --description "new certificate"
    """
    settings = Settings.load()
    event = TaskSubmitted(
        task_id=str(uuid.uuid4()),
        role="" if action else role,
        action=action,
        service=service,
        description_sha256=sha256_of(description),
        author=named(author, settings),
        host=host,
    )
    decision = ask_for(settings, event, description, until=TASK_OVER)
    ended = decision.reason if decision.kind == "task_ended" else "under way"
    if as_json:
        print_json({"task_id": event.task_id, "decision": decision.id, "host": decision.host, "ended": ended})
    else:
        click.echo(f"{event.task_id} on {decision.host}: {ended}")
    if not (ended == "under way" or ended.startswith("done ok")):
        raise click.exceptions.Exit(1)


@click.command()
@reason_option
@author_option
def heal(reason: str, author: str) -> None:
    r"""Have every pool replace workers that are dead or hung, at once.

    \b
    Example:
      logmend heal
    """
    settings = Settings.load()
    event = HealRequested(author=named(author, settings), reason=reason)
    decision = ask_for(settings, event, until=frozenset({"command_ended", REFUSED}))
    ended = decision.reason if decision.kind == "command_ended" else "under way"
    click.echo(f"{decision.host or 'the pool'}: {ended}")
    if not (ended == "under way" or ended.startswith("done ok")):
        raise click.exceptions.Exit(1)
