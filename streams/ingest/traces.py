"""Which lines are parts of the line before them: frames, causes and ends of stack traces, details of a statement.

By languages: Java and its kin, Python, Go, Node.js, .NET, Ruby, PHP, Rust, Elixir; PostgreSQL's details; the first part
of a line that a container runtime cut into several.
"""

from __future__ import annotations

import re
from typing import Final

_CONTINUES: Final = re.compile(
    rb"[ \t]|Caused by: |\.\.\. \d+ more|Suppressed: |Traceback \(most recent call last\)|at [\w.$<>/]+\("
    rb"|During handling of the above|The above exception was|[})\]]\s*$"
    rb"|goroutine \d+ \[|created by [\w./*()-]+|\[signal SIG|exit status \d+$"
    rb"|--- End of |stack backtrace:|note: (?:run with|[Ss]ome details)|Stack trace:$"
    rb"|#\d+ +(?:0x|/|\{main\}|\[internal|\S+ \(.*\) at )"
    rb"|[\w./@+-]+\.rb:\d+:in [`'][^'`]*'$|\*\* \(\w"
    rb"|(?:DETAIL|HINT|STATEMENT|CONTEXT|QUERY|LOCATION):  "
)
_FRAME_WITHIN: Final = re.compile(rb"(?:[\w.-]++/)*+[\w-]++(?:\.\(\*?[\w\[\].]++\))?+\.[\w\[\].]++\(.*\)$|panic\(")
"""Go's names of functions: too much like any text to be a frame anywhere but below other frames.

Possessive throughout: a name's parts can be told apart in one way only, and a long one must not be tried in all others.
"""
_ENDS: Final = re.compile(
    rb"(?!(?:INFO|Info|DEBUG|Debug|WARN|WARNING|Warning|ERROR|NOTICE|Notice|FATAL|CRITICAL)\b)"
    rb"(?:(?:\w++\.)++\w++|(?=\w*?[a-z])[A-Z]\w*+)(?:: |$)"
)
_EXCEPTION: Final = re.compile(rb"(?:[a-z_][\w$]*\.)+[A-Z][\w$]*(?:Exception|Error|Throwable|Failure)(?:: |$)")
_OPENS: Final = re.compile(rb"panicked at [^\n]*:\d+:\d+:$")
_DETAIL: Final = re.compile(rb"\b(?:DETAIL|HINT|STATEMENT|CONTEXT|QUERY|LOCATION):  ")
_PROCESS: Final = re.compile(rb"\[(\d+)\]")
_DETAIL_BYTES: Final = 200
_RUNTIME: Final = re.compile(
    rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d) (?:stdout|stderr) ([PF])(?::\S*)? "
)
"""What containerd and CRI-O write before a line; P marks a part that is not the last."""


def continues(line: bytes) -> bool:
    """Say whether a line looks like a part of the one before: indented, or a frame or cause of a stack trace."""
    return _CONTINUES.match(line) is not None


def frame_within(line: bytes) -> bool:
    """Say whether a line that follows frames of a trace is another one."""
    return _FRAME_WITHIN.match(line) is not None


def ends(line: bytes) -> bool:
    """Say whether a line that follows the frames of a trace looks like its last: ``ValueError: no such thing``."""
    return _ENDS.match(line) is not None


def is_exception(line: bytes) -> bool:
    """Say whether a line begins with the full name of an exception, as the first line of Java's traces does."""
    return _EXCEPTION.match(line) is not None


def opens(line: bytes) -> bool:
    """Say whether a line announces that the next one belongs to it, whatever that is (Rust's panics)."""
    return _OPENS.search(line) is not None


def details(line: bytes, head: bytes) -> bool:
    """Say whether a line with a stamp of its own is a detail of PostgreSQL's line before: of the same process."""
    if b":  " not in line[:_DETAIL_BYTES]:
        return False
    found = _DETAIL.search(line, 0, _DETAIL_BYTES)
    process = _PROCESS.search(line, 0, found.start()) if found else None
    return process is not None and process[0] in head


def unwrapped(line: bytes) -> tuple[bytes, bool]:
    """Return a line without what a container runtime wrote before it, and whether its rest follows."""
    if line[10:11] != b"T" or b" std" not in line[19:42]:
        return line, False
    found = _RUNTIME.match(line)
    return (line[found.end() :], found[1] == b"P") if found else (line, False)
