"""JSON Patch and FHIRPath Patch of one resource, and links inside resources; pure functions, tables of cases."""

from __future__ import annotations

import time
from typing import Any

import pytest

from overblik.fhir.errors import Unprocessable
from overblik.fhir.links import relink
from overblik.fhir.patch import fhirpath_patch, json_patch
from overblik.fhir.strict_json import dumps, loads

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p",
    "name": [{"use": "official", "family": "A", "given": ["B", "C"]}, {"use": "old", "family": "D"}],
    "gender": "female",
    "deceasedBoolean": False,
    "identifier": [{"system": "s", "value": "1"}, {"system": "t", "value": "2"}],
}


def fresh(**more: Any) -> dict[str, Any]:
    return dict(loads(dumps(PATIENT))) | more


def op(kind: str, path: str, **parts: Any) -> dict[str, Any]:
    """Write one FHIRPath Patch operation; `value` is (type, value), or parts for an element with none."""
    listed: list[dict[str, Any]] = [{"name": "type", "valueCode": kind}, {"name": "path", "valueString": path}]
    for name, value in parts.items():
        if name == "value" and isinstance(value, tuple):
            listed.append({"name": "value", f"value{value[0]}": value[1]})
        elif name == "value":
            listed.append({"name": "value", "part": value})
        else:
            listed.append({"name": name, "valueInteger" if isinstance(value, int) else "valueString": value})
    return {"name": "operation", "part": listed}


def patched(*operations: dict[str, Any], **more: Any) -> dict[str, Any]:
    return fhirpath_patch(fresh(**more), {"resourceType": "Parameters", "parameter": list(operations)})


CONTACT = [
    {"name": "name", "valueHumanName": {"text": "E"}},
    {"name": "telecom", "valueContactPoint": {"value": "1"}},
    {"name": "telecom", "valueContactPoint": {"value": "2"}},
    {"name": "gender", "valueCode": "male"},
]


@pytest.mark.parametrize(
    ("operation", "element", "expected"),
    [
        (op("add", "Patient", name="birthDate", value=("Date", "1948")), "birthDate", "1948"),
        (op("add", "Patient", name="language", value=("Code", "da")), "language", "da"),
        (op("add", "Patient.name[1]", name="given", value=("String", "X")), "name.1.given", ["X"]),
        (op("add", "Patient.name.where(use = 'old')", name="text", value=("String", "X")), "name.1.text", "X"),
        (op("add", "Patient", name="identifier", value=("Identifier", {"value": "3"})), "identifier.2.value", "3"),
        (op("add", "Patient", name="multipleBirth", value=("Integer", 2)), "multipleBirthInteger", 2),
        (op("add", "Patient", name="contact", value=CONTACT), "contact.0.telecom.1.value", "2"),
        (op("add", "Patient", name="contact", value=CONTACT), "contact.0.gender", "male"),
        (op("replace", "Patient.gender", value=("Code", "male")), "gender", "male"),
        (op("replace", "Patient.name[0].given[1]", value=("String", "X")), "name.0.given", ["B", "X"]),
        (op("replace", "Patient.deceased", value=("DateTime", "2026")), "deceasedDateTime", "2026"),
        (op("replace", "Patient.deceased", value=("DateTime", "2026")), "deceasedBoolean", None),
        (op("replace", "Patient.name.first().family", value=("String", "X")), "name.0.family", "X"),
        (op("delete", "Patient.gender"), "gender", None),
        (op("delete", "Patient.name.where(use = 'old')"), "name.1", None),
        (op("delete", "Patient.name[0].given[0]"), "name.0.given", ["C"]),
        (op("delete", "Patient.birthDate"), "birthDate", None),
        (op("delete", "Patient.identifier.where(system = 't' and value = '2')"), "identifier.1", None),
        (op("insert", "Patient.identifier", index=1, value=("Identifier", {"value": "x"})), "identifier.1.value", "x"),
        (op("insert", "Patient.name[0].given", index=2, value=("String", "x")), "name.0.given", ["B", "C", "x"]),
        (op("move", "Patient.identifier", source=1, destination=0), "identifier.0.value", "2"),
    ],
)
def test_fhirpath_patch_changes_the_element_that_the_path_finds(
    operation: dict[str, Any], element: str, expected: Any
) -> None:
    found: Any = patched(operation)
    for key in element.split("."):
        listed = dict(enumerate(found)) if isinstance(found, list) else found
        found = listed.get(int(key) if isinstance(found, list) else key)
    assert found == expected


