"""What is measured of a service: counters become rates, and one rule at a time speaks for a metric."""

from __future__ import annotations

from typing import Any

import pytest

from streams.catalogue import strategies
from streams.core.events import Sample
from streams.core.vitals import LINES, PROBES, SERIES_MAX, STALE_MS, Counter, Flow, Vital


def total(metric: str, at_ms: int, last: float, *, series: str = "rule#a", host: str = "h1", **fields: Any) -> Sample:
    """Return a sample of a counter that stands at ``last``."""
    values: dict[str, Any] = {"kind": "total", "count": 1, "sum": last, "min": last, "max": last}
    return Sample(at_ms=at_ms, service="api", host=host, metric=metric, series=series, last=last, **(values | fields))


def delta(metric: str, at_ms: int, grown: float) -> Sample:
    """Return a sample of a growth."""
    return total(metric, at_ms, grown, series="rule", kind="delta")


def flowing(vital: Vital, metric: str) -> float | None:
    """Return what the counters make of a metric now, by the shipped table."""
    vital.flow(metric, "rule", strategies().health.metrics[metric])
    track = vital.tracks.get(metric)
    return track.last if track else None


def counted(*samples: Sample) -> Vital:
    """Return a vital that has heard samples of counters."""
    vital = Vital()
    for sample in samples:
        vital.count(sample, "rule", 100)
    return vital


def test_one_total_says_nothing() -> None:
    """A counter that was seen once has no rate: nobody knows since when it counts."""
    assert flowing(counted(total("throughput", 0, 5_000.0)), "throughput") is None


def test_totals_become_a_rate() -> None:
    """Growth by 300 in ten seconds is 30 a second, whatever the counter stood at."""
    assert flowing(counted(total("throughput", 0, 5_000.0), total("throughput", 10_000, 5_300.0)), "throughput") == 30.0


def test_series_and_hosts_add_up() -> None:
    """Rates of different series and hosts are added, each differenced by itself."""
    vital = counted(
        total("throughput", 0, 0.0),
        total("throughput", 0, 1e6, series="rule#b"),
        total("throughput", 0, 500.0, host="h2"),
        total("throughput", 10_000, 100.0),
        total("throughput", 10_000, 1e6 + 200.0, series="rule#b"),
        total("throughput", 10_000, 800.0, host="h2"),
    )
    assert flowing(vital, "throughput") == pytest.approx(60.0)


def test_processors_are_averaged() -> None:
    """A host with one busy core of four is busy by a quarter, however many counters it has."""
    cores = [
        total("cpu", at_ms, at_ms / 10 * (core == 0), series=f"rule#{core}")
        for at_ms in (0, 10_000)
        for core in range(4)
    ]
    assert flowing(counted(*cores), "cpu") == 25.0


def test_a_counter_that_starts_anew_is_no_loss() -> None:
    """After a reset the rate stays what it was until the next difference is known."""
    vital = counted(total("throughput", 0, 0.0), total("throughput", 10_000, 100.0), total("throughput", 20_000, 7.0))
    assert flowing(vital, "throughput") == 10.0
    vital.count(total("throughput", 30_000, 57.0), "rule", 100)
    assert flowing(vital, "throughput") == 5.0


def test_a_counter_that_was_silent_begins_anew() -> None:
    """A difference over more than five minutes is no rate of now."""
    late_ms = 10_000 + STALE_MS + 1
    vital = counted(
        total("throughput", 0, 0.0), total("throughput", 10_000, 100.0), total("throughput", late_ms, 9_000.0)
    )
    assert flowing(vital, "throughput") is None


def test_late_totals_change_nothing() -> None:
    """A total that is older than the newest is not differenced."""
    vital = counted(total("throughput", 0, 0.0), total("throughput", 20_000, 200.0), total("throughput", 10_000, 90.0))
    vital.count(total("throughput", 30_000, 400.0), "rule", 100)
    assert flowing(vital, "throughput") == 20.0


def test_totals_of_one_second_in_two_slices() -> None:
    """The same second twice continues the interval and does not begin another."""
    vital = counted(total("throughput", 0, 0.0), total("throughput", 10_000, 50.0), total("throughput", 10_000, 100.0))
    assert flowing(vital, "throughput") == 10.0


def test_deltas_become_a_rate() -> None:
    """A growth is divided by the time since the one before it; those of one second are added."""
    vital = counted(delta("network", 0, 9.0), delta("network", 10_000, 100.0), delta("network", 10_000, 50.0))
    assert flowing(vital, "network") == 15.0


