"""PostgreSQL goes the way that was chosen: by which index the rows of a search are found."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.rows import namedtuple_row

from overblik.fhir.query import Has, Links, Tokens, parse_query
from overblik.store.body import pack
from overblik.store.copy import LOCATOR, RESOURCE
from overblik.store.copy_format import encode
from overblik.store.index_rows import NARROW, indexed, narrow_rows
from overblik.store.queries import sql, sql_for
from overblik.store.search import compile_count, compile_search
from overblik.store.search.common import COMMON, Common
from overblik.store.search.conditions import digests
from overblik.store.search.scope import Scope
from overblik.trust.callers.identity import Caller, system_caller
from tests.conftest import NOW, Clones, Copies

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = b"a key of tests"
PATIENTS, EACH = 50, 150
NURSE = Caller("professional", "TEST1", "Test", org="99900016001", orgs=("99900016001",))
CLINIC = Caller("professional", "TEST2", "Test", org="99900016002", orgs=("99900016002",))
"""A unit with a relation to three patients."""
PERSON = Caller("citizen", "2512489996", "Test")


def observation(number: int) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "identifier": [{"system": "s", "value": str(number)}],
        "code": {"coding": [{"system": "s", "code": "common" if number % 3 else f"rare{number % 100}"}]},
        "performer": [{"reference": f"Practitioner/{number % 500}"}],
        "effectiveDateTime": (NOW - timedelta(hours=number)).isoformat(),
        "valueQuantity": {"value": number},
    }


def patient(number: int) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": str(number), "name": [{"family": f"Navn{number}"}], "birthDate": "1950"}


def row(resource: dict[str, Any], pid: int, rid: int) -> dict[str, Any]:
    common = {"version": 1, "deleted": False, "source": "x", "via": "x", "origins": ["x"], "labels": [], "cid": 1}
    absent = dict.fromkeys(("others", "clinical_from", "clinical_to", "recorded_at", "fact_key", "facets"))
    place = {"pid": pid, "rid": rid, "type": resource["resourceType"], "id": str(resource.get("id", f"o{rid}"))}
    received = {"received_at": datetime(2026, 11, 1, tzinfo=UTC), "created_cid": 1, "body": pack(resource)}
    return common | absent | place | received | indexed(resource, KEY, pid, rid)


def relation(pid: int, org: str) -> tuple[Any, ...]:
    until = NOW + timedelta(days=30)
    return pid, org, "contact", pid, "Encounter", "x", ["x"], None, None, NOW - timedelta(days=1), until, None


@pytest.fixture(scope="module")
def filled(copies: Copies) -> Iterator[psycopg.Connection[Any]]:
    """Give a database with some thousand resources, and its statistics."""
    made = Clones(copies)
    rows = [row(patient(n), n, n) for n in range(1, PATIENTS + 1)]
    rows += [row(observation(n), n % PATIENTS + 1, 1000 + n) for n in range(PATIENTS * EACH)]
    tables = {"resource": (RESOURCE, rows), "locator": (LOCATOR, rows)}
    tables |= {table: (columns, narrow_rows(rows, table)) for table, columns in NARROW.items()}
    relations = [relation(pid, org) for pid in range(1, PATIENTS + 1) for org in (NURSE.org, *map(str, range(40)))]
    with psycopg.connect(made.make(), autocommit=True) as connection:
        for table, (columns, content) in tables.items():
            with connection.cursor().copy(f"copy {table} ({', '.join(columns)}) from stdin (format binary)") as copy:
                copy.write(encode(columns, content))
        put = f"insert into relation values ({', '.join(['%s'] * len(relations[0]))})"
        connection.cursor().executemany(put, relations)
        connection.execute(
            "insert into relation (pid, org, kind, rid, type, source, origins, valid_from, valid_until)"
            " select pid, %s, 'gp', pid, 'Patient', 'x', '{x}', 'yesterday', 'infinity'"
            " from generate_series(7, 9) pid, generate_series(1, 5)",
            [CLINIC.org],
        )
        connection.execute("vacuum (analyze)")
        connection.execute("set plan_cache_mode = force_generic_plan")  # as store/wire.py has it
        connection.execute("set random_page_cost = 1.1")
        yield connection
    made.drop()


WAYS = [
    ("Observation?patient=7&_count=5", "Index Scan Backward using resource_patient on resource r"),
    ("Observation?patient=7&_sort=date&_count=5", "Index Scan using resource_patient on resource r"),
    ("Observation?patient=7&code=common&date=ge2026", "resource_patient"),
    ("Observation?code=common&_count=5", "Index Scan Backward using resource_headline on resource r"),
    ("Observation?code=rare9&status=final", "resource_headline"),
    ("Observation?code=common&date=2026-11-20", "resource_headline"),
    ("Observation?identifier=s|77", "Bitmap Index Scan on resource_tokens"),
    ("Observation?_filter=identifier eq s|77 or performer re Practitioner/9", "Bitmap Index Scan on resource_tokens"),
    ("Observation?_filter=code eq common and not(identifier eq s|77)&_count=5",
     "Index Scan Backward using resource_headline on resource r"),
    ("Observation?performer=Practitioner/9&code=common", "Bitmap Index Scan on resource_tokens"),
    ("Observation?status=final&_count=5", "Index Scan Backward using resource_newest on resource r"),
    ("Observation?date=ge2026-11", "resource_newest"),
    ("Observation?date=ge2026-11-01&date=lt2026-11-08", "resource_wide"),
    ("Observation?code=common&date=2026-11", "resource_headline_wide"),
    ("Observation?code-value-quantity=common$gt7490", "Index Scan Backward using resource_headline on resource r"),
    ("Observation?code-value-quantity=common$gt7490,common$lt5", "Index Scan Backward using resource_headline"),
    ("Observation?code-value-quantity=common$gt7490,rare9$lt5", "resource_newest"),
    ("Observation?code-value-concept=common$seen", "Bitmap Index Scan on resource_tokens"),
    ("Observation?component-code-value-quantity=common$gt7490", "Bitmap Index Scan on resource_tokens"),
    ("Observation?patient.family=navn7", "index_string_value"),
    ("Observation?patient.birthdate=1950-05-03", "resource_newest"),
    ("Patient?family=navn7&given=navn", "Index Only Scan using index_string_value"),
    ("Patient?name=navn7", "index_string"),
    ("Patient?name=navn7&_sort=-birthdate,family", "index_string"),
    ("Observation?patient=7&_sort=value-quantity,-date&_count=5", "resource_patient"),
    ("Observation?value-quantity=gt7490", "index_number_hi"),
    ("Observation?value-quantity=lt3", "index_number_lo"),
    ("Patient?_has:Observation:patient:code=rare9", "Bitmap Index Scan on resource_tokens"),
    ("Patient?_has:Observation:patient:value-quantity=gt7490", "index_number_hi"),
    ("Patient?_has:Observation:subject:_has:Observation:derived-from:identifier=s|77", "resource_tokens"),
    ("Observation?derived-from:Observation.identifier=s|77", "Bitmap Index Scan on resource_tokens"),
    ("Observation?performer:Practitioner.name=a", "Bitmap Index Scan on resource_tokens"),
    ("Observation?patient.name=navn7", "index_string"),
    ("Observation?patient=7&performer:Practitioner.name=a", "resource_patient"),
]  # fmt: skip


@pytest.mark.parametrize("caller", [system_caller("test"), NURSE], ids=["system", "professional"])
@pytest.mark.parametrize(("search", "index"), WAYS, ids=[way[0] for way in WAYS])
def test_rows_are_found_by_the_index_that_was_chosen(
    filled: psycopg.Connection[Any], search: str, index: str, caller: Caller
) -> None:
    lines = plan(filled, search, caller)
    assert any(index in line for line in lines), [line.strip() for line in lines if "Scan" in line]
    assert not any("Seq Scan on resource" in line for line in lines), [line.strip() for line in lines if "Scan" in line]


def test_a_citizen_is_led_to_their_own_record_only(filled: psycopg.Connection[Any]) -> None:
    lines = plan(filled, "Observation?code=common", PERSON)
    assert any("resource_patient" in line or "resource_pkey" in line for line in lines)
    assert not any("resource_headline" in line or "Seq Scan on resource" in line for line in lines)


def test_a_page_of_a_record_reads_a_page_of_rows(filled: psycopg.Connection[Any]) -> None:
    lines = plan(filled, "Observation?patient=7&_count=5", system_caller("test"))
    (scan,) = (line for line in lines if "resource_patient on resource r " in line)
    assert "rows=6.00 loops=1" in scan


@pytest.mark.parametrize("search", ["Observation?date=2026-11-20", "Observation?code=common&date=2026-11-20"])
def test_a_day_is_read_from_where_it_begins(filled: psycopg.Connection[Any], search: str) -> None:
    """What must lie in a range cannot begin before it: the weeks before it were read too."""
    lines = plan(filled, search + "&_count=50", system_caller("test"))
    assert not any("Rows Removed by Filter" in line for line in lines), lines


def test_a_pass_over_a_type_reads_a_batch_and_no_more(filled: psycopg.Connection[Any]) -> None:
    at = {"type": "Observation", "sort_at": "2026-10-01 00:00+00", "rid": 0, "limit": 100}
    lines = explained(filled, sql("read_pass_places"), at)
    assert any("Index Scan using resource_newest on resource r (actual rows=100.00 loops=1)" in line for line in lines)
    keys = filled.execute("select pid, rid from resource where type = 'Observation' limit 100").fetchall()
    pids, rids = (list(column) for column in zip(*keys, strict=True))
    lines = explained(filled, sql("read_pass_rows"), {"pids": pids, "rids": rids})
    assert any("Index Scan using resource_pkey on resource r" in line for line in lines), lines
    assert not any("Seq Scan on resource" in line for line in lines), lines


@pytest.mark.parametrize("name", ["gather", "read_version", "everything"])
def test_a_decision_reads_the_relations_of_one_record_only(filled: psycopg.Connection[Any], name: str) -> None:
    given: dict[str, Any] = {"pid": 7, "rid": 7, "pids": [7], "types": ["Patient"], "version": 1, "limit": 5}
    given |= dict.fromkeys(("after", "after_patients", "since", "start", "end", "old")) | {"count": 5, "viewer": ""}
    params = NURSE.params(NOW, "read", "") | given
    lines = explained(filled, sql_for(name, NURSE.kind), params)
    removed = [int(line.rpartition(":")[2]) for line in lines if "Rows Removed by Filter" in line]
    assert max(removed, default=0) < PATIENTS / 2, lines


def test_looks_of_professionals_are_found_among_any_number_of_others(filled: psycopg.Connection[Any]) -> None:
    params = PERSON.params(NOW, "read log", "") | {"pid": 7, "rid": 7, "pids": [7], "limit": 5, "professionals": True}
    with filled.transaction(force_rollback=True):
        filled.execute(
            "insert into access_log (pid, lid, salt, at, request, channel, action, outcome, rule, actor_kind, actor,"
            " actor_name, actor_role, org, org_name, purpose)"
            " select 7, gen_random_uuid(), '', now() - n * interval '1 s',"
            " gen_random_uuid(), '', '', 'permit', '', case n % 1000 when 0 then 'professional' else 'citizen' end,"
            " '', '', '', '', '', '' from generate_series(1, 5000) n"
        )
        lines = explained(filled, sql_for("read_log", PERSON.kind), params)
    assert any("Index Scan Backward using access_log_professional" in line for line in lines), lines
    removed = [int(line.rpartition(":")[2]) for line in lines if "Rows Removed by Filter" in line]
    assert max(removed, default=0) < 1000, lines


@pytest.mark.parametrize("search", ["Observation?status=final&_count=5", "Patient", "Observation?date=ge2026"])
def test_the_smaller_side_leads_a_professional(
    filled: psycopg.Connection[Any], search: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few relations: their records are looked into, and nobody else's rows touched. Many: everybody's are walked."""
    lines = plan(filled, search, CLINIC)
    assert any("resource_patient on resource r" in line and "loops=3" in line for line in lines)
    for line in lines:
        assert "resource_newest" not in line or "never executed" in line
    monkeypatch.setattr(COMMON, "few", 2)
    many = plan(filled, search, CLINIC)
    assert all("never executed" in line for line in many if "resource_patient on resource r" in line)
    assert not any("Seq Scan on resource" in line for line in lines + many)


