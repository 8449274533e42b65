"""Write docs/real-files.md: what becomes of every published file, alone in an empty store and all together.

    .venv/bin/python scripts/real_files_table.py [FOLDER]

FOLDER holds the published files (../shared/data); they are read there and never copied here.
"""

from __future__ import annotations

import asyncio
import gzip
import sys
import tempfile
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import count, groupby
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from overblik.app.loading import take_file
from overblik.app.runtime import runtime
from overblik.app.settings import Settings
from overblik.fhir.errors import OverblikError
from overblik.store.database import Database
from overblik.store.embedded import EmbeddedPostgres
from overblik.store.migrate import migrate
from overblik.trust.callers.tokens import caller_from

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator
    from contextlib import AbstractAsyncContextManager

    from overblik.app.runtime import Runtime

    Open = Callable[[], AbstractAsyncContextManager[Runtime]]
    """Opens a runtime on an empty store."""

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "real-files.md"
SHARED = ROOT.parent / "shared" / "data"
PATTERNS = ("medcom-fhir/*/Bundle-*.json", "cda/*.xml", "synthea/*.json.gz")
WORDS = {"applied": "taken", "held": "held", "refused": "refused"}
EVERY_MESSAGE = frozenset({"Binary", "MessageHeader", "Patient", "Provenance"})
"""What each taken message or document leaves, besides what its row says."""
SHOWN = 4
"""A row names its files up to this many, and otherwise counts them."""

