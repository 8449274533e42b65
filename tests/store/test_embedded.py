"""The embedded PostgreSQL: created, shared, stopped by the last to leave, started again when it dies."""

from __future__ import annotations

import multiprocessing
import os
import pwd
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from overblik.fhir.errors import Unavailable
from overblik.store.embedded import SERVICE_USER, EmbeddedPostgres

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.context import ForkProcess

pytestmark = pytest.mark.long
ROOT = os.geteuid() == 0


@pytest.fixture
def server(folder: Path) -> Iterator[EmbeddedPostgres]:
    made = EmbeddedPostgres(folder)
    made.start()
    yield made
    made.stop()
    assert not made.running()


def start_in_turn(folder: Path) -> None:
    with EmbeddedPostgres(folder)._starting():  # noqa: SLF001 - what a restart holds
        pass


def test_a_worker_forked_while_the_server_is_started_again_does_not_wait_for_itself(folder: Path) -> None:
    """Its parent's thread holds the lock just then, and the worker has the file that it is held by."""
    worker = multiprocessing.get_context("fork").Process(target=start_in_turn, args=(folder,), daemon=True)
    with EmbeddedPostgres(folder)._starting():  # noqa: SLF001 - as above
        worker.start()
    worker.join(30)
    assert worker.exitcode == 0


def test_workers_forked_while_its_programs_begin_do_not_keep_the_watcher_waiting(server: EmbeddedPostgres) -> None:
    """Each lives on, as a worker does: what it took along by chance stays open for as long."""
    asking = threading.Thread(target=lambda: [server.running() for _ in range(100)], daemon=True)
    asking.start()
    workers: list[ForkProcess] = []
    while asking.is_alive() and len(workers) < 800:
        worker = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,), daemon=True)
        worker.start()
        workers.append(worker)
    asking.join(20)
    stuck = asking.is_alive()
    for worker in workers:
        worker.kill()
        worker.join()
    assert len(workers) > 20
    assert not stuck


def query(conninfo: str, text: str) -> object:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        row = connection.execute(text).fetchone()
        return row[0] if row else None


def test_it_keeps_what_was_written_through_a_clean_stop(folder: Path) -> None:
    first = EmbeddedPostgres(folder)
    first.start()
    with psycopg.connect(first.conninfo, autocommit=True) as connection:
        connection.execute("create table kept as select 42 as n")
    first.stop()
    assert not first.running()
    again = EmbeddedPostgres(folder)
    again.start()
    assert query(again.conninfo, "select n from kept") == 42
    again.stop()


def test_only_its_user_gets_in(server: EmbeddedPostgres) -> None:
    assert server.cluster.stat().st_mode & 0o077 == 0
    assert (server.data / "socket").stat().st_mode & 0o077 == 0
    assert query(server.conninfo, "show listen_addresses") == ""
    assert "trust" not in (server.cluster / "pg_hba.conf").read_text()


@pytest.mark.skipif(not ROOT, reason="only root starts it as another user")
def test_root_starts_it_as_a_service_user(server: EmbeddedPostgres) -> None:
    pid = int((server.cluster / "postmaster.pid").read_text().split()[0])
    assert Path(f"/proc/{pid}").stat().st_uid == pwd.getpwnam(SERVICE_USER).pw_uid


@pytest.mark.skipif(not ROOT, reason="needs root to become another user")
def test_another_user_is_turned_away(server: EmbeddedPostgres) -> None:
    nobody = pwd.getpwnam("nobody")
    for folder in (server.cluster, server.data / "socket"):
        done = subprocess.run(
            ["/bin/ls", str(folder)], user=nobody.pw_uid, group=nobody.pw_gid, capture_output=True, check=False
        )
        assert done.returncode != 0


@pytest.mark.skipif(not ROOT, reason="an ordinary user enters its own folders")
def test_a_folder_that_the_service_user_cannot_enter_is_named(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(Unavailable, match="OVERBLIK_DATA"):
        EmbeddedPostgres(closed / "data").start()


def test_its_own_log_quotes_no_values(server: EmbeddedPostgres) -> None:
    number = "2512489996"
    assert query(server.conninfo, "show log_error_verbosity") == "terse"
    with psycopg.connect(server.conninfo, autocommit=True) as connection:
        connection.execute("create table person (cpr text primary key)")
        connection.execute("insert into person values (%s)", [number])
        with pytest.raises(psycopg.errors.UniqueViolation, match=number):
            connection.execute("insert into person values (%s)", [number])
        with (
            pytest.raises(psycopg.errors.UniqueViolation),
            connection.cursor() as cursor,
            cursor.copy("copy person from stdin") as copy,
        ):
            copy.write_row([number])
    log = (server.cluster / "overblik.log").read_text()
    assert log.count("duplicate key value") == 2
    assert number not in log


def test_f34_several_processes_share_it_and_the_last_one_stops_it(folder: Path) -> None:
    first, second = EmbeddedPostgres(folder), EmbeddedPostgres(folder)
    first.start()
    second.start()
    first.stop()
    assert second.running()
    assert query(second.conninfo, "select 1") == 1
    second.stop()
    assert not second.running()


def test_a_user_that_was_killed_does_not_keep_it_running(folder: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from overblik.store.embedded import EmbeddedPostgres;"
        f"EmbeddedPostgres(Path({str(folder)!r})).start(); print('up', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"up\n"
        mine = EmbeddedPostgres(folder)
        mine.start()
        other.kill()
        other.wait()
    mine.stop()
    assert not mine.running()


def test_it_starts_again_when_its_postmaster_is_killed(server: EmbeddedPostgres) -> None:
    server.watch(every=0.1)
    os.kill(int((server.cluster / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    deadline = time.monotonic() + 30
    while True:
        try:
            found = query(server.conninfo, "select 1")
        except psycopg.OperationalError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        else:
            assert found == 1
            return


def test_half_a_cluster_is_made_again(folder: Path) -> None:
    """A kill during initdb leaves a folder that never counts as a cluster."""
    (folder / "postgres.new").mkdir()
    (folder / "postgres.new" / "PG_VERSION").write_text("18")
    server = EmbeddedPostgres(folder)
    server.start()
    assert query(server.conninfo, "select 1") == 1
    server.stop()


def test_a_long_path_gets_a_short_socket(folder: Path) -> None:
    server = EmbeddedPostgres(folder / ("x" * 90) / "data")
    (folder / ("x" * 90)).mkdir(parents=True)
    server.start()
    assert query(server.conninfo, "select 1") == 1
    server.stop()
