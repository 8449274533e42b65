"""The search index at scale, in the database alone: `python -m bench.index [--resources 2000000]`.

Fills an embedded server, with its ordinary durable settings, with copies of real Synthea records:
codes and values as they are, keys, dates and everything that belongs to one patient made new. Prints
the rate of the COPY, bytes a resource, and how long searches take, each compiled as the server
compiles it, with the door's condition and the log entry inside. See docs/decisions/008.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import random
import statistics
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg
from tests.folders import open_folder

from bench.machine import machine
from overblik.fhir.index.parameters import number_of
from overblik.fhir.query import parse_query
from overblik.fhir.strict_json import loads
from overblik.store.body import pack
from overblik.store.copy import LOCATOR, RELATION, RESOURCE
from overblik.store.copy_format import encode
from overblik.store.database import Database
from overblik.store.embedded import EmbeddedPostgres
from overblik.store.index_rows import NARROW, indexed
from overblik.store.migrate import migrate
from overblik.store.search import compile_search
from overblik.store.upkeep import flush_pending, learn_common
from overblik.trust.callers.identity import Caller, system_caller

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.queues import Queue

KEY = b"a key of the bench"
NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
SYNTHEA = Path(__file__).parents[2] / "shared/data/synthea"
LEFT_OUT = frozenset({"Claim", "ExplanationOfBenefit"})
"""American bills: no such thing is kept in Denmark."""
BLOCK = 10_000
ORG = "99900016001"
ODD = 0x5851F42D4C957F2D
DICTIONARY = {"digest": "int8", "proof": "int8"}
NURSE = Caller("professional", "TEST1", "Bench", role="sygeplejerske", org=ORG, orgs=(ORG,))
SYSTEM = system_caller("bench")


class Template(NamedTuple):
    """One resource to be copied."""

    row: dict[str, Any]
    narrow: dict[str, list[dict[str, Any]]]


def templates() -> tuple[list[list[Template]], frozenset[int], float]:
    """Return the resources by patient, the digests of one patient only, and microseconds an extraction took."""
    patients: list[list[Template]] = []
    owners: dict[int, set[int]] = {}
    spent, count = 0.0, 0
    for number, file in enumerate(sorted(SYNTHEA.glob("*.json.gz"))):
        found = []
        for entry in loads(gzip.decompress(file.read_bytes()))["entry"]:
            resource = entry["resource"]
            if resource["resourceType"] in LEFT_OUT | {"Organization", "Practitioner"}:
                continue
            began = time.process_time()
            index = indexed(resource, KEY, 1, 1)
            spent += time.process_time() - began
            count += 1
            for word in index["words"]:
                owners.setdefault(word, set()).add(number)
            found.append(Template(_columns(resource, index), index["narrow"]))
        patients.append(found)
    private = frozenset(word for word, owned in owners.items() if len(owned) == 1)
    return patients, private, spent / count * 1e6


def _columns(resource: dict[str, Any], index: dict[str, Any]) -> dict[str, Any]:
    clinical = index["clinical"]
    return {
        "type": resource["resourceType"], "version": 1, "body": pack(resource), "deleted": False, "source": ORG,
        "via": "bench", "origins": [ORG], "labels": [], "others": None,
        "clinical_from": clinical.start if clinical else None, "clinical_to": clinical.end if clinical else None,
        "recorded_at": None, "received_at": NOW, "created_cid": 1, "cid": 1, "fact_key": None, "facets": None,
        "tokens": index["tokens"], "headline": index["headline"], "sort_at": index["sort_at"],
        "sort_to": index["sort_to"], "index_version": index["index_version"],
    }  # fmt: skip


def copies(patients: list[list[Template]], private: frozenset[int], wanted: int) -> Iterator[dict[str, list[Any]]]:
    """Make blocks of rows by table, sorted by record as the loader sorts them."""
    draw = random.Random(7)
    tables: dict[str, list[Any]] = {name: [] for name in ("resource", "locator", "token_dictionary", *NARROW)}
    made, copy, pid = 0, 0, 1
    step = 2**62 // (wanted // len(patients[0]) + len(patients))
    while made < wanted:
        copy += 1
        for templates_of_one in patients:
            pid += draw.randrange(1, max(2, step // 8))
            mix = copy * ODD % 2**62
            words: set[int] = set()
            for template in templates_of_one:
                words.update(_copy(template, pid, draw, mix, copy, private, tables))
            tables["token_dictionary"] += [{"digest": word, "proof": 0} for word in words]
            made += len(templates_of_one)
            if len(tables["resource"]) >= BLOCK or made >= wanted:
                yield tables
                tables = {name: [] for name in tables}
                if made >= wanted:
                    return


def _copy(
    template: Template, pid: int, draw: random.Random, mix: int, copy: int, private: frozenset[int],
    tables: dict[str, list[Any]],
) -> list[int]:  # fmt: skip
    """Add one copy to the tables; return the words that only it has."""
    rid = draw.getrandbits(62)
    shift = timedelta(days=-draw.randrange(1500))
    row = template.row | {"pid": pid, "rid": rid, "id": f"{rid:032x}"}
    own = {token: token ^ mix for token in row["tokens"] if token in private}
    row["tokens"] = [own.get(token, token) for token in row["tokens"]]
    for name in ("sort_at", "sort_to", "clinical_from", "clinical_to"):
        row[name] = row[name] + shift if row[name] is not None and row[name].year > 1900 else row[name]
    tables["resource"].append(row)
    tables["locator"].append(row)
    for table, rows in template.narrow.items():
        for narrow in rows:
            made = narrow | {"pid": pid, "rid": rid}
            if "value" in made:
                made["value"] += f" {copy}"
            tables[table].append(made)
    return list(own.values())


COLUMNS = {"resource": RESOURCE, "locator": LOCATOR, "token_dictionary": DICTIONARY, **NARROW}


def produce(wanted: int, queue: Queue[Any]) -> None:
    """Make the rows in a process of their own, ready to be sent; the last thing is None."""
    patients, private, micros = templates()
    types = Counter(template.row["type"] for found in patients for template in found)
    queue.put((micros, types.most_common(4)))
    for block in copies(patients, private, wanted):
        queue.put(
            (len(block["resource"]), [(name, encode(COLUMNS[name], rows)) for name, rows in block.items() if rows])
        )
    queue.put(None)


def fill(connection: psycopg.Connection[Any], wanted: int) -> tuple[int, float]:
    """Copy every block in a transaction of its own; return the rows and the seconds PostgreSQL took."""
    queue: Queue[Any] = get_context("spawn").Queue(4)
    producer = get_context("spawn").Process(target=produce, args=(wanted, queue), daemon=True)
    producer.start()
    micros, types = queue.get()
    print(f"extraction {micros:.0f} µs a resource; {', '.join(f'{name} {count}' for name, count in types)}")
    rows, seconds = 0, 0.0
    while (made := queue.get()) is not None:
        count, streams = made
        began = time.perf_counter()
        with connection.transaction(), connection.cursor() as cursor:
            for table, stream in streams:
                statement = f"copy {table} ({', '.join(COLUMNS[table])}) from stdin (format binary)"
                with cursor.copy(statement.encode()) as copy:
                    copy.write(stream)
        seconds += time.perf_counter() - began
        rows += count
        print(f"\r{rows:,} resources, {rows / seconds:,.0f}/s in the database", end="", flush=True)
    print()
    producer.join()
    return rows, seconds


SIZES = """select c.relname as name, pg_relation_size(c.oid) as bytes from pg_class c
where c.relkind in ('r', 'i') and c.relnamespace = 'public'::regnamespace
  and (c.relname like 'resource%%' or c.relname like 'index\\_%%' or c.relname like 'token\\_dic%%'
       or c.relname like 'locator%%')
