"""Stored bytes: what goes in comes out, with the server's own meta spliced in."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from overblik.fhir.strict_json import load_object
from overblik.store.body import pack, splice, unpack

WHEN = datetime(2026, 11, 23, 9, 0, 0, 123456, tzinfo=UTC)
VALUES = st.recursive(
    st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=8), inner, max_size=3),
    max_leaves=12,
)
META = st.dictionaries(st.sampled_from(["source", "profile", "security", "tag", "versionId", "lastUpdated"]), VALUES)
RESOURCES = st.fixed_dictionaries(
    {"resourceType": st.just("Basic"), "id": st.just("x")},
    optional={"meta": META, "name": VALUES, "code": VALUES, "contained": VALUES, "zero": VALUES},
)


@given(RESOURCES, st.integers(1, 10**6))
def test_p28_what_is_packed_comes_out_with_the_servers_meta(resource: dict[str, object], version: int) -> None:
    sent = json.loads(splice("Basic", "x", version, WHEN, pack(resource)))
    meta = {k: v for k, v in resource.get("meta", {}).items() if k not in {"versionId", "lastUpdated"}}  # type: ignore[attr-defined]
    expected = {**resource, "meta": {**meta, "versionId": str(version), "lastUpdated": "2026-11-23T09:00:00.123Z"}}
    assert sent == expected


@given(RESOURCES)
def test_packing_is_the_same_for_what_it_gave(resource: dict[str, object]) -> None:
    body = pack(resource)
    assert pack(unpack("Basic", "x", 3, WHEN, body)) == body


def test_digits_survive_and_the_order_stays() -> None:
    raw = b'{"resourceType":"Basic","id":"x","b":1.50,"a":{"z":0.10,"y":1e2},"n":100000000000000000000.1}'
    sent = splice("Basic", "x", 1, WHEN, pack(load_object(raw)))
    assert sent.endswith(b'},"b":1.50,"a":{"z":0.10,"y":1e2},"n":100000000000000000000.1}')
