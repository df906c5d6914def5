"""The patterns: what holds, whether a file of them is sound, and how well they do on labelled lines."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click
import msgspec

from streams.cli.foreseeing import run_to_failure, wear
from streams.cli.output import json_option, print_json, print_rows, print_table, printable
from streams.cli.scoring import everything
from streams.cli.watching import faults, nab, servers
from streams.ingest import quiet as quieting
from streams.ingest import replacing
from streams.ingest import rules as catalogue
from streams.ingest import score as scoring
from streams.ingest.quiet import FileScore
from streams.ingest.score import Measures

FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
LINE_SHOWN: Final = 160


@click.group()
def rules() -> None:
    """List, lint and test the patterns: the shipped ones, or a file of your own."""


@rules.command("list")
@click.argument("file", type=FILE, required=False)
@json_option
def list_(file: Path | None, as_json: bool) -> None:  # noqa: FBT001 - click passes it
    r"""List the patterns that hold, most specific first; with FILE, as if that file was applied.

    \b
    Example:
      logmend rules list
      logmend rules list my-rules.toml --json
    """
    rows = [msgspec.to_builtins(listed) for listed in catalogue.effective(file)]
    print_rows(rows, as_json=as_json, nothing="no rules")


@rules.command()
@click.argument("file", type=FILE, required=False)
@json_option
def lint(file: Path | None, as_json: bool) -> None:  # noqa: FBT001 - click passes it
    r"""Say what is wrong with a file of patterns; without FILE, with the shipped ones. Exit status 1 for errors.

    \b
    Example:
      logmend rules lint my-rules.toml
    """
    findings = catalogue.lint(file)
    errors = sum(finding.level == catalogue.ERROR for finding in findings)
    if as_json:
        print_json(msgspec.to_builtins(findings))
    else:
        for finding in findings:
            click.echo(f"{finding.level}: {finding.rule}: {finding.problem}")
        click.echo(f"{errors} errors, {len(findings) - errors} warnings")
    if errors:
        raise click.exceptions.Exit(1)


@rules.command()
@click.argument("file", type=FILE, required=False)
@json_option
def test(file: Path | None, as_json: bool) -> None:  # noqa: FBT001 - click passes it
    r"""Run the examples of every pattern through all of them; without FILE, of the shipped ones.

    Exit status 1 when an example is not classified as it says.

    \b
    Example:
      logmend rules test my-rules.toml
    """
    results = catalogue.test(file)
    wrong = [result for result in results if not result.ok]
    if as_json:
        print_json({"examples": len(results), "wrong": msgspec.to_builtins(wrong)})
    else:
        for result in wrong:
            wanted = "should match" if result.positive else "should not match"
            click.echo(f"{result.rule}: {wanted}, got {result.got or 'nothing'}: {printable(result.example)}")
        click.echo(f"{len(results)} examples, {len(wrong)} wrong")
    if wrong:
        raise click.exceptions.Exit(1)


@rules.command()
@click.argument("line")
@click.option("--file", type=FILE, help="As if this file of rules was applied.")
@json_option
def explain(line: str, file: Path | None, as_json: bool) -> None:  # noqa: FBT001 - click passes it
    r"""Say which pattern names a line, which others match it, and by which expressions.

    \b
    Example:
      logmend rules explain "dial tcp 10.0.0.1:80: connect: connection refused"
    """
    found = catalogue.explain(line, file)
    if as_json:
        print_json(msgspec.to_builtins(found))
        return
    click.echo(f"{found.pattern or 'no pattern'}: {found.category or '-'}, {found.severity}, {found.confidence:.2f}")
    for name in found.matched:
        click.echo(f"  {name}")


@click.group()
def score() -> None:
    """Measure the quality of detection and of forecasts on labelled data."""


for _command in (nab, servers, faults, run_to_failure, wear, everything):
    score.add_command(_command)


@score.command()
@click.argument("file", type=FILE)
@click.option("--errors", is_flag=True, help="List each line that is not classified as its label says.")
@click.option("--replaced", is_flag=True, help="Replace every host, address, number, path and name first.")
@json_option
def lines(file: Path, errors: bool, replaced: bool, as_json: bool) -> None:  # noqa: FBT001 - click passes it
    r"""Classify labelled lines (JSON lines with line, expected, also, category, severity, kind) and compare.

    \b
    Example:
      logmend score lines classification.jsonl
      logmend score lines classification.jsonl --errors --json
      logmend score lines classification.jsonl --replaced
    """
    found = scoring.lines(file, change=replacing.replaced if replaced else None)
    if as_json:
        print_json(found.as_json(errors=errors))
        return
    names = Measures.__struct_fields__
    rows = [(name, _figure(getattr(found.overall, name)), _figure(getattr(found.captured, name))) for name in names]
    print_table(("figure", "all lines", "captured lines"), rows)
    if errors:
        missed = [(m.id, m.expected or "-", m.got or "-", m.severity_got, m.line[:LINE_SHOWN]) for m in found.misses]
        click.echo()
        print_table(("line", "expected", "got", "severity", "text"), missed)


@score.command()
@click.argument("files", type=FILE, nargs=-1, required=True)
@click.option("--verdicts", type=FILE, help="Kept verdicts, a JSON object a line: pattern, template, verdict, reason.")
@json_option
def quiet(files: tuple[Path, ...], verdicts: Path | None, as_json: bool) -> None:  # noqa: FBT001 - click passes it
    r"""Say what fires on lines (text or gzip) that are mostly benign: how often, and each distinct line.

    \b
    Example:
      logmend score quiet syslog.gz kern.log --verdicts quiet.jsonl
      logmend score quiet syslog.gz --json
    """
    found = quieting.quiet(files, quieting.read_verdicts(verdicts) if verdicts else {})
    if as_json:
        print_json(found.as_json())
        return
    rows = [(Path(one.file).name or "all", *_counts(one)) for one in (*found.files, found.overall)]
    print_table(("file", "lines", "detections", "per 1000", "false", "false per 1000", "undecided"), rows)
    click.echo()
    fired = [
        (one.pattern, str(one.lines), one.verdict or "-", one.reason, one.line[:LINE_SHOWN]) for one in found.fired
    ]
    print_table(("pattern", "lines", "verdict", "reason", "one of them"), fired)


def _counts(one: FileScore) -> tuple[str, ...]:
    figures = (one.lines, one.detections, one.per_1000, one.false, one.false_per_1000, one.undecided)
    return tuple(_figure(figure) for figure in figures)


def _figure(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.3f}"
