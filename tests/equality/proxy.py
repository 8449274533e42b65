"""A proxy at the wire: it relays bytes between clients and the server, and notes what was sent to whom.

It knows nothing of the server but HTTP/1.1: what it relayed before a connection broke counts as sent.
"""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from overblik.fhir.compartment import is_shared

_VERSION = re.compile(rb'"resourceType":"(\w+)","id":"([^"]+)","meta":\{"versionId":"(\d+)"')
_MADE = {"AuditEvent"}


@dataclass(slots=True)
class Sent:
    """One request and what of its answer went to the client; `status` 0 where no byte did."""

    caller: str
    method: str
    path: str
    status: int = 0
    request: str = ""
    whole: bool = False
    disclosed: set[tuple[str, str, int]] = field(default_factory=set)
    named: set[str] = field(default_factory=set)
    html: str = ""


@dataclass(slots=True)
class _Message:
    """A message as far as it has come: its first line, its headers, its body."""

    line: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    whole: bool = False


class _Stream:
    """Cuts one direction of a connection into messages; bodies have a Content-Length, as this server's have."""

    def __init__(self) -> None:
        self._bytes = b""
        self.bodiless = False

    def feed(self, data: bytes) -> list[_Message]:
        self._bytes += data
        found = []
        while (message := self._message()).whole:
            found.append(message)
            self._bytes = self._bytes[self._end :]
        return found

    def rest(self) -> _Message:
        return self._message()

    def _message(self) -> _Message:
        head, mark, body = self._bytes.partition(b"\r\n\r\n")
        if not mark:
            return _Message()
        line, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (text.partition(":") for text in lines)}
        length = 0 if self.bodiless or " 304 " in line[:14] else int(headers.get("content-length", 0))
        self._end = len(head) + 4 + length
        return _Message(line, headers, body[:length], len(body) >= length)


class Proxy:
    """Listens on a port of its own; `sent` is everything that was asked through it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._server: asyncio.Server | None = None
        self.sent: list[Sent] = []

    async def start(self) -> str:
        """Start it, and return its address."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Stop it."""
        assert self._server is not None
        self._server.close()

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        try:
            server, to_server = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            to_client.close()
            return
        asked: list[Sent] = []
        answers = _Stream()
        up = asyncio.create_task(self._upward(client, to_server, asked, answers))
        with suppress(OSError):
            while data := await server.read(65_536):
                for message in answers.feed(data):
                    _note(asked.pop(0), message)
                to_client.write(data)
                await to_client.drain()
        if asked:
            _note(asked[0], answers.rest())
        for writer in (to_client, to_server):
            writer.close()
        up.cancel()

    async def _upward(
        self, client: asyncio.StreamReader, to_server: asyncio.StreamWriter, asked: list[Sent], answers: _Stream
    ) -> None:
        requests = _Stream()
        with suppress(OSError):
            while data := await client.read(65_536):
                for message in requests.feed(data):
                    method, path, _ = message.line.split(" ")
                    answers.bodiless = method == "HEAD"
                    asked.append(Sent(message.headers.get("x-test-caller", ""), method, path))
                    self.sent.append(asked[-1])
                to_server.write(data)
                await to_server.drain()
        to_server.close()


def _note(sent: Sent, message: _Message) -> None:
    """Note what of an answer went out: of a whole one what it says, of a part what can be read of it."""
    if not message.line:
        return
    sent.status, sent.whole = int(message.line.split(" ")[1]), message.whole
    sent.request = message.headers.get("x-request-id", "")
    media = message.headers.get("content-type", "")
    if sent.status == 200 and "json" in media:
        if message.whole and message.body:
            _walk(json.loads(message.body), sent)
        found = ((kind.decode(), name.decode(), int(version)) for kind, name, version in _VERSION.findall(message.body))
        sent.disclosed |= {one for one in found if _counts(one[0])}
    elif sent.status == 200 and "html" in media:
        sent.html = message.body.decode(errors="replace")


def _counts(kind: str) -> bool:
    """Say whether a type belongs to patients; an AuditEvent is the log itself."""
    return kind not in _MADE and not is_shared(kind)


def _walk(value: Any, sent: Sent) -> None:
    """Collect every resource version, and every resource that an overview names."""
    if isinstance(value, dict):
        kind, name, meta = value.get("resourceType"), value.get("id"), value.get("meta")
        if kind and name and isinstance(meta, dict) and "versionId" in meta and _counts(kind):
            sent.disclosed.add((kind, name, int(meta["versionId"])))
        reference = value.get("reference")
        if "source" in value and isinstance(reference, str) and "/" in reference and "received" in value:
            sent.named.add(reference)
        for item in value.values():
            _walk(item, sent)
    elif isinstance(value, list):
        for item in value:
            _walk(item, sent)
