"""JSON Patch (RFC 6902) and FHIRPath Patch (https://hl7.org/fhir/R4/fhirpatch.html) of one resource.

Both return a changed resource or raise Unprocessable with the operation that cannot be done. What
copies may grow to is bounded, and decimals keep their digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import jiter
import jsonpatch
from jsonpointer import JsonPointer, JsonPointerException

from overblik.fhir.errors import Unprocessable
from overblik.fhir.fhirpath import FhirPathError, parse
from overblik.fhir.locate import Place, children, locate

if TYPE_CHECKING:
    from overblik.fhir.strict_json import Json

MOST_OPERATIONS = 1000
MOST_COPIED = 100_000


class _Number:
    """A decimal that can be copied and compared, as LosslessFloat cannot."""

    __slots__ = ("digits",)

    def __init__(self, digits: jiter.LosslessFloat) -> None:
        self.digits = digits

    def __deepcopy__(self, _: Any) -> _Number:
        return self

    def __eq__(self, other: object) -> bool:
        if isinstance(other, _Number):
            return self._value == other._value
        return isinstance(other, int) and not isinstance(other, bool) and self._value == other

    def __hash__(self) -> int:
        return hash(self._value)

    @property
    def _value(self) -> Decimal:
        return Decimal(bytes(self.digits).decode())


def json_patch(resource: Json, operations: Any) -> Json:
    """Return a resource changed by a JSON Patch document; lists and objects it leaves empty are left out."""
    if not isinstance(operations, list) or not all(isinstance(operation, dict) for operation in operations):
        raise _refused("A JSON Patch is a list of operations.", "")
    if len(operations) > MOST_OPERATIONS:
        raise _refused(f"A patch may have {MOST_OPERATIONS} operations; send several.", "")
    document = _wrapped(resource)
    copied = 0
    for number, operation in enumerate(operations):
        try:
            if operation.get("op") == "copy":
                copied += _size(JsonPointer(str(operation.get("from"))).resolve(document), MOST_COPIED)
                if copied > MOST_COPIED:
                    raise _refused("The copies grow too large.", f"[{number}]")
            document = jsonpatch.JsonPatch([_wrapped(operation)]).apply(document, in_place=True)
        except jsonpatch.JsonPatchTestFailed:
            raise _refused("The test does not hold.", f"[{number}]") from None
        except (jsonpatch.JsonPatchException, JsonPointerException, TypeError, ValueError):
            text = "This operation cannot be done: its op, path, from or value does not fit the resource."
            raise _refused(text, f"[{number}]") from None
    if not isinstance(document, dict):
        raise _refused("A patch cannot replace the resource by something else.", "")
    changed: Json = _unwrapped(document)
    return changed


def _refused(text: str, place: str) -> Unprocessable:
    return Unprocessable("patch-failed", text, expression=f"patch{place}")


def _wrapped(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _wrapped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_wrapped(item) for item in value]
    return _Number(value) if isinstance(value, jiter.LosslessFloat) else value


def _unwrapped(value: Any) -> Any:
    """Return plain JSON again, without what the patch left empty."""
    if isinstance(value, dict):
        return {key: _unwrapped(item) for key, item in value.items() if item not in ([], {})}
    if isinstance(value, list):
        return [_unwrapped(item) for item in value if item not in ([], {})]
    return value.digits if isinstance(value, _Number) else value


def _size(value: Any, most: int) -> int:
    """Return how many values a value holds, counted no further than `most`."""
    waiting, size = [value], 0
    while waiting and size <= most:
        item = waiting.pop()
        size += 1
        waiting += item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
    return size


@dataclass(frozen=True, slots=True)
class _Operation:
    """One operation of a FHIRPath Patch; `at` is its place in the Parameters."""

    type: str
    path: str
    name: str
    value: tuple[str, Any] | None
    numbers: dict[str, int]
    at: str


def fhirpath_patch(resource: Json, parameters: Json) -> Json:
    """Return a resource changed by the operations of a Parameters resource, one after the other."""
    listed = parameters.get("parameter", [])
    if len(listed) > MOST_OPERATIONS:
        raise _refused(f"A patch may have {MOST_OPERATIONS} operations; send several.", "")
    if not listed:
        raise _refused("A FHIRPath Patch has a parameter named operation for each change.", "")
    holder: Json = {"resource": resource}
    for number, part in enumerate(listed):
        operation = _operation(part, f"Parameters.parameter[{number}]")
        try:
            node = parse(operation.path)
            places = locate(node, Place(holder, "resource", None, str(resource.get("resourceType"))))
            _DO[operation.type](operation, places)
        except FhirPathError as error:
            raise _impossible(operation, f"The path cannot be followed here ({error}).") from None
    changed: Json = holder.get("resource") or {}
    return changed


def _impossible(operation: _Operation, text: str) -> Unprocessable:
    return Unprocessable("patch-failed", text, expression=operation.at)


def _operation(part: Any, at: str) -> _Operation:
    """Take one `operation` parameter apart."""
    parts = part.get("part", []) if isinstance(part, dict) and part.get("name") == "operation" else []
    values: dict[str, Any] = {}
    value: tuple[str, Any] | None = None
    for item in parts:
        found = [(k.removeprefix("value"), v) for k, v in item.items() if k.startswith("value")]
        if item.get("name") == "value":
            value = found[0] if found else ("", item.get("part", []))
        elif found:
            values[str(item.get("name"))] = found[0][1]
    kind, path = values.get("type"), values.get("path")
    if kind not in _DO or not isinstance(path, str):
        text = f"An operation needs a type ({', '.join(_DO)}) and a path."
        raise Unprocessable("patch-failed", text, expression=at)
    numbers = {n: values[n] for n in ("index", "source", "destination") if isinstance(values.get(n), int)}
    return _Operation(kind, path, str(values.get("name", "")), value, numbers, at)


def _one(operation: _Operation, places: list[Place]) -> Place:
    if len(places) != 1:
        raise _impossible(operation, f"The path must find exactly one element; it finds {len(places)}.")
    return places[0]


def _add(operation: _Operation, places: list[Place]) -> None:
    place = _one(operation, places)
    target = place.value
    if not isinstance(target, dict):
        raise _impossible(operation, "Only an element with children can be added to.")
    key, kind, many = _child(operation, place.type)
    value = _value(operation, kind)
    if many:
        target.setdefault(key, []).append(value)
    elif any(other in target for other, _, _ in children(place.type, operation.name)):
        raise _impossible(operation, f"{operation.name} is there already; use replace.")
    else:
        target[key] = value


def _child(operation: _Operation, type_name: str) -> tuple[str, str, bool]:
    """Return (JSON name, type, list or not) of the child that `name` and the value's type stand for."""
    known = children(type_name, operation.name)
    given = operation.value[0] if operation.value else ""
    fitting = [c for c in known if len(known) == 1 or c[1].lower() == given.lower()]
    if not fitting:
        raise _impossible(operation, f"{type_name} has no element {operation.name[:64]!r} of that type.")
    return fitting[0]


