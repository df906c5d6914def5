"""The command ``logmend``. Each subcommand lives in a module of this package and is imported only when it runs."""

from __future__ import annotations

from typing import Final

import click

from streams.cli.lazy import Entry, LazyGroup

ENTRIES: Final = {
    "demo": Entry("streams.cli.running:demo", "Real lines to healed services, everything embedded; ends by itself."),
    "up": Entry("streams.cli.running:up", "Run every process here until Ctrl-C."),
    "detect": Entry("streams.cli.stages:detect", "One process: lines to facts."),
    "decide": Entry("streams.cli.stages:decide", "One process: facts to decisions."),
    "dispatch": Entry("streams.cli.stages:dispatch", "One process: decisions to commands."),
    "eventlog": Entry("streams.cli.eventlog:eventlog", "One process: topics to the event log's files."),
    "workers": Entry("streams.cli.workers:workers", "One process with its pool: commands to actions on this host."),
    "host": Entry("streams.cli.host:host", "One process: this host's state to metrics and probes."),
    "advise": Entry("streams.cli.advising:advise", "One process: the decision service, and the advisors."),
    "notify": Entry("streams.cli.notifying:notify", "One process: tells people of what waits for them."),
    "shadow": Entry(
        "streams.cli.shadowing:shadow", "One process: a candidate policy decides beside the log, and can't act."
    ),
    "web": Entry("streams.cli.web:web", "One process: the operators' pages and the HTTP API."),
    "token": Entry("streams.cli.web:token", "Who may use the web: create, list and revoke tokens."),
    "ship": Entry("streams.cli.shipping:ship", "Send the lines of files."),
    "sql": Entry("streams.cli.asking:sql", "Ask the event log one question in SQL."),
    "shell": Entry("streams.cli.asking:shell", "Ask the event log question after question."),
    "report": Entry("streams.cli.reporting:report", "What the log teaches, in a terminal or as a page with plots."),
    "export": Entry("streams.cli.reporting:export", "A view or an answer as JSON, CSV or Parquet."),
    "publish": Entry("streams.cli.reporting:publish", "The whole event log as one DuckDB file for others."),
    "why": Entry("streams.cli.auditing:why", "From a decision or command back to the lines that caused it."),
    "verify": Entry("streams.cli.auditing:verify", "Prove that nothing in the event log is missing or changed."),
    "replay": Entry("streams.cli.auditing:replay", "Recompute every decision from its recorded inputs."),
    "backtest": Entry("streams.cli.backtesting:backtest", "What a changed policy would have decided otherwise."),
    "config": Entry("streams.cli.configuring:config", "Settings and configuration files: check them before use."),
    "apply": Entry("streams.cli.steering:apply", "Put a policy, rules, an inventory or lessons in force."),
    "diff": Entry("streams.cli.steering:diff", "Show what apply would change."),
    "halt": Entry("streams.cli.steering:halt", "Kill switch on: everything is decided and recorded, nothing acted on."),
    "resume": Entry("streams.cli.steering:resume", "Kill switch off."),
    "lessons": Entry("streams.cli.lessons:lessons", "What outcomes taught: list it, export it for others."),
    "escalations": Entry("streams.cli.requests:escalations", "What was given to a person: list it, take it on."),
    "resolve": Entry("streams.cli.requests:resolve", "Say how an escalation was resolved."),
    "silence": Entry("streams.cli.requests:silence", "Tell nobody of a service for a while."),
    "maintain": Entry("streams.cli.requests:maintain", "Neither act on a service nor escalate it for a while."),
    "unmute": Entry("streams.cli.requests:unmute", "End a silence or a maintenance, or list them."),
    "task": Entry("streams.cli.requests:task", "Give the pool something to do."),
    "heal": Entry("streams.cli.requests:heal", "Replace workers of the pool that are dead or hung."),
    "services": Entry("streams.cli.services:services", "The inventory: list it, draft it."),
    "rules": Entry("streams.cli.rules:rules", "The patterns: list, lint, test them."),
    "score": Entry("streams.cli.rules:score", "Quality of detection on labelled data."),
    "upgrade": Entry("streams.cli.lifecycle:upgrade", "Let this release decide from here on."),
    "backup": Entry("streams.cli.lifecycle:backup", "Copy the event log, also while everything runs."),
    "restore": Entry("streams.cli.lifecycle:restore", "Put a backup back, and into an empty Kafka."),
    "erase": Entry("streams.cli.erasing:erase", "Erase the text of a service's lines, with the chain intact."),
    "topics": Entry("streams.cli.topics:topics", "Kafka's topics: create, describe, accept a reset."),
    "dlq": Entry("streams.cli.dlq:dlq", "What no decoder took: list it, put it back."),
    "doctor": Entry("streams.cli.doctor:doctor", "Check this machine and what it can reach."),
    "uninstall": Entry("streams.cli.uninstalling:uninstall", "Remove what Logmend made on this machine."),
    "lab": Entry("streams.cli.running:lab", "Break real services on purpose, and see them healed."),
}


@click.group(
    cls=LazyGroup,
    entries=ENTRIES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name="logmend", message="logmend %(version)s")
def main(debug: bool) -> None:  # noqa: FBT001 - click passes it; LazyGroup reads it from the context
    r"""Read log lines from Kafka, decide what is broken, have it fixed, prove what happened.

    \b
    Settings are read from LOGMEND_* in the environment, over logmend.toml in this directory.
    Without LOGMEND_BROKERS, Logmend runs a Kafka of its own.

    \b
    Example:
      logmend demo
      logmend up
      logmend sql "select kind, count(*) as n from decisions group by all order by n desc"
    """