@pytest.mark.parametrize(
    "operation",
    [
        op("add", "Patient", name="gender", value=("Code", "male")),
        op("add", "Patient", name="nonsense", value=("String", "x")),
        op("add", "Patient.name", name="text", value=("String", "x")),
        op("add", "Patient.contact", name="gender", value=("Code", "male")),
        op("add", "Patient.gender", name="id", value=("String", "x")),
        op("add", "Patient", name="birthDate"),
        op("add", "Patient", name="multipleBirth", value=("String", "x")),
        op("replace", "Patient.birthDate", value=("Date", "1948")),
        op("replace", "Patient.name.family", value=("String", "x")),
        op("replace", "Patient.deceased", value=("String", "x")),
        op("delete", "Patient.name"),
        op("delete", "Patient"),
        op("insert", "Patient.identifier", index=3, value=("Identifier", {"value": "x"})),
        op("insert", "Patient.gender", index=0, value=("Code", "x")),
        op("insert", "Patient.contact", index=0, value=("String", "x")),
        op("move", "Patient.identifier", source=0, destination=2),
        op("move", "Patient.identifier", source=-1, destination=0),
        op("transform", "Patient"),
        op("delete", "Patient.name["),
        op("delete", "Patient.name.repeat(given)"),
        op("delete", "Patient.name | Patient.gender"),
        {"name": "operation"},
        {"name": "other", "part": []},
    ],
)
def test_what_a_fhirpath_patch_cannot_do_is_refused_with_its_place(operation: dict[str, Any]) -> None:
    with pytest.raises(Unprocessable) as refused:
        patched(op("delete", "Patient.photo"), operation)
    assert refused.value.code == "patch-failed"
    assert refused.value.issues[0].expression == "Parameters.parameter[1]"


def test_extensions_of_primitives_follow_their_values() -> None:
    text = b'{"given": ["A", "B", "C"], "_given": [null, {"id": "b"}]}'
    at = "Patient.name[0].given"
    moved = patched(op("move", at, source=1, destination=0), name=[loads(text)])["name"][0]
    assert (moved["given"], moved["_given"]) == (["B", "A", "C"], [{"id": "b"}, None, None])
    inserted = patched(op("insert", at, index=0, value=("String", "X")), name=[loads(text)])["name"][0]
    assert (inserted["given"], inserted["_given"]) == (["X", "A", "B", "C"], [None, None, {"id": "b"}, None])
    deleted = patched(op("delete", f"{at}[1]"), name=[loads(text)])["name"][0]
    assert (deleted["given"], deleted.get("_given")) == (["A", "C"], None)
    gender = patched(op("replace", "Patient.gender", value=("Code", "male")), _gender={"id": "g"})
    assert "_gender" not in gender


