"""Value sets and hierarchies of codes: those of the loaded definitions, and any ValueSet that is given.

https://hl7.org/fhir/R4/valueset.html#compositions. What is not loaded (SNOMED CT, LOINC) is not guessed at:
a value set that needs it is refused with a sentence that says so.
"""

from __future__ import annotations

import gzip
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from overblik.fhir.strict_json import Json

MOST_CODES = 2_000
"""Codes of a value set that is searched by."""
MOST_LOOKED_AT = 40_000
"""Codes that are looked at to expand all the ValueSets held here that one search names."""
MOST_DEPTH = 6
"""Value sets that a value set is made of, one within the other."""
Codes = frozenset[tuple[str, str]]
"""(system, code)"""


class NotLoaded(Exception):
    """What is not loaded, or cannot be expanded; the text is a sentence for whoever asked."""


class System(NamedTuple):
    """A complete code system: the codes right below and right above each code."""

    version: str
    below: dict[str, tuple[str, ...]]
    above: dict[str, tuple[str, ...]]


class _Held:
    """ValueSets by the names they were asked for: each is expanded once, and all of them within one bound."""

    def __init__(self, value_sets: Mapping[str, Json]) -> None:
        self.value_sets = value_sets
        self._codes: dict[str, Codes] = {}
        self._left = MOST_LOOKED_AT

    def codes(self, name: str) -> Codes:
        """Return the codes of one of them; raise NotLoaded."""
        if name not in self._codes:
            self._codes[name] = _expanded(rules(self.value_sets[name]), name, (), self)
        return self._codes[name]

    def look(self, codes: int, name: str) -> None:
        """Count codes that are looked at; raise NotLoaded where they are too many."""
        self._left -= codes
        if self._left < 0:
            raise NotLoaded(f"{name[:100]} is made of too much to be expanded.")


_held: ContextVar[_Held | None] = ContextVar("value sets", default=None)


@contextmanager
def holding(value_sets: Mapping[str, Json]) -> Iterator[None]:
    """Let these ValueSets be known inside the block, by the names they were asked for."""
    token = _held.set(_Held(value_sets))
    try:
        yield
    finally:
        _held.reset(token)


def knows(canonical: str) -> bool:
    """Say whether the definitions have a value set, in that version where one is stated."""
    url, _, version = canonical.partition("|")
    known = _loaded()["sets"].get(url)
    return known is not None and version in {"", known["v"]}


def value_set(canonical: str) -> Codes:
    """Return the codes of a value set, by `url` or `url|version`; raise NotLoaded."""
    held = _held.get()
    found = held.codes(canonical) if held is not None and canonical in held.value_sets else _defined(canonical)
    if len(found) > MOST_CODES:
        raise NotLoaded(f"{canonical[:100]} has more than {MOST_CODES} codes.")
    return found


@lru_cache(maxsize=200)
def _defined(canonical: str, within: tuple[str, ...] = ()) -> Codes:
    if not knows(canonical):
        raise NotLoaded(f"The value set {canonical[:100]!r} is neither among the definitions nor held here.")
    return _expanded(_loaded()["sets"][canonical.partition("|")[0]], canonical, within)


def rules(resource: Json) -> Json:
    """Return the rules of a ValueSet, as the definitions have them (scripts/compile_definitions.py)."""
    composed = resource.get("compose", {})
    found = {"in": [_rule(part) for part in composed.get("include", [])]}
    if excluded := composed.get("exclude"):
        found["ex"] = [_rule(part) for part in excluded]
    if not found["in"]:
        listed: dict[str, list[str]] = {}
        for system, code in _contained(resource.get("expansion", {}).get("contains", [])):
            listed.setdefault(system, []).append(code)
        found["in"] = [{"s": system, "c": codes} for system, codes in listed.items()]
    return found


def _rule(part: Json) -> Json:
    said: Json = {"s": part.get("system", "")}
    if "concept" in part:
        said["c"] = [concept["code"] for concept in part["concept"] if "code" in concept]
    if "filter" in part:
        said["f"] = [[one.get(name, "") for name in ("property", "op", "value")] for one in part["filter"]]
    if "valueSet" in part:
        said["u"] = part["valueSet"]
    return said


def _contained(entries: list[Json]) -> Iterator[tuple[str, str]]:
    for entry in entries:
        if "code" in entry and not entry.get("abstract"):
            yield entry.get("system", ""), entry["code"]
        yield from _contained(entry.get("contains", []))


