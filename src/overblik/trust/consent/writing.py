"""Consents in: stored in the citizen's record, and compiled into its rules in the same transaction.

A citizen writes for the own record. A professional with a treatment relation enters what a citizen said,
names whose word it is (`verification`), and stands in the Consent as who entered it. Nobody but the
citizen reads a Consent of this kind: that there is a block is not told to those it may concern.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from overblik.fhir.errors import Forbidden, Malformed, NotFound, PreconditionFailed, Unprocessable
from overblik.fhir.identifiers import AUTHORISATION, CPR, PERSON_SYSTEMS, authorisation_id, canonical
from overblik.fhir.references import parse_reference
from overblik.store.body import unpack
from overblik.store.queries import sql, sql_for
from overblik.store.unit import Staged
from overblik.trust.callers.identity import require
from overblik.trust.consent.rules import UNKNOWN_ENTRY, Names, Rules, entries_of, is_mandate, rules_of
from overblik.trust.door.access import NOWHERE, Place
from overblik.trust.door.work import Stored

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from overblik.fhir.strict_json import Json
    from overblik.trust.callers.identity import Caller
    from overblik.trust.consent.rules import Rule
    from overblik.trust.door.access import Door
    from overblik.trust.door.work import Work
    from overblik.trust.door.writer import Writer

VIA = "overblik.consent"
"""Under which name Consents are kept; no source can have it, because of the dot."""
ENTERED_BY = "urn:overblik:extension:entered-by"
"""Extension (valueReference) of a Consent that a professional entered: who, set by the server."""
FOR_CITIZEN = "citizen"
"""The label of what is for the citizen only."""


@dataclass(frozen=True, slots=True)
class Understood:
    """A Consent with what it comes to in one record; `rids` are the rows of single entries."""

    resource: Json
    rules: Rules
    rids: Mapping[str, int]


async def create(door: Door, writer: Writer, caller: Caller, resource: Json, *, once: bool = False) -> Stored:
    """Store a new Consent with its rules; NotFound where the record is not the caller's to speak for.

    With `once` nothing is stored where the same is said already, as by a form that is sent twice.
    """
    return await _write(door, writer, caller, resource, once=once)


async def update(
    door: Door, writer: Writer, caller: Caller, resource_id: str, resource: Json, if_match: int | None
) -> Stored:
    """Replace a Consent, its rules with it; one that is not active any more has none left."""
    if resource.get("id") != resource_id:
        text = "The resource's type and id must be those of the address."
        raise Unprocessable("id-mismatch", text, expression="Consent.id")
    return await _write(door, writer, caller, resource, resource_id, if_match)


async def end(door: Door, writer: Writer, caller: Caller, place: Place, resource_id: str) -> Stored:
    """Make a Consent of a record inactive, at its present version."""
    rows = await door.database.fetch(sql("load_consent"), _named(place, resource_id))
    if not rows:
        raise NotFound
    current = unpack("Consent", resource_id, rows[0].version, rows[0].received_at, rows[0].body)
    return await _write(door, writer, caller, {**current, "status": "inactive"}, resource_id, rows[0].version)


async def _write(
    door: Door,
    writer: Writer,
    caller: Caller,
    resource: Json,
    resource_id: str = "",
    if_match: int | None = None,
    *,
    once: bool = False,
) -> Stored:
    require(caller, "consent", "Consent", letters="u" if resource_id else "c")
    place = await place_of(door, caller, resource)
    action = ("revoke" if resource["status"] != "active" else "grant") if is_mandate(resource) else (
        "unblock" if resource["status"] != "active" else "block")  # fmt: skip

    async def work(work: Work) -> Stored:
        params = caller.params(work.now, action) | {"pid": place.pid, "rid": place.rid, "pids": list(place.pids)}
        permitted = await work.unit.transaction.fetch(sql_for("may_consent", caller.kind), params)
        if not permitted:
            raise NotFound
        work.entry["rule"] = permitted[0].rule
        understood = await understand(work, caller, resource, params)
        await work.unit.lock(place.pid)
        if once and (same := await _same(work, place, understood.resource)) is not None:
            return same
        staged = await _staged(work, caller, place, understood.resource, resource_id, if_match)
        work.unit.stage(staged)
        await _put_rules(work, staged, understood)
        return Stored("Consent", staged.id, staged.version, work.now, staged.resource, staged.version == 1)

    try:
        return await writer.write(caller, action, "Consent", work, "consent")
    except NotFound:
        params = caller.params(door.clock.now(), action, "Consent")
        await door.database.run(sql("log_refusal"), params | {"pid": place.pid, "rule": "none"})
        raise


async def _same(work: Work, place: Place, resource: Json) -> Stored | None:
    """Return the Consent of the record that says the same and is not ended; asked under the record's lock."""
    rows = await work.unit.transaction.fetch(sql("load_consents"), _named(place, ""))
    for row in rows:
        found = unpack("Consent", row.id, row.version, row.received_at, row.body)
        if {name: value for name, value in found.items() if name not in {"id", "meta"}} == resource:
            return Stored("Consent", row.id, row.version, row.received_at, found)
    return None


