"""The fold as bytes: what goes on from them, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from streams.catalogue import strategies
from streams.core.chain import sha256_of
from streams.core.errors import InputError, OtherVersionError
from streams.core.fold import EPOCH, SNAPSHOT_VERSION, Fold, directory_of
from tests.core.test_fold import QUICK, a_world, only


def test_snapshot_goes_on_as_the_original() -> None:
    """A fold restored in the middle decides the same bytes as one that never stopped."""
    world = a_world("api")
    command = only(world.detect("api", "process_crash"), "commanded")
    world.outcome(command.id, ok=False)
    copy = Fold.restore(world.fold.snapshot(), strategies())
    cut = len(world.facts)
    world.wait(10)
    world.detect("api", "out_of_memory")
    again = [d for fact, offset, ms in world.facts[cut:] for d in copy.apply(fact, offset, ms)]
    assert [sha256_of(d) for d in again] == [sha256_of(d) for d in world.decisions[-len(again) :]]
    assert again
    assert copy.snapshot() == world.fold.snapshot()


@pytest.mark.parametrize("damaged", [b"", b"rubbish", msgspec.msgpack.encode((SNAPSHOT_VERSION, EPOCH, None))])
def test_damaged_snapshot_is_refused(damaged: bytes) -> None:
    """A snapshot that is not ours is an error that says so, and no other version."""
    with pytest.raises(InputError, match="not a snapshot") as caught:
        Fold.restore(damaged, strategies())
    assert not isinstance(caught.value, OtherVersionError)


def test_directory_of_a_snapshot_knows_the_configuration() -> None:
    """Readers that do not fold find terms, policy and inventory in a snapshot."""
    world = a_world("api")
    world.normal("api")
    found = directory_of(world.fold.snapshot())
    assert found.policy == QUICK
    assert found.inventory.services[0].name == "api"
    assert found.ledger.holding("logs", 0).to_offset == 1
    assert found.facts_offset == len(world.facts)


@pytest.mark.parametrize("restore", [lambda data: Fold.restore(data, strategies()), directory_of])
@pytest.mark.parametrize(("version", "epoch"), [(SNAPSHOT_VERSION - 1, EPOCH), (SNAPSHOT_VERSION, EPOCH + 1)])
def test_a_snapshot_of_another_version_says_what_to_do(
    restore: Callable[[bytes], object], version: int, epoch: int
) -> None:
    """One line names the versions and the way out, whatever the state of that version looks like."""
    with pytest.raises(OtherVersionError) as caught:
        restore(msgspec.msgpack.encode((version, epoch, {"of": "long ago"})))
    said = str(caught.value)
    assert said.startswith(f"saved state of version {version}, epoch {epoch}; ours is {SNAPSHOT_VERSION}, {EPOCH}: ")
    assert said.endswith("name another data directory (LOGMEND_DATA_DIR), or move this one away; nothing is deleted")
    assert "\n" not in said
