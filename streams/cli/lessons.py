"""What outcomes taught here, for people to read, and for other installations to begin with (``logmend apply``)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import click
import msgspec

from analytics.views import EventLog
from streams.cli.asking import open_log
from streams.cli.output import json_option, print_json, print_table
from streams.core.experience import LESSONS_MAX, LessonSpec
from streams.settings import Settings

QUESTION: Final = """
    SELECT pattern, service_type, action,
        count(*) FILTER (success) AS successes, count(*) FILTER (NOT success) AS failures
    FROM lessons
    WHERE seq >= coalesce((
        SELECT max(changed.seq) FROM decisions AS changed
        JOIN decisions AS done ON done.id = changed.refers_to
        WHERE changed.kind = 'world_changed' AND changed.pattern = lessons.pattern
          AND done.command.service_type = lessons.service_type
    ), 0)
    GROUP BY ALL ORDER BY successes + failures DESC, pattern, service_type, action LIMIT $most
"""
"""Outcomes since the world last changed for the pattern on the type of service; before that they no longer hold."""


@click.group(invoke_without_command=True)
@click.pass_context
@json_option
def lessons(context: click.Context, as_json: bool) -> None:  # noqa: FBT001 - click passes it
    r"""List how often each action helped: by pattern and type of service, since the world last changed there.

    \b
    Example:
      logmend lessons
      logmend lessons export lessons.toml
    """
    if context.invoked_subcommand:
        return
    with open_log(Settings.load()) as log:
        found = _found(log)
    if as_json:
        print_json(msgspec.to_builtins(found))
        return
    columns = ("pattern", "service type", "action", "helped", "did not")
    rows = [(one.pattern, one.service_type, one.action, one.successes, one.failures) for one in found]
    print_table(columns, rows)


@lessons.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, writable=True))
def export(file: Path) -> None:
    r"""Write what was learnt to a file that `logmend apply` puts in force elsewhere.

    There it weighs as much as ten outcomes at most, and what is learnt there takes its place.

    \b
    Example:
      logmend lessons export lessons.toml
    """
    with open_log(Settings.load()) as log:
        found = _found(log)
    if not found:
        raise click.ClickException("nothing was learnt yet: the view lessons is empty")
    file.write_text("\n".join(_table(one) for one in found), "utf-8")
    click.echo(f"{len(found)} lessons: logmend apply {file} puts them in force")


def _found(log: EventLog) -> list[LessonSpec]:
    return [LessonSpec(**row) for row in log.query(QUESTION, {"most": LESSONS_MAX}).to_dicts()]


def _table(lesson: LessonSpec) -> str:
    """Return a lesson as a table of TOML, whose strings JSON's are."""
    words = {name: json.dumps(getattr(lesson, name)) for name in ("pattern", "service_type", "action")}
    counts = {"successes": lesson.successes, "failures": lesson.failures}
    return "[[lessons]]\n" + "".join(f"{name} = {value}\n" for name, value in {**words, **counts}.items())
