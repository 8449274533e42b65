"""PostgreSQL's binary COPY format (https://www.postgresql.org/docs/18/sql-copy.html), written by hand.

psycopg writes arrays element by element in Python, and a resource has dozens of tokens: this is
several times faster, and it is most of what the loader does beside parsing.
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from overblik.fhir.strict_json import dumps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from decimal import Decimal
    from uuid import UUID

Encoder = "Callable[[Any], bytes]"
HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER = b"\xff\xff"
_NOTHING = object()
NULL = b"\xff\xff\xff\xff"
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LENGTH = struct.Struct(">i").pack
_INT8 = struct.Struct(">iq").pack
_INT4 = struct.Struct(">ii").pack
_INT2 = struct.Struct(">ih").pack
_OIDS = {"int4": 23, "int8": 20, "text": 25}


def _text(value: str) -> bytes:
    raw = value.encode()
    return _LENGTH(len(raw)) + raw


def _bytea(value: bytes) -> bytes:
    return _LENGTH(len(value)) + value


def _bool(value: bool) -> bytes:
    return b"\x00\x00\x00\x01\x01" if value else b"\x00\x00\x00\x01\x00"


def _timestamptz(value: datetime) -> bytes:
    return _INT8(8, (value - _EPOCH) // _MICROSECOND)


def _uuid(value: UUID) -> bytes:
    return b"\x00\x00\x00\x10" + value.bytes


def _jsonb(value: Any) -> bytes:
    raw = dumps(value)
    return _LENGTH(len(raw) + 1) + b"\x01" + raw


def _array(kind: str, items: list[bytes]) -> bytes:
    """Return a one-dimensional array of encoded items; an empty one has no dimension."""
    if not items:
        return struct.pack(">iiii", 12, 0, 0, _OIDS[kind])
    inside = b"".join(items)
    return struct.pack(">iiiiii", 20 + len(inside), 1, 0, _OIDS[kind], len(items), 1) + inside


def _int8s(values: Sequence[int]) -> bytes:
    if not values:
        return _array("int8", [])
    pairs = [8] * (2 * len(values))
    pairs[1::2] = values
    inside = struct.pack(">" + "iq" * len(values), *pairs)
    return struct.pack(">iiiiii", 20 + len(inside), 1, 0, _OIDS["int8"], len(values), 1) + inside


def _int4s(values: Sequence[int]) -> bytes:
    return _array("int4", [_INT4(4, value) for value in values])


def _texts(values: Sequence[str]) -> bytes:
    return _array("text", [_text(value) for value in values])


def _numeric(value: Decimal) -> bytes:
    """Return a number as groups of four digits, the first of weight `groups - 1`; the sign is a word of its own."""
    if value.is_infinite():
        return struct.pack(">ihhHh", 8, 0, 0, 0xD000 if value > 0 else 0xF000, 0)
    sign, digits, exponent = value.as_tuple()
    exponent = int(exponent)
    scale = max(0, -exponent)
    whole = "".join(map(str, digits)) + "0" * max(0, exponent)
    whole = whole.rjust(scale, "0")
    before, after = (whole[:-scale], whole[-scale:]) if scale else (whole, "")
    before = before.rjust(-(-len(before) // 4) * 4, "0")
    after = after.ljust(-(-len(after) // 4) * 4, "0")
    groups = [int((before + after)[i : i + 4]) for i in range(0, len(before + after), 4)]
    weight = len(before) // 4 - 1
    head = struct.pack(">ihhHh", 8 + 2 * len(groups), len(groups), weight, 0x4000 if sign else 0, scale)
    return head + struct.pack(f">{len(groups)}h", *groups)


ENCODERS: Mapping[str, Callable[[Any], bytes]] = {
    "int2": lambda value: _INT2(2, value),
    "int4": lambda value: _INT4(4, value),
    "int8": lambda value: _INT8(8, value),
    "numeric": _numeric,
    "float8": lambda value: struct.pack(">id", 8, value),
    "text": _text,
    "bytea": _bytea,
    "bool": _bool,
    "timestamptz": _timestamptz,
    "uuid": _uuid,
    "jsonb": _jsonb,
    "int8[]": _int8s,
    "int4[]": _int4s,
    "text[]": _texts,
}


def encode(columns: Mapping[str, str], rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Return a whole COPY stream; `columns` maps each name to its PostgreSQL type.

    Half of a row's values are the very objects of the row before it, and are not written anew.
    """
    fields: list[list[Any]] = [[name, ENCODERS[kind], _NOTHING, b""] for name, kind in columns.items()]
    count = struct.pack(">h", len(fields))
    parts = [HEADER]
    for row in rows:
        parts.append(count)
        for field in fields:
            value = row[field[0]]
            if value is None:
                parts.append(NULL)
                continue
            if value is not field[2]:
                field[2], field[3] = value, field[1](value)
            parts.append(field[3])
    parts.append(TRAILER)
    return b"".join(parts)
