"""Overblik itself, served for a measurement: its own data folder, production settings, test issuer."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from overblik.trust.keyring import open_keyring
from overblik.trust.tokens import TestIssuer

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]


@contextmanager
def served(folder: Path, workers: int) -> Iterator[tuple[str, dict[str, str], int]]:
    """Serve on an empty folder; give base URL, header of a source that may read its own, process."""
    folder.chmod(0o755)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "OVERBLIK_DATA": str(folder),
        "OVERBLIK_MODE": "demo",
        "OVERBLIK_PORT": str(port),
        "OVERBLIK_WORKERS": str(workers),
    }
    process = subprocess.Popen([sys.executable, "-m", "overblik", "serve"], cwd=ROOT, env=environment)
    try:
        _wait(f"http://127.0.0.1:{port}/readyz")
        issuer = TestIssuer("demo", open_keyring(folder / "keys" / "server.key"), None, None)  # type: ignore[arg-type]
        token = issuer.token({"kind": "source", "sub": "bench", "name": "bench"})
        yield f"http://127.0.0.1:{port}/fhir", {"Authorization": f"Bearer {token}"}, process.pid
    finally:
        process.terminate()
        process.wait(30)


def _wait(address: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(httpx.HTTPError):
            if httpx.get(address, timeout=2).status_code == 200:
                return
        time.sleep(0.1)
    raise SystemExit("bench: the server did not start")
