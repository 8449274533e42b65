"""Room on the disk of the embedded database: writers stop while there is still some for the log.

A read leaves a log entry, and PostgreSQL needs room to make itself whole, so a disk is not filled to
the last byte: below the reserve writes are refused, and reads go on. An external server's disk is
not seen from here; there only its own error tells.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from overblik.fhir.errors import Full

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Room:
    """The folder that is watched, and how many bytes of its disk writers leave free."""

    folder: Path | None = None
    reserve: int = 0

    def require(self) -> None:
        """Raise Full where the reserve has been reached."""
        if self.folder is not None and shutil.disk_usage(self.folder).free < self.reserve:
            raise full()


def full() -> Full:
    """Return the error of a disk without room."""
    return Full("disk-full", "The server's disk is full; nothing was written. Try again when there is room.")