async def place_of(door: Door, caller: Caller, resource: Json) -> Place:
    """Return the record that a Consent speaks of; NOWHERE for one that does not exist."""
    patient = resource.get("patient", {})
    target = parse_reference(str(patient.get("reference", "")))
    if target is not None and target.type == "Patient" and not target.base:
        return await door.locate("Patient", target.id)
    stated = patient.get("identifier", {})
    system, value = canonical(str(stated.get("system", "")), str(stated.get("value", "")))
    if system not in PERSON_SYSTEMS:
        text = "Say whose record it is: patient.reference Patient/id, or patient.identifier with a CPR."
        raise Unprocessable("consent-patient", text, expression="Consent.patient")
    return await place_of_person(door, caller, system, value)


async def place_of_person(door: Door, caller: Caller, system: str, value: str) -> Place:
    """Return the record of a person; NOWHERE where there is none, and for a citizen who names another."""
    if caller.kind == "citizen" and (system, value) != (CPR, caller.id):
        return NOWHERE
    params = {"system": system, "value": value, "source": ""}
    rows = await door.database.look_up(sql("record_of_person"), params)
    return Place(rows[0].pid, 0, tuple(rows[0].pids)) if rows else NOWHERE


async def understand(work: Work, caller: Caller, resource: Json, params: Mapping[str, Any]) -> Understood:
    """Return a Consent with its rules, the single entries in them found; Unprocessable where one is not."""
    names = await _names(work, resource)
    rules = rules_of(resource, names)
    if caller.kind == "professional":
        _require_word(resource, rules)
    entries = entries_of(rules.blocks)
    split = [entry.partition("/") for entry in entries]
    found: dict[str, int] = {}
    if entries:
        wanted = {"types": [kind for kind, _, _ in split], "ids": [name for _, _, name in split]}
        rows = await work.unit.transaction.fetch(sql_for("visible_entries", caller.kind), {**params, **wanted})
        found = {f"{row.type}/{row.id}": row.rid for row in rows}
    if missing := [entry for entry in entries if entry not in found]:
        raise Unprocessable("consent-entry-unknown", UNKNOWN_ENTRY, expression=_where(resource, missing[0]))
    return Understood(resource, rules, found)


def _require_word(resource: Json, rules: Rules) -> None:
    """Refuse what a professional enters without saying whose word it is, or what only the citizen can give."""
    if rules.mandates:
        text = "A power of attorney is given by the citizen; it is not entered by a professional."
        raise Forbidden("consent-mandate-own", text)
    stated = resource.get("verification", ())
    if not any(v.get("verified") is True and v.get("verifiedWith") for v in stated):
        text = "Say whose word it is: verification with verified true, verifiedWith (who said it) and verificationDate."
        raise Unprocessable("consent-word-missing", text, expression="Consent.verification")


def _where(resource: Json, entry: str) -> str:
    """Return the place of an entry that a Consent names."""
    for number, data in enumerate(resource.get("provision", {}).get("data", ())):
        if data.get("reference", {}).get("reference") == entry:
            return f"Consent.provision.data[{number}].reference"
    return "Consent.provision"


async def _names(work: Work, resource: Json) -> Names:
    """Return how references are understood; Practitioners named by address are read at once."""
    stated = [a.get("reference", {}) for p in _provisions(resource.get("provision", {})) for a in p.get("actor", ())]
    targets = [parse_reference(str(reference.get("reference", ""))) for reference in stated]
    wanted = [t for t in targets if t is not None and t.type in {"Practitioner", "PractitionerRole"} and not t.base]
    known: dict[str, str] = {}
    if wanted:
        params = {"types": [t.type for t in wanted], "ids": [t.id for t in wanted]}
        for row in await work.unit.transaction.fetch(sql("read_shared_many"), params):
            body = unpack(row.type, row.id, row.version, row.received_at, row.body)
            known[f"{row.type}/{row.id}"] = _authorisation(body.get("identifier", ()))

    def person_of(reference: Json) -> str:
        return known.get(str(reference.get("reference", ""))) or _authorisation([reference.get("identifier", {})])

    def org_of(reference: Json) -> str:
        unit = work.directory.find(work.directory.token(reference))
        return unit.sor if unit else ""

    return Names(org_of, person_of)


