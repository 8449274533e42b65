"""Folders that PostgreSQL's own user can enter: pytest makes its own unreadable again at every start."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def open_folder(name: str) -> Iterator[Path]:
    """Give a new folder that every user can enter, and remove it with all that is in it."""
    folder = Path(tempfile.mkdtemp(prefix=f"overblik-{name}-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
