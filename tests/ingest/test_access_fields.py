"""Requests whose method, path and status stand in fields of a JSON object."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from streams.ingest import matcher
from streams.ingest.classifying import Classifier
from tests.ingest.given import Given, cut, json, only

CLASSIFIER = Classifier(matcher.shipped())
ATTACKS = ("/index.php?id=1+UNION+SELECT+1,2--+", "/../../../../etc/passwd", "/.env", "/?q=<script>alert(1)</script>")

Make = Callable[[str, int], bytes]


def caddy(uri: str, status: int) -> bytes:
    """Return a line of Caddy's access log."""
    request: dict[str, object] = {
        "remote_ip": "10.0.0.4",
        "proto": "HTTP/2.0",
        "method": "GET",
        "host": "shop",
        "uri": uri,
    }
    request |= {"headers": {"User-Agent": ["curl/8.5.0"], "Accept": ["*/*"]}}
    level = "error" if status >= 500 else "info"
    said = {"logger": "http.log.access.log0", "msg": "handled request", "bytes_read": 0, "duration": 0.003}
    return json(level=level, ts=1767300000.25, request=request, status=status, **said)


def traefik(uri: str, status: int) -> bytes:
    """Return a line of Traefik's access log."""
    said = {"ClientAddr": "10.0.0.4:51022", "DownstreamContentSize": 12, "Duration": 21000, "RequestMethod": "GET"}
    said |= {"RequestHost": "shop", "ServiceName": "shop@docker", "request_User-Agent": "curl/8.5.0", "level": "info"}
    return json(
        **said, RequestPath=uri, DownstreamStatus=status, OriginStatus=status, msg="", time="2024-02-01T10:00:00Z"
    )


def nginx(uri: str, status: int) -> bytes:
    """Return a line of nginx with a log_format of JSON, whose numbers are texts."""
    said = {
        "remote_addr": "10.0.0.4",
        "request_method": "GET",
        "request_time": "0.003",
        "http_user_agent": "curl/8.5.0",
    }
    return json(time_iso8601="2024-02-01T10:00:00+00:00", request_uri=uri, status=str(status), **said)


def nginx_whole(uri: str, status: int) -> bytes:
    """Return a line of nginx whose request line is one field."""
    return json(time="2024-02-01T10:00:00Z", request=f"GET {uri} HTTP/1.1", status=status, body_bytes_sent="12")


def envoy(uri: str, status: int) -> bytes:
    """Return a line of Envoy's or Istio's access log."""
    said = {"method": "GET", "protocol": "HTTP/1.1", "response_flags": "-", "authority": "shop", "duration": 3}
    return json(start_time="2024-02-01T10:00:00Z", path=uri, response_code=status, user_agent="curl/8.5.0", **said)


def pino(uri: str, status: int) -> bytes:
    """Return a line of pino-http."""
    req = {"id": 1, "method": "GET", "url": uri, "headers": {"user-agent": "curl/8.5.0"}}
    return json(
        level=30, time=1767300000250, msg="request completed", req=req, res={"statusCode": status}, responseTime=3
    )


def google(uri: str, status: int) -> bytes:
    """Return a line of Google Cloud's load balancer."""
    asked = {"requestMethod": "GET", "requestUrl": f"https://shop.example{uri}", "status": status}
    return json(httpRequest=asked, severity="INFO", timestamp="2024-02-01T10:00:00Z")


def ecs(uri: str, status: int) -> bytes:
    """Return a line in Elastic's schema."""
    http = {"request": {"method": "GET"}, "response": {"status_code": status}}
    path, _, query = uri.partition("?")
    return json(**{"@timestamp": "2024-02-01T10:00:00Z", "http": http, "url": {"path": path, "query": query}})


makes = pytest.mark.parametrize("make", [caddy, traefik, nginx, nginx_whole, envoy, pino, google, ecs])


def pattern(line: bytes) -> str:
    """Return the pattern of a line by itself."""
    return CLASSIFIER.classify(line).pattern


@makes
def test_5xx(make: Make) -> None:
    """A request that failed on the server's side is service_unavailable."""
    assert [pattern(make("/api/orders?page=2", status)) for status in (500, 502, 503)] == ["service_unavailable"] * 3


@makes
def test_attacks(make: Make) -> None:
    """What is asked for is looked at as in an access log, whatever was answered."""
    assert {pattern(make(uri, status)) for uri in ATTACKS for status in (200, 404)} == {"security_intrusion"}


@makes
def test_4xx(make: Make) -> None:
    """A request that was refused is nothing, whatever its path is called; so is one that was served."""
    paths = ("/orders/502", "/docs/connection-refused", "/health?timeout=30s", "/no/such/page")
    assert {pattern(make(uri, status)) for uri in paths for status in (200, 301, 401, 403, 404, 429)} == {""}


@makes
def test_probes(make: Make) -> None:
    """A page that scanners look for and that is not there is a scan, as in an access log; one that is there is none."""
    assert [pattern(make("/wp-login.php", status)) for status in (404, 200)] == ["security_intrusion", ""]


@pytest.mark.parametrize("status", [404, 500])
def test_a_cause_is_more_than_a_status(status: int) -> None:
    """An error that tells its cause is named for that, not for the status that the client got."""
    text = "dial tcp 10.0.0.9:8080: connect: connection refused"
    request = {"method": "GET", "uri": "/api"}
    assert pattern(json(level="error", logger="http.log.error", msg=text, request=request, status=status)) == (
        "connection_refused"
    )


def test_an_error_without_a_cause_has_its_status() -> None:
    """An error that says no more than that there was one is named for its status."""
    assert pattern(json(level="error", msg="request errored", path="/api", status=502)) == "service_unavailable"


@pytest.mark.parametrize(
    "line",
    [
        json(status=502, path="shop/api", message="task finished"),
        json(status="running", path="/srv/shop", message="task finished"),
        json(status=0, response_code="-", path="/api", message="client went away"),
        json(status=[502], path={"a": 1}, message="task finished"),
        json(status=99999, request="GET", message="task finished"),
    ],
)
def test_no_request(line: bytes) -> None:
    """What has fields of these names and no request in them is a line like any other."""
    assert pattern(line) == ""


def test_a_scanner_names_itself() -> None:
    """The user agent is looked at as in an access log."""
    request = {"method": "GET", "uri": "/", "headers": {"User-Agent": ["sqlmap/1.8"]}}
    assert pattern(json(level="info", msg="handled request", request=request, status=200)) == "security_intrusion"


def test_evidence_shows_the_request() -> None:
    """Beside the text that is the same for all requests, evidence has method, path and status; secrets are out."""
    found = cut(Given(caddy('/pay "now"?token=9f8a7b6c5d4e3f2a1b0c', 503)))
    (detection,) = only(found).detections
    assert (detection.pattern, detection.service) == ("service_unavailable", "http.log.access.log0")
    (evidence,) = found.evidence
    text = msgspec.json.encode(evidence).decode()
    assert "handled request" in text
    assert "/pay%20%22now%22?token=" in text
    assert "503" in text
    assert "9f8a7b6c5d4e3f2a1b0c" not in text
