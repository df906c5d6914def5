"""The specialists that are here: called for a plan, told of, and let go.

A specialist is a guest of the crew: a worker process that looks at its topics and acts with its verbs. The journal has
it from before its process begins to its last report. When the manager dies its specialists end with it (end of file),
and the next manager reports them failed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Final, Protocol

import psutil
from msgspec import Struct

from streams.catalogue.actions import actions
from streams.core.events import Command
from streams.core.reports import SpecialistReported
from streams.workers.clock import now_ms
from streams.workers.crew import Crew, Guest, Worker
from streams.workers.frames import Hold
from streams.workers.journal import Entry, Journal
from streams.workers.members import Release, Spawn, named_of, spawn_of
from streams.workers.orders import RefusedError
from streams.workers.proc import Usage
from streams.workers.results import Result

HERE_MAX: Final = 16
"""Specialists of one host; the fleet's budget is policy."""
MEBIBYTE: Final = 1 << 20
ARGUMENT: Final = "specialist"
RESTARTED: Final = "pool_restarted"
UNUSED: Final = Usage(0, 0)


class End(Protocol):
    """Writes down the one end of a command: ``Pool.end``."""

    def __call__(self, entry: Entry, status: str, result: Result, worker: str = "") -> None:
        """End a command."""
        ...


class Member(Struct, eq=False):
    """A specialist that is here. ``spawn`` and ``release`` are the entries of commands that have no end yet.

    ``fate`` is the state and code that it is reported with when it has ended; ``None`` while it was not told to. It is
    invited when no process of its name is left.
    """

    asked: Spawn
    command: Command
    guest: Guest
    spawn: Entry | None
    release: Entry | None = None
    fate: tuple[str, str] | None = None
    timer: asyncio.TimerHandle | None = None
    is_invited: bool = False


