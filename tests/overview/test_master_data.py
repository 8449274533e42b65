"""The master-data card: each value with its origin, registers first, protected addresses for the citizen only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from overblik.overview.present import overview_json
from overblik.web import arrange
from tests.conftest import NOW
from tests.overview.build import CLINIC, DAY, HOSPITAL, ORIGIN, PERSON, person, seen, told

if TYPE_CHECKING:
    from collections.abc import Callable

    from overblik.trust.door.entries import Entry


def stated(kind: str, **more: Any) -> dict[str, Any]:
    values: dict[str, tuple[str, str]] = {
        "kind": ("valueCode", kind),
        **{k: ("valueString", v) for k, v in more.items() if isinstance(v, str)},
    }
    inner: list[dict[str, Any]] = [{"url": url, name: value} for url, (name, value) in values.items()]
    inner += [{"url": "self", "valueBoolean": True}] if more.get("self") is True else []
    return {"extension": [{"url": ORIGIN, "extension": inner}]}


HOME = {"line": ["Lindealleen 18"], "postalCode": "5230", "city": "Odense M"}


def register(**more: Any) -> Entry:
    address = {**HOME, "use": "home", **stated("register")}
    return person("99900018090", address=[address], **more)


def fields(who: str, *entries: Entry) -> list[tuple[str, str, str]]:
    return [(v.field, v.value, v.kind) for v in seen(entries, who).master_data.values]


def test_a_register_wins_for_its_own_fields() -> None:
    hospital = person(HOSPITAL, NOW, address=[{"line": ["Gammelvej 1"], "postalCode": "5000", "city": "Odense C"}])
    assert fields("professional", hospital, register()) == [("address", "Lindealleen 18, 5230 Odense M", "register")]


def test_without_a_register_every_source_is_heard() -> None:
    one = person(HOSPITAL, address=[{"line": ["A 1"]}])
    two = person(CLINIC, address=[{"line": ["B 2"]}])
    assert {value for _, value, _ in fields("professional", one, two)} == {"A 1", "B 2"}


def test_a_typed_value_has_its_own_author_and_time() -> None:
    phone = {"system": "phone", "value": "00501234", **stated("typed", self=True, time=(NOW - 9 * DAY).isoformat())}
    (value,) = seen([person(telecom=[phone])]).master_data.values
    assert (value.field, value.author, value.time) == ("phone", "self", NOW - 9 * DAY)


@pytest.mark.parametrize(("who", "shown"), [("citizen", "Lindealleen 18, 5230 Odense M"), ("professional", "")])
def test_a_protected_address_is_shown_to_the_citizen_only(who: str, shown: str) -> None:
    protected = register(meta={"security": [{"code": "R"}]})
    o = seen([protected], who)
    assert o.person.protected
    assert fields(who, protected) == [("address", shown, "register")]
    if who == "professional":
        assert "Lindealleen" not in str(overview_json(o))


@pytest.mark.parametrize("protecting", [register, person])
def test_an_address_that_one_source_protects_is_not_told_by_another(protecting: Callable[..., Entry]) -> None:
    """Protection is the person's, not the message's: whoever else sends the address gives nothing away."""
    entries = [protecting(meta={"security": [{"code": "R"}]}), person(HOSPITAL, address=[{**HOME}])]
    assert "Lindealleen" not in str(overview_json(seen(entries)))
    assert "Lindealleen" in str(overview_json(seen(entries, "citizen")))


@pytest.mark.parametrize(
    ("field", "one", "two", "differ"),
    [
        ("name", {"name": [{"family": "Test"}]}, {"name": [{"family": "Prøve"}]}, True),
        ("name", {"name": [{"family": "Test"}]}, {"name": [{"family": "TEST"}]}, False),
        ("birth-date", {"birthDate": "1948-12-25"}, {"birthDate": "1948-12-24"}, True),
        ("gender", {"gender": "female"}, {"gender": "male"}, True),
        ("gender", {"gender": "female"}, {}, False),
    ],
)
def test_sources_that_differ_about_the_person_are_shown_beside_each_other(
    field: str, one: dict[str, Any], two: dict[str, Any], differ: bool
) -> None:
    o = seen([person(HOSPITAL, **one), person(CLINIC, **two)])
    assert [name for name, _ in o.master_data.disagreements] == ([field] if differ else [])
    assert arrange.attention(o).identity == ((field,) if differ else ())
    for _, said in o.master_data.disagreements:
        assert {source.name for _, source, _ in said} == {"Sygehuset", "Lægerne"}
        assert len({value for value, _, _ in said}) == 2


@pytest.mark.parametrize(("who", "seen_"), [("professional", ["yes", "no"]), ("citizen", [])])
def test_registrations_are_yes_or_no_and_for_professionals_only(who: str, seen_: list[str]) -> None:
    def mark(code: str, status: str) -> Entry:
        coding = {"system": "urn:overblik:register", "code": code}
        return told({"resourceType": "Flag", "status": status, "code": {"coding": [coding]}})

    o = seen([person(), mark("organ-donor", "active"), mark("living-will", "inactive")], who)
    assert [v.value for v in o.master_data.values if v.field.startswith("registered-")] == seen_


def test_the_age_is_that_of_the_cpr_and_stops_at_death() -> None:
    assert seen([person()]).person.age == 77
    dead = seen([person(deceasedDateTime=(NOW - 400 * DAY).isoformat())]).person
    assert (dead.deceased, dead.age) == (True, 76)
    assert dead.identifier == PERSON


@pytest.mark.parametrize(("days", "current"), [(0, True), (-31, False), (40, False)])
def test_a_temporary_address_says_whether_it_holds_now(days: int, current: bool) -> None:
    span = {"start": (NOW - DAY + days * DAY).isoformat(), "end": (NOW + 10 * DAY + days * DAY).isoformat()}
    (value,) = seen([person(address=[{**HOME, "use": "temp", "period": span}])]).master_data.values
    assert (value.field, value.current) == ("temporary-address", current)