union all select 'resource bodies out of line', pg_relation_size(reltoastrelid) from pg_class where relname = 'resource'
order by 2 desc"""


def sizes(connection: psycopg.Connection[Any], rows: int) -> None:
    """Print where the bytes are."""
    print("\n| kept in | bytes a resource |\n|---|---|")
    found = connection.execute(SIZES).fetchall()
    for name, size in found:
        if size / rows >= 1:
            print(f"| {name} | {size / rows:.0f} |")
    print(f"| all | {sum(size for _, size in found) / rows:.0f} |")


def searches(sample: list[tuple[str, str, str]], names: list[str]) -> list[tuple[str, Caller, Callable[[], str]]]:
    """Return (what, who, a search string drawn anew each time); `sample` is (patient, code, identifier)."""
    draw = random.Random(3)

    def patient() -> str:
        return draw.choice(sample)[0]

    common = "Observation?code=http://loinc.org|8302-2"
    return [
        ("one patient, newest 50", SYSTEM, lambda: f"Observation?patient={patient()}&_count=50"),
        ("the same, by a professional", NURSE, lambda: f"Observation?patient={sample[0][0]}&_count=50"),
        ("one patient, one code", SYSTEM, lambda: f"Observation?patient={patient()}&code=http://loinc.org|8302-2"),
        ("one patient, a range of dates", SYSTEM, lambda: f"Observation?patient={patient()}&date=ge2015&date=lt2019"),
        ("one patient, code and value", SYSTEM,
         lambda: f"Observation?patient={patient()}&code-value-quantity=8302-2$gt170"),
        ("common code, newest 50", SYSTEM, lambda: f"{common}&_count=50"),
        ("common code, one month", SYSTEM, lambda: f"{common}&date=2015-0{draw.randrange(1, 9)}&_count=50"),
        ("common code, by a professional", NURSE, lambda: f"{common}&_count=50"),
        ("rare code", SYSTEM, lambda: f"Procedure?code={draw.choice(sample)[1]}&_count=5"),
        ("identifier", SYSTEM, lambda: f"Patient?identifier={draw.choice(sample)[2]}"),
        ("two tokens, one rare", SYSTEM, lambda: f"Observation?status=final&encounter={draw.choice(sample)[0]}"),
        ("common token, not a headline", SYSTEM, lambda: "Observation?status=final&_count=50"),
        ("name, few", SYSTEM, lambda: f"Patient?name={draw.choice(names)}"),
        ("value above", SYSTEM, lambda: "Observation?value-quantity=gt100000&_count=50"),
        ("newest of a type", SYSTEM, lambda: "Condition?_count=50"),
    ]  # fmt: skip


def measured(
    connection: psycopg.Connection[Any], what: str, caller: Caller, text: Callable[[], str], runs: int
) -> None:
    """Run one kind of search and print its row."""
    took: list[float] = []
    hits, driver = 0, ""
    for number in range(runs + 5):
        kind, _, asked = text().partition("?")
        pairs = [(n, v) for n, _, v in (part.partition("=") for part in asked.split("&"))]
        query = parse_query(kind, pairs)
        began = time.perf_counter()
        compiled = compile_search(query, caller.kind, KEY)
        rows = connection.execute(compiled.text, caller.params(NOW, "search", asked) | compiled.params).fetchall()
        if number >= 5:
            took.append((time.perf_counter() - began) * 1000)
        hits, driver = hits + len(rows), compiled.driver
        if sum(took) > 4000:
            break
    took.sort()
    p50, p95 = statistics.median(took), took[int(len(took) * 0.95)]
    print(f"| {what} | {driver} | {p50:.2f} | {p95:.2f} | {hits / (len(took) + 5):.1f} |", flush=True)


def plan(connection: psycopg.Connection[Any], caller: Caller, text: str) -> str:
    """Return the plan of one search."""
    kind, _, asked = text.partition("?")
    query = parse_query(kind, [(n, v) for n, _, v in (part.partition("=") for part in asked.split("&"))])
    compiled = compile_search(query, caller.kind, KEY)
    params = caller.params(NOW, "search", asked) | compiled.params
    text = "explain (analyze, timing off, costs off, buffers off) " + compiled.text
    rows = connection.execute(text, params, prepare=True)
    return "\n".join(row[0] for row in rows.fetchall())


def churn(connection: psycopg.Connection[Any], conninfo: str) -> None:
    """Print the rate of updates that change a token and of those that change none, and what the pending list costs."""
    rows = connection.execute("select pid, rid from resource tablesample system (0.5) limit 20000").fetchall()
    probe = "select count(*) from resource where tokens @> array[12345::bigint]"
    changes = {
        "no token changed": "update resource set version = version + 1, body = body || ' '::bytea",
        "one token changed": "update resource set version = version + 1, tokens = tokens || %(new)s::bigint",
    }
    for what, statement in changes.items():
        began = time.perf_counter()
        with connection.pipeline():
            for number, (pid, rid) in enumerate(rows):
                where = " where pid = %(pid)s and rid = %(rid)s"
                connection.execute(statement + where, {"pid": pid, "rid": rid, "new": number})
        rate = len(rows) / (time.perf_counter() - began)
        before = _once(connection, probe)
        flushed = time.perf_counter()
        asyncio.run(_upkeep(conninfo))
        flushed = (time.perf_counter() - flushed) * 1000
        after = _once(connection, probe)
        print(f"| {what} | {rate:,.0f} | {before:.2f} | {flushed:.0f} | {after:.2f} |")
    connection.execute("select pg_stat_force_next_flush()")
    hot = connection.execute(
        "select n_tup_upd, n_tup_hot_upd from pg_stat_user_tables where relname = 'resource'"
    ).fetchone()
    print(f"\nupdates (all, in place): {hot}")


async def _prepare(conninfo: str) -> None:
    database = Database(conninfo, size=2)
    await database.open()
    await migrate(database)
    await database.close()


async def _upkeep(conninfo: str) -> None:
    database = Database(conninfo, size=2)
    await database.open()
    await flush_pending(database)
    await learn_common(database)
    await database.close()


def _once(connection: psycopg.Connection[Any], text: str) -> float:
    began = time.perf_counter()
    connection.execute(text.encode())
    return (time.perf_counter() - began) * 1000


def main() -> None:
    """Fill, measure, print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--resources", type=int, default=2_000_000)
    arguments.add_argument("--runs", type=int, default=200)
    arguments.add_argument("--explain", action="store_true", help="print the plan of each search")
    plans = ["force_generic_plan", "auto"]
    arguments.add_argument("--plans", nargs="*", default=plans, help="values of PostgreSQL's plan_cache_mode")
    chosen = arguments.parse_args()
    with open_folder("bench") as folder:
        server = EmbeddedPostgres(folder)
        server.start()
        try:
            _run(server.conninfo, chosen.resources, chosen.runs, explain=chosen.explain, modes=chosen.plans)
        finally:
            server.stop()


