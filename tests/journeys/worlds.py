"""Two worlds: one server twice, the second holding more than the viewer may see.

World B is a copy of world A's database (same ids, same keys, same clock) to which hidden records are
added. The same request to both must give the same answer, byte for byte, once what differs from one
request to the next anyway (request ids, sealed cursors) is set aside. Later issues add requests.
"""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.conftest import open_world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    import httpx

    from tests.conftest import Clones, FixedClock, World

_CHANCE = re.compile(
    r"(?:_cursor|mark|state|nonce|code_challenge)=[A-Za-z0-9_%=~-]+|/s/[A-Za-z0-9_-]{8}(?![A-Za-z0-9_-])"
    r'|name="form_token" value="[^"]*"|=sealed(?::|%3A)[A-Za-z0-9_%=~-]+'
)
"""What is drawn at random for each answer: sealed cursors, parameters and marks of pages, slots, what a sign-in has."""


@dataclass(frozen=True)
class Answer:
    """What an observer sees of a response."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @classmethod
    def of(cls, response: httpx.Response, names: dict[str, str] | None = None) -> Answer:
        """Return the observable answer; `names` replaces texts that are the question's own."""
        left = [(k, v) for k, v in response.headers.items() if k not in {"x-request-id", "set-cookie"}]
        headers = tuple(sorted((k, _plain(v, names or {})) for k, v in left))
        return cls(response.status_code, headers, _plain(response.text, names or {}).encode())


def _plain(text: str, names: dict[str, str]) -> str:
    """Return a text without what is drawn at random, which keeps its length, and without the question's own names."""
    for found in set(_CHANCE.findall(text)):
        text = text.replace(found, "x" * len(found))
    for old, new in names.items():
        text = text.replace(old, new)
    return text


@dataclass
class Pair:
    """The two worlds, and how to ask both the same."""

    a: World
    b: World

    async def ask(self, request: Callable[[World], Awaitable[httpx.Response]]) -> tuple[Answer, Answer]:
        """Ask both worlds, and return what an observer sees of each."""
        return Answer.of(await request(self.a)), Answer.of(await request(self.b))


@asynccontextmanager
async def two_worlds(
    clones: Clones,
    folder: Path,
    clock: FixedClock,
    shared: Callable[[World], Awaitable[Any]],
    hidden: Callable[[World], Awaitable[Any]],
) -> AsyncIterator[Pair]:
    """Build world A with `shared`, copy it, add `hidden` to the copy, and open both."""
    first = clones.make()
    async with open_world(first, folder, clock) as world:
        await shared(world)
        await world.run.drain()
    second = clones.copy_of(first)
    async with open_world(first, folder, clock) as a, open_world(second, folder, clock) as b:
        await hidden(b)
        await b.run.drain()
        yield Pair(a, b)
