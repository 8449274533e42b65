"""The stream of an open page: silent, until the page must look again because what it shows is not all there any more.

One server-sent event stream a page (https://html.spec.whatwg.org/multipage/server-sent-events.html). It says
`again` and nothing else; what the page then gets is decided as for any request. The mark in the address is what the
page was rendered with, so a stream that breaks goes on at any worker where it was.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.responses import Response

from overblik.fhir.errors import Malformed
from overblik.trust.live.seen import opened
from overblik.web.site import HEADERS, SESSION_COOKIE

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from overblik.trust.callers.sessions import Session
    from overblik.trust.live.seen import Seen
    from overblik.trust.live.watching import Watched, Watcher
    from overblik.web.site import Site

BEAT = 15.0
"""Seconds between signs of life, by which both ends notice that the other has gone."""
BEATS = 20
"""After so many the stream ends, and the page asks for another."""
STREAM = HEADERS | {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}


async def live(site: Site, request: Request) -> Response:
    """Open the stream of a page. It does not keep a session in use that nobody uses."""
    session = await site.sessions.peek(request.path_params["slot"], request.cookies.get(SESSION_COOKIE, ""))
    mark = request.query_params.get("mark", "")
    seen = opened(site.marks, mark, session.caller) if mark else ()
    if seen is None:
        raise Malformed("mark-invalid", "This page cannot be watched; load it again.")
    site.watcher.require_room(session)
    if request.method == "HEAD":
        return Response(headers=STREAM)
    return Stream(site.watcher, session, seen)


class Stream(Response):
    """Server-sent events of one page, until it must look again, leaves, or has had its beats."""

    def __init__(self, watcher: Watcher, session: Session, seen: tuple[Seen, ...]) -> None:
        super().__init__(headers=STREAM)
        del self.headers["content-length"]
        self._watcher = watcher
        self._session = session
        self._seen = seen

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """Send the head, then a sign of life now and then, and `again` when it is time."""
        with self._watcher.watching(self._session, self._seen) as page:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            leaving = asyncio.create_task(_left(receive))
            try:
                await _tell(page, send, leaving)
            finally:
                leaving.cancel()


async def _tell(page: Watched, send: Send, leaving: asyncio.Task[None]) -> None:
    """Tell until the end; `leaving` is done when the browser has gone."""
    told = asyncio.create_task(page.told.wait())
    try:
        text = b"retry: 1000\n: watching\n\n"
        for _ in range(BEATS):
            await send({"type": "http.response.body", "body": text, "more_body": True})
            await asyncio.wait((told, leaving), timeout=BEAT, return_when=asyncio.FIRST_COMPLETED)
            if leaving.done():
                return
            if told.done():
                break
            text = b": \n\n"
        last = b"data: again\n\n" if page.again else b""
        await send({"type": "http.response.body", "body": last, "more_body": False})
    finally:
        told.cancel()


async def _left(receive: Receive) -> None:
    """Return when the browser has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
