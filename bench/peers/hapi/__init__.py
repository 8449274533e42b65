"""HAPI FHIR's JPA server, from Maven Central, on a PostgreSQL of its own with the settings of ours.

`pom.xml` names what is fetched, `Peer.java` starts it; both are compiled into `target/`, which git does
not see. Needs a JDK 17 or newer and Maven (`apt install openjdk-17-jdk-headless maven`).
"""

from __future__ import annotations

import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from bench.cpu import spent
from bench.target import Target, free_port, wait_for
from overblik.store.embedded import DATABASE, ROLE, EmbeddedPostgres

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
BUILT = HERE / "target"
START_SECONDS = 900
"""The first start makes two hundred tables."""
MEMORY = "-Xmx2g"


@contextmanager
def served(folder: Path) -> Iterator[Target]:
    """Serve on a folder, empty or of before."""
    classes = _built()
    database = EmbeddedPostgres(folder)
    database.start()
    port = free_port()
    socket = folder / "socket" / ".s.PGSQL.5432"
    command = ["java", MEMORY, "-cp", classes, "Peer", str(port), str(socket), DATABASE, ROLE]
    with (folder / "hapi.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 - a fixed program
    try:
        base = f"http://127.0.0.1:{port}/fhir"
        seconds = wait_for(f"{base}/metadata", process, START_SECONDS)
        version = httpx.get(f"{base}/metadata", timeout=60).json()["software"]["version"]
        yield Target(f"HAPI {version}", base, {}, process.pid, folder, lambda: spent(process.pid, folder), seconds)
    finally:
        process.terminate()
        process.wait(60)
        database.stop()


def _built() -> str:
    """Fetch and compile what is not there yet; return the class path."""
    if shutil.which("mvn") is None or shutil.which("javac") is None:
        raise SystemExit("bench: HAPI needs Maven and a JDK (apt install maven openjdk-17-jdk-headless)")
    listed, classes = BUILT / "classpath", BUILT / "classes"
    sources = max((HERE / name).stat().st_mtime for name in ("pom.xml", "Peer.java"))
    if not listed.exists() or listed.stat().st_mtime < sources:
        classes.mkdir(parents=True, exist_ok=True)
        found = BUILT / "classpath.new"
        _run("mvn", "-q", "-B", "dependency:build-classpath", f"-Dmdep.outputFile={found}")
        _run("javac", "-proc:none", "-nowarn", "-d", str(classes), "-cp", found.read_text(), "Peer.java")
        found.rename(listed)
    return f"{classes}:{listed.read_text()}"


def _run(*command: str) -> None:
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)  # noqa: S603 - fixed programs
    if done.returncode != 0:
        raise SystemExit(f"bench: {command[0]} failed:\n{(done.stdout + done.stderr)[-2000:]}")
