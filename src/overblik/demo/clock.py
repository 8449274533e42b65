"""A clock that the story moves: the machine's time plus an offset kept in a file.

Every process of a demo maps the same file, so the pages move when `overblik demo next` does, and whatever is sent
after the clock was moved arrives after it. Sessions and tokens keep the machine's time.
"""

from __future__ import annotations

import mmap
from datetime import UTC, datetime, timedelta
from struct import Struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


_SECONDS = Struct("=d")
"""What the file holds; eight bytes are written and read at once, so no process sees half of them."""


class DemoClock:
    """The machine's clock plus an offset."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset: mmap.mmap | None = None

    def now(self) -> datetime:
        """Return the present instant of the story."""
        offset = self._offset or self._map()
        now = datetime.now(UTC)
        return now if offset is None else now + timedelta(seconds=_SECONDS.unpack_from(offset)[0])

    def set(self, moment: datetime) -> None:
        """Move the clock to an instant; from there it runs on."""
        if not self._path.exists():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            fresh = self._path.with_suffix(".new")
            fresh.write_bytes(_SECONDS.pack(0.0))
            fresh.rename(self._path)
        offset = self._offset or self._map()
        if offset is not None:
            _SECONDS.pack_into(offset, 0, (moment - datetime.now(UTC)).total_seconds())

    def _map(self) -> mmap.mmap | None:
        """Map the file once there is one: it is never replaced, so that everybody looks at the same."""
        try:
            with self._path.open("r+b") as file:
                self._offset = mmap.mmap(file.fileno(), _SECONDS.size)
        except FileNotFoundError:
            return None
        return self._offset
