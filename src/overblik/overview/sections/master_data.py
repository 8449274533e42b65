"""Master data (stamkort): each value with its origin; registers win for their own fields.

A typed value carries its own author and time. Where sources disagree, both values are shown. A
protected address is shown to the citizen only.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from overblik.fhir.dates import COPENHAGEN
from overblik.fhir.identifiers import CPR, PERSON_SYSTEMS, cpr_birth_date
from overblik.fhir.protection import is_protected
from overblik.fhir.reading import extension, extensions, moment, name_of, parts, phone_of, words_of
from overblik.overview.context import said
from overblik.shown import Shown

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from overblik.fhir.strict_json import Json
    from overblik.overview.context import Context, Origin, Source
    from overblik.trust.door.entries import Entry

ORIGIN = "urn:overblik:extension:origin"
INSURANCE = "urn:overblik:extension:insurance-group"
NOTE = "urn:overblik:extension:note"
REGISTER = "urn:overblik:register"


class Value(Shown, frozen=True):
    """One value of the card: what it is, where it comes from, who typed it and when."""

    field: str
    value: str
    kind: str
    author: str
    time: datetime | None
    source: Source
    detail: str = ""
    phones: tuple[tuple[str, str], ...] = ()
    current: bool = True


class Person(Shown, frozen=True):
    """Who the record is about: for the bar on every page."""

    name: str
    identifier: str
    identifier_kind: str
    birth_date: date | None
    age: int | None
    deceased: bool
    deceased_at: datetime | None
    language: str
    protected: bool


class MasterData(Shown, frozen=True):
    """The card: values in order, and fields where sources disagree."""

    person: Person
    values: tuple[Value, ...]
    disagreements: tuple[tuple[str, tuple[tuple[str, Source, Origin], ...]], ...]


def master_data(ctx: Context) -> MasterData:
    """Return the master-data card of a record."""
    patients = sorted(ctx.of("Patient"), key=said, reverse=True)
    patients.sort(key=lambda e: not _is_register(e))
    values: list[Value] = []
    for entry in patients:
        values += _values(ctx, entry)
    if ctx.is_professional:
        values += _registrations(ctx)
    return MasterData(_person(ctx, patients), tuple(_preferred(values)), _disagreements(ctx, patients))


def _is_register(entry: Entry) -> bool:
    return any(
        parts(o).get("kind") == "register" for a in entry.resource.get("address", ()) for o in extensions(a, ORIGIN)
    )


def _is_protected(entry: Entry) -> bool:
    return is_protected(entry.resource)


def _person(ctx: Context, patients: list[Entry]) -> Person:
    """Return who the record is about; the register's name first."""
    identifier = kind = ""
    for entry in patients:
        for item in entry.resource.get("identifier", ()):
            better = not identifier or (item.get("system") == CPR and kind != CPR)
            if item.get("system") in PERSON_SYSTEMS and better:
                identifier, kind = str(item.get("value", "")), str(item["system"])
    if not identifier:
        named = [i for e in patients for i in e.resource.get("identifier", ())]
        identifier, kind = (str(named[0].get("value", "")), str(named[0].get("system", ""))) if named else ("", "")
    born = cpr_birth_date(identifier) if kind == CPR else _stated_birth(patients)
    dead, dead_at = _deceased(ctx, patients)
    until = (dead_at or ctx.now).astimezone(COPENHAGEN).date()
    age = until.year - born.year - ((until.month, until.day) < (born.month, born.day)) if born else None
    languages = [c for e in patients for c in e.resource.get("communication", ())]
    return Person(
        name=next((n for e in patients if (n := name_of(e.resource.get("name", [])))), ""),
        identifier=identifier,
        identifier_kind="cpr" if kind == CPR else "replacement" if kind in PERSON_SYSTEMS else "other",
        birth_date=born,
        age=age,
        deceased=dead,
        deceased_at=dead_at,
        language=words_of(languages[0].get("language", {})) if languages else "",
        protected=any(map(_is_protected, patients)),
    )


def _stated_birth(patients: list[Entry]) -> date | None:
    for entry in patients:
        text = str(entry.resource.get("birthDate", ""))
        if len(text) == 10 and moment(text):
            return date.fromisoformat(text)
    return None


def _deceased(ctx: Context, patients: list[Entry]) -> tuple[bool, datetime | None]:
    """Say whether a source states that the person has died, and when."""
    for entry in patients:
        if at := moment(entry.resource.get("deceasedDateTime")):
            return True, at
    stays = [e for e in ctx.of("Encounter") if _expired(e.resource)]
    if stays:
        return True, moment(stays[-1].resource.get("period", {}).get("end"))
    return any(e.resource.get("deceasedBoolean") is True for e in patients), None


def _expired(encounter: Json) -> bool:
    disposition = encounter.get("hospitalization", {}).get("dischargeDisposition", {})
    return any(c.get("code") == "exp" for c in disposition.get("coding", ()))


def _values(ctx: Context, entry: Entry) -> list[Value]:
    """Return the values one source states."""
    resource = entry.resource
    found = []
    # Protection is the person's, whichever source says it: no other source's message gives the address away.
    protected = any(map(_is_protected, ctx.of("Patient"))) and ctx.viewer.kind != "citizen"
    for address in resource.get("address", ()):
        if protected:
            found.append(_value(ctx, entry, "address", "", address, detail="protected"))
            continue
        period = address.get("period", {})
        field = "temporary-address" if address.get("use") == "temp" else "address"
        current = _is_current(ctx, period)
        found.append(_value(ctx, entry, field, _address(address), address, detail=_span(period), current=current))
    for point in resource.get("telecom", ()) if not protected else ():
        kind = "mail" if point.get("system") == "email" else "phone"
        found.append(_value(ctx, entry, kind, str(point.get("value", "")), point, detail=str(point.get("use", ""))))
    for language in resource.get("communication", ()):
        found.append(_value(ctx, entry, "language", words_of(language.get("language", {})), language))
    for group in extensions(resource, INSURANCE):
        found.append(_value(ctx, entry, "insurance-group", str(group.get("valueString", "")), group, kind="register"))
    return found + _practitioner(ctx, entry) + _contacts(ctx, entry, protected=protected)


