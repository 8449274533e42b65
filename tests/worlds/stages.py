"""What both worlds hold, what only the second holds, and who asks: one stage for each way of hiding.

Resources have names of their sources' choosing (`s1.…` seen, `h1.…` hidden), so that what is visible can refer
to what only one world has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from tests.api.test_transaction import bundle, entry
from tests.conftest import NOW
from tests.search.evaluate import Population
from tests.search.people import OF_PATIENTS, SHARED_FIRST, Ids, Maker
from tests.trust.consents import attorney, consent, of_type, permit
from tests.trust.stage import (
    DAY,
    DEPARTMENT,
    HOSPITAL,
    MUNICIPALITY,
    SIBLING,
    UNIT,
    about,
    encounter,
    organisation,
    patient,
)  # fmt: skip

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import World

MINE, THEIRS, HOLDER, NOBODY = "2512489996", "0905489998", "1010489993", "0101010101"
"""Whose record has both, whose is hidden whole, who acts for the first, and who has no record."""
SEEN, UNSEEN = Ids(1).seen, Ids(1).unseen
Header = dict[str, str]
Claims = dict[str, Any]


@dataclass(frozen=True)
class Stage:
    """A way of hiding: the callers it hides from, and the statements that hide what the second world has more.

    `kinds` are the types that are hidden; `persons` says whether hidden Patients of the shared record are among them.
    """

    name: str
    hide: tuple[str, ...]
    callers: Callable[[World], dict[str, Header]]
    kinds: tuple[str, ...] = (*OF_PATIENTS, "List")
    seen: tuple[str, ...] = (*OF_PATIENTS, "List")
    persons: bool = True
    mandate: tuple[str, ...] = ()
    pages: tuple[Claims, ...] = ()


def staff(identifier: str, org: str) -> Claims:
    """Return the claims of a professional."""
    return {"kind": "professional", "sub": identifier, "name": "Test Person", "role": "læge", "org": org}


def _professionals(world: World) -> dict[str, Header]:
    scoped = {"scope": "launch/patient patient/*.rs user/Observation.rs user/Practitioner.rs", "app": "Appen"}
    doctor = staff("TEST1", DEPARTMENT)
    return {
        "doctor": world.professional(DEPARTMENT),
        "doctor's app": world.token(**doctor, **scoped, patient=f"{SEEN}.p"),
        "app of the hidden": world.token(**doctor, **scoped, patient=f"{UNSEEN}.q"),
        "sibling": world.professional(SIBLING, "TEST2"),
        "stranger": world.professional(UNIT, "TEST3"),
        "unit nobody knows": world.professional("99900000016099", "TEST4"),
    }


def _citizens(world: World) -> dict[str, Header]:
    mine = {"kind": "citizen", "sub": MINE, "name": "Borger"}
    return {
        "citizen": world.citizen(MINE),
        "another citizen": world.citizen(NOBODY),
        "proxy": world.token(kind="proxy", sub=HOLDER, name="Fuldmægtig", on_behalf=MINE),
        "proxy of the hidden": world.token(kind="proxy", sub=HOLDER, name="Fuldmægtig", on_behalf=THEIRS),
        "app": world.token(**mine, app="Appen", scope="launch/patient patient/*.rs", patient=f"{SEEN}.p"),
    }


def _narrow(world: World) -> dict[str, Header]:
    mine = {"kind": "citizen", "sub": MINE, "name": "Borger", "app": "Appen", "patient": f"{SEEN}.p"}
    doctor = staff("TEST1", DEPARTMENT)
    few = "Patient.rs {}/Observation.rs"
    return {
        "limited proxy": world.token(kind="proxy", sub=HOLDER, name="Fuldmægtig", on_behalf=MINE),
        "app": world.token(**mine, scope=f"patient/{few.format('patient')}"),
        "app of observations": world.token(**mine, scope="patient/Observation.s patient/Patient.r"),
        "doctor's app": world.token(**doctor, app="Appen", scope=f"user/{few.format('user')}"),
    }


def _sources(world: World) -> dict[str, Header]:
    return {"source": world.source(SEEN), "another source": world.source("nobody")}


_DENY = "insert into deny (pid, did, sub_units, excepting, valid_from, valid_until, {}) select {} from resource"
_FOR_LONG = "true, false, '2020-01-01'::timestamptz, '2100-01-01'::timestamptz"
BY_SOURCE = f"{_DENY.format('source', f'distinct pid, 1, {_FOR_LONG}, source')} where via = 'h1'"
BY_ENTRY = f"{_DENY.format('rid', f'pid, 100 + row_number() over (), {_FOR_LONG}, rid')} where via = 'h1'"
STAGES = (
    Stage("professional", (BY_SOURCE,), _professionals, pages=(staff("TEST5", DEPARTMENT), staff("TEST6", UNIT))),
    Stage("professional, entry by entry", (BY_ENTRY,), _professionals),
    Stage(
        "citizen", ("update resource set labels = '{staff}' where via = 'h1'",), _citizens,
        pages=tuple({"kind": "citizen", "sub": cpr, "name": "Borger"} for cpr in (MINE, HOLDER, NOBODY)),
    ),
    Stage(
        "narrow", (), _narrow, kinds=("Condition", "Encounter", "RiskAssessment", "List"), persons=False,
        mandate=("Observation",),
    ),
    Stage("source", (), _sources),
)  # fmt: skip


@st.composite
def populations(draw: st.DrawFn, stage: Stage) -> Population:
    """Draw what the two worlds hold: shared resources, two persons, and what both sources say of them."""
    maker = Maker(draw, Ids(1), {})
    made: list[dict[str, Any]] = [maker.make(kind, f"{SEEN}.o{n}") for n, kind in enumerate(SHARED_FIRST)]

    def person(name: str, cpr: str) -> None:
        resource = {**maker.make("Patient", name), "identifier": patient(cpr)["identifier"]}
        dead = {"deceasedDateTime": "2026-05-05"} if name.startswith(UNSEEN) else {}
        made.append({**resource, "birthDate": "1948-12-25" if cpr == MINE else "1948-05-09", **dead})

    person(f"{SEEN}.p", MINE)
    if stage.persons:
        person(f"{UNSEEN}.p", MINE)
    person(f"{UNSEEN}.q", THEIRS)
    for number in range(24):
        unseen = number % 2 == 0
        kind = draw(st.sampled_from([k for k in (stage.kinds if unseen else stage.seen) if k != "List"]))
        resource = maker.make(kind, f"{UNSEEN if unseen else SEEN}.r{number}")
        cpr = THEIRS if unseen and number % 6 == 0 else MINE
        made.append({**resource, "subject": about(cpr)})
    items = [{"item": {"reference": f"{r['resourceType']}/{r['id']}"}} for r in made[5:]]
    for source in (SEEN, UNSEEN):
        made.append({"resourceType": "List", "id": f"{source}.l", "status": "current", "mode": "working",
                     "subject": about(MINE), "entry": items})  # fmt: skip
    for resource in made:  # whose word it is: each source's own, so that it can be blocked
        meta = {name: value for name, value in resource.pop("meta", {}).items() if name != "source"}
        if meta:
            resource["meta"] = meta
    return Population(made, {r["id"] for r in made if r["id"].startswith(UNSEEN)}, NOW.isoformat())


async def deliver(world: World, name: str, resources: list[dict[str, Any]]) -> None:
    """Have a source write under names of its own."""
    response = await world.post(
        "", world.source(name), bundle(*(entry("PUT", f"{r['resourceType']}/{r['id']}", r) for r in resources))
    )
    assert response.status_code == 200, response.text


async def shared(world: World, stage: Stage, population: Population) -> None:
    """Write what both worlds hold; one unit has a relation, one person acts for another."""
    for sor, above in ((HOSPITAL, ""), (DEPARTMENT, HOSPITAL), (SIBLING, HOSPITAL), (MUNICIPALITY, ""),
                       (UNIT, MUNICIPALITY)):  # fmt: skip
        await world.post("/Organization", world.system(), organisation(sor, above))
    await world.run.directory.refresh(force=True)
    contact = {**encounter(DEPARTMENT, NOW - DAY, None, MINE), "id": f"{SEEN}.e"}
    seen = [r for r in population.resources if r["id"] not in population.hidden]
    await deliver(world, SEEN, [*seen, contact])
    said = permit(attorney(HOLDER), *([of_type(*stage.mandate)] if stage.mandate else []))
    answer = await world.post("/Consent", world.citizen(MINE), consent(said, MINE))
    assert answer.status_code == 201, answer.text


async def hidden(world: World, stage: Stage, population: Population) -> None:
    """Write what only the second world holds, and hide it; from professionals also evidence of relations.

    A citizen is told who has a relation, also where the evidence is for staff only: who may look is theirs to know.
    """
    more = [r for r in population.resources if r["id"] in population.hidden]
    if stage.callers is _professionals:
        more.append({**encounter(SIBLING, NOW - DAY, None, MINE), "id": f"{UNSEEN}.e"})
        more.append({**encounter(SIBLING, NOW - DAY, None, MINE), "id": f"{UNSEEN}.f", "serviceProvider":
                     {"identifier": {"system": "urn:oid:1.2.208.176.1.1", "value": UNIT}}})  # fmt: skip
    await deliver(world, UNSEEN, more)
    for statement in stage.hide:
        await world.run.database.run(statement)
