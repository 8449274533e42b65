"""FHIR primitive types: is a JSON value one of them (https://hl7.org/fhir/R4/datatypes.html).

The published patterns are not used as they stand: base64Binary's runs for seconds on 176 bytes
(blaze#209), and dates pass it that no calendar has.
"""

from __future__ import annotations

import binascii
import re
from typing import TYPE_CHECKING, Any

import jiter

from overblik.fhir.dates import parse_interval

if TYPE_CHECKING:
    from collections.abc import Callable

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_CODE = re.compile(r"[^\s]+(\s[^\s]+)*", re.ASCII)
_OID = re.compile(r"urn:oid:[0-2](\.(0|[1-9][0-9]*))+")
_UUID = re.compile(r"urn:uuid:[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
_DATE = re.compile(r"\d{4}(-\d\d(-\d\d)?)?", re.ASCII)
_DATETIME = re.compile(
    r"\d{4}(-\d\d(-\d\d(T([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?(Z|[+-]((0\d|1[0-3]):[0-5]\d|14:00)))?)?)?",
    re.ASCII,
)
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_SPACE = re.compile(r"\s")
_MAX_INTEGER = 2**31 - 1


def _string(value: Any) -> bool:
    return isinstance(value, str) and value != "" and not _CONTROL.search(value)


def _matching(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _code(value: Any) -> bool:
    return _string(value) and _CODE.fullmatch(value) is not None


def _uri(value: Any) -> bool:
    return _string(value) and _SPACE.search(value) is None


def _whole(low: int) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and low <= value <= _MAX_INTEGER

    return check


def _decimal(value: Any) -> bool:
    return isinstance(value, (int, jiter.LosslessFloat)) and not isinstance(value, bool)


def _base64(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    packed = value.translate({9: None, 10: None, 13: None, 32: None})
    try:
        binascii.a2b_base64(packed, strict_mode=True)
    except (binascii.Error, ValueError):
        return False
    return packed != ""


def _date_like(pattern: re.Pattern[str], *, need_time: bool = False) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            return False
        return ("T" in value or not need_time) and parse_interval(value) is not None

    return check


CHECKS: dict[str, Callable[[Any], bool]] = {
    "base64Binary": _base64,
    "boolean": lambda value: isinstance(value, bool),
    "canonical": _uri,
    "code": _code,
    "date": _date_like(_DATE),
    "dateTime": _date_like(_DATETIME),
    "decimal": _decimal,
    "id": _matching(_ID),
    "instant": _date_like(_DATETIME, need_time=True),
    "integer": _whole(-(2**31)),
    "markdown": _string,
    "oid": _matching(_OID),
    "positiveInt": _whole(1),
    "string": _string,
    "time": _matching(_TIME),
    "unsignedInt": _whole(0),
    "uri": _uri,
    "url": _uri,
    "uuid": _matching(_UUID),
    "xhtml": _string,
}
"""Type name -> test of one JSON value."""
