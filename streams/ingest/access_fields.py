"""Requests that producers log as fields: Caddy, Traefik, Envoy, nginx in JSON, and applications like them.

Method, path and status stand in fields of their own there, under a text that is the same for all requests, or under
none. They are put into words as access logs have them, so that the rules for access logs hold for these as well.
"""

from __future__ import annotations

import re
from typing import Any, Final

from msgspec import Struct

Path = tuple[str, ...]
"""The keys that lead to a field, outermost first."""

_URIS: Final[tuple[Path, ...]] = (
    *(("request", "uri"), ("request", "url"), ("request", "path"), ("req", "url"), ("httpRequest", "requestUrl")),
    *(("url", "original"), ("url", "path"), ("http", "path"), ("http", "url")),
    *(("request_uri",), ("RequestPath",), ("requestUri",), ("url.original",), ("url.path",), ("http.target",)),
    *(("http.url",), ("http_uri",), ("url_path",), ("requestUrl",), ("originalUrl",), ("cs-uri-stem",), ("uri",)),
    *(("path",), ("url",)),
)
_STATUSES: Final[tuple[Path, ...]] = (
    *(("response", "status"), ("response", "status_code"), ("res", "statusCode"), ("httpRequest", "status")),
    *(("http", "response", "status_code"), ("http", "status_code"), ("http.response.status_code",)),
    *(("http.status_code",), ("response_code",), ("DownstreamStatus",), ("OriginStatus",), ("status_code",)),
    *(("statusCode",), ("StatusCode",), ("http_status",), ("response_status",), ("sc-status",), ("status",)),
)
_METHODS: Final[tuple[Path, ...]] = (
    *(("request", "method"), ("req", "method"), ("httpRequest", "requestMethod"), ("http", "request", "method")),
    *(("http", "method"), ("http.request.method",), ("http.method",), ("request_method",), ("RequestMethod",)),
    *(("http_method",), ("httpMethod",), ("requestMethod",), ("cs-method",), ("method",)),
)
_QUERIES: Final[tuple[Path, ...]] = (
    *(("url", "query"), ("url.query",), ("query_string",), ("QueryString",), ("cs-uri-query",), ("args",), ("query",)),
)
_AGENTS: Final[tuple[Path, ...]] = (
    *(("request", "headers", "User-Agent"), ("req", "headers", "user-agent"), ("httpRequest", "userAgent")),
    *(("user_agent", "original"), ("user_agent.original",), ("http_user_agent",), ("user_agent",)),
    *(("request_User-Agent",), ("UserAgent",), ("cs(User-Agent)",)),
)
_WHOLE: Final[Path] = ("request",)
"""nginx' ``$request``: ``GET /path HTTP/1.1``."""
_REQUEST: Final = re.compile(r"(?P<method>[A-Z]{3,10}) (?P<uri>\S.*?)(?: HTTP/[\d.]+)?")
_URI: Final = re.compile(r"/|https?://|\*$")
_METHOD: Final = re.compile(r"[A-Z]{3,10}")
URI_MAX: Final = 2048
AGENT_MAX: Final = 512
_IN_QUOTES: Final = str.maketrans({'"': "%22", " ": "%20", "\n": "%0A", "\r": "%0D", "\t": "%09"})


class Fields(Struct, frozen=True):
    """Which fields of a shape of object may tell of a request, in the order in which they are asked."""

    uris: tuple[Path, ...]
    statuses: tuple[Path, ...]
    methods: tuple[Path, ...]
    queries: tuple[Path, ...]
    agents: tuple[Path, ...]


def fields_of(present: frozenset[str]) -> Fields | None:
    """Return the fields of a shape of object that may tell of a request; None when it has no path or no status."""
    uris, statuses, methods, queries, agents = (
        tuple(path for path in paths if path[0] in present)
        for paths in ((_WHOLE, *_URIS), _STATUSES, _METHODS, _QUERIES, _AGENTS)
    )
    if not uris or not statuses:
        return None
    return Fields(uris=uris, statuses=statuses, methods=methods, queries=queries, agents=agents)


def words_of(found: dict[str, Any], fields: Fields, *, told: bool, cause: bool) -> str:
    """Return a request as access logs write it, ``""`` when the object tells of none.

    ``told`` says that the object itself tells of trouble: then a status below 500 must not make that harmless, as it
    does in an access log. With ``cause`` it says why, which is more than a status, so that one is left out.
    """
    method, uri = _asked(found, fields)
    if not uri:
        return ""
    query = _text(found, fields.queries)
    if query and "?" not in uri:
        uri = f"{uri}?{query.lstrip('?')}"
    status = "" if cause else _status(found, fields.statuses)
    request = f"{method} {uri[:URI_MAX].translate(_IN_QUOTES)} HTTP/1.1"
    agent = _text(found, fields.agents)[:AGENT_MAX].replace('"', "%22")
    words = f'" {request}"' if told or not status else f'"{request}"'
    words = f"{words} {status} -" if status else words
    return f'{words} "-" "{agent}"' if agent else words


def _asked(found: dict[str, Any], fields: Fields) -> tuple[str, str]:
    """Return (method, path) of a request; GET where no method is said, ``""`` for the path of no request."""
    for path in fields.uris:
        value = _at(found, path)
        if type(value) is not str:
            continue
        if path == _WHOLE and (request := _REQUEST.fullmatch(value[: 2 * URI_MAX])):
            return request["method"], request["uri"]
        if _URI.match(value):
            method = _text(found, fields.methods)
            return (method if _METHOD.fullmatch(method) else "GET"), value
    return "", ""


def _status(found: dict[str, Any], paths: tuple[Path, ...]) -> str:
    """Return a status of HTTP, ``""`` when no field holds one: that of a connection that was cut is 0 or ``-``."""
    for path in paths:
        value = _at(found, path)
        if type(value) in {int, str}:
            status = str(value)
            if len(status) == 3 and status.isdecimal() and "100" <= status <= "599":
                return status
    return ""


def _text(found: dict[str, Any], paths: tuple[Path, ...]) -> str:
    for path in paths:
        value = _at(found, path)
        if type(value) is list and value:
            value = value[0]
        if type(value) is str and value not in {"", "-"}:
            return value
    return ""


def _at(found: dict[str, Any], path: Path) -> object:
    value: object = found
    for key in path:
        if type(value) is not dict:
            return None
        value = value.get(key)
    return value
