"""What every section works with: the visible record, indexed once, and who is looking.

Everything here is a pure function of what this viewer may see; nothing merged is stored.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from overblik.fhir.dates import LATEST
from overblik.fhir.index import interval_of
from overblik.fhir.reading import display_of, moment, token_of
from overblik.shown import Shown
from overblik.trust.door.entries import once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from overblik.fhir.strict_json import Json
    from overblik.overview.sections.news import News
    from overblik.trust.callers.identity import Caller
    from overblik.trust.door.access import Record
    from overblik.trust.door.entries import Entry
    from overblik.trust.organisations import Organisation

TYPES = (
    "Patient", "RelatedPerson", "Flag", "AllergyIntolerance", "Condition", "Encounter", "Procedure", "CarePlan",
    "Goal", "Task", "Appointment", "MedicationRequest", "MedicationStatement", "Observation", "DiagnosticReport",
    "Communication", "DocumentReference", "MessageHeader", "Provenance", "Immunization",
)  # fmt: skip
"""The resource types an overview gathers."""


class Source(Shown, frozen=True):
    """Whose word something is."""

    token: str
    name: str
    kind: str = ""


class Origin(Shown, frozen=True):
    """Where an item comes from: its resource, source, three times, and the message as it came."""

    reference: str
    source: Source
    clinical: datetime | None
    recorded: datetime | None
    received: datetime
    raw: str = ""


class Viewer(NamedTuple):
    """What an overview depends on of who looks: which kind of caller, and the unit with those above it."""

    kind: str
    orgs: tuple[str, ...]

    @classmethod
    def of(cls, caller: Caller) -> Viewer:
        """Return what an overview knows of a caller."""
        return cls(caller.kind, tuple(caller.orgs))


@dataclass(slots=True)
class Context:
    """One viewer's look at one record."""

    record: Record
    viewer: Viewer
    now: datetime
    find: Callable[[str], Organisation | None]
    by_type: dict[str, list[Entry]] = field(default_factory=dict)
    by_reference: dict[str, Entry] = field(default_factory=dict)
    raw: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    told: tuple[Record, tuple[News, ...]] | None = None
    """What was new at a look at these entries (sections/news.py)."""

    def __post_init__(self) -> None:
        """Index the record: by type, by reference, which message carried what, what sources are called."""
        entries = sorted(self.record.entries, key=said)
        for entry in entries:
            if entry.deleted:
                continue
            self.by_type.setdefault(entry.type, []).append(entry)
            self.by_reference[entry.reference] = entry
        for provenance in sorted(self.of("Provenance"), key=_happened):
            message = next((w for w in _sources_of(provenance.resource) if w.startswith("Binary/")), "")
            for target in provenance.resource.get("target", ()):
                self.raw[str(target.get("reference", ""))] = message
        for entry in reversed(entries):
            for token, name in _named(entry):
                self.names.setdefault(token, name)

    def of(self, resource_type: str) -> list[Entry]:
        """Return the visible entries of a type that are not entered in error."""
        found = self.by_type.get(resource_type, ())
        return [e for e in found if not _withdrawn(e)]

    def source(self, token: str) -> Source:
        """Return a source by its key, named by the directory, else as the messages name it."""
        known = self.sources.get(token)
        if known is None:
            unit = self.find(token)
            name = unit.name if unit else self.names.get(token) or token.removeprefix("name:").title()
            known = self.sources[token] = Source(token, name, unit.kind if unit else "")
        return known

    def origin(self, entry: Entry, clinical: datetime | None = None) -> Origin:
        """Return where an entry comes from."""
        return Origin(
            reference=entry.reference,
            source=self.source(entry.source),
            clinical=clinical or clinical_time(entry),
            recorded=entry.recorded,
            received=entry.received,
            raw=self.raw.get(entry.reference, ""),
        )

    @property
    def is_professional(self) -> bool:
        """Say whether the viewer sees what is for professionals only."""
        return self.viewer.kind in {"professional", "system"}


@once
def said(entry: Entry) -> tuple[datetime, str, str]:
    """Order entries by when their sources said them, in whatever order they came."""
    return entry.recorded or entry.received, entry.source, entry.reference


def _happened(provenance: Entry) -> tuple[datetime, str, str]:
    """Order messages as their facts are (trust/facts.py): the one that happened last gave what stands now."""
    ids = (e.get("what", {}).get("identifier", {}).get("value", "") for e in provenance.resource.get("entity", ()))
    at = moment(provenance.resource.get("occurredDateTime")) or provenance.received
    return at, str(next(ids, "")), provenance.reference


@once
def _withdrawn(entry: Entry) -> bool:
    return bool(entry.resource.get("status") == "entered-in-error")


def _sources_of(provenance: Json) -> Iterator[str]:
    for entity in provenance.get("entity", ()):
        yield str(entity.get("what", {}).get("reference", ""))


@once
def _named(entry: Entry) -> tuple[tuple[str, str], ...]:
    """Return (token, name) of the organisations an entry names."""
    found = ((token_of(reference), display_of(reference)) for reference in _organisations(entry.resource))
    return tuple(dict.fromkeys((token, name) for token, name in found if token and name))


def _organisations(resource: Any) -> Iterator[Json]:
    """Walk the logical references of a resource, at any depth."""
    if isinstance(resource, dict):
        if "display" in resource and "identifier" in resource:
            yield resource
        for value in resource.values():
            if isinstance(value, (dict, list)):
                yield from _organisations(value)
    elif isinstance(resource, list):
        for item in resource:
            yield from _organisations(item)


_CLINICAL = (
    "effectiveDateTime", "effectivePeriod", "effectiveInstant", "performedDateTime", "performedPeriod", "period",
    "start", "sent", "onsetDateTime", "onsetPeriod", "occurredDateTime", "occurrenceDateTime", "authoredOn", "date",
    "recordedDate", "created", "startDate", "issued",
)  # fmt: skip


@once
def clinical_time(entry: Entry) -> datetime | None:
    """Return when what an entry tells happened, or begins; None where it does not say."""
    for name in _CLINICAL:
        value = entry.resource.get(name)
        if isinstance(value, str) and (found := moment(value)):
            return found
        if isinstance(value, dict) and (span := interval_of("Period", value)):
            return span.start if span.start.year > 1 else span.end
    return None


def end_of(period: Json) -> datetime | None:
    """Return the instant from which a Period is over (for a bare date, the next midnight); None where it is open."""
    span = interval_of("Period", period)
    return span.end if span and span.end < LATEST else None
