"""JSON in and out without loss (https://hl7.org/fhir/R4/json.html).

In: duplicate keys, NaN, infinities, trailing text, deep nesting and bytes that are not UTF-8 are
refused with the line and column. Decimals arrive as `jiter.LosslessFloat` and leave with the same
digits, so `1.00` stays `1.00`.
"""

from __future__ import annotations

import re
from typing import Any

import jiter
import orjson

from overblik.fhir.errors import Malformed, TooLarge

Json = dict[str, Any]
"""A FHIR resource or element as parsed: dict, list, str, bool, int, LosslessFloat, None."""

MAX_BYTES = 50 * 1024 * 1024
"""Above this a body is refused before it is parsed; a Bundle of documents stays well below."""

_BOM = b"\xef\xbb\xbf"
_REASONS = (
    ("", "json-invalid", "The body is not valid JSON."),
    ("Detected duplicate key", "json-duplicate-key", "A key stands twice in the same object; keep one."),
    ("recursion limit", "json-too-deep", "The JSON is nested too deeply (more than 200 levels)."),
    ("unicode", "json-not-utf8", "The body is not UTF-8; FHIR JSON is always UTF-8."),
)
_PLACE = re.compile(r"at line (\d+) column (\d+)$")


def loads(data: bytes) -> Any:
    """Parse one JSON document; raise Malformed with the place, TooLarge above MAX_BYTES.

    A byte order mark is passed over, as RFC 8259 allows: files from Windows systems begin with one.
    """
    if len(data) > MAX_BYTES:
        raise TooLarge("body-too-large", f"The body is over {MAX_BYTES // 1024**2} MB; send it in parts.")
    try:
        return jiter.from_json(
            data.removeprefix(_BOM), float_mode="lossless-float", catch_duplicate_keys=True, allow_inf_nan=False
        )
    except ValueError as error:
        raise _malformed(str(error)) from None


def _malformed(message: str) -> Malformed:
    _, code, text = [reason for reason in _REASONS if reason[0] in message][-1]
    place = _PLACE.search(message)
    where = f" (line {place[1]}, column {place[2]})" if place else ""
    return Malformed(code, text.rstrip(".") + where + ".")


def load_object(data: bytes) -> Json:
    """Parse one JSON object; anything else is Malformed."""
    value = loads(data)
    if not isinstance(value, dict):
        raise Malformed("json-not-an-object", "A JSON object is needed here.")
    return value


def dumps(value: Any, *, pretty: bool = False, in_order: bool = False) -> bytes:
    """Write JSON; decimals keep the digits they came with. `in_order` sorts the keys, so that equals look equal."""
    option = (orjson.OPT_INDENT_2 if pretty else 0) | (orjson.OPT_SORT_KEYS if in_order else 0)
    try:
        return orjson.dumps(value, default=_lossless, option=option)
    except orjson.JSONEncodeError as error:
        if "64-bit" in str(error):
            raise Malformed("number-too-large", "A whole number has more than 18 digits.") from None
        raise


def _lossless(value: Any) -> Any:
    if isinstance(value, jiter.LosslessFloat):
        return orjson.Fragment(bytes(value))
    raise TypeError(f"not JSON: {type(value).__name__}")
