"""The compact FHIR R4 definitions, compiled by scripts/compile_definitions.py and read once."""

from __future__ import annotations

import gzip
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a type: its types, cardinality (`max` None is `*`) and required code list."""

    name: str
    types: tuple[str, ...]
    min: int
    max: int | None
    targets: tuple[str, ...] = ()
    codes: frozenset[str] | None = None
    summary: bool = False
    modifier: bool = False


@dataclass(frozen=True, slots=True)
class Type:
    """A resource, data type or backbone element; choice elements are named as in `value[x]`."""

    name: str
    kind: str
    base: str
    elements: dict[str, Element]


@dataclass(frozen=True, slots=True)
class SearchParameter:
    """A search parameter (https://hl7.org/fhir/R4/searchparameter.html)."""

    code: str
    type: str
    base: tuple[str, ...]
    expression: str
    url: str
    target: tuple[str, ...] = ()
    component: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Definitions:
    """Everything the server knows of the standard, as frozen values."""

    version: str
    types: dict[str, Type]
    resource_types: frozenset[str]
    params: dict[tuple[str, str], SearchParameter]
    patient: dict[str, tuple[str, ...]] = field(default_factory=dict)
    within: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)

    def param(self, resource_type: str, code: str) -> SearchParameter | None:
        """Return the parameter of a type, or the one every resource has."""
        found = self.params.get((resource_type, code))
        return found or self.params.get(("DomainResource", code)) or self.params.get(("Resource", code))


def _element(name: str, raw: dict[str, Any], codes: dict[str, list[str]]) -> Element:
    listed = codes.get(raw.get("c", ""))
    return Element(
        name=name,
        types=tuple(raw["t"]),
        min=raw["min"],
        max=raw["max"],
        targets=tuple(raw.get("r", ())),
        codes=frozenset(listed) if listed is not None else None,
        summary=raw.get("s", False),
        modifier=raw.get("m", False),
    )


def _param(raw: dict[str, Any]) -> SearchParameter:
    return SearchParameter(
        code=raw["code"],
        type=raw["type"],
        base=tuple(raw["base"]),
        expression=raw.get("expression", ""),
        url=raw["url"],
        target=tuple(raw.get("target", ())),
        component=tuple((c[0], c[1]) for c in raw.get("component", ())),
    )


def _compartment(raw: dict[str, list[str]]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(codes) for name, codes in raw.items()}


@cache
def r4() -> Definitions:
    """Return the definitions of FHIR R4 4.0.1."""
    packed = resources.files("overblik.fhir").joinpath("data/r4.json.gz").read_bytes()
    raw = orjson.loads(gzip.decompress(packed))
    types = {
        name: Type(
            name=name,
            kind=value["kind"],
            base=value["base"],
            elements={n: _element(n, e, raw["codes"]) for n, e in value["elements"].items()},
        )
        for name, value in raw["types"].items()
    }
    params: dict[tuple[str, str], SearchParameter] = {}
    for param in map(_param, raw["params"]):
        for base in param.base:
            params.setdefault((base, param.code), param)
    return Definitions(
        version=raw["version"],
        types=types,
        resource_types=frozenset(n for n, t in types.items() if t.kind == "resource"),
        params=params,
        patient=_compartment(raw["patient"]),
        within={name: _compartment(known) for name, known in raw["within"].items()},
    )
