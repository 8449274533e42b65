"""`overblik population` and `overblik load` as an operator runs them; what a kill leaves is gone on with."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psycopg
import pytest

from overblik.store.embedded import EmbeddedPostgres

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.long
PATIENTS = 150


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "OVERBLIK_DATA": str(folder), "OVERBLIK_MODE": "test", "COLUMNS": "200"}


def overblik(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "overblik", *map(str, arguments)]
    return subprocess.run(command, env=environment(folder), capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def population(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("population") / "people"
    done = overblik(out, "population", "--patients", str(PATIENTS), "--out", out, "--quiet")
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture
def running(folder: Path) -> Iterator[EmbeddedPostgres]:
    """Keep the server up, so that several commands and the test share it."""
    server = EmbeddedPostgres(folder, {"fsync": "off", "full_page_writes": "off", "autovacuum": "off"})
    server.start()
    yield server
    server.stop()


def counts(server: EmbeddedPostgres) -> dict[str, int]:
    with psycopg.connect(server.conninfo) as connection:
        return dict(connection.execute("select type, count(*) from resource group by 1 order by 1").fetchall())


def lines_of(folder: Path) -> dict[str, int]:
    found = {path.name.split(".")[0]: len(path.read_bytes().splitlines()) for path in folder.glob("*.ndjson")}
    return {kind: count for kind, count in sorted(found.items()) if kind != "Organization" and count}


def test_the_same_seed_gives_the_same_bytes_and_a_folder_is_not_written_twice(population: Path, tmp_path: Path) -> None:
    out = tmp_path / "again"
    assert overblik(tmp_path, "population", "--patients", str(PATIENTS), "--out", out, "--gzip").returncode == 0
    for path in population.iterdir():
        assert gzip.decompress((out / f"{path.name}.gz").read_bytes()) == path.read_bytes()
    refused = overblik(tmp_path, "population", "--patients", "1", "--out", out)
    assert refused.returncode == 1
    assert "name an empty folder" in refused.stderr


def test_a_population_is_loaded_and_loading_it_again_changes_nothing(
    running: EmbeddedPostgres, population: Path, tmp_path: Path
) -> None:
    done = overblik(running.data, "load", population)
    total = sum(lines_of(population).values()) + 61
    assert (done.returncode, done.stdout.strip()) == (0, f"{total} taken"), done.stderr
    assert counts(running) == lines_of(population)
    with psycopg.connect(running.conninfo) as connection:
        unnumbered = connection.execute("select count(*) from change where seq is null").fetchone()
    assert unnumbered == (0,), "what was loaded is numbered, and so seen at once"
    again = overblik(running.data, "load", population)
    assert again.stdout.strip() == f"{total} known"
    packed = tmp_path / "Observation.ndjson.gz"
    packed.write_bytes(gzip.compress((population / "Observation.ndjson").read_bytes()))
    assert overblik(running.data, "load", packed).stdout.strip().endswith(" known")
    assert counts(running) == lines_of(population)


def test_lines_in_any_order_and_in_any_file_are_one_population(
    running: EmbeddedPostgres, population: Path, tmp_path: Path
) -> None:
    everything = b"\n".join(p.read_bytes().strip() for p in sorted(population.iterdir(), reverse=True)).splitlines()
    (tmp_path / "b.ndjson").write_bytes(b"\n".join(everything[::2]))
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(b"\r\n".join(everything[1::2])))
    done = overblik(running.data, "load", tmp_path)
    assert done.stdout.strip() == f"{len(everything)} taken", done.stdout + done.stderr
    assert counts(running) == lines_of(population)


def test_what_is_refused_is_named_and_kept_and_a_damaged_file_stops_nothing(
    running: EmbeddedPostgres, tmp_path: Path
) -> None:
    good = {"resourceType": "Patient", "id": "1", "identifier": [{"system": "urn:x", "value": "1"}]}
    bad = {**good, "id": "2", "colour": "red"}
    (tmp_path / "p.ndjson").write_text(f"{json.dumps(good)}\n{json.dumps(bad)}\n{{\n")
    (tmp_path / "q.ndjson.gz").write_bytes(gzip.compress(b"{}")[:-4])
    kept = tmp_path / "refused"
    done = overblik(running.data, "load", tmp_path, "--refusals", kept)
    assert done.returncode == 0, done.stderr
    assert "p.ndjson:2: refused (unknown-element) Patient has no element 'colour'. (Patient.colour)" in done.stdout
    assert "p.ndjson:3: refused (json-invalid)" in done.stdout
    assert "q.ndjson.gz: refused (file-unreadable)" in done.stdout
    assert done.stdout.splitlines()[-1] == "2 refused, 1 refused (file-unreadable), 1 taken"
    told = [json.loads(line) for line in kept.read_text().splitlines()]
    assert [(t["line"], t["code"]) for t in told] == [(2, "unknown-element"), (3, "json-invalid")]
    assert json.loads(told[0]["content"]) == bad
    assert kept.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["load", "/nowhere"], "does not exist"),
        (["load", "{empty}"], "no files there"),
        (["load", "{people}", "--source", "a b"], "needs 31 of the characters"),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence(
    running: EmbeddedPostgres, population: Path, tmp_path: Path, arguments: list[str], words: str
) -> None:
    done = overblik(running.data, *(a.format(empty=tmp_path, people=population) for a in arguments))
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_source_that_is_not_registered_loads_nothing_in_production(population: Path, folder: Path) -> None:
    command = [sys.executable, "-m", "overblik", "load", str(population), "--source", "stranger"]
    done = subprocess.run(
        command,
        env={**environment(folder), "OVERBLIK_MODE": "production"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1
    assert "not a registered source" in done.stderr


@pytest.mark.parametrize("seed", range(2))
def test_a_kill_at_any_moment_loses_and_doubles_nothing(running: EmbeddedPostgres, population: Path, seed: int) -> None:
    """Killed again and again, each time a little later, until the load is through."""
    whole: dict[str, int] = {}
    for attempt in range(6):
        command = [sys.executable, "-m", "overblik", "load", str(population), "--workers", "2"]
        with subprocess.Popen(command, env=environment(running.data), start_new_session=True) as loading:
            wait_for_rows(running, more_than=sum(whole.values()), seconds=6 + attempt)
            time.sleep(0.05 * (seed + attempt))
            victims = [loading.pid] if attempt % 2 else [loading.pid, *children(loading.pid)[:1]]
            finished = loading.poll() is not None
            for pid in victims if not finished else []:
                kill(pid)
        now = counts_or_none(running)
        assert all(now.get(kind, 0) >= count for kind, count in whole.items()), "what was there is there"
        whole = now
        if finished:
            break
    last = overblik(running.data, "load", population)
    assert last.returncode == 0, last.stderr
    assert counts(running) == lines_of(population)
    with psycopg.connect(running.conninfo) as connection:
        rows = connection.execute("""select
            (select count(*) from locator) - (select count(*) from resource),
            (select count(*) from change c where c.pid <> 0 and not exists
                (select from access_log a where a.pid = c.pid and a.at = c.at)),
            (select count(*) from resource r where not exists
                (select from change c where c.pid = r.pid and c.cid = r.cid)),
            (select count(*) from record) - (select count(distinct pid) from resource)""").fetchone()
    assert rows == (0, 0, 0, 0), "data, changes and log are whole together"


def wait_for_rows(server: EmbeddedPostgres, *, more_than: int, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and sum(counts_or_none(server).values()) <= more_than:
        time.sleep(0.05)


def counts_or_none(server: EmbeddedPostgres) -> dict[str, int]:
    try:
        return counts(server)
    except psycopg.errors.UndefinedTable:
        return {}


def children(pid: int) -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(word) for word in found.stdout.split()]


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
