"""Markdown tables of what was measured, and how it compares with what is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.workloads import WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from bench.measure import Cell, Row

OWN = ("a second", "p50 ms", "p95 ms", "p99 ms", "errors", "server µs", "database µs")
PEER = ("a second", "p50 ms", "p99 ms", "errors")
END = "<!-- end -->"


def line(cells: Iterable[str]) -> str:
    """Return one line of a table."""
    return "| " + " | ".join(cells) + " |"


def put(path: Path, begin: str, lines: Sequence[str]) -> None:
    """Put lines into a file, between the mark `begin` and the next end mark."""
    before, found, rest = path.read_text().partition(begin)
    _, closed, after = rest.partition(END)
    if not (found and closed):
        raise SystemExit(f"bench: {path} lacks {begin} and {END}")
    path.write_text("\n".join([before + begin, "", *lines, "", END + after]))


def head(names: Sequence[str]) -> list[str]:
    """Return the first two lines of the table of workloads; `names` are the servers, ours first."""
    titles = ["workload", "connections", *OWN]
    for name in names[1:]:
        titles += [f"{name}: {PEER[0]}", *PEER[1:], "× of it"]
    return [line(titles), line(["---"] * 2 + ["---:"] * (len(titles) - 2))]


def cells_of(row: Row) -> list[str]:
    """Return the cells of a row; the last of each peer is how many times faster we are."""
    first, *peers = row.cells
    cells = [WORKLOADS[row.name].title, str(row.connections), *_own(first)]
    for peer in peers:
        cells += [*_peer(peer), _times(first, peer)]
    return cells


def _own(cell: Cell | None) -> list[str]:
    if cell is None or cell.why:
        return [cell.why if cell else "", *[""] * (len(OWN) - 1)]
    f = cell.figure
    spent = [f"{us:,.0f}" if us else "" for us in (cell.server, cell.database)]
    return [f"{f.rate:,.0f}", f"{f.p50:.1f}", f"{f.p95:.1f}", f"{f.p99:.1f}", str(f.errors), *spent]


def _peer(cell: Cell | None) -> list[str]:
    if cell is None or cell.why:
        return [cell.why if cell else "", *[""] * (len(PEER) - 1)]
    f = cell.figure
    return [f"{f.rate:,.0f}", f"{f.p50:.1f}", f"{f.p99:.1f}", str(f.errors)]


def _times(first: Cell | None, peer: Cell | None) -> str:
    if not first or not peer or first.why or peer.why or not peer.figure.rate:
        return ""
    return f"{first.figure.rate / peer.figure.rate:.1f}"


def against(rows: Sequence[Row]) -> list[str]:
    """Return the table of what is asked, by workload that has a target."""
    lines = [line(["workload", "connections", "must", "aim", "measured", "of must", "of aim"])]
    lines.append(line(["---"] * 2 + ["---:"] * 5))
    for row in rows:
        workload, cell = WORKLOADS[row.name], row.cells[0]
        must, aim = workload.must.get(row.connections), workload.aim.get(row.connections)
        if must is None or aim is None or cell is None:
            continue
        got = [cell.why, "", ""] if cell.why else _reached(cell.figure.rate, must, aim)
        lines.append(line([workload.title, str(row.connections), f"{must:,}/s", f"{aim:,}/s", *got]))
    return lines


def _reached(rate: float, must: int, aim: int) -> list[str]:
    return [f"{rate:,.0f}/s", f"{rate / must:.2f}", f"{rate / aim:.2f}"]
