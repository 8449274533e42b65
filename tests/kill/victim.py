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
from overblik.trust.callers.tokens import TestIssuer
from overblik.trust.keys.keyring import open_keyring

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from tests.kill.disk import Disk

FACTORY = "overblik.app.server:create"
READY_WITHIN = 120
WORKER_SETTLES = 7.0
FULL_SECONDS = 8.0
KINDS = {"backend": 70, "postmaster": 17, "worker": 10, "server": 2, "everything": 1}
"""What is killed, and how often of a hundred times: what is cheap to start again more often."""


class NotBackError(AssertionError):
    """It is not there again."""


class Victim:
    """One real server (`overblik serve`, two workers) with its embedded PostgreSQL, in one folder."""

    patience: float = READY_WITHIN

    def __init__(self, folder: Path, factory: str = FACTORY, *, mode: str = "demo", log: Path | None = None) -> None:
        self.folder = folder
        self.environment = {"OVERBLIK_MODE": mode, "OVERBLIK_WORKERS": "2"}
        self._factory = factory
        self._headers: dict[str, dict[str, str]] = {}
        self._log = log or folder / "server.log"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.address = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None
        self.postgres = EmbeddedPostgres(folder)

    def start(self) -> None:
        """Start it, and return when it is ready."""
        self._launch()
        self.wait_ready()

    def _launch(self) -> None:
        here = {"OVERBLIK_DATA": str(self.folder), "OVERBLIK_PORT": str(self._port)}
        environment: Mapping[str, str] = {**os.environ, **self.environment, **here}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.kill.server", self._factory],
                cwd=Path(__file__).parents[2],
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_ready(self) -> None:
        """Wait until it answers."""
        deadline = time.monotonic() + self.patience
        while time.monotonic() < deadline:
            with suppress(httpx.HTTPError):
                if httpx.get(f"{self.address}/readyz", timeout=2, verify=False).status_code == 200:
                    return
            time.sleep(0.05)
        raise NotBackError(f"the server did not come back: {self._log.read_text(errors='replace')[-2000:]}")

    @property
    def process(self) -> int:
        """The server's process, the parent of its workers."""
        assert self._process is not None
        return self._process.pid

    @property
    def workers(self) -> list[int]:
        """The processes that serve."""
        return _children(self.process)

    def kill(self, kind: str, rng: Random) -> None:
        """Kill one of KINDS, and start again what nobody else does; return as soon as it is dead."""
        {
            "worker": self.kill_worker,
            "server": self.kill_server,
            "backend": self.kill_backend,
            "postmaster": self.kill_postmaster,
            "everything": self.kill_everything,
            "immediate": self.stop_immediately,
        }[kind](rng)

    def kill_worker(self, rng: Random) -> None:
        """Kill a worker; its parent starts another. It gives up on one that dies as soon as it is started."""
        _kill(rng.choice(_some(lambda: [pid for pid in _children(self.process) if _age(pid) > WORKER_SETTLES])))

    def kill_server(self, _: Random) -> None:
        """Kill the server's processes, all at once, and start it again; PostgreSQL lives on."""
        self._kill_server()
        self._launch()

    def kill_backend(self, rng: Random) -> None:
        """Kill one of PostgreSQL's processes; it ends all the others, and goes back to what is on disk."""
        found = _some(lambda: [pid for pid in _children(self._postmaster()) if b"startup" not in _command(pid)])
        serving = [pid for pid in found if b"[local]" in _command(pid)]
        _kill(rng.choice(serving if serving and rng.random() < 0.8 else found))

    def kill_postmaster(self, _: Random) -> None:
        """Kill the postmaster; its backends and whatever they had not written die with it."""
        _kill(self._postmaster())

    def stop_immediately(self, _: Random) -> None:
        """Stop PostgreSQL as `pg_ctl stop -m immediate` does; who watches it starts it again."""
        os.kill(postmaster := self._postmaster(), signal.SIGQUIT)
        while _is_there(postmaster):
            time.sleep(0.01)

    def kill_everything(self, _: Random) -> None:
        """Kill the server and PostgreSQL at one time, and start again."""
        postmaster = self._postmaster()
        os.kill(postmaster, signal.SIGKILL)
        self._kill_server()
        _kill(postmaster)
        self._launch()

    def _kill_server(self) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _postmaster(self) -> int:
        """Return the postmaster's process, waiting while there is none."""

        def look() -> list[int]:
            with suppress(OSError, IndexError, ValueError):
                pid = int((self.postgres.cluster / "postmaster.pid").read_text().split()[0])
                return [pid] if _is_there(pid) else []
            return []

        return _some(look)[0]

    def stop(self) -> None:
        """Stop it as an operator does."""
        assert self._process is not None
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        self._process.wait(90)
        self.postgres.start()  # after a killed server nobody is left to stop it
        self.postgres.stop()

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        """Look into its database."""
        return psycopg.connect(self.postgres.conninfo, autocommit=True)

    def header(self, kind: str) -> dict[str, str]:
        """Return the header of a caller; a source's name is a gateway for any sender. It holds through every kill."""
        if kind not in self._headers:
            keyring = open_keyring(self.folder / "keys" / "server.key")
            token = TestIssuer("test", keyring, None, None).token({"kind": kind, "sub": "kill", "name": "Kill"})  # type: ignore[arg-type]
            self._headers[kind] = {"Authorization": f"Bearer {token}"}
        return self._headers[kind]


class PoweredVictim(Victim):
    """A server on a disk of its own, whose power is cut."""

    def __init__(self, disk: Disk, factory: str = FACTORY, *, mode: str = "demo", log: Path) -> None:
        super().__init__(disk.folder, factory, mode=mode, log=log)
        self._disk = disk

    def kill(self, kind: str, rng: Random) -> None:
        """Do it to the disk, or what a Victim does: fill it and make room (`full`), cut its power (`power`).

        At a power cut the disk stops first, then everything is gone; it starts again.
        """
        if kind == "full":
            self._fill_up()
            return
        if kind != "power":
            super().kill(kind, rng)
            return
        postmaster = self._postmaster()
        self._disk.cut()
        self._kill_server()
        _kill(postmaster)
        self._disk.unmount()
        self._disk.mount()
        self._launch()

    def _fill_up(self) -> None:
        """Keep it full for a while: until the write-ahead log finds no room, too, PostgreSQL has some left."""
        until = time.monotonic() + FULL_SECONDS
        while time.monotonic() < until:
            self._disk.fill()
            time.sleep(0.2)
        self._disk.make_room()


def _some(look: Callable[[], list[int]]) -> list[int]:
    """Look until there is something."""
    deadline = time.monotonic() + READY_WITHIN
    while not (found := look()):
        assert time.monotonic() < deadline, "what is to be killed is not there"
        time.sleep(0.02)
    return found


def _kill(pid: int) -> None:
    """Kill a process, if it is still there, and wait until it is not."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    while _is_there(pid):
        time.sleep(0.005)


def _stat(pid: int | str) -> list[str]:
    """Return what /proc says of a process after its name: state, parent and more."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def _age(pid: int) -> float:
    """Return for how many seconds a process has been there."""
    with suppress(OSError):
        return time.clock_gettime(time.CLOCK_BOOTTIME) - int(_stat(pid)[19]) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _children(parent: int) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        with suppress(OSError):
            if folder.name.isdecimal() and int(_stat(folder.name)[1]) == parent:
                found.append(int(folder.name))
    return sorted(pid for pid in found if _is_there(pid))


def _command(pid: int) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def _is_there(pid: int) -> bool:
    try:
        return "Z" not in _stat(pid)[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
