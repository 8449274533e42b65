"""Processes that take blocks and files in parallel; the work of one command, in bounded memory.

Each worker holds one job at a time and ends when its parent's end of the pipe closes, so that
nothing is left behind by a kill. A job that fails for the database's sake is tried again for a
while; then the command stops and says that it can be given again.
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import signal
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection as pipes
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from overblik.app.load.batch import Taken, Taker, connect
from overblik.app.load.blocks import Block, read_whole
from overblik.app.loading import take_file
from overblik.app.runtime import runtime
from overblik.fhir.errors import OverblikError, Unavailable
from overblik.trust.callers.tokens import caller_from

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from multiprocessing.connection import Connection

    from overblik.app.runtime import Runtime
    from overblik.app.settings import Settings
    from overblik.trust.callers.identity import Caller

TRIES = 6


@dataclass(frozen=True, slots=True)
class FileDone:
    """What became of one message, document or bundle."""

    path: Path
    state: str
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class BlockDone:
    """What became of one block of lines."""

    file: str
    lines: int
    taken: Taken


@dataclass(frozen=True, slots=True)
class Failed:
    """A worker cannot go on; errors do not travel between processes as they are."""

    code: str
    text: str


Job = Block | Path
Done = FileDone | BlockDone


class Pool:
    """Worker processes, each with its own connections."""

    def __init__(self, settings: Settings, conninfo: str, source: str, workers: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipes: list[Connection] = []
        self._processes = []
        for _ in range(workers):
            mine, its = context.Pipe()
            process = context.Process(target=_serve, args=(its, settings, conninfo, source), daemon=True)
            process.start()
            its.close()
            self._pipes.append(mine)
            self._processes.append(process)

    def run(self, jobs: Iterable[Job]) -> Iterator[Done]:
        """Give out jobs as workers become free, and walk what became of them."""
        free, busy = list(self._pipes), set[Any]()
        for job in jobs:
            if not free:
                ready = pipes.wait(list(busy))
                for pipe in ready:
                    busy.discard(pipe)
                    free.append(pipe)  # type: ignore[arg-type]
                    yield _received(pipe)
            pipe = free.pop()
            pipe.send(job)
            busy.add(pipe)
        while busy:
            for pipe in pipes.wait(list(busy)):
                busy.discard(pipe)
                yield _received(pipe)

    def close(self) -> None:
        """Let the workers end what they are at, and wait for them."""
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.join()


def _received(pipe: Any) -> Done:
    try:
        done = pipe.recv()
    except EOFError:
        raise Unavailable("load-stopped", "A loading process ended; give the command again, it goes on.") from None
    if isinstance(done, Failed):
        raise Unavailable(done.code, f"{done.text} Give the command again when it can go on.")
    return done  # type: ignore[no-any-return]


def _serve(pipe: Connection, settings: Settings, conninfo: str, source: str) -> None:
    """Take jobs until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    with suppress(EOFError, BrokenPipeError):
        asyncio.run(_work(pipe, settings, conninfo, source))


async def _work(pipe: Connection, settings: Settings, conninfo: str, source: str) -> None:
    job = pipe.recv()
    try:
        async with runtime(settings, conninfo, migrating=False) as opened:
            worker = Worker(opened, await source_caller(opened, source), conninfo)
            gc.freeze()
            gc.disable()  # a block is thousands of small objects without cycles, walked for nothing again and again
            while True:
                pipe.send(await worker.do(job))
                gc.collect()
                job = pipe.recv()
    except OverblikError as error:
        pipe.send(Failed(error.code, error.text))


async def source_caller(opened: Runtime, source: str) -> Caller:
    """Return the caller that a source's name stands for."""
    claims = {"kind": "source", "sub": source, "name": source}
    return await caller_from(claims, opened.database, opened.directory)


class Worker:
    """Does jobs, again when the database was away for a moment."""

    def __init__(self, opened: Runtime, caller: Caller, conninfo: str) -> None:
        self._runtime = opened
        self._caller = caller
        self._conninfo = conninfo
        self._taker: Taker | None = None
        self._connection: psycopg.AsyncConnection[Any] | None = None

    async def do(self, job: Job) -> Done:
        """Do one job; Unavailable when the database stays away."""
        for attempt in range(TRIES):
            try:
                if isinstance(job, Block):
                    return BlockDone(job.file, len(job.lines), await (await self._ready()).take(job))
                return await self._file(job)
            except (psycopg.OperationalError, Unavailable):
                await asyncio.sleep(0.2 * 2**attempt)
        raise Unavailable("database-down", "The database cannot be reached.")

    async def _ready(self) -> Taker:
        if self._taker is None or self._connection is None or self._connection.closed:
            self._connection = await connect(self._conninfo)
            self._taker = Taker(self._runtime, self._caller, self._connection)
        return self._taker

    async def _file(self, path: Path) -> FileDone:
        """Take one file in, and say what became of it."""
        try:
            raw = read_whole(path)
            return FileDone(path, *await take_file(self._runtime, self._caller.asking(channel="load"), raw))
        except Unavailable:
            raise
        except OverblikError as error:
            return FileDone(path, "refused", error.code, error.text)
