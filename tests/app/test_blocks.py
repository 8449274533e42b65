"""Files to blocks: every line once, in the order in which it can be taken, wherever it lies."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overblik.app.load.blocks import ABOUT, PATIENTS, PHASES, SHARED, Source, blocks, phase_of, read_whole, scan
from overblik.app.load.names import Named, Namespace, named_in
from overblik.fhir.errors import Malformed, Unprocessable

if TYPE_CHECKING:
    from pathlib import Path

LINES = {
    b'{"resourceType":"Organization","id":"1"}': SHARED,
    b' { "resourceType" : "Location" }': SHARED,
    b'{"resourceType":"Patient","id":"1"}': PATIENTS,
    b'{"contained":[{"resourceType":"Organization"}],"resourceType":"Patient"}': PATIENTS,
    b'{"id":"7","resourceType":"Observation","subject":{"reference":"Patient/1"}}': ABOUT,
    b'{"resourceType":"Observation","subject":{"reference":"Patient\\/2"}}': ABOUT,
    b'{"resourceType":"Device"}': ABOUT,
    b"not JSON": ABOUT,
    b'{"resourceType":7}': ABOUT,
    b"[]": ABOUT,
}


@pytest.mark.parametrize("line", LINES)
def test_a_line_is_taken_when_what_it_needs_is_there(line: bytes) -> None:
    assert phase_of(line) == LINES[line]


def seen(_: int) -> None:
    return


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    lines=st.lists(st.sampled_from([*LINES, b"", b"   "]), max_size=60),
    most=st.integers(1, 7),
    end=st.sampled_from([b"\n", b"\r\n"]),
    last=st.booleans(),
    packed=st.booleans(),
)
def test_every_line_is_in_one_block_with_its_number(
    tmp_path: Path, lines: list[bytes], most: int, end: bytes, last: bool, packed: bool
) -> None:
    content = end.join(lines) + (end if last else b"")
    path = tmp_path / ("x.ndjson.gz" if packed else "x.ndjson")
    path.write_bytes(gzip.compress(content) if packed else content)
    source = scan(path, seen)
    found = [(phase, block) for phase in PHASES for block in blocks([source], phase, lines=most)]
    told = sorted((n, raw) for _, b in found for n, raw in zip(b.numbers, b.lines, strict=True))
    assert told == [(n, raw) for n, raw in enumerate(lines, 1) if raw.strip()]
    assert source.counts == [sum(len(b.lines) for p, b in found if p == phase) for phase in PHASES]
    for phase, block in found:
        assert {phase_of(raw) for raw in block.lines} == {phase}
        assert block.numbers == sorted(block.numbers)
        assert len(block.lines) <= 2 * most


def test_a_block_ends_between_patients_where_it_can(tmp_path: Path) -> None:
    path = tmp_path / "x.ndjson"
    line = '{{"resourceType":"Observation","subject":{{"reference":"Patient/{}"}}}}'
    path.write_text("\n".join(line.format(of) for of in (1, 1, 1, 2, 2, 3, 3, 3, 3, 3, 3, 3)))
    assert [b.numbers for b in blocks([scan(path, seen)], ABOUT, lines=2)] == [
        [1, 2, 3], [4, 5], [6, 7, 8, 9], [10, 11, 12],
    ]  # fmt: skip


def test_the_same_lines_are_the_same_block_wherever_they_lie(tmp_path: Path) -> None:
    for name in ("a.ndjson", "b.jsonl"):
        (tmp_path / name).write_bytes(b"\n".join(LINES))
    one, other = ([b.digest for b in blocks([scan(tmp_path / n, seen)], ABOUT)] for n in ("a.ndjson", "b.jsonl"))
    assert one == other


@pytest.mark.parametrize("damage", ["cut", "wrong", "none at all"])
def test_nothing_of_a_damaged_file_is_taken(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "x.ndjson.gz"
    good = gzip.compress(b"\n".join(LINES) * 50)
    path.write_bytes({"cut": good[:-20], "wrong": good[:40] + b"\xff\xff" + good[42:], "none at all": b"{}"}[damage])
    with pytest.raises(Malformed) as found:
        scan(path, seen)
    assert found.value.code == "file-unreadable"
    with pytest.raises(Malformed):
        read_whole(path)


def test_no_more_than_a_block_is_in_memory(tmp_path: Path) -> None:
    """Blocks come one after the other: the second is not read before the first was given out."""
    path = tmp_path / "x.ndjson"
    path.write_bytes(b'{"resourceType":"Device"}\n' * 10_000)
    walked = blocks([Source(path, [0, 0, 10_000])], ABOUT, lines=1000)
    assert len(next(walked).lines) == 1000
    path.write_bytes(b"")
    assert sum(len(b.lines) for b in walked) < 9000, "the rest was read from the file, which has shrunk meanwhile"


IDS = st.from_regex(r"[A-Za-z0-9\-.]{1,64}", fullmatch=True)


@given(IDS, IDS)
def test_two_ids_stay_two_and_are_valid(one: str, other: str) -> None:
    space = Namespace("gateway")
    assert (space.own(one) == space.own(other)) == (one == other or space.own(one) == other or space.own(other) == one)
    assert space.own(one).startswith("gateway.")
    assert len(space.own(one)) <= 64
    assert space.own(space.own(one)) == space.own(one)


@pytest.mark.parametrize("name", ["", "a b", "a.b", "øre", "a_b", "x" * 32])
def test_a_source_whose_name_cannot_begin_an_id_is_told_so(name: str) -> None:
    with pytest.raises(Unprocessable):
        Namespace(name)


LINKS = {
    "Patient/1": ("Patient/gateway.1", True),
    "Patient/1/_history/2": ("Patient/gateway.1/_history/2", True),
    "Questionnaire/q#part": ("Questionnaire/gateway.q#part", True),
    "https://elsewhere.dk/fhir/Patient/1": ("https://elsewhere.dk/fhir/Patient/1", True),
    "#contained": ("#contained", False),
    "urn:uuid:0": ("urn:uuid:0", False),
    "Nothing/1": ("Nothing/1", False),
    "Patient?identifier=1": ("Patient?identifier=1", False),
}


@pytest.mark.parametrize("text", LINKS)
def test_links_between_the_files_follow_their_ids(text: str) -> None:
    expected, named = LINKS[text]
    value = {"a": [{"b": {"reference": text, "display": "Patient/1"}}], "c": {"reference": text}}
    found = Named()
    named_in(value, found)
    assert len(found.links) == 2 * named
    for link in found.links:
        link.point((link.target[0], f"gateway.{link.target[1]}"))
    assert value == {"a": [{"b": {"reference": expected, "display": "Patient/1"}}], "c": {"reference": expected}}
