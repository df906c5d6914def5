"""The bill of materials of an installation: packages and jars, in CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/).

It is what ``deploy/runtime.lock`` pins, and the jars of the embedded broker with their SHA-256 (``kafka.sha256``).
There is no time and no chance in it: equal locks give equal bytes.
"""

from __future__ import annotations

import json
import re
import tomllib
import uuid
from pathlib import Path
from typing import Any, Final

PINNED: Final = re.compile(r"^([a-z0-9][a-z0-9._-]*)==(\S+)", re.MULTILINE)
JAR: Final = re.compile(r"^([0-9a-f]{64})  (.+?)-(\d.*)\.jar$", re.MULTILINE)
NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "https://cyclonedx.org/logmend")


def text(root: Path) -> str:
    """Return the bill of a source tree as JSON."""
    packages = [_package(*found) for found in PINNED.findall((root / "deploy" / "runtime.lock").read_text())]
    jars = [_jar(*found) for found in JAR.findall((root / "streams" / "runtime" / "kafka.sha256").read_text())]
    ours = {
        "type": "application",
        "bom-ref": "logmend",
        "name": "logmend",
        "version": tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"],
        "licenses": [{"license": {"id": "Apache-2.0"}}],
    }
    parts = [*packages, *jars]
    bill: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(NAMESPACE, json.dumps([ours, *parts]))}",
        "version": 1,
        "metadata": {"component": ours},
        "components": parts,
        "compositions": [{"aggregate": "complete", "assemblies": ["logmend"]}],
    }
    return json.dumps(bill, indent=1) + "\n"


def _package(name: str, pinned: str) -> dict[str, Any]:
    where = f"pkg:pypi/{name}@{pinned}"
    return {"type": "library", "bom-ref": where, "name": name, "version": pinned, "purl": where}


def _jar(sha256: str, name: str, found: str) -> dict[str, Any]:
    return {
        "type": "library",
        "bom-ref": f"{name}-{found}.jar",
        "name": name,
        "version": found,
        "hashes": [{"alg": "SHA-256", "content": sha256}],
        "description": "of the embedded broker, fetched when it first starts",
    }
