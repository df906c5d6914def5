"""What must hold immediately before a command takes effect (SPEC X6), as a function of what is known at that moment.

``RefusedError`` says which check failed; ``ExpiredError`` that the command came too late. That its id is not done is
the journal's to know.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from streams.core.commands import command_sha256
from streams.core.config import Inventory, canonical
from streams.core.errors import InputError
from streams.core.events import Command
from streams.workers.errand import Errand, errand_of, is_errand
from streams.workers.healing import Heal, heal_of
from streams.workers.members import Release, Spawn, release_of, spawn_of
from streams.workers.orders import Order, RefusedError, order_of
from streams.workers.roles import role_of

SKEW_MAX_MS: Final = 5_000


class ExpiredError(InputError):
    """The command's time is over."""


class Moment(Struct, frozen=True, kw_only=True):
    """What is known right before acting.

    ``clock_ms`` is this host's clock, ``skew_ms`` how far it is ahead of the broker's. ``epoch`` is the fleet's,
    ``own_epoch`` that of this release.
    """

    host: str
    clock_ms: int
    skew_ms: int
    epoch: int
    own_epoch: int
    halted_by: str
    inventory: Inventory


def check(command: Command, moment: Moment) -> Order | Spawn | Release | Errand | Heal:
    """Return what may be carried out now; ``RefusedError`` or ``ExpiredError`` when it may not.

    An errand and healing touch nothing outside the pool: they are carried out while action is halted, too.
    """
    _check_identity(command, moment)
    if is_errand(command):
        _check_expiry(command, moment)
        return errand_of(command)
    match command.kind:
        case "heal":
            _check_expiry(command, moment)
            return heal_of(command)
        case "release":
            return release_of(command)
        case "spawn":
            _check_time(command, moment)
            spawn = spawn_of(command)
            _check_known(command, moment.inventory)
            return spawn
        case "recovery" | "look" | "task":
            _check_time(command, moment)
            return _order(command, moment)
        case _:
            raise RefusedError("wrong_kind", f"commands of kind {command.kind[:64]!r} are not carried out here")


def _order(command: Command, moment: Moment) -> Order:
    if not role_of(command.action):
        raise RefusedError("unknown_action", "no role runs this action")
    order = order_of(command)
    _check_known(command, moment.inventory)
    if command.kind == "look":
        if not order.action.looks:
            raise RefusedError("wrong_kind", f"{order.action.id} does more than to look")
    elif (order.spec.mode == "approve" or order.spec.protected) and not command.approved_by:
        raise RefusedError("not_approved", "nobody approved this command")
    return order


def _check_time(command: Command, moment: Moment) -> None:
    if moment.halted_by:
        raise RefusedError("halted", f"action is halted by {moment.halted_by}")
    if abs(moment.skew_ms) > SKEW_MAX_MS:
        raise RefusedError("clock_skew", f"this clock is {moment.skew_ms} ms off the broker's")
    _check_expiry(command, moment)


def _check_expiry(command: Command, moment: Moment) -> None:
    if moment.clock_ms - moment.skew_ms > command.expires_ms:
        raise ExpiredError(f"expired {moment.clock_ms - moment.skew_ms - command.expires_ms} ms ago")


def _check_identity(command: Command, moment: Moment) -> None:
    if command_sha256(command) != command.sha256:
        raise RefusedError("wrong_hash", "the command is not the one that was hashed")
    if command.host != moment.host:
        raise RefusedError("wrong_host", "the command is for another host")
    if not command.epoch == moment.epoch == moment.own_epoch:
        raise RefusedError("wrong_epoch", f"command {command.epoch}, fleet {moment.epoch}, ours {moment.own_epoch}")


def _check_known(command: Command, inventory: Inventory) -> None:
    """Compare with the inventory as it is now: what was decided on an older entry is decided again."""
    entries = (spec for spec in inventory.services if (spec.name, spec.host) == (command.service, command.host))
    known = next(entries, None)
    if known is None or canonical(known) != command.target:
        raise RefusedError("inventory_changed", "the inventory has no such entry now")
    if known.mode == "observe":
        raise RefusedError("mode", "the service is only observed")