def _run(conninfo: str, wanted: int, runs: int, *, explain: bool, modes: list[str]) -> None:
    asyncio.run(_prepare(conninfo))
    print(machine())
    with psycopg.connect(conninfo, autocommit=True, prepare_threshold=0) as connection:
        rows, seconds = fill(connection, wanted)
        _evidence(connection)
        began = time.perf_counter()
        connection.execute("vacuum (analyze) resource")
        for table in (*NARROW, "locator", "relation"):
            connection.execute(f"analyze {table}".encode())
        print(f"vacuum and analyze {time.perf_counter() - began:.0f} s")
        asyncio.run(_upkeep(conninfo))
        print(f"\n{rows:,} resources at {rows / seconds:,.0f}/s")
        sizes(connection, rows)
        sample, names = _sample(connection)
        connection.execute("set synchronous_commit = off")
        for mode in modes:
            connection.execute(f"set plan_cache_mode = {mode}".encode())
            print(f"\n| search, {mode} | driver | p50 ms | p95 ms | rows |\n|---|---|---|---|---|")
            for what, caller, text in searches(sample, names):
                measured(connection, what, caller, text, runs)
        if explain:
            for what, caller, text in searches(sample, names):
                print(f"\n{what}\n{plan(connection, caller, text())}")
        print(
            "\n| update | a second | rare token after it, ms | flush, ms | rare token then, ms |\n|---|---|---|---|---|"
        )
        churn(connection, conninfo)


