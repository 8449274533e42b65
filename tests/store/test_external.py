"""An external PostgreSQL: what can be wrong with it is said in words that help; least rights are enough."""

from __future__ import annotations

import subprocess
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import psycopg
import pytest

from overblik.fhir.errors import Unavailable
from overblik.store.database import Database
from overblik.store.migrate import grant, migrate, migrations
from tests.app.loads import observation, patient, take
from tests.conftest import FixedClock, open_world
from tests.folders import open_folder
from tests.store.external import (
    CLOSED,
    CREATE,
    OWNER,
    PASSWORD,
    RUNNER,
    Certificates,
    External,
    external_server,
    make_certificates,
    old_server,
    tls_in_front,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

pytestmark = pytest.mark.long
HOST, TLS_HOST, OLD_HOST, NOBODY = "127.83.1.1", "127.83.1.2", "127.83.1.3", "127.83.1.4"


@pytest.fixture(scope="module")
def server() -> Iterator[External]:
    with open_folder("external") as folder, external_server(folder, HOST) as started:
        yield started


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    database = Database(url, size=2)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


async def refused(url: str) -> Unavailable:
    with pytest.raises(Unavailable) as found:
        async with opened(url):
            pass
    assert PASSWORD not in found.value.text
    return found.value


async def test_a_server_that_is_as_it_should_be_is_used(server: External) -> None:
    async with opened(server.url()) as database:
        assert (await database.fetch("select 1 as one"))[0].one == 1


@pytest.mark.parametrize(
    ("role", "password", "database", "code"),
    [
        (OWNER, "wrong", "overblik", "database-password"),
        (OWNER, "", "overblik", "database-password"),
        ("nobody", PASSWORD, "overblik", "database-password"),
        ("locked", PASSWORD, "overblik", "database-role"),
        (CLOSED, PASSWORD, "overblik", "database-closed"),
        (OWNER, PASSWORD, "elsewhere", "database-missing"),
    ],
)
async def test_who_is_not_let_in_is_told_why(
    server: External, role: str, password: str, database: str, code: str
) -> None:
    assert (await refused(server.url(role, password, database))).code == code


@pytest.mark.parametrize(
    ("url", "code"),
    [
        (f"postgresql://x@{NOBODY}:5432/x", "database-down"),
        ("postgresql://x@no-such-host.invalid/x", "database-down"),
        ("postgresql://x@h/x?colour=red", "database-url"),
        ("mysql://x@h/x", "database-url"),
    ],
)
async def test_a_server_that_is_not_there_is_named(url: str, code: str) -> None:
    assert (await refused(url)).code == code


async def test_an_older_postgresql_is_refused_with_its_version() -> None:
    with open_folder("old") as folder, old_server(folder, OLD_HOST) as old:
        error = await refused(old.url(database="postgres"))
    assert (error.code, "16." in error.text) == ("postgres-too-old", True)


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
async def test_o01_a_server_that_can_lose_what_it_acknowledged_is_refused(server: External, setting: str) -> None:
    server.set(setting, "off")
    try:
        assert (await refused(server.url())).code == "postgres-not-durable"
    finally:
        server.set(setting, "on")


@pytest.mark.parametrize(
    "made_with", ["encoding 'LATIN1' locale_provider libc locale 'C'", "encoding 'SQL_ASCII' locale 'C'"]
)
async def test_a_database_that_sorts_or_writes_otherwise_is_refused(server: External, made_with: str) -> None:
    server.run(f"create database other owner {OWNER} template template0 {made_with}")
    try:
        error = await refused(server.url(database="other"))
    finally:
        server.run("drop database other with (force)")
    assert error.code == "database-locale"
    assert "createdb" in error.text


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("right"), TLS_HOST)


@pytest.mark.usefixtures("server")
async def test_tls_is_spoken_and_the_certificate_is_checked(certificates: Certificates) -> None:
    async with tls_in_front(TLS_HOST, HOST, certificates):
        front = External(TLS_HOST, "")
        async with opened(front.url(more=f"?sslmode=verify-full&sslrootcert={certificates.authority}")) as database:
            assert (await database.fetch("select 1 as one"))[0].one == 1
            reads = await database.share("select 2 as two", {})
            assert reads[0].two == 2, "the lanes speak TLS as the pool does"


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("case", ["another authority", "another host", "none where it is asked for", "in the clear"])
async def test_tls_that_does_not_hold_is_refused(certificates: Certificates, tmp_path: Path, case: str) -> None:
    other = make_certificates(tmp_path, "127.83.1.9")
    shown = other if case == "another host" else certificates
    authority = other.authority if case in {"another authority", "another host"} else certificates.authority
    mode = "disable" if case == "in the clear" else "verify-full"
    host = HOST if case == "none where it is asked for" else TLS_HOST
    async with tls_in_front(TLS_HOST, HOST, shown):
        error = await refused(External(host, "").url(more=f"?sslmode={mode}&sslrootcert={authority}"))
    assert error.code == ("database-down" if case == "in the clear" else "database-tls")


