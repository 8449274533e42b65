"""Small readings of resources."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from overblik.fhir.identifiers import SOR
from overblik.fhir.reading import (
    EPISODE,
    code_of,
    display_of,
    episodes,
    extension,
    extensions,
    moment,
    name_of,
    parts,
    phone_of,
    token_of,
    words_of,
)

ONE, OTHER = "3fb1ba1c-7d0e-4d1a-9c43-d6f4b2f0a111", "77777777-7d0e-4d1a-9c43-d6f4b2f0a111"
TWO_NOTES = {"extension": [{"url": "a", "valueString": "1"}, {"url": "b"}, {"url": "a", "valueString": "2"}]}


def episode(value: str) -> dict[str, Any]:
    return {"identifier": {"value": value}}


def test_extensions_are_found_by_their_url() -> None:
    assert [e["valueString"] for e in extensions(TWO_NOTES, "a")] == ["1", "2"]
    assert extension(TWO_NOTES, "a")["valueString"] == "1"
    assert extension(TWO_NOTES, "c") == {}
    assert extension({}, "a") == {}


def test_parts_of_a_complex_extension_are_read_by_their_urls() -> None:
    inner = [{"url": "a", "valueString": "x"}, {"url": "b", "valueBoolean": False}, {"url": "c", "id": "1"}]
    assert parts({"url": "u", "extension": inner}) == {"a": "x", "b": False, "c": None}
    assert parts({}) == {}


@pytest.mark.parametrize(
    ("resource", "keys"),
    [
        ({"resourceType": "Encounter", "episodeOfCare": [episode(ONE), episode(OTHER)]}, {ONE, OTHER}),
        ({"resourceType": "Encounter", "episodeOfCare": [episode("urn:uuid:" + ONE.upper())]}, {ONE}),
        (
            {
                "resourceType": "Encounter",
                "episodeOfCare": [episode(ONE)],
                "extension": [{"url": EPISODE, "valueReference": episode(ONE.replace("-", ""))}],
            },
            {ONE},
        ),
        ({"resourceType": "CarePlan", "extension": [{"url": EPISODE, "valueReference": episode(ONE)}]}, {ONE}),
        ({"resourceType": "CarePlan", "extension": [{"url": "x", "valueReference": episode(ONE)}]}, set()),
        ({"resourceType": "Task", "groupIdentifier": {"value": ONE}}, {ONE}),
        ({"resourceType": "ServiceRequest", "groupIdentifier": {"value": ONE}}, set()),
        ({"resourceType": "Encounter", "episodeOfCare": [{"reference": "EpisodeOfCare/1"}]}, set()),
        ({"resourceType": "Task"}, set()),
    ],
)
def test_a_resource_names_its_episodes_of_care(resource: dict[str, Any], keys: set[str]) -> None:
    assert episodes(resource) == keys


CONCEPT = {"coding": [{"system": "a"}, {"system": "b", "code": "2", "display": "To"}, {"system": "c", "code": "3"}]}


@pytest.mark.parametrize(
    ("concept", "system", "code"),
    [
        (CONCEPT, "", "2"),
        (CONCEPT, "c", "3"),
        (CONCEPT, "a", ""),
        (CONCEPT, "d", ""),
        ({}, "", ""),
        ({"text": "x"}, "", ""),
    ],
)
def test_a_concept_has_its_first_code_or_that_of_a_system(concept: dict[str, Any], system: str, code: str) -> None:
    assert code_of(concept, system) == code


@pytest.mark.parametrize(
    ("concept", "words"),
    [
        ({"text": "Hofte", **CONCEPT}, "Hofte"),
        (CONCEPT, "To"),
        ({"coding": [{"code": "DS720"}]}, "DS720"),
        ({}, ""),
    ],
)
def test_a_concept_in_words_is_its_text_a_display_or_its_code(concept: dict[str, Any], words: str) -> None:
    assert words_of(concept) == words


def test_a_logical_reference_has_a_key_and_a_name_or_neither() -> None:
    reference = {"identifier": {"system": SOR, "value": "265161000016000"}, "display": "Holbæk"}
    assert (token_of(reference), display_of(reference)) == ("265161000016000", "Holbæk")
    assert (token_of({}), display_of({})) == (token_of(None), display_of(None)) == ("", "")


@pytest.mark.parametrize(
    ("text", "begins"),
    [
        ("2026-11-22", datetime(2026, 11, 21, 23, tzinfo=UTC)),
        ("2026-11-22T10:00:00+01:00", datetime(2026, 11, 22, 9, tzinfo=UTC)),
        ("x", None),
        ("", None),
        (None, None),
        (2026, None),
    ],
)
def test_a_moment_is_where_a_date_begins(text: Any, begins: datetime | None) -> None:
    assert moment(text) == begins


@pytest.mark.parametrize(
    ("points", "phone"),
    [
        (
            [{"system": "email", "value": "a@b"}, {"system": "phone", "value": "1"}, {"system": "phone", "value": "2"}],
            "1",
        ),
        ([{"system": "phone"}, {"system": "phone", "value": "2"}], "2"),
        ([{"value": "1"}], ""),
        ([], ""),
    ],
)
def test_the_first_telephone_number_is_given(points: list[dict[str, Any]], phone: str) -> None:
    assert phone_of(points) == phone


@pytest.mark.parametrize(
    ("names", "line"),
    [
        ([{"given": ["Inger", "Marie"], "family": "Holm"}], "Inger Marie Holm"),
        ([{"given": ["Inge"]}, {"use": "official", "family": "Holm"}], "Holm"),
        ([{"given": ["Inge"]}, {"use": "old", "family": "Holm"}], "Inge"),
        ([{"text": "Inger Holm"}], "Inger Holm"),
        ([{"text": "Fru Holm", "family": "Holm"}], "Holm"),
        ([{}], ""),
        ([], ""),
    ],
)
def test_a_name_is_one_line_the_official_one_first(names: list[dict[str, Any]], line: str) -> None:
    assert name_of(names) == line
