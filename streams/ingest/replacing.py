"""The same line from another system: every host, address, number, path and name replaced by one of its kind.

Shows whether rules hold on what a line says or on whose line it is (``logmend score lines FILE --replaced``). What
carries the meaning stays: words, error names and codes (errno, HTTP and exit status, SQLSTATE, signals), zeros and
hundreds of percent, class names, extensions of files, and what a request asks a web server for. A substitute depends
on the original alone, so equal names stay equal and every run gives the same lines.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Final

_WORDS: Final = (
    *("amber", "basil", "cedar", "delta", "ember", "fjord", "grove", "hazel", "indigo", "juniper", "koala", "lotus"),
    *("maple", "nectar", "olive", "pearl", "quartz", "raven", "sable", "tulip", "umber", "violet", "willow", "zephyr"),
)
_PRODUCTS: Final = {
    "postgres": "cockroach",
    "postgresql": "cockroachdb",
    "mysql": "tidb",
    "mariadb": "vitess",
    "mongodb": "ferretdb",
    "redis": "dragonfly",
    "cassandra": "scylla",
    "elasticsearch": "vespa",
    "nginx": "caddy",
    "rabbitmq": "activemq",
    "kafka": "pulsar",
    "etcd": "rqlite",
    "consul": "eureka",
    "patroni": "stolon",
    "docker": "garden",
    "ceph": "gluster",
    "openstack": "cloudstack",
    "neutron": "contrail",
    "nova": "apex",
    "juju": "salt",
    "haproxy": "pound",
    "couchbase": "aerospike",
    "solr": "sphinx",
    "tomcat": "glassfish",
    "supabase": "appwrite",
    "slurmdbd": "torqued",
}
"""Products by others of their kind, none of which a shipped rule names."""

_CODE_BEFORE: Final = re.compile(
    r"(?:errno|error|err|code|status|signal|sig|exit|exited|returned|rc|ret|sqlstate|http/\d\.\d\"|http/\d|http|code ="
    r"|type|ora|state|severity|level|lvl|hy000|errcode|reason|result|returned:?|died|v|version|tlsv?|sslv?)"
    r"[\s:=(\[\"'#]{0,4}-?$",
    re.IGNORECASE,
)
_CODE_AFTER: Final = re.compile(
    r"^(?:: [A-Z]|, ['\"]|\) *[A-Z]| ?%| ?\(HY\d|\.\d\.\d |-\w+ error)"
    r"|^ (?:Not Found|Forbidden|Unauthorized|Internal|Bad Gateway|Service|Gateway|Too Many|Server Error|Client Error)"
)
_STAMP: Final = re.compile(
    r"\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d\S*|\d\d:\d\d:\d\d\S*|\d\d/\w{3}/\d{4}:\S+(?: [+-]\d{4})?"
    r"|\b[A-Z][a-z]{2} +\d{1,2}\b|\b[IWEF]\d{4}\b|^\d{4}/\d\d/\d\d|\d{4}[-/]\d\d[-/]\d\d|\d\d-[A-Z][a-z]{2}-\d{4}"
)
_REQUEST: Final = re.compile(
    r"\"?(?:GET|POST|PUT|HEAD|DELETE|PATCH|OPTIONS|CONNECT) \S+(?: HTTP/\d(?:\.\d)?\"? ?\d{0,3})?"
    r"| [1-5]\d\d \d+ \d+ \d+$|(?:/[+\-]?\d+){4} [1-5]\d\d "
)
"""What a client asked for, and the status it got: Common Log Format, W3C's extended one, HAProxy's."""

_NAMED: Final = (
    "user|role|database|relation|table|schema|host|pod|container|service|namespace|image|queue|vhost|bucket|keyspace"
    "|topic|device|db"
)
_NO_HOSTS: Final = "ipv|sha|utf|http|ssl|tls|ext|raid|nfs|krb|base|int|uint|float|ldap|sigusr|amqp"


def _number(text: str) -> str:
    """Return another number with as many digits; it is never zero."""
    seed = _seed(text)
    head = str(1 + (int(text[0]) + seed % 8) % 9)
    return head + "".join(str((int(digit) + seed // 7 + place) % 10) for place, digit in enumerate(text[1:]))


def _seed(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest())


def _word(text: str) -> str:
    return _WORDS[_seed(text) % len(_WORDS)]


def _keep(match: re.Match[str]) -> str:
    return match[0]


def _address(match: re.Match[str]) -> str:
    seed = _seed(match[0])
    return f"10.{seed % 250}.{seed // 250 % 250}.{1 + seed // 62_500 % 250}"


def _hex(match: re.Match[str]) -> str:
    seed = _seed(match[0])
    return "".join(c if c not in "0123456789abcdefABCDEF" else f"{(int(c, 16) + seed) % 16:x}" for c in match[0])


def _path(match: re.Match[str]) -> str:
    """Return another path of as many parts; the last part keeps its extension."""
    *parents, last = match[0].split("/")
    dot = last.find(".", 1)
    name = last if not last or "*" in last else _word(last) + (last[dot:] if dot > 0 else "")
    return "/".join([_word(part) if part else part for part in parents] + [name])


def _dotted(match: re.Match[str]) -> str:
    """Return a host or package name with other parts; class names and files' extensions stay."""
    parts = match[0].split(".")
    kept = next((place for place, part in enumerate(parts) if part[:1].isupper()), len(parts) - 1)
    return ".".join([_word(part) for part in parts[:kept]] + parts[kept:])


