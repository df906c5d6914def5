from __future__ import annotations

import tracemalloc

import pytest

from streams.ingest import identity, service_fields
from streams.ingest.redact import holds_secret
from tests.ingest.given import Given, cut, json, only

REFUSED = "connect() failed (111: Connection refused)"

DECLARED = [
    ("web-01", "web-01"),
    ("redis-6", "redis-6"),
    ("http2", "http2"),
    ("s3", "s3"),
    ("x86-64", "x86-64"),
    ("app-v2", "app-v2"),
    ("python3.11", "python3.11"),
    ("postgres-0", "postgres-0"),
    ("celery@worker1", "celery@worker1"),
    ("@shop/api", "@shop/api"),
    ("gateway-https", "gateway-https"),
    ("com.shop.pay.OrderService", "com.shop.pay.OrderService"),
    ("com.shop.Outer$Inner", "com.shop.Outer$Inner"),
    ("Microsoft-Windows-Security-Auditing", "Microsoft-Windows-Security-Auditing"),
    ("checkout-7d4b9c6f5d-x2x9k", "checkout"),
    ("shop.db.pool", "shop.db.pool"),
    ("zahlung für übersee", "zahlung für übersee"),
    ("nginx[33]", "nginx"),
    ("  pay\n", "pay"),
    ("x" * 500, "x" * identity.NAME_MAX),
]


@pytest.mark.parametrize(("name", "wanted"), DECLARED)
def test_declared(name: str, wanted: str) -> None:
    """A name from a service field is kept, but for a pod's hash and a process id."""
    assert identity.declared(name) == wanted


DERIVED = [
    ("neutron-l3-agent[1825155]", "neutron-l3-agent"),
    ("sudo(77)", "sudo"),
    ("mongod.37017[17873]", "mongod"),
    ("osd.12", "osd"),
    ("nova-compute/0", "nova-compute"),
    ("app:8080", "app"),
    ("postgres-0", "postgres"),
    ("kafka-broker-2", "kafka-broker"),
    ("web-01", "web"),
    ("/shop-web-1", "shop-web"),
    ("shop_web_1", "shop_web"),
    ("shop-web-run-1-2", "shop-web-run"),
    ("shop_web.1.k3j2h1g0f9d8s7a6q5w4e3r2t", "shop_web"),
    ("web-7d4b9c6f5d-x2x9k", "web"),
    ("backup-28456780-x2x9k", "backup"),
    ("ecs-shop-7-web-a1b2c3d4e5f6a7b8c900", "ecs-shop-7-web"),
    ("worker-2f1c7a54-3c1f-4a7e-9b44-0d9a5c3e21aa", "worker"),
    ("ceph-osd@3.service", "ceph-osd"),
    ("postgresql@14-main.service", "postgresql"),
    ("user@1000.service", "user"),
    ("session-3.scope", "session"),
    ("logrotate.timer", "logrotate"),
    ("celery@worker1.example.com", "celery"),
    ("@shop/api", "@shop/api"),
    ("postfix/smtpd", "postfix/smtpd"),
    ("http2", "http2"),
    ("s3", "s3"),
    ("x86-64", "x86-64"),
    ("app-v2", "app-v2"),
    ("python3.11", "python3.11"),
    ("php-fpm7.4", "php-fpm7.4"),
    ("kubelet-1.29", "kubelet-1.29"),
    ("ip-10-0-0-1", "ip-10-0-0-1"),
    ("gateway-https", "gateway-https"),
    ("csi-nfsv4", "csi-nfsv4"),
    ("dhclient-eth0", "dhclient-eth0"),
    ("kube-apiserver", "kube-apiserver"),
    ("7", "7"),
]


@pytest.mark.parametrize(("name", "wanted"), DERIVED)
def test_derived(name: str, wanted: str) -> None:
    """A name that a machine made loses what changes with every start, and never becomes empty."""
    assert identity.derived(name) == wanted


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("web-7d4b9c6f5d-x2x9k", "web"),
        ("fluent-bit-x2x9k", "fluent-bit"),
        ("fluent-bit-bcdfg", "fluent-bit"),
        ("postgres-0", "postgres"),
        ("migrate-zx9vn", "migrate"),
        ("etcd-node1", "etcd-node1"),
    ],
)
def test_of_pod(name: str, wanted: str) -> None:
    """A pod's name without what its deployment, daemon set, stateful set or job adds."""
    assert identity.of_pod(name) == wanted


