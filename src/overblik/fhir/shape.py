"""Parts of resources: `_summary` and `_elements` (https://hl7.org/fhir/R4/search.html#summary).

A part is never mistaken for the whole: it carries the tag SUBSETTED, what the standard demands of the
type stays, and so does what changes the meaning of the rest (modifier elements).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from overblik.fhir.definitions import r4
from overblik.fhir.errors import Malformed
from overblik.fhir.fields import Field, fields

if TYPE_CHECKING:
    from collections.abc import Callable

    from overblik.fhir.strict_json import Json

SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
_SUMMARIES = ("true", "text", "data", "count", "false")
_ALWAYS = frozenset({"id", "meta"})


@dataclass(frozen=True, slots=True)
class Shape:
    """What part of each resource is asked for; the default is the whole."""

    summary: str = ""
    elements: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        """Say whether it is less than the whole."""
        return bool(self.summary or self.elements)


WHOLE = Shape()


def parse_shape(summary: str, elements: str, *, lenient: bool = False) -> Shape:
    """Return the shape of the two parameters; Malformed for values that mean nothing."""
    if summary and summary not in _SUMMARIES:
        text = f"_summary is one of {', '.join(_SUMMARIES)}."
        raise Malformed("shape-invalid", text, expression="http._summary")
    names = frozenset(filter(None, (name.strip().removesuffix("[x]") for name in elements.split(","))))
    unknown = names - _element_names()
    if unknown and not lenient:
        text = f"No resource has the element {min(unknown)[:64]!r} at its top; _elements takes names such as status."
        raise Malformed("shape-invalid", text, expression="http._elements")
    summary = "" if summary == "false" else summary
    if summary and names:
        raise Malformed("shape-invalid", "Ask for _summary or _elements, not both.", expression="http._elements")
    return Shape(summary, names)


@cache
def _element_names() -> frozenset[str]:
    """Return every name of a resource's own elements; choice elements with and without their types."""
    known = [field for name in r4().resource_types for field in fields(name).values()]
    return frozenset({field.name for field in known} | {field.of for field in known})


def shaped(resource: Json, shape: Shape) -> Json:
    """Return the part of a resource, or of each one in a Bundle that answers a search or history."""
    if resource["resourceType"] == "Bundle" and "id" not in resource:
        if shape.summary == "count":
            return {key: value for key, value in resource.items() if key != "entry"}
        if "entry" in resource:
            return {**resource, "entry": [_entry(entry, shape) for entry in resource["entry"]]}
        return resource
    return resource if resource["resourceType"] == "OperationOutcome" else _part(resource, shape)


def _entry(entry: Json, shape: Shape) -> Json:
    return {**entry, "resource": shaped(entry["resource"], shape)} if "resource" in entry else entry


def _part(resource: Json, shape: Shape) -> Json:
    if shape.summary == "count":
        raise Malformed("shape-invalid", "_summary=count is for searches.", expression="http._summary")
    name = resource["resourceType"]
    rest = {key: value for key, value in resource.items() if key != "resourceType"}
    if shape.summary == "true":
        whole = {key: rest[key] for key in _ALWAYS if key in rest}
        rest = _summary(rest, name) | whole
    else:
        keep, known = _keep(shape), fields(name)
        rest = {key: value for key, value in rest.items() if keep(known[key.removeprefix("_")])}
    return _tagged({"resourceType": name, **rest})


def _keep(shape: Shape) -> Callable[[Field], bool]:
    if shape.summary == "data":
        return lambda field: field.name != "text"
    chosen = _ALWAYS | (frozenset({"text"}) if shape.summary == "text" else shape.elements)
    return lambda field: field.needed or field.modifier or field.of in chosen or field.name in chosen


def _summary(value: Json, type_name: str) -> Json:
    """Return what the definitions mark as summary, at every depth; objects left with nothing are left out."""
    found: Json = {}
    for key, item in value.items():
        name = key.removeprefix("_")
        field = fields(type_name)[name]
        if not (field.summary or field.needed or field.modifier):
            continue
        part = _beside(value.get(name), item) if key != name else _inside(field, item)
        if part in (None, {}, []):
            # What must stand and has nothing of its own to show (only an extension) stands whole.
            part = item if field.needed and key == name else None
        if part is not None:
            found[key] = part
    return found


def _inside(field: Field, item: Any) -> Any:
    if field.primitive or field.kind in {"Resource", "Extension"}:
        return item
    if isinstance(item, list):
        return [part for one in item if (part := _summary(one, field.kind))]
    return _summary(item, field.kind)


def _beside(value: Any, sibling: Any) -> Any:
    """Return what extends a primitive only where the value itself is missing: it says why."""
    if not isinstance(sibling, list):
        return sibling if value is None else None
    values = (value or []) + [None] * len(sibling)
    kept = [item if text is None else None for item, text in zip(sibling, values, strict=False)]
    return kept if any(item is not None for item in kept) else None


def _tagged(resource: Json) -> Json:
    """Return the part with the tag that says that it is one."""
    meta = resource.get("meta", {})
    tags = meta.get("tag", [])
    if any(tag.get("code") == SUBSETTED["code"] and tag.get("system") == SUBSETTED["system"] for tag in tags):
        return resource
    head = {key: resource[key] for key in ("resourceType", "id") if key in resource}
    return head | {"meta": {**meta, "tag": [*tags, SUBSETTED]}} | {k: v for k, v in resource.items() if k != "meta"}
