"""`overblik witness`: cosign the log of a server that somebody else runs."""

from __future__ import annotations

import time
from base64 import b64decode
from json import loads
from pathlib import Path  # noqa: TC003 - typer reads it
from typing import TYPE_CHECKING, Annotated, Any

import httpx2
import typer

from overblik.cli.console import err, out
from overblik.fhir.errors import Unavailable
from overblik.trust.log.checkpoint import BadNote, parsed, read_key
from overblik.trust.log.rotation import Keys, Rotation
from overblik.trust.log.witness import Refused, Witness

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 20.0
MOST_BYTES = 1_000_000


def witness(
    folder: Annotated[Path, typer.Argument(help="The witness's own folder: its key, and what it cosigned last.")],
    url: Annotated[
        str, typer.Argument(help="The server whose log it is; without it the witness's key is printed.")
    ] = "",
    key: Annotated[str, typer.Option("--key", help="The log's key, as it was published.")] = "",
    name: Annotated[
        str, typer.Option("--name", help="The witness's name, best an address without https://.")
    ] = "witness",
) -> None:
    """Cosign the last checkpoint of a log, if it extends the one cosigned before; run it by a timer.

    For who does not run the server, on a machine of their own. Prints the cosigned checkpoint, and brings it to the
    server. Ends with 1, and says why, for a log that is not what it was.
    """
    try:
        own = Witness(folder, name)
        if not url:
            out.print(own.key, markup=False, soft_wrap=True)
            return
        note, told = cosign(own, key, int(time.time()), over_http(url.rstrip("/")))
    except (BadNote, Refused, ValueError, KeyError, TypeError) as error:
        raise Unavailable("log-refused", f"Not cosigned: {error}.") from None
    out.print(note, markup=False, soft_wrap=True, end="")
    err.print("The server has it." if not told else f"The server does not take it: {told}", markup=False)


def cosign(witness: Witness, key: str, at: int, send: Callable[[str, str, str], str]) -> tuple[str, str]:
    """Cosign what a server shows, and bring it there: the note, and what the server says against it ("" for nothing).

    `send` takes method, path and body, and returns the answer's text; Unavailable for any but 2xx.
    """
    origin, _ = read_key(key)
    keys = Keys(key, [_rotation(one) for one in loads(send("GET", "/log/rotations", ""))])
    note = send("GET", "/log/checkpoint", "")
    last, size, proof = witness.last(origin), parsed(note).size, []
    if last and last.size < size:
        asked = loads(send("GET", f"/log/consistency?old={last.size}&new={size}", ""))
        proof = [b64decode(step, validate=True) for step in asked["proof"]]
    note = witness.cosign(origin, note, keys, proof, at)
    try:
        send("POST", "/log/cosignature", note)
    except Unavailable as error:
        return note, error.text
    return note, ""


def _rotation(one: Any) -> Rotation:
    return Rotation(str(one["old"]), str(one["new"]), str(one["note"]))


def over_http(base: str) -> Callable[[str, str, str], str]:
    """Return how to speak to a server: no redirect is followed, an answer has a size and a time."""

    def send(method: str, path: str, body: str) -> str:
        try:
            with httpx2.stream(method, base + path, content=body.encode() or None, timeout=SECONDS) as answer:
                content = b""
                for part in answer.iter_bytes():
                    content += part
                    if len(content) > MOST_BYTES:
                        raise Unavailable("log-away", f"{base}{path} gives more than a log does.")
                text = content.decode("utf-8", "replace")
                if not answer.is_success:
                    raise Unavailable("log-away", f"{base}{path} answers {answer.status_code}: {text[:200].strip()}")
                return text
        except httpx2.HTTPError as error:
            raise Unavailable("log-away", f"{base} cannot be reached: {error}") from None

    return send
