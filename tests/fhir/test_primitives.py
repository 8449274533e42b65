"""Primitive types: which JSON values are one of them."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overblik.fhir.definitions import r4
from overblik.fhir.primitives import CHECKS
from overblik.fhir.strict_json import loads

UUID = "urn:uuid:3fb1ba1c-7d0e-4d1a-9c43-d6f4b2f0a111"
WHOLE = 2**31 - 1

RIGHT: dict[str, list[Any]] = {
    "base64Binary": ["QQ==", "QUI=", "QUJD", "Q U\r\nJ\tD", "+/+/"],
    "boolean": [True, False],
    "canonical": ["http://hl7.org/fhir/ValueSet/x|1.0", "#inner"],
    "code": ["final", "a b", "æ", "x" * 500, "CHESTÂ\xa0"],
    "date": ["2026", "2026-11", "2026-11-22", "0001-01-01", "9999-12-31", "2024-02-29"],
    "dateTime": ["2026", "2026-11-22", "2026-11-22T10:30:00Z", "2026-11-22T10:30:60.5+14:00", "9999-12-31T23:59:59Z"],
    "decimal": [0, -1, 10**30, loads(b"1.00"), loads(b"-1E-400")],
    "id": ["a", "A-1.b", "x" * 64],
    "instant": ["2026-11-22T10:30:00Z", "2026-11-22T10:30:00.123456789-13:59"],
    "integer": [0, -(2**31), WHOLE],
    "markdown": ["# Heading\n\ttext"],
    "oid": ["urn:oid:1.2.208.176.1.2", "urn:oid:2.0"],
    "positiveInt": [1, WHOLE],
    "string": [" ", "a\tb\r\nc", "å", "\x7f", "😀"],
    "time": ["00:00:00", "23:59:60.25"],
    "unsignedInt": [0, WHOLE],
    "uri": ["urn:oid:1.2.3", "http://x.dk/æ", UUID],
    "url": ["https://x.dk", "mailto:a@b.dk"],
    "uuid": [UUID, UUID.upper().replace("URN:UUID", "urn:uuid")],
    "xhtml": ['<div xmlns="http://www.w3.org/1999/xhtml">x</div>'],
}

WRONG: dict[str, list[Any]] = {
    "base64Binary": ["", " ", "Q", "QQ", "QQ=", "QQ==QQ==", "=QQ=", "Q-Q=", "ÆØÅ=", "QQ==\x00", 1],
    "boolean": ["true", 0, 1],
    "canonical": ["http://x.dk/a b", ""],
    "code": ["", " a", "a ", "a  b", "a\x00b", "a\x1fb", "\x0b", True],
    "date": ["2026-13", "2026-02-29", "0000", "26", "2026-11-22T10:30:00Z", "2026-1-1", "٢٠٢٦", 2026],
    "dateTime": [
        "2026-11-22T10:30Z",
        "2026-11-22T10:30:00",
        "2026-11-22T24:00:00Z",
        "2026-11-22T23:60:00Z",
        "2026-11-22T23:59:61Z",
        "2026-11-22T10:30:00+14:01",
        "2026-11-22T10:30:00+1:00",
        "2026-02-30T10:30:00Z",
        "2026-11-22\n",
        "٢٠٢٦-11-22",
    ],
    "decimal": ["1.0", True, 1.5, None],
    "id": ["", "x" * 65, "a_b", "a b", "æ", "a\n", 1],
    "instant": ["2026-11-22", "2026", "2026-11-22T10:30:00"],
    "integer": [2**31, -(2**31) - 1, True, "1", loads(b"1.0")],
    "markdown": ["", "a\x00b"],
    "oid": ["1.2.208", "urn:oid:3.1", "urn:oid:1.02", "urn:oid:1", "urn:oid:1.2."],
    "positiveInt": [0, -1, True],
    "string": ["", "a\x00b", "\x08", "\x0b", "\x0c", "\x0e", "\x1f", 1, None, ["a"], {"a": "b"}],
    "time": ["24:00:00", "10:30", "10:60:00", "1٠:00:00", "10:30:00Z"],
    "unsignedInt": [-1, True],
    "uri": ["", "a b", "a\nb", "a\x00b"],
    "url": ["", "https://x.dk/ "],
    "uuid": [UUID.removeprefix("urn:uuid:"), UUID[:-1], UUID.replace("-", "")],
    "xhtml": ["", "<div>\x00</div>"],
}


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in RIGHT.items() for value in values])
def test_a_value_of_the_type_passes(kind: str, value: Any) -> None:
    assert CHECKS[kind](value)


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in WRONG.items() for value in values])
def test_a_value_that_is_none_of_the_type_does_not_pass(kind: str, value: Any) -> None:
    assert not CHECKS[kind](value)


def test_every_primitive_type_of_the_standard_has_a_check_and_a_row_here() -> None:
    known = {name for name, kind in r4().types.items() if kind.kind == "primitive-type"}
    assert set(CHECKS) == known == set(RIGHT) == set(WRONG)


@given(st.binary(min_size=1))
def test_base64_of_any_bytes_passes(data: bytes) -> None:
    assert CHECKS["base64Binary"](base64.b64encode(data).decode())


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        # The published pattern takes seconds on 176 bytes of this and forever on a megabyte (blaze#209).
        ("base64Binary", "A" * 1_000_001),
        ("base64Binary", "AAAA " * 200_000 + "!"),
        ("base64Binary", "=" * 1_000_000),
        ("code", "a " * 500_000),
        ("oid", "urn:oid:1" + ".1" * 500_000 + "."),
        ("dateTime", "2026-11-22T10:30:00." + "1" * 1_000_000),
        ("uri", "a" * 1_000_000 + " "),
    ],
)
def test_p08_long_input_made_to_catch_a_pattern_is_refused_at_once(kind: str, text: str) -> None:
    assert not CHECKS[kind](text)


@given(st.sampled_from(sorted(CHECKS)), st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_a_check_answers_for_any_value(kind: str, value: Any) -> None:
    assert CHECKS[kind](value) in {True, False}


@given(
    st.sampled_from(sorted(CHECKS)),
    st.text(),
    st.characters(max_codepoint=0x1F, exclude_characters="\t\n\r"),
    st.text(),
)
def test_no_text_with_a_control_character_passes(kind: str, before: str, control: str, after: str) -> None:
    assert not CHECKS[kind](before + control + after)
