"""What a resource is ordered by where no order of the values is kept: tokens, references and uris.

They are kept as digests, so an order by them is read from the stored bodies of what was found.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from overblik.fhir.fhirpath import json_paths

if TYPE_CHECKING:
    from overblik.fhir.definitions import SearchParameter

READ = frozenset({"token", "reference", "uri"})
_CODES = {
    "CodeableConcept": ('."coding"."code"', ' ? (!exists(@."coding"."code"))."text"'),
    "Coding": ('."code"',),
    "Identifier": ('."value"',),
    "ContactPoint": ('."value"',),
    "Reference": ('."reference"',),
} | dict.fromkeys(("code", "string", "id", "uri", "url", "oid", "uuid", "canonical", "boolean"), ("[*]",))


@lru_cache(maxsize=10_000)
def order_paths(param: SearchParameter, resource_type: str) -> tuple[str, ...]:
    """Return the SQL/JSON paths of what a type is ordered by; () where it cannot be by this parameter.

    Of a concept its codes count, or where it has none its text; of an identifier or contact its value; of
    a reference what it says.
    """
    if param.type not in READ:
        return ()
    found = json_paths(param.expression, resource_type)
    return tuple(path + code for path, kind in found for code in _CODES.get(kind, ()))