@pytest.mark.parametrize(
    ("operations", "element", "expected"),
    [
        ([{"op": "add", "path": "/name/-", "value": {"text": "x"}}], ("name", 2, "text"), "x"),
        ([{"op": "replace", "path": "/gender", "value": "male"}], ("gender",), "male"),
        ([{"op": "remove", "path": "/name/0/given/0"}], ("name", 0, "given"), ["C"]),
        ([{"op": "move", "from": "/name/1", "path": "/name/0"}], ("name", 0, "family"), "D"),
        ([{"op": "copy", "from": "/name/0/given", "path": "/name/1/given"}], ("name", 1, "given"), ["B", "C"]),
        ([{"op": "test", "path": "/gender", "value": "female"}], ("gender",), "female"),
        ([{"op": "add", "path": "/a~1b", "value": 1}], ("a/b",), 1),
    ],
)
def test_json_patch_does_as_the_rfc_says(operations: list[Any], element: tuple[Any, ...], expected: Any) -> None:
    found: Any = json_patch(fresh(), operations)
    for key in element:
        found = found[key]
    assert found == expected


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/gender", "value": "male"},
        {"op": "remove", "path": "/nothing"},
        {"op": "remove", "path": "/name/2"},
        {"op": "remove", "path": "/name/-1"},
        {"op": "add", "path": "/name/01", "value": {}},
        {"op": "add", "path": "name", "value": {}},
        {"op": "add", "path": "/name"},
        {"op": "copy", "from": "/nothing", "path": "/name/-"},
        {"op": "copy", "path": "/name/-"},
        {"op": "move", "from": "/name", "path": "/name/0/given"},
        {"op": "destroy", "path": "/name"},
        {"op": ["add"], "path": "/name", "value": 1},
        {"op": "add", "path": 5, "value": 1},
        {"path": "/name"},
    ],
)
def test_what_a_json_patch_cannot_do_is_refused_with_its_place(operation: dict[str, Any]) -> None:
    with pytest.raises(Unprocessable) as refused:
        json_patch(fresh(), [{"op": "remove", "path": "/gender"}, operation])
    assert (refused.value.code, refused.value.issues[0].expression) == ("patch-failed", "patch[1]")


@pytest.mark.parametrize("document", [{}, None, "x", [1], [[]], [{"op": "add", "path": "", "value": 1}]])
def test_what_is_no_json_patch_is_refused(document: Any) -> None:
    with pytest.raises(Unprocessable):
        json_patch(fresh(), document)


def test_copies_cannot_grow_without_bound() -> None:
    begin = time.monotonic()
    bomb = [{"op": "copy", "from": "/name", "path": "/name/-"}] * 60
    with pytest.raises(Unprocessable):
        json_patch(fresh(), bomb)
    assert time.monotonic() - begin < 5


def test_decimals_keep_their_digits_and_are_compared_as_numbers() -> None:
    body = loads(b'{"valueQuantity":{"value":1.00},"component":[{"value":0.10}]}')
    same = [{"op": "test", "path": "/valueQuantity/value", "value": loads(b"1.0")}]
    copied = [*same, {"op": "copy", "from": "/component/0", "path": "/component/-"}]
    assert dumps(json_patch(body, copied)) == (
        b'{"valueQuantity":{"value":1.00},"component":[{"value":0.10},{"value":0.10}]}'
    )
    for value in (True, "1.0", None):
        with pytest.raises(Unprocessable):
            json_patch(body, [{"op": "test", "path": "/valueQuantity/value", "value": value}])


def test_links_are_changed_where_they_are_links_and_nowhere_else() -> None:
    old, new = "urn:uuid:1", "Binary/9"
    div = f'<div xmlns="http://www.w3.org/1999/xhtml"><a href="{old}">{old}</a><img src=\'{old}\' alt="{old}"/></div>'
    body = {
        "resourceType": "DocumentReference",
        "status": "current",
        "text": {"status": "generated", "div": div},
        "description": old,
        "identifier": [{"system": "s", "value": old}],
        "subject": {"reference": old, "display": old},
        "content": [{"attachment": {"url": old, "title": old}}],
        "extension": [{"url": "http://x", "valueUri": old}, {"url": "http://x", "valueString": old}],
        "contained": [{"resourceType": "List", "entry": [{"item": {"reference": old}}]}],
    }
    changed = relink(body, lambda text: new if text == old else text, lambda text: new if text == old else text)
    assert changed["text"]["div"] == div.replace(f'href="{old}"', f'href="{new}"').replace(
        f"src='{old}'", f"src='{new}'"
    )
    assert (changed["description"], changed["identifier"][0]["value"]) == (old, old)
    assert changed["subject"] == {"reference": new, "display": old}
    assert changed["content"][0]["attachment"] == {"url": new, "title": old}
    assert [next(v for k, v in e.items() if k.startswith("value")) for e in changed["extension"]] == [new, old]
    assert changed["contained"][0]["entry"][0]["item"]["reference"] == new