FILES = [
    ("/var/log/nova/nova-api.log.1", "nova-api"),
    ("C:\\logs\\pay.log", "pay"),
    ("C:\\inetpub\\logs\\LogFiles\\W3SVC1\\u_ex240201.log", "W3SVC1"),
    ("app.log-20240101", "app"),
    ("app-2024-02-01.log", "app"),
    ("app.2024-02-01.3.log.gz", "app"),
    ("app_20240201T1000.log.zst", "app"),
    ("localhost_access_log.2024-02-01.txt", "localhost_access_log"),
    ("syslog", "syslog"),
    ("/var/log/pay-2.log.1", "pay"),
    ("/var/log/nginx/access.log", "nginx"),
    ("/var/log/apache2/error.log.1", "apache2"),
    ("/srv/shop/logs/stdout", "shop"),
    ("/etc/service/worker/log/current", "worker"),
    ("/access.log", ""),
    ("C:\\access.log", ""),
    (f"/var/log/containers/web-7d4b9c6f5d-x2x9k_shop_nginx-{'0a' * 32}.log", "nginx"),
    ("/var/log/pods/shop_web-7d4b9c6f5d-x2x9k_2f1c7a54-3c1f-4a7e-9b44-0d9a5c3e21aa/nginx/0.log", "nginx"),
    (f"/var/lib/docker/containers/{'0a' * 32}/{'0a' * 32}-json.log", ""),
]


@pytest.mark.parametrize(("path", "wanted"), FILES)
def test_of_file(path: str, wanted: str) -> None:
    """A log file's stem is its name without directory, ending and rotation; a container's path has its name."""
    assert identity.of_file(path) == wanted


KEYS = [
    (b"shop-api", "shop-api"),
    (b'"shop-api"', "shop-api"),
    (b"shop-api-7d4b9c6f5d-x2x9k", "shop-api"),
    (b"9f8e7d6c-1111-2222-3333-444455556666", ""),
    (b"12345", ""),
    (b"10.0.0.1", ""),
    (b"10.0.0.1:514", ""),
    (b"2001:db8::1", ""),
    (b"01HQ3V7Z9K2M4N6P8R0S2T4V6W", ""),
    (b'{"id":1}', ""),
    (b"dGVzdA==", ""),
    (b"\xff\x00", ""),
    (b"a\nb", ""),
]


@pytest.mark.parametrize(("key", "wanted"), KEYS)
def test_of_key(key: bytes, wanted: str) -> None:
    """A record's key names a service only when it reads like a name: ids, addresses and encoded values are none."""
    assert identity.of_key(key) == wanted


def test_names_of_a_megabyte_are_not_kept() -> None:
    """A thousand different ones cost no memory after they were read, wherever they are said."""
    tracemalloc.start()
    try:
        for number in range(1_000):
            long = f"shop-{number}" + "x" * 100_000
            assert identity.declared(long) == identity.derived(long) == identity.of_pod(long) == long[:120]
            assert identity.of_file(f"/{long}/pay-{number}.log") == "pay"
            assert identity.of_key(long.encode()) == ""
        assert tracemalloc.get_traced_memory()[0] < 10_000_000
    finally:
        tracemalloc.stop()


Fields = dict[str, object]
OTEL: Fields = {"resource": {"attributes": {"service.name": "by-otel"}}}
ECS: Fields = {"service": {"name": "by-ecs"}}
KUBERNETES: Fields = {"kubernetes": {"labels": {"app": "by-label"}, "container_name": "by-container"}}
CONTAINER: Fields = {"kubernetes": {"container_name": "by-container", "pod_name": "web-7d4b9c6f5d-x2x9k"}}
POD: Fields = {"kubernetes": {"pod_name": "by-pod-x2x9k"}}
SYSLOG: Fields = {"appname": "by-syslog"}
FILE: Fields = {"file": "/srv/by-file.log"}
HEADERS = (("service", b"by-header"),)

PRECEDENCE: dict[str, tuple[Fields, tuple[str, str]]] = {
    "OTel before ECS": (OTEL | {"service.name": "by-ecs"}, ("by-otel", "otel")),
    "ECS before Kubernetes": (ECS | KUBERNETES, ("by-ecs", "ecs")),
    "ECS as one key before Kubernetes": ({"service.name": "by-ecs"} | KUBERNETES, ("by-ecs", "ecs")),
    "label before container": (KUBERNETES, ("by-label", "kubernetes")),
    "container before pod": (CONTAINER, ("by-container", "kubernetes")),
    "pod": (POD, ("by-pod", "kubernetes")),
    "Kubernetes before a service field": (CONTAINER | {"service": "by-json"}, ("by-container", "kubernetes")),
    "service before app": ({"app": "by-app", "service": "by-json"}, ("by-json", "json")),
    "app before logger": ({"logger": "by-logger", "app": "by-app"}, ("by-app", "json")),
    "logger before syslog": (SYSLOG | {"logger": "by-logger"}, ("by-logger", "json")),
    "syslog before header": (SYSLOG, ("by-syslog", "syslog")),
    "a syslog line before header": ({"message": f"Feb  1 10:00:00 h by-tag[7]: {REFUSED}"}, ("by-tag", "syslog")),
    "a syslog line before its file": (
        {"file": "/var/log/syslog", "message": f"Feb  1 10:00:00 h by-tag[7]: {REFUSED}"},
        ("by-tag", "syslog"),
    ),
    "header before file": (FILE, ("by-header", "header")),
}


