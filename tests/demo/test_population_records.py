"""Any number of synthetic patients: the same for the same seed, nobody real, each of them whole."""

from __future__ import annotations

import tracemalloc
from datetime import date
from itertools import islice

import pytest

from overblik.demo.people import is_modulus_11
from overblik.demo.population_records import TYPES, UNTIL, _birth, organisations, patients, record
from overblik.fhir.identifiers import CPR, cpr_birth_date
from overblik.fhir.strict_json import dumps, loads
from overblik.fhir.structure import check

SOME = list(patients(300))


def cpr_of(resources: list[dict[str, object]]) -> str:
    return str(next(i["value"] for i in resources[0]["identifier"] if i["system"] == CPR))  # type: ignore[attr-defined]


def test_every_resource_is_valid_and_belongs_to_its_patient() -> None:
    for resources in SOME:
        patient = resources[0]
        assert patient["resourceType"] == "Patient"
        for resource in resources:
            assert check(loads(dumps(resource))) == []
            assert resource["resourceType"] in TYPES
            if resource is not patient:
                assert f"'Patient/{patient['id']}'" in repr(resource)
    ids = [(r["resourceType"], r["id"]) for resources in SOME for r in resources]
    assert len(set(ids)) == len(ids)
    assert all(check(unit) == [] for unit in organisations())


def test_what_is_referred_to_is_there() -> None:
    units = {f"Organization/{unit['id']}" for unit in organisations()}
    named = {repr(r).split("'Organization/")[1].split("'")[0] for rs in SOME for r in rs if "'Organization/" in repr(r)}
    assert {f"Organization/{name}" for name in named} <= units
    assert len(named) > 50


def test_nobody_can_be_real_and_no_two_are_one() -> None:
    births = [_birth(number, 0, UNTIL) for number in (*range(2000), *range(35_000, 36_000), *range(700_000, 701_000))]
    numbers = [cpr for _, cpr, _ in births]
    assert len(set(numbers)) == len(numbers)
    for born, cpr, female in births:
        assert not is_modulus_11(cpr)
        assert cpr_birth_date(cpr) == born
        assert (born.month, born.day) != (1, 1)
        assert female == (int(cpr[-1]) % 2 == 0)


def test_the_same_seed_gives_the_same_people_and_another_others() -> None:
    assert list(patients(300)) == SOME
    assert record(17) == SOME[17], "a patient does not depend on how many there are"
    others = {cpr_of(resources) for resources in patients(300, seed=1)}
    assert others != {cpr_of(resources) for resources in SOME}
    assert record(17, until=date(2020, 2, 29)) != SOME[17]


@pytest.mark.parametrize("until", [UNTIL, date(2020, 2, 29)])
def test_nothing_is_known_before_it_happens(until: date) -> None:
    for resources in patients(100, until=until):
        born = str(resources[0]["birthDate"])
        for resource in resources[1:]:
            if resource["resourceType"] == "Encounter":
                assert born <= resource["period"]["start"][:10] <= until.isoformat()


def test_memory_does_not_grow_with_their_number() -> None:
    people = patients(10**9)
    list(islice(people, 10))
    tracemalloc.start()
    for _ in islice(people, 500):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000