def _expanded(said: Json, name: str, within: tuple[str, ...], held: _Held | None = None) -> Codes:
    """Return the codes of some rules; what is `held` here, and not defined, is bounded."""
    if name in within or len(within) >= MOST_DEPTH:
        raise NotLoaded(f"{name[:100]} is made of too much to be expanded.")
    if not said["in"]:
        raise NotLoaded(f"{name[:100]} does not say which codes it has.")
    found: set[tuple[str, str]] = set()
    for part in said["in"]:
        found |= _codes(part, name, within, held)
    for part in said.get("ex", ()):
        found -= _codes(part, name, within, held)
    return frozenset(found)


def _codes(part: Json, name: str, within: tuple[str, ...], held: _Held | None) -> Codes:
    """Return the codes that one rule names: all its conditions hold."""
    sets: list[Codes] = []
    for url in part.get("u", ()):
        sets.append(_defined(str(url), (*within, name)))
        _look(held, len(sets[-1]), name)
    if part["s"]:
        sets.append(frozenset((part["s"], code) for code in _of_system(part, name, held)))
    if not sets:
        raise NotLoaded(f"{name[:100]} has a rule that names no system.")
    return frozenset.intersection(*sets)


def _look(held: _Held | None, codes: int, name: str) -> None:
    if held is not None:
        held.look(codes + 1, name)


def _of_system(part: Json, name: str, held: _Held | None) -> set[str]:
    url = part["s"]
    if "c" in part:
        _look(held, len(part["c"]), name)
        return set(part["c"])
    known = _system(url)
    if known is None:
        raise NotLoaded(f"{name[:100]} needs {url}, which is not loaded; ask for the codes themselves.")
    _look(held, len(known.below), name)
    found = set(known.below)
    for prop, operator, value in part.get("f", ()):
        _look(held, len(known.below), name)
        if prop not in {"concept", "code"} or operator not in _FILTERS:
            raise NotLoaded(f"{name[:100]} picks codes by {prop} {operator}, which is not done here.")
        inside = set(below(url, value)) if value in known.below else set()
        keep, itself = _FILTERS[operator]
        inside = inside if itself else inside - {value}
        found = found & inside if keep else found - inside
    return found


_FILTERS = {"is-a": (True, True), "descendent-of": (True, False), "is-not-a": (False, True)}
"""Whether what lies below a code is kept or left out, and whether the code itself is among it."""


def below(system: str, code: str) -> tuple[str, ...]:
    """Return a code and all that it subsumes; raise NotLoaded."""
    known = _with(system, code)
    return _reached(code, known.below)


def above(system: str, code: str) -> tuple[str, ...]:
    """Return a code and all that subsume it; raise NotLoaded."""
    known = _with(system, code)
    return _reached(code, known.above)


def _with(system: str, code: str) -> System:
    known = _system(system)
    if known is None:
        raise NotLoaded(f"The hierarchy of {system[:100]!r} is not loaded; ask for the codes themselves.")
    if code not in known.below:
        raise NotLoaded(f"{system[:100]} has no code {code[:40]!r}.")
    return known


def _reached(code: str, steps: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    found = {code: None}
    waiting = [code]
    while waiting:
        new = [one for one in steps[waiting.pop()] if one not in found]
        found |= dict.fromkeys(new)
        waiting += new
    return tuple(found)


@cache
def _system(url: str) -> System | None:
    stated = _loaded()["systems"].get(url)
    if stated is None:
        return None
    edges: list[tuple[str, str]] = [(parent, child) for parent, child in stated.get("also", ())]
    path: list[str] = []
    codes: dict[str, None] = {}
    for line in stated["codes"]:
        code = line.lstrip("\t")
        path[len(line) - len(code) :] = [code]
        codes[code] = None
        edges += [(path[-2], code)] if len(path) > 1 else []
    under: dict[str, list[str]] = {code: [] for code in codes}
    over: dict[str, list[str]] = {code: [] for code in codes}
    for parent, child in edges:
        if parent in codes and child in codes:
            under[parent].append(child)
            over[child].append(parent)
    return System(stated["v"], {c: tuple(v) for c, v in under.items()}, {c: tuple(v) for c, v in over.items()})


@cache
def _loaded() -> dict[str, Any]:
    packed = resources.files("overblik.fhir").joinpath("data/terminology.json.gz").read_bytes()
    return dict(orjson.loads(gzip.decompress(packed)))
