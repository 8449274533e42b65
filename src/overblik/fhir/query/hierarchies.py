"""References by what is above or below their target: `location:below=42`, `encounter:above=21`.

https://hl7.org/fhir/R4/search.html#recursive. R4 states of four elements called partOf that they are a strict
hierarchy (structuredefinition-hierarchy in its StructureDefinitions); those are followed. What a value stands for
is asked of the store before the search itself: the tree has Levels, and those become Links.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from overblik.fhir.errors import Malformed
from overblik.fhir.query import values
from overblik.fhir.query.tree import MOST_VALUES, All, Chain, Either, Has, Levels, Links, Not, Patients
from overblik.fhir.references import elsewhere, parse_reference

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from overblik.fhir.definitions import SearchParameter
    from overblik.fhir.query.tree import Criterion

PART_OF = {"Location": "partof", "Organization": "partof", "Encounter": "part-of", "CarePlan": "part-of"}
"""By type the parameter that says what one of it is part of."""
_OTHERS = frozenset({"based-on", "replaces"})
"""CarePlan's other references to its like: by them it is not a part of anything."""


def led(param: SearchParameter) -> tuple[str, ...]:
    """Return the types with a hierarchy that a parameter may refer to."""
    if param.type != "reference" or (param.base == ("CarePlan",) and param.code in _OTHERS):
        return ()
    return tuple(target for target in param.target if target in PART_OF)


def levels(param: SearchParameter, modifier: str, value: str) -> Criterion:
    """Read the values of a reference with `:above` or `:below`; a url of elsewhere is canonical (`:below` alone)."""
    kinds = led(param)
    parts = values.split(value)
    if len(parts) > MOST_VALUES:
        text = f"At most {MOST_VALUES} values in {param.code}:{modifier}."
        raise Malformed("search-too-long", text, expression=f"http.{param.code}")
    start: list[tuple[str, str]] = []
    urls: list[str] = []
    for part in parts:
        text = values.plain(part)
        reference = parse_reference(text)
        if reference is not None and not elsewhere(reference) and reference.type in kinds:
            start.append((reference.type, reference.id))
        elif "://" in text and modifier == "below":
            urls.append(part)
        elif "/" in text or ":" in text or not kinds:
            known = " or ".join(f"{kind}/id" for kind in kinds) or "a url"
            raise values.refuse(param.code, f"{param.code}:{modifier} takes {known}, of this server.")
        else:
            start += [(kind, text) for kind in kinds]
    found: list[Criterion] = [values.below(param.code, urls)] if urls else []
    if start:
        found.append(Levels(param.code, modifier == "above", tuple(dict.fromkeys(start))))
    return found[0] if len(found) == 1 else Either(tuple(found))


def asked_of(criteria: Iterable[Criterion]) -> Iterator[Levels]:
    """Walk what of criteria follows a hierarchy, however deep in a chain."""
    for criterion in criteria:
        match criterion:
            case Levels():
                yield criterion
            case Chain() | Has() | Not():
                yield from asked_of([criterion.criterion])
            case Patients(matching=inner) if inner is not None:
                yield from asked_of([inner])
            case Either(several) | All(several):
                yield from asked_of(several)


def resolved(criterion: Criterion, known: Mapping[Levels, tuple[str, ...]]) -> Criterion:
    """Return a criterion with references in the place of hierarchies."""
    match criterion:
        case Levels():
            return Links(criterion.param, known[criterion])
        case Chain() | Has() | Not():
            return replace(criterion, criterion=resolved(criterion.criterion, known))
        case Patients(matching=inner) if inner is not None:
            return replace(criterion, matching=resolved(inner, known))
        case Either(several) | All(several):
            return replace(criterion, criteria=tuple(resolved(one, known) for one in several))
    return criterion
