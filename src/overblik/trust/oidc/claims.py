"""From what a provider tells of a person to the claims of a session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from overblik.fhir.errors import Forbidden
from overblik.fhir.identifiers import CPR, canonical, person_identifier_problem

if TYPE_CHECKING:
    from overblik.trust.oidc.providers import Provider
    from overblik.trust.organisations import Directory

LONGEST = 200


def claims_of(provider: Provider, told: dict[str, Any], directory: Directory) -> dict[str, Any]:
    """Return the claims of a session; Forbidden says what the sign-in lacks.

    Nobody is believed to be somebody else by a name: a citizen is a CPR number, a professional an
    authorisation id at an organisation.
    """
    _require_level(provider, provider.value(told, "level"))
    identifier = provider.value(told, "authorisation")
    shared = {"name": provider.value(told, "name")[:LONGEST]}
    if provider.kind == "professional" or (provider.kind == "either" and identifier):
        org = _organisation(provider, told, directory)
        if not identifier or len(identifier) > LONGEST or not org:
            raise Forbidden("sign-in-no-person", "The sign-in names no authorisation id at an organisation.")
        shared |= {"kind": "professional", "sub": identifier, "org": org}
        return shared | {
            "role": provider.value(told, "role")[:LONGEST],
            "org_name": provider.value(told, "organisation_name")[:LONGEST],
        }
    cpr = canonical(CPR, provider.value(told, "cpr"))
    if not cpr.value or person_identifier_problem(cpr):
        raise Forbidden("sign-in-no-person", "The sign-in names no person: it has no CPR number.")
    return shared | {"kind": "citizen", "sub": cpr.value}


def _require_level(provider: Provider, level: str) -> None:
    """Refuse a level of assurance below the provider's minimum, and one that it does not list."""
    if not provider.levels or not provider.minimum:
        return
    if level not in provider.levels or provider.levels.index(level) < provider.levels.index(provider.minimum):
        raise Forbidden("sign-in-level", "This sign-in is not strong enough; sign in with a stronger one.")


def _organisation(provider: Provider, told: dict[str, Any], directory: Directory) -> str:
    """Return the SOR code of the organisation signed in at; a ydernummer is looked up in the directory."""
    if org := provider.value(told, "organisation"):
        return org[:LONGEST]
    yder = provider.value(told, "yder")
    unit = directory.find(f"yder:{yder}") if yder else None
    return unit.sor if unit else ""
