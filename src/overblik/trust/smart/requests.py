"""Authorization requests: whose, for what, and where the answer goes.

https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#obtain-authorization-code
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from msgspec import Struct, structs

from overblik.fhir.errors import Malformed
from overblik.trust.callers.scopes import parse_scopes
from overblik.trust.smart.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from overblik.trust.callers.scopes import Scopes
    from overblik.trust.smart.clients import Client, Clients

MOST_QUERY = 2_400
"""Characters of a request as it stands in an address; it waits in a cookie while the person signs in."""
_DIGEST = re.compile(r"[A-Za-z0-9_-]{43}")


OF_A_REQUEST = frozenset({
    "response_type", "client_id", "redirect_uri", "scope", "state", "aud", "code_challenge", "code_challenge_method",
    "nonce", "launch", "login_hint", "dpop_jkt", "request", "request_uri",
})  # fmt: skip
"""The parameters that are read; others are passed over, as RFC 6749 § 3.1 has it."""


class Wish(Struct, frozen=True):
    """An authorization request that can be put to the person.

    `jkt` is the key its tokens will be bound to (`dpop_jkt`); `pushed` the name it goes by, if it was sent ahead.
    """

    client: Client
    redirect: str
    scopes: Scopes
    state: str
    challenge: str
    launch: str = ""
    nonce: str = ""
    hint: str = ""
    jkt: str = ""
    pushed: str = ""


class RefusedWish(Exception):
    """A request that is refused before the person sees it, with the address that tells the client so."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.address = address


async def read_wish(
    clients: Clients, query: Mapping[str, str], *, base: str, issuer: str, pushed: str = ""
) -> Wish:  # fmt: skip
    """Return a request that can be put to the person; `pushed` is the name of one that was sent ahead.

    Malformed, for a page of ours, where the client or its address is not known, or it has to send its requests
    ahead: nobody is sent to an address that is not registered, character for character. RefusedWish for what the
    client is to be told.
    """
    client = await clients.find(query.get("client_id", ""))
    redirect = query.get("redirect_uri", "")
    if client is not None and client.pushed and not pushed:
        raise Malformed("app-request-invalid", "This app has to send its requests ahead (RFC 9126); begin again.")
    if client is None or redirect not in client.redirects:
        raise app_unknown()
    try:
        return structs.replace(require_wish(client, query, base), pushed=pushed)
    except Refusal as refusal:
        answer = refusal.body() | {"state": query.get("state", ""), "iss": issuer}
        raise RefusedWish(address_of(redirect, answer)) from None


def app_unknown() -> Malformed:
    """Return what is told, on a page, of an app that nobody knows."""
    text = "This app is not registered here, or not with the address it gave; tell whoever made it."
    return Malformed("app-unknown", text)


def require_wish(client: Client, query: Mapping[str, str], base: str) -> Wish:
    """Return a client's request that can be put to the person; Refusal says what is wrong with it."""
    if query.get("redirect_uri") not in client.redirects:
        raise Refusal("invalid_request", "redirect_uri is not registered, character for character.")
    _require_form(query, base)
    try:
        scopes = parse_scopes(query.get("scope", ""))
    except Malformed as error:
        raise Refusal("invalid_scope", error.text) from None
    if not scopes.within(client.scopes) or not scopes.resources:
        raise Refusal("invalid_scope", "The app is not registered for these scopes.")
    launch = query.get("launch", "")
    if bool(launch) != ("launch" in scopes.context):
        raise Refusal("invalid_request", "launch and the scope launch come together.")
    return Wish(
        client, query["redirect_uri"], scopes, query["state"], query["code_challenge"], launch, query.get("nonce", ""),
        query.get("login_hint", "")[:200], query.get("dpop_jkt", ""),
    )  # fmt: skip


def _require_form(query: Mapping[str, str], base: str) -> None:
    """Refuse a request whose parameters are not what they must be, whoever sends it."""
    if len(urlencode(query)) > MOST_QUERY:
        raise Refusal("invalid_request", f"A request is at most {MOST_QUERY} characters.")
    if query.get("response_type") != "code":
        raise Refusal("unsupported_response_type", "response_type is code.")
    if query.get("code_challenge_method") != "S256" or not _DIGEST.fullmatch(query.get("code_challenge", "")):
        raise Refusal("invalid_request", "PKCE is needed: a code_challenge, by code_challenge_method S256.")
    if not query.get("state"):
        raise Refusal("invalid_request", "state is missing.")
    if query.get("aud", "").rstrip("/") != base:
        raise Refusal("invalid_request", f"aud must be {base}.")
    for name in ("request", "request_uri"):
        if name in query:
            raise Refusal(f"{name}_not_supported", "Send the request's parameters themselves, or push them (RFC 9126).")
    if "dpop_jkt" in query and not _DIGEST.fullmatch(query["dpop_jkt"]):
        raise Refusal("invalid_request", "dpop_jkt is the SHA-256 thumbprint of a key (RFC 7638).")
    if any("\x00" in value for value in query.values()):
        raise Refusal("invalid_request", "No parameter has a NUL.")


def address_of(redirect: str, answer: Mapping[str, str]) -> str:
    """Return the address that takes an answer to a client."""
    return redirect + ("&" if "?" in redirect else "?") + urlencode(answer)