def _evidence(connection: psycopg.Connection[Any]) -> None:
    """Give one unit a relation to one patient in two hundred."""
    found = connection.execute("select pid, rid from resource where type = 'Patient' order by pid").fetchall()
    shared = {
        "org": ORG, "kind": "gp", "type": "Patient", "source": ORG, "origins": [ORG], "clinical_from": None,
        "clinical_to": None, "valid_from": NOW - timedelta(days=1), "valid_until": NOW + timedelta(days=1),
    }  # fmt: skip
    rows = [shared | {"pid": pid, "rid": rid} for pid, rid in found[::200]]
    with connection.cursor().copy(f"copy relation ({', '.join(RELATION)}) from stdin (format binary)".encode()) as copy:
        copy.write(encode(RELATION, rows))


def _sample(connection: psycopg.Connection[Any]) -> tuple[list[tuple[str, str, str]], list[str]]:
    """Return patients (the first is the unit's), rare codes, identifiers; and names of few."""
    ids = [
        row[0]
        for row in connection.execute(
            "select id from resource where type = 'Patient' order by pid limit 4000"
        ).fetchall()
    ]
    codes = ["80146002", "73761001", "274031008", "232717009"]
    draw = random.Random(5)
    chosen = [ids[0], *draw.sample(ids, min(200, len(ids)))]
    sample = [(one, draw.choice(codes), f"x|{number}") for number, one in enumerate(chosen)]
    drawn = "select value from index_string where param = %s order by random() limit 300"
    names = [row[0] for row in connection.execute(drawn, [number_of("Patient", "family")]).fetchall()]
    return sample, names


if __name__ == "__main__":
    main()
