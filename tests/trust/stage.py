"""Units, one patient and the resources that tests of trust write, short enough for a table."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.conftest import NOW

if TYPE_CHECKING:
    from overblik.trust.callers.identity import Caller
    from tests.conftest import World

CPR = "2512489996"
OTHER = "0905489998"
HOSPITAL, DEPARTMENT, SIBLING, MUNICIPALITY, UNIT = (f"9990001600{n}" for n in range(1, 6))
DAY = timedelta(days=1)
SOR = "urn:oid:1.2.208.176.1.1"


def organisation(sor: str, parent: str = "") -> dict[str, Any]:
    body: dict[str, Any] = {
        "resourceType": "Organization",
        "name": f"Enhed {sor}",
        "identifier": [{"system": SOR, "value": sor}],
    }
    return body | ({"partOf": {"identifier": {"system": SOR, "value": parent}}} if parent else {})


def unit(sor: str) -> dict[str, Any]:
    return {"identifier": {"system": SOR, "value": sor}, "display": f"Enhed {sor}"}


def about(cpr: str = CPR) -> dict[str, Any]:
    return {"type": "Patient", "identifier": {"system": "urn:oid:1.2.208.176.1.2", "value": cpr}}


def patient(cpr: str = CPR) -> dict[str, Any]:
    return {"resourceType": "Patient", "identifier": [about(cpr)["identifier"]], "name": [{"family": "Test"}]}


def encounter(org: str, start: datetime, end: datetime | None, cpr: str = CPR) -> dict[str, Any]:
    period = {"start": start.isoformat()} | ({"end": end.isoformat()} if end else {})
    return {
        "resourceType": "Encounter",
        "status": "finished" if end else "in-progress",
        "class": {"code": "IMP"},
        "subject": about(cpr),
        "period": period,
        "serviceProvider": unit(org),
    }


async def stage(world: World) -> str:
    """Write the units and one patient; return the patient's id."""
    for sor, parent in (
        (HOSPITAL, ""),
        (DEPARTMENT, HOSPITAL),
        (SIBLING, HOSPITAL),
        (MUNICIPALITY, ""),
        (UNIT, MUNICIPALITY),
    ):
        await world.post("/Organization", world.system(), organisation(sor, parent))
    await world.run.directory.refresh(force=True)
    created = await world.post("/Patient", world.source(), patient())
    return str(created.json()["id"])


async def write(world: World, resource: dict[str, Any]) -> str:
    created = await world.post(f"/{resource['resourceType']}", world.source(), resource)
    assert created.status_code == 201, created.text
    return str(created.json()["id"])


async def sees(world: World, patient_id: str, org: str) -> bool:
    response = await world.get(f"/Patient/{patient_id}", world.professional(org))
    assert response.status_code in {200, 404}
    return response.status_code == 200


async def caller(world: World, who: dict[str, str]) -> Caller:
    """Return whom a header names, for what the door does for pages only."""
    found = await world.run.issuer.caller(who["Authorization"].split()[1])  # type: ignore[union-attr]  # tests have an issuer
    assert found
    return found


async def deny(world: World, patient_id: str, **row: Any) -> None:
    """Insert a deny row as it stands; blocks that citizens set are Consents (tests/trust/test_consent.py)."""
    place = await world.run.door.locate("Patient", patient_id)
    defaults = {"person": None, "org": None, "sub_units": True, "rid": None, "type": None, "source": None}
    defaults |= {"parent": None, "excepting": False, "data_from": None, "data_until": None}
    times = {"valid_from": NOW - 999 * DAY, "valid_until": NOW + 999 * DAY}
    values = {"pid": place.pid, "did": world.run.writer.keys.number(), **defaults, **times, **row}
    await world.run.database.run(
        "insert into deny (pid, did, person, org, sub_units, rid, type, source, parent, excepting, data_from,"
        " data_until, valid_from, valid_until) values (%(pid)s, %(did)s, %(person)s, %(org)s, %(sub_units)s, %(rid)s,"
        " %(type)s, %(source)s, %(parent)s, %(excepting)s, %(data_from)s, %(data_until)s, %(valid_from)s,"
        " %(valid_until)s)",
        values,
    )
