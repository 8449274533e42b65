"""A server that is measured, whoever wrote it."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from bench.cpu import Spent

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path


def _unknown() -> Spent:
    return Spent(0, 0)


@dataclass(frozen=True, slots=True)
class Target:
    """One server: where it is, what a request needs, and what is known of its processes.

    `spent` returns the processor time used so far, zeros where nothing is known; `seconds` is how
    long it took to start.
    """

    name: str
    base: str
    headers: dict[str, str]
    process: int = 0
    folder: Path | None = None
    spent: Callable[[], Spent] = _unknown
    seconds: float = 0.0


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(address: str, process: subprocess.Popen[bytes], seconds: float) -> float:
    """Wait until an address answers 200, and return how long that took."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        if process.poll() is not None:
            raise SystemExit(f"bench: {process.args!r} ended")
        with suppress(httpx.HTTPError):
            if httpx.get(address, timeout=120).status_code == 200:
                return time.monotonic() - began
        time.sleep(0.05)
    raise SystemExit(f"bench: {address} does not answer")
