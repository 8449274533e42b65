"""`overblik token`: a signed test token, or a link that signs a browser in by the test provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from overblik.cli.console import current_settings, fail, out
from overblik.cli.opened import with_runtime
from overblik.fhir.identifiers import AUTHORISATION, CPR, canonical, person_identifier_problem
from overblik.fhir.query import Query, Tokens
from overblik.trust.callers.identity import system_caller
from overblik.trust.door.searching import search

if TYPE_CHECKING:
    from overblik.app.runtime import Runtime


def token(
    citizen: Annotated[str, typer.Option(help="A citizen's CPR.")] = "",
    professional: Annotated[str, typer.Option(help="A professional's authorisation id (five characters).")] = "",
    source: Annotated[str, typer.Option(help="The name of a source.")] = "",
    system: Annotated[bool, typer.Option("--system", help="The system itself: reads all, logged per patient.")] = False,
    org: Annotated[str, typer.Option(help="SOR code of the unit to sign in at; default the professional's own.")] = "",
    name: Annotated[str, typer.Option(help="The professional's name, where the directory does not know it.")] = "",
    role: Annotated[str, typer.Option(help="The professional's role.")] = "",
    purpose: Annotated[str, typer.Option(help="Purpose of use: TREAT, PATRQT, HSYSADMIN.")] = "",
    link: Annotated[bool, typer.Option("--link", help="Print a link that signs a browser in.")] = False,
) -> None:
    """Print a signed token for the API (demo and test only); with --link, an address for a browser."""
    if sum(map(bool, (citizen, professional, source, system))) != 1:
        fail("give exactly one of --citizen CPR, --professional ID, --source NAME, --system.")
    if link and (source or system):
        fail("pages are for citizens and professionals; --link goes with --citizen or --professional.")
    claims = _claims(citizen, source, system=system) | ({"purpose": purpose} if purpose else {})
    settings = current_settings()

    async def run(runtime: Runtime) -> str:
        if professional:
            claims.update(await _professional(runtime, professional, org, name, role))
        if runtime.issuer is None or runtime.provider is None:
            fail("tokens are issued in demo and test only: set OVERBLIK_MODE=demo or test.")
        if link:
            return f"{settings.address}/sign-in?hint={await runtime.provider.add(claims)}"
        return runtime.issuer.token(claims)

    out.print(with_runtime(run, settings), markup=False)


def _claims(citizen: str, source: str, *, system: bool) -> dict[str, Any]:
    """Return the claims of whoever needs no look-up; {} for a professional."""
    if citizen:
        identifier = canonical(CPR, citizen)
        if person_identifier_problem(identifier):
            fail("that is no CPR number: ten digits that begin with a date.")
        return {"kind": "citizen", "sub": identifier.value}
    if source:
        return {"kind": "source", "sub": source, "name": source}
    return {"kind": "system", "sub": "system", "name": "Overblik"} if system else {}


async def _professional(runtime: Runtime, identifier: str, org: str, name: str, role: str) -> dict[str, Any]:
    """Return a professional's claims, completed from the directory of PractitionerRoles."""
    query = Query("PractitionerRole", (Tokens("identifier", ((AUTHORISATION, identifier),)),), 1)
    page = await search(runtime.door, system_caller("token"), query, "PractitionerRole")
    known = page.entries[0].json() if page.entries else {}
    organisation = known.get("organization", {})
    org = org or str(organisation.get("identifier", {}).get("value", ""))
    if not org:
        fail("the directory does not know that professional; give --org SOR (and --name, --role).")
    texts = [c.get("text", "") for c in known.get("code", [])]
    return {
        "kind": "professional",
        "sub": identifier,
        "name": name or str(known.get("practitioner", {}).get("display", identifier)),
        "role": role or (texts[0] if texts else ""),
        "org": org,
        "org_name": str(organisation.get("display", "")),
    }
