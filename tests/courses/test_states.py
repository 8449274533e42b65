"""The strip says the state, who has the ball, the telephone and the next deadline: one table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.courses.build import (
    ADMITTED,
    CLINIC,
    DAY,
    EPISODE,
    HOME,
    HOSPITAL,
    HOUR,
    NURSING,
    OTHER_EPISODE,
    OTHER_TOWN,
    PLANNED,
    TOWN,
    TRAINING,
    WARD,
    Told,
    again,
    done,
    message,
    operation,
    own_plan,
    patient,
    plan,
    session,
    stay,
    strip,
    strips,
    task,
    tells,
    told,
)

if TYPE_CHECKING:
    from datetime import datetime

    from overblik.trust.door.entries import Entry


@dataclass(frozen=True)
class Case:
    """A situation: what is known, when it is asked, what the strip tells, which steps are done."""

    what: str
    entries: tuple[Entry, ...]
    now: datetime
    told: Told
    done: str


OPEN = stay(end=None)
STAY = (stay(), operation())
SENT = (*STAY, plan())
TAKEN = (*SENT, task())
OFFERED = (*TAKEN, session())
HELD = (*TAKEN, session(status="fulfilled"))
REPORTED = (*HELD, message())
CLOSED = (*REPORTED, own_plan())
IN_WARD = Told("operated", "Afdelingen", "11")
WAITING = Told("sent", "Kommunen", "22", "2026-11-27", "first-session")
TRAINS = Told("underway", "Træningen", "33")
HOSPITAL_STEPS = "admitted operated discharged"
CASES = [
    Case("admitted", (OPEN,), ADMITTED + HOUR, Told("admitted", "Afdelingen", "11"), "admitted"),
    Case("admitted again to the same", (OPEN, OPEN), ADMITTED + HOUR, Told("admitted", "Afdelingen", "11"), "admitted"),
    Case("operated", (OPEN, operation()), ADMITTED + 2 * DAY, IN_WARD, "admitted operated"),
    Case(
        "an operation that was not done",
        (OPEN, operation(status="not-done")), ADMITTED + 2 * DAY, Told("admitted", "Afdelingen", "11"), "admitted",
    ),
    Case(
        "an X-ray is no operation",
        (OPEN, operation(code="UXRG05")), ADMITTED + 2 * DAY, Told("admitted", "Afdelingen", "11"), "admitted",
    ),
    Case("discharged without a plan", STAY, HOME + HOUR, Told("discharged"), HOSPITAL_STEPS),
    Case("discharged without a plan, long ago", STAY, HOME + 90 * DAY, Told("discharged"), HOSPITAL_STEPS),
    Case(
        "plan before discharge: nothing to count from",
        (OPEN, operation(), plan()), PLANNED + HOUR, Told("sent", "Kommunen", "22"), "admitted operated sent",
    ),
    Case("discharged with a plan", SENT, HOME + HOUR, WAITING, f"{HOSPITAL_STEPS} sent"),
    Case(
        "the plan alone",
        (plan(),), HOME + HOUR, Told("sent", "Kommunen", "22"), "sent",
    ),
    Case(
        "plan only requested: no acceptance",
        (*SENT, task("requested")), HOME + 3 * DAY, Told("sent", "Træningen", "33", "2026-11-27", "first-session"),
        f"{HOSPITAL_STEPS} sent",
    ),
    Case(
        "accepted",
        TAKEN, HOME + 4 * DAY, Told("received", "Træningen", "33", "2026-11-27", "first-session"),
        f"{HOSPITAL_STEPS} sent received",
    ),
    Case(
        "the first session is booked",
        OFFERED, HOME + 4 * DAY, Told("offered", "Træningen", "33", "2026-11-25", "next-session"),
        f"{HOSPITAL_STEPS} sent received offered",
    ),
    Case(
        "booked, and nobody said that the plan came",
        (*SENT, session()), HOME + 4 * DAY, Told("offered", "Kommunen", "22", "2026-11-25", "next-session"),
        f"{HOSPITAL_STEPS} sent received offered",
    ),
    Case(
        "the first session has been",
        HELD, HOME + 6 * DAY, TRAINS, f"{HOSPITAL_STEPS} sent received offered underway",
    ),
    Case(
        "another is booked",
        (*HELD, session(HOME + 9 * DAY, name="next")), HOME + 6 * DAY,
        Told("underway", "Træningen", "33", "2026-11-29", "next-session"),
        f"{HOSPITAL_STEPS} sent received offered underway",
    ),
    Case(
        "a missed session was offered, and is not training",
        (*TAKEN, session(status="noshow")), HOME + 6 * DAY, Told("offered", "Træningen", "33"),
        f"{HOSPITAL_STEPS} sent received offered",
    ),
    Case(
        "reported to the GP",
        REPORTED, HOME + 36 * DAY, Told("reported", "Lægerne", "55"),
        f"{HOSPITAL_STEPS} sent received offered underway reported",
    ),
    Case(
        "closed",
        CLOSED, HOME + 51 * DAY, Told("closed"), f"{HOSPITAL_STEPS} sent received offered underway reported closed",
    ),
    Case(
        "closed with nothing said of training: it claims neither session nor report",
        (*TAKEN, own_plan()), HOME + 51 * DAY, Told("closed"), f"{HOSPITAL_STEPS} sent received closed",
    ),
    Case(
        "a plan that its author completed",
        (*STAY, plan(status="completed")), HOME + 9 * DAY, Told("closed"), f"{HOSPITAL_STEPS} sent received closed",
    ),
    Case(
        "turned away",
        (*SENT, task("rejected")), HOME + 9 * DAY, Told("returned", "Afdelingen", "11"), f"{HOSPITAL_STEPS} sent",
    ),
    Case(
        "turned away after it was accepted",
        (*TAKEN, task("cancelled", HOME + 4 * DAY, name="second")), HOME + 9 * DAY,
        Told("returned", "Afdelingen", "11"), f"{HOSPITAL_STEPS} sent",
    ),
    Case(
        "turned away by one, accepted by another",
        (*SENT, task("rejected", HOME + DAY, owner=TOWN), task("accepted", HOME + 2 * DAY, name="b", owner=OTHER_TOWN)),
        HOME + 3 * DAY, Told("received", "Nabokommunen", "66", "2026-11-27", "first-session"),
        f"{HOSPITAL_STEPS} sent received",
    ),
    Case(
        "turned away once training is under way is no return",
        (*HELD, task("cancelled", HOME + 6 * DAY, name="second")), HOME + 7 * DAY, TRAINS,
        f"{HOSPITAL_STEPS} sent received offered underway",
    ),
    Case(
        "dead before discharge",
        (stay(died=True), plan()), HOME + 20 * DAY, Told("closed"), "admitted discharged sent",
    ),
    Case(
        "dead, as another source says",
        (*TAKEN, patient(deceasedBoolean=True)), HOME + 20 * DAY, Told("closed"), f"{HOSPITAL_STEPS} sent received",
    ),
    Case(
        "in hospital again before training began",
        (*TAKEN, stay(HOME + 3 * DAY, None, name="second")), HOME + 9 * DAY, Told("admitted", "Afdelingen", "11"),
        "admitted operated sent received",
    ),
    Case(
        "in hospital again in the middle of training",
        (*HELD, stay(HOME + 9 * DAY, None, name="second")), HOME + 10 * DAY, Told("admitted", "Afdelingen", "11"),
        "admitted operated sent received offered underway",
    ),
    Case(
        "home again after training had begun: no new deadline",
        (*HELD, stay(HOME + 9 * DAY, HOME + 11 * DAY, name="second")), HOME + 30 * DAY, TRAINS,
        f"{HOSPITAL_STEPS} sent received offered underway",
    ),
    Case(
        "home again before training began: day 7 counts from the last discharge",
        (*TAKEN, stay(HOME + 3 * DAY, HOME + 8 * DAY, name="second")), HOME + 9 * DAY,
        Told("received", "Træningen", "33", "2026-12-05", "first-session"), f"{HOSPITAL_STEPS} sent received",
    ),
    Case(
        "home again with a new plan: what was said of the old one is not said of it",
        (*HELD, stay(HOME + 9 * DAY, HOME + 12 * DAY, name="second"), plan(HOME + 12 * DAY, name="new")),
        HOME + 13 * DAY, Told("sent", "Kommunen", "22", "2026-12-09", "first-session"), f"{HOSPITAL_STEPS} sent",
    ),
    Case(
        "on leave is in hospital",
        (stay(end=None, status="onleave"), operation(), plan()), HOME + 9 * DAY, Told("sent", "Kommunen", "22"),
        "admitted operated sent",
    ),
    Case(
        "the discharge was withdrawn: the plan waits for a new one",
        (OPEN, operation(), plan(), task()), HOME + 30 * DAY, Told("received", "Træningen", "33"),
        "admitted operated sent received",
    ),
    Case(
        "the admission came by the emergency department",
        (stay(ADMITTED - 3 * HOUR, ADMITTED, name="er", kind="EMER"), OPEN, plan()), HOME + 9 * DAY,
        Told("sent", "Kommunen", "22"), "admitted sent",
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.what)
def test_the_strip_tells(case: Case) -> None:
    course = strip(case.entries, case.now)
    assert tells(course) == case.told
    assert done(course) == case.done.split()


NOT_SAID = [
    # what does not count, though it is of the same episode
    ("a session that was cancelled", session(status="cancelled"), "received"),
    ("a session that is only wished for", session(status="proposed"), "received"),
    ("a session that was entered in error", session(status="entered-in-error"), "received"),
    ("a control at the hospital", session(at=WARD), "received"),
    ("a control that the municipality asked for", session(at=WARD, asked_by=TRAINING), "received"),
    ("a visit to the GP", session(at=CLINIC, kind="PractitionerAppointment"), "received"),
    ("the nurse's question to the GP", message(category="nursing"), "received"),
    ("the GP's words to the municipality", message(sender=CLINIC, to=TRAINING), "received"),
    ("the hospital's words to the GP", message(sender=WARD), "received"),
    ("the municipality's words to the hospital", message(to=WARD), "received"),
    ("a report that was retracted", message(status="entered-in-error"), "received"),
    ("the hospital's own care plan, completed", own_plan(author=WARD), "received"),
    ("a closure that the hospital states for the municipality", own_plan(source=WARD), "received"),
    ("a closure entered in error", own_plan(status="entered-in-error"), "received"),
    ("a rejection by the GP", task("rejected", HOME + 4 * DAY, name="gp", owner=CLINIC), "received"),
    ("another stay, withdrawn", stay(HOME + DAY, None, name="b", status="entered-in-error"), "received"),
    ("another stay, cancelled", stay(HOME + DAY, None, name="b", status="cancelled"), "received"),
    ("another stay, planned", stay(HOME + DAY, None, name="b", status="planned"), "received"),
    ("a visit to a clinic", stay(HOME + DAY, None, name="b", kind="AMB"), "received"),
    ("a municipal bed", stay(HOME + DAY, None, name="b", at=TOWN), "received"),
    ("a revoked plan", plan(HOME + DAY, name="b", status="revoked"), "received"),
    ("a draft of a plan", plan(HOME + DAY, name="b", status="draft"), "received"),
]


@pytest.mark.parametrize(("what", "entry", "state"), NOT_SAID, ids=[n[0] for n in NOT_SAID])
def test_what_is_not_the_municipalitys_word_moves_nothing(what: str, entry: Entry, state: str) -> None:
    before = strip(TAKEN, HOME + 40 * DAY)
    after = strip((*TAKEN, entry), HOME + 40 * DAY)
    assert (after.state, done(after), tells(after)) == (state, done(before), tells(before)), what


@pytest.mark.parametrize("source", [WARD, HOSPITAL, CLINIC])
def test_nobody_accepts_for_the_municipality(source: str) -> None:
    assert strip((*SENT, task(source=source)), HOME + 4 * DAY).state == "sent"


@pytest.mark.parametrize("owner", [WARD, CLINIC])
def test_a_task_of_another_is_not_the_municipalitys(owner: str) -> None:
    assert strip((*SENT, task(owner=owner, source=TOWN)), HOME + 4 * DAY).state == "sent"


@pytest.mark.parametrize("owner", [TOWN, TRAINING, NURSING, "99900001799"])
def test_the_municipality_any_unit_of_it_or_one_nobody_knows_may_accept(owner: str) -> None:
    course = strip((*SENT, task(owner=owner)), HOME + 4 * DAY)
    assert (course.state, course.holder.token) == ("received", owner)


def test_the_closure_waits_for_every_plan_of_the_municipality() -> None:
    still = own_plan("active", name="still", author=NURSING)
    assert strip((*HELD, own_plan(), still), HOME + 60 * DAY).state == "underway"
    assert strip((*HELD, own_plan(), again(still, status="completed")), HOME + 60 * DAY).state == "closed"


def test_a_withdrawn_plan_leaves_the_stay() -> None:
    course = strip((*STAY, plan(status="revoked"), task()), HOME + 9 * DAY)
    assert (course.kind, course.state, course.overdue) == ("stay", "discharged", False)
    assert strip((*STAY, plan(status="entered-in-error")), HOME + 9 * DAY).kind == "stay"


def test_nothing_in_hospital_and_no_plan_is_no_course() -> None:
    assert strips((task(), session(), message(), own_plan()), HOME) == []
    assert strips((stay(status="entered-in-error"),), HOME) == []


def test_two_courses_stand_beside_each_other_and_the_last_to_begin_comes_first() -> None:
    fall = stay(HOME + 20 * DAY, None, name="fall", episode=OTHER_EPISODE)
    new, old = strips((*HELD, fall), HOME + 21 * DAY)
    assert (new.kind, new.state, old.kind, old.state) == ("stay", "admitted", "rehabilitation-general", "underway")
    assert not set(new.references) & set(old.references)


def test_the_ids_that_one_stay_names_together_are_one_episode() -> None:
    both = again(stay(), episodeOfCare=[{"identifier": {"value": v}} for v in (EPISODE, OTHER_EPISODE)])
    course = strip((both, plan(episode=OTHER_EPISODE), task()), HOME + 4 * DAY)
    assert course.state == "received"


@pytest.mark.parametrize(
    "written", [EPISODE.upper(), EPISODE.replace("-", ""), f"urn:uuid:{EPISODE}", f" {EPISODE.upper()} "]
)
def test_an_episode_is_the_same_however_its_id_is_written(written: str) -> None:
    assert strip((*STAY, plan(episode=written), task(episode=written.upper())), HOME + 4 * DAY).state == "received"


def test_what_points_at_the_stay_or_the_plan_belongs_to_their_course() -> None:
    operated = operation(extension=[], encounter={"reference": "Encounter/stay"})
    answers = again(task(), groupIdentifier={"value": "case 77"}, focus={"reference": "CarePlan/plan"})
    assert done(strip((stay(), operated, plan(), answers), HOME + 4 * DAY)) == [
        "admitted", "operated", "discharged", "sent", "received",
    ]  # fmt: skip


def test_what_points_at_what_is_hidden_belongs_to_nothing() -> None:
    loose = again(task(), groupIdentifier={}, focus={"reference": "CarePlan/plan"})
    assert strip((*STAY, loose), HOME + 4 * DAY).kind == "stay"


LOOSE = [
    # an appointment that names no episode: where, days after discharge, taken for a session
    ("with the unit that accepted", TRAINING, 5, True),
    ("with another unit of the asked municipality", NURSING, 5, True),
    ("with another municipality", OTHER_TOWN, 5, False),
    ("with the hospital", WARD, 5, False),
    ("before the plan", TRAINING, -400, False),
    ("on the day of the plan", TRAINING, 0, True),
]


@pytest.mark.parametrize(("what", "where", "days", "taken"), LOOSE, ids=[case[0] for case in LOOSE])
def test_an_appointment_without_an_episode_is_a_session_where_it_can_be_no_other(
    what: str, where: str, days: int, taken: bool
) -> None:
    loose = session(HOME + days * DAY, at=where, episode="")
    course = strip((*TAKEN, loose), HOME + 6 * DAY)
    assert ("Appointment/session" in course.references) is taken, what
    assert (course.state == "underway") is taken


def test_an_appointment_that_two_courses_could_have_is_in_neither() -> None:
    second = (
        stay(HOME + 2 * DAY, HOME + 3 * DAY, name="b", episode=OTHER_EPISODE),
        plan(HOME + 3 * DAY, name="plan-b", episode=OTHER_EPISODE),
    )
    found = strips((*TAKEN, *second, session(HOME + 6 * DAY, episode="")), HOME + 30 * DAY)
    assert [(c.state, c.overdue) for c in found] == [("sent", True), ("received", True)]


def test_an_appointment_after_the_closure_is_of_no_course() -> None:
    course = strip((*CLOSED, session(HOME + 70 * DAY, name="later", episode="")), HOME + 60 * DAY)
    assert (course.state, "Appointment/later" in course.references) == ("closed", False)


def test_the_step_of_acceptance_keeps_its_time_when_the_task_moves_on() -> None:
    moved = task("completed", HOME + 50 * DAY, made=HOME + 3 * DAY)
    received = next(s for s in strip((*HELD, moved), HOME + 51 * DAY).steps if s.code == "received")
    assert received.at == HOME + 3 * DAY


def test_the_course_is_named_by_its_diagnosis_then_its_operation_then_its_ward() -> None:
    condition = told({"resourceType": "Condition", "id": "c", "code": {"text": "Hoftebrud"}}, WARD, ADMITTED)
    named = again(plan(), addresses=[{"reference": "Condition/c"}])
    wrong = {"verificationStatus": {"coding": [{"code": "entered-in-error"}]}}
    assert strip((*STAY, named, condition), HOME).reason == "Hoftebrud"
    assert strip((*STAY, named, again(condition, **wrong)), HOME).reason == "Hofteoperation"
    assert strip((stay(), named), HOME).reason == "Afdelingen"


def test_the_plans_own_telephone_is_given_where_the_directory_has_none() -> None:
    url = "urn:overblik:extension:plan-contact"
    contact = {
        "url": url,
        "extension": [
            {"url": "name", "valueString": "Spørgsmål til kommunen"},
            {"url": "telecom", "valueContactPoint": {"system": "phone", "value": "99"}},
        ],
    }
    entry = plan(asked="99900001799")
    entry.resource["extension"].append(contact)
    assert strip((stay(), entry), HOME).holder.phone == "99"
