"""All eighteen activities of HospitalNotification, in the order they happened and in every other."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING, Any

import pytest

from overblik.exchange.medcom.hospital_notification import ACTIVITIES
from tests.exchange.notifications import TOWN, WARD, Told, end_state, late, new_cpr, seeded, write_all
from tests.exchange.real import answer_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from random import Random

    from tests.conftest import World

ARRIVES = Told("admit-emergency", 0.01, "EMER")
ADMITTED = Told("admit-inpatient", 0.01)
ON_LEAVE = Told("start-leave-inpatient", 2.01, status="onleave", leave=(2,))
BACK = Told("end-leave-inpatient", 3.01, leave=(2, 3))
HOME_FROM_EMERGENCY = Told("discharge-emergency-home", 1.01, "EMER", "finished", ends=1)
HOME = Told("discharge-inpatient-home", 5.01, status="finished", ends=5)


@dataclass(frozen=True, slots=True)
class Case:
    """A story whose last notification is the one in question: its event, and the stay that must stand."""

    story: tuple[Told, ...]
    event: str
    status: str
    kind: str = "IMP"
    begins: float = 0
    ends: float | None = None
    leave: bool = False

    @property
    def activity(self) -> str:
        """The activity in question."""
        return self.story[-1].activity


REVISED_ARRIVAL = Told("revise-admit-emergency", 0.2, "EMER", begins=0.1)
REVISED_ADMISSION = Told("revise-admit-inpatient", 0.2, begins=0.1)
CASES = [
    Case((ARRIVES,), "admit-emergency", "in-progress", "EMER"),
    Case((ARRIVES, REVISED_ARRIVAL), "revise-admit-emergency", "in-progress", "EMER", begins=0.1),
    Case(
        (ARRIVES, Told("cancel-admit-emergency", 0.3, "EMER", "entered-in-error")),
        "withdrawn-admit-emergency", "entered-in-error", "EMER",
    ),
    Case((ADMITTED,), "admit-inpatient", "in-progress"),
    Case((ADMITTED, REVISED_ADMISSION), "revise-admit-inpatient", "in-progress", begins=0.1),
    Case(
        (ADMITTED, Told("cancel-admit-inpatient", 0.3, status="entered-in-error")),
        "withdrawn-admit-inpatient", "entered-in-error",
    ),
    Case((ADMITTED, ON_LEAVE), "start-leave-inpatient", "onleave", leave=True),
    Case(
        (ADMITTED, ON_LEAVE, Told("revise-start-leave-inpatient", 2.2, status="onleave", leave=(2.1,))),
        "revise-start-leave-inpatient", "onleave", leave=True,
    ),
    # Cancelling a leave takes back the leave, not the stay.
    Case(
        (ADMITTED, ON_LEAVE, Told("cancel-start-leave-inpatient", 2.2)),
        "withdrawn-start-leave-inpatient", "in-progress",
    ),
    Case((ADMITTED, ON_LEAVE, BACK), "end-leave-inpatient", "in-progress"),
    Case(
        (ADMITTED, ON_LEAVE, BACK, Told("revise-end-leave-inpatient", 3.2, leave=(2, 2.9))),
        "revise-end-leave-inpatient", "in-progress",
    ),
    Case(
        (ADMITTED, ON_LEAVE, BACK, Told("cancel-end-leave-inpatient", 3.2, status="onleave", leave=(2,))),
        "withdrawn-end-leave-inpatient", "onleave", leave=True,
    ),
    Case((ARRIVES, HOME_FROM_EMERGENCY), "discharge-emergency-home", "finished", "EMER", ends=1),
    Case(
        (ARRIVES, HOME_FROM_EMERGENCY, Told("revise-discharge-emergency-home", 1.2, "EMER", "finished", ends=0.9)),
        "revise-discharge-emergency-home", "finished", "EMER", ends=0.9,
    ),
    Case(
        (ARRIVES, HOME_FROM_EMERGENCY, Told("cancel-discharge-emergency-home", 1.2, "EMER")),
        "withdrawn-discharge-emergency-home", "in-progress", "EMER",
    ),
    Case((ADMITTED, HOME), "discharge-inpatient-home", "finished", ends=5),
    Case(
        (ADMITTED, HOME, Told("revise-discharge-inpatient-home", 5.2, status="finished", ends=4.9)),
        "revise-discharge-inpatient-home", "finished", ends=4.9,
    ),
    # Cancelling a discharge takes back the discharge: the patient is still in the ward.
    Case(
        (ADMITTED, HOME, Told("cancel-discharge-inpatient-home", 5.2)),
        "withdrawn-discharge-inpatient-home", "in-progress",
    ),
]  # fmt: skip
DEATHS = [
    # MedCom: a death is sent under the activity that was current, with the stay finished and the patient deceased.
    Case(
        (ADMITTED, Told("admit-inpatient", 4.01, status="finished", ends=4, dead=True)), "died", "finished", ends=4
    ),
    Case(
        (ADMITTED, ON_LEAVE, Told("start-leave-inpatient", 4.01, status="finished", ends=4, leave=(2, 4), dead=True)),
        "died", "finished", ends=4,
    ),
    Case(
        (ARRIVES, Told("admit-emergency", 0.6, "EMER", "finished", ends=0.5, dead=True)),
        "died", "finished", "EMER", ends=0.5,
    ),
    Case(
        (ADMITTED, HOME, Told("discharge-inpatient-home", 6, status="finished", ends=5, dead=True)),
        "died", "finished", ends=5,
    ),
]  # fmt: skip


def test_the_table_has_every_activity_once() -> None:
    assert sorted(case.activity for case in CASES) == sorted(ACTIVITIES)
    assert len(ACTIVITIES) == 18


async def deliver(world: World, messages: Iterable[bytes]) -> None:
    """Deliver messages one after another; each must be answered ok."""
    for message in messages:
        world.clock.forward(minutes=1)
        answer = answer_of(await world.message(message))
        assert (answer.status, answer.code, answer.issue) == (200, "ok", "")
    await world.run.drain()


@pytest.mark.parametrize("case", [*CASES, *DEATHS], ids=lambda c: f"{c.activity}-{c.event}")
async def test_activity_tells_its_event_and_leaves_its_stay(world: World, case: Case) -> None:
    cpr = new_cpr(seeded(1))
    await deliver(world, write_all(case.story, cpr))
    overview = await world.overview(cpr, world.system())
    latest = overview["new"][0]
    assert (latest["kind"], latest["event"], latest["source"]["token"]) == ("Encounter", case.event, WARD.sor)
    assert [n["event"] for n in overview["new"][1:]] == [told.activity for told in reversed(case.story[:-1])]
    *stays, person = await end_state(world, cpr)
    (stay,) = stays
    assert (stay["status"], stay["class"]["code"], person["deceased"]) == (case.status, case.kind, case.event == "died")
    assert stay["period"] == _period(case)
    shown = [(c["status"], c["kind"], c["leave"], c["deceased"], bool(c["end"])) for c in overview["contacts"]]
    contact = (case.status, case.kind, case.leave, case.event == "died", case.ends is not None)
    assert shown == ([] if case.status == "entered-in-error" else [contact])


def _period(case: Case) -> dict[str, str]:
    """2 November 2026, 10:00 in Denmark, and the days after it; the clocks have gone back."""
    told = {0: "02T10:00:00", 0.1: "02T12:24:00", 0.5: "02T22:00:00", 0.9: "03T07:36:00", 1: "03T10:00:00",
            4: "06T10:00:00", 4.9: "07T07:36:00", 5: "07T10:00:00"}  # fmt: skip
    period = {"start": f"2026-11-{told[case.begins]}+01:00"}
    return period if case.ends is None else {**period, "end": f"2026-11-{told[case.ends]}+01:00"}


@pytest.mark.parametrize("case", [*CASES, *DEATHS], ids=lambda c: f"{c.activity}-{c.event}")
async def test_m18_notification_stands_alone_where_the_earlier_ones_never_come(world: World, case: Case) -> None:
    cpr = new_cpr(seeded(2))
    await deliver(world, write_all(case.story, cpr)[-1:])
    alone = await end_state(world, cpr)
    other = new_cpr(seeded(3))
    await deliver(world, write_all(case.story, other))
    assert await end_state(world, other) == alone
    (news,) = (await world.overview(cpr, world.system()))["new"]
    assert news["event"] == case.event


READMITTED = tuple(late(told, 12) for told in (ADMITTED, HOME))
STORIES: dict[str, tuple[Told, ...]] = {
    "cancel before admit": (ADMITTED, Told("cancel-admit-inpatient", 0.3, status="entered-in-error")),
    "revise before the original": (ADMITTED, REVISED_ADMISSION, Told("revise-admit-inpatient", 0.4, begins=-0.5)),
    "leave": (ADMITTED, ON_LEAVE, BACK, HOME),
    "discharge cancelled, then home after all": (
        ADMITTED, HOME, Told("cancel-discharge-inpatient-home", 5.2), late(HOME, 2),
    ),
    "readmission in the same episode": (ADMITTED, HOME, *READMITTED),
    "readmission while the first discharge is revised": (
        ADMITTED, HOME, Told("revise-discharge-inpatient-home", 5.5, status="finished", ends=4.5), READMITTED[0],
    ),
    "readmission cancelled": (
        ADMITTED, HOME, READMITTED[0], late(Told("cancel-admit-inpatient", 0.3, status="entered-in-error"), 12),
    ),
    "from emergency to inpatient": (ARRIVES, Told("admit-inpatient", 0.31, begins=0.3), HOME),
    "emergency, home, and later inpatient": (ARRIVES, HOME_FROM_EMERGENCY, *READMITTED),
    "death, corrected": (
        ADMITTED,
        Told("admit-inpatient", 4.01, status="finished", ends=4, dead=True),
        Told("admit-inpatient", 4.2),
    ),
}  # fmt: skip
STANDS: dict[str, list[tuple[str, str]]] = {
    "cancel before admit": [("entered-in-error", "IMP")],
    "revise before the original": [("in-progress", "IMP")],
    "leave": [("finished", "IMP")],
    "discharge cancelled, then home after all": [("finished", "IMP")],
    "readmission in the same episode": [("finished", "IMP"), ("finished", "IMP")],
    "readmission while the first discharge is revised": [("finished", "IMP"), ("in-progress", "IMP")],
    "readmission cancelled": [("finished", "IMP"), ("entered-in-error", "IMP")],
    # A change of class is a contact of its own; the acute one is ended by no message.
    "from emergency to inpatient": [("in-progress", "EMER"), ("finished", "IMP")],
    "emergency, home, and later inpatient": [("finished", "EMER"), ("finished", "IMP")],
    "death, corrected": [("in-progress", "IMP")],
}


@pytest.mark.parametrize("name", STORIES)
async def test_end_state_is_the_same_in_every_order(world: World, name: str) -> None:
    story, rng = STORIES[name], seeded(name)
    wanted: list[dict[str, Any]] | None = None
    for order in permutations(range(len(story))):
        cpr = new_cpr(rng)
        messages = write_all(story, cpr)
        await deliver(world, [messages[place] for place in order])
        found = await end_state(world, cpr)
        if wanted is None:
            wanted = found
            assert [(s["status"], s["class"]["code"]) for s in found[:-1]] == STANDS[name]
        assert found == wanted, order


def _tale(rng: Random) -> tuple[Told, ...]:
    """Return a plausible episode: up to three stays, each revised, left, cancelled or ended as chance has it."""
    told: list[Told] = []
    begins = 0.0
    for _ in range(rng.randint(1, 3)):
        kind, name = rng.choice((("IMP", "inpatient"), ("EMER", "emergency")))
        ends = begins + rng.randint(2, 5)
        told.append(Told(f"admit-{name}", begins + 0.01, kind, begins=begins))
        if rng.random() < 0.4:
            told.append(Told(f"revise-admit-{name}", begins + 0.3, kind, begins=begins))
        if kind == "IMP" and rng.random() < 0.5:
            leave = (begins + 0.5, begins + 1)
            told.append(Told("start-leave-inpatient", leave[0] + 0.01, kind, "onleave", begins, leave=leave[:1]))
            told.append(Told("end-leave-inpatient", leave[1] + 0.01, kind, begins=begins, leave=leave))
        told.append(Told(f"discharge-{name}-home", ends + 0.01, kind, "finished", begins, ends))
        if rng.random() < 0.4:
            told.append(Told(f"cancel-discharge-{name}-home", ends + 0.1, kind, begins=begins))
            ends += 0.5
            told.append(Told(f"discharge-{name}-home", ends + 0.01, kind, "finished", begins, ends))
        begins = ends + rng.randint(1, 4)
    return tuple(told)


@pytest.mark.parametrize("seed", range(12))
async def test_a_plausible_episode_ends_the_same_however_it_is_shuffled_and_repeated(world: World, seed: int) -> None:
    rng = seeded(seed)
    story = _tale(rng)
    in_order = new_cpr(rng)
    await deliver(world, write_all(story, in_order))
    wanted = await end_state(world, in_order)
    for _ in range(4):
        cpr = new_cpr(rng)
        messages = write_all(story, cpr)
        await deliver(world, _shuffled(messages, rng))
        assert await end_state(world, cpr) == wanted, story


def _shuffled(messages: Sequence[bytes], rng: Random) -> list[bytes]:
    """Return messages in another order, some of them twice."""
    twice = [*messages, *rng.sample(list(messages), k=len(messages) // 2)]
    rng.shuffle(twice)
    return twice


async def test_another_hospital_with_the_same_episode_id_has_a_stay_of_its_own(world: World) -> None:
    cpr = new_cpr(seeded(5))
    (message,) = write_all((ADMITTED,), cpr)
    await deliver(world, [message, message.replace(WARD.sor.encode(), b"99900000055099")])
    *stays, _ = await end_state(world, cpr)
    assert len(stays) == 2


async def test_a_notification_to_the_municipality_gives_it_a_relation_whatever_came_after(world: World) -> None:
    cpr = new_cpr(seeded(6))
    await deliver(world, write_all(STORIES["cancel before admit"], cpr))
    patient = await world.patient_id(cpr)
    assert (await world.get(f"/Patient/{patient}", world.professional(TOWN.sor))).status_code == 200
    assert (await world.get(f"/Patient/{patient}", world.professional(WARD.sor))).status_code == 404
