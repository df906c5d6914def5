"""What people apply is read strictly: a mistake is named, never taken for a default."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.cli import files
from streams.core import config
from streams.core.config import Config, Inventory, Policy, RuleSet, ZoneSpec
from streams.core.errors import InputError
from streams.core.experience import Experience
from streams.core.inventory import ServiceSpec

SERVICE = '[[services]]\nname = "api"\nhost = "a"\n'
ZONE = '[[zones]]\nhost = "berlin-*"\nzone = "Europe/Berlin"\n'
RULE = '[[rules]]\nid = "x"\ncategory = "disk"\nseverity = "error"\nhint = "h"\nexpressions = ["boom"]\n'

LESSON = """[[lessons]]
pattern = "process_crash"
service_type = "process"
action = "process.restart"
successes = 13
failures = 2
"""


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("cooldown_ms = 5\n", Policy(cooldown_ms=5)),
        (SERVICE, Inventory(services=(ServiceSpec(name="api", host="a"),))),
        ("services = []\n", Inventory()),
        (ZONE, Inventory(zones=(ZoneSpec(host="berlin-*", zone="Europe/Berlin"),))),
        ("rules = []\n", RuleSet()),
        ("lessons = []\n", Experience()),
    ],
)
def test_a_file_is_what_is_in_it(tmp_path: Path, text: str, value: Config) -> None:
    """The kind is told by the content, whatever the file is called."""
    path = tmp_path / "anything"
    path.write_text(text)
    assert files.read(path) == value


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "empty"),
        ("cooldown_ms = ", "not TOML"),
        ("\xff", "not TOML"),
        ("cooldwn_ms = 5\n", "unknown field `cooldwn_ms`: did you mean cooldown_ms?"),
        ("zebra = 5\n", "unknown field `zebra`: there are attempts_max, cooldown_ms, "),
        (SERVICE + "prot = 80\n", "unknown field `prot` - at `$.services[0]`: did you mean port?"),
        (SERVICE + 'probes = [{kind = "tcp", evry_ms = 1}]\n', ": did you mean every_ms?"),
        (RULE + 'expresions = ["x"]\n', ": did you mean expressions?"),
        (SERVICE + "[[rule]]\n", "unknown field `rule`: there are services"),
        ('cooldown_ms = "5"\n', "cooldown_ms"),
        (LESSON + LESSON, "lesson 'process.restart against process_crash on process' is there twice"),
        (LESSON.replace("13", "-1"), "successes and failures are not in 0..1,000,000,000"),
        (LESSON.replace("process_crash", ""), "pattern, service_type and action must be given"),
        (LESSON.replace("process.restart", "rm.all"), "there is no action rm.all"),
        (LESSON + "sucesses = 1\n", ": did you mean successes?"),
        ("cooldown_ms = -5\n", "cooldown_ms is -5, and must be a number from 0"),
        ("risk_weight = nan\n", "risk_weight is nan"),
        ("cooldown_factor = 0.5\n", "must be at least 1"),
        ("exploration_rate = 1.5\n", "must be at most 1"),
        (SERVICE + SERVICE, "service api is there 2 times"),
        (SERVICE + 'type = "vm"\n', "type 'vm' is none of process, systemd"),
        (SERVICE + 'mode = "yolo"\n', "mode 'yolo' is none of observe, approve, auto"),
        (SERVICE + 'depends_on = ["db"]\n', "depends on 'db', which is not in the file"),
        (SERVICE + 'mode = "auto"\n', "needs argv and pid_file"),
        (SERVICE + 'mode = "auto"\ntype = "http"\n', "needs base_url"),
        (SERVICE + 'probes = [{kind = "smell"}]\n', "probe kind 'smell'"),
        ('[[services]]\nname = ""\nhost = "a"\n', "name and host must not be empty"),
        (SERVICE + ZONE + ZONE, "the zone of host berlin-* is there 2 times"),
        (SERVICE + ZONE + 'topic = "logs"\n', "zone 'Europe/Berlin': give exactly one of service, host and topic"),
        ('[[zones]]\nzone = "UTC"\n', "zone 'UTC': give exactly one of service, host and topic"),
        ('[[zones]]\nhost = "a"\nzone = "Europe/Berlim"\n', "zone 'Europe/Berlim' is not known"),
        ('[[zones]]\nhost = "a"\nzone = "../etc/passwd"\n', "zone '../etc/passwd' is not known"),
        ('[[zones]]\nhost = "a"\nzone = "Europe"\n', "zone 'Europe' is not known"),
        ('[[zones]]\nhost = "a"\nzone = ""\n', "zone '' is not known"),
        (ZONE + 'hst = "a"\n', "unknown field `hst` - at `$.zones[0]`: did you mean host?"),
        (RULE + RULE, "rule x is there 2 times"),
        (RULE + "x = 1\n", "unknown field `x`"),
        (f"# {'x' * files.FILE_BYTES_MAX}\ncooldown_ms = 5\n", "split the fleet"),
    ],
)
def test_a_mistake_is_named_with_its_file(tmp_path: Path, text: str, fault: str) -> None:
    """One error of one line says which file and what is wrong with it."""
    path = tmp_path / "file.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"file\.toml: ") as caught:
        files.read(path)
    assert fault in str(caught.value)


def test_what_is_applied_decodes_to_what_was_read() -> None:
    """The event carries the canonical bytes and their hash, so the fold reads the very same value."""
    value = Inventory(services=(ServiceSpec(name="api", host="a", environment={"B": "2", "A": "1"}),))
    event = files.applied(value, "ada")
    assert (event.kind, event.author) == ("inventory", "ada")
    assert config.decode_config(event) == value


def test_differences_are_named_down_to_the_field() -> None:
    """Services are compared by their name: one more, one less, one changed in one field."""
    before = Inventory(services=(ServiceSpec(name="api", host="a"), ServiceSpec(name="old", host="a")))
    after = Inventory(services=(ServiceSpec(name="new", host="b"), ServiceSpec(name="api", host="a", mode="auto")))
    found = {what: (old is None, new is None) for what, old, new in files.differences(before, after)}
    assert found == {"api.mode": (False, False), "new": (True, False), "old": (False, True)}


def test_zones_are_compared_by_their_source() -> None:
    """A zone that is new, gone or another is a difference that names whose it is."""
    before = Inventory(zones=(ZoneSpec(host="a", zone="UTC"), ZoneSpec(topic="logs", zone="UTC")))
    after = Inventory(zones=(ZoneSpec(host="a", zone="Asia/Tokyo"), ZoneSpec(service="api", zone="UTC")))
    assert files.differences(before, after) == [
        ("zone of host a", "UTC", "Asia/Tokyo"),
        ("zone of service api", None, "UTC"),
        ("zone of topic logs", "UTC", None),
    ]


def test_equal_configurations_have_no_differences() -> None:
    """The order of services in a file means nothing."""
    one, two = ServiceSpec(name="one", host="a"), ServiceSpec(name="two", host="a")
    assert files.differences(Inventory(services=(one, two)), Inventory(services=(two, one))) == []
