"""Folders that PostgreSQL's own user can enter: pytest makes its own unreadable again at every start."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


MEMORY = Path("/dev/shm")
ENOUGH = 2 << 30


@contextmanager
def open_folder(name: str, *, in_memory: bool = False) -> Iterator[Path]:
    """Give a new folder that every user can enter, and remove it with all that is in it.

    `in_memory` is for what may be lost: there, where there is room, PostgreSQL copies a database of some hundred
    files twenty times faster.
    """
    room = in_memory and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ENOUGH
    folder = Path(tempfile.mkdtemp(prefix=f"overblik-{name}-", dir=MEMORY if room else None))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
