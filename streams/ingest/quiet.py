"""What fires on lines that nobody labelled and that are mostly benign (``logmend score quiet FILE...``).

Files are text or gzip, a line each. A file of verdicts has one JSON object a line: ``pattern``, ``template`` (the
line as ``masking.mask`` leaves it), ``verdict`` (``true``: the line reports what the pattern says; ``false``) and
``reason``. A verdict holds for every line of its template.
"""

from __future__ import annotations

import gzip
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct

from streams.core.errors import InputError
from streams.ingest import masking
from streams.ingest import matcher as matchers
from streams.ingest.classifying import Classifier
from streams.ingest.matcher import Matcher

_GZIP: Final = b"\x1f\x8b"


class Ruling(Struct, frozen=True, forbid_unknown_fields=True):
    """One kept verdict on the lines of a template that a pattern named."""

    pattern: str
    template: str
    verdict: Literal["true", "false"]
    reason: str


class Fired(Struct, frozen=True, kw_only=True):
    """One distinct line that a pattern named: how often, the verdict on it (``""``: none yet), one such line."""

    pattern: str
    lines: int
    verdict: str
    reason: str
    template: str
    line: str


class FileScore(Struct, frozen=True, kw_only=True):
    """The counts of one file, or of all; ``undecided`` detections have no verdict, ``*_per_1000`` is by line."""

    file: str
    lines: int
    detections: int
    per_1000: float
    false: int
    false_per_1000: float
    undecided: int


class QuietScore(Struct, frozen=True):
    """The counts over all files, those of each, and each distinct line that fired, by pattern."""

    overall: FileScore
    files: tuple[FileScore, ...]
    fired: tuple[Fired, ...]

    def as_json(self) -> dict[str, object]:
        """Return the keys of the contract: those of ``FileScore`` without a file, ``files`` and ``fired``."""
        found = msgspec.to_builtins(self.overall)
        del found["file"]
        return {**found, "files": msgspec.to_builtins(self.files), "fired": msgspec.to_builtins(self.fired)}


_Key = tuple[str, str]


def read_verdicts(path: Path) -> dict[_Key, Ruling]:
    """Return the kept verdicts by pattern and template; ``InputError`` names the first line that is none."""
    decoder = msgspec.json.Decoder(Ruling)
    found: dict[_Key, Ruling] = {}
    for number, line in enumerate(_lines(path), start=1):
        try:
            ruling = decoder.decode(line)
        except msgspec.DecodeError as error:
            raise InputError(f"{path}:{number}: {error}") from error
        found[ruling.pattern, ruling.template] = ruling
    return found


def quiet(paths: Sequence[Path], verdicts: Mapping[_Key, Ruling], matcher: Matcher | None = None) -> QuietScore:
    """Classify each line by itself and count what fires; the shipped rules unless a matcher is given."""
    classifier = Classifier(matcher or matchers.shipped())
    examples: dict[_Key, str] = {}
    total: Counter[_Key] = Counter()
    files, lines = [], 0
    for path in paths:
        read, hits = _fired(path, classifier, examples)
        files.append(_score(str(path), read, hits, verdicts))
        total += hits
        lines += read
    return QuietScore(
        overall=_score("", lines, total, verdicts),
        files=tuple(files),
        fired=tuple(
            Fired(pattern=key[0], lines=count, template=key[1], line=examples[key], **_said(verdicts.get(key)))
            for key, count in sorted(total.items(), key=lambda hit: (hit[0][0], -hit[1], hit[0][1]))
        ),
    )


def _said(ruling: Ruling | None) -> dict[str, str]:
    return {"verdict": ruling.verdict if ruling else "", "reason": ruling.reason if ruling else ""}


def _fired(path: Path, classifier: Classifier, examples: dict[_Key, str]) -> tuple[int, Counter[_Key]]:
    """Return how many lines a file has and how many of each pattern and template were named."""
    hits: Counter[_Key] = Counter()
    read = 0
    for line in _lines(path):
        read += 1
        pattern = classifier.classify(line).pattern
        if pattern:
            key = (pattern, masking.mask(line).decode("utf-8", "replace"))
            hits[key] += 1
            examples.setdefault(key, line.decode("utf-8", "replace"))
    return read, hits


def _score(file: str, lines: int, hits: Counter[_Key], verdicts: Mapping[_Key, Ruling]) -> FileScore:
    said = [(count, verdicts[key].verdict if key in verdicts else "") for key, count in hits.items()]
    false = sum(count for count, verdict in said if verdict == "false")
    return FileScore(
        file=file,
        lines=lines,
        detections=hits.total(),
        per_1000=_per_1000(hits.total(), lines),
        false=false,
        false_per_1000=_per_1000(false, lines),
        undecided=sum(count for count, verdict in said if not verdict),
    )


def _per_1000(count: int, lines: int) -> float:
    return round(1000 * count / lines, 3) if lines else 0.0


def _lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a text or gzip file that are not blank."""
    try:
        content = path.read_bytes()
        text = gzip.decompress(content) if content.startswith(_GZIP) else content
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: {error}") from error
    yield from (line for line in text.splitlines() if line.strip())