INTRODUCTION = """# Real files: what is taken, held and refused

Every file below is published by others (MedCom, the Danish Health Data Authority, Synthea) and is not part of this
project. Each was delivered alone to an empty store, and then all of them to one store, in the order of their names.
This page is written by `scripts/real_files_table.py`, and a test compares it with what happens now.

- **Taken**: its facts stand in the patient's record. Every taken message or document also leaves its bytes as they
  came (Binary), who sent it and when (Provenance), to whom (MessageHeader, for messages) and what it says of the
  Patient. The last column names what came out besides.
- **Held**: it can be read, but breaks a rule. Its sender is answered with a fatal error, and it stays in quarantine
  with its reason; nothing of it is shown.
- **Refused**: it cannot be read as a message or document, or there is nothing to do with it. Its bytes are kept.

Where two files carry one id and different content, the first to come is taken and the other held, so the order
decides which: it is the only thing that the order decides.
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file: state in a word, format, stable code, sentence, and what came out of it."""

    state: str
    kind: str
    code: str = ""
    reason: str = ""
    came: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One file, alone and among all."""

    path: str
    alone: Outcome
    together: Outcome

    @property
    def alike(self) -> tuple[object, ...]:
        """What files must share to stand in one row."""
        return self.path.rpartition("/")[0], self.alone, self.together


def files(folder: Path) -> list[Path]:
    """Return the published files, in the order of their names."""
    return [path for pattern in PATTERNS for path in sorted(folder.glob(pattern))]


async def rows(folder: Path, empty: Open) -> list[Row]:
    """Deliver every file alone to a store of its own, then all to one; return what became of each."""
    found = []
    for path in files(folder):
        async with empty() as run:
            taken = await deliver(run, path)
            found.append(Row(str(path.relative_to(folder)), replace(taken, came=await came_out(run, taken)), taken))
    async with empty() as run:
        return [replace(row, together=await deliver(run, folder / row.path)) for row in found]


async def deliver(run: Runtime, path: Path) -> Outcome:
    """Deliver one file as `overblik load` does."""
    raw = path.read_bytes()  # noqa: ASYNC240 - nothing else runs
    raw = gzip.decompress(raw) if path.suffix == ".gz" else raw
    caller = await caller_from({"kind": "source", "sub": "load", "name": "load"}, run.database, run.directory)
    try:
        state, code, reason = await take_file(run, caller, raw)
    except OverblikError as error:
        state, code, reason = "refused", error.code, error.text
    newest = "select format from inbox where digest = sha256(%(raw)s) order by received_at desc limit 1"
    (row,) = await run.database.fetch(newest, {"raw": raw})
    return Outcome(WORDS[state], row.format or "not recognised", code, reason)


async def came_out(run: Runtime, outcome: Outcome) -> str:
    """Say what stands in the store after one file."""
    query = "select type from resource union all select type from shared_resource"
    found = Counter(row.type for row in await run.database.fetch(query))
    if outcome.kind == "FHIR transaction":
        return "every entry, as a resource of its own"
    if not found:
        return "nothing"
    if "Patient" not in found:
        return "its bytes alone: it is about no patient"
    named = sorted((kind, number) for kind, number in found.items() if kind not in EVERY_MESSAGE)
    return ", ".join(kind if number == 1 else f"{number} {kind}" for kind, number in named) or "the Patient alone"


def page(found: Iterable[Row]) -> str:
    """Return the page."""
    return "\n\n".join([INTRODUCTION.rstrip(), *(_section(*part) for part in _sections(found))]) + "\n"


def _sections(found: Iterable[Row]) -> Iterator[tuple[str, list[Row]]]:
    for folder, part in groupby(found, key=lambda row: row.path.split("/")[0]):
        yield folder, list(part)


def _section(folder: str, found: list[Row]) -> str:
    groups: dict[tuple[object, ...], list[Row]] = {}
    for row in found:
        groups.setdefault(row.alike, []).append(row)
    sizes = Counter(row.path.rpartition("/")[0] for row in found)
    totals = ", ".join(f"{n} {state}" for state, n in sorted(Counter(r.together.state for r in found).items()))
    lines = [
        f"## {folder}: {len(found)} files",
        f"All together: {totals}.",
        "",
        "| File | Kind | Alone | All together | Why | What came out, alone |",
        "|---|---|---|---|---|---|",
    ]
    return "\n".join(lines + [_line(group, sizes) for group in groups.values()])


def _line(group: list[Row], sizes: Counter[str]) -> str:
    row = group[0]
    folder = row.path.rpartition("/")[0]
    names = "<br>".join(f"`{r.path.partition('/')[2]}`" for r in group)
    if len(group) > SHOWN and len(group) == sizes[folder]:
        names = f"all {len(group)} in `{folder}`"
    why = next((f"`{o.code}`: {o.reason}" for o in (row.alone, row.together) if o.code), "")
    cells = (names, row.alone.kind, row.alone.state, row.together.state, why, row.alone.came)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


@asynccontextmanager
async def opened(conninfo: str, data: Path) -> AsyncIterator[Runtime]:
    """Open a runtime on a migrated, empty database."""
    settings = Settings(data=data, mode="test", connections=4)
    async with runtime(settings, conninfo, migrating=False) as run:
        yield run


async def on(server: EmbeddedPostgres, data: Path, published: Path) -> str:
    """Return the page, as this PostgreSQL makes it: one database a file, cloned from a migrated one."""
    database = Database(server.conninfo, size=2)
    await database.open(allow_unsafe=True)
    await migrate(database)
    await database.close()
    numbers = count()

    @asynccontextmanager
    async def empty() -> AsyncIterator[Runtime]:
        name = f"file{next(numbers)}"
        admin = server.conninfo.replace("dbname=overblik", "dbname=postgres")
        async with await psycopg.AsyncConnection.connect(admin, autocommit=True) as connection:
            await connection.execute(f"create database {name} template overblik strategy file_copy")
        async with opened(server.conninfo.replace("dbname=overblik", f"dbname={name}"), data) as run:
            yield run

    return page(await rows(published, empty))


def main(published: Path) -> None:
    """Write the page, on a PostgreSQL of its own that leaves nothing behind."""
    with tempfile.TemporaryDirectory(prefix="overblik-files-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        server = EmbeddedPostgres(folder, {"fsync": "off", "full_page_writes": "off"})
        server.start()
        try:
            PAGE.write_text(asyncio.run(on(server, folder, published)), encoding="utf-8")
        finally:
            server.stop()
    sys.stdout.write(f"{PAGE.relative_to(ROOT)} written\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else SHARED)
