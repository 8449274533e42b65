"""Overblik itself, served for a measurement: its own data folder, production settings, test issuer."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from bench.cpu import spent
from bench.population import UNIT
from bench.target import Target, free_port, wait_for
from overblik.app.postgres import server_of
from overblik.app.runtime import runtime
from overblik.app.settings import Settings
from overblik.trust.callers.tokens import TestIssuer
from overblik.trust.keys.keyring import open_keyring

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
SOURCE = "bench"
NURSE = {"kind": "professional", "sub": "BENCH", "name": "Bench", "role": "sygeplejerske", "org": UNIT}


@contextmanager
def served(folder: Path, workers: int, source: str = SOURCE, program: str = "overblik serve") -> Iterator[Target]:
    """Serve on a folder, empty or of before; requests come from a source that may read its own."""
    folder.chmod(0o755)
    port = free_port()
    environment = {**os.environ, **_environment(folder), "OVERBLIK_PORT": str(port), "OVERBLIK_WORKERS": str(workers)}
    command = [sys.executable, "-m", *program.split()]
    process = subprocess.Popen(command, cwd=ROOT, env=environment)  # noqa: S603 - our own
    try:
        seconds = wait_for(f"http://127.0.0.1:{port}/readyz", process, 180)
        headers = bearer(folder, {"kind": "source", "sub": source, "name": source})
        base = f"http://127.0.0.1:{port}/fhir"
        yield Target("Overblik", base, headers, process.pid, folder, lambda: spent(process.pid, folder), seconds)
    finally:
        process.terminate()
        process.wait(30)


def _environment(folder: Path) -> dict[str, str]:
    return {"OVERBLIK_DATA": str(folder), "OVERBLIK_MODE": "demo"}


def settings(folder: Path) -> Settings:
    """Return the settings of the server of a folder, for work beside it."""
    return Settings(data=folder, mode="demo")


def bearer(folder: Path, claims: dict[str, Any]) -> dict[str, str]:
    """Return the header of a test token with these claims."""
    issuer = TestIssuer("demo", open_keyring(folder / "keys" / "server.key"), None, None)  # type: ignore[arg-type]
    return {"Authorization": f"Bearer {issuer.token(claims)}"}


async def links(folder: Path, identifiers: list[str]) -> list[str]:
    """Return under what name each citizen is a test person, beside the running server."""
    return await persons(folder, [{"kind": "citizen", "sub": cpr} for cpr in identifiers])


async def persons(folder: Path, claims: list[dict[str, Any]]) -> list[str]:
    """Make test persons, beside the running server; return under what names."""
    with server_of(settings(folder)) as conninfo:
        async with runtime(settings(folder), conninfo, migrating=False) as opened:
            if opened.provider is None:
                return []
            return [await opened.provider.add(claim) for claim in claims]


async def page_of(target: Target, claims: dict[str, Any]) -> tuple[str, str]:
    """Sign a test person in; return the path of their pages, and the cookie that opens them."""
    if target.folder is None:
        raise SystemExit("bench: nobody can be signed in to a server that was not started for this")
    (code,) = await persons(target.folder, [claims])
    address = target.base.removesuffix("/fhir")
    async with httpx.AsyncClient(base_url=address, follow_redirects=True, timeout=60) as http:
        into = await http.get(f"/sign-in?hint={code}")
        slot = into.url.path
        return slot, ";".join(f"{c.name}={c.value}" for c in http.cookies.jar if c.path == slot)


def command(folder: Path, *arguments: str) -> str:
    """Run one of Overblik's commands on a data folder; return what it says."""
    done = subprocess.run(  # noqa: S603 - our own
        [sys.executable, "-m", "overblik", *arguments],
        cwd=ROOT, env={**os.environ, **_environment(folder)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise SystemExit(f"bench: overblik {arguments[0]} failed:\n{(done.stdout + done.stderr)[-2000:]}")
    return done.stdout + done.stderr
