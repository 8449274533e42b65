"""Allergies, problems, contacts and results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from overblik.fhir.identifiers import ICPC2, SKS
from overblik.fhir.reading import code_of, display_of, episodes, extension, moment, token_of, words_of
from overblik.overview.context import clinical_time
from overblik.overview.merge import alike, merge
from overblik.shown import Shown
from overblik.trust.door.entries import once

if TYPE_CHECKING:
    from datetime import datetime

    from overblik.fhir.strict_json import Json
    from overblik.overview.context import Context, Origin
    from overblik.overview.merge import Merged
    from overblik.trust.door.entries import Entry

LEAVE = (
    "http://medcomfhir.dk/ig/hospitalnotification/StructureDefinition/medcom-hospitalnotifiation-leave-period-extension"
)
NO_KNOWN_ALLERGY = frozenset({"716186003", "409137002"})


class Allergy(Shown, frozen=True):
    """A reaction, a refuted one, or a source's statement that none are known; never merged."""

    id: str
    substance: str
    reaction: str
    status: str
    none_known: bool
    origin: Origin


def allergies(ctx: Context) -> list[Allergy]:
    """Return the allergies, positive beside refuted. Empty means *not stated*, never *none*."""
    items = []
    for entry in ctx.of("AllergyIntolerance"):
        resource = entry.resource
        reactions = [words_of(m) for r in resource.get("reaction", ()) for m in r.get("manifestation", ())]
        verification = code_of(resource.get("verificationStatus", {}))
        status = (
            verification if verification in {"refuted", "unconfirmed"} else code_of(resource.get("clinicalStatus", {}))
        )
        items.append(
            Allergy(
                id=entry.reference,
                substance=words_of(resource.get("code", {})),
                reaction=", ".join(r for r in reactions if r),
                status=status or "active",
                none_known=code_of(resource.get("code", {})) in NO_KNOWN_ALLERGY,
                origin=ctx.origin(entry),
            )
        )
    return sorted(items, key=lambda a: (a.none_known, a.substance.casefold(), a.status == "refuted", a.id))


class Problem(Shown, frozen=True):
    """A diagnosis. `alike` are others with the same code that are not certainly the same."""

    id: str
    name: str
    code: str
    system: str
    status: str
    verification: str
    onset: datetime | None
    origins: tuple[Origin, ...]
    rule: str
    alike: tuple[str, ...] = ()


_SYSTEM_NAMES = {SKS: "SKS", ICPC2: "ICPC-2", "http://snomed.info/sct": "SNOMED CT"}


def problems(ctx: Context) -> list[Problem]:
    """Return the problems, active first; merged by code, laterality, verification and episode."""
    merged = merge(ctx.of("Condition"), _problem_key, "code, laterality, verification, episode")
    same_code = alike(merged, lambda e: _code(e.resource.get("code", {})))
    items = [_problem(ctx, m, same_code.get(m.first.reference, ())) for m in merged]
    return sorted(items, key=lambda p: (p.status not in {"active", "recurrence", ""}, p.name.casefold(), p.id))


def _code(concept: Json) -> tuple[str, str] | None:
    for coding in concept.get("coding", ()):
        if coding.get("code"):
            return str(coding.get("system", "")), str(coding["code"])
    return None


@once
def _problem_key(entry: Entry) -> tuple[Any, ...] | None:
    resource = entry.resource
    code = _code(resource.get("code", {}))
    named = episodes(resource)
    if code is None or not named:
        return None
    sides = tuple(sorted(code_of(site) or words_of(site) for site in resource.get("bodySite", ())))
    return code, sides, code_of(resource.get("verificationStatus", {})), tuple(sorted(named))


def _problem(ctx: Context, merged: Merged, others: tuple[str, ...]) -> Problem:
    resource = merged.newest.resource
    code = _code(resource.get("code", {})) or ("", "")
    return Problem(
        id=merged.first.reference,
        name=words_of(resource.get("code", {})),
        code=code[1],
        system=_SYSTEM_NAMES.get(code[0], code[0]),
        status=code_of(resource.get("clinicalStatus", {})),
        verification=code_of(resource.get("verificationStatus", {})),
        onset=moment(resource.get("onsetDateTime")) or moment(resource.get("recordedDate")),
        origins=tuple(ctx.origin(e) for e in merged.members),
        rule=merged.rule,
        alike=others,
    )


class Contact(Shown, frozen=True):
    """A stay or visit."""

    id: str
    unit: str
    kind: str
    status: str
    start: datetime | None
    end: datetime | None
    leave: bool
    deceased: bool
    reason: str
    origins: tuple[Origin, ...]
    rule: str


def contacts(ctx: Context) -> list[Contact]:
    """Return stays and visits, the last first; merged by episode, organisation and period."""
    merged = merge(ctx.of("Encounter"), _contact_key, "episode, organisation, period")
    items = [_contact(ctx, m) for m in merged]
    return sorted(items, key=lambda c: (c.start.timestamp() if c.start else 0, c.id), reverse=True)


