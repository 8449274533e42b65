"""What anybody may know of the log: its key, its last checkpoint, and that it only grows.

    GET /log/key                     the verifier key (https://c2sp.org/signed-note)
    GET /log/checkpoint              the last signed head (https://c2sp.org/tlog-checkpoint)
    GET /log/consistency?old=&new=   the proof that the tree of `new` leaves begins with that of `old`
    GET /log/rotations               how the key was replaced, the first time first
    GET /log/witnessed               the last head that a witness has cosigned (https://c2sp.org/tlog-cosignature)
    POST /log/cosignature            a note of ours that a witness we know has cosigned

These are hashes, and how many entries there are; no hash can be guessed, because each entry has a salt.
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from overblik.fhir.errors import Malformed, NotFound, OverblikError, TooLarge, Unavailable
from overblik.store import tree

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from overblik.app.runtime import Runtime
    from overblik.trust.log.heads import Head

_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Access-Control-Allow-Origin": "*"}

MOST_NOTE = 16_384


def log_routes(run: Runtime) -> list[Route]:
    """Return the routes of what is public about the log."""

    async def key(_: Request) -> Response:
        return PlainTextResponse(await run.heads.key() + "\n")

    async def checkpoint(_: Request) -> Response:
        head = await _head(run)
        return PlainTextResponse(await run.heads.witnessed.shown(head.size, head.note))

    async def consistency(request: Request) -> Response:
        head = await _head(run)
        old, new = _size(request, "old", head.size), _size(request, "new", head.size)
        if not 0 < old <= new <= head.size:
            raise Malformed("log-size", "old and new are sizes of the log as it was signed, old not above new.")
        try:
            proof = await tree.consistency(run.database, old, new)
        except tree.TreeDamaged as error:
            raise Unavailable("log-damaged", f"The log has lost hashes ({error}).") from error
        return JSONResponse({"old": old, "new": new, "proof": [b64encode(step).decode() for step in proof]})

    async def rotations(_: Request) -> Response:
        return JSONResponse([one._asdict() for one in await run.heads.rotations()])

    async def witnessed(_: Request) -> Response:
        note = await run.heads.witnessed.latest()
        if not note:
            raise NotFound
        return PlainTextResponse(note)

    async def cosignature(request: Request) -> Response:
        await run.heads.witnessed.keep(await _note(request))
        return Response(status_code=204)

    found = {
        "key": key, "checkpoint": checkpoint, "consistency": consistency, "rotations": rotations,
        "witnessed": witnessed,
    }  # fmt: skip
    routes = [Route(f"/log/{name}", _answering(endpoint), methods=["GET"]) for name, endpoint in found.items()]
    return [*routes, Route("/log/cosignature", _answering(cosignature), methods=["POST"])]


async def _note(request: Request) -> str:
    """Return what was sent; it is short, and read no further."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_NOTE:
            raise TooLarge("form-too-large", f"A note has at most {MOST_NOTE} bytes.")
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise Malformed("cosignature-wrong", "A note is text in UTF-8.") from None


async def _head(run: Runtime) -> Head:
    head = await run.heads.latest()
    if head is None:
        raise NotFound
    return head


def _size(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise Malformed("log-size", f"{name} is a number of leaves.")
    return int(text)


def _answering(endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            response = await endpoint(request)
        except OverblikError as error:
            response = PlainTextResponse(f"{error.text}\n", error.status)
        response.headers.update(_HEADERS)
        return response

    return answer
