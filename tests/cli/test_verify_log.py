"""`overblik verify-log` on a database that a served process wrote, as an operator runs it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import httpx
import psycopg
import pytest

from overblik.store.embedded import EmbeddedPostgres
from overblik.trust.log.checkpoint import opened, parsed
from tests.journeys.live import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.long


def overblik(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OVERBLIK_DATA": str(folder), "OVERBLIK_MODE": "demo", "COLUMNS": "200"}
    command = [sys.executable, "-m", "overblik", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def verify_log(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return overblik(folder, "verify-log", *arguments)


def log_some(server: EmbeddedPostgres) -> None:
    """Write entries, as a server does."""
    with psycopg.connect(server.conninfo, autocommit=True) as connection:
        connection.execute("""with logged as (insert into access_log
            select n % 3, gen_random_uuid(), uuid_send(gen_random_uuid()), now(), gen_random_uuid(), 'api', 'read',
                   'permit', 'system', null, 'system', 'system', 'Overblik', '', '', '', '', 'TREAT', '', '',
                   '{}', '{}'
            from generate_series(1, 600) n returning pid, at, lid)
            insert into log_queue select pid, at, lid from logged""")


def head(address: str, size: int = 600) -> str:
    """Return the first checkpoint of so many leaves; a head is signed once a second."""
    for _ in range(300):
        answer = httpx.get(f"{address}/log/checkpoint")
        if answer.status_code == 200 and parsed(answer.text).size == size:
            return answer.text
        time.sleep(0.1)
    raise TimeoutError


@pytest.fixture
def server(folder: Path) -> Iterator[EmbeddedPostgres]:
    made = EmbeddedPostgres(folder)
    made.start()
    yield made
    made.stop()


def test_what_a_server_logged_is_sealed_signed_and_sound_until_it_is_touched(
    server: EmbeddedPostgres, folder: Path, tmp_path: Path
) -> None:
    with serving(folder) as address:
        log_some(server)
        kept = tmp_path / "checkpoint"
        kept.write_text(head(address))
        key = httpx.get(f"{address}/log/key").text.strip()
        sound = verify_log(folder, "--key", key, "--checkpoint", kept)
        assert (sound.returncode, sound.stdout) == (0, ""), sound.stdout + sound.stderr
        assert "The log is sound: 600 entries of 3 records" in sound.stderr
        turned = overblik(folder, "keys", "rotate-log")  # while it is served, by another process
        new, _, note = turned.stdout.partition("\n")
        assert turned.returncode == 0, turned.stderr
        assert note.count("\u2014 ") == 2
        assert httpx.get(f"{address}/log/key").text.strip() == new != key
        log_some(server)
        assert opened(head(address, 1200), new).size == 1200, "the server's own signer has the new key"
        for trusted in (key, new):
            sound = verify_log(folder, "--key", trusted, "--checkpoint", kept)
            assert (sound.returncode, sound.stdout) == (0, ""), sound.stdout + sound.stderr
    with psycopg.connect(server.conninfo, autocommit=True) as connection:
        connection.execute("alter table access_log disable trigger all")
        connection.execute("update access_log set actor = 'nobody' where lid = (select lid from log_leaf where n = 41)")
    broken = verify_log(folder)
    assert broken.returncode == 1
    assert "leaf 41: the entry is not what was sealed" in broken.stdout.splitlines()[0]
    unread = verify_log(folder, "--key", "x")
    assert (unread.returncode, "cannot be read" in unread.stderr) == (1, True)
