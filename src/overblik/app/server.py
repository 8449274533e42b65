"""The ASGI application of one worker."""

from __future__ import annotations

import asyncio
import gc
from contextlib import ExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING

import structlog
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from overblik import __version__
from overblik.api.dispatch import Api, refuse
from overblik.api.http import Services
from overblik.api.routes import ROUTES
from overblik.app import sockets
from overblik.app.cors import Cors
from overblik.app.logs import configure_logs
from overblik.app.postgres import server_of
from overblik.app.public_log import log_routes
from overblik.app.runtime import Runtime, runtime
from overblik.app.settings import Settings
from overblik.app.stopping import when_asked_to_stop
from overblik.app.tls import OnlyTls
from overblik.fhir import units
from overblik.fhir.errors import OverblikError, Unauthenticated, Unavailable
from overblik.store.passes import keep_indexing
from overblik.store.sequencer import keep_numbering
from overblik.store.upkeep import keep_index
from overblik.trust.callers.tokens import TEST_MODES, caller_from
from overblik.trust.callers.tries import Credentials, Tries, networks
from overblik.trust.keys.seal import Seal
from overblik.trust.log.backlog import keep_watching
from overblik.trust.log.heads import keep_signing
from overblik.trust.smart.dpop import Proof
from overblik.trust.treatment.bulk_reading import ReadingWatch, keep_counting
from overblik.trust.treatment.stated import keep_settling
from overblik.web.routes import web_routes
from overblik.web.site import Site

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from overblik.trust.callers.identity import Caller

log = structlog.get_logger()
TRANSIENT = frozenset({"database-down", "database-starting", "database-full", "postgres-did-not-start"})
"""What may pass by itself when a worker starts; anything else ends it."""
AGAIN = 0.5


def application(run: Runtime) -> ASGIApp:
    """Return the application that serves a runtime."""
    services = Services(
        run.door,
        run.writer,
        run.inbox,
        run.overviews,
        run.heads,
        run.parameters,
        ROUTES,
        __version__,
        run.settings.mode,
        run.smart.metadata(),
        run.settings.stating,
    )

    async def authenticate(token: str, shown: tuple[str, str, str] | None) -> Caller:
        if run.issuer is not None and shown is None:
            with suppress(Unauthenticated):
                return await run.issuer.caller(token)
        proof = Proof(shown[0], shown[1], run.settings.address + shown[2].partition("?")[0]) if shown else None
        return await run.smart.grants.caller(token, proof)

    async def live(_: Request) -> PlainTextResponse:
        return PlainTextResponse("ok\n")

    async def ready(_: Request) -> PlainTextResponse:
        try:
            await run.database.fetch("select 1")
        except OverblikError:
            return PlainTextResponse("the database cannot be reached\n", 503)
        return PlainTextResponse("ok\n")

    credentials = Credentials(Tries(run.clock, run.settings.tries), networks(run.settings.proxies))
    site = Site(
        run.door, run.writer, run.overviews, run.sessions, run.login, run.smart, run.provider, run.directory, run.heads,
        run.watcher, Seal(run.keyring.key("seen")), run.settings.stating, credentials, run.settings.mode,
        secure=run.settings.address.startswith("https:"),
    )  # fmt: skip
    health = [Route("/livez", live), Route("/readyz", ready)]
    pages = Starlette(routes=[*health, *log_routes(run), *web_routes(site)])
    if run.provider is not None:  # beside us, not across a network that may know this server by another name
        run.login.local[run.provider.issuer] = pages
    api = Api(services, authenticate, credentials.refused)

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if (refusal := run.backlog.refusal) is not None and not path.startswith(_OPEN):
            await away(scope, receive, send, refusal)
        else:
            await (api if path.startswith("/fhir/") or path == "/fhir" else pages)(scope, receive, send)

    app = Cors(dispatch, run.smart.clients)
    return OnlyTls(app) if run.settings.address.startswith("https:") else app


