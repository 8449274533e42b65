"""What may stand in a type, by the name it has in JSON and XML: choice elements once per type.

    Observation -> {"id": Field, …, "valueQuantity": Field(of="value", kind="Quantity", order=…), …}

Made from the definitions, one table a type, at first use.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from overblik.fhir.definitions import r4
from overblik.fhir.primitives import CHECKS


@dataclass(frozen=True, slots=True)
class Field:
    """One name of a type. `of` is the element's own name, without `[x]`; `order` its place in the definition.

    `attribute` says that XML writes it as an attribute (https://hl7.org/fhir/R4/xml.html): ids of
    elements and the urls of extensions. `primitive`, that its value is one JSON value, which a `_name` may extend.
    """

    name: str
    of: str
    kind: str
    order: int
    many: bool
    needed: bool
    summary: bool
    modifier: bool
    attribute: bool
    primitive: bool


@cache
def fields(type_name: str) -> dict[str, Field]:
    """Return the fields of a resource, data type or backbone element, in the order of its definition."""
    definition = r4().types[type_name]
    found: dict[str, Field] = {}
    for order, element in enumerate(definition.elements.values()):
        for kind in element.types:
            name = element.name.replace("[x]", kind[0].upper() + kind[1:])
            found[name] = Field(
                name=name,
                of=element.name.removesuffix("[x]"),
                kind=kind,
                order=order,
                many=element.max is None or element.max > 1,
                needed=element.min > 0,
                summary=element.summary,
                modifier=element.modifier,
                attribute=(name == "id" and definition.kind != "resource") or (type_name, name) == ("Extension", "url"),
                primitive=kind in CHECKS,
            )
    return found
