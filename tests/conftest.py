"""What tests share: a real PostgreSQL, one database cloned a test, an injected clock, clients by caller."""

from __future__ import annotations

import os
import zlib
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, LiteralString
from uuid import uuid4

import httpx
import psycopg
import pytest
from hypothesis import HealthCheck, Phase, is_hypothesis_test, seed, settings

from overblik.app.runtime import Runtime, runtime
from overblik.app.server import application
from overblik.app.settings import Settings
from overblik.fhir.strict_json import dumps
from overblik.store.database import Database
from overblik.store.embedded import EmbeddedPostgres
from overblik.store.migrate import migrate
from overblik.trust.keys.masters import FileMasters
from tests.folders import open_folder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from concurrent.futures import Future

# How long an example takes depends on what else the machine does: nothing fails by it.
settings.register_profile("overblik", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("overblik")
DRAWN = settings(
    database=None, phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip
"""How populations and what is asked of them are drawn: many, and none made smaller."""
SHARED = Path(os.environ.get("OVERBLIK_SHARED", Path(__file__).parents[2] / "shared"))
DATA = SHARED / "data"
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
"""A Monday. Every test's clock starts here."""


LONG = {
    "canaries/test_shown.py",
    "canaries/test_sweep.py",
    "demo/test_population.py",
    "demo/test_delivery.py",
    "exchange/test_again.py",
    "exchange/test_hospital_notification_activities.py",
    "fhir/test_compile_definitions.py",
    "fhir/test_index_files.py",
    "fhir/test_shape.py",
    "fhir/test_xml.py",
    "fhir/test_xml_files.py",
    "sealed/test_again.py",
    "sealed/test_rotation.py",
    "security/test_pages.py",
    "security/test_parsing.py",
    "store/test_copy.py",
    "store/test_search_plans.py",
    "web/test_escaping.py",
    "web/test_live_cases.py",
}
"""Modules of many or slow cases: `./run test` runs them, `./run test everyday` leaves them out."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take how many cases some tests try, and whether others than in every run."""
    parser.addoption("--fresh", action="store_true", help="draw other examples than every run does (hypothesis)")
    parser.addoption("--tampering", default="210", help="changes to the log that verifiers must find (tests/trust)")
    parser.addoption("--equality", default="200", help="requests on the wire, held against the log (tests/equality)")
    parser.addoption("--replay", default="150", help="requests whose decisions are made again (tests/trust)")
    parser.addoption("--injected", default="6", help="of how many places one fails in the long tests (tests/faults)")
    parser.addoption("--oracle", default="3000", help="searches that the oracle compares (tests/search)")
    parser.addoption("--worlds", default="2000", help="requests that two worlds must answer alike (tests/worlds)")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the long modules."""
    for item in items:
        if item.path.relative_to(Path(__file__).parent).as_posix() in LONG:
            item.add_marker(pytest.mark.long)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Have every run draw the same examples, unless fresh ones are asked for.

    A change is judged by what it changes, not by what a run happened to draw; new examples are looked for on purpose.
    """
    if isinstance(item, pytest.Function) and is_hypothesis_test(item.obj) and not item.config.getoption("--fresh"):
        seed(zlib.crc32(item.nodeid.encode()))(item.obj)


def shared_files(pattern: str) -> list[Path]:
    """Return the real files a pattern matches; a test of none of them skips and says so."""
    return sorted(DATA.glob(pattern))


needs_shared = pytest.mark.skipif(not DATA.exists(), reason=f"the real files are not here ({DATA})")


class FixedClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime = NOW) -> None:
        self._now = now

    def now(self) -> datetime:
        """Return the instant it was set to."""
        return self._now

    def set(self, now: datetime) -> None:
        """Move it to an instant."""
        self._now = now

    def forward(self, **parts: float) -> datetime:
        """Move it on, and return the new instant."""
        self._now += timedelta(**parts)
        return self._now


FOR_TESTS = {
    "fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "max_connections": "200",
    # A worker of autovacuum is a superuser's, and a database it is in cannot be dropped by us.
    "autovacuum": "off", "max_wal_size": "'256MB'",
}  # fmt: skip
"""A server that may lose data in a crash, which only kill tests must not."""


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """One server for all tests of a worker; it may lose data in a crash, which only kill tests must not."""
    with open_folder("tests", in_memory=True) as folder:
        server = EmbeddedPostgres(folder, FOR_TESTS)
        server.start()
        yield server
        server.stop()


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a folder for a server of its own: PostgreSQL's user can enter it, as it cannot enter `tmp_path`."""
    with open_folder("test") as made:
        yield made


@pytest.fixture(scope="session")
async def template(postgres: EmbeddedPostgres) -> str:
    """Return the name of a migrated database that tests are cloned from."""
    database = Database(postgres.conninfo, size=2)
    await database.open(allow_unsafe=True)
    await migrate(database)
    await database.close()
    return "overblik"


@pytest.fixture(scope="session")
def copies(postgres: EmbeddedPostgres, template: str) -> Iterator[Copies]:
    """Copy databases ahead of the tests of a worker."""
    made = Copies(postgres.conninfo, template)
    yield made
    made.close()


@pytest.fixture
def clones(copies: Copies) -> Iterator[Clones]:
    """Make databases for one test, and drop them after it."""
    made = Clones(copies)
    yield made
    made.drop()


class Copies:
    """Copies of the template. A thread makes some ahead and drops the used ones, so that no test waits for it."""

    AHEAD = 3

    def __init__(self, base: str, template: str) -> None:
        self.base = base
        self._template = template
        self._worker = ThreadPoolExecutor(1, "copies")
        self.admin = base.replace("dbname=overblik", "dbname=postgres")
        self._connected = self._worker.submit(self._connect)
        self._coming = deque(self.copy(template) for _ in range(self.AHEAD))

    def take(self) -> str:
        """Return the name of a copy of the template that nobody else gets, and have the next one made."""
        self._coming.append(self.copy(self._template))
        return self._coming.popleft().result()

    def copy(self, template: str) -> Future[str]:
        """Copy a database that nobody is connected to."""
        name = f"t{uuid4().hex[:16]}"
        return self._worker.submit(self._run, name, f"create database {name} template {template} strategy file_copy")

    def drop(self, name: str) -> None:
        """Drop a copy, some time."""
        self._worker.submit(self._run, name, f"drop database {name} with (force)")

    def close(self) -> None:
        """Stop; the server's folder goes, and what is left of them with it."""
        self._worker.shutdown(cancel_futures=True)
        self._connected.result().close()

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.admin, autocommit=True)

    def _run(self, name: str, statement: LiteralString) -> str:
        self._connected.result().execute(statement)
        return name