def _named(match: re.Match[str]) -> str:
    return match[1] + _word(match[2])


def _numbered(match: re.Match[str]) -> str:
    return f"{_word(match[0])}-{_seed(match[0]) % 100}"


def _product(match: re.Match[str]) -> str:
    other = _PRODUCTS[match[0].lower()]
    return other if match[0].islower() else other.title()


def _digits(match: re.Match[str]) -> str:
    """Return another number, unless it is a code: zero, a hundred percent, or one that follows or precedes its name."""
    before, after = match.string[: match.start()], match.string[match.end() :]
    if not int(match[0]) or _CODE_BEFORE.search(before[-24:]) or _CODE_AFTER.search(after[:16]):
        return match[0]
    return _number(match[0])


_KINDS: Final[tuple[tuple[str, Callable[[re.Match[str]], str]], ...]] = (
    (_REQUEST.pattern, _keep),
    (r"(^[A-Z][a-z]{2} +\d{1,2} \d\d:\d\d:\d\d )([\w.\-]+)", _named),
    (_STAMP.pattern, _keep),
    (r"\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b", _address),
    (r"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b", _hex),
    (r"\b0x[0-9a-fA-F]+\b", _keep),
    (r"(?<![\w.>)\]])(?:/[\w.\-@+*]+){2,}/?", _path),
    (r"\b[a-z][\w\-]*(?:\.[\w\-]+)+\b(?!\()", _dotted),
    (
        rf"(\b(?:{_NAMED}):?[ =:]{{1,2}}[\"'`])([\w\-]+)(?=[\"'`])",
        _named,
    ),
    (r"(\b(?:user|db|dbname|host|pod|container|service|namespace|app|ruser|rhost)=)([\w\-]+)", _named),
    (rf"(?i)\b(?:{'|'.join(_PRODUCTS)})\b", _product),
    (r"\b[a-z]+(?:-[a-z0-9]+)*-\w*\d[\w\-]*\b", _numbered),
    (rf"\b(?!(?:{_NO_HOSTS})\d)[a-z]{{3,}}\d{{1,3}}\b", _numbered),
    (r"(?<![\w.])\d+(?![\w])", _digits),
)
_COMPILED: Final = tuple((re.compile(text), change) for text, change in _KINDS)


def replaced(line: str) -> str:
    """Return the line as another system would have written it."""
    out, place = [], 0
    while place < len(line):
        found = next(((match, change) for pattern, change in _COMPILED if (match := pattern.match(line, place))), None)
        if found is None or not found[0][0]:
            out.append(line[place])
            place += 1
            continue
        match, change = found
        out.append(change(match))
        place = match.end()
    return "".join(out)
