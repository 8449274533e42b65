"""JSON in and out: what is refused, with its place, and that nothing is lost."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import jiter
import pytest
from hypothesis import given
from hypothesis import strategies as st

from overblik.fhir import strict_json
from overblik.fhir.errors import Malformed, TooLarge
from overblik.fhir.strict_json import dumps, load_object, loads

REFUSED = [
    ("duplicate key", b'{"a":1,"a":2}', "json-duplicate-key", (1, 12)),
    ("duplicate key further down", b'{\n "a": {\n  "b": 1,\n  "b": 2}}', "json-duplicate-key", (4, 7)),
    ("duplicate key behind an escape", b'{"a":1,"\\u0061":2}', "json-duplicate-key", (1, 17)),
    ("NaN", b'{"a":NaN}', "json-invalid", (1, 6)),
    ("Infinity", b'{"a":Infinity}', "json-invalid", (1, 6)),
    ("negative infinity", b'{"a":-Infinity}', "json-invalid", (1, 7)),
    ("deep lists", b"[" * 300 + b"]" * 300, "json-too-deep", (1, 202)),
    ("deep objects", b'{"a":' * 300 + b"1" + b"}" * 300, "json-too-deep", (1, 1006)),
    ("a byte no UTF-8 has", b'{"a":"\xff"}', "json-not-utf8", (1, 7)),
    ("the same in a key", b'{"\xff":1}', "json-not-utf8", (1, 3)),
    ("an overlong NUL", b'{"a":"\xc0\x80"}', "json-not-utf8", (1, 7)),
    ("a surrogate in bytes", b'{"a":"\xed\xa0\x80"}', "json-not-utf8", (1, 7)),
    ("half a surrogate pair", b'{"a":"\\ud800"}', "json-invalid", (1, 13)),
    ("two byte order marks", b"\xef\xbb\xbf" * 2 + b"{}", "json-invalid", (1, 1)),
    ("UTF-16", '{"a":1}'.encode("utf-16"), "json-invalid", (1, 1)),
    ("trailing text", b"{} x", "json-invalid", (1, 4)),
    ("a second document", b"{}\n{}", "json-invalid", (2, 1)),
    ("nothing", b"", "json-invalid", (1, 0)),
    ("only a space", b" ", "json-invalid", (1, 1)),
    ("an unfinished string", b'{"a":"b', "json-invalid", (1, 7)),
    ("an unfinished list", b"[1,2", "json-invalid", (1, 4)),
    ("a comma too many", b'{"a":1,}', "json-invalid", (1, 8)),
    ("a comment", b"/* x */{}", "json-invalid", (1, 1)),
    ("single quotes", b"{'a':1}", "json-invalid", (1, 2)),
    ("a raw NUL", b'{"a":"\x00"}', "json-invalid", (1, 7)),
    ("a raw control character", b'{"a":"\x01"}', "json-invalid", (1, 7)),
    ("a raw line break in a string", b'{"a":"x\ny"}', "json-invalid", (2, 0)),
    ("a leading zero", b'{"a":01}', "json-invalid", (1, 7)),
    ("a bare point", b'{"a":1.}', "json-invalid", (1, 8)),
    ("no whole part", b'{"a":.5}', "json-invalid", (1, 6)),
    ("a plus sign", b'{"a":+1}', "json-invalid", (1, 6)),
    ("an exponent without digits", b'{"a":1e}', "json-invalid", (1, 8)),
    ("a number of 5000 digits", b"9" * 5000, "json-invalid", (1, 4302)),
]


@pytest.mark.parametrize(("data", "code", "place"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_what_is_not_strict_json_is_refused_with_its_place(data: bytes, code: str, place: tuple[int, int]) -> None:
    with pytest.raises(Malformed) as refused:
        loads(data)
    assert refused.value.code == code
    assert refused.value.text.endswith(f"(line {place[0]}, column {place[1]}).")


def test_depth_that_is_allowed_is_read() -> None:
    assert loads(b"[" * 200 + b"]" * 200) != []


def test_body_over_the_limit_is_refused_before_it_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strict_json, "MAX_BYTES", 4)
    assert loads(b"[12]") == [12]
    with pytest.raises(TooLarge) as refused:
        loads(b"[{{{{")
    assert refused.value.code == "body-too-large"


@pytest.mark.parametrize("data", [b"[]", b'"Patient"', b"1", b"null", b"true"])
def test_other_than_an_object_is_refused_where_one_is_needed(data: bytes) -> None:
    with pytest.raises(Malformed) as refused:
        load_object(data)
    assert refused.value.code == "json-not-an-object"


def test_an_object_is_read_where_one_is_needed() -> None:
    assert load_object(b'{"resourceType":"Patient"}') == {"resourceType": "Patient"}


@given(st.from_regex(r"-?(0|[1-9][0-9]{0,40})\.[0-9]{1,40}([eE][+-]?[0-9]{1,4})?", fullmatch=True))
def test_decimals_keep_every_digit(digits: str) -> None:
    data = f'{{"value":{digits}}}'.encode()
    assert dumps(loads(data)) == data


@given(st.from_regex(r"-?[1-9][0-9]{0,17}", fullmatch=True) | st.just("0"))
def test_whole_numbers_keep_every_digit(digits: str) -> None:
    assert dumps(loads(digits.encode())) == digits.encode()


@pytest.mark.parametrize("digits", ["1e3", "1E+2", "-0.0", "0.10", "1.00", "-1E-400", "1e999", "0.000000000000000001"])
def test_decimals_that_a_float_would_change_keep_their_digits(digits: str) -> None:
    data = f'{{"value":{digits}}}'.encode()
    value = loads(data)["value"]
    assert isinstance(value, jiter.LosslessFloat)
    assert dumps({"value": value}) == data
    assert dumps({"value": value}, pretty=True) == f'{{\n  "value": {digits}\n}}'.encode()


def test_the_sign_of_a_whole_zero_is_all_that_is_lost() -> None:
    assert dumps(loads(b"[-0,-0.0]")) == b"[0,-0.0]"


def test_a_whole_number_too_large_to_be_written_is_refused() -> None:
    with pytest.raises(Malformed) as refused:
        dumps(loads(b'{"value":123456789012345678901234567890}'))
    assert refused.value.code == "number-too-large"


def test_what_is_not_json_is_an_error_of_the_programmer() -> None:
    with pytest.raises(TypeError):
        dumps({"value": object()})


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=20,
)


@given(JSON_VALUES)
def test_what_is_written_is_read_back_equal_and_other_readers_agree(value: Any) -> None:
    assert loads(dumps(value)) == value == json.loads(dumps(value))


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_never_a_fault(data: bytes) -> None:
    with suppress(Malformed):
        loads(data)


def test_a_byte_order_mark_is_passed_over() -> None:
    assert loads(b"\xef\xbb\xbf" + b'{"a":1}') == {"a": 1}
