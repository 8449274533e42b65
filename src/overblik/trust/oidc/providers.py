"""The providers that sign people in, from a TOML file (docs/identity.md has one of each kind).

https://openid.net/specs/openid-connect-core-1_0.html
"""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any, Literal, cast
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct, field

from overblik.fhir.errors import Unavailable

if TYPE_CHECKING:
    from pathlib import Path

BUILT_IN = "built-in"
"""The issuer by which a file names the provider for demo and test."""
Place = str | list[str]
"""Where a claim stands: its name, or the names that lead to it."""
CLAIMS = frozenset({
    "cpr", "name", "authorisation", "role", "organisation", "organisation_name", "yder", "level",
})  # fmt: skip
_LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})


class Provider(Struct, frozen=True, forbid_unknown_fields=True):
    """One provider, as the operator describes it.

    `claims` says under which names it tells what we need to know. `levels` are its levels of assurance,
    lowest first; nobody comes in below `minimum`. An `either` signs in professionals and citizens: whoever
    has an authorisation id comes as a professional.
    """

    name: str
    title: str
    issuer: str
    client_id: str
    kind: Literal["citizen", "professional", "either"]
    claims: dict[str, Place]
    client_secret_file: str = ""
    scope: str = "openid"
    acr_values: str = ""
    levels: tuple[str, ...] = ()
    minimum: str = ""
    userinfo: bool = False
    secret: str = field(default="", name="-")

    def value(self, told: dict[str, Any], wanted: str) -> str:
        """Return what a provider tells of a person under one of our names; "" where it does not."""
        place = self.claims.get(wanted, "")
        found: Any = told
        for name in [place] if isinstance(place, str) else place:
            found = found.get(name) if isinstance(found, dict) else None
        if isinstance(found, list) and len(found) == 1:
            found = found[0]
        return str(found).strip() if isinstance(found, (str, int)) and not isinstance(found, bool) else ""


def read_providers(path: Path, *, allow_local: bool) -> tuple[Provider, ...]:
    """Return the providers of a file; Unavailable says which line of it cannot be used, and why.

    `allow_local` lets a provider on this machine be spoken to without TLS, as a test needs it.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
        providers = tuple(msgspec.convert(item, Provider) for item in found["provider"])
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError, KeyError, TypeError) as error:
        raise Unavailable("providers-unreadable", f"{path} is no list of providers: {error}.") from None
    if len({provider.name for provider in providers}) < len(providers):
        raise Unavailable("providers-unreadable", f"{path} names a provider twice.")
    return tuple(_checked(provider, path, allow_local=allow_local) for provider in providers)


def _checked(provider: Provider, path: Path, *, allow_local: bool) -> Provider:
    def wrong(text: str) -> Unavailable:
        return Unavailable("providers-unreadable", f"{path}, provider {provider.name}: {text}.")

    needed = {"citizen": {"cpr"}, "professional": {"authorisation"}, "either": {"cpr", "authorisation"}}
    if missing := needed[provider.kind] - provider.claims.keys():
        raise wrong(f"claims must say where {', '.join(sorted(missing))} stands")
    if provider.kind != "citizen" and not {"organisation", "yder"} & provider.claims.keys():
        raise wrong("claims must say where organisation (a SOR code) or yder stands")
    if unknown := provider.claims.keys() - CLAIMS:
        raise wrong(f"claims has {', '.join(sorted(unknown))}, which means nothing here")
    if provider.minimum not in ({""} if not provider.levels else provider.levels):
        raise wrong("minimum must be one of levels")
    if provider.levels and "level" not in provider.claims:
        raise wrong("claims must say where level stands, or levels cannot be asked for")
    parts = urlsplit(provider.issuer)
    local = allow_local and parts.scheme == "http" and parts.hostname in _LOCAL
    if provider.issuer != BUILT_IN and not (parts.scheme == "https" and parts.hostname) and not local:
        raise wrong("issuer must be an https address")
    if not provider.client_secret_file:
        return provider
    try:
        with open(provider.client_secret_file, encoding="utf-8") as file:  # noqa: PTH123 - as the operator wrote it
            return msgspec.structs.replace(provider, secret=file.read().strip())
    except OSError as error:
        raise wrong(f"client_secret_file cannot be read: {error.strerror}") from None


def built_in(address: str) -> Provider:
    """Return the provider for demo and test, which a server brings with it."""
    return Provider(
        name="test",
        title="Test-login",
        issuer=f"{address}/test-provider",
        client_id="overblik",
        kind="either",
        scope="openid profile",
        claims=cast("dict[str, Place]", {name: name for name in sorted(CLAIMS)}),
        levels=("low", "substantial", "high"),
        minimum="substantial",
    )
