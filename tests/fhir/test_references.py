"""References: taken apart, found, rewritten."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overblik.fhir.definitions import r4
from overblik.fhir.references import Reference, parse_reference, references, rewrite, stated
from overblik.fhir.strict_json import dumps

IDS = st.from_regex(r"[A-Za-z0-9\-.]{1,64}", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("Patient/1", Reference("Patient", "1")),
        ("Patient/a-b.C", Reference("Patient", "a-b.C")),
        ("Patient/1/_history/2", Reference("Patient", "1", "2")),
        ("http://x.dk/Patient/1", Reference("Patient", "1", "", "http://x.dk")),
        ("https://x.dk/fhir/r4/Patient/1/_history/2", Reference("Patient", "1", "2", "https://x.dk/fhir/r4")),
        ("http://x.dk/Patient/7/Patient/1", Reference("Patient", "1", "", "http://x.dk/Patient/7")),
    ],
)
def test_a_literal_reference_is_taken_apart(text: str, reference: Reference) -> None:
    assert parse_reference(text) == reference


@pytest.mark.parametrize(
    "text",
    [
        "",
        "#inner",
        "Patient",
        "Patient/",
        "Patient/1/",
        "/Patient/1",
        "patient/1",
        "Dog/1",
        "HumanName/1",
        "DomainResource/1",
        "Patient/" + "x" * 65,
        "Patient/a_b",
        "Patient/1#part",
        "Patient/1/_history",
        "Patient/1/_history/",
        "Patient?identifier=1",
        "urn:uuid:3fb1ba1c-7d0e-4d1a-9c43-d6f4b2f0a111",
        "urn:oid:1.2.3",
        "ftp://x.dk/Patient/1",
        "Patient/1\n",
        "http:///Patient",
    ],
)
def test_anything_else_is_none(text: str) -> None:
    assert parse_reference(text) is None


@given(st.sampled_from(sorted(r4().resource_types)), IDS, st.none() | IDS, st.sampled_from(["", "https://x.dk/fhir"]))
def test_what_is_put_together_is_taken_apart_the_same(
    kind: str, identifier: str, version: str | None, base: str
) -> None:
    text = f"{base}/{kind}/{identifier}".lstrip("/") + (f"/_history/{version}" if version else "")
    assert parse_reference(text) == Reference(kind, identifier, version or "", base)


RESOURCE: dict[str, Any] = {
    "resourceType": "Observation",
    "subject": {"reference": "Patient/1", "extension": [{"valueReference": {"reference": "Device/2"}}]},
    "performer": [{"reference": "urn:uuid:a"}, {"display": "x"}, {"reference": None}],
    "contained": [{"resourceType": "Group", "managingEntity": {"reference": "#b"}}],
    "valueAttachment": {"url": "urn:uuid:c", "title": "Patient/1"},
    "meta": {"source": "Patient/1"},
    "related": {"uri": "urn:uuid:e"},
    "extension": [{"url": "urn:uuid:d", "valueReference": {"identifier": {"value": "1"}}}],
    "code": {"text": "reference", "coding": [{"code": "1"}]},
}


def test_every_reference_is_found_and_nothing_else() -> None:
    assert [r["reference"] for r in references(RESOURCE)] == ["Patient/1", "Device/2", "urn:uuid:a", "#b"]


def test_rewriting_changes_references_and_links_and_leaves_the_original() -> None:
    before = repr(RESOURCE)
    changed = rewrite(RESOURCE, lambda text: f"<{text}>")
    assert [r["reference"] for r in references(changed)] == ["<Patient/1>", "<Device/2>", "<urn:uuid:a>", "<#b>"]
    assert changed["valueAttachment"] == {"url": "<urn:uuid:c>", "title": "Patient/1"}
    assert changed["related"] == {"uri": "<urn:uuid:e>"}
    assert changed["meta"] == RESOURCE["meta"]
    assert changed["performer"][2] == {"reference": None}
    assert repr(RESOURCE) == before


def test_rewriting_nothing_gives_an_equal_copy() -> None:
    assert rewrite(RESOURCE, lambda text: text) == RESOURCE


SAYS = st.sampled_from(
    ["Patient/1", "reference", '"reference":"Patient/9"', '\\"reference":"Patient/9"', "#a", "æ", ""]
)
VALUES = st.recursive(
    SAYS | st.none() | st.booleans(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["reference", "display", "subject", "text"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(VALUES)
def test_stored_bytes_state_the_same_references_as_the_parsed_resource(value: Any) -> None:
    plain = [r["reference"] for r in references({"x": value}) if '"' not in r["reference"]]
    assert sorted(stated([dumps({"x": value}), b"{}", dumps({"y": value})])) == sorted(set(plain))
