"""Levels that producers write, as our five severities. ``""`` means that nothing was said."""

from __future__ import annotations

from typing import Final

_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "info": (
        *("trace", "trc", "debug", "dbg", "debug2", "debug3", "fine", "finer", "finest", "verbose", "silly", "config"),
        *("info", "inf", "information", "informational", "notice", "noti", "note", "default", "success", "log"),
        *("i", "d", "t", "n", "d1", "d2", "d3", "d4", "d5"),
    ),
    "warning": ("warning", "warn", "wrn", "w", "caution"),
    "error": ("error", "err", "erro", "eror", "e", "severe", "failure", "fail"),
    "critical": ("critical", "crit", "c", "alert", "a"),
    "fatal": ("fatal", "f", "emergency", "emerg", "panic", "dpanic"),
}
OF_WORD: Final = {word: severity for severity, words in _WORDS.items() for word in words}

RANK: Final = {"": 0, "info": 0, "warning": 1, "error": 2, "critical": 3, "fatal": 4}
_SYSLOG: Final = ("fatal", "critical", "critical", "error", "warning", "info", "info", "info")
_NAMES: Final = ("info", "warning", "error", "critical", "fatal")


def of_value(value: object) -> str:
    """Return the severity of a JSON level field: a word in any case, a syslog number 0..7 or pino's 10..60."""
    if isinstance(value, str):
        word = value if len(value) <= 16 else value[:16]
        return OF_WORD.get(word) or OF_WORD.get(word.strip().lower()) or _of_digits(word)
    if isinstance(value, int) and not isinstance(value, bool):
        return _of_number(value)
    return ""


def of_otel(value: object) -> str:
    """Return the severity of OpenTelemetry's number 1..24: 9 info, 13 warn, 17 error, 21 fatal."""
    if not isinstance(value, int) or not 1 <= value <= 24:
        return ""
    return ("info", "info", "info", "warning", "error", "fatal")[(value - 1) // 4]


def of_priority(priority: int) -> str:
    """Return the severity of a syslog priority (facility * 8 + severity)."""
    return _SYSLOG[priority & 7]


def _of_digits(word: str) -> str:
    return _of_number(int(word)) if word.isdecimal() and len(word) <= 3 else ""


def _of_number(number: int) -> str:
    """Return the severity of a number that is syslog's below 8, else pino's and bunyan's (30 info, 50 error)."""
    if 0 <= number <= 7:
        return _SYSLOG[number]
    if not 10 <= number <= 60:
        return ""
    return ("info", "info", "info", "warning", "error", "fatal")[number // 10 - 1]


def of_match(default: str, level: str) -> str:
    """Return the severity of a matched line: the pattern's, moved by what the line itself says.

    A line that says fatal is fatal, unless its pattern is a warning: then only a request or session ended, an error.
    One that says warning was handled, which takes one step off error and critical.
    """
    if level == "fatal":
        return "error" if default in {"info", "warning"} else "fatal"
    if level == "warning" and default in {"error", "critical"}:
        return _NAMES[RANK[default] - 1]
    if level == "critical" and default in {"warning", "error"}:
        return "critical"
    return default