class Clones:
    """Databases of one test, cloned from the template."""

    def __init__(self, copies: Copies) -> None:
        self._copies = copies
        self._names: list[str] = []

    def make(self) -> str:
        """Clone the template and return how to connect to the copy."""
        return self._of(self._copies.take())

    def copy_of(self, conninfo: str) -> str:
        """Copy a database that nobody is connected to."""
        return self._of(self._copies.copy(conninfo.split("dbname=")[1].split(maxsplit=1)[0]).result())

    def admin(self) -> str:
        """Return how to connect to the server beside the copies."""
        return self._copies.admin

    def _of(self, name: str) -> str:
        self._names.append(name)
        return self._copies.base.replace("dbname=overblik", f"dbname={name}")

    def drop(self) -> None:
        """Have every copy dropped."""
        for name in self._names:
            self._copies.drop(name)


@pytest.fixture
def clock() -> FixedClock:
    """Return the clock of one test."""
    return FixedClock()


@dataclass
class World:
    """A server with its database, and clients that speak to it by caller."""

    run: Runtime
    http: httpx.AsyncClient
    clock: FixedClock

    def token(self, **claims: Any) -> dict[str, str]:
        """Return the header of a caller."""
        assert self.run.issuer is not None
        return {"Authorization": f"Bearer {self.run.issuer.token(claims)}"}

    def source(self, name: str = "gateway") -> dict[str, str]:
        """Return a source's header; an unregistered name is a gateway for any sender."""
        return self.token(kind="source", sub=name, name=name)

    def citizen(self, cpr: str) -> dict[str, str]:
        """Return a citizen's header."""
        return self.token(kind="citizen", sub=cpr, name="Borger")

    def professional(self, org: str, identifier: str = "TEST1") -> dict[str, str]:
        """Return the header of a professional signed in at a unit."""
        return self.token(kind="professional", sub=identifier, name="Test Person", role="læge", org=org)

    def system(self) -> dict[str, str]:
        """Return the system's header."""
        return self.token(kind="system", sub="system", name="Overblik")

    async def get(self, path: str, who: dict[str, str], **kwargs: Any) -> httpx.Response:
        """GET below the FHIR base."""
        return await self.http.get(f"/fhir{path}", headers=who | kwargs.pop("headers", {}), **kwargs)

    async def post(self, path: str, who: dict[str, str], body: Any, **kwargs: Any) -> httpx.Response:
        """POST JSON (or bytes as they are) below the FHIR base."""
        headers = {"Content-Type": "application/fhir+json", **who, **kwargs.pop("headers", {})}
        content = body if isinstance(body, bytes) else dumps(body)
        return await self.http.post(f"/fhir{path}", headers=headers, content=content, **kwargs)

    async def put(self, path: str, who: dict[str, str], body: Any, **headers: str) -> httpx.Response:
        """PUT JSON below the FHIR base."""
        sent = {"Content-Type": "application/fhir+json", **who, **headers}
        return await self.http.put(f"/fhir{path}", headers=sent, content=dumps(body))

    async def replace(self, path: str, who: dict[str, str], body: Any) -> httpx.Response:
        """PUT JSON over the version that stands, as one who has just read it."""
        etag = (await self.get(path, who)).headers.get("ETag")
        return await self.put(path, who, body, **({"If-Match": etag} if etag else {}))

    async def message(self, body: bytes, who: dict[str, str] | None = None) -> httpx.Response:
        """Post a message or document to $process-message."""
        return await self.post("/$process-message", who or self.source(), body)

    async def patient_id(self, cpr: str, who: dict[str, str] | None = None) -> str:
        """Return the id of a Patient with a CPR that a caller may see, "" for none."""
        found = await self.get(f"/Patient?identifier=urn:oid:1.2.208.176.1.2|{cpr}", who or self.system())
        entries = found.json().get("entry", [])
        return str(entries[0]["resource"]["id"]) if entries else ""

    async def overview(self, cpr: str, who: dict[str, str], **params: str) -> dict[str, Any]:
        """Return the overview of a person as a caller sees it."""
        patient = await self.patient_id(cpr, who)
        response = await self.get(f"/Patient/{patient}/$overview", who, params=params)
        assert response.status_code == 200, response.text
        return dict(response.json())


@asynccontextmanager
async def open_world(
    conninfo: str, folder: Path, clock: FixedClock, *, body_keys: Path | None = None
) -> AsyncIterator[World]:
    """Open a server on a database, spoken to without a network; with master keys it seals bodies.

    With OVERBLIK_TEST_SEALED in the environment every such server does: `./run test` with it tries all again.
    """
    if body_keys is None and "OVERBLIK_TEST_SEALED" in os.environ:
        body_keys = folder / "master.keys"
        if not body_keys.exists():
            FileMasters(body_keys).add()
    settings = Settings(data=folder, mode="test", connections=6, base_url="http://test", body_keys=body_keys)
    async with runtime(settings, conninfo, clock=clock, migrating=False) as run:
        transport = httpx.ASGITransport(application(run), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            yield World(run, http, clock)


@pytest.fixture
async def world(clones: Clones, tmp_path: Path, clock: FixedClock) -> AsyncIterator[World]:
    """Return one server with an empty database."""
    async with open_world(clones.make(), tmp_path, clock) as opened:
        yield opened
