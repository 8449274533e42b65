"""FHIRPath (https://hl7.org/fhirpath/N1/), as far as search parameters need it.

`compile_path` turns an expression into a closure over typed items; one parse tree serves every use.
"""

from overblik.fhir.fhirpath.branches import Branch, branches, joined
from overblik.fhir.fhirpath.compiler import Item, compile_path
from overblik.fhir.fhirpath.json_paths import JsonPath, json_paths
from overblik.fhir.fhirpath.kinds import checked
from overblik.fhir.fhirpath.parser import FhirPathError, parse

__all__ = [
    "Branch",
    "FhirPathError",
    "Item",
    "JsonPath",
    "branches",
    "checked",
    "compile_path",
    "joined",
    "json_paths",
    "parse",
]
