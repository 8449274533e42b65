"""The tables say what was measured, and what is missing."""

from __future__ import annotations

from bench.floor import told
from bench.loading import Loaded
from bench.measure import Cell, Row
from bench.table import against, cells_of, head
from bench.workloads import MIX, WORKLOADS
from bench.wrk import Figure

LOADED = Loaded(people=40, large=4, ids={"Patient": [f"p{n}" for n in range(40)], "Observation": ["o1", "o2"]})


def _cell(rate: float) -> Cell:
    return Cell(Figure(rate, 1, 2, 3, 0), 100, 50)


def test_a_peer_stands_beside_us_with_the_ratio() -> None:
    cells = cells_of(Row("read", 16, [_cell(3000), _cell(1000)]))
    assert cells == [
        "read by id",
        "16",
        "3,000",
        "1.0",
        "2.0",
        "3.0",
        "0",
        "100",
        "50",
        "1,000",
        "1.0",
        "3.0",
        "0",
        "3.0",
    ]
    assert {len(line.split("|")) for line in head(["Overblik", "HAPI"])} == {len(cells) + 2}


def test_what_a_server_cannot_do_is_said_and_not_compared() -> None:
    refused = Cell(Figure(0, 0, 0, 0, 0), why="answers 400")
    cells = cells_of(Row("chained", 1, [refused, _cell(5)]))
    assert cells[2] == "answers 400"
    assert cells[-1] == ""
    assert cells_of(Row("overview", 1, [_cell(5), None]))[-5:] == [""] * 5
    assert len(cells) == len(cells_of(Row("overview", 1, [_cell(5), None])))


def test_targets_are_compared_where_there_are_any() -> None:
    found = against([Row("read", 16, [_cell(3000)]), Row("read", 1, [_cell(500)]), Row("mix", 16, [_cell(1)])])
    assert found[2:] == ["| read by id | 16 | 4,000/s | 6,000/s | 3,000/s | 0.75 | 0.50 |"]


def test_every_target_is_measured_at_its_connections() -> None:
    for workload in WORKLOADS.values():
        assert workload.must.keys() == workload.aim.keys()
        assert workload.must.keys() <= set(workload.connections)


def test_the_reading_mix_has_its_parts_and_addresses_are_plain() -> None:
    assert sum(share for _, share in MIX) == 100
    paths = [ask.path for name in ("mix", "name-20", "chained-20") for ask in WORKLOADS[name].asks(LOADED)]
    assert all(path.isascii() and " " not in path for path in paths)
    reads = [path for path in paths[:2000] if path in {"/Observation/o1", "/Observation/o2"}]
    assert 700 < len(reads) < 1100


def test_the_machine_is_told_beside_the_one_of_the_targets() -> None:
    assert told(5_275, 15_825).endswith("21,100 where the targets were measured: this machine was 0.50 of that one.")
