"""A Consent (R4, https://hl7.org/fhir/R4/consent.html) as rules: what it blocks, and whom it lets act for the citizen.

Danish law is the base: a professional with a treatment relation may look unless the citizen has said
no, and nobody acts for a citizen unless the citizen has said so. A root provision `deny` is a block, its nested
`permit`s are exceptions to that block alone. A root `permit` that names nobody holds blocks as its nested
`deny`s; one that names somebody by a power of attorney is a mandate. Whatever else a Consent says is
refused, never passed over: docs/consent.md has the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

from overblik.fhir.compartment import of_patients
from overblik.fhir.dates import LATEST, parse_interval
from overblik.fhir.errors import Issue, Unprocessable
from overblik.fhir.identifiers import CPR, canonical, cpr_birth_date

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from overblik.fhir.strict_json import Json

SCOPE = ("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy")
RESOURCE_TYPES = "http://hl7.org/fhir/resource-types"
RECIPIENT = frozenset({"PRCP", "IRCP"})
"""Roles (v3-ParticipationType) of those a block is about: who receives information."""
PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
ATTORNEY = frozenset({"POWATT", "HPOWATT"})
"""Roles (v3-RoleCode) of those who act for the citizen."""
ROLE_CODE = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"
ACTION = ("http://terminology.hl7.org/CodeSystem/consentaction", "access")
SUB_UNITS = "urn:overblik:extension:sub-units"
"""Extension (valueBoolean) of an actor: whether its sub-units are meant too; without it they are."""
BASE = frozenset({"urn:overblik:policy:sundhedsloven"})
MOST_RULES = 100
_INERT = frozenset({"draft", "proposed", "rejected", "inactive", "entered-in-error"})
_UNREAD = ("securityLabel", "purpose", "code")
_SAY = {
    "securityLabel": "A block goes by who, where, when and what type; labels are not evaluated.",
    "purpose": "A block counts for every purpose; leave the purpose out.",
    "code": "A block goes by type of data (class), not by code; leave code out.",
}


@dataclass(frozen=True, slots=True)
class Rule:
    """A block or an exception; everything given must match. `entry` is `Type/id`."""

    person: str | None = None
    org: str | None = None
    sub_units: bool = True
    entry: str | None = None
    type: str | None = None
    source: str | None = None
    data_from: datetime | None = None
    data_until: datetime | None = None
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    exceptions: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Mandate:
    """Somebody, by CPR, who may act for the citizen; for these types only, or for all (None)."""

    holder: str
    types: tuple[str, ...] | None
    valid_from: datetime | None
    valid_until: datetime | None


@dataclass(frozen=True, slots=True)
class Rules:
    """What a Consent comes to; nothing at all where it is not active."""

    blocks: tuple[Rule, ...] = ()
    mandates: tuple[Mandate, ...] = ()


@dataclass(frozen=True, slots=True)
class Names:
    """How references of a Consent are understood: an organisation's key ("" for none known), a professional's id."""

    org_of: Callable[[Json], str]
    person_of: Callable[[Json], str]


def rules_of(consent: Json, names: Names) -> Rules:
    """Return what a Consent comes to; Unprocessable, with every reason, where it says what is not understood."""
    reader = _Reader(names)
    reader.head(consent)
    found = Rules()
    if consent["status"] == "active":
        found = reader.root(consent.get("provision"))
    elif consent["status"] not in _INERT:
        reader.add("consent-status", "The status is not one of a Consent.", "Consent.status")
    if reader.issues:
        raise Unprocessable.of(reader.issues[:20])
    return found


def is_mandate(consent: Json) -> bool:
    """Say whether a Consent speaks of somebody who is to act for the citizen."""
    actors = consent.get("provision", {}).get("actor", ())
    return any(_role(actor) in ATTORNEY for actor in actors)


def is_privacy(consent: Json) -> bool:
    """Say whether a Consent is of the kind that decides who may look."""
    codings = consent.get("scope", {}).get("coding", ())
    return any((c.get("system"), c.get("code")) == SCOPE for c in codings)


def require_not_privacy(resource: Json) -> None:
    """Refuse a Consent that decides who may look, where a system sends it; of another scope it is data like any."""
    if resource.get("resourceType") == "Consent" and is_privacy(resource):
        text = "Who may look is said by the citizen, or entered by a professional at their word; not by a system."
        raise Unprocessable("consent-whose-word", text, expression="Consent.scope")


def _role(actor: Json) -> str:
    codings = actor.get("role", {}).get("coding", ())
    known = {PARTICIPATION: RECIPIENT, ROLE_CODE: ATTORNEY}
    found = (c["code"] for c in codings if c.get("code") in known.get(c.get("system"), ()))
    return str(next(found, ""))


class _Reader:
    """Reads one Consent and collects why it is refused."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.issues: list[Issue] = []

    def add(self, code: str, text: str, expression: str) -> None:
        self.issues.append(Issue(code, text, "not-supported", expression))

    def head(self, consent: Json) -> None:
        """Check what stands beside the provisions."""
        if not is_privacy(consent):
            self.add("consent-scope", "Blocks and mandates have the scope patient-privacy.", "Consent.scope")
        codes = {c.get("code") for c in consent.get("policyRule", {}).get("coding", ())}
        uris = {p.get("uri") for p in consent.get("policy", ())}
        if codes - {"OPTOUT"} or uris - BASE:
            text = "Danish law is the base policy of every record here: leave policy out, or say OPTOUT."
            self.add("consent-policy", text, "Consent.policyRule" if codes else "Consent.policy")

    def root(self, provision: Json | None) -> Rules:
        """Read the root provision of an active Consent."""
        where = "Consent.provision"
        match (provision or {}).get("type"):
            case "deny":
                return Rules(blocks=self.blocks(provision or {}, where, (None, None)))
            case "permit" if any(_role(actor) in ATTORNEY for actor in (provision or {}).get("actor", ())):
                return Rules(mandates=self.mandates(provision or {}, where))
            case "permit":
                return Rules(blocks=self.held(provision or {}, where))
        text = "Say what is meant: provision.type deny (a block), or permit with a power of attorney (a mandate)."
        self.add("consent-says-nothing", text, where)
        return Rules()

    def held(self, provision: Json, where: str) -> tuple[Rule, ...]:
        """Read a root that permits as the law does, and whose nested provisions are blocks."""
        narrowed = [name for name in provision if name not in {"type", "period", "provision", "id", "extension"}]
        nested = provision.get("provision", ())
        if narrowed or not nested:
            text = "The law permits what it permits; a Consent can say no (deny) or give a power of attorney."
            self.add("consent-permits-nothing", text, f"{where}.{narrowed[0]}" if narrowed else where)
            return ()
        within = self.period(provision.get("period"), f"{where}.period")
        found: list[Rule] = []
        for number, inner in enumerate(nested):
            place = f"{where}.provision[{number}]"
            if inner.get("type") == "deny":
                found += self.blocks(inner, place, within)
            else:
                self.add("consent-permits-nothing", "Only deny can stand in a permit of everything.", place)
            if len(found) > MOST_RULES:
                self.too_large(where)
                return ()
        return tuple(found)

    def blocks(self, provision: Json, where: str, within: tuple[datetime | None, datetime | None]) -> tuple[Rule, ...]:
        """Read a block with its exceptions."""
        exceptions: list[Rule] = []
        for number, inner in enumerate(provision.get("provision", ())):
            place = f"{where}.provision[{number}]"
            if inner.get("type") != "permit" or inner.get("provision"):
                text = (
                    "In a block stand exceptions (permit), and nothing in them: say the rest in a Consent of its own."
                )
                self.add("consent-nested", text, place)
                continue
            exceptions += self.rules(inner, place, (None, None), ())
            if len(exceptions) > MOST_RULES:
                break
        return tuple(self.rules(provision, where, within, tuple(exceptions)))

    def rules(
        self,
        provision: Json,
        where: str,
        within: tuple[datetime | None, datetime | None],
        exceptions: tuple[Rule, ...],
    ) -> list[Rule]:
        """Return a rule for each combination of whom, what type and which data a provision names."""
        for name in _UNREAD:
            if name in provision:
                self.add("consent-not-evaluated", _SAY[name], f"{where}.{name}")
        self.actions(provision, where)
        actors = self.each(provision, "actor", where, self.actor) or [(None, None, True)]
        types = self.each(provision, "class", where, self.type_of) or [None]
        data = self.each(provision, "data", where, self.data) or [(None, None)]
        if len(actors) * len(types) * len(data) > MOST_RULES or len(exceptions) > MOST_RULES:
            self.too_large(where)
            return []
        start, end = self.period(provision.get("period"), f"{where}.period")
        first, last = self.period(provision.get("dataPeriod"), f"{where}.dataPeriod")
        begins = [x for x in (start, within[0]) if x is not None]
        ends = [x for x in (end, within[1]) if x is not None]
        if begins and ends and min(ends) <= max(begins) and not self.issues:
            self.add("consent-period", "The period lies outside that of the provision around it.", f"{where}.period")
        return [
            Rule(
                person, org, sub_units, entry, kind, source, first, last,
                max(begins, default=None), min(ends, default=None), exceptions,
            )
            for (person, org, sub_units), kind, (entry, source) in product(actors, types, data)
        ]  # fmt: skip

    def too_large(self, where: str) -> None:
        """Refuse what would come to more rules than every decision can ask; none is left out of a Consent."""
        self.add("consent-too-large", f"A provision comes to at most {MOST_RULES} rules.", where)

    def each(self, provision: Json, name: str, where: str, read: Callable[[Json, str], Any]) -> list[Any]:
        """Read every repetition of an element."""
        return [read(item, f"{where}.{name}[{number}]") for number, item in enumerate(provision.get(name, ()))]

    def actions(self, provision: Json, where: str) -> None:
        """Refuse a provision about anything but access."""
        stated = [c for action in provision.get("action", ()) for c in action.get("coding", ())]
        if any((c.get("system"), c.get("code")) != ACTION for c in stated):
            text = "Blocks and mandates are about access; say the action access, or leave it out."
            self.add("consent-action", text, f"{where}.action")

    def actor(self, actor: Json, where: str) -> tuple[str | None, str | None, bool]:
        """Return (person, organisation, with sub-units) that an actor names."""
        if _role(actor) not in RECIPIENT:
            self.add("consent-role", "Whom a block is about has the role PRCP or IRCP.", f"{where}.role")
        reference = actor.get("reference", {})
        sub_units = next((e.get("valueBoolean") for e in actor.get("extension", ()) if e.get("url") == SUB_UNITS), True)
        if person := self.names.person_of(reference):
            return person, None, True
        if org := self.names.org_of(reference):
            return None, org, sub_units is not False
        text = "Name an organisation of the directory (SOR, ydernummer, GLN) or a professional by authorisation id."
        self.add("consent-actor-unknown", text, f"{where}.reference")
        return None, None, True

    def type_of(self, coding: Json, where: str) -> str | None:
        """Return the resource type that a class names."""
        code = str(coding.get("code", ""))
        if coding.get("system") == RESOURCE_TYPES and of_patients(code) and code not in {"Patient", "Consent"}:
            return code
        text = "A class is a resource type of patients, of the system http://hl7.org/fhir/resource-types."
        self.add("consent-class", text, where)
        return None

    def data(self, data: Json, where: str) -> tuple[str | None, str | None]:
        """Return (entry, source) that a data element names."""
        reference = data.get("reference", {})
        if data.get("meaning") == "authoredby":
            if source := self.names.org_of(reference):
                return None, source
            text = "Name the organisation whose data are meant, as it stands in the directory."
            self.add("consent-actor-unknown", text, f"{where}.reference")
        elif data.get("meaning") == "instance":
            kind, _, name = str(reference.get("reference", "")).partition("/")
            if of_patients(kind) and kind not in {"Patient", "Consent"} and name:
                return f"{kind}/{name}", None
            self.add("consent-entry-unknown", UNKNOWN_ENTRY, f"{where}.reference")
        else:
            text = "Data are meant as instance (one entry) or authoredby (a source); related entries are not followed."
            self.add("consent-meaning", text, f"{where}.meaning")
        return None, None

    def mandates(self, provision: Json, where: str) -> tuple[Mandate, ...]:
        """Read a power of attorney."""
        for name in ("securityLabel", "purpose", "code", "data", "dataPeriod", "provision"):
            if name in provision:
                text = "A power of attorney is for the whole record or for types of data (class), for a time (period)."
                self.add("consent-mandate", text, f"{where}.{name}")
        self.actions(provision, where)
        types = self.each(provision, "class", where, self.type_of)
        start, end = self.period(provision.get("period"), f"{where}.period")
        holders = self.each(provision, "actor", where, self.holder)
        if len(holders) > MOST_RULES:
            self.too_large(where)
        return tuple(Mandate(holder, tuple(dict.fromkeys(types)) or None, start, end) for holder in holders if holder)

    def holder(self, actor: Json, where: str) -> str:
        """Return the CPR of whom a mandate is given to."""
        stated = actor.get("reference", {}).get("identifier", {})
        system, value = canonical(str(stated.get("system", "")), str(stated.get("value", "")))
        if _role(actor) in ATTORNEY and system == CPR and cpr_birth_date(value):
            return value
        text = "Who acts for a citizen is named by CPR (reference.identifier) in the role POWATT or HPOWATT."
        self.add("consent-mandate", text, where)
        return ""

    def period(self, stated: Json | None, where: str) -> tuple[datetime | None, datetime | None]:
        """Return the bounds of a Period; an end is the end of the day or minute it names."""
        start = parse_interval(str(stated["start"])) if stated and "start" in stated else None
        end = parse_interval(str(stated["end"])) if stated and "end" in stated else None
        first, last = start.start if start else None, end.end if end and end.end < LATEST else None
        if first and last and last <= first:
            self.add("consent-period", "The period ends before it begins.", where)
        return first, last


UNKNOWN_ENTRY = "Name one entry of the record as Type/id; there is none such that you can see."


def entries_of(rules: Iterable[Rule]) -> list[str]:
    """Return the single entries that rules and their exceptions name."""
    flat = [r for rule in rules for r in (rule, *rule.exceptions)]
    return list(dict.fromkeys(r.entry for r in flat if r.entry))
