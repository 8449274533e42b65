"""PostgreSQL's binary COPY format: what is written by hand is read back as the same values."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overblik.fhir.dates import EARLIEST, LATEST
from overblik.store.copy_format import encode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from overblik.store.embedded import EmbeddedPostgres

TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=30)
INT8 = st.integers(-(2**63), 2**63 - 1)
INT4 = st.integers(-(2**31), 2**31 - 1)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "int2": st.integers(-(2**15), 2**15 - 1),
    "int4": INT4,
    "int8": INT8,
    "float8": st.floats(allow_nan=False),
    "text": TEXT,
    "bytea": st.binary(max_size=30),
    "bool": st.booleans(),
    "timestamptz": st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)).map(lambda d: d.replace(tzinfo=UTC)),
    "uuid": st.uuids(),
    "jsonb": st.recursive(st.none() | st.booleans() | INT4 | TEXT, lambda v: st.dictionaries(TEXT, v) | st.lists(v)),
    "int8[]": st.lists(INT8, max_size=5),
    "int4[]": st.lists(INT4, max_size=5),
    "text[]": st.lists(TEXT, max_size=5),
}
COLUMNS = {f"c{n}": kind for n, kind in enumerate(VALUES)}
ROW = st.fixed_dictionaries({name: st.none() | VALUES[kind] for name, kind in COLUMNS.items()})


def through(conninfo: str, rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    with psycopg.connect(conninfo) as connection:
        connection.execute(
            ("create temp table t (place serial, " + ", ".join(f"{n} {k}" for n, k in COLUMNS.items()) + ")").encode()
        )
        with connection.cursor().copy(f"copy t ({', '.join(COLUMNS)}) from stdin (format binary)".encode()) as copy:
            copy.write(encode(COLUMNS, rows))
        cursor = connection.execute(f"select {', '.join(COLUMNS)} from t order by place".encode())
        for row in cursor:
            yield dict(zip(COLUMNS, row, strict=True))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(ROW, max_size=5))
def test_what_is_copied_in_is_read_back(postgres: EmbeddedPostgres, rows: list[dict[str, Any]]) -> None:
    assert list(through(postgres.conninfo, rows)) == rows


def test_the_ends_of_everything_are_read_back(postgres: EmbeddedPostgres) -> None:
    nothing = dict.fromkeys(COLUMNS)
    ends = nothing | {
        "c2": 2**63 - 1, "c4": "", "c5": b"", "c7": EARLIEST, "c8": UUID(int=0), "c10": [], "c12": ["", "\U0001f600"],
    }  # fmt: skip
    late = nothing | {"c2": -(2**63), "c7": LATEST}
    assert list(through(postgres.conninfo, [ends, late])) == [ends, late]
