"""A SearchParameter resource to what is searched by (https://hl7.org/fhir/R4/searchparameter.html).

What cannot work here, or would find nothing in silence, is refused when it is written, with one issue
for everything that is wrong.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from overblik.fhir.definitions import SearchParameter, r4
from overblik.fhir.errors import Issue, Unprocessable
from overblik.fhir.fhirpath import FhirPathError, checked
from overblik.fhir.fhirpath.compiler import derives
from overblik.fhir.index.parameters import component_type, standard
from overblik.fhir.query.grammar import PATIENT, modified
from overblik.fhir.query.result import RESULT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from overblik.fhir.fhirpath.kinds import Found
    from overblik.fhir.strict_json import Json

MOST_BASES = 20
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
_FITTING: dict[str, tuple[str, ...]] = {
    "token": ("code", "boolean", "Coding", "CodeableConcept", "Identifier", "ContactPoint", "string", "uri"),
    "date": ("date", "dateTime", "instant", "Period", "Timing"),
    "string": ("string", "HumanName", "Address"),
    "number": ("decimal", "integer", "Range"),
    "quantity": ("Quantity", "Money", "Range"),
    "reference": ("Reference", "canonical", "uri"),
    "uri": ("uri",),
}
"""What each type of parameter can compare (https://hl7.org/fhir/R4/search.html#table), with what derives from it."""
_ORDERED = frozenset({"date", "number", "quantity"})
_MODIFIERS = {"ofType": "of-type", "type": "Patient"}
"""How a SearchParameter calls the modifiers that have other names in a search."""
_ONLY = {
    "multipleOr": (True, "Several values with commas between them can always be asked for; leave it out."),
    "multipleAnd": (True, "A parameter may always stand several times; leave it out."),
    "xpathUsage": ("normal", "Only values as they stand are indexed: normal, or leave it out."),
}


def definition(resource: Json) -> SearchParameter:
    """Return what an active SearchParameter defines; Unprocessable, with every issue, where it cannot be used."""
    param = SearchParameter(
        code=str(resource.get("code", "")),
        type=str(resource.get("type", "")),
        base=tuple(dict.fromkeys(map(str, resource.get("base", ())))),
        expression=str(resource.get("expression", "")),
        url=str(resource.get("url", "")),
        target=tuple(map(str, resource.get("target", ()))),
        component=tuple(
            (str(part.get("definition", "")).partition("|")[0], str(part.get("expression", "")))
            for part in resource.get("component", ())
        ),
    )
    issues = [*_of_name(param), *_of_base(param), *_of_kind(resource, param)]
    if not issues:
        issues = [issue for base in param.base for issue in _of_expression(param, base)]
    if issues:
        raise Unprocessable.of(issues)
    return param


def _invalid(text: str, where: str) -> Issue:
    return Issue("search-parameter-invalid", text, "invalid", f"SearchParameter.{where}")


def _unsupported(text: str, where: str) -> Issue:
    return Issue("search-parameter-unsupported", text, "not-supported", f"SearchParameter.{where}")


def _of_name(param: SearchParameter) -> Iterator[Issue]:
    if not _CODE.fullmatch(param.code):
        yield _invalid("code is a letter, then letters, digits and hyphens, 64 at the most.", "code")
    if param.code in PATIENT | RESULT:
        yield _taken(param.code, "every type")
    for base in param.base:
        if standard(base, param.code) is not None:
            yield _taken(param.code, base)


def _taken(code: str, base: str) -> Issue:
    text = f"{base} has a parameter {code[:64]!r} already; choose another code."
    return Issue("search-parameter-taken", text, "duplicate", "SearchParameter.code")


def _of_base(param: SearchParameter) -> Iterator[Issue]:
    for base in param.base:
        if base not in r4().resource_types or base == "Parameters":
            yield _invalid(f"{base[:64]!r} is no type of resources that are kept here; name each type.", "base")
    if not 0 < len(param.base) <= MOST_BASES:
        yield _invalid(f"base names 1 to {MOST_BASES} types.", "base")
    for target in param.target:
        if target not in r4().resource_types:
            yield _invalid(f"{target[:64]!r} is no type of resource.", "target")
    if param.target and param.type != "reference":
        yield _invalid("Only a parameter of type reference has targets.", "target")


def _of_kind(resource: Json, param: SearchParameter) -> Iterator[Issue]:
    if param.type not in _FITTING and param.type != "composite":
        yield _unsupported(f"type is composite or one of {', '.join(sorted(_FITTING))}.", "type")
    if not param.expression:
        yield _unsupported("An expression is needed: a FHIRPath that finds the values.", "expression")
    for name, (only, say) in _ONLY.items():
        if resource.get(name, only) != only:
            yield _unsupported(say, name)
    if resource.get("comparator") and param.type not in _ORDERED:
        yield _unsupported("Only dates, numbers and quantities are compared with prefixes.", "comparator")
    for name in map(str, resource.get("modifier", ())):
        if not _knows(param, _MODIFIERS.get(name, name)):
            yield _unsupported(f"A {param.type[:20]} parameter cannot be asked for with :{name[:20]} here.", "modifier")
    if (param.type == "composite") != bool(param.component):
        yield _invalid("A composite has components, and nothing else has.", "component")


def _knows(param: SearchParameter, modifier: str) -> bool:
    """Say whether a modifier can be asked for; `type` stands for any type of resource that is a target."""
    if modifier == "Patient" and param.type == "reference":
        return True
    return param.type in _FITTING and modified(param, modifier) is not None


def _of_expression(param: SearchParameter, base: str) -> Iterator[Issue]:
    """Check what is found in one type: that there can be anything, and of a kind that can be compared."""
    try:
        found = checked(param.expression, base)
        if not found:
            yield _invalid(f"No part of the expression is about {base}.", "expression")
        elif param.type != "composite":
            yield from _of_found(param, found, base, "expression")
    except FhirPathError as error:
        yield _invalid(f"In {base}: {error}."[:300], "expression")
        return
    if not 2 <= len(param.component or "ab") <= 3:
        yield _invalid("A composite has two or three components.", "component")
    elements = {kind for branch in found for kind in branch.kinds}
    for url, expression in param.component:
        yield from _of_component(url, expression, base, elements)


def _of_component(url: str, expression: str, base: str, elements: set[str]) -> Iterator[Issue]:
    kind = component_type(url)
    if kind not in _FITTING:
        yield _unsupported(f"{url[:200]!r} is no parameter of the standard that a composite can have.", "component")
        return
    stated = SearchParameter("", kind, (), "", "")
    whole = expression.startswith("%resource.")
    path = f"{base}.{expression.removeprefix('%resource.')}" if whole else expression
    try:
        for element in [base] if whole else sorted(elements):
            found = checked(path, element)
            if not found:
                yield _invalid(f"No part of a component's expression is about {element}.", "component")
            yield from _of_found(stated, found, element, "component")
    except FhirPathError as error:
        yield _invalid(f"In {base}: {error}."[:300], "component")


def _of_found(param: SearchParameter, found: list[Found], base: str, where: str) -> Iterator[Issue]:
    """Refuse what cannot be compared, and what would show persons' numbers that links and logs leave out by name."""
    fitting, kinds = _FITTING[param.type], sorted({kind for branch in found for kind in branch.kinds})
    if found and not any(derives(kind, one) for kind in kinds for one in fitting):
        yield _invalid(f"In {base} it finds {', '.join(kinds[:5])}; {param.type} compares {', '.join(fitting)}.", where)
    for branch in found:
        if "Identifier" in branch.entered:
            yield _unsupported("A part of an identifier cannot be searched by; take it whole, as a token.", where)
        if "Identifier" in branch.kinds and param.type == "token" and not param.code.endswith("identifier"):
            text = "What finds identifiers has a code that ends with identifier: their values are not shown in links."
            yield _unsupported(text, "code" if param.code else where)
