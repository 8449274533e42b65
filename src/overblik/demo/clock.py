"""A clock that the story moves: the machine's time plus an offset kept in a file.

Every process of a demo reads the same file, so the pages move when `overblik demo next` does.
Sessions and tokens keep the machine's time.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


OFTEN = 0.05
"""Seconds for which the offset is not read again."""


class DemoClock:
    """The machine's clock plus an offset, which only grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = (0, 0)
        self._offset = timedelta()
        self._looked = 0.0

    def now(self) -> datetime:
        """Return the present instant of the story."""
        return datetime.now(UTC) + self._read()

    def set(self, moment: datetime) -> None:
        """Move the clock to an instant; from there it runs on."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".new")
        fresh.write_text(str((moment - datetime.now(UTC)).total_seconds()))
        fresh.rename(self._path)
        self._looked = 0.0

    def _read(self) -> timedelta:
        if monotonic() - self._looked < OFTEN:
            return self._offset
        self._looked = monotonic()
        try:
            stat = self._path.stat()
            stamp = (stat.st_ino, stat.st_mtime_ns)
            if stamp != self._stamp:
                self._offset = timedelta(seconds=float(self._path.read_text()))
                self._stamp = stamp
        except FileNotFoundError:
            self._offset = timedelta()
        return self._offset
