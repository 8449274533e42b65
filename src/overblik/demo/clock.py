"""A clock that the story moves: the machine's time plus an offset kept in a file.

Every process of a demo maps the same file, so the pages move when `overblik demo next` does, and whatever is sent
after the clock was moved arrives after it. Sessions and tokens keep the machine's time.
"""

from __future__ import annotations

import mmap
import os
from datetime import UTC, datetime, timedelta
from struct import Struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


_SECONDS = Struct("=d")
"""What the file holds; eight bytes are written and read at once, so no process sees half of them."""


class DemoClock:
    """The machine's clock plus an offset, none until it is set."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset: mmap.mmap | None = None

    def now(self) -> datetime:
        """Return the present instant of the story."""
        return datetime.now(UTC) + timedelta(seconds=_SECONDS.unpack_from(self._offset or self._map())[0])

    def set(self, moment: datetime) -> None:
        """Move the clock to an instant; from there it runs on, also after a power cut."""
        offset = self._offset or self._map()
        _SECONDS.pack_into(offset, 0, (moment - datetime.now(UTC)).total_seconds())
        offset.flush()

    def _map(self) -> mmap.mmap:
        """Map the file, made by whoever looks first: it is never replaced, so that everybody looks at the same.

        A new file is empty, and so is one that a power cut met before it was on disk: eight zero bytes are no offset.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644), "r+b", buffering=0) as file:
            if file.seek(0, os.SEEK_END) > _SECONDS.size:
                os.pwrite(file.fileno(), bytes(_SECONDS.size), 0)
            file.truncate(_SECONDS.size)
            self._offset = mmap.mmap(file.fileno(), _SECONDS.size)
        return self._offset
