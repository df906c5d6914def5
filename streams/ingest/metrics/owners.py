"""Whose a data point is: service and host by its labels and those of its resource, else as for lines of a record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from streams.ingest import identity
from streams.ingest.metrics.points import Point
from streams.ingest.sniffing import Fallbacks
from streams.ports import Record

SERVICE_LABELS: Final[tuple[tuple[str, Callable[[str], str]], ...]] = (
    ("service_name", identity.declared),
    ("app_kubernetes_io_name", identity.declared),
    ("label_app_kubernetes_io_name", identity.declared),
    ("k8s_deployment_name", identity.declared),
    ("k8s_statefulset_name", identity.declared),
    ("k8s_daemonset_name", identity.declared),
    ("k8s_container_name", identity.derived),
    ("container_label_com_docker_compose_service", identity.declared),
    ("container", identity.derived),
    ("container_name", identity.derived),
    ("service", identity.declared),
    ("app", identity.declared),
    ("application", identity.declared),
    ("job", identity.declared),
    ("k8s_pod_name", identity.derived),
    ("pod", identity.derived),
)
"""Labels that name a service, and whether a person or a machine made the name; the first that is there counts."""
HOST_LABELS: Final = ("host_name", "k8s_node_name", "nodename", "node", "host", "hostname", "instance")


class Owners:
    """Names services and hosts; remembers what records without a name are, which changes its speed only."""

    def __init__(self) -> None:
        self._fallbacks: Final = Fallbacks()

    def of(self, record: Record, point: Point) -> tuple[str, str]:
        """Return (service, host) of a record's point; the host is ``""`` when nothing names it."""
        labels = point.labels
        for label, tidy in SERVICE_LABELS:
            if label in labels and (service := tidy(labels[label])):
                return service, _host(labels) or self._fallbacks.host(record)
        return self._fallbacks.service(record)[0], _host(labels) or self._fallbacks.host(record)


def _host(labels: dict[str, str]) -> str:
    for label in HOST_LABELS:
        host = labels.get(label, "")
        if label == "instance":
            host = _without_port(host)
        if host:
            return host[: identity.NAME_MAX]
    return ""


def _without_port(instance: str) -> str:
    """Return the host of ``host:9100``, ``[::1]:9100`` or ``http://host:80/health``."""
    authority = instance.partition("://")[2].partition("/")[0] if "://" in instance else instance
    host, colon, port = authority.rpartition(":")
    return host.strip("[]") if colon and port.isdigit() else authority
