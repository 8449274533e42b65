"""Populations: few resources of few values, so that searches meet and edges touch."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from overblik.fhir.strict_json import loads
from tests.search.evaluate import CPR, Population
from tests.search.paths import SHARED
from tests.search.values import CLASS, CLINICAL, MEASURES, STATUS

if TYPE_CHECKING:
    from overblik.fhir.strict_json import Json

SYSTEMS = ("http://loinc.org", "urn:x")
CODINGS = [{"system": s, "code": c} for s in SYSTEMS for c in ("a", "b", "A")]
CODINGS += [{"code": "a"}, {"system": "urn:x"}, {"system": "urn:x", "code": "c,d|e$f"}]
CODINGS += [{"system": "urn:x", "code": "a", "display": display} for display in ("Åse", "aase og Bo", "50%_")]
CODINGS += [{"system": CLINICAL, "code": code} for code in ("active", "relapse", "inactive")]
CODINGS += [{"system": CLASS, "code": "ACUTE"}, {"system": STATUS, "code": "corrected"}, {"code": "recurrence"}]
WORDS = ("Åse", "aase", "Sørensen", "Né", "Nel", "Bo  Ib", "a", "Ærø", "AERO", "O'Hara-Ng", "Łukasz", "50%_", "\\x")
DATES = (
    "2026", "2026-11", "2026-11-20", "2026-11-21", "2026-10", "2025-12-31", "1948-12-25", "2024-02-29", "1900", "2100",
)  # fmt: skip
INSTANTS = (
    "2026-11-20T00:00:00+01:00", "2026-11-19T23:00:00Z", "2026-11-20T23:59:59.999+01:00", "2026-11-20T12:00:00-05:00",
    "2026-03-29T01:59:59+01:00", "2026-03-29T03:00:00+02:00", "2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00",
    "2026-11-20T08:00:00.500Z",
)  # fmt: skip
NUMBERS = (
    "5",
    "5.0",
    "5.4",
    "5.40",
    "5.44",
    "5.45",
    "0",
    "-1",
    "100",
    "99.5",
    "100.5",
    "1e2",
    "0.05",
    "72.5",
    "60",
    "37",
    "37.0",
    "98.6",
    "0.005",
    "5000",
    "310.15",
    "1",
    "120",
    "16.0",
    "13.3322",
)
UNITS: tuple[Json, ...] = (
    {},
    {"unit": "kg"},
    {"unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
    {"unit": "kilo", "system": "http://unitsofmeasure.org", "code": "kg"},
    {"unit": "g", "system": "http://unitsofmeasure.org", "code": "g"},
    {"unit": "pH", "system": "http://unitsofmeasure.org", "code": "[pH]"},
    {"unit": "kg", "system": "urn:x", "code": "kg"},
    *({"unit": "x", "system": "http://unitsofmeasure.org", "code": code} for code in MEASURES),
)
URLS = ("http://x/a", "http://x/a/b", "http://x/a/b/c", "http://x/ab", "urn:oid:1.2")
PLACES = (
    (55.6963, 12.5669), (55.7134, 12.5414), (56.1915, 10.17), (-17, 179.99), (-17, -179.99), (-17, 180), (89.95, 0),
    (89.95, 180), (-89.999, 45), (0, 0),
)  # fmt: skip
_numbers = count(1)


@dataclass
class Ids:
    """The names of one population: what the caller writes, what another source writes, and its own persons."""

    number: int

    @property
    def seen(self) -> str:
        """The source that asks."""
        return f"s{self.number}"

    @property
    def unseen(self) -> str:
        """The source whose resources the caller may not see."""
        return f"h{self.number}"

    def person(self, which: int) -> tuple[str, str]:
        """Return CPR and birth date of a person of this population alone."""
        serial = self.number * 4 + which
        born = date(1940, 1, 1) + timedelta(days=serial // 90)
        return f"{born:%d%m%y}{1000 + serial % 90:04}", born.isoformat()


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Give a value, or None for a member to be left out."""
    return st.none() | strategy


def some(strategy: st.SearchStrategy[Any], most: int = 2) -> st.SearchStrategy[Any]:
    """Give a list of one or more, or None."""
    return st.none() | st.lists(strategy, min_size=1, max_size=most)