class Specialists:
    """Calls specialists and lets them go. ``skew_ms`` is how far this clock is ahead of the broker's.

    ``end`` writes down the end of a command, ``news`` says that there is something to tell.
    """

    def __init__(
        self, host: str, crew: Crew, journal: Journal, skew_ms: Callable[[], int], end: End, news: Callable[[], None]
    ) -> None:
        self._host = host
        self._crew = crew
        self._journal = journal
        self._skew_ms = skew_ms
        self._end = end
        self._news = news
        self._members: dict[Guest, Member] = {}

    def call(self, entry: Entry, asked: Spawn) -> None:
        """Bring a specialist up; the command ends when it runs, or can't. It is started in the journal already."""
        for earlier in self._named(asked.specialist):  # its number would not be free: the fleet took it for lost
            self._let_go(earlier, "released", "superseded", at_once=True)
        code = self._why_no_room(asked)
        if code:
            self._note(entry.command, asked, "failed", code, gone=True)
            self._end(entry, "done", Result(ok=False, code=code, effect="none"))
            return
        guest = Guest(asked.specialist, asked.row.name, Hold(int(asked.memory_mb), asked.cpu), self._hear)
        member = self._members[guest] = Member(asked, entry.command, guest, entry)
        self._journal.hold(entry.command, self._report(asked, "spawned", "", guest.usage))
        self._news()
        self._invite(asked.specialist)
        loop = asyncio.get_running_loop()
        member.timer = loop.call_later(asked.keep_ms / 1000, self._let_go, member, "released", "kept_long")

    def release(self, entry: Entry, asked: Release) -> None:
        """Let a specialist of a plan go; the command ends when its process has, or at once when there is none."""
        members = (one for one in self._named(asked.specialist) if one.asked.plan == asked.plan and not one.release)
        member = next(members, None)
        if member is None:
            self._end(entry, "done", Result(ok=True, code="not_held", effect="none"))
            return
        member.release = entry
        if member.fate is None:
            self._note(member.command, member.asked, "done", "", member.guest.usage)
        self._let_go(member, "released", "")

    def refused(self, command: Command, code: str) -> None:
        """Report that a specialist was not brought up; one of its name that is here has nothing to do with that."""
        try:
            asked = spawn_of(command)
        except RefusedError:
            return
        if not list(self._named(asked.specialist)):
            self._note(command, asked, "failed", code, gone=True)

    def choose(self, command: Command) -> Worker | None:
        """Return the specialist that a command is for: whom a look names, or whom the incident has to act so.

        That is the primary, or when that one is gone or has not the verb, a support that has it.
        """
        able = [one for one in self._members.values() if one.fate is None and one.guest.process is not None]
        if command.kind == "look":
            named = next((one.value for one in command.arguments if one.name == ARGUMENT), "")
            return next((one.guest for one in able if one.asked.specialist == named), None)
        verb = actions()[command.action].verb
        acting = [one for one in able if one.command.incident == command.incident and verb in one.asked.row.verbs]
        return next((one.guest for one in sorted(acting, key=_is_support)), None)

    def recover(self, entry: Entry) -> None:
        """End a command that a manager before this one had begun: its specialists have ended with it."""
        if entry.command.kind == "spawn":
            self._note(entry.command, named_of(entry.command), "failed", RESTARTED, gone=True)
            self._end(entry, "done", Result(ok=False, code=RESTARTED, effect="none"))
            return
        released = named_of(entry.command)
        for command in self._journal.held():
            if named_of(command) == released:
                self._note(command, released, "released", RESTARTED, gone=True)
        self._end(entry, "done", Result(ok=True, code="released", effect="none"))

    def bury(self) -> None:
        """Report the specialists of a manager before this one: none of them has a process any more."""
        for command in self._journal.held():
            self._note(command, named_of(command), "failed", RESTARTED, gone=True)

    def stop(self) -> None:
        """Expect every specialist to end now, because the pool does."""
        for member in tuple(self._members.values()):
            if member.is_invited:
                member.fate = member.fate or ("failed", "pool_stopped")
            else:
                self._let_go(member, "failed", "pool_stopped")

    # ------------------------------------------------------------------------------------------------ what is heard

    def _hear(self, guest: Guest, news: str) -> None:
        member = self._members[guest]
        match news:
            case "up":
                self._note(member.command, member.asked, "running", "", guest.usage)
                self._note(member.command, member.asked, "waiting", "", guest.usage)
                if member.spawn is not None:
                    self._end(member.spawn, "done", Result(ok=True, code="running", effect="none"), guest.name)
                    member.spawn = None
            case "busy" | "idle":
                state = "running" if news == "busy" else "waiting"
                self._note(member.command, member.asked, state, "", guest.usage)
            case _:
                self._gone(member)

    def _gone(self, member: Member) -> None:
        del self._members[member.guest]
        if member.timer is not None:
            member.timer.cancel()
        state, code = member.fate or ("failed", "died" if member.guest.started_ms else "no_process")
        self._note(member.command, member.asked, state, code, member.guest.usage, gone=True)
        if member.spawn is not None:
            self._end(member.spawn, "done", Result(ok=False, code=code or state, effect="none"))
        if member.release is not None:
            self._end(member.release, "done", Result(ok=True, code="released", effect="none"))
        self._invite(member.asked.specialist)

    def _invite(self, specialist: str) -> None:
        """Have a specialist come who waits for the last process of its name to end, if that has."""
        match list(self._named(specialist)):
            case [member] if not member.is_invited:
                member.is_invited = True
                self._crew.invite(member.guest)

    def _let_go(self, member: Member, state: str, code: str, *, at_once: bool = False) -> None:
        """Let one go that nobody let go yet; ``at_once`` whoever is here gets no time but for what it has begun."""
        if member.fate is not None and not at_once:
            return
        if member.fate is None:
            member.fate = (state, code)
            member.guest.look()
        if member.is_invited:
            self._crew.dismiss(member.guest, at_once=at_once)
        else:
            self._gone(member)

    def _named(self, specialist: str) -> Iterator[Member]:
        return (member for member in tuple(self._members.values()) if member.asked.specialist == specialist)

    def _why_no_room(self, asked: Spawn) -> str:
        """Return ``no_room`` when there are too many already, or the host has not the memory that one may hold."""
        here = sum(member.fate is None for member in self._members.values())
        free = psutil.virtual_memory().available
        return "no_room" if here >= HERE_MAX or free < asked.memory_mb * MEBIBYTE else ""

    def _note(
        self,
        command: Command,
        asked: Spawn | Release,
        state: str,
        code: str,
        usage: Usage = UNUSED,
        *,
        gone: bool = False,
    ) -> None:
        self._journal.note(command, self._report(asked, state, code, usage), gone=gone)
        self._news()

    def _report(self, asked: Spawn | Release, state: str, code: str, usage: Usage) -> SpecialistReported:
        return SpecialistReported(
            host=self._host,
            specialist=asked.specialist,
            plan=asked.plan,
            state=state,
            code=code,
            at_ms=now_ms() - self._skew_ms(),
            cpu_ms=usage.cpu_ms,
            memory_kb=usage.memory_kb,
        )


def _is_support(member: Member) -> bool:
    return member.asked.part != "primary"
