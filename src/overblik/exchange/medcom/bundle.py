"""A Bundle of type message, taken apart: header, parties, patient, provenance chain.

References inside a message are resolved by fullUrl or by Type/id within the Bundle only; entry ids
are reused across messages and mean nothing outside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from overblik.exchange.message import Envelope, Statement
from overblik.exchange.parties import Party, party_of
from overblik.fhir.dates import COPENHAGEN, parse_interval
from overblik.fhir.errors import Unprocessable
from overblik.fhir.identifiers import GLN, SOR, Identifier, canonical, sor_of_endpoint
from overblik.fhir.references import parse_reference

if TYPE_CHECKING:
    from datetime import datetime

    from overblik.fhir.strict_json import Json

EVENT_CODES = "http://medcomfhir.dk/ig/terminology/CodeSystem/medcom-messaging-eventCodes"
ACTIVITY_CODES = "http://medcomfhir.dk/ig/terminology/CodeSystem/medcom-messaging-activityCodes"


@dataclass(frozen=True, slots=True)
class Step:
    """One Provenance of the chain: what was done to which message, when, by whom."""

    message: str
    activity: str
    occurred: datetime
    recorded: datetime | None
    earlier: tuple[str, ...]
    resource: Json


class MessageBundle:
    """A parsed message Bundle with its entries by reference."""

    def __init__(self, bundle: Json) -> None:
        self.bundle = bundle
        self.entries: dict[str, Json] = {}
        self.resources: list[Json] = []
        for entry in bundle.get("entry", []):
            resource = entry.get("resource")
            if not isinstance(resource, dict):
                continue
            self.resources.append(resource)
            if "fullUrl" in entry:
                self.entries[entry["fullUrl"]] = resource
            self.entries.setdefault(f"{resource['resourceType']}/{resource.get('id', '')}", resource)

    @property
    def header(self) -> Json:
        """The MessageHeader, which is the first entry of a message."""
        if not self.resources or self.resources[0]["resourceType"] != "MessageHeader":
            text = "A message begins with a MessageHeader."
            raise Unprocessable("message-header-missing", text, expression="Bundle.entry[0].resource")
        return self.resources[0]

    @property
    def event(self) -> str:
        """The message's event code."""
        return str(self.header.get("eventCoding", {}).get("code", ""))

    def resolve(self, reference: Json | None) -> Json:
        """Return the entry a Reference names, {} where it is not in the Bundle."""
        text = str((reference or {}).get("reference", ""))
        if text in self.entries:
            return self.entries[text]
        parsed = parse_reference(text)
        return self.entries.get(f"{parsed.type}/{parsed.id}", {}) if parsed else {}

    def organisation(self, reference: Json | None) -> Party:
        """Return the organisation a Reference names, from the Bundle or by its own identifier."""
        found = self.resolve(reference)
        if found.get("resourceType") == "Organization":
            return party_of(found)
        reference = reference or {}
        identifiers = (reference["identifier"],) if "identifier" in reference else ()
        return Party(str(reference.get("display", "")), identifiers)

    def party_from(self) -> Party:
        """Return the organisation that the header says it comes from; its token is "" where it does not say."""
        party = self.organisation(self.header.get("sender"))
        if not party.identifiers and (sor := sor_of_endpoint(str(self.header.get("source", {}).get("endpoint", "")))):
            party = Party(party.name, ({"system": SOR, "value": sor},))
        return party

    @property
    def sender(self) -> Party:
        """The sending organisation; without one, nothing else is believed."""
        party = self.party_from()
        if not party.token:
            text = "The message has no sender: MessageHeader.sender must name an organisation with its SOR code."
            raise Unprocessable("sender-missing", text, expression="MessageHeader.sender")
        return party

    @property
    def receivers(self) -> tuple[Party, ...]:
        """The receiving organisations, carbon copies included."""
        found = []
        for destination in self.header.get("destination", []):
            party = self.organisation(destination.get("receiver"))
            if not party.identifiers and (sor := sor_of_endpoint(str(destination.get("endpoint", "")))):
                party = Party(party.name, ({"system": SOR, "value": sor},))
            if party.token:
                found.append(party)
        return tuple(found)

    @property
    def patient(self) -> Json:
        """The one Patient; a message about several is held."""
        patients = [r for r in self.resources if r["resourceType"] == "Patient"]
        persons = {tuple(sorted(_identifiers(p))) for p in patients}
        if len(persons) > 1:
            text = "The message is about more than one patient; send one message each."
            raise Unprocessable("several-patients", text, expression="Bundle.entry")
        return patients[0] if patients else {}

    def chain(self) -> list[Step]:
        """Return the Provenance steps, oldest first."""
        steps = [self._step(r) for r in self.resources if r["resourceType"] == "Provenance"]
        return sorted(steps, key=lambda step: (step.occurred, step.message))

    def own_step(self) -> Step:
        """Return the step that is about this message itself."""
        header_id = str(self.header.get("id", ""))
        own = [step for step in self.chain() if step.message == header_id]
        if not own:
            text = "The message has no Provenance of its own: Provenance.target must name its MessageHeader."
            raise Unprocessable("provenance-missing", text, expression="Provenance.target")
        return own[-1]

    def _step(self, resource: Json) -> Step:
        targets = [str(t.get("reference", "")).rsplit("/", 1)[-1] for t in resource.get("target", [])]
        occurred = instant_at(str(resource.get("occurredDateTime", "")) or str(resource.get("recorded", "")))
        earlier = tuple(
            str(e.get("what", {}).get("reference", "")).rsplit("/", 1)[-1]
            for e in resource.get("entity", [])
            if e.get("role") in {"revision", "removal"} and "reference" in e.get("what", {})
        )
        codings = resource.get("activity", {}).get("coding") or [{}]
        recorded = parse_interval(str(resource.get("recorded", "")))
        return Step(
            message=targets[0] if targets else "",
            activity=str(codings[0].get("code", "")),
            occurred=occurred,
            recorded=recorded.start if recorded else None,
            earlier=earlier,
            resource=resource,
        )


