"""Authorization requests: whose, for what, and where the answer goes.

https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#obtain-authorization-code
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from msgspec import Struct

from overblik.fhir.errors import Malformed
from overblik.trust.callers.scopes import parse_scopes
from overblik.trust.smart.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from overblik.trust.callers.scopes import Scopes
    from overblik.trust.smart.clients import Client, Clients

MOST_QUERY = 2_400
"""Characters of a request as it stands in an address; it waits in a cookie while the person signs in."""
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")


class Wish(Struct, frozen=True):
    """An authorization request that can be put to the person."""

    client: Client
    redirect: str
    scopes: Scopes
    state: str
    challenge: str
    launch: str = ""
    nonce: str = ""


class RefusedWish(Exception):
    """A request that is refused before the person sees it, with the address that tells the client so."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.address = address


async def read_wish(clients: Clients, query: Mapping[str, str], *, base: str, issuer: str) -> Wish:
    """Return a request that can be put to the person.

    Malformed, for a page of ours, where the client or its address is not known: nobody is sent to an address
    that is not registered, character for character. RefusedWish for what the client is to be told.
    """
    client = await clients.find(query.get("client_id", ""))
    redirect = query.get("redirect_uri", "")
    if client is None or redirect not in client.redirects:
        text = "This app is not registered here, or not with the address it gave; tell whoever made it."
        raise Malformed("app-unknown", text)
    try:
        return _wish(client, redirect, query, base)
    except Refusal as refusal:
        answer = refusal.body() | {"state": query.get("state", ""), "iss": issuer}
        raise RefusedWish(address_of(redirect, answer)) from None


def _wish(client: Client, redirect: str, query: Mapping[str, str], base: str) -> Wish:
    if len(urlencode(query)) > MOST_QUERY:
        raise Refusal("invalid_request", f"A request is at most {MOST_QUERY} characters.")
    if query.get("response_type") != "code":
        raise Refusal("unsupported_response_type", "response_type is code.")
    if query.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(query.get("code_challenge", "")):
        raise Refusal("invalid_request", "PKCE is needed: a code_challenge, by code_challenge_method S256.")
    if not query.get("state"):
        raise Refusal("invalid_request", "state is missing.")
    if query.get("aud", "").rstrip("/") != base:
        raise Refusal("invalid_request", f"aud must be {base}.")
    if "request" in query or "request_uri" in query:
        raise Refusal("request_not_supported", "Send the request's parameters themselves.")
    try:
        scopes = parse_scopes(query.get("scope", ""))
    except Malformed as error:
        raise Refusal("invalid_scope", error.text) from None
    if not scopes.within(client.scopes) or not scopes.resources:
        raise Refusal("invalid_scope", "The app is not registered for these scopes.")
    launch = query.get("launch", "")
    if bool(launch) != ("launch" in scopes.context):
        raise Refusal("invalid_request", "launch and the scope launch come together.")
    return Wish(client, redirect, scopes, query["state"], query["code_challenge"], launch, query.get("nonce", ""))


def address_of(redirect: str, answer: Mapping[str, str]) -> str:
    """Return the address that takes an answer to a client."""
    return redirect + ("&" if "?" in redirect else "?") + urlencode(answer)
