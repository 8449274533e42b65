"""A worker that starts while there is no database: it lives, says so, and goes on when there is one."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from overblik.app import server
from overblik.fhir.errors import OverblikError
from tests.store.test_lost import between

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from overblik.store.embedded import EmbeddedPostgres
    from tests.conftest import Clones


async def _run(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    await app(scope, receive, send)


@asynccontextmanager
async def living(app: ASGIApp) -> AsyncIterator[httpx.AsyncClient]:
    """Start an application as a server does, and give a client of it."""
    told: asyncio.Queue[Message] = asyncio.Queue()
    said: asyncio.Queue[Message] = asyncio.Queue()
    life = asyncio.create_task(_run(app, {"type": "lifespan", "asgi": {"version": "3.0"}}, told.get, said.put))
    await told.put({"type": "lifespan.startup"})
    started = await said.get()
    if started["type"] != "lifespan.startup.complete":
        await life
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http:
        yield http
    await told.put({"type": "lifespan.shutdown"})
    await life


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    monkeypatch.setattr(server, "AGAIN", 0.05)
    monkeypatch.setattr(server, "_settle_memory", lambda: None)
    monkeypatch.setenv("OVERBLIK_MODE", "test")
    monkeypatch.setenv("OVERBLIK_DATA", str(tmp_path))
    return monkeypatch


async def test_it_answers_503_until_there_is_a_database(clones: Clones, configured: pytest.MonkeyPatch) -> None:
    there = asyncio.Event()
    conninfo = clones.make()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if there.is_set():
            await link(reader, writer)
        else:
            writer.close()

    async with between(conninfo, answer) as (link, through):
        host = through.split("host=")[1].split(maxsplit=1)[0]
        database, user = (conninfo.split(f"{name}=")[1].split(maxsplit=1)[0] for name in ("dbname", "user"))
        configured.setenv("OVERBLIK_DATABASE_URL", f"postgresql://{user}@/{database}?host={host}")
        async with living(server.create()) as http:
            refused = await http.get("/fhir/Patient/1")
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
            assert refused.json()["issue"][0]["details"]["coding"][0]["code"] == "database-down"
            assert [(await http.get(path)).status_code for path in ("/", "/readyz", "/livez")] == [503, 503, 200]
            there.set()
            for _ in range(500):
                if (await http.get("/readyz")).status_code == 200:
                    break
                await asyncio.sleep(0.02)
            assert (await http.get("/fhir/Patient/1")).status_code == 401


async def test_it_ends_on_what_does_not_pass_by_itself(
    configured: pytest.MonkeyPatch, postgres: EmbeddedPostgres
) -> None:
    configured.setenv("OVERBLIK_DATABASE_URL", postgres.conninfo.replace("dbname=overblik", "dbname=missing"))
    with pytest.raises(OverblikError, match="database-missing"):
        async with living(server.create()):
            pass