@pytest.mark.parametrize("name", PRECEDENCE)
def test_precedence(name: str) -> None:
    """Of several things that name the service the first counts, in the order that the documentation gives."""
    fields, wanted = PRECEDENCE[name]
    (found,) = only(cut(Given(json(**({"message": REFUSED} | fields)), key=b"by-key", headers=HEADERS))).detections
    assert (found.service, found.service_rule) == wanted


WITHOUT_HEADER: dict[str, tuple[Fields, tuple[str, str]]] = {
    "file before key": (FILE, ("by-file", "file")),
    "a file of Windows": ({"log.file.path": "C:\\logs\\by-file.log"}, ("by-file", "file")),
    "a place in source code is no log file": ({"file": "/srv/app/views.py"}, ("by-key", "key")),
    "the path of a request is no log file": ({"path": "/api/v1/orders"}, ("by-key", "key")),
    "a path to a log file is one": ({"path": "/var/log/by-file.log"}, ("by-file", "file")),
    "a file whose name says nothing": ({"file": f"/containers/{'0a' * 32}/{'0a' * 32}-json.log"}, ("by-key", "key")),
    "what Kubernetes says of it before what the application says": (
        CONTAINER | {"log": json(service="by-json", message=REFUSED).decode()},
        ("by-container", "kubernetes"),
    ),
    "what the application says before its file": (
        FILE | {"log": json(service="by-json", message=REFUSED).decode()},
        ("by-json", "json"),
    ),
}


@pytest.mark.parametrize("name", WITHOUT_HEADER)
def test_fallbacks(name: str) -> None:
    """Files name a service when they are logs and have a name; what wraps a line and the line itself are compared."""
    fields, wanted = WITHOUT_HEADER[name]
    line: Fields = fields if "log" in fields else {"message": REFUSED} | fields
    (found,) = only(cut(Given(json(**line), key=b"by-key"))).detections
    assert (found.service, found.service_rule) == wanted


def test_a_header_that_names_a_nameless_file() -> None:
    """A file header whose file has no name of its own leaves the service to the record's key."""
    given = Given(REFUSED.encode(), key=b"by-key", headers=(("file", b"/access.log"),))
    (found,) = only(cut(given)).detections
    assert (found.service, found.service_rule) == ("by-key", "key")


MANY_NAMES = ("service_name", "app", "application", "logger", "SourceName", "appname", "programname", "ident", "_COMM")
LABELS = ("app.kubernetes.io/name", "app_kubernetes_io/name", "app", "k8s-app", "component")
FULL_OF_SECRETS: dict[str, Fields] = {
    "fields": {name: f"postgres://kim:hunter2!7@fields/{name}" for name in MANY_NAMES},
    "labels": {"kubernetes": {"labels": {name: f"postgres://kim:hunter2!7@labels/{name}" for name in LABELS}}},
}


@pytest.mark.parametrize("name", FULL_OF_SECRETS)
def test_refused_names_are_few(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many fields of a line hold secrets, only a few are looked at; then the key names the service."""
    looked: list[str] = []

    def counted(text: str) -> bool:
        looked.append(text)
        return holds_secret(text)

    monkeypatch.setattr("streams.ingest.identity.holds_secret", counted)
    (found,) = only(cut(Given(json(message=REFUSED, **FULL_OF_SECRETS[name]), key=b"by-key"))).detections
    assert (found.service, found.service_rule) == ("by-key", "key")
    assert len([text for text in looked if "://" in text]) <= service_fields.REFUSED_MAX


def test_a_few_refused_names_hide_none() -> None:
    """A field that names the service counts when those before it hold secrets."""
    given = json(
        message=REFUSED, service_name="postgres://kim:hunter2!7@one/", app="redis://:s3cr3t!9@two/", ident="pay"
    )
    assert only(cut(Given(given, key=b"by-key"))).detections[0].service == "pay"
