"""One running server for all clients of a session, and the npm packages beside the repository."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from overblik.app.runtime import Runtime, runtime
from overblik.app.settings import Settings
from overblik.store.embedded import EmbeddedPostgres
from tests.folders import open_folder
from tests.journeys.live import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PACKAGES = {"fhirclient": "2.6.3", "fhir-kit-client": "2.0.3", "@medplum/core": "5.2.13"}
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Server:
    """Where the server is, the token of the source that the clients speak for, and our own hold on its database."""

    base: str
    token: str
    stranger: str
    run: Runtime


@pytest.fixture(scope="session")
async def server() -> AsyncIterator[Server]:
    """Run the server in a process of its own."""
    with open_folder("clients") as folder, serving(folder) as address:
        postgres = EmbeddedPostgres(folder)
        conninfo = postgres.start()
        try:
            settings = Settings(data=folder, mode="demo", connections=4)
            async with runtime(settings, conninfo, migrating=False) as run:
                assert run.issuer is not None
                tokens = [run.issuer.token({"kind": "source", "sub": name, "name": name}) for name in ("gate", "other")]
                yield Server(f"{address}/fhir", tokens[0], tokens[1], run)
        finally:
            postgres.stop()


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """Return a folder outside the repository that has the npm packages; skip where they cannot be had."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("node and npm are not installed (apt install nodejs npm)")
    wanted = json.dumps({"private": True, "dependencies": PACKAGES}, sort_keys=True)
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "overblik"
    folder = cache / f"clients-{hashlib.sha256(wanted.encode()).hexdigest()[:16]}"
    if not (folder / "installed").exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text(wanted)
        command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--legacy-peer-deps"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
        if done.returncode != 0:
            pytest.skip(f"npm could not install {', '.join(PACKAGES)}: {done.stderr.strip()[-300:]}")
        (folder / "installed").touch()
    return folder


@pytest.fixture(scope="session")
def run_js(server: Server, node_modules: Path) -> Any:
    """Give a function that runs a script of this folder and returns what it says it found."""

    def run(name: str) -> dict[str, Any]:
        script = node_modules / name
        shutil.copy(HERE / name, script)  # node looks for packages beside the script
        done = subprocess.run(
            ["node", str(script)],
            env={"PATH": os.environ["PATH"], "BASE": server.base, "TOKEN": server.token, "STRANGER": server.stranger},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return dict(json.loads(done.stdout.splitlines()[-1]))

    return run
