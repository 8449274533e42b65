"""What is kept of an overview is used for exactly what it was composed of, and for nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from overblik.overview.composed import Composed
from overblik.overview.context import Context, Viewer
from overblik.overview.service import Overview, compose, looked
from overblik.trust.door.access import Record
from tests.conftest import NOW
from tests.overview.build import CLINIC, DAY, DIRECTORY, HOSPITAL, TOWN, appointment, contact, order, person

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from typing import TypeAlias

    from overblik.trust.door.entries import Entry
    from overblik.trust.organisations import Organisation

    Units: TypeAlias = Mapping[str, Organisation]

GP = Viewer("professional", (CLINIC,))
CITIZEN = Viewer("citizen", ())
PATIENT, VISIT, STAY, PILLS = person(), appointment(start=NOW + timedelta(minutes=20)), contact(), order()
RECORD = Record("p", "contact", (PATIENT, VISIT, STAY, PILLS), {e.change: e.change for e in (VISIT, STAY)})


class Counted(Composed):
    """What is kept, and how often something was composed."""

    def __init__(self, most: int = 1000) -> None:
        self.times = 0
        super().__init__(self._counted, most)

    def _counted(self, ctx: Context) -> Overview:
        self.times += 1
        return compose(ctx)

    def look(
        self, record: Record = RECORD, viewer: Viewer = GP, now: datetime = NOW, units: Units = DIRECTORY
    ) -> Overview:
        """Return an overview, which must be the one that is composed anew."""
        ctx, overview = self.of(record, viewer, now, units)
        found = looked(ctx, overview, record, now, None, ())
        anew = Context(record, viewer, now, units.get)
        assert found == looked(anew, compose(anew), record, now, None, ())
        return found


def test_a_second_look_within_the_minute_composes_nothing() -> None:
    kept = Counted()
    assert kept.look() == kept.look()
    assert kept.look(now=NOW + timedelta(seconds=59)).retrieved == NOW + timedelta(seconds=59)
    assert kept.times == 1


def test_what_belongs_to_a_look_is_of_that_look() -> None:
    kept = Counted()
    first = kept.look(replace(RECORD, rule="gp"))
    second = kept.look(replace(RECORD, baseline=STAY.change, before=NOW - DAY))
    assert (first.rule, second.rule, second.before, kept.times) == ("gp", "contact", NOW - DAY, 1)
    assert len(first.new) > len(second.new)


def test_news_are_told_again_only_for_the_same_visit_and_the_same_numbers() -> None:
    """A change that had no number, because the sequencer had not seen it, gets one between two looks."""
    kept = Counted()
    first = kept.look()
    assert kept.look(replace(RECORD, seqs=dict(RECORD.seqs), before=NOW - DAY)).new is first.new
    unnumbered = replace(RECORD, seqs={**RECORD.seqs, STAY.change: None}, baseline=STAY.change)
    assert len(kept.look(unnumbered).new) > len(kept.look(replace(unnumbered, seqs=RECORD.seqs)).new)
    assert kept.look().new == first.new
    assert kept.times == 1


def test_anything_else_is_composed_anew() -> None:
    kept = Counted()
    kept.look()
    others = (
        {"record": replace(RECORD, entries=RECORD.entries[:-1])},
        {"record": replace(RECORD, entries=(PATIENT, VISIT, STAY, replace_entry(PILLS)))},
        {"record": replace(RECORD, patient_id="q")},
        {"viewer": CITIZEN}, {"viewer": Viewer("professional", (TOWN,))},
        {"viewer": Viewer("professional", (CLINIC, TOWN))},
        {"now": NOW + timedelta(minutes=1)}, {"units": {HOSPITAL: DIRECTORY[HOSPITAL]}},
    )  # fmt: skip
    for number, other in enumerate(others, 2):
        kept.look(**other)  # type: ignore[arg-type]  # one of its parameters
        assert kept.times == number, other
    assert not kept.look(now=NOW + timedelta(hours=3)).appointments[0].upcoming


def replace_entry(entry: Entry) -> Entry:
    """Return an entry like another, of which nothing says that it is the same version."""
    return replace(entry, source=entry.source)


def test_no_more_is_kept_than_a_number_of_entries() -> None:
    kept = Counted(most=9)
    for name in ("p", "q", "p", "r", "p", "q"):
        kept.look(replace(RECORD, patient_id=name))
    assert kept.times == 4, "p and q, then r in the place of q, then q again"