def _provisions(provision: Json) -> Iterable[Json]:
    yield provision
    for inner in provision.get("provision", ()):
        yield from _provisions(inner)


def _authorisation(identifiers: Iterable[Json]) -> str:
    return next(
        (authorisation_id(str(i.get("value", ""))) for i in identifiers if i.get("system") == AUTHORISATION), ""
    )


async def _staged(
    work: Work, caller: Caller, place: Place, resource: Json, resource_id: str, if_match: int | None
) -> Staged:
    """Return the version to be written: the first, or the one after that which stands."""
    rid, version = work.unit.keys.number(), 1
    if resource_id:
        rows = await work.unit.transaction.fetch(sql("load_consent"), _named(place, resource_id))
        if not rows or not _may_change(caller, rows[0]):
            raise NotFound
        stated = str(resource.get("meta", {}).get("versionId", ""))
        replaced = if_match if if_match is not None else int(stated) if stated.isascii() and stated.isdigit() else None
        if replaced is None:
            text = "Say which version this replaces: If-Match, or meta.versionId as you read it."
            raise Malformed("version-needed", text, expression="http.If-Match", kind="required")
        if replaced != rows[0].version:
            raise PreconditionFailed("version-changed", "The version has changed; read it again.")
        rid, version, pid = rows[0].rid, rows[0].version + 1, rows[0].pid
    else:
        pid = place.pid
    source = caller.org or "citizen"
    kept = [e for e in resource.get("extension", ()) if e.get("url") != ENTERED_BY]
    if caller.kind == "professional":
        kept.append({"url": ENTERED_BY, "valueReference": _who(caller)})
    whole = {**resource, "id": resource_id or work.unit.keys.id()} | ({"extension": kept} if kept else {})
    if not kept:
        whole.pop("extension", None)
    return Staged(
        pid=pid, rid=rid, type="Consent", id=whole["id"], version=version, resource=whole, source=source, via=VIA,
        origins=[source], labels=[FOR_CITIZEN],
    )  # fmt: skip


def _who(caller: Caller) -> Json:
    display = ", ".join(part for part in (caller.name, caller.role, caller.org_name) if part)
    identifier = {"system": AUTHORISATION, "value": caller.id}
    return {"type": "Practitioner", "identifier": identifier, "display": display}


def _may_change(caller: Caller, row: Any) -> bool:
    """Say whether the caller may change a Consent: the citizen any, a professional what they entered there."""
    if caller.kind == "citizen":
        return True
    stored = unpack("Consent", "", row.version, row.received_at, row.body)
    entered = (e.get("valueReference", {}) for e in stored.get("extension", ()) if e.get("url") == ENTERED_BY)
    return row.source == caller.org and any(_authorisation([e.get("identifier", {})]) == caller.id for e in entered)


async def _put_rules(work: Work, staged: Staged, understood: Understood) -> None:
    """Write the rules of a Consent in place of those it had."""
    many = work.unit.transaction.run_many
    keys = [{"pid": staged.pid, "rid": staged.rid}]
    await many(sql("clear_blocks"), keys)
    await many(sql("clear_mandates"), keys)
    rows = rows_of(understood, staged.pid, staged.rid, work.unit.keys.number)
    await many(sql("put_block"), rows)
    mandates = [
        {"pid": staged.pid, "mid": work.unit.keys.number(), "kind": "attorney", "holder": m.holder,
         "types": list(m.types) if m.types else None, "valid_from": m.valid_from, "valid_until": m.valid_until,
         "rid": staged.rid}
        for m in understood.rules.mandates
    ]  # fmt: skip
    await many(sql("put_mandate"), mandates)


def rows_of(understood: Understood, pid: int, rid: int, number: Any) -> list[dict[str, Any]]:
    """Return the rows of a Consent's blocks and their exceptions."""
    rows: list[dict[str, Any]] = []

    def add(rule: Rule, parent: int | None) -> None:
        did = number()
        rows.append({
            "pid": pid, "did": did, "person": rule.person, "org": rule.org, "sub_units": rule.sub_units,
            "rid": understood.rids[rule.entry] if rule.entry else None, "type": rule.type, "source": rule.source,
            "data_from": rule.data_from, "data_until": rule.data_until, "valid_from": rule.valid_from,
            "valid_until": rule.valid_until, "parent": parent, "excepting": bool(rule.exceptions), "consent": rid,
        })  # fmt: skip
        for exception in rule.exceptions:
            add(exception, did)

    for block in understood.rules.blocks:
        add(block, None)
    return rows


def _named(place: Place, resource_id: str) -> dict[str, Any]:
    return {"pids": list(place.pids), "id": resource_id, "via": VIA}
