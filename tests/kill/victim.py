"""A server in a process of its own, killed without warning and started again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psycopg

from overblik.store.embedded import EmbeddedPostgres
from overblik.trust.keyring import open_keyring
from overblik.trust.tokens import TestIssuer

if TYPE_CHECKING:
    from collections.abc import Mapping

FACTORY = "overblik.app.server:create"
READY_WITHIN = 60


class Victim:
    """One real server (`overblik serve`, two workers) with its embedded PostgreSQL, in one folder."""

    def __init__(self, folder: Path, factory: str = FACTORY) -> None:
        self.folder = folder
        self._factory = factory
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.address = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None
        self.postgres = EmbeddedPostgres(folder)

    def start(self) -> None:
        """Start it, and return when it is ready."""
        environment: Mapping[str, str] = {
            **os.environ,
            "OVERBLIK_DATA": str(self.folder),
            "OVERBLIK_MODE": "demo",
            "OVERBLIK_PORT": str(self._port),
            "OVERBLIK_WORKERS": "2",
        }
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - this project's own server
                [sys.executable, "-m", "tests.kill.server", self._factory],
                cwd=Path(__file__).parents[2],
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.wait_ready()

    def wait_ready(self) -> None:
        """Wait until it answers."""
        deadline = time.monotonic() + READY_WITHIN
        while time.monotonic() < deadline:
            with suppress(httpx.HTTPError):
                if httpx.get(f"{self.address}/readyz", timeout=2).status_code == 200:
                    return
            time.sleep(0.05)
        tail = (self.folder / "server.log").read_text(errors="replace")[-2000:]
        raise AssertionError(f"the server did not come back: {tail}")

    def kill_server(self) -> None:
        """Kill the server's processes, all at once; PostgreSQL lives on."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def kill_postmaster(self) -> None:
        """Kill the postmaster; its backends and whatever they had not written die with it."""
        pid = int((self.postgres.cluster / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
        while _is_there(pid):
            time.sleep(0.005)

    def stop(self) -> None:
        """Stop it as an operator does."""
        assert self._process is not None
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        self._process.wait(30)
        self.postgres.start()  # after a killed server nobody is left to stop it
        self.postgres.stop()

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        """Look into its database."""
        return psycopg.connect(self.postgres.conninfo, autocommit=True)

    def header(self, kind: str) -> dict[str, str]:
        """Return the header of a caller; a source's name is a gateway for any sender."""
        issuer = TestIssuer("test", open_keyring(self.folder / "keys" / "server.key"), None, None)  # type: ignore[arg-type]
        token = issuer.token({"kind": kind, "sub": "kill", "name": "Kill"})
        return {"Authorization": f"Bearer {token}"}


def _is_there(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
