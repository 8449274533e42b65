"""The client's own memory: what it sent and what was acknowledged, noted before it goes on.

No kill reaches the process that keeps it, nor the disk that it lies on.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

Kind = str  # create | update | transaction | message | read


@dataclass(frozen=True, slots=True)
class Line:
    """One request. `places` are [type, id, version] acknowledged; `digest` is of the content sent.

    `round` is the number of the kill that came next.
    """

    key: str
    kind: Kind
    acknowledged: bool
    digest: str = ""
    request: str = ""
    places: list[list[Any]] = field(default_factory=list)
    round: int = 0


def digest_of(resource: dict[str, Any]) -> str:
    """Return the digest of a resource's content, without what the server adds."""
    content = {k: v for k, v in resource.items() if k not in {"id", "meta"}}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class Ledger:
    """Every line, in memory and in an append-only file that stays when the test is over."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")
        self.told: dict[str, Line] = {}
        self.open: dict[str, Line] = {}
        self.round = 0

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def acknowledged(self) -> int:
        """How much has been acknowledged so far."""
        return len(self.told)

    def sent(self, key: str, kind: Kind) -> None:
        """Note that a request is about to be sent."""
        self.open[key] = Line(key, kind, acknowledged=False, round=self.round)
        self._write(self.open[key])

    def answered(self, line: Line) -> None:
        """Note what was acknowledged."""
        self.open.pop(line.key, None)
        self.told[line.key] = line
        self._write(line)

    def _write(self, line: Line) -> None:
        self._file.write(json.dumps(asdict(line)) + "\n")
        self._file.flush()
