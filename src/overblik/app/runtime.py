"""One process's runtime: everything that works with the database, opened and closed together."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from overblik.clock import Clock, SystemClock
from overblik.demo.clock import DemoClock
from overblik.exchange.inbox import Inbox
from overblik.fhir.errors import Unavailable
from overblik.fhir.index.digests import way
from overblik.overview.service import Overviews
from overblik.store.database import Database
from overblik.store.keys import RandomKeys
from overblik.store.migrate import migrate
from overblik.store.policy import keep_policy
from overblik.store.queries import sql
from overblik.store.room import Room
from overblik.store.sequencer import drain
from overblik.store.vault import Vault
from overblik.trust.callers.sessions import Sessions
from overblik.trust.callers.tokens import TEST_MODES, TestIssuer
from overblik.trust.callers.tries import Tries
from overblik.trust.door.access import Door
from overblik.trust.door.cursors import Cursors
from overblik.trust.door.search_parameters import SearchParameters
from overblik.trust.door.writer import Writer
from overblik.trust.keys.keyring import Keyring, open_keyring
from overblik.trust.keys.masters import FileMasters
from overblik.trust.live.watching import Watcher
from overblik.trust.log.backlog import Backlog
from overblik.trust.log.heads import Heads, SignerProcess
from overblik.trust.oidc.login import Login
from overblik.trust.oidc.providers import BUILT_IN, built_in, read_providers
from overblik.trust.oidc.test_provider import TestProvider
from overblik.trust.organisations import Directory
from overblik.trust.smart.server import AuthorizationServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from overblik.app.settings import Settings
    from overblik.trust.oidc.providers import Provider


@dataclass(frozen=True, slots=True)
class Runtime:
    """What a process works with."""

    settings: Settings
    database: Database
    clock: Clock
    keyring: Keyring
    directory: Directory
    door: Door
    heads: Heads
    backlog: Backlog
    parameters: SearchParameters
    writer: Writer
    inbox: Inbox
    overviews: Overviews
    sessions: Sessions
    watcher: Watcher
    login: Login
    smart: AuthorizationServer
    issuer: TestIssuer | None
    provider: TestProvider | None

    async def drain(self) -> None:
        """Let everything committed so far be numbered."""
        await drain(self.database, self.clock)


def providers_of(settings: Settings) -> tuple[Provider, ...]:
    """Return who signs people in: those of the operator's file, or in demo and test the provider built in.

    Unavailable where a file asks for the built-in one in production.
    """
    test = settings.mode in TEST_MODES
    if settings.providers_file is None:
        return (built_in(settings.address),) if test else ()
    found = read_providers(settings.providers_file, allow_local=test)
    if not test and any(provider.issuer == BUILT_IN for provider in found):
        text = f"{settings.providers_file} names the built-in test provider, which runs in demo and test only."
        raise Unavailable("test-provider-refused", text)
    return tuple(built_in(settings.address) if provider.issuer == BUILT_IN else provider for provider in found)


def clock_of(settings: Settings) -> Clock:
    """Return the machine's clock, or the one that a demo moves."""
    return DemoClock(settings.data / "clock") if settings.mode == "demo" else SystemClock()


async def open_vault(database: Database, settings: Settings, index_key: bytes) -> None:
    """Have a database's bodies sealed and opened, where the settings name master keys.

    Unavailable where they are missing or others than were in use: nothing is served without.
    """
    if settings.body_keys is not None:
        database.vault = Vault(database, FileMasters(settings.body_keys), only=settings.sealed_only)
        await database.vault.prepare()
        for param in ("agent", "entity", "target"):
            digest = way(index_key, "Provenance", param).value
            await database.run(sql("note_way"), {"type": "Provenance", "param": param, "digest": digest})
    elif await database.fetch(sql("masters_in_use")):
        text = "Bodies are sealed in this database: set OVERBLIK_BODY_KEYS to the file of their master keys."
        raise Unavailable("body-keys-needed", text)


@asynccontextmanager
async def runtime(
    settings: Settings, conninfo: str, *, clock: Clock | None = None, migrating: bool = True
) -> AsyncIterator[Runtime]:
    """Open everything, and close it."""
    clock = clock or clock_of(settings)
    providers = providers_of(settings)
    keyring = open_keyring(settings.key_path)
    room = Room() if settings.url else Room(settings.data, settings.reserve_mb << 20)
    database = Database(conninfo, size=settings.connections, room=room)
    await database.open(allow_unsafe=settings.mode == "test")
    heads = Heads(database, clock, SignerProcess(settings.signer), settings.witness_keys)
    try:
        if migrating:
            await migrate(database)
        await open_vault(database, settings, keyring.key("index"))
        await keep_policy(database)
        directory = Directory(database)
        index_key = keyring.key("index")
        door = Door(database, clock, index_key, Cursors(keyring.key("cursor")), Tries(clock, settings.look_ups))
        parameters = SearchParameters(database)
        writer = Writer(database, clock, RandomKeys(), index_key, directory, parameters)
        test = settings.mode in TEST_MODES
        sessions = Sessions(database, directory)
        login = Login(providers, settings.address, keyring.key("sign-in"))
        yield Runtime(
            settings=settings,
            database=database,
            clock=clock,
            keyring=keyring,
            directory=directory,
            door=door,
            heads=heads,
            backlog=Backlog(database, clock),
            parameters=parameters,
            writer=writer,
            inbox=Inbox(writer),
            overviews=Overviews(door, directory),
            sessions=sessions,
            watcher=Watcher(database, clock, directory, sessions),
            login=login,
            smart=AuthorizationServer(settings.address, keyring, database, directory, login),
            issuer=TestIssuer(settings.mode, keyring, database, directory) if test else None,
            provider=TestProvider(settings.mode, settings.address, keyring, database) if test else None,
        )
    finally:
        await heads.signer.close()
        await database.close()
