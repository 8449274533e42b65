"""A disk of its own whose power can be cut: a file as a block device, with a real ext4 on it.

EXT4_IOC_SHUTDOWN without a flush of the journal stops the file system where it stands, as a power cut
does: what was not asked to be on disk (fsync) and not written back by chance is gone when it is mounted
again, and until then every write fails. The file stands for a disk that keeps what it said it has.
Needs root, loop devices and mkfs.ext4; `missing` says what is not there.

https://git.kernel.org/pub/scm/linux/kernel/git/torvalds/linux.git/tree/fs/ext4/ioctl.c
"""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.folders import open_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32)
WITHOUT_FLUSH = 2


def missing() -> str:
    """Return why no such disk can be made here, "" where one can."""
    if os.geteuid() != 0:
        return "a disk of its own needs root"
    if not Path("/dev/loop-control").exists():
        return "there are no loop devices"
    return "" if shutil.which("mkfs.ext4") else "mkfs.ext4 is not installed (apt install e2fsprogs)"


class Disk:
    """A mounted ext4 in a file."""

    def __init__(self, image: Path, megabytes: int) -> None:
        self._image = image
        self.folder = image.with_suffix(".mounted")
        self.folder.mkdir()
        with image.open("wb") as file:
            file.truncate(megabytes << 20)
        _run("mkfs.ext4", "-q", "-F", "-m", "0", str(image))
        self.mount()
        self.folder.chmod(0o755)

    def mount(self, *options: str) -> None:
        """Mount it: the journal is replayed, as at every start of a machine."""
        _run("mount", "-o", ",".join(["loop", *options]), str(self._image), str(self.folder))

    def remount(self, option: str) -> None:
        """Mount it read-only (`ro`) or for writing (`rw`) while it is in use."""
        _run("mount", "-o", f"remount,{option}", str(self.folder))

    def cut(self) -> None:
        """Cut its power: from here on nothing more is written to it."""
        handle = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(handle, SHUTDOWN, struct.pack("I", WITHOUT_FLUSH))
        finally:
            os.close(handle)

    def unmount(self) -> None:
        """Unmount it, once nobody has a file of it open any more."""
        deadline = time.monotonic() + 30
        while subprocess.run(["umount", str(self.folder)], check=False, capture_output=True).returncode != 0:
            assert time.monotonic() < deadline, "somebody still uses the disk"
            time.sleep(0.05)

    def fill(self, leave: int = 0) -> None:
        """Fill it until so many bytes are left, in pieces that shrink down to a byte."""
        size = 1 << 20
        with (self.folder / "ballast").open("ab", buffering=0) as file:
            while size and self.free > leave:
                try:
                    file.write(b"x" * min(size, self.free - leave))
                except OSError:
                    size //= 2

    def make_room(self) -> None:
        """Take away what `fill` put there."""
        (self.folder / "ballast").unlink(missing_ok=True)

    @property
    def free(self) -> int:
        """How many bytes can still be written to it."""
        return shutil.disk_usage(self.folder).free


@contextmanager
def open_disk(megabytes: int) -> Iterator[Disk]:
    """Give a disk of its own, and remove it."""
    with open_folder("disk", in_memory=True) as folder:
        disk = Disk(folder / "image", megabytes)
        try:
            yield disk
        finally:
            disk.unmount()


def _run(*command: str) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stderr}"
