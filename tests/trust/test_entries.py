"""Versions that are kept parsed: by key, bounded, and not when a fact was told again."""

from __future__ import annotations

from datetime import timedelta

from overblik.trust.door.entries import BESIDE, Entry, Kept, once
from tests.conftest import NOW

SIZE = 600


def entry(number: int) -> Entry:
    return Entry({"resourceType": "Observation", "id": str(number)}, "s", "v", NOW, NOW, 1, 1)


def filled(most: int, numbers: range) -> Kept:
    kept = Kept(most)
    for number in numbers:
        kept.put(number, 1, entry(number), SIZE - BESIDE)
    return kept


def present(kept: Kept, numbers: range) -> list[int]:
    return [number for number in numbers if kept.get(number, 1, NOW) is not None]


def test_no_more_is_kept_than_was_said() -> None:
    kept = filled(20 * SIZE, range(1000))
    assert 10 <= len(present(kept, range(1000))) <= 20


def test_what_was_used_stays_and_what_was_not_goes() -> None:
    kept = Kept(20 * SIZE)
    for number in range(100):
        kept.put(number, 1, entry(number), SIZE - BESIDE)
        assert kept.get(0, 1, NOW) is not None
    assert present(kept, range(10)) == [0]


def test_another_version_is_another_entry() -> None:
    kept = filled(20 * SIZE, range(1))
    assert kept.get(0, 2, NOW) is None


def test_a_fact_that_was_told_again_is_read_again() -> None:
    kept = filled(20 * SIZE, range(1))
    assert kept.get(0, 1, NOW + timedelta(hours=1)) is None


def test_what_an_entry_says_is_worked_out_once() -> None:
    asked = []

    @once
    def name(entry: Entry) -> str:
        asked.append(entry.reference)
        return entry.reference.lower()

    one = entry(1)
    assert (name(one), name(one), asked) == ("observation/1", "observation/1", ["Observation/1"])
