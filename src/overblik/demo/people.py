"""Synthetic people. No CPR here can be a real one: each fails modulus 11, and none is born on 1 January."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

_WEIGHTS = (4, 3, 2, 7, 6, 5, 4, 3, 2, 1)
_WOMEN = ("Karen", "Lis", "Birthe", "Ruth", "Else", "Tove", "Jytte", "Kirsten", "Bodil", "Grethe", "Aase", "Vibeke")
_MEN = ("Poul", "Knud", "Svend", "Erik", "Jørgen", "Henning", "Børge", "Ove", "Leif", "Kaj", "Preben", "Torben")
_FAMILIES = (
    "Krogsgaard", "Bakmand", "Ravnholt", "Toftegaard", "Lykkeberg", "Sejersbøl", "Vestermark", "Damkjær", "Højsleth",
    "Bruunsgaard", "Elmholdt", "Fuglebjerg", "Grønning", "Hedemand", "Kærsholm", "Lundsby", "Møllevang", "Norsminde",
    "Overbæk", "Pilegren", "Rosenlykke", "Skovbakke",
)  # fmt: skip
_STREETS = (
    "Kastanjevej",
    "Rugmarken",
    "Østerled",
    "Mosevangen",
    "Kirkestien",
    "Åbrinken",
    "Skolebakken",
    "Hyldetoften",
)

Town = tuple[tuple[str, str], ...]
"""The postal districts of a municipality: (postcode, name)."""
ODENSE: Town = (
    ("5000", "Odense C"), ("5200", "Odense V"), ("5210", "Odense NV"), ("5220", "Odense SØ"), ("5230", "Odense M"),
    ("5240", "Odense NØ"), ("5250", "Odense SV"), ("5260", "Odense S"), ("5270", "Odense N"),
)  # fmt: skip
SVENDBORG: Town = (("5700", "Svendborg"), ("5881", "Skårup Fyn"), ("5882", "Vejstrup"), ("5883", "Oure"))


@dataclass(frozen=True, slots=True)
class Person:
    """A person of the population."""

    cpr: str
    given: str
    family: str
    female: bool
    born: date
    street: str
    postcode: str
    city: str
    phone: str
    relative: str
    relation: str
    relative_phone: str

    @property
    def name(self) -> str:
        """The name in one line."""
        return f"{self.given} {self.family}"


def is_modulus_11(cpr: str) -> bool:
    """Say whether a number passes the old check; then it could be a real person's."""
    return sum(int(digit) * weight for digit, weight in zip(cpr, _WEIGHTS, strict=True)) % 11 == 0


def make_cpr(rng: Random, born: date, *, female: bool) -> str:
    """Return a CPR that no real person can have: its sex and century are right, its modulus is not."""
    if (born.month, born.day) == (1, 1):
        raise ValueError("nobody here is born on 1 January")
    sevenths = "0123" if born.year < 2000 else "4567"
    while True:
        serial = rng.choice(sevenths) + f"{rng.randrange(100):02}"
        last = rng.choice("02468" if female else "13579")
        cpr = f"{born:%d%m%y}{serial}{last}"
        if not is_modulus_11(cpr):
            return cpr


def make_phone(rng: Random) -> str:
    """Return a telephone number in a series that is not given out."""
    return f"00 {rng.randrange(100):02} {rng.randrange(100):02} {rng.randrange(100):02}"


def make_person(rng: Random, today: date, *, oldest: int = 92, youngest: int = 61, town: Town = ODENSE) -> Person:
    """Return a random person of the ages that rehabilitation is about."""
    female = rng.random() < 0.6
    years = rng.randrange(youngest, oldest)
    born = today - timedelta(days=years * 365 + rng.randrange(1, 364))
    if (born.month, born.day) == (1, 1):
        born += timedelta(days=1)
    family = rng.choice(_FAMILIES)
    child_female = rng.random() < 0.5
    postcode, city = rng.choice(town)
    return Person(
        cpr=make_cpr(rng, born, female=female),
        given=rng.choice(_WOMEN if female else _MEN),
        family=family,
        female=female,
        born=born,
        street=f"{rng.choice(_STREETS)} {rng.randrange(1, 98)}",
        postcode=postcode,
        city=city,
        phone=make_phone(rng),
        relative=f"{rng.choice(_WOMEN if child_female else _MEN)} {family}",
        relation="Datter" if child_female else "Søn",
        relative_phone=make_phone(rng),
    )
