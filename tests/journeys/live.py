"""A real server in a process of its own, told a story over HTTP, looked at through a real browser."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from overblik.app.runtime import Runtime, runtime
from overblik.app.settings import Settings
from overblik.demo.client import Sources
from overblik.demo.clock import DemoClock
from overblik.demo.delivery import deliver
from overblik.demo.stage import directory_bundle, set_stage
from overblik.store.embedded import EmbeddedPostgres
from overblik.trust.organisations import FRESH_FOR

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator
    from datetime import datetime
    from ssl import SSLContext

    from overblik.demo.delivery import Delivery

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or ""
needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="Debian's Chromium is not installed (apt install chromium)")
READY_WITHIN = 60


@dataclass
class Live:
    """A running demo server, and this process's own hold on its database and clock."""

    run: Runtime
    address: str
    clock: DemoClock

    def token(self, **claims: Any) -> dict[str, str]:
        """Return the header of a caller."""
        assert self.run.issuer is not None
        return {"Authorization": f"Bearer {self.run.issuer.token(claims)}"}

    async def link(self, **claims: Any) -> str:
        """Return an address that signs a browser in."""
        assert self.run.provider is not None
        return f"{self.address}/sign-in?hint={await self.run.provider.add(claims)}"

    async def set_the_stage(self, today: datetime) -> None:
        """Write organisations, staff, routes and connections."""
        await set_stage(self.run.door, today.date())
        sources = Sources(self.address, lambda _, __: "")
        system = self.token(kind="system", sub="system", name="Overblik")["Authorization"].removeprefix("Bearer ")
        sources.send("/fhir", "application/fhir+json", directory_bundle(), system)
        sources.close()
        await self.run.directory.refresh(force=True)
        await asyncio.sleep(FRESH_FOR)  # the server's own copy is not asked for before that

    async def tell(self, deliveries: Iterable[Delivery], until: datetime) -> None:
        """Let the sources deliver, each at its time, and move on to the end of the step."""
        sources = Sources(self.address, self._source_token)
        await deliver(list(deliveries), sources.post, self.clock.set, self.run.drain)
        sources.close()
        self.clock.set(until)

    def _source_token(self, slug: str, name: str) -> str:
        return self.token(kind="source", sub=slug, name=name)["Authorization"].removeprefix("Bearer ")


@contextmanager
def serving(folder: Path, verify: SSLContext | None = None) -> Iterator[str]:
    """Run `overblik serve` in demo mode on a folder; give its address; stop it as Ctrl-C does.

    With `verify` it is spoken to by TLS, for which the environment has the certificate.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"{'https' if verify else 'http'}://127.0.0.1:{port}"
    environment = {
        **os.environ,
        "OVERBLIK_DATA": str(folder),
        "OVERBLIK_MODE": "demo",
        "OVERBLIK_PORT": str(port),
    }
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "overblik", "serve"], cwd=ROOT, env=environment, stdout=log, stderr=log
        )
    try:
        _wait_until_ready(address, folder, verify)
        yield address
    finally:
        process.terminate()
        process.wait(30)


def _wait_until_ready(address: str, folder: Path, verify: SSLContext | None) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while time.monotonic() < deadline:
        with suppress(httpx.HTTPError):
            if httpx.get(f"{address}/readyz", timeout=2, verify=verify or True).status_code == 200:
                return
        time.sleep(0.1)
    raise AssertionError((folder / "server.log").read_text(errors="replace")[-2000:])


@asynccontextmanager
async def live(folder: Path) -> AsyncIterator[Live]:
    """Open a live server on an empty folder."""
    with serving(folder) as address:
        postgres = EmbeddedPostgres(folder)
        conninfo = postgres.start()
        try:
            settings = Settings(data=folder, mode="demo", connections=4)
            async with runtime(settings, conninfo, migrating=False) as run:
                yield Live(run, address, DemoClock(folder / "clock"))
        finally:
            postgres.stop()
