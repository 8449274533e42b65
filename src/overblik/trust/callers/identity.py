"""Who is asking, for which organisation, why: the caller that every access names."""

from __future__ import annotations

import json
from datetime import datetime  # noqa: TC003 - msgspec reads the fields of Caller
from typing import Any, Literal
from uuid import UUID, uuid4

from msgspec import Struct, field
from msgspec.structs import replace

from overblik.fhir.errors import Forbidden
from overblik.fhir.identifiers import CPR
from overblik.trust.callers.scopes import EVERYTHING, Reach

Kind = Literal["citizen", "proxy", "professional", "source", "system"]
Purpose = Literal["TREAT", "PATRQT", "FAMRQT", "HSYSADMIN", "BTG"]
PURPOSES: dict[str, str] = {
    "TREAT": "behandling",
    "PATRQT": "egen indsigt",
    "FAMRQT": "på vegne af en anden",
    "HSYSADMIN": "systemdrift",
    "BTG": "værdispring",
}
"""Purposes of use (http://terminology.hl7.org/CodeSystem/v3-ActReason) and their Danish words."""


class Caller(Struct, frozen=True):
    """One request's caller. `orgs` is the unit signed in at and every unit above it.

    `id` is the CPR of a citizen (of a proxy their own; `on_behalf` is whose record it is), the authorisation id
    of a professional, the name of a source.
    `organisations` are those a registered source speaks for; None stands for a test gateway, which
    delivers for any sender. `app` is through which app the person asks, and `reach` how far that one
    reaches; None is as far as the person. `proved_at` is when a token's person showed who they are (`auth_time`).
    """

    kind: Kind
    id: str
    name: str
    role: str = ""
    org: str = ""
    org_name: str = ""
    orgs: tuple[str, ...] = ()
    purpose: Purpose = "TREAT"
    reason: str = ""
    on_behalf: str = ""
    organisations: tuple[str, ...] | None = ()
    channel: str = "api"
    app: str = ""
    reach: Reach | None = None
    proved_at: datetime | None = None
    request: UUID = field(default_factory=uuid4)

    @property
    def is_citizen(self) -> bool:
        """Say whether somebody looks at their own record, or at that of whom they act for."""
        return self.kind in {"citizen", "proxy"}

    @property
    def subject(self) -> str:
        """The CPR of the person whose own record this is: the citizen, or whom a proxy acts for; "" for others."""
        return self.id if self.kind == "citizen" else self.on_behalf if self.kind == "proxy" else ""

    @property
    def viewer(self) -> str:
        """The key under which this person's own looks are remembered."""
        return f"{self.kind}|{self.id}|{self.org}"

    @property
    def via(self) -> str:
        """The name under which this caller's deliveries are kept."""
        return self.id if self.kind == "source" else self.kind

    def asking(self, *, channel: str = "", reason: str = "", request: UUID | None = None) -> Caller:
        """Return the caller for one new request; its id is the response's X-Request-Id."""
        through = f"app:{self.app}" if self.app else channel or self.channel
        return replace(self, request=request or uuid4(), channel=through, reason=reason or self.reason)

    def params(self, now: datetime, action: str, query: str = "") -> dict[str, Any]:
        """Return the parameters that the door's statements share."""
        return {
            "now": now,
            "system": CPR,
            "value": self.subject,
            "person": self.id,
            "org": self.org,
            "orgs": list(self.orgs),
            "via": self.via,
            "request": self.request,
            "channel": self.channel,
            "action": action,
            "actor_kind": self.kind,
            "actor": self.id,
            "actor_name": self.name,
            "actor_role": self.role,
            "org_name": self.org_name,
            "on_behalf": self.on_behalf,
            "purpose": self.purpose,
            "reason": self.reason,
            "query": query,
            "reach": None,
            **self.reached(_NEEDS.get(action, "r")),
        }

    def reached(self, letters: str) -> dict[str, Any]:
        """Return the parameters that narrow rows to what the caller's app has a scope for, by letters of `cruds`."""
        if self.reach is None:
            return dict(EVERYTHING)
        found = self.reach.params(letters)
        return {**found, "reach": json.dumps(found, separators=(",", ":"))}


_NEEDS = {"search": "s", "count": "s", "condition": "s", "look up": "s"}
"""What scopes an action needs where it is not to read."""


def system_caller(reason: str) -> Caller:
    """Return the system itself: reads all, logged per patient."""
    return Caller("system", "system", "Overblik", purpose="HSYSADMIN", reason=reason, organisations=None)


Interaction = Literal["read", "write", "operate", "consent"]
_MAY: dict[Kind, frozenset[Interaction]] = {
    "citizen": frozenset({"read", "consent"}),
    "proxy": frozenset({"read"}),
    "professional": frozenset({"read", "consent"}),
    "source": frozenset({"read", "write", "operate"}),
    "system": frozenset({"read", "write", "operate"}),
}


def require(caller: Caller, interaction: Interaction, *types: str, letters: str = "r") -> None:
    """Refuse what this kind of caller may never do, and what its app has no scope for; decided before any look-up.

    `types` and `letters` (of `cruds`) say what scopes must cover; an app never gets where nobody says it.
    """
    require_kind(caller, interaction)
    require_scope(caller, letters, *types)


def require_scope(caller: Caller, letters: str, *types: str) -> None:
    """Refuse what a caller's app has no scope for."""
    if caller.reach is not None and not caller.reach.covers(letters, types):
        raise Forbidden("scope-missing", "Your token has no scope for this; ask for one that covers it.")


def require_kind(caller: Caller, interaction: Interaction) -> None:
    """Refuse what this kind of caller may never do, whatever its scopes.

    Who may look is said by a person's own hand: an app could let its maker in, or shut somebody's doctor out.
    """
    if interaction not in _MAY[caller.kind] or (interaction == "consent" and caller.reach is not None):
        raise Forbidden("not-for-this-caller", "Your sign-in does not cover this interaction.")