def test_a_common_code_is_looked_for_from_either_side_and_a_rare_one_is_not(
    filled: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    scope = Scope("Observation", KEY, "professional")
    (common,) = parse_query("Observation", [("code", "common")]).criteria
    assert isinstance(common, Tokens)
    monkeypatch.setattr(COMMON, "_counts", dict.fromkeys(digests(common, scope), 1))
    assert any("side" in line for line in plan(filled, "Observation?code=common", CLINIC))
    assert not any("side" in line for line in plan(filled, "Observation?code=rare9", CLINIC))


def test_a_query_that_is_kept_is_led_anew_when_more_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that started on an empty store would otherwise search as if nothing had been written since."""
    query = parse_query("Observation", [("performer", "Practitioner/9")])
    (criterion,) = query.criteria
    assert isinstance(criterion, Links)
    (digest,) = digests(criterion, Scope("Observation", KEY, "system"))
    monkeypatch.setattr("overblik.store.search.drivers.COMMON", known := Common())
    monkeypatch.setattr("overblik.store.search.compile.COMMON", known)
    first = compile_search(query, "system", KEY)
    assert (first.driver, compile_search(query, "system", KEY)) == ("tokens", first)
    known.learn({digest: 1000}, rows=1000, records=10)
    assert compile_search(query, "system", KEY).driver == "newest"


def test_what_many_have_is_looked_for_in_each_record_and_what_few_have_leads(
    filled: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (criterion,) = parse_query("Patient", [("_has:Observation:patient:code", "common")]).criteria
    assert isinstance(criterion, Has)
    assert isinstance(criterion.criterion, Tokens)
    (token,) = digests(criterion.criterion, Scope("Observation", KEY, "system"))
    for rows, leads in ((PATIENTS * EACH, False), (10, True)):
        monkeypatch.setattr(COMMON, "_counts", {token: rows})
        monkeypatch.setattr(COMMON, "_bound", 1000.0)
        lines = plan(filled, "Patient?_has:Observation:patient:code=common&_count=3", system_caller("test"))
        assert any(" on resource y" in line for line in lines) == leads, lines
        assert any("resource_newest" in line for line in lines) != leads


@pytest.mark.parametrize("search", [way[0] for way in WAYS])
def test_either_side_finds_the_same(
    filled: psycopg.Connection[Any], search: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {few: rows(filled, search, CLINIC, few, monkeypatch) for few in (64, 3, 2)}
    assert found[64] == found[3] == found[2]
    pids = {row[0] for row in found[64][0]}
    assert pids <= {7, 8, 9}


@pytest.mark.parametrize("search", ["Patient?name=navn", "Patient?name=navn4", "Patient?name=navn1", "Patient?name=x"])
def test_a_name_of_many_is_found_among_the_newest_page_by_page(
    filled: psycopg.Connection[Any], search: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everybody has the first, of the newest sixteen ten have the second and none the third."""
    collected = pages(filled, search, monkeypatch, few=64)
    assert pages(filled, search, monkeypatch, few=1) == collected
    assert len(collected) == {"navn": 50, "navn4": 11, "navn1": 11, "x": 0}[search.partition("=")[2]]


def test_what_is_found_among_the_newest_is_not_collected(
    filled: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def newest(search: str, few: int) -> bool:
        monkeypatch.setattr(COMMON, "few", few)
        lines = plan(filled, search, system_caller("test"))
        walked = [line for line in lines if "resource_newest" in line and "never executed" not in line]
        collected = [line for line in lines if "resource_pkey" in line and "never executed" not in line]
        assert bool(walked) != bool(collected), lines
        return bool(walked)

    assert newest("Patient?name=navn&_count=5", 1)
    assert not newest("Patient?name=navn&_count=5", 64)
    assert not newest("Patient?name=navn7&_count=5", 1)
    assert not newest("Patient?name=navn&_count=5&_sort=family", 1)


def pages(
    connection: psycopg.Connection[Any], search: str, monkeypatch: pytest.MonkeyPatch, *, few: int
) -> list[tuple[Any, ...]]:
    """Return the keys of all that a search gives, four a page."""
    monkeypatch.setattr(COMMON, "few", few)
    kind, _, asked = search.partition("?")
    name, _, value = asked.partition("=")
    query = parse_query(kind, [(name, value), ("_count", "4")])
    caller, after = system_caller("test"), ""
    found: list[tuple[Any, ...]] = []
    while True:
        compiled = compile_search(query, caller.kind, KEY, after)
        with connection.transaction(force_rollback=True):
            params = caller.params(NOW, "search", asked) | compiled.params
            page: list[Any] = connection.cursor(row_factory=namedtuple_row).execute(compiled.text, params).fetchall()
        found += [(row.pid, row.rid, row.id) for row in page[:4]]
        if len(page) < 5:
            return found
        after = page[3].place


def rows(
    connection: psycopg.Connection[Any], search: str, caller: Caller, few: int, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[Any], list[Any]]:
    """Return the keys of the rows that a search gives, and its count."""
    monkeypatch.setattr(COMMON, "few", few)
    kind, _, asked = search.partition("?")
    query = parse_query(kind, [(name, value) for name, _, value in (pair.partition("=") for pair in asked.split("&"))])
    compiled, counted = compile_search(query, caller.kind, KEY), compile_count(query, caller.kind, KEY, 10_000)
    shared = caller.params(NOW, "search", asked)
    with connection.transaction(force_rollback=True):
        found = connection.execute(compiled.text, shared | compiled.params).fetchall()
        total = connection.execute(counted.text, shared | counted.params).fetchall()
    return [row[:1] + row[3:6] for row in found], total


def plan(connection: psycopg.Connection[Any], search: str, caller: Caller) -> list[str]:
    """Return the lines of the plan that a prepared search runs by."""
    kind, _, asked = search.partition("?")
    pairs = [(name, value) for name, _, value in (pair.partition("=") for pair in asked.split("&") if pair)]
    query = parse_query(kind, pairs)
    compiled = compile_search(query, caller.kind, KEY)
    return explained(connection, compiled.text, caller.params(NOW, "search", asked) | compiled.params)


def explained(connection: psycopg.Connection[Any], statement: str, params: dict[str, Any]) -> list[str]:
    text = "explain (analyze, costs off, timing off, buffers off) " + statement
    with connection.transaction(force_rollback=True):
        return [line for (line,) in connection.execute(text, params, prepare=True).fetchall()]
