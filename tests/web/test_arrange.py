"""How an overview is arranged: what is pulled up, what is left where it stands, and that nothing is dropped."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from overblik.courses.rehabilitation import Course, Holder
from overblik.overview.sections.master_data import Person
from overblik.overview.service import GROUPS, Work
from overblik.trust.treatment.relations import Relation
from overblik.web import arrange
from tests.conftest import NOW
from tests.overview.build import CLINIC, DAY, DIRECTORY, HOSPITAL, TRAINING, appointment, order, result, seen, told

if TYPE_CHECKING:
    from overblik.trust.door.entries import Entry

COURSE = Course(
    id="c",
    kind="rehabilitation-general",
    reason="",
    state="sent",
    steps=(),
    holder=Holder(),
    deadline=None,
    deadline_kind="",
    overdue=False,
    private_provider=False,
    episode="",
    references=(),
    began=NOW,
)


def plan(written: datetime, code: str, text: str, *, status: str = "active", name: str = "plan") -> Entry:
    inner = [
        {"url": "code", "valueCode": code},
        {"url": "title", "valueString": code},
        {"url": "text", "valueString": text},
    ]
    body = {
        "resourceType": "CarePlan",
        "id": name,
        "status": status,
        "intent": "plan",
        "created": written.isoformat(),
        "extension": [{"url": "urn:overblik:extension:plan-section", "extension": inner}],
    }
    return told(body, HOSPITAL, written)


STATES = [
    ("sent", "rehabilitation-general", False),
    ("closed", "rehabilitation-general", True),
    ("discharged", "stay", True),
    ("discharged", "rehabilitation-general", False),
    ("admitted", "stay", False),
]


@pytest.mark.parametrize(("state", "kind", "over"), STATES)
def test_a_course_is_over_when_closed_or_when_a_stay_asked_nothing(state: str, kind: str, over: bool) -> None:
    assert arrange.is_over(replace(COURSE, state=state, kind=kind)) is over


def test_running_courses_are_shown_and_the_last_one_where_none_runs() -> None:
    running, closed = COURSE, replace(COURSE, id="d", state="closed")
    o = seen([])
    assert arrange.open_courses((closed, running)) == (running,)
    assert arrange.open_courses((closed, replace(closed, id="e"))) == (closed,)
    assert arrange.open_courses(o.courses) == ()


@pytest.mark.parametrize(
    ("state", "status", "shown"),
    [("sent", "active", True), ("closed", "active", False), ("sent", "completed", False)],
)
def test_advice_of_an_old_course_is_no_longer_advice(state: str, status: str, shown: bool) -> None:
    told_ = plan(NOW, arrange.FOR_PATIENT, "De må støtte på benet", status=status)
    course = replace(COURSE, state=state, references=(told_.reference,))
    found = arrange.for_patient(replace(seen([told_]), courses=(course,)))
    assert [text for _, text in found] == (["De må støtte på benet"] if shown else [])


def test_advice_without_a_course_is_not_the_courses_advice() -> None:
    assert arrange.for_patient(seen([plan(NOW, arrange.FOR_PATIENT, "x")])) == []


@pytest.mark.parametrize("status", ["booked", "cancelled", "noshow", "pending"])
def test_what_is_cancelled_is_not_to_be_kept(status: str) -> None:
    o = seen([appointment(number="A", status=status), appointment(number="B", start=NOW - 3 * DAY)])
    assert len(arrange.coming(o)) == (0 if status in arrange.DROPPED else 1)


def test_appointments_come_soonest_first() -> None:
    o = seen([appointment(number=str(n), start=NOW + n * DAY) for n in (3, 1, 2)])
    assert [a.start for a in arrange.coming(o)] == [NOW + n * DAY for n in (1, 2, 3)]


def test_anticoagulants_in_use_stand_before_those_that_have_just_ended() -> None:
    ended = order(atc="B01AA03", name="Warfarin", status="stopped")
    old_end = {"validityPeriod": {"end": (NOW - 300 * DAY).isoformat()}}
    old = order(atc="B01AC06", name="Clopidogrel", status="stopped", dispenseRequest=old_end)
    found = arrange.thinners(seen([ended, old, order(atc="B01AB04", name="Dalteparin"), order()]))
    assert [m.name for m in found] == ["Dalteparin", "Warfarin"]


def test_nothing_to_heed_is_nothing() -> None:
    assert not arrange.attention(seen([]))
    assert not arrange.attention(seen([order(), result()]))
    assert arrange.attention(replace(seen([]), courses=(replace(COURSE, overdue=True),)))


def test_the_newest_plan_that_says_something_of_it_is_quoted() -> None:
    old = plan(NOW - 40 * DAY, "WoundCare", "Gammelt sår", name="old")
    new = plan(NOW - DAY, "WoundCare", "Agrafter fjernes", name="new")
    silent = plan(NOW, "Other", "x", name="silent")
    found = arrange.plan_sections(seen([old, new, silent]), ("SafetyAspects", "WoundCare"))
    assert [(title, text, p.id) for title, text, p in found] == [("WoundCare", "Agrafter fjernes", "CarePlan/new")]
    assert arrange.plan_sections(seen([silent]), ("WoundCare",)) == []


def test_municipal_telephones_are_those_of_units_the_record_has_something_from() -> None:
    o = seen([result(source=TRAINING), result(source=HOSPITAL), order(CLINIC)])
    assert arrange.municipal_contacts(o, DIRECTORY.get) == [("Træningen", "33")]
    held = replace(o, results=(), courses=(replace(COURSE, holder=Holder(TRAINING, "Træningen")),))
    assert arrange.municipal_contacts(held, DIRECTORY.get) == [("Træningen", "33")]
    assert arrange.municipal_contacts(seen([result(source=CLINIC)]), DIRECTORY.get) == []


def work(name: str, *groups: str, deadline: date | None = None) -> Work:
    person = Person(name, "", "", None, None, False, None, "", False)
    course = replace(COURSE, deadline=deadline) if deadline else None
    return Work(name, person, groups or ("other",), course, NOW, 0)


def test_a_patient_stands_once_in_the_most_pressing_group_and_the_nearest_deadline_first() -> None:
    late = work("A", "overdue", "underway", deadline=date(2026, 11, 20))
    later = work("B", "overdue", deadline=date(2026, 11, 1))
    none = work("C", "overdue")
    other = work("D")
    found = arrange.by_group([late, none, other, later])
    assert [(group, [w.patient_id for w in items]) for group, items in found] == [
        ("overdue", ["B", "A", "C"]),
        ("other", ["D"]),
    ]
    assert arrange.by_group([]) == []


def test_groups_stand_in_order_of_what_presses_most() -> None:
    found = arrange.by_group([work(group, group) for group in reversed(GROUPS)])
    assert [group for group, _ in found] == list(GROUPS)
    assert GROUPS[0] == "overdue"


def test_namesakes_are_flagged_whatever_the_case() -> None:
    names = ["Karen Krog", "KAREN KROG", "Poul Krog", "", ""]
    assert arrange.namesakes([work(name) for name in names]) == {"karen krog"}


def row(request: int, minutes: float = 0, **more: Any) -> SimpleNamespace:
    fields = {
        "outcome": "permit", "rule": "contact", "action": "overview", "actor_kind": "professional", "actor": "A1",
        "actor_name": "A", "actor_role": "", "org": CLINIC, "org_name": "", "on_behalf": "", "purpose": "TREAT",
        "reason": "", "channel": "web", "resources": 3, "request": UUID(int=request),
    }  # fmt: skip
    return SimpleNamespace(**{**fields, "at": NOW - timedelta(minutes=minutes), **more})


def test_the_same_look_of_one_day_is_one_line_with_every_time() -> None:
    rows = [row(3, 0), row(2, 10), row(2, 10, resources=7), row(1, 20)]
    ((day, (look,)),) = arrange.looks(rows)
    assert day == date(2026, 11, 23)
    assert list(look.times) == [NOW, NOW - timedelta(minutes=10), NOW - timedelta(minutes=20)]
    assert look.resources == 7


@pytest.mark.parametrize(
    "field",
    [
        "outcome",
        "rule",
        "action",
        "actor_kind",
        "actor",
        "actor_name",
        "org",
        "on_behalf",
        "purpose",
        "reason",
        "channel",
    ],
)
def test_looks_that_differ_in_anything_are_lines_of_their_own(field: str) -> None:
    ((_, found),) = arrange.looks([row(1), row(2, 0, **{field: "another"})])
    assert len(found) == 2


def test_days_are_danish_days_the_last_first() -> None:
    late = datetime(2026, 11, 22, 23, 30, tzinfo=UTC)
    found = arrange.looks([row(2, at=late), row(1, at=late - timedelta(hours=1))])
    assert [day for day, _ in found] == [date(2026, 11, 23), date(2026, 11, 22)]
    assert arrange.looks([]) == []


@pytest.mark.parametrize(
    ("kind", "outcome", "own"),
    [("citizen", "permit", True), ("citizen", "refuse", False), ("professional", "permit", False)],
)
def test_the_own_look_is_the_citizens_that_was_permitted(kind: str, outcome: str, own: bool) -> None:
    ((_, (look,)),) = arrange.looks([row(1, actor_kind=kind, outcome=outcome)])
    assert arrange.is_own(look) is own


def test_ten_messages_are_one_reason_that_lasts_as_long_as_the_last() -> None:
    many = [Relation("sent", "Communication", HOSPITAL, NOW + n * DAY) for n in (3, 9, 4)]
    stay, gp = Relation("contact", "Encounter", HOSPITAL, None), Relation("gp", "Patient", HOSPITAL, NOW)
    assert lasting([many[0], stay, *many[1:], gp]) == [many[1], stay, gp]
    assert lasting([Relation("contact", "Encounter", HOSPITAL, NOW), stay]) == [stay]
    assert lasting([stay, Relation("contact", "Encounter", HOSPITAL, NOW)]) == [stay]
    others = [Relation("contact", "Encounter", CLINIC, NOW), Relation("contact", "Procedure", HOSPITAL, NOW)]
    assert lasting([stay, *others]) == [stay, *others]


def test_what_reads_the_same_is_one_reason() -> None:
    """A message is a Communication or a MessageHeader, and a unit has more than one key."""
    found = [Relation("sent", "Communication", HOSPITAL, NOW), Relation("sent", "MessageHeader", "gln:1", NOW + DAY)]
    assert arrange.lasting(found, lambda _: ("Message", "The hospital")) == [(found[1], ("Message", "The hospital"))]


def lasting(relations: list[Relation]) -> list[Relation]:
    """Return what is left where every kind and source has a word of its own."""
    return [one for one, _ in arrange.lasting(relations, lambda one: (one.evidence, one.source))]
