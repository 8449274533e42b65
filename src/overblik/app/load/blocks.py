"""Files to blocks of lines: in the order in which they can be taken, in bounded memory.

What belongs to no patient comes first, then the Patients, then what is about them; files are read
once for each of these that they contain. A block ends after a thousand lines, but not between the
lines of one patient if those end soon: then two blocks seldom wait for the same record.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import IO, TYPE_CHECKING

from overblik.fhir.compartment import is_shared
from overblik.fhir.errors import Malformed, OverblikError
from overblik.fhir.strict_json import MAX_BYTES, loads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

LINES = 1000
BYTES = 4 * 1024 * 1024
PHASES = SHARED, PATIENTS, ABOUT = 0, 1, 2
NDJSON = (".ndjson", ".jsonl", ".ndjson.gz", ".jsonl.gz")
_HEAD = re.compile(rb'\s*\{\s*"resourceType"\s*:\s*"([A-Za-z]+)"')
_PATIENT = re.compile(rb'"Patient\\?/([A-Za-z0-9.\-]+)')


@dataclass(frozen=True)
class Block:
    """Lines of one file, with their numbers in it."""

    file: str
    numbers: list[int]
    lines: list[bytes]

    @cached_property
    def digest(self) -> bytes:
        """The SHA-256 of the lines: the same lines are the same block, wherever they lie."""
        return hashlib.sha256(b"\n".join(self.lines)).digest()


@dataclass(slots=True)
class Source:
    """A file of lines, and how many lines of each phase it has."""

    path: Path
    counts: list[int] = field(default_factory=lambda: [0, 0, 0])


def scan(path: Path, seen: Callable[[int], None]) -> Source:
    """Count a file's lines by phase; `seen` is told of them by the ten thousand.

    Malformed when the file cannot be read to its end: nothing of a damaged one is taken.
    """
    source = Source(path)
    with _readable(), _open(path) as file:
        for number, raw in enumerate(_lines(file), 1):
            if raw:
                source.counts[phase_of(raw)] += 1
            if number % 10_000 == 0:
                seen(10_000)
    return source


def read_whole(path: Path) -> bytes:
    """Return a file's content, out of its gzip where it is in one; Malformed when it cannot be read."""
    with _readable(), _open(path) as file:
        return file.read()


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, zlib.error) as error:
        raise Malformed("file-unreadable", f"The file cannot be read: {error}") from None


def blocks(sources: Iterable[Source], phase: int, *, lines: int = LINES) -> Iterator[Block]:
    """Walk the blocks of one phase in all files."""
    for source in sources:
        if source.counts[phase]:
            alone = sum(source.counts) == source.counts[phase]
            yield from _blocks(source.path, phase, lines, alone=alone)


def phase_of(raw: bytes) -> int:
    """Return when a line can be taken, by its type; what cannot be read is judged last."""
    head = _HEAD.match(raw)
    name = head[1].decode() if head else _type_inside(raw)
    if name == "Patient":
        return PATIENTS
    return SHARED if is_shared(name) else ABOUT


def _type_inside(raw: bytes) -> str:
    try:
        value = loads(raw)
    except OverblikError:
        return ""
    return str(value.get("resourceType", "")) if isinstance(value, dict) else ""


def _blocks(path: Path, phase: int, most: int, *, alone: bool) -> Iterator[Block]:
    numbers: list[int] = []
    lines: list[bytes] = []
    size = 0
    with _open(path) as file:
        for number, raw in enumerate(_lines(file), 1):
            if not raw or (not alone and phase_of(raw) != phase):
                continue
            full = len(lines) >= most or size + len(raw) > BYTES
            if lines and full and (len(lines) >= 2 * most or size > BYTES or not _same_patient(lines[-1], raw)):
                yield Block(path.name, numbers, lines)
                numbers, lines, size = [], [], 0
            numbers.append(number)
            lines.append(raw)
            size += len(raw)
    if lines:
        yield Block(path.name, numbers, lines)


def _same_patient(one: bytes, other: bytes) -> bool:
    first, second = _PATIENT.search(one), _PATIENT.search(other)
    return first is not None and second is not None and first[1] == second[1]


def _open(path: Path) -> IO[bytes]:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    """Walk a file's lines without their ends; one over the limit is cut, which makes it unreadable."""
    while raw := file.readline(MAX_BYTES + 2):
        line = raw.rstrip(b"\r\n")
        yield line if line.strip() else b""
        while not raw.endswith(b"\n") and len(raw) > MAX_BYTES:
            raw = file.readline(MAX_BYTES + 2)
