"""Which parameters of the server's own a search asks by, and whether they can answer yet."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from overblik.fhir.errors import Unavailable
from overblik.fhir.index.catalogue import INDEXED, STANDARD, used
from overblik.fhir.query.tree import Chain, Has, Patients

if TYPE_CHECKING:
    from collections.abc import Iterator

    from overblik.fhir.index.catalogue import Catalogue
    from overblik.fhir.query.tree import Query


class Asked(NamedTuple):
    """A parameter of a type that a search names; `indexed` where the answer comes from the index."""

    type: str
    code: str
    indexed: bool = True


def catalogue_for(query: Query) -> Catalogue:
    """Return the catalogue that a search needs: STANDARD where the standard's parameters are all it names.

    Unavailable where it asks by one that is still being indexed: it would miss what is not indexed yet.
    """
    known = used()
    own = [one for one in asked(query) if known.find(one.type, one.code) is not None]
    for one in own:
        done = known.indexed(one.type, one.code)
        if one.indexed and done < INDEXED:
            text = f"{one.code!r} of {one.type} is being indexed, {done} % so far; ask again when it is done."
            raise Unavailable("search-parameter-indexing", text, expression=f"http.{one.code}")
    return known if own else STANDARD


def asked(query: Query) -> Iterator[Asked]:
    """Walk every parameter that a search names, through all steps of its chains."""
    yield from _named(query.type, query.criteria)
    for sort in query.sort:
        yield Asked(query.type, sort.param)
    for include in query.includes:
        for code in include.params:
            yield Asked(include.source, code, include.reverse)


def _named(resource_type: str, part: Any) -> Iterator[Asked]:
    """Walk a part of a query tree, whatever it is made of."""
    if isinstance(part, tuple):
        for one in part:
            yield from _named(resource_type, one)
        return
    if not is_dataclass(part):
        return
    inner = part.type if isinstance(part, (Chain, Has)) else "Patient" if isinstance(part, Patients) else resource_type
    if code := getattr(part, "param", ""):
        yield Asked(inner if isinstance(part, Has) else resource_type, code.partition(":")[0])
    for one in fields(part):
        yield from _named(inner, getattr(part, one.name))