def members(**parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    """Make an object of the members that are there."""
    made = st.fixed_dictionaries({name.rstrip("_"): part for name, part in parts.items()})
    return made.map(lambda value: {name: item for name, item in value.items() if item is not None})


words = st.sampled_from(WORDS)
codings = st.sampled_from(CODINGS)
concepts = members(coding=some(codings), text=maybe(words)).map(lambda c: c or {"text": "x"})
moments = st.sampled_from(DATES + INSTANTS)
instants = st.sampled_from((*INSTANTS, "2026-11-20", "2026-11-22"))
periods = members(start=maybe(instants), end=maybe(instants)).filter(
    lambda p: p and p.get("start", "") <= p.get("end", "~")
)
numbers = st.sampled_from(NUMBERS).map(lambda text: loads(text.encode()))
quantities = st.builds(
    lambda value, unit, comparator: {"value": value} | unit | ({"comparator": comparator} if comparator else {}),
    numbers, st.sampled_from(UNITS), st.sampled_from(("", "", "", "<", ">=")),
)  # fmt: skip
identifiers = members(
    system=st.sampled_from(SYSTEMS), value=st.sampled_from(("1", "2", "a|b")),
    type=st.none() | st.none() | members(coding=some(codings, 1), text=words),
)  # fmt: skip
logical = st.fixed_dictionaries({"identifier": identifiers})
metas = members(
    tag=some(codings, 1), profile=some(st.sampled_from(URLS), 2), source=maybe(st.sampled_from(URLS))
)  # fmt: skip
names = members(family=maybe(words), given=some(words), text=st.none() | st.none() | words).filter(bool)
addresses = members(
    city=maybe(words), postalCode=maybe(st.sampled_from(("8000", "800"))), use=maybe(st.sampled_from(("home", "work")))
).filter(bool)
telecoms = st.builds(
    lambda system, value: {"system": system, "value": value},
    st.sampled_from(("phone", "email")), st.sampled_from(("+45 1", "a@b.dk")),
)  # fmt: skip


def choice(draw: st.DrawFn, resource: Json, **kinds: st.SearchStrategy[Any]) -> None:
    """Add one of the kinds of a choice element, or none."""
    name = draw(st.none() | st.sampled_from(sorted(kinds)))
    if name is not None:
        resource[name] = draw(kinds[name])


@dataclass
class Maker:
    """Makes the resources of one population, which refer to each other by its ids."""

    draw: st.DrawFn
    ids: Ids
    made: dict[str, list[str]]
    called: dict[tuple[str | None, str | None], object] = field(default_factory=dict)

    def reference(self, *types: str) -> Json | None:
        """Refer to one of what is made so far or a version of it, to nothing here, logically, or not at all."""
        known = [f"{kind}/{identifier}" for kind in types for identifier in self.made.get(kind, [])]
        known += [f"{name}/_history/{version}" for name in known[-1:] for version in (1, 2)]
        known += [f"{types[0]}/{self.ids.seen}.none", f"http://other/fhir/{types[0]}/1"]
        target = self.draw(st.none() | st.sampled_from(known) | logical)
        return {"reference": target} if isinstance(target, str) else target

    def whole(self, kind: str) -> Json | None:
        """Refer to what one of a type is part of: often to the last made, so that some have several levels."""
        known = self.made.get(kind, [])
        often: bool = self.draw(st.booleans())
        return {"reference": f"{kind}/{known[-1]}"} if known and often else self.reference(kind)

    def references(self, *types: str) -> list[Json] | None:
        """Refer to some."""
        found = [r for r in (self.reference(*types) for _ in range(self.draw(st.integers(0, 2)))) if r]
        return found or None

    def names_one(self, name: Json, who: object) -> bool:
        """Say whether an identifier is nobody else's: what an ambiguous one does is not what is searched here."""
        return bool(self.called.setdefault((name.get("system"), name.get("value")), who) == who)

    def Patient(self) -> Json:
        """Make a Patient: of one of two persons, or of nobody who is known elsewhere."""
        parts = members(
            name=some(names), gender=maybe(st.sampled_from(("female", "male"))), active=maybe(st.booleans()),
            telecom=some(telecoms), address=some(addresses), birthDate=maybe(st.sampled_from(DATES)),
            communication=some(st.fixed_dictionaries({"language": concepts}), 1),
        )  # fmt: skip
        resource: Json = self.draw(parts)
        which = self.draw(st.none() | st.integers(0, 1))
        own = [self.draw(identifiers)] if self.draw(st.booleans()) else []
        own = [name for name in own if self.names_one(name, object() if which is None else which)]
        if which is not None:
            cpr, born = self.ids.person(which)
            own.append({"system": CPR, "value": cpr})
            resource["birthDate"] = born
        linked = {"generalPractitioner": self.references("Practitioner", "Organization"),
                  "managingOrganization": self.reference("Organization")}  # fmt: skip
        return resource | {k: v for k, v in linked.items() if v} | ({"identifier": own} if own else {})

    def Observation(self) -> Json:
        """Make an Observation."""
        component = st.builds(
            lambda code, value: {"code": code} | value, concepts,
            st.one_of(quantities.map(lambda q: {"valueQuantity": q}),
                      concepts.map(lambda c: {"valueCodeableConcept": c}), st.just({})),
        )  # fmt: skip
        parts = members(
            status=st.sampled_from(("final", "amended", "corrected")), code=concepts, category=some(concepts, 1),
            component=some(component), identifier=some(identifiers), dataAbsentReason=maybe(concepts),
        )  # fmt: skip
        resource: Json = self.draw(parts)
        choice(self.draw, resource, effectiveDateTime=moments, effectivePeriod=periods)
        choice(self.draw, resource, valueQuantity=quantities, valueCodeableConcept=concepts, valueString=words,
               valueDateTime=moments, valuePeriod=periods)  # fmt: skip
        linked = {
            "performer": self.references("Practitioner", "Organization", "Patient"),
            "encounter": self.reference("Encounter"),
            "hasMember": self.references("Observation"),
            "focus": self.references("Condition", "Observation", "Encounter"),
        }
        return resource | {k: v for k, v in linked.items() if v}

    def Condition(self) -> Json:
        """Make a Condition."""
        resource: Json = self.draw(members(
            code=maybe(concepts), category=some(concepts, 1), recordedDate=maybe(moments), identifier=some(identifiers),
        ))  # fmt: skip
        choice(self.draw, resource, onsetDateTime=moments, onsetPeriod=periods, onsetString=words)
        linked = {"asserter": self.reference("Practitioner", "Patient"), "encounter": self.reference("Encounter"),
                  "evidence": [{"detail": d} for d in [self.references("Observation", "Condition")] if d]}  # fmt: skip
        return resource | {k: v for k, v in linked.items() if v}

    def Encounter(self) -> Json:
        """Make an Encounter."""
        status = st.sampled_from(("planned", "finished"))
        parts = members(class_=codings, status=status, period=maybe(periods), identifier=some(identifiers))
        resource: Json = self.draw(parts)
        linked = {
            "serviceProvider": self.reference("Organization"),
            "participant": [{"individual": r} for r in self.references("Practitioner") or ()],
            "diagnosis": [{"condition": r} for r in self.references("Condition") or ()],
            "reasonReference": self.references("Condition", "Observation"),
            "partOf": self.whole("Encounter"),
            "location": [{"location": r} for r in self.references("Location") or ()],
        }
        return resource | {k: v for k, v in linked.items() if v}

    def RiskAssessment(self) -> Json:
        """Make a RiskAssessment."""
        resource: Json = self.draw(members(
            status=st.sampled_from(("final", "preliminary")),
            prediction=some(members(probabilityDecimal=numbers)),
        ))  # fmt: skip
        choice(self.draw, resource, occurrenceDateTime=moments, occurrencePeriod=periods)
        condition = self.reference("Condition")
        return resource | ({"condition": condition} if condition else {})

    def Organization(self) -> Json:
        """Make an Organization."""
        resource: Json = self.draw(members(
            name=words, alias=some(words), active=maybe(st.booleans()), type=some(concepts, 1),
            identifier=some(identifiers), address=some(addresses, 1),
        ))  # fmt: skip
        above = self.whole("Organization")
        return resource | ({"partOf": above} if above else {})

    def Location(self) -> Json:
        """Make a Location."""
        place = st.sampled_from(PLACES).map(lambda at: {"latitude": at[0], "longitude": at[1]})
        resource: Json = self.draw(members(
            status=st.sampled_from(("active", "inactive")), name=maybe(words), position=maybe(place),
            identifier=some(identifiers),
        ))  # fmt: skip
        linked = {"managingOrganization": self.reference("Organization"), "partOf": self.whole("Location")}
        return resource | {k: v for k, v in linked.items() if v}

    def Practitioner(self) -> Json:
        """Make a Practitioner."""
        resource: Json = self.draw(members(
            name=some(names, 1), gender=maybe(st.sampled_from(("female", "male"))), identifier=some(identifiers),
        ))  # fmt: skip
        return resource or {"active": True}

    def make(self, kind: str, name: str) -> Json:
        """Make one resource, of one of the patients where its type belongs to any."""
        resource: Json = {"resourceType": kind, "id": name, **getattr(self, kind)()}
        if kind not in {"Patient", *SHARED}:
            own = [p for p in self.made["Patient"] if p[0] == name[0]]  # a source writes of patients that it sent
            resource["subject"] = {"reference": f"Patient/{self.draw(st.sampled_from(own))}"}
        meta = self.draw(metas)
        self.made.setdefault(kind, []).append(name)
        return resource | ({"meta": meta} if meta else {})


SHARED_FIRST = ("Organization", "Practitioner", "Organization", "Location", "Location", "Location")
OF_PATIENTS = ("Observation", "Condition", "Encounter", "RiskAssessment")


@st.composite
def populations(draw: st.DrawFn) -> tuple[Ids, Population]:
    """Make some shared resources, some patients of both sources, and what both wrote of them."""
    ids = Ids(next(_numbers))
    maker = Maker(draw, ids, {})
    made: list[Json] = []
    hidden: set[str] = set()

    def add(kind: str, unseen: bool) -> None:
        name = f"{ids.unseen if unseen else ids.seen}.{len(made)}"
        made.append(maker.make(kind, name))
        hidden.update([name] if unseen else [])

    for kind in SHARED_FIRST:
        add(kind, False)
    for unseen in [True, False, False, draw(st.booleans())]:
        add("Patient", unseen)
    for kind, dice in draw(
        st.lists(st.tuples(st.sampled_from(OF_PATIENTS), st.integers(0, 5)), min_size=4, max_size=10)
    ):
        add(kind, dice == 0)
    return ids, Population(made, hidden)
