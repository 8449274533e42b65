"""No name of the demo stands anywhere else: what runs in a hospital has never heard of the main person."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import overblik
from overblik.demo import cast
from overblik.demo.cast import CONNECTIONS, INGER, STAFF, UNITS
from overblik.demo.people import Person
from overblik.demo.population import residents
from tests.conftest import NOW

SOURCE = Path(overblik.__file__).parent
CPR_SHAPED = re.compile(r"(?<![\w.])(?:0[1-9]|[12]\d|3[01])(?:0[1-9]|1[0-2])\d{2}-?\d{4}(?![\w.])")
EXAMPLES = {"2512489996"}
"""A published test number that the API's own help shows."""


def demo_names() -> set[str]:
    """Return every name and number that the cast is known by."""
    people = [INGER, *(r.person for r in residents(30, NOW.date()))]
    names = {"Inger", *(n for p in people for n in (p.cpr, p.name, p.family, p.relative, p.street, p.phone))}
    for unit in UNITS:
        names |= {unit.slug, unit.sor, unit.name, unit.gln, unit.yder, unit.phone, unit.name.split(",")[0]}
    names |= {text for staff in STAFF for text in (staff.id, staff.name, staff.name.split()[-1])}
    names |= {name for name, *_ in CONNECTIONS}
    return names - {""}


def constants() -> set[str]:
    """Return the names under which the cast's people and units are imported."""
    kinds = (cast.Unit, cast.Staff, Person, cast.Places)
    return {name for name, value in vars(cast).items() if isinstance(value, kinds)}


OUTSIDE = [
    path
    for path in sorted(SOURCE.rglob("*"))
    if path.is_file() and path.suffix != ".pyc" and SOURCE / "demo" not in path.parents
]


def test_there_is_something_to_look_for_and_somewhere_to_look() -> None:
    assert {"Inger", INGER.cpr, "Fjordby Sygehus", "DEM01"} <= demo_names()
    assert len(OUTSIDE) > 100
    inside = "".join(p.read_text() for p in (SOURCE / "demo").glob("*.py"))
    assert "Inger" in inside


@pytest.mark.parametrize("folder", sorted({p.relative_to(SOURCE).parts[0] for p in OUTSIDE}))
def test_no_demo_name_stands_outside_the_demo(folder: str) -> None:
    names = re.compile("|".join(rf"\b{re.escape(name)}\b" for name in sorted(demo_names(), key=len, reverse=True)))
    for path in (p for p in OUTSIDE if p.relative_to(SOURCE).parts[0] == folder):
        text = path.read_bytes().decode("utf-8", "ignore")
        assert not names.findall(text), path
        imported = re.findall(r"from overblik\.demo\.cast import ([^\n]+)", text)
        assert not constants() & {n.strip() for line in imported for n in line.split(",")}, path
        if path.suffix in {".py", ".html", ".sql", ".po", ".js"}:
            assert not set(CPR_SHAPED.findall(text)) - EXAMPLES, path
