"""Whose fault it is decides what happens next."""

from __future__ import annotations


class InputError(ValueError):
    """Somebody gave us something wrong: say what to do, in one line, and go on."""


class OtherVersionError(InputError):
    """What was saved is whole, and of another version of Logmend: going on without it is a person's to decide."""


class OlderEpochError(InputError):
    """What was saved is of an older epoch: the facts are folded again instead."""


class OtherEpochError(InputError):
    """The fleet is in another epoch than this release decides in: it takes no part."""


class InvariantError(AssertionError):
    """We are wrong, or the log is: stop the process before anything is written on top of it."""
