"""Forms as they come in: bounded, and one of this session's own."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from overblik.fhir.errors import Forbidden, Malformed, TooLarge

if TYPE_CHECKING:
    from starlette.requests import Request

    from overblik.trust.callers.sessions import Session

FORM_BYTES = 10_000


async def read_form(request: Request) -> dict[str, str]:
    """Return a form's fields; TooLarge for one that nobody filled in by hand."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > FORM_BYTES:
            raise TooLarge("form-too-large", "The form is too large.")
    return once(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def once(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Return fields or parameters by name; Malformed where one comes twice: who checks must see what is used.

    https://www.rfc-editor.org/rfc/rfc6749#section-3.1
    """
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Malformed("form-repeated", "A field came twice; send each once.")
    return found


async def own_form(request: Request, session: Session) -> dict[str, str]:
    """Return a form's fields, if it is one of this session's; an error page can show them again."""
    fields = await read_form(request)
    if not secrets.compare_digest(fields.get("form_token", "").encode(), session.form_token.encode()):
        raise Forbidden("form-foreign", "This form is from another page; open it again.")
    request.state.form = fields
    return fields