def test_errors_are_a_share_of_throughput() -> None:
    """Totals of errors, which grow by 100 an error, are divided by the requests of the same rule; 100 % is the most."""
    vital = counted(
        total("throughput", 0, 0.0),
        total("error_rate", 0, 0.0),
        total("throughput", 10_000, 200.0),
        total("error_rate", 10_000, 1_000.0),
    )
    vital.count(total("throughput", 10_000, 1.0, series="other#a"), "other", 100)
    assert flowing(vital, "error_rate") == 5.0
    vital.count(total("error_rate", 20_000, 1e6), "rule", 100)
    assert flowing(vital, "error_rate") == 100.0


def test_a_share_of_nothing_is_not_known() -> None:
    """Without requests there is no share of errors."""
    vital = counted(
        total("throughput", 0, 0.0),
        total("error_rate", 0, 0.0),
        total("throughput", 10_000, 0.0),
        total("error_rate", 10_000, 0.0),
    )
    assert flowing(vital, "error_rate") is None


def test_too_many_counters_make_a_metric_unknown() -> None:
    """A sum that lacks counters for want of room is not told, until there is room."""
    vital = Vital()
    for at_ms in (0, 10_000):
        for number in range(SERIES_MAX + 1):
            vital.count(total("cpu", at_ms, at_ms / 100, series=f"rule#{number}"), "rule", SERIES_MAX + 1)
    assert flowing(vital, "cpu") is None
    assert sum(len(flow.counters) for flow in vital.flows.values()) == SERIES_MAX
    assert sum(flow.forget(10_000) for flow in vital.flows.values()) == 0
    assert sum(flow.forget(10_001) for flow in vital.flows.values()) == SERIES_MAX


def test_the_room_of_all_counts_too() -> None:
    """Where all services together have no room for another counter, none is taken."""
    vital = Vital()
    assert vital.count(total("cpu", 0, 1.0), "rule", 0) == 0
    assert flowing(vital, "cpu") is None


def test_two_rules_of_a_metric_are_not_mixed() -> None:
    """A second rule for a metric is not heard while the first one speaks."""
    vital = Vital(minute=0)
    vital.measure("memory", "jvm", 0, 40.0)
    vital.measure("memory", "container", 1_000, 90.0)
    assert vital.value("memory") == 40.0


def test_a_rule_that_falls_silent_gives_way() -> None:
    """After five minutes of silence another rule speaks for the metric, with a history of its own."""
    vital = Vital()
    vital.measure("memory", "jvm", 0, 40.0)
    vital.measure("memory", "container", STALE_MS + 1, 90.0)
    vital.minute = 5
    assert (vital.value("memory"), vital.rules["memory"], len(vital.tracks["memory"].minutes)) == (90.0, "container", 1)


def test_producers_come_before_stand_ins() -> None:
    """A share of error lines gives way at once to errors that a producer reports, and is not heard beside them."""
    vital = Vital(minute=0)
    vital.measure("error_rate", LINES, 0, 50.0)
    vital.measure("error_rate", "http_requests", 1_000, 2.0)
    vital.measure("error_rate", LINES, 2_000, 50.0)
    assert vital.value("error_rate") == 2.0
    vital.measure("availability", "up", 0, 100.0)
    vital.measure("availability", PROBES, 1_000, 0.0)
    assert vital.value("availability") == 100.0


def test_a_value_is_of_the_newest_minute_lately() -> None:
    """A metric is the mean or the largest of its newest minute, and not known once that is four minutes back."""
    vital = Vital(minute=3)
    for at_ms, value in ((0, 1.0), (1_000, 3.0)):
        vital.measure("disk", "df", at_ms, value)
    assert (vital.value("disk"), vital.value("disk", "max"), vital.value("cpu")) == (2.0, 3.0, None)
    vital.minute = 4
    assert vital.value("disk") is None


def test_rates_are_added_alike_everywhere() -> None:
    """The sum of a metric's series is rounded once, so no version of Python adds them up to something else."""
    flow = Flow({str(number): Counter(1_000, 0, 0.1, 0.1, 0.1) for number in range(10)})
    assert flow.per_second() == 1.0
    assert flow.per_second(adds=False) == 0.1


def test_absurd_totals_are_a_rate() -> None:
    """Counters that grow by more than a number can hold are clipped, and can still be added up."""
    flow = Flow()
    for name in ("a", "b", "c"):
        flow.counters[name] = Counter(0, 0, -1e308)
        flow.counters[name].hear(total("network", 1_000, 1e308))
    assert flow.per_second() == 3e15