def create() -> ASGIApp:
    """Return the application of a worker process, as granian's factory.

    A worker that finds no database serves all the same: it answers 503 until there is one. Were it to
    end instead, the whole server would end with it, and stay down when the database is back.
    """
    settings = Settings()
    configure_logs()
    app: list[ASGIApp] = []

    @asynccontextmanager
    async def opened() -> AsyncIterator[None]:
        tried = asyncio.Event()
        task = asyncio.create_task(_serve(settings, app, tried))
        waiting = asyncio.create_task(tried.wait())
        bounding = asyncio.create_task(sockets.bound_slow_readers(sockets.STUCK_SECONDS))
        await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
        try:
            if task.done():
                await task
            yield
        finally:
            for ending in (task, waiting, bounding):
                ending.cancel()
                with suppress(asyncio.CancelledError):
                    await ending

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(opened, receive, send)
        else:
            await (app[0] if app else away)(scope, receive, send)

    return dispatch


_DOWN = Unavailable("database-down", "The database cannot be reached; try again shortly.")
_OPEN = ("/livez", "/readyz", "/static/", "/log/")
"""What discloses nothing of anybody."""


async def away(scope: Scope, receive: Receive, send: Send, error: Unavailable = _DOWN) -> None:
    """Answer while there is no database, or no log that keeps up: alive, and not ready."""
    if scope["path"] == "/livez":
        await PlainTextResponse("ok\n")(scope, receive, send)
    elif scope["path"].startswith("/fhir"):
        await refuse(scope, send, error)
    else:
        await PlainTextResponse(f"{error.text}\n", error.status, {"Retry-After": "1"})(scope, receive, send)


async def _serve(settings: Settings, app: list[ASGIApp], tried: asyncio.Event) -> None:
    """Have `app` hold the application while there is a database, until cancelled; tell of the first try."""
    while True:
        try:
            async with _database(settings) as conninfo, runtime(settings, conninfo) as run:
                app.append(application(run))
                _settle_memory()
                works = [keep_numbering(run.database, run.clock), keep_signing(run.heads)]
                works += [keep_index(run.database), keep_watching(run.backlog), recover(run)]
                works += [run.watcher.keep_looking(), keep_settling(run.door)]
                works += [keep_counting(ReadingWatch(run.database, run.clock, run.settings.reading))]
                works += [asyncio.to_thread(units.warm)]  # the table of units is made before it is needed
                works += [keep_indexing(run.database, run.keyring.key("index"), run.parameters.learn)]
                tasks = [asyncio.create_task(work) for work in works]
                tried.set()
                try:
                    with when_asked_to_stop(run.watcher.close):
                        await asyncio.Event().wait()
                finally:
                    for task in tasks:
                        task.cancel()
                    await asyncio.gather(*tasks, return_exceptions=True)
        except Unavailable as error:
            if error.code not in TRANSIENT:
                raise
            log.warning("server.waiting", code=error.code)
            tried.set()
            await asyncio.sleep(AGAIN)
        finally:
            app.clear()


@asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[str]:
    """Have a database, started beside the event loop: that can take a while."""
    with ExitStack() as stack:
        conninfo = await asyncio.to_thread(stack.enter_context, server_of(settings))
        yield conninfo


async def _live(opened: Callable[[], AbstractAsyncContextManager[None]], receive: Receive, send: Send) -> None:
    """Open on startup and close on shutdown (https://asgi.readthedocs.io/en/latest/specs/lifespan.html)."""
    await receive()
    try:
        async with opened():
            await send({"type": "lifespan.startup.complete"})
            await receive()
    except Exception as error:
        log.exception("server.start-failed")
        await send({"type": "lifespan.startup.failed", "message": str(error)})
        raise
    await send({"type": "lifespan.shutdown.complete"})


def _settle_memory() -> None:
    """Leave what was made at start (definitions, compiled paths) out of the collector's walks, and walk less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


async def recover(run: Runtime) -> None:
    """Settle messages that were kept but not processed when the server last stopped."""
    with suppress(OverblikError):
        callers: dict[str, Caller] = {}
        for row in await run.inbox.intake.unsettled():
            claims = {"kind": "source", "sub": row.via, "name": row.via}
            caller = await caller_from(claims, run.database, run.directory)
            # A name that is not registered speaks for anyone in demo and test, and for nobody elsewhere.
            if caller.organisations is not None or run.settings.mode in TEST_MODES:
                callers[row.via] = caller
        await run.inbox.recover(callers)
