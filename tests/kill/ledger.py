"""The client's own memory: what it sent, what was acknowledged, each line fsynced before it goes on."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

Kind = str  # create | update | transaction | message | read


@dataclass(frozen=True, slots=True)
class Line:
    """One request. `places` are [type, id, version] acknowledged; `digest` is of the content sent."""

    key: str
    kind: Kind
    acknowledged: bool
    digest: str = ""
    request: str = ""
    places: list[list[Any]] = field(default_factory=list)


def digest_of(resource: dict[str, Any]) -> str:
    """Return the digest of a resource's content, without what the server adds."""
    content = {k: v for k, v in resource.items() if k not in {"id", "meta"}}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class Ledger:
    """An append-only file; a line is on disk when `note` returns."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")
        self._path = path
        self.acknowledged = 0

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def note(self, line: Line) -> None:
        """Write one line durably."""
        self._file.write(json.dumps(asdict(line)) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self.acknowledged += line.acknowledged

    def read(self) -> tuple[dict[str, Line], set[str]]:
        """Return the acknowledged lines, and the keys that were sent and never answered."""
        lines = [Line(**json.loads(text)) for text in self._path.read_text(encoding="utf-8").splitlines()]
        acknowledged = {line.key: line for line in lines if line.acknowledged}
        return acknowledged, {line.key for line in lines} - acknowledged.keys()
