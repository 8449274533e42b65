"""A search answered by reading every resource, one after the other."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tests.search import values
from tests.search.paths import COMPOSITES, HEADLINE, PARAMS, SHARED, Param, found, walk
from tests.search.values import bare, split

if TYPE_CHECKING:
    from collections.abc import Callable

    from overblik.fhir.strict_json import Json

NEVER = datetime(1, 1, 1, tzinfo=UTC)
MATCH: dict[str, Callable[[str, Any], bool]] = {
    "token": values.token,
    "string": values.string,
    "date": values.date,
    "number": values.number,
    "quantity": values.quantity,
    "uri": values.uri,
    "special": values.near,
}

MODIFIED: dict[tuple[str, str], Callable[[str, Any], bool]] = {
    ("token", "text"): values.text,
    ("token", "in"): values.member,
    ("token", "below"): values.subsumed,
    ("token", "above"): values.subsuming,
    ("token", "of-type"): values.of_type,
    ("string", "exact"): values.exact,
    ("string", "contains"): values.contains,
    ("uri", "below"): values.below,
    ("uri", "above"): values.above,
}


@dataclass
class Population:
    """What was written, and what of it the caller may see; `persons` has the record each Patient is of."""

    resources: list[Json]
    hidden: set[str] = field(default_factory=set)
    updated: str = ""

    def visible(self, resource_type: str) -> list[Json]:
        """Return the resources of a type that the caller may see."""
        return [r for r in self.resources if r["resourceType"] == resource_type and r["id"] not in self.hidden]

    def record(self, resource: Json) -> str:
        """Return whose record a resource is in: "" for nobody's.

        A CPR is one person everywhere; without one, what a source calls somebody by is one person there.
        """
        if resource["resourceType"] in SHARED:
            return ""
        identifier = str(resource["id"])
        if resource["resourceType"] != "Patient":
            identifier = resource["subject"]["reference"].removeprefix("Patient/")
        patient = next(r for r in self.resources if r["resourceType"] == "Patient" and r["id"] == identifier)
        named = [i for i in patient.get("identifier", []) if i.get("value")]
        persons = [i["value"] for i in named if i.get("system") == CPR]
        source = identifier.partition(".")[0]
        own = [f"{source}|{i.get('system', '')}|{i['value']}" for i in named]
        return str((persons or own or [identifier])[0])


CPR = "urn:oid:1.2.208.176.1.2"
EVERYWHERE = ("_id", "_lastUpdated", "_has")


class Filter(str):
    """The text of a `_filter`, with what it means."""

    __slots__ = ("meets",)
    meets: Callable[[Population, Json], bool]


def answer(population: Population, resource_type: str, pairs: list[tuple[str, str]]) -> list[str]:
    """Return the ids of what a search finds, in its order where it asks for none."""
    criteria = [(name, value) for name, value in pairs if name != "_sort"]
    every = [r for r in population.visible(resource_type) if all(holds(population, r, n, v) for n, v in criteria)]
    if resource_type in SHARED:
        return sorted(r["id"] for r in every)
    return [r["id"] for r in sorted(every, key=sort_key, reverse=True)]


def sort_values(  # noqa: PLR0911 - one line a kind of parameter
    population: Population, resource: Json, name: str
) -> list[Any]:
    """Return what a resource is ordered by where `_sort` names a parameter."""
    kind = resource["resourceType"]
    if name == "_id":
        return [resource["id"]]
    if name == "_lastUpdated":
        return [population.updated]
    if name == HEADLINE.get(kind):
        return [sort_key(resource)]
    param = PARAMS[kind][name]
    stored = found(resource, param)
    match param.kind:
        case "token":
            return [word for one in stored for word in words_of(one)]
        case "string":
            return [text[:60] for one in stored for text in map(values.folded, values.texts(one)) if text]
        case "date":
            return [covered[0] for one in stored if (covered := values.period(one))]
        case "quantity":
            with_value = [q for q in stored if "value" in q]
            return [-math.inf if "<" in q.get("comparator", "") else Fraction(str(q["value"])) for q in with_value]
        case "number":
            return [Fraction(str(one)) for one in stored]
        case "reference":
            return [one["reference"] for one in stored if "reference" in one]
    return stored


def words_of(stored: Any) -> list[str]:
    """Return the codes of a token, or the text of a concept that has none."""
    found = [code for _, code in values.codings(stored) if code]
    return found or ([stored["text"]] if isinstance(stored, dict) and "text" in stored else [])


def in_order(population: Population, resources: list[Json], sort: str) -> bool:
    """Say whether resources stand in the order of `_sort`; what has no value, or none known, is less than any."""
    rows = []
    for resource in resources:
        row = []
        for key in sort.split(","):
            least = min if not key.startswith("-") else max
            stored = sort_values(population, resource, key.removeprefix("-"))
            best = least(stored) if stored else -math.inf  # what has no least number stands with what has none
            row.append((0, 0) if best == -math.inf else (1, best))
        rows.append(row)
    for one, other in pairwise(rows):
        for key, a, b in zip(sort.split(","), one, other, strict=True):
            if a != b:
                if (a > b) != key.startswith("-"):
                    return False
                break
    return True


def sort_key(resource: Json) -> datetime:
    """Return the date a resource is ordered by."""
    kind = resource["resourceType"]
    if kind == "Condition":
        dates = [resource[k] for k in ("onsetDateTime", "onsetPeriod", "recordedDate") if k in resource]
    else:
        dates = found(resource, PARAMS[kind][HEADLINE[kind]])
    covered = [period[0] for date in dates if (period := values.period(date))]
    return min(covered, default=NEVER)


def holds(  # noqa: PLR0911 - one line a kind of parameter
    population: Population, resource: Json, name: str, value: str
) -> bool:
    """Say whether one `name=value` holds of a resource: any of its values will do."""
    kind = resource["resourceType"]
    if isinstance(value, Filter):
        return value.meets(population, resource)
    if name.startswith("_has:"):
        return has(population, resource, name, value)
    if "." in name:
        return chained(population, resource, name, value)
    name, _, modifier = name.partition(":")
    asked = split(value, ",")
    if name == "_id":
        return resource["id"] in map(bare, asked)
    if name == "_lastUpdated":
        return any(values.date(one, population.updated) for one in asked)
    if name in COMPOSITES.get(kind, {}):
        return any(composite(resource, name, one) for one in asked)
    param = PARAMS[kind][name]
    if modifier == "missing":
        return (not found(resource, param)) == (value == "true")
    if param.kind == "reference":
        return any(refers(population, resource, name, param, modifier, one) for one in asked)
    if modifier in {"not", "not-in"}:
        return not holds(population, resource, name + modifier.removeprefix("not").replace("-", ":"), value)
    match = MODIFIED[param.kind, modifier] if modifier else MATCH[param.kind]
    return any(match(one, stored) for one in asked for stored in found(resource, param))


def composite(resource: Json, name: str, asked: str) -> bool:
    """Say whether one element has every part."""
    places, params = COMPOSITES[resource["resourceType"]][name]
    parts = split(asked, "$")
    for place in places:
        for element in walk(resource, place):
            if all(
                any(MATCH[param.kind](part, stored) for stored in found(element, param))
                for part, param in zip(parts, params, strict=True)
            ):
                return True
    return False


def refers(population: Population, resource: Json, name: str, param: Param, modifier: str, asked: str) -> bool:
    """Say whether one value finds a reference of a resource."""
    if name in {"patient", "subject"} and modifier in {"", "Patient"}:
        asked = bare(asked).removeprefix(OWN)
        return "://" not in asked and in_record(population, resource, asked)
    if modifier == "identifier":
        return any(values.token(asked, r["identifier"]) for r in found(resource, param) if "identifier" in r)
    asked = bare(asked).removeprefix(OWN)
    types = [modifier] if modifier else param.targets
    if modifier in HIERARCHY:
        kind, _, identifier = asked.rpartition("/")
        (kind,) = [kind] if kind else [target for target in param.targets if target in PART_OF]
        wanted = HIERARCHY[modifier](population, f"{kind}/{identifier}")
    else:
        wanted = {asked} if "/" in asked else {f"{kind}/{asked}" for kind in types}
    said = [r["reference"] for r in found(resource, param) if "reference" in r]
    return any(reference in wanted for reference in said + list(map(unversioned, said)))


OWN = "http://test/fhir/"


PART_OF = frozenset({"Location", "Organization", "Encounter"})
"""Types of which one is part of another."""


def wholes(resource: Json) -> list[str]:
    """Return what a resource says that it is part of."""
    return [unversioned(one["reference"]) for one in walk(resource, "partOf") if "reference" in one]


def downwards(population: Population, name: str) -> set[str]:
    """Return a name, and those of all the caller sees that is part of it or of what is."""
    every = {f"{r['resourceType']}/{r['id']}": wholes(r) for r in population.visible(name.partition("/")[0])}
    known = {name}
    for _ in every:
        known |= {one for one, above in every.items() if known.intersection(above)}
    return known


def upwards(population: Population, name: str) -> set[str]:
    """Return a name, and those of all the caller sees that it, or what it is part of, is part of."""
    every = {f"{r['resourceType']}/{r['id']}": wholes(r) for r in population.visible(name.partition("/")[0])}
    known = {name}
    for _ in every:
        known |= {above for one in known for above in every.get(one, []) if above in every}
    return known


HIERARCHY = {"below": downwards, "above": upwards}


def unversioned(reference: str) -> str:
    """Return a reference without the version it names."""
    return reference.partition("/_history/")[0]


def in_record(population: Population, resource: Json, asked: str) -> bool:
    """Say whether a resource is in the record that a Patient opens, which the caller must see."""
    identifier = asked.rpartition("/")[2]
    opened = [population.record(p) for p in population.visible("Patient") if p["id"] == identifier]
    return population.record(resource) in opened


def chained(population: Population, resource: Json, name: str, value: str) -> bool:
    """Say whether a resource refers to one that the caller sees and of which the rest holds.

    Whose record a resource is in, any Patient of that record that the caller sees tells; any other
    step stays in the record, or goes to what is nobody's.
    """
    step, _, rest = name.partition(".")
    targets = led(population, resource, step, re.split("[.:]", rest)[0])
    return any(holds(population, target, rest, value) for target in targets)


def led(population: Population, resource: Json, step: str, then: str) -> list[Json]:
    """Return what the caller sees of what `code` or `code:Type` refers to, of the types that have `then`."""
    code, _, kind = step.partition(":")
    if code in {"patient", "subject"}:
        return [p for p in population.visible("Patient") if population.record(p) == population.record(resource)]
    param = PARAMS[resource["resourceType"]][code]
    named = [unversioned(r["reference"]) for r in found(resource, param) if "reference" in r]
    kinds = [kind] if kind else [t for t in param.targets if then in {*PARAMS[t], *EVERYWHERE}]
    targets = [t for k in kinds for t in population.visible(k) if f"{k}/{t['id']}" in named]
    return [t for t in targets if reachable(population, resource, t)]


def has(population: Population, resource: Json, name: str, value: str) -> bool:
    """Say whether one that the caller sees refers to a resource, and the rest holds of that one."""
    _, kind, code, rest = name.split(":", 3)
    return any(holds(population, other, rest, value) for other in referring(population, resource, kind, code))


def referring(population: Population, resource: Json, kind: str, code: str) -> list[Json]:
    """Return what the caller sees of a type that refers to a resource."""
    own = f"{resource['resourceType']}/{resource['id']}"
    if code in {"patient", "subject"}:
        return [r for r in population.visible(kind) if population.record(r) == population.record(resource)]
    others = [r for r in population.visible(kind) if reachable(population, resource, r)]
    return [r for r in others if own in [unversioned(one.get("reference", "")) for one in found(r, PARAMS[kind][code])]]


def reachable(population: Population, one: Json, other: Json) -> bool:
    """Say whether a step may be taken: within a record, or to or from what is nobody's."""
    records = {population.record(one), population.record(other)}
    return "" in records or len(records) == 1