def _value(operation: _Operation, kind: str) -> Any:
    if operation.value is None:
        raise _impossible(operation, "The operation needs a value.")
    given, value = operation.value
    return value if given else _built(operation, kind, value)


def _built(operation: _Operation, kind: str, parts: Any) -> Json:
    """Build an element that has no value[x] of its own, such as Patient.contact, from its parts."""
    built: Json = {}
    for part in parts:
        name = str(part.get("name"))
        given = [(k.removeprefix("value"), v) for k, v in part.items() if k.startswith("value")]
        inner = _Operation("add", "", name, given[0] if given else ("", part.get("part", [])), {}, operation.at)
        key, child, many = _child(inner, kind)
        value = _value(inner, child)
        if many:
            built.setdefault(key, []).append(value)
        else:
            built[key] = value
    return built


def _insert(operation: _Operation, places: list[Place]) -> None:
    items, kind = _collection(operation, places)
    index = operation.numbers.get("index", -1)
    if not 0 <= index <= len(items):
        raise _impossible(operation, f"index must be from 0 to {len(items)}.")
    value = _value(operation, kind)
    for number, listed in enumerate(places[0].lists()):
        listed.insert(index, value if number == 0 else None)


def _move(operation: _Operation, places: list[Place]) -> None:
    items, _ = _collection(operation, places)
    source, destination = operation.numbers.get("source", -1), operation.numbers.get("destination", -1)
    if not (0 <= source < len(items) and 0 <= destination < len(items)):
        raise _impossible(operation, f"source and destination must be from 0 to {len(items) - 1}.")
    for listed in places[0].lists():
        listed.insert(destination, listed.pop(source))


def _collection(operation: _Operation, places: list[Place]) -> tuple[list[Any], str]:
    """Return the list that the path stands for; every place must be in the same one."""
    lists = [place.holder.get(place.key) for place in places]
    if not lists or not isinstance(lists[0], list) or any(item is not lists[0] for item in lists):
        raise _impossible(operation, "The path must find the elements of one list.")
    return lists[0], places[0].type


def _delete(operation: _Operation, places: list[Place]) -> None:
    if not places:
        return
    place = _one(operation, places)
    if place.key == "resource":
        raise _impossible(operation, "A patch cannot delete the resource; use DELETE.")
    if place.index is None:
        place.holder.pop(place.key, None)
        place.holder.pop("_" + place.key, None)
        return
    for listed in place.lists():
        del listed[place.index]
    for key in (place.key, "_" + place.key):
        if not any(item is not None for item in place.holder.get(key) or ()):
            place.holder.pop(key, None)


def _replace(operation: _Operation, places: list[Place]) -> None:
    place = _one(operation, places)
    given = operation.value[0] if operation.value else ""
    key = place.key
    if place.choice and given:
        key = next((k for k, kind, _ in children(*place.choice) if kind.lower() == given.lower()), "")
        if not key:
            raise _impossible(operation, f"{place.choice[1]}[x] cannot be a {given}.")
    value = _value(operation, place.type)
    if place.index is not None:
        place.holder[key][place.index] = value
        return
    if key != place.key:
        place.holder.pop(place.key, None)
    place.holder.pop("_" + place.key, None)
    place.holder[key] = value


_DO = {"add": _add, "insert": _insert, "delete": _delete, "replace": _replace, "move": _move}