def _practitioner(ctx: Context, entry: Entry) -> list[Value]:
    found = []
    for reference in entry.resource.get("generalPractitioner", ()):
        clinic: Json = next((c for c in entry.resource.get("contained", ()) if c.get("id") == "gp"), {})
        address = (clinic.get("address") or [{}])[0]
        mail = next((str(t["value"]) for t in clinic.get("telecom", ()) if t.get("system") == "email"), "")
        phones = [("", phone_of(clinic.get("telecom", [])))]
        detail = ", ".join(part for part in (_address(address), mail) if part)
        name = str(reference.get("display", ""))
        found.append(_value(ctx, entry, "gp", name, {}, detail=detail, phones=phones, kind="register"))
    return found


def _contacts(ctx: Context, entry: Entry, *, protected: bool) -> list[Value]:
    """Return relatives, guardian and dentist, each with relation, telephones and note.

    Where the person's address is `protected` so are theirs, for they may live together.
    """
    found = []
    for contact in entry.resource.get("contact", ()):
        relationship = (contact.get("relationship") or [{}])[0]
        codes = {c.get("code") for c in relationship.get("coding", ())}
        field = "guardian" if "guardian" in codes else "dentist" if "dentist" in codes else "relative"
        phones = [(str(t.get("use", "")), str(t.get("value", ""))) for t in contact.get("telecom", ())]
        note = str(extension(contact, NOTE).get("valueString", ""))
        address = "" if protected else _address(contact.get("address", {}))
        detail = " · ".join(p for p in (words_of(relationship), address, note) if p)
        name = name_of([contact["name"]]) if "name" in contact else ""
        found.append(_value(ctx, entry, field, name, contact, detail=detail, phones=phones))
    return found


def _value(
    ctx: Context,
    entry: Entry,
    field: str,
    value: str,
    element: Json,
    *,
    detail: str = "",
    phones: list[tuple[str, str]] | None = None,
    current: bool = True,
    kind: str = "",
) -> Value:
    stated: dict[str, Any] = parts(extension(element, ORIGIN))
    author = "self" if stated.get("self") else str(stated.get("author") or "")
    return Value(
        field=field,
        value=value,
        kind=kind or str(stated.get("kind") or "message"),
        author=author,
        time=moment(stated.get("time")) or entry.recorded or entry.received,
        source=ctx.source(entry.source),
        detail=detail,
        phones=tuple((use, number) for use, number in phones or () if number),
        current=current,
    )


def _address(address: Json) -> str:
    town = f"{address.get('postalCode', '')} {address.get('city', '')}".strip()
    return ", ".join(part for part in (*address.get("line", ()), town) if part)


def _span(period: Json) -> str:
    dates = [str(period.get(end, ""))[:10] for end in ("start", "end")]
    return "/".join(dates) if any(dates) else ""


def _is_current(ctx: Context, period: Json) -> bool:
    start, end = moment(period.get("start")), moment(period.get("end"))
    return (start is None or start <= ctx.now) and (end is None or ctx.now < end)


def _registrations(ctx: Context) -> list[Value]:
    """Return the registration marks, for professionals only: yes or no, never the content."""
    found = []
    for entry in ctx.of("Flag"):
        code = next((c for c in entry.resource.get("code", {}).get("coding", ()) if c.get("system") == REGISTER), None)
        if code is not None:
            stated = "yes" if entry.resource.get("status") == "active" else "no"
            found.append(_value(ctx, entry, f"registered-{code.get('code')}", stated, {}, kind="register"))
    return found


_ALWAYS_ONE = frozenset({"address", "gp", "insurance-group", "language"})


def _preferred(values: list[Value]) -> list[Value]:
    """Keep each different value once; where a register states a field, it alone speaks for it."""
    from_register = {v.field for v in values if v.kind == "register"} & _ALWAYS_ONE
    seen: set[tuple[str, str]] = set()
    kept = []
    for value in values:
        key = (value.field, value.value)
        if key in seen or (value.field in from_register and value.kind != "register"):
            continue
        seen.add(key)
        kept.append(value)
    order = (
        "address", "temporary-address", "phone", "mail", "gp", "insurance-group", "language", "relative", "guardian",
        "dentist", "registered-organ-donor", "registered-living-will", "registered-treatment-will",
    )  # fmt: skip
    rank = {field: number for number, field in enumerate(order)}
    return sorted(kept, key=lambda v: (rank.get(v.field, 99), not v.current))


def _disagreements(
    ctx: Context, patients: list[Entry]
) -> tuple[tuple[str, tuple[tuple[str, Source, Origin], ...]], ...]:
    """Return the fields where sources differ, each value with its source; the newest is never chosen."""
    readings: dict[str, Callable[[Entry], str]] = {
        "name": lambda e: name_of(e.resource.get("name", [])),
        "birth-date": lambda e: str(e.resource.get("birthDate", "")),
        "gender": lambda e: str(e.resource.get("gender", "")),
    }
    found = []
    for field, read in readings.items():
        values: dict[str, Entry] = {}
        for entry in patients:
            if stated := read(entry):
                values.setdefault(stated, entry)
        if len({v.casefold() for v in values}) > 1:
            said = tuple((v, ctx.source(e.source), ctx.origin(e, e.recorded)) for v, e in values.items())
            found.append((field, said))
    return tuple(found)
