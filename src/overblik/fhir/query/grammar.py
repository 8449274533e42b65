"""What a search parameter's name means: its modifier, its chain, and what reads its values.

A name is `code`, `code:modifier`, a chain `code.name` or `code:Type.name`, or the reverse
`_has:Type:code:name`, where `name` is again any of these
(https://hl7.org/fhir/R4/search.html#chaining).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING, NamedTuple

from overblik.fhir.compartment import of_patients
from overblik.fhir.definitions import r4
from overblik.fhir.index.parameters import KEPT, component_type, parameters
from overblik.fhir.query import coded, hierarchies, values
from overblik.fhir.query.places import places
from overblik.fhir.query.tree import MOST_VALUES, Chain, Criterion, Either, Has, Ids, Not, Patients

if TYPE_CHECKING:
    from overblik.fhir.definitions import SearchParameter
    from overblik.fhir.query.values import Part

Parser = Callable[[str], Criterion]
MOST_HOPS = 10
"""Steps of one chain."""
MOST_STEPS = 60
"""Steps of one chain over every type it may lead through, where it does not say which."""
PATIENT = frozenset({"patient", "subject"})
_PATIENT_IDENTIFIER = frozenset({"patient:identifier", "subject:identifier", "patient.identifier"})


def parser_of(resource_type: str, name: str, steps: int = MOST_STEPS) -> Parser | None:
    """Return what reads the values of a parameter of a type; None where there is no such parameter.

    `steps` is what a chain may still cost.
    """
    if name.count(".") + name.count("_has:") > MOST_HOPS:
        return None
    if name in _EVERYWHERE:
        return _EVERYWHERE[name]
    if of_patients(resource_type) and name in _PATIENT_IDENTIFIER:
        return values.patient_identifiers
    if "." in name or name.startswith("_has:"):
        step = _has if name.startswith("_has:") else _chain
        return step(resource_type, name, steps - 1) if steps > 0 else None
    if of_patients(resource_type) and name.removesuffix(":Patient") in PATIENT:
        return partial(_subject, resource_type, name)
    return _own(resource_type, name)


def _own(resource_type: str, name: str) -> Parser | None:
    code, colon, modifier = name.partition(":")
    param = parameters(resource_type).get(code)
    if param is None or (code == "patient" and modifier != "missing"):
        return None
    return modified(param, modifier) if colon else _plain(param)


def _plain(param: SearchParameter) -> Parser | None:
    code = param.code
    if param.type == "composite":
        components = components_of(param)
        return (lambda value: values.composites(code, values.split(value), components)) if components else None
    if param.type == "special":
        return lambda value: places(code, values.split(value))
    read = _reader(code, param.type, param.target)
    return (lambda value: read(values.split(value))) if read is not None else None


def _subject(resource_type: str, name: str, value: str) -> Criterion:
    """A patient stands for the whole record; other subjects are references like any."""
    parts = values.split(value)
    others = [part for part in parts if values.is_elsewhere(part)]
    if name == "subject":
        others += [part for part in parts if "/" in part and "Patient/" not in part and part not in others]
    param = parameters(resource_type).get(name.removesuffix(":Patient"))
    if not others or param is None:
        return values.patients(value)
    found = values.links(param.code, others, param.target)
    rest = [part for part in parts if part not in others]
    return Either((values.patients(",".join(rest)), found)) if rest else found


# -- chains


class Led(NamedTuple):
    """Where a step of a chain leads: its parameter, the types that may be, and whether it goes by the record."""

    code: str
    types: tuple[str, ...]
    about: bool


def led(resource_type: str, step: str) -> Led | None:
    """Return where `code` or `code:Type` leads; None where it is no reference."""
    code, _, kind = step.partition(":")
    param = parameters(resource_type).get(code)
    about = code in PATIENT and of_patients(resource_type)
    known = param.target if param is not None and param.type == "reference" else ()
    if about and "Patient" not in known:
        known = ("Patient", *known)
    if not known and (param is None or param.type != "reference"):
        return None
    if kind and kind not in (known or r4().resource_types):
        return None
    return Led(code, (kind,) if kind else tuple(known), about)


def _chain(resource_type: str, name: str, steps: int) -> Parser | None:
    """Read `code.rest` or `code:Type.rest`; a code with several targets means those that have `rest`."""
    step, _, rest = name.partition(".")
    leads = led(resource_type, step)
    if leads is None:
        return None
    targets = [target for target in leads.types if ":" in step or knows(target, rest)]
    if len(targets) > MOST_VALUES:
        raise values.refuse(step, f"{step[:40]} may be of many types: say which, as in {step[:40]}:Observation.")
    each = steps // max(1, len(targets))
    found = [(target, reads) for target in targets if (reads := parser_of(target, rest, each)) is not None]
    if not found:
        return None
    return lambda value: followed(leads, [(target, reads(value)) for target, reads in found])


def knows(resource_type: str, name: str) -> bool:
    """Say whether a type has the parameter that a name begins with."""
    code = re.split(r"[.:]", name, maxsplit=1)[0]
    return code in parameters(resource_type) or code in {"_id", "_has", "_lastUpdated", "patient"}


def followed(leads: Led, found: list[tuple[str, Criterion]]) -> Criterion:
    """Return that a step leads to a resource of which the criterion of its type holds."""
    steps: list[Criterion] = []
    for target, criterion in found:
        if leads.about and target == "Patient":
            steps.append(Patients(matching=criterion))
        else:
            steps.append(Chain(leads.code, target, criterion))
    return steps[0] if len(steps) == 1 else Either(tuple(steps))


def _has(resource_type: str, name: str, steps: int) -> Parser | None:
    """Read `_has:Type:code:rest`: a resource of that type refers here, and `rest` holds of it."""
    _, kind, code, rest = [*name.split(":", 3), "", ""][:4]
    way = referring(resource_type, kind, code)
    reads = parser_of(kind, rest, steps) if way is not None and rest else None
    if way is None or reads is None:
        return None
    return lambda value: Has(kind, way, reads(value))


def referring(resource_type: str, kind: str, code: str) -> str | None:
    """Return by which parameter another type refers to one, "" where it goes by the record; None where it cannot."""
    if kind not in r4().resource_types:
        return None
    if code in PATIENT and of_patients(kind) and resource_type == "Patient":
        return ""
    param = parameters(kind).get(code)
    refers = param is not None and param.type == "reference" and (not param.target or resource_type in param.target)
    return code if refers else None


# -- modifiers


def modified(param: SearchParameter, modifier: str) -> Parser | None:
    """Return what reads the values of a parameter with a modifier; None where there is no such one."""
    code = param.code
    if modifier == "missing" and (param.type in KEPT):
        return partial(values.missing, code)
    if param.type == "reference" and modifier in r4().resource_types:
        known = not param.target or modifier in param.target
        return (lambda value: values.links(code, values.split(value), (modifier,))) if known else None
    if param.type == "token" and modifier in coded.MODIFIERS:
        return partial(coded.by_terminology, param, modifier)
    if modifier in {"above", "below"} and hierarchies.led(param):
        return partial(hierarchies.levels, param, modifier)
    read = _MODIFIERS.get((param.type, modifier))
    return (lambda value: read(code, values.split(value))) if read is not None else None


_MODIFIERS: dict[tuple[str, str], Callable[[str, list[str]], Criterion]] = {
    ("token", "not"): lambda code, parts: Not(values.tokens(code, parts)),
    ("token", "text"): values.words,
    ("token", "of-type"): values.typed,
    ("string", "exact"): values.exact,
    ("string", "contains"): partial(values.strings, how="inside"),
    ("reference", "identifier"): lambda code, parts: values.tokens(f"{code}:identifier", parts),
    ("reference", "below"): values.below,
    ("uri", "below"): values.below,
    ("uri", "above"): values.above,
}


def _ids(value: str) -> Criterion:
    return Ids(tuple(values.plain(part) for part in values.split(value)))


def _updated(value: str) -> Criterion:
    return values.updated(values.split(value))


_EVERYWHERE: dict[str, Parser] = {"_id": _ids, "_lastUpdated": _updated}


def _reader(code: str, kind: str, targets: tuple[str, ...]) -> Callable[[list[str]], Part] | None:
    """Return what reads the values of one kind of parameter."""
    if kind == "reference":
        return lambda parts: values.links(code, parts, targets or tuple(sorted(r4().resource_types)))
    readers: dict[str, Callable[[str, list[str]], Part]] = {
        "token": values.tokens,
        "uri": values.uris,
        "date": values.dates,
        "number": values.numbers,
        "quantity": values.numbers,
        "string": values.strings,
    }
    return partial(readers[kind], code) if kind in readers else None


@cache
def components_of(param: SearchParameter) -> tuple[Callable[[str], Part], ...]:
    """Return what reads each component of a composite; () where one cannot be read."""
    found: list[Callable[[str], Part]] = []
    for url, _ in param.component:
        read = _reader("", component_type(url), ())
        if read is None:
            return ()
        found.append(partial(_one, read))
    return tuple(found)


def _one(read: Callable[[list[str]], Part], text: str) -> Part:
    return read([text])
