"""Connections whose client does not read: ended by the kernel, for the HTTP server has no bound of its own.

TCP_USER_TIMEOUT (tcp(7)) counts from the first byte that the other side does not take, also while its
window is shut; a connection takes it over from the socket that listens.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from contextlib import suppress
from itertools import count
from pathlib import Path

STUCK_SECONDS = 60.0
OPEN = Path("/proc/self/fd")
_KNOWN = OPEN.exists() and hasattr(socket, "TCP_USER_TIMEOUT")


async def bound_slow_readers(seconds: float) -> None:
    """Have connections ended that take nothing for so long, as soon as there is a socket that listens.

    Linux only; elsewhere nothing is done, and a proxy in front has to see to it.
    """
    for tried in count() if _KNOWN else ():  # nobody tells when it listens
        if _bound(seconds):
            break
        await asyncio.sleep(min(1, 0.1 * tried))


def _bound(seconds: float) -> int:
    """Tell every listening socket of this process; return how many there are."""
    told = 0
    for entry in OPEN.iterdir():
        with suppress(OSError):
            number = int(entry.name)
            if not stat.S_ISSOCK(os.fstat(number).st_mode):
                continue
            found = socket.socket(fileno=number)
            try:
                if found.type == socket.SOCK_STREAM and found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))
                    told += 1
            finally:
                found.detach()  # it is not ours to close
    return told
