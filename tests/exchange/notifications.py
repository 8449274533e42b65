"""HospitalNotifications as a hospital would send them, for the activities that no published file shows.

MedCom's table of codes says which class, status and period go with each activity; the bytes are made by the
demo's builder, and the leave and the whole Provenance chain are added here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from overblik.demo.cast import Unit
from overblik.demo.formats.medcom import Stay, hospital_notification
from overblik.demo.people import Person, make_cpr
from overblik.fhir.dates import COPENHAGEN, local_date_time
from overblik.fhir.strict_json import dumps, loads

if TYPE_CHECKING:
    from tests.conftest import World

WARD = Unit(
    "ward", "99900000055001", "Ortopædkirurgisk Afdeling", "department", gln="5790009995509", phone="00 55 00 01"
)
TOWN = Unit(
    "town", "99900000055002", "Fjordby Kommune, Visitation", "municipal-unit", gln="5790009995516", phone="00 55 00 02"
)
LEAVE = (
    "http://medcomfhir.dk/ig/hospitalnotification/StructureDefinition/medcom-hospitalnotifiation-leave-period-extension"
)
DAY = timedelta(days=1)
START = datetime(2026, 11, 2, 10, 0, tzinfo=COPENHAGEN)


@dataclass(frozen=True, slots=True)
class Told:
    """One notification: what happened when, and the whole stay as it then was. Days count from START."""

    activity: str
    day: float
    kind: str = "IMP"
    status: str = "in-progress"
    begins: float = 0
    ends: float | None = None
    leave: tuple[float, ...] = ()
    dead: bool = False


@dataclass(slots=True)
class Writer:
    """Writes the notifications of one patient's episode, each with the chain of those before it."""

    cpr: str
    episode: str
    chain: list[dict[str, Any]] = field(default_factory=list)
    receiver: Unit = TOWN

    def write(self, told: Told) -> bytes:
        """Return one notification as bytes."""
        person = Person(self.cpr, "Prøve", "Person", True, START.date(), "", "", "", "", "", "", "")
        ends = None if told.ends is None else START + told.ends * DAY
        stay = Stay(person, WARD, self.receiver, self.episode, told.kind, START + told.begins * DAY, ends)
        raw, _ = hospital_notification(
            stay, told.activity, START + told.day * DAY, deceased=told.dead, status=told.status
        )
        bundle = loads(raw)
        resources = [entry["resource"] for entry in bundle["entry"]]
        encounter = next(r for r in resources if r["resourceType"] == "Encounter")
        if told.leave:
            names = ("start", "end")
            period = {n: local_date_time(START + d * DAY) for n, d in zip(names, told.leave, strict=False)}
            encounter["extension"] = [{"url": LEAVE, "valuePeriod": period}]
        own = resources[-1]
        if self.chain:
            earlier = self.chain[-1]["target"][0]
            role = "removal" if told.activity.startswith("cancel-") else "revision"
            own["entity"] = [{"role": role, "what": earlier}]
        earlier_steps = [{**step, "agent": own["agent"]} for step in self.chain]
        bundle["entry"] += [{"fullUrl": f"https://sender.test/{p['id']}", "resource": p} for p in earlier_steps]
        self.chain.append(own)
        return dumps(bundle)


def seeded(seed: int | str) -> Random:
    """Return a source of chance that is the same every time."""
    return Random(seed)


def new_cpr(rng: Random) -> str:
    """Return the number of a person who cannot exist."""
    return make_cpr(rng, datetime(1944, 3, 4, tzinfo=COPENHAGEN).date(), female=True)


def write_all(story: tuple[Told, ...], cpr: str) -> list[bytes]:
    """Return a story's notifications in the order they happened."""
    writer = Writer(cpr, f"2f1e8c1a-0000-4000-8000-{cpr:>012}")
    return [writer.write(told) for told in story]


async def end_state(world: World, cpr: str) -> list[dict[str, Any]]:
    """Return the stays of a person as they stand, the first first, and whether the person has died."""
    patient = await world.patient_id(cpr)
    found = await world.get(f"/Encounter?patient={patient}&_count=100", world.system())
    names = ("status", "class", "period", "extension", "hospitalization")
    stays = [{n: e["resource"][n] for n in names if n in e["resource"]} for e in found.json().get("entry", [])]
    person = (await world.get(f"/Patient/{patient}", world.system())).json()
    stays.sort(key=lambda s: (s["period"]["start"], s["class"]["code"], str(s)))
    return [*stays, {"deceased": person.get("deceasedBoolean", False)}]


def late(told: Told, days: float) -> Told:
    """Return the same notification of a later stay."""
    ends = None if told.ends is None else told.ends + days
    return replace(told, day=told.day + days, begins=told.begins + days, ends=ends)
