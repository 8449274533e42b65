"""Base structure checks: what the definitions of FHIR R4 say of a resource's shape.

Checked: known elements, JSON types, cardinality, primitive formats, required code lists, choice
elements, the `_name` siblings that extend primitives, contained and bundled resources, modifier
extensions and implicit rules that nobody here understands, narratives that would do something, and
attachments that are not what their hash says. Not checked: profiles, invariants, terminology beyond the
required code lists.

Each type becomes one closure, compiled at first use.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from typing import TYPE_CHECKING, Any

from overblik.fhir.definitions import Element, r4
from overblik.fhir.errors import Issue, Unprocessable
from overblik.fhir.harmless import harm_in
from overblik.fhir.primitives import CHECKS

if TYPE_CHECKING:
    from collections.abc import Callable

    from overblik.fhir.strict_json import Json

MOST_ISSUES = 20


Choice = tuple[list[str], frozenset[str]]
"""The names of an element with several types, and every JSON key that stands for one of them."""


class Report:
    """The issues found so far, with the rules that this check is held to."""

    __slots__ = ("issues", "lenient")

    def __init__(self, *, lenient: bool) -> None:
        self.issues: list[Issue] = []
        self.lenient = lenient

    def add(self, code: str, kind: str, expression: str, text: str) -> None:
        """Note one issue; the first twenty are enough to work with."""
        if len(self.issues) < MOST_ISSUES:
            self.issues.append(Issue(code, text, kind, expression))


def check(resource: Any, *, lenient: bool = False) -> list[Issue]:
    """Return what is wrong with a resource's shape, each issue with a FHIRPath to its place.

    `lenient` lets empty objects and arrays pass: published messages contain them.
    """
    report = Report(lenient=lenient)
    _resource(resource, "", report)
    return report.issues


def require(resource: Any, *, lenient: bool = False) -> None:
    """Raise Unprocessable with every issue found, or return."""
    if issues := check(resource, lenient=lenient):
        raise Unprocessable.of(issues)


def _resource(value: Any, path: str, report: Report) -> None:
    name = value.get("resourceType") if isinstance(value, dict) else None
    if not isinstance(name, str):
        report.add("resource-type-missing", "structure", path, "A resource needs a resourceType.")
    elif name not in r4().resource_types:
        report.add("resource-type-unknown", "structure", path, f"There is no resource type {name[:64]!r} in R4.")
    else:
        body = {key: item for key, item in value.items() if key != "resourceType"}
        _checker(name)(body, path or name, report)


@cache
def _checker(type_name: str) -> Callable[[Any, str, Report], None]:
    """Compile the check of one complex type."""
    fields, choices, required = _fields(type_name)

    def run(value: Any, path: str, report: Report) -> None:
        if not isinstance(value, dict):
            report.add("wrong-json-type", "structure", path, f"{path} must be an object.")
            return
        for key, item in value.items():
            if (field := fields.get(key)) is not None:
                field(item, path, report, value)
            else:
                text = f"{type_name} has no element {key[:64]!r}."
                report.add("unknown-element", "structure", f"{path}.{key[:64]}", text)
        _names(choices, required, value, path, report)

    return run


def _names(choices: list[Choice], required: list[list[str]], value: Json, path: str, report: Report) -> None:
    for names, keys in choices:
        if len(keys & value.keys()) > 1 and sum(name in value or "_" + name in value for name in names) > 1:
            text = f"Only one of {', '.join(names)} may stand in {path}."
            report.add("choice-twice", "structure", path, text)
    for names in required:
        if names[0] not in value and not any(name in value or "_" + name in value for name in names):
            report.add("element-missing", "required", path, f"{path} needs {names[0]}.")


def _fields(type_name: str) -> tuple[dict[str, Any], list[Choice], list[list[str]]]:
    """Return the closures by JSON name, the choice groups and the required names of a type."""
    fields: dict[str, Any] = {}
    choices: list[Choice] = []
    required: list[list[str]] = []
    for element in r4().types[type_name].elements.values():
        names = []
        for kind in element.types:
            name = element.name.replace("[x]", kind[0].upper() + kind[1:])
            names.append(name)
            fields[name] = _field(element, kind)
            if kind in CHECKS:
                fields["_" + name] = _sibling(element, name)
        if element.name.endswith("[x]"):
            choices.append((names, frozenset(names) | {"_" + name for name in names}))
        if element.min > 0:
            required.append(names)
    return fields, choices, required


def _field(element: Element, kind: str) -> Callable[[Any, str, Report, Json], None]:
    """Compile the check of one element of one type: list or not, then each item."""
    item_check = _item_check(element, kind)
    place = "." + element.name.replace("[x]", kind[0].upper() + kind[1:])
    sibling = "_" + element.name

    def one(value: Any, path: str, report: Report, _: Json) -> None:
        if not isinstance(value, list) or _listed(value, path + place, report, many=False):
            item_check(value, path + place, report)

    def many(value: Any, path: str, report: Report, owner: Json) -> None:
        path += place
        if not (isinstance(value, list) and value) and not _listed(value, path, report, many=True):
            return
        for number, item in enumerate(value):
            if item is None and _stands(owner.get(sibling), number):
                continue
            item_check(item, f"{path}[{number}]", report)

    return many if _is_list(element) else one


def _is_list(element: Element) -> bool:
    return element.max is None or element.max > 1


def _listed(value: Any, path: str, report: Report, *, many: bool) -> bool:
    """Note a list where there must be none, none where there must be one, and one with nothing in it."""
    if isinstance(value, list) != many:
        text = f"{path} must be a list." if many else f"{path} must not be a list."
        report.add("wrong-json-type", "structure", path, text)
        return False
    if many and not value and not report.lenient:
        report.add("empty-element", "structure", path, f"{path} is empty; leave it out.")
    return True


def _stands(siblings: Any, number: int) -> bool:
    """Say whether a null in a list is explained by an extension in the same place of its sibling."""
    return isinstance(siblings, list) and number < len(siblings) and siblings[number] is not None


def _sibling(element: Element, name: str) -> Callable[[Any, str, Report, Json], None]:
    """Compile the check of the `_name` object (or list with nulls) that extends a primitive."""
    item_check = _complex("Element")
    many = _is_list(element)
    place = "." + name

    def run(value: Any, path: str, report: Report, _: Json) -> None:
        path += place
        if not _listed(value, path, report, many=many):
            return
        if not many:
            item_check(value, path, report)
            return
        for number, item in enumerate(value):
            if item is not None:
                item_check(item, f"{path}[{number}]", report)

    return run


def _item_check(element: Element, kind: str) -> Callable[[Any, str, Report], None]:
    if kind == "Resource":
        return _resource
    if (special := _SPECIAL.get(element.name)) is not None and element.types == special[0]:
        return special[1]
    if kind in {"xhtml", "Attachment"}:
        return _narrative if kind == "xhtml" else _attachment
    if (test := CHECKS.get(kind)) is not None:
        return _primitive(kind, test, element.codes)
    return _complex(kind)


def _complex(kind: str) -> Callable[[Any, str, Report], None]:
    """Look the type up at the first use, because types contain each other."""

    def run(value: Any, path: str, report: Report) -> None:
        if value == {} and not report.lenient:
            report.add("empty-element", "structure", path, f"{path} is empty; leave it out.")
        _checker(kind)(value, path, report)

    return run


def _primitive(
    kind: str, test: Callable[[Any], bool], codes: frozenset[str] | None
) -> Callable[[Any, str, Report], None]:
    def run(value: Any, path: str, report: Report) -> None:
        if not test(value):
            report.add("wrong-value", "value", path, f"{path} is not a valid {kind}.")
        elif codes is not None and value not in codes:
            some = ", ".join(sorted(codes)[:12])
            report.add("code-not-in-list", "code-invalid", path, f"{path} must be one of: {some}.")

    return run


def _modifier_extension(value: Any, path: str, report: Report) -> None:
    """No modifier extension is understood here, and FHIR forbids to ignore one."""
    url = value.get("url") if isinstance(value, dict) else None
    text = f"{path} changes the meaning of its element in a way that is not understood here ({str(url)[:200]})."
    report.add("modifier-not-understood", "not-supported", path, text)


def _implicit_rules(value: Any, path: str, report: Report) -> None:
    """No rules by which a resource would have to be read otherwise are known here, and FHIR forbids to ignore them."""
    text = f"{path} names rules that are not understood here ({str(value)[:200]})."
    report.add("modifier-not-understood", "not-supported", path, text)


def _narrative(value: Any, path: str, report: Report) -> None:
    """A narrative says something and does nothing, wherever it is shown."""
    found = harm_in(value) if CHECKS["xhtml"](value) else ""
    if found == "":
        report.add("wrong-value", "value", path, f"{path} is not a valid xhtml.")
    elif found is not None:
        text = f"{path} has what no narrative may have: {found[:80]}. Leave it out."
        report.add("narrative-active", "invalid", path, text)


def _attachment(value: Any, path: str, report: Report) -> None:
    """What is attached is what its size and its hash (SHA-1) say."""
    before = len(report.issues)
    _complex("Attachment")(value, path, report)
    if len(report.issues) > before or not isinstance(value, dict) or not {"hash", "size"} & value.keys():
        return
    if data := value.get("data"):
        content = base64.b64decode(data)
        size = value.get("size", len(content))
        digest = hashlib.sha1(content, usedforsecurity=False).digest()  # FHIR's hash, against mistakes
        if size != len(content) or base64.b64decode(value.get("hash") or base64.b64encode(digest)) != digest:
            text = f"{path} is not what its size or its hash says; send it again."
            report.add("attachment-differs", "value", path, text)


_SPECIAL = {
    "modifierExtension": (("Extension",), _modifier_extension),
    "implicitRules": (("uri",), _implicit_rules),
}
"""Elements of every resource that mean more than their type: their types, and what judges them."""
