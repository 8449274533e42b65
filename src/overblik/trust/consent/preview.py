"""What a block would hide, and from whom, before it is set: asked of the decision itself.

The Consent's rows are written, the same condition that decides for a professional is asked of them, and
everything is rolled back. What is listed is what the citizen sees of the own record, so the door logs it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from overblik.fhir.errors import NotFound
from overblik.store.queries import sql, sql_for
from overblik.trust.consent.writing import place_of, rows_of, understand
from overblik.trust.door.access import Disclosed, disclosed

if TYPE_CHECKING:
    from datetime import datetime

    from overblik.fhir.strict_json import Json
    from overblik.trust.callers.identity import Caller
    from overblik.trust.consent.rules import Rule
    from overblik.trust.door.access import Door
    from overblik.trust.door.work import Work
    from overblik.trust.door.writer import Writer
    from overblik.trust.organisations import Directory

MOST_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Hidden:
    """One entry that a block would hide: the resource, whose it is, and its clinical date."""

    resource: Disclosed
    source: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Looker:
    """A unit with a relation to the record that a block is about, and until when it has that relation."""

    org: str
    kind: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Preview:
    """What a block would hide: the newest entries, how many in all, and who may look today and could not.

    `closed` says that nothing would be left to see. `persons` are professionals named by the block.
    """

    hidden: tuple[Hidden, ...]
    total: int
    closed: bool
    lookers: tuple[Looker, ...]
    persons: tuple[str, ...]


class _Asked(Exception):
    """Carries the answer out of the transaction, which is rolled back."""

    def __init__(self, preview: Preview) -> None:
        super().__init__()
        self.preview = preview


async def preview(door: Door, writer: Writer, caller: Caller, resource: Json) -> Preview:
    """Return what a citizen's Consent would hide; nothing of it stays."""
    place = await place_of(door, caller, resource)

    async def work(work: Work) -> Preview:
        fetch = work.unit.transaction.fetch
        params = caller.params(work.now, "preview") | {"pid": place.pid, "rid": place.rid, "pids": list(place.pids)}
        if not await fetch(sql_for("may_consent", caller.kind), params):
            raise NotFound
        understood = await understand(work, caller, resource, params)
        rid = work.unit.keys.number()
        await work.unit.transaction.run_many(
            sql("put_block"), rows_of(understood, place.pid, rid, work.unit.keys.number)
        )
        found: dict[str, Any] = {}
        patients = total = 0
        blocks = understood.rules.blocks
        for person, org in dict.fromkeys((b.person, b.org) for b in blocks):
            starts = [b.valid_from for b in blocks if (b.person, b.org) == (person, org) and b.valid_from]
            asked: dict[str, Any] = {
                "person": person or "",
                "org": org or "",
                "orgs": list(work.directory.path(org or "")),
            }
            asked |= {"consent": rid, "limit": MOST_SHOWN, "now": max([work.now, *starts])}
            rows = await fetch(sql_for("preview", caller.kind), params | asked)
            found |= {f"{row.type}/{row.id}": row for row in rows}
            total = max(total, rows[0].total if rows else 0)
            patients = max(patients, rows[0].patients if rows else 0)
        relations = await fetch(sql("relations_of_record"), {"pids": list(place.pids), "now": work.now})
        lookers = [Looker(r.org, r.kind, r.until) for r in relations if _is_about(blocks, r.org, work.directory)]
        shown = list(found.values())[:MOST_SHOWN]
        hidden = tuple(Hidden(disclosed(row), row.source, row.clinical_from) for row in shown)
        persons = tuple(dict.fromkeys(b.person for b in blocks if b.person))
        raise _Asked(Preview(hidden, max(total, len(found)), patients > 0, tuple(lookers), persons))

    try:
        return await writer.write(caller, "preview", "Consent", work, "consent")
    except _Asked as asked:
        params = caller.params(door.clock.now(), "preview", f"Consent #{asked.preview.total}")
        await door.database.run(sql("log_disclosure"), params | {"pid": place.pid, "rule": "self"})
        return asked.preview


def _is_about(blocks: tuple[Rule, ...], org: str, directory: Directory) -> bool:
    """Say whether a unit is one that a block is about."""
    path = directory.path(org)
    return any(b.person is None and (b.org is None or b.org == org or (b.sub_units and b.org in path)) for b in blocks)