@pytest.fixture
def empty(server: External) -> Iterator[str]:
    """Give the name of an empty database of the owner."""
    server.run(CREATE.format("fresh", OWNER))
    yield "fresh"
    server.run("drop database fresh with (force)")


async def test_the_role_that_runs_the_server_does_all_its_work_with_least_rights(
    server: External, empty: str, tmp_path: Path
) -> None:
    async with opened(server.url(database=empty)) as database:
        assert await migrate(database) == migrations()
        await grant(database, RUNNER)
    clock = FixedClock()
    async with open_world(server.url(RUNNER, database=empty), tmp_path, clock) as world:
        assert await migrate(world.run.database) == [], "the runner finds that nothing is to be done"
        created = await world.post("/Patient", world.source(), {k: v for k, v in patient(1).items() if k != "id"})
        assert created.status_code == 201, created.text
        place = created.headers["Location"].split("/fhir")[1].split("/_history")[0]
        assert (await world.get(place, world.source())).status_code == 200
        assert (await world.put(place, world.source(), {**patient(2), "id": place.split("/")[2]})).status_code == 422
        assert (await world.http.delete(f"/fhir{place}", headers=world.source())).status_code == 204
        assert (await take(world, patient(3), observation(1, 3))).taken == 2
        await world.run.drain()
        numbered = await world.run.database.fetch("select seq from sequencer")
        assert numbered[0].seq > 0


FORBIDDEN = [
    "drop table resource",
    "truncate resource",
    "truncate access_log",
    "update access_log set actor = 'somebody else'",
    "delete from access_log",
    "update log_leaf set seq = 0",
    "delete from log_node",
    "delete from log_head",
    "update log_tree set secret = ''",
    "delete from history",
    "update shared_history set body = null",
    "delete from locator",
    "alter table access_log disable trigger all",
    "alter table resource add column x integer",
    "drop trigger access_log_append_only on access_log",
    "create table mine (x integer)",
    "insert into schema_migration (number, name, digest) values (99, 'x', 'x')",
    "create or replace function refuse_change() returns trigger language plpgsql as 'begin return new; end'",
    "copy resource to '/tmp/stolen'",
    "set session_replication_role = replica",
    f"set role {OWNER}",
]


async def test_the_role_that_runs_the_server_changes_no_table_and_no_log(server: External, empty: str) -> None:
    async with opened(server.url(database=empty)) as database:
        await migrate(database)
        await grant(database, RUNNER)
    with psycopg.connect(server.url(RUNNER, database=empty), autocommit=True) as connection:
        for statement in FORBIDDEN:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())


async def test_rights_that_were_given_too_widely_are_taken_back(server: External, empty: str) -> None:
    async with opened(server.url(database=empty)) as database:
        await migrate(database)
        await database.run(f"grant all on all tables in schema public to {RUNNER}")
        await grant(database, RUNNER)
        await grant(database, RUNNER)
    with psycopg.connect(server.url(RUNNER, database=empty), autocommit=True) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("delete from access_log")
        connection.execute("delete from session")


async def test_a_role_that_may_not_migrate_is_told_who_can(server: External, empty: str) -> None:
    async with opened(server.url(RUNNER, database=empty)) as database:
        with pytest.raises(Unavailable) as found:
            await migrate(database)
    assert found.value.code == "schema-behind"
    assert "0001 record" in found.value.text


async def test_rights_for_a_role_that_is_not_there_are_refused(server: External, empty: str) -> None:
    async with opened(server.url(database=empty)) as database:
        await migrate(database)
        with pytest.raises(Unavailable, match="no role ghost"):
            await grant(database, "ghost")


@pytest.mark.parametrize(
    ("password", "code", "words"), [(PASSWORD, 0, "0001 record"), ("wrong", 1, "refuses the role's")]
)
def test_the_operator_sets_a_url_from_a_file_and_reads_one_sentence(
    server: External, empty: str, tmp_path: Path, password: str, code: int, words: str
) -> None:
    secret = tmp_path / "url"
    secret.write_text(server.url(OWNER, password, empty) + "\n")
    environment = {"OVERBLIK_DATABASE_URL_FILE": str(secret), "OVERBLIK_DATA": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-m", "overblik", "migrate", "--grant", RUNNER],
        env=environment, capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == code
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert password not in done.stderr + done.stdout
