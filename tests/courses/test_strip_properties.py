"""The strip is a function of a set of resources: order, repetition and what is hidden change nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from overblik.courses.rehabilitation import STEPS
from tests.courses.build import (
    ADMITTED,
    CLINIC,
    DAY,
    HOME,
    NURSING,
    OTHER_EPISODE,
    TRAINING,
    WARD,
    message,
    operation,
    own_plan,
    patient,
    plan,
    session,
    stay,
    strips,
    task,
)

if TYPE_CHECKING:
    from overblik.trust.door.entries import Entry

POOL: tuple[Entry, ...] = (
    patient(),
    stay(),
    stay(ADMITTED - DAY, ADMITTED, name="er", kind="EMER"),
    stay(HOME + 9 * DAY, None, name="again"),
    stay(HOME + 20 * DAY, HOME + 22 * DAY, name="fall", episode=OTHER_EPISODE),
    operation(),
    operation(name="x-ray", code="UXRG05"),
    plan(),
    plan(HOME + DAY, name="corrected", kind="rehabilitation-specialised"),
    plan(HOME + 22 * DAY, name="second", episode=OTHER_EPISODE, starts=HOME + 30 * DAY),
    task("rejected", HOME + DAY, name="no"),
    task(),
    task("in-progress", HOME + 23 * DAY, name="other", episode=OTHER_EPISODE),
    session(),
    session(HOME + 6 * DAY, name="cancelled", status="cancelled"),
    session(HOME + 7 * DAY, name="missed", status="noshow"),
    session(HOME + 8 * DAY, name="loose", episode=""),
    session(HOME + 25 * DAY, name="nurse", at=NURSING, episode=""),
    session(HOME + 42 * DAY, name="control", at=WARD),
    message(category="nursing", sender=NURSING, name="question"),
    message(sender=CLINIC, to=TRAINING, name="answer"),
    message(),
    own_plan("active", name="care", author=NURSING),
    own_plan(),
    patient(id="dead", deceasedBoolean=True),
)
MOMENTS = st.integers(-10, 80).map(lambda days: HOME + days * DAY)


@given(st.lists(st.sampled_from(POOL), max_size=60), MOMENTS, st.randoms(use_true_random=False))
def test_order_and_repetition_change_nothing(entries: list[Entry], now: object, random: object) -> None:
    once = list({e.reference: e for e in entries}.values())
    shuffled = [*entries, *once]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert strips(shuffled, now) == strips(once, now)  # type: ignore[arg-type]


@given(st.sets(st.integers(0, len(POOL) - 1)), MOMENTS)
def test_what_is_hidden_is_never_told(kept: set[int], now: object) -> None:
    visible = [POOL[n] for n in sorted(kept)]
    references = {e.reference for e in visible}
    for course in strips(visible, now):  # type: ignore[arg-type]
        assert {course.id, *course.references} <= references
        shown = {s.code: s.reference for s in course.steps if s.reference}
        assert set(shown.values()) <= references
        unshown = {s.code for s in course.steps if s.done and not s.reference}
        # Without a resource of its own a step is done only where a later, visible one could not be without it.
        assert unshown <= {"received", "offered"}
        later = {code for code in shown if code in STEPS}
        assert not unshown or later & {"offered", "underway", "reported", "closed"}
        assert all(s.done for s in course.steps if s.reference)
        if course.deadline_kind == "first-session":
            assert any(e.type == "Encounter" and e.resource["status"] == "finished" for e in visible)
        if course.deadline_kind == "next-session":
            assert any(e.type == "Appointment" and e.resource["start"][:10] == str(course.deadline) for e in visible)


@given(st.sets(st.integers(0, len(POOL) - 1)), MOMENTS)
def test_a_course_that_has_ended_asks_nothing_of_anybody(kept: set[int], now: object) -> None:
    for course in strips([POOL[n] for n in sorted(kept)], now):  # type: ignore[arg-type]
        assert course.overdue <= (course.deadline is not None)
        assert course.private_provider <= course.overdue
        if course.ended:
            assert (course.deadline, course.holder.token, course.overdue) == (None, "", False)
