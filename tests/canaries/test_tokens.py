"""A token is found however it is written, and nothing else is: a sweep that finds nothing has looked."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode

import pytest

from tests.canaries.tokens import KINDS, Canaries, tokens

MADE = Canaries()
TOKEN = MADE.new("a place")
BYTES = TOKEN.encode()


WAYS = (
    BYTES, b"a" + BYTES + b"b", TOKEN.upper().encode(), b"\x00" + BYTES + b"\xff", BYTES.hex().encode(),
    b"\\x" + BYTES.hex().upper().encode(),
    *(b64encode(b"x" * before + BYTES + b"y" * after) for before in range(4) for after in range(3)),
    b'{"data":"' + b64encode(BYTES) + b'"}', urlsafe_b64encode(b"\xfb\xff" + BYTES),
)  # fmt: skip


@pytest.mark.parametrize("text", WAYS, ids=range(len(WAYS)))  # the token is another in every process that collects
def test_a_token_is_found_however_it_is_written(text: bytes) -> None:
    assert tokens(text) == {TOKEN}


def test_what_is_no_token_is_none() -> None:
    assert not tokens(BYTES[:-1])
    assert not tokens(b64encode(BYTES)[:20])
    assert not tokens(b"overblikcanary")


def test_every_resource_has_hundreds_of_places_or_dozens() -> None:
    said = Canaries()
    for kind in KINDS:
        said.full(kind, "Patient/x")
    assert len(said.places) == len(set(said.places.values())) > 7000
    assert {"Observation.note.text", "CarePlan.text.div", "Media.content.data"} <= set(said.places.values())
