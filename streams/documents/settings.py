"""The list of settings: name, default and what is allowed, as the code has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from streams.settings import FILE_DEFAULT, FILE_VARIABLE, PREFIX, Settings

SECTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "Where things are": ("brokers", "kafka_", "data_dir", "fleet", "logs", "metrics", "host", "schema_registry"),
    "What may be done": ("dry_run", "tool_path", "policy", "rules", "services", "workers_per_role"),
    "What is kept": ("redaction_key", "evidence_days", "disk_", "shed_"),
    "The state of a host (`logmend host`)": ("host_",),
    "Pages and API (`logmend web`)": ("web_",),
    "Advisors (`logmend advise`)": ("advise_",),
    "Telling people (`logmend notify`)": ("mail_", "smtp_", "webhook", "github_", "notify_"),
    "Everything else": ("",),
}
"""Headings, and the names of settings, or what they begin with. The longest that fits a name wins."""

COMPUTED: Final[Mapping[str, str]] = {
    "data_dir": "`$XDG_DATA_HOME/logmend`, or `~/.local/share/logmend`",
    "host": "the host's own name",
    "source_partitions": "8; 4 on the embedded broker",
}
"""Defaults that are found out, in words."""

HEAD: Final = f"""# Settings

<!-- Written by `python -m streams.documents` from streams/settings.py. -->

A setting is an environment variable `{PREFIX}*`, or the same name in lower case and without the prefix in
`{FILE_DEFAULT}` in the working directory (`{FILE_VARIABLE}` names another file). The environment wins; an empty
variable counts as none. Processes read settings when they start.

```toml
# {FILE_DEFAULT}
brokers = "kafka-1:9092,kafka-2:9092"
dry_run = false
```

A name that is nearly a setting and a value that is not allowed end the command with one line that says what is allowed.
Policy, rules and inventory are not settings: they are applied (`logmend apply`), on record, for the whole fleet.
"""


def text() -> str:
    """Return the list as Markdown, a table for each section."""
    parts = [HEAD]
    for title in SECTIONS:
        rows = [_row(name) for name in Settings.model_fields if section_of(name) == title]
        if rows:
            parts.append(
                "\n".join([f"## {title}", "", "| setting | default | what it is |", "|---|---|---|", *rows, ""])
            )
    return "\n".join(parts)


def section_of(name: str) -> str:
    """Return the heading under which a setting stands."""
    fits = {begin: title for title, begins in SECTIONS.items() for begin in begins if _fits(name, begin)}
    return fits[max(fits, key=len)]


def _fits(name: str, begin: str) -> bool:
    return name == begin or (name.startswith(begin) and (begin == "" or begin.endswith("_") or begin == "webhook"))


def _row(name: str) -> str:
    field = Settings.model_fields[name]
    default = COMPUTED[name] if name in COMPUTED else _shown(field.default)
    told = (field.description or "").replace("|", "\\|")
    return f"| `{PREFIX}{name.upper()}` | {default} | {told} |"


def _shown(value: Any) -> str:
    match value:
        case None | "" | ():
            return "empty"
        case bool():
            return f"`{str(value).lower()}`"
        case tuple():
            return f"`{','.join(value)}`"
    return f"`{value}`"
