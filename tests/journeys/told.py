"""What the four pages must say at each step of a hip-fracture story, for any person and day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from overblik.demo.calendar import after
from overblik.web.language import Language
from overblik.web.words import STANDINGS, STEPS

if TYPE_CHECKING:
    from datetime import date, datetime

    from overblik.demo.cast import Places
    from overblik.demo.story import Days

DANISH = Language("da")


@dataclass(frozen=True, slots=True)
class Told:
    """One step: the state of the newest course, who has the ball, and where each list puts the person.

    `asked` is how many things the GP is asked; "" for a list that does not hold the person;
    `deadline` and `session` are dates in words, "" where the strip states none.
    """

    step: str
    state: str
    holder: str
    nurse: str
    gp: str
    surgeon: str
    asked: int
    courses: int = 1
    deadline: str = ""
    session: str = ""

    @property
    def label(self) -> str:
        """The state as professionals read it."""
        return STEPS[self.state] if self.state else ""

    @property
    def standing(self) -> str:
        """The state as the citizen reads it."""
        return STANDINGS[self.state] if self.state else ""


def story_as_told(days: Days, places: Places, now: datetime) -> list[Told]:
    """Return what must be told at each step, in order."""
    hospital, municipality = places.hospital.name, places.municipality.name
    training, clinic = places.training.name, places.clinic.name
    inside, going, gone, waiting, other = "Indlagt nu", "I gang", "Udskrevet", "Ubesvaret", "Øvrige"

    def day(moment: date) -> str:
        return DANISH.weekday(moment, now)

    seventh = day(days.discharged + timedelta(days=7))
    return [
        Told("background", "", "", "", other, "", 0, courses=0),
        Told("admission", "admitted", hospital, inside, inside, inside, 0),
        Told("operation", "operated", hospital, inside, inside, inside, 0),
        Told("plan", "sent", municipality, "Nye planer", inside, inside, 3),
        Told("discharge", "sent", municipality, "Nye planer", gone, gone, 4, deadline=seventh),
        Told("acceptance", "received", training, going, waiting, going, 4, deadline=seventh),
        Told("offer", "offered", training, going, waiting, going, 4, session=day(days.first_session)),
        Told("training", "underway", training, going, waiting, going, 4, session=day(after(days.second_session, 2))),
        Told("clips", "underway", training, going, waiting, going, 4, session=day(after(days.second_session, 2))),
        Told("report", "reported", clinic, going, waiting, going, 5),
        Told("closure", "closed", "", other, waiting, other, 2),
        Told("readmission", "admitted", hospital, inside, waiting, inside, 2, courses=2),
    ]
