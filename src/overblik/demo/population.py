"""The others: enough people that the worklists look like a working day.

Each has a story of their own that began on another day, told as far as today. The same number of
people and the same day give the same population.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

from overblik.demo.cast import INGER, ODENSE, SVENDBORG, Places
from overblik.demo.people import make_person
from overblik.demo.story import Story

if TYPE_CHECKING:
    from datetime import date, datetime

    from overblik.demo.delivery import Delivery
    from overblik.demo.people import Person


@dataclass(frozen=True, slots=True)
class Situation:
    """Where somebody stands: how long ago their story stood where the main one stands, and how far it came.

    `late_letter`: what the hospital wrote to the GP came two days late.
    """

    days_ago: int
    last: str
    places: Places = ODENSE
    late_letter: bool = False


SITUATIONS = (
    Situation(0, "discharge"),
    Situation(10, "discharge"),
    Situation(12, "acceptance"),
    Situation(20, "training"),
    Situation(-4, "operation"),
    Situation(35, "clips"),
    Situation(3, "acceptance", late_letter=True),
    Situation(120, "closure"),
    Situation(6, "offer", SVENDBORG),
    Situation(52, "report"),
    Situation(400, "background"),
    Situation(14, "training"),
    Situation(-5, "admission"),
    Situation(25, "training", SVENDBORG),
)
MAIN_STARTS_WITH = "discharge"
"""The main story has come so far when a demo opens."""


@dataclass(frozen=True, slots=True)
class Resident:
    """One person of the population, and their story so far."""

    person: Person
    story: Story
    last: str

    def deliveries(self, now: datetime) -> list[Delivery]:
        """Return what has been delivered about this person by now."""
        found: list[Delivery] = []
        for step in self.story.steps():
            found += [d for d in step.deliveries if d.at <= now]
            if step.code == self.last:
                break
        return found


def residents(count: int, today: date) -> list[Resident]:
    """Return `count` people, the main person first."""
    rng = Random(f"overblik {count}")  # noqa: S311 - a population to be told again, no secret
    found = [Resident(INGER, Story(INGER, today), MAIN_STARTS_WITH)]
    taken = {INGER.cpr}
    while len(found) < count:
        situation = SITUATIONS[(len(found) - 1) % len(SITUATIONS)]
        person = make_person(rng, today, town=situation.places.town)
        if person.cpr in taken:
            continue
        taken.add(person.cpr)
        shifted = today - timedelta(days=situation.days_ago + rng.randrange(2))
        found.append(
            Resident(
                person, Story(person, shifted, situation.places, late_letter=situation.late_letter), situation.last
            )
        )
    return found