@once
def _contact_key(entry: Entry) -> tuple[Any, ...] | None:
    resource = entry.resource
    named, period = episodes(resource), resource.get("period", {})
    token = token_of(resource.get("serviceProvider"))
    if not named or not token or "start" not in period:
        return None
    return tuple(sorted(named)), token, moment(period.get("start")), moment(period.get("end"))


def _contact(ctx: Context, merged: Merged) -> Contact:
    entry = merged.newest
    resource = entry.resource
    disposition = resource.get("hospitalization", {}).get("dischargeDisposition", {})
    leave = extension(resource, LEAVE).get("valuePeriod", {})
    reasons = [words_of(c) for c in resource.get("reasonCode", ())] + [words_of(c) for c in resource.get("type", ())]
    return Contact(
        id=merged.first.reference,
        unit=display_of(resource.get("serviceProvider")) or ctx.source(entry.source).name,
        kind=str(resource.get("class", {}).get("code", "")),
        status=str(resource.get("status", "")),
        start=moment(resource.get("period", {}).get("start")),
        end=moment(resource.get("period", {}).get("end")),
        leave=bool(leave) and "end" not in leave,
        deceased=code_of(disposition) == "exp",
        reason=next((r for r in reasons if r), ""),
        origins=tuple(ctx.origin(e) for e in merged.members),
        rule=merged.rule,
    )


class Reading(Shown, frozen=True):
    """One measured value, with its digits as they came."""

    id: str
    at: datetime | None
    value: str
    flag: str
    corrected: bool
    origin: Origin


class Result(Shown, frozen=True):
    """One kind of measurement in one unit: the latest reading and those before it, never mixed."""

    name: str
    code: str
    unit: str
    range: str
    readings: tuple[Reading, ...]


def results(ctx: Context) -> list[Result]:
    """Return the measurements by code and unit, each newest first; merged by sample, code, unit, value."""
    merged = merge(ctx.of("Observation"), _result_key, "sample, code, unit, value")
    groups: dict[tuple[str, str, str], list[tuple[_Measured, Entry]]] = {}
    for item in merged:
        newest = item.newest
        measured = _measured(newest)
        groups.setdefault(measured.what, []).append((measured, newest))
    found = [_result(ctx, readings) for readings in groups.values()]
    return sorted(found, key=lambda r: (-(r.readings[0].at.timestamp() if r.readings[0].at else 0), r.name))


@once
def _result_key(entry: Entry) -> tuple[Any, ...] | None:
    resource = entry.resource
    sample = resource.get("specimen", {}).get("identifier", {}).get("value")
    code = _code(resource.get("code", {}))
    return (sample, code, unit_of(resource), value_of(resource)) if sample and code else None


def unit_of(observation: Json) -> str:
    """Return the unit of a measured value, "" where it has none."""
    quantity = observation.get("valueQuantity", {})
    return str(quantity.get("unit") or quantity.get("code") or "")


def value_of(observation: Json) -> str:
    """Return a value in words, its digits as they came."""
    quantity = observation.get("valueQuantity", {})
    if "value" in quantity:
        return f"{quantity.get('comparator', '')}{quantity['value']}"
    for name in ("valueString", "valueInteger", "valueBoolean", "valueDateTime"):
        if name in observation:
            return str(observation[name])
    if "valueCodeableConcept" in observation:
        return words_of(observation["valueCodeableConcept"])
    inner = [
        f"{words_of(c.get('code', {}))}: {value_of(c)} {unit_of(c)}".strip() for c in observation.get("component", ())
    ]
    return "; ".join(inner)


def _result(ctx: Context, found: list[tuple[_Measured, Entry]]) -> Result:
    if len(found) > 1:
        found.sort(key=_time, reverse=True)
    last = found[0][0]
    readings = [
        Reading(entry.reference, m.at, m.value, m.flag, m.corrected, ctx.origin(entry, m.at)) for m, entry in found
    ]
    return Result(last.name, last.what[1], last.what[2], last.range, tuple(readings))


def _time(found: tuple[_Measured, Entry]) -> float:
    return found[0].time


class _Measured(NamedTuple):
    """What an Observation says; readings of one measurement, `what` in which unit, stand together."""

    what: tuple[str, str, str]
    time: float
    at: datetime | None
    value: str
    flag: str
    corrected: bool
    name: str
    range: str


@once
def _measured(entry: Entry) -> _Measured:
    resource = entry.resource
    code = resource.get("code", {})
    system, value = _code(code) or ("", words_of(code))
    at = clinical_time(entry)
    flags = [code_of(i) for i in resource.get("interpretation", ())]
    return _Measured(
        what=(system, value, unit_of(resource)),
        time=(at or entry.received).timestamp(),
        at=at,
        value=value_of(resource),
        flag=next((f for f in flags if f), ""),
        corrected=resource.get("status") in {"corrected", "amended"},
        name=words_of(code),
        range=_range(resource),
    )


def _range(resource: Json) -> str:
    for item in resource.get("referenceRange", ()):
        if item.get("text"):
            return str(item["text"])
        low, high = item.get("low", {}).get("value"), item.get("high", {}).get("value")
        if low is not None and high is not None:
            return f"{low}–{high}"
        if low is not None or high is not None:
            return f"≥ {low}" if low is not None else f"≤ {high}"
    return ""
