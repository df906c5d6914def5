"""What a team writes for itself: ``json``, and one regular expression for each thing that goes wrong, tried in turn.

Logmend's shipped rules are 1 200 expressions, which no one would run through ``re``: it takes each by itself. These
are as many patterns as Logmend ships, with the few words that each is known by. They name other lines than the shipped
rules do, so runs with them are compared with an offline count of their own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final

PATTERNS: Final = {
    "disk_full": r"no space left on device|disk (is )?full|ENOSPC|quota exceeded",
    "data_corruption": r"corrupt(ed|ion)?\b|checksum (error|mismatch)|bad magic",
    "disk_failure": r"I/O error|bad (block|sector)|medium error|SMART .*fail",
    "dns_failure": r"name resolution|unknown host|NXDOMAIN|getaddrinfo|no such host",
    "tls_certificate": r"certificate (has expired|verify failed|is not trusted)|SSL handshake|x509:",
    "database_lock": r"deadlock|lock wait timeout|database is locked",
    "out_of_memory": r"out of memory|OutOfMemoryError|oom-?kill|cannot allocate memory",
    "port_conflict": r"address already in use|EADDRINUSE|port \d+ is already",
    "security_intrusion": r"possible break-in|sql injection|union\s+select|\.\./\.\./|brute.?force",
    "health_check_failure": r"(liveness|readiness) probe failed|health ?check (failed|update)",
    "database_connection": r"too many connections|connection pool (is )?exhausted|connect to (database|postgres|mysql)",
    "authentication_failure": r"authentication failure|failed password|invalid (user|credentials)|unauthorized",
    "permission_denied": r"permission denied|access denied|EACCES|forbidden|not permitted|apparmor=.DENIED",
    "container_exit": r"CrashLoopBackOff|container .* exited|back-off restarting",
    "service_dependency": r"(upstream|dependency|backend) .*(failed|unavailable)|circuit breaker .*open",
    "dependency_missing": r"ModuleNotFoundError|no module named|ClassNotFoundException|no installation candidate",
    "process_crash": r"segmentation fault|segfault|core dumped|panic:|exit-code|\bkilled\b",
    "resource_exhaustion": r"too many open files|EMFILE|resource temporarily unavailable|thread pool .*exhausted",
    "service_unavailable": r"service unavailable|\b503\b|bad gateway|\b502\b",
    "performance_degradation": r"slow (query|request)|took \d+ ?ms|high (latency|cpu)|response time",
    "connection_refused": r"connection refused|ECONNREFUSED",
    "network_unreachable": r"(network|host) (is )?unreachable|no route to host|EHOSTUNREACH",
    "network_timeout": r"timed? ?out|timeout|ETIMEDOUT|deadline exceeded",
    "configuration_error": r"(invalid|missing|unknown) (config|configuration|option|setting|parameter)|config.*error",
}
"""Name and expression, the first that is found names the line; found without regard to case."""


def reader() -> Callable[[bytes], dict[str, Any]]:
    """Return what decodes a line and puts the name of its pattern, or None, into it as ``pattern``."""
    compiled = [(name, re.compile(text, re.IGNORECASE)) for name, text in PATTERNS.items()]

    def read(value: bytes) -> dict[str, Any]:
        line: dict[str, Any] = json.loads(value)
        line["pattern"] = next((name for name, pattern in compiled if pattern.search(line["message"])), None)
        return line

    return read