def envelope_of(bundle: MessageBundle) -> Envelope:
    """Return what an answer to this message needs of it."""
    header = bundle.header
    destination = (header.get("destination") or [{}])[0]
    chain = [r for r in bundle.resources if r["resourceType"] == "Provenance"]
    named = [bundle.resolve(agent.get("who")) for step in chain for agent in step.get("agent", [])]
    return Envelope(
        header_id=str(header.get("id", "")),
        endpoint=str(header.get("source", {}).get("endpoint", "")),
        destination=str(destination.get("endpoint", "")),
        sender_id=_organisation_id(bundle, header.get("sender")),
        receiver_id=_organisation_id(bundle, destination.get("receiver")),
        provenances=tuple(_local(step, bundle) for step in chain),
        organisations=tuple(r for r in named if r.get("resourceType") == "Organization" and r.get("id")),
    )


def _organisation_id(bundle: MessageBundle, reference: Json | None) -> str:
    found = bundle.resolve(reference)
    return str(found.get("id", "")) if found.get("resourceType") == "Organization" else ""


def _local(step: Json, bundle: MessageBundle) -> Json:
    """Return a Provenance whose agents are named by `Organization/id`, as the answer's own entries are."""
    agents = []
    for agent in step.get("agent", []):
        own = _organisation_id(bundle, agent.get("who"))
        agents.append({**agent, "who": {**agent["who"], "reference": f"Organization/{own}"}} if own else agent)
    return {**step, "agent": agents}


def instant_at(text: str) -> datetime:
    """Return the instant a message's date states; refuse what is no date."""
    interval = parse_interval(text)
    if interval is None:
        raise Unprocessable("date-impossible", "The message has a date that no calendar has.")
    return interval.start


def local(moment: datetime) -> datetime:
    """Return an instant in Danish time."""
    return moment.astimezone(COPENHAGEN)


def _identifiers(patient: Json) -> list[Identifier]:
    return [canonical(str(i.get("system", "")), str(i.get("value", ""))) for i in patient.get("identifier", [])]


_FACETS = {
    "name": ("name",),
    "birth": ("birthDate",),
    "gender": ("gender",),
    "address": ("address",),
    "telecom": ("telecom",),
}


def statement_of(patient: Json, *, deceased: bool = False) -> Statement:
    """Return what a message's Patient states. `deceased`: this kind of message always says whether."""
    elements = {e: patient[e] for names in _FACETS.values() for e in names if patient.get(e)}
    facets: dict[str, tuple[str, ...]] = {
        facet: names for facet, names in _FACETS.items() if any(patient.get(e) for e in names)
    }
    if deceased:
        facets["deceased"] = ("deceasedBoolean", "deceasedDateTime")
        elements |= {e: patient[e] for e in facets["deceased"] if e in patient}
    return Statement(_identifiers(patient), str(patient.get("birthDate", "")), elements, facets)


def gln_of(party: Party) -> str:
    """Return a party's GLN, "" where it has none."""
    return next((str(i["value"]) for i in party.identifiers if i.get("system") == GLN), "")
