"""Danish identifiers: what each is checked for, and one form for the many they come in."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overblik.fhir.identifiers import (
    ATC,
    CPR,
    CVR,
    D_ECPR,
    GLN,
    ICPC2,
    NPU,
    PERSON_SYSTEMS,
    REGIONAL_ECPR,
    SKS,
    SOR,
    X_ECPR,
    YDER,
    Identifier,
    canonical,
    cpr_birth_date,
    episode_key,
    from_oid,
    gln_is_valid,
    org_token,
    person_identifier_problem,
    sor_is_valid,
    sor_of_endpoint,
)
from overblik.fhir.strict_json import loads
from tests.conftest import needs_shared, shared_files
from tests.fhir.test_structure import package

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from overblik.fhir.strict_json import Json

SYSTEMS = {
    CPR: "urn:oid:1.2.208.176.1.2",
    X_ECPR: "urn:oid:1.2.208.176.1.6.1.1",
    D_ECPR: "urn:oid:1.2.208.176.1.6.1.3",
    SOR: "urn:oid:1.2.208.176.1.1",
    YDER: "urn:oid:1.2.208.176.1.4",
    CVR: "http://cvr.dk",
    GLN: "https://www.gs1.org/gln",
    SKS: "urn:oid:1.2.208.176.2.4",
    NPU: "http://npu-terminology.org",
    ICPC2: "https://kiap.dk/koder/icpc-2-dk",
    ATC: "http://www.whocc.no/atc",
}


def test_systems_are_named_as_denmark_names_them() -> None:
    assert all(name == stated for name, stated in SYSTEMS.items())
    assert {system.removeprefix(D_ECPR + ".") for system in REGIONAL_ECPR} == {"177", "179", "181", "183", "187"}


CENTURIES = [
    # Seventh digit, year in the number, year of birth (https://cpr.dk, "Personnummeret i CPR").
    *((digit, year, 1900 + year) for digit in "0123" for year in (0, 36, 37, 57, 58, 99)),
    *((digit, year, (2000 if year <= 36 else 1900) + year) for digit in "49" for year in (0, 36, 37, 57, 58, 99)),
    *((digit, year, (2000 if year <= 57 else 1800) + year) for digit in "5678" for year in (0, 36, 37, 57, 58, 99)),
]


@pytest.mark.parametrize(("seventh", "year", "born"), CENTURIES)
def test_the_seventh_digit_gives_the_century(seventh: str, year: int, born: int) -> None:
    assert cpr_birth_date(f"0703{year:02d}{seventh}999") == date(born, 3, 7)


@pytest.mark.parametrize(
    "value",
    [
        "3002480000",  # 30 February
        "2902010000",  # 29 February 1901
        "3111480000",
        "0001480000",
        "0100480000",
        "0113480000",
        "6107480000",  # a day with 60 added is an administrative number, not a CPR
        "07034899",
        "07034809999",
        "070348-999",
        "070348æ999",
        "07034899 9",
        "٠٧٠٣٤٨٩٩٩٩",
        "",
    ],
)
def test_a_number_without_a_date_is_no_cpr(value: str) -> None:
    assert cpr_birth_date(value) is None
    assert person_identifier_problem(Identifier(CPR, value)) == "cpr-impossible"


def test_the_29th_of_february_is_a_date_where_the_century_makes_it_one() -> None:
    assert cpr_birth_date("2902004999") == date(2000, 2, 29)
    assert cpr_birth_date("2902000999") is None


@given(st.dates(date(1858, 1, 1), date(2057, 12, 31)), st.integers(0, 999))
def test_no_date_is_refused_whatever_the_control_digits(born: date, serial: int) -> None:
    seventh = {18: "5", 19: "0", 20: "5"}[born.year // 100]
    value = f"{born:%d%m%y}{seventh}{serial:03d}"
    assert person_identifier_problem(Identifier(CPR, value), born.isoformat()) == ""


def fails_modulus_11(value: str) -> bool:
    return (
        sum(int(digit) * weight for digit, weight in zip(value, (4, 3, 2, 7, 6, 5, 4, 3, 2, 1), strict=True)) % 11 != 0
    )


def patient_cprs(resource: Any) -> Iterator[tuple[str, str]]:
    """Walk (CPR, birth date) of every Patient in a resource or Bundle."""
    for entry in resource.get("entry", ()):
        yield from patient_cprs(entry["resource"])
    if resource["resourceType"] == "Patient":
        for identifier in resource.get("identifier", ()):
            if identifier.get("system") == CPR:
                yield identifier["value"], resource.get("birthDate", "")


@needs_shared
def test_dk_cores_test_numbers_fail_modulus_11_and_are_taken() -> None:
    (path,) = shared_files("fhir-packages/hl7.fhir.dk.core-*.tgz")
    found = {pair for name, r in package(path) if "/example/" in name for pair in patient_cprs(r)}
    assert len(found) == 40
    assert all(fails_modulus_11(value) for value, _ in found)
    problems = {
        value: problem for value, born in found if (problem := person_identifier_problem(Identifier(CPR, value), born))
    }
    # One example turns day and month about: 2 January in the number, 1 February beside it.
    assert problems == {"0201919990": "cpr-contradicts-birth-date"}


@pytest.mark.parametrize(
    ("stated", "problem"),
    [
        ("1948-03-07", ""),
        ("1948-03", ""),
        ("1948", ""),
        ("", ""),
        ("1948-03-07T10:00:00Z", ""),
        ("1948-03-08", "cpr-contradicts-birth-date"),
        ("1948-07-03", "cpr-contradicts-birth-date"),
        ("1948-04", "cpr-contradicts-birth-date"),
        ("2048", "cpr-contradicts-birth-date"),
    ],
)
def test_a_stated_birth_date_must_agree_as_far_as_it_goes(stated: str, problem: str) -> None:
    assert person_identifier_problem(Identifier(CPR, "0703480999"), stated) == problem


@pytest.mark.parametrize(
    ("system", "value", "right"),
    [
        (X_ECPR, "0703921VJ4", True),
        (X_ECPR, "0703927VJ4", True),
        (X_ECPR, "0703920VJ4", False),
        (X_ECPR, "0703921vJ4", False),
        (X_ECPR, "0703921V44", False),
        (X_ECPR, "0703921VJ", False),
        (X_ECPR, "0703921VJ45", False),
        (X_ECPR, "0703480999", False),
        (D_ECPR, "1206550VK9", True),
        (D_ECPR, "1206555VK9", True),
        (D_ECPR, "1206556VK9", True),
        (D_ECPR, "1206551VK9", False),
        (D_ECPR, "120655OVK9", False),
        *((system, "1206550VK9", True) for system in REGIONAL_ECPR),
        *((system, "1206557VK9", False) for system in REGIONAL_ECPR),
        ("http://x.dk/other", "anything", True),
    ],
)
def test_ecpr_has_its_shape_by_system(system: str, value: str, right: bool) -> None:
    assert person_identifier_problem(Identifier(system, value)) == ("" if right else "ecpr-impossible")


CANONICAL = [
    (CPR, "070348-0999", CPR, "0703480999"),
    (CPR, "- 070348\t0999 ", CPR, "0703480999"),
    (X_ECPR, "070392-1vj4", X_ECPR, "0703921VJ4"),
    ("http://www.gs1.org/gln", "5790000121526", GLN, "5790000121526"),
    ("https://www.gs1.org/gln/", "5790000121526", GLN, "5790000121526"),
    (" https://www.gs1.org/gln /", " 5790000121526 ", GLN, "5790000121526"),
    ("https://www.cvr.dk", "12345678", CVR, "12345678"),
    ("http://www.cvr.dk", "12345678", CVR, "12345678"),
    ("http://cvr.dk/", "12345678", CVR, "12345678"),
    ("urn:oid:1.2.208.176.1", "265161000016000", SOR, "265161000016000"),
    # Too short for SOR: the arc above it holds other things too.
    ("urn:oid:1.2.208.176.1", "1234", "urn:oid:1.2.208.176.1", "1234"),
    (SOR, "265161000016000", SOR, "265161000016000"),
    ("urn:oid:1.2.208.176.2.1", "NPU02319", NPU, "NPU02319"),
    (SKS, "DS720", SKS, "DS720"),
    ("http://x.dk/a", "A-b C", "http://x.dk/a", "A-b C"),
    ("", "x", "", "x"),
]


@pytest.mark.parametrize(("system", "value", "to_system", "to_value"), CANONICAL)
def test_an_identifier_has_one_form_for_the_many_it_is_written_in(
    system: str, value: str, to_system: str, to_value: str
) -> None:
    assert canonical(system, value) == (to_system, to_value)


@given(st.sampled_from([c[0] for c in CANONICAL]) | st.text(), st.text())
def test_the_canonical_form_of_a_canonical_form_is_itself(system: str, value: str) -> None:
    once = canonical(system, value)
    assert canonical(*once) == once


@pytest.mark.parametrize(
    ("root", "extension", "identifier"),
    [
        ("1.2.208.176.1.2", "070348-0999", (CPR, "0703480999")),
        ("1.2.208.176.1.1", "265161000016000", (SOR, "265161000016000")),
        ("1.2.208.176.1", "265161000016000", (SOR, "265161000016000")),
        ("1.2.208.176.1", "1234", ("urn:oid:1.2.208.176.1", "1234")),
        ("1.2.208.176.2.1", "NPU02319", (NPU, "NPU02319")),
    ],
)
def test_a_cda_id_has_the_same_canonical_form(root: str, extension: str, identifier: tuple[str, str]) -> None:
    assert from_oid(root, extension) == identifier


def test_every_person_system_is_one_that_is_checked() -> None:
    assert all(person_identifier_problem(Identifier(system, "x")) for system in PERSON_SYSTEMS)


@pytest.mark.parametrize(
    ("endpoint", "sor"),
    [
        ("https://sor2.sum.dsdn.dk/#id=265161000016000", "265161000016000"),
        ("http://sor2.sum.dsdn.dk/#id=265161000016000", "265161000016000"),
        ("https://sor.sum.dsdn.dk/#id=265161000016000", "265161000016000"),
        (" https://sor2.sum.dsdn.dk/#id=265161000016000 ", "265161000016000"),
        ("https://sor2.sum.dsdn.dk/#id=", ""),
        ("https://sor2.sum.dsdn.dk/#id=26516100001600A", ""),
        ("https://sor2.sum.dsdn.dk/265161000016000", ""),
        ("https://sor2.sum.dsdn.dk.evil.example/#id=265161000016000", ""),
        ("https://evil.example/?https://sor2.sum.dsdn.dk/#id=265161000016000", ""),
        ("http://medcomfhir.dk/unknown", ""),
        ("", ""),
    ],
)
def test_a_medcom_endpoint_names_a_sor_code(endpoint: str, sor: str) -> None:
    assert sor_of_endpoint(endpoint) == sor


def endpoints(resource: Json) -> Iterator[str]:
    """Walk the endpoints of the MessageHeaders in a Bundle."""
    for entry in resource.get("entry", ()):
        header = entry.get("resource", {})
        if header.get("resourceType") == "MessageHeader":
            yield header["source"]["endpoint"]
            for destination in header.get("destination", ()):
                yield destination["endpoint"]


@needs_shared
def test_every_endpoint_medcom_publishes_gives_a_valid_sor_code_or_is_unknown() -> None:
    found = {e for file in shared_files("medcom-fhir/**/*.json") for e in endpoints(loads(file.read_bytes()))}
    assert len(found) > 3
    assert {e for e in found if not sor_is_valid(sor_of_endpoint(e))} == {"http://medcomfhir.dk/unknown"}


PREFIXES = st.sampled_from(["", "urn:uuid:", "URN:UUID:", "Urn:Uuid:"])
CASES: st.SearchStrategy[Callable[[str], str]] = st.sampled_from([str.lower, str.upper, str.capitalize])


@given(st.uuids(), PREFIXES, st.booleans(), CASES, st.sampled_from(["", " ", "\n"]))
def test_an_episode_has_one_key_however_its_uuid_is_written(
    uuid: Any, prefix: str, hyphens: bool, case: Callable[[str], str], around: str
) -> None:
    written = around + prefix + case(str(uuid) if hyphens else uuid.hex) + around
    assert episode_key(written) == str(uuid)


@given(st.uuids(), st.uuids())
def test_two_episodes_have_two_keys(one: Any, other: Any) -> None:
    assert (episode_key(one.hex) == episode_key(f"urn:uuid:{other}")) == (one == other)


@pytest.mark.parametrize(("value", "key"), [(" ABC-1 ", "abc-1"), ("urn:uuid:abc", "urn:uuid:abc"), ("", "")])
def test_an_episode_id_that_is_no_uuid_is_kept_but_for_its_case(value: str, key: str) -> None:
    assert episode_key(value) == key


@pytest.mark.parametrize(
    ("value", "right"),
    [
        ("5790000121526", True),
        ("5790000120420", True),
        ("4006381333931", True),  # the example of GS1's own check digit page
        ("0000000000000", True),
        ("5790000121527", False),
        ("5790000121562", False),
        ("579000012152", False),
        ("57900001215260", False),
        ("579000012152X", False),
        ("5790000121526\n", False),
        ("٥٧٩٠٠٠٠١٢١٥٢٦", False),
        ("", False),
    ],
)
def test_a_gln_has_thirteen_digits_and_its_check_digit(value: str, right: bool) -> None:
    assert gln_is_valid(value) is right


@given(st.text("0123456789", min_size=12, max_size=12))
def test_one_of_ten_check_digits_is_right(twelve: str) -> None:
    assert sum(gln_is_valid(f"{twelve}{digit}") for digit in range(10)) == 1


@pytest.mark.parametrize(
    ("value", "right"),
    [
        ("265161000016000", True),
        ("1" * 11, True),
        ("1" * 18, True),
        ("1" * 10, False),
        ("1" * 19, False),
        ("26516100001600A", False),
        ("²" * 12, False),
        ("", False),
        (" 265161000016000", False),
    ],
)
def test_a_sor_code_has_eleven_digits_or_more(value: str, right: bool) -> None:
    assert sor_is_valid(value) is right


@pytest.mark.parametrize(
    ("identifier", "token"),
    [
        ({"system": SOR, "value": "265161000016000"}, "265161000016000"),
        ({"system": "urn:oid:1.2.208.176.1", "value": "265161000016000"}, "265161000016000"),
        ({"system": YDER, "value": "123456"}, "yder:123456"),
        ({"system": GLN, "value": "5790000121526"}, "gln:5790000121526"),
        ({"system": "http://www.gs1.org/gln", "value": "5790000121526"}, "gln:5790000121526"),
        ({"system": CVR, "value": "12345678"}, ""),
        ({"system": SOR}, ""),
        ({"system": YDER, "value": " "}, ""),
        ({"value": "265161000016000"}, ""),
        ({}, ""),
    ],
)
def test_an_organisation_has_a_key_by_the_kind_of_its_identifier(identifier: Json, token: str) -> None:
    assert org_token(identifier) == token
