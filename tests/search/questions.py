"""Searches of a population, over the grammar that the server states."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeVar

from hypothesis import strategies as st

from tests.search.evaluate import PART_OF, downwards, unversioned, upwards
from tests.search.filters import draw_filter
from tests.search.paths import COMPOSITES, PARAMS, SHARED, Param, found, walk
from tests.search.people import CODINGS, DATES, INSTANTS, NUMBERS, PLACES, SYSTEMS, URLS, WORDS, Ids
from tests.search.values import BELOW, MEASURES, SETS, UCUM, codings, texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from overblik.fhir.strict_json import Json
    from tests.search.evaluate import Population

ANY = frozenset({"focus", "evidence-detail"})
"""References to any type, of which a chain must say which."""
SEVERAL = frozenset({"has-member", "derived-from"})
"""References to types that are not asked about here, of which some refer to any type."""
T = TypeVar("T")
Pairs = list[tuple[str, str]]
PREFIXES = ("", "", "", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")


def escape(text: str) -> str:
    """Escape what would separate."""
    return "".join("\\" + char if char in "\\,|$" else char for char in text)


def _tokens() -> list[str]:
    found = ["female", "true", "final", "home", "finished", "+45 1", "phone", "1", "urn:x|1", "|1", r"a\|b", "none"]
    for coding in CODINGS:
        system, code = coding.get("system", ""), escape(coding.get("code", ""))
        found += [code, f"{system}|{code}", f"|{code}"] if code else [f"{system}|"]
    return found


TOKENS = tuple(dict.fromkeys(_tokens()))
PARTS = tuple(dict.fromkeys(escape(word[:n]) for word in WORDS for n in (1, 2, 4, 20)))
UNITS = (
    "",
    "",
    "|http://unitsofmeasure.org|kg",
    "||kg",
    "||kilo",
    "|http://unitsofmeasure.org|g",
    "||mm[Hg]",
    "|urn:x|kg",
    "|http://unitsofmeasure.org|[pH]",
    *(f"|{UCUM}|{code}" for code in MEASURES),
)
MINUTES = ("2026-11-20T00:00", "2026-10-25T02:30+01:00", "2026-11-20T08:00Z")

tokens = st.sampled_from(TOKENS)
strings = st.sampled_from(PARTS)
dates = st.builds(lambda p, d: p + d, st.sampled_from(PREFIXES), st.sampled_from(DATES + INSTANTS + MINUTES))
numbers = st.builds(lambda p, n: p + n, st.sampled_from(PREFIXES), st.sampled_from(NUMBERS))
quantities = st.builds(lambda n, u: n + u, numbers, st.sampled_from(UNITS))
places = st.builds(
    lambda place, far: f"{place[0]}|{place[1]}{far}", st.sampled_from(PLACES),
    st.sampled_from(("", "|1|m", "|2400|m", "|2.6", "|2.6|km", "|1.5|[mi_i]", "|15|km", "|200|km", "|9000|km", "|20100",
                     "|0.5||", "||m"))
    .map(lambda far: far.rstrip("|")),
)  # fmt: skip
VALUES = {
    "token": tokens, "string": strings, "date": dates, "number": numbers, "quantity": quantities,
    "uri": st.sampled_from(URLS), "special": places,
}  # fmt: skip


def several(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Give one value, or some with commas between them."""
    return values | st.lists(values, min_size=2, max_size=3).map(",".join)


MODIFIERS = {
    "token": ("missing", "not", "not", "text", "text", "in", "not-in", "below", "above"),
    "string": ("missing", "exact", "contains"),
    "uri": ("missing", "below", "above"),
    **dict.fromkeys(("date", "number", "quantity", "reference", "special"), ("missing",)),
}
_BELOW = st.sampled_from(("http://x", "http://x/a", "http://x/a/", "http://x/a/b/c", "http://x/a/b/c/d", "http://y/a"))
MODIFIED = {
    "text": strings, "exact": st.sampled_from([escape(word) for word in (*WORDS, "Bo", "bo ib")]),
    "contains": st.sampled_from(tuple(dict.fromkeys(escape(w[i:]) for w in WORDS for i in (1, 2) if w[i:].strip()))),
    "below": _BELOW, "above": _BELOW, "in": st.sampled_from(tuple(SETS)), "not-in": st.sampled_from(tuple(SETS)),
}  # fmt: skip
_LEVELS = st.sampled_from([f"{system}|{code}" for system, known in BELOW.items() for code in known])


class Asker:
    """Draws searches of one population, most of them after what some resource says."""

    def __init__(self, draw: st.DrawFn, ids: Ids, population: Population) -> None:
        self.draw = draw
        self.ids = ids
        self.population = population
        self.named = {k: [r["id"] for r in population.resources if r["resourceType"] == k] for k in PARAMS}

    def pick(self, items: Sequence[T]) -> T:
        """Draw one of some."""
        return self.draw(st.sampled_from(items))

    def mostly(self) -> bool:
        """Draw whether to go by what a resource says."""
        return self.pick((True, True, True, False))

    def question(self) -> tuple[str, Pairs]:
        """Draw a type and its criteria."""
        near = self.pick(self.population.resources)
        kind = near["resourceType"]
        criteria = [self.criterion(kind, near) for _ in range(self.pick((0, 1, 1, 1, 1, 2, 2, 3)))]
        if self.pick((True, False, False, False)):
            criteria = [("_filter", draw_filter(self, kind, near)), *criteria[:1]]
        return kind, criteria + ([("_sort", self.sort(kind))] if self.pick((True, False, False, False)) else [])

    def sort(self, kind: str) -> str:
        """Draw up to four keys."""
        known = [name for name, param in PARAMS[kind].items() if param.kind != "special"] + ["_id", "_lastUpdated"]
        return ",".join(self.pick(("", "-")) + self.pick(known) for _ in range(self.pick((1, 1, 2, 3, 4))))

    def criterion(self, kind: str, near: Json | None, depth: int = 0) -> tuple[str, str]:
        """Draw one `name=value`: of the type itself, or along a chain."""
        way = self.pick(("own", "own", "chain", "has")) if depth < 3 else "own"
        if way == "chain" and (links := self.links(kind, near)):
            code, target, other = self.pick(links)
            name, value = self.criterion(target, other, depth + 1)
            several = len(PARAMS[kind][code].targets) > 1 or code in SEVERAL
            untyped = code not in ANY and (
                not several or ("." not in name and not name.startswith("_has:") and ":" not in name)
            )
            return (f"{code}.{name}" if untyped and self.pick((True, False)) else f"{code}:{target}.{name}"), value
        if way == "has" and (links := self.referring(kind, near)):
            code, target, other = self.pick(links)
            name, value = self.criterion(target, other, depth + 1)
            return f"_has:{target}:{code}:{name}", value
        return self.own(kind, near)

    def links(self, kind: str, near: Json | None) -> list[tuple[str, str, Json | None]]:
        """Return (parameter, type, resource) of what a resource refers to, or could."""
        found: list[tuple[str, str, Json | None]] = []
        for code, param in PARAMS[kind].items():
            for reference in references(near, param):
                found += [
                    (code, r["resourceType"], r)
                    for r in self.population.resources
                    if name_of(r) == unversioned(reference)
                ]
        return found or ([] if self.mostly() else [(c, t, None) for c, p in PARAMS[kind].items() for t in p.targets])

    def referring(self, kind: str, near: Json | None) -> list[tuple[str, str, Json | None]]:
        """Return (parameter, type, resource) of what refers to a resource, or could."""
        known = [(c, t, p) for t, ps in PARAMS.items() for c, p in ps.items() if kind in p.targets]
        known = [k for k in known if kind not in SHARED or k[1] in SHARED]  # nobody's asks nothing of patients' data
        found: list[tuple[str, str, Json | None]] = [
            (code, other, r)
            for code, other, param in known
            for r in self.population.resources
            if near is not None
            and r["resourceType"] == other
            and name_of(near) in map(unversioned, references(r, param))
        ]
        return found or ([] if self.mostly() else [(code, other, None) for code, other, _ in known])

    def own(self, kind: str, near: Json | None) -> tuple[str, str]:
        """Draw one `name=value` of the type itself."""
        names = [*PARAMS[kind], *COMPOSITES.get(kind, {}), "_id", "_lastUpdated"]
        said = [name for name, param in PARAMS[kind].items() if near is not None and stored(near, param)]
        name = self.pick(said) if said and self.mostly() else self.pick(names)
        if name == "_id":
            return name, self.draw(several(st.sampled_from([*self.named[kind], "none"])))
        if name == "_lastUpdated":
            return name, self.pick(PREFIXES) + self.pick(("2026-11-23", "2026-11-23T09:00:00Z", "2026-11-22", "2026"))
        if name in COMPOSITES.get(kind, {}):
            return name, self.composite(kind, name, near)
        param = PARAMS[kind][name]
        modifier = self.pick(("", "", *MODIFIERS[param.kind], *(["of-type"] if name == "identifier" else [])))
        if modifier == "missing":
            return f"{name}:missing", self.pick(("true", "false"))
        if param.kind == "reference":
            return self.reference(name, param, near)
        return self.modified(kind, name, modifier, near)

    def modified(self, kind: str, name: str, modifier: str, near: Json | None) -> tuple[str, str]:
        """Draw a value, with a modifier."""
        param = PARAMS[kind][name]
        if modifier == "of-type":
            typed = self.pick(("urn:x|a|1", "urn:x|b|1", "http://loinc.org|a|2"))
            return "identifier:of-type", typed
        values = MODIFIED.get(modifier, VALUES[param.kind])
        if param.kind == "token" and modifier in {"in", "not-in", "below", "above"}:
            return f"{name}:{modifier}", self.draw(several(_LEVELS if modifier in {"below", "above"} else values))
        said = stored(near, param) if near is not None else []
        said = [value for value in said if not str(value).startswith("urn:")]
        if said and self.mostly():
            values = st.just(asked_of(self.draw, param.kind, modifier, self.pick(said)))
        return f"{name}:{modifier}" if modifier else name, self.draw(several(values))

    def composite(self, kind: str, name: str, near: Json | None) -> str:
        """Draw parts, mostly those of one element."""
        places, params = COMPOSITES[kind][name]
        elements = [element for place in places for element in walk(near, place)] if near is not None else []
        full = [e for e in elements if all(stored(e, p) for p in params)]
        if full and self.mostly():
            element = self.pick(full)
            return "$".join(asked_of(self.draw, p.kind, "", self.pick(stored(element, p))) for p in params)
        return self.draw(several(st.tuples(*(VALUES[p.kind] for p in params)).map("$".join)))

    def reference(self, name: str, param: Param, near: Json | None) -> tuple[str, str]:
        """Draw a reference: by id, by type and id, of a type, by identifier."""
        target = self.pick(param.targets)
        identifier = self.pick([*self.named[target], f"{self.ids.seen}.none"])
        said = references(near, param)
        if said and self.mostly():
            text = self.pick(said)
            if "/_history/" in text or "://" in text:
                return name, self.pick((text, unversioned(text)))
            target, _, identifier = text.partition("/")
        forms = [
            (name, f"{target}/{identifier}"),
            (name, identifier),
            (f"{name}:{target}", identifier),
            (name, f"http://test/fhir/{target}/{identifier}"),
            (name, f"http://other/fhir/{target}/{identifier}"),
        ]
        if len(levels := [one for one in param.targets if one in PART_OF]) == 1:
            forms += [self.level(name, levels[0], said)] * 3
        if name not in {"patient", "subject"}:
            forms += [(f"{name}:identifier", self.pick((*(f"{s}|1" for s in SYSTEMS), "1", "urn:x|")))]
        return self.pick(forms)

    def level(self, name: str, kind: str, said: list[str]) -> tuple[str, str]:
        """Draw a place in a hierarchy, mostly one on the way that what is said lies on."""
        way = self.pick(("below", "above"))
        known = [f"{kind}/{identifier}" for identifier in (*self.named[kind], f"{self.ids.seen}.none")]
        own = [one for one in map(unversioned, said) if one in known]
        if own:
            known = sorted((upwards if way == "below" else downwards)(self.population, self.pick(own)))
        named = self.pick(known)
        return f"{name}:{way}", self.pick((named, named.partition("/")[2], f"http://test/fhir/{named}"))


def name_of(resource: Json) -> str:
    """Return `Type/id`."""
    return f"{resource['resourceType']}/{resource['id']}"


def stored(near: Json, param: Param) -> list[Any]:
    """Return the values a resource has of a parameter, less those without anything to ask for."""
    return [value for value in found(near, param) if value not in ({}, [])]


def references(near: Json | None, param: Param) -> list[str]:
    """Return the literal references of a parameter."""
    if near is None or param.kind != "reference":
        return []
    return [r["reference"] for r in found(near, param) if "reference" in r]


def asked_of(draw: st.DrawFn, kind: str, modifier: str, value: Any) -> str:
    """Draw how a stored value can be asked for, or nearly so."""
    if kind == "token" and modifier != "text":
        system, code = draw(st.sampled_from(codings(value) or [("", "a")]))
        code = escape(code)
        forms = [code, f"{system}|{code}", f"{system}|", f"|{code}"] if code else [f"{system}|"]
        return str(draw(st.sampled_from(forms)))
    if kind in {"token", "string"}:
        known = texts(value) if kind == "string" else [*walk(value, "coding.display"), *walk(value, "text")]
        known = [text for text in known if text.strip()] or ["a"]
        text = draw(st.sampled_from(known))
        begin = draw(st.sampled_from((0, 1))) if modifier == "contains" else 0
        end = len(text) if modifier == "exact" else draw(st.integers(2, 20))
        return escape(text[begin:end] if text[begin:end].strip() else text)
    if kind == "date":
        text = draw(st.sampled_from([value] if isinstance(value, str) else list(value.values())))
        cut = draw(st.sampled_from((4, 7, 10, 99)))
        return f"{draw(st.sampled_from(PREFIXES))}{text[:cut]}"
    if kind in {"uri", "special"}:
        far = draw(st.sampled_from(("|1|m", "|2.6|km", "|15", "|200|km")))
        return str(value) if kind == "uri" else f"{value['latitude']}|{value['longitude']}{far}"
    if kind == "number":
        return f"{draw(st.sampled_from(PREFIXES))}{value}"
    digits, unit = draw(st.sampled_from(measured(value)) | st.just((str(value["value"]), "")))
    unit = unit or draw(st.sampled_from((*UNITS[:6], f"||{value.get('unit', 'kg')}")))
    return f"{draw(st.sampled_from(PREFIXES))}{digits}{unit}"


def measured(value: Json) -> list[tuple[str, str]]:
    """Return a stored quantity in every unit that measures the same, to seven digits, and as it stands."""
    found = [(str(value["value"]), "")]
    own = MEASURES.get(value.get("code", "")) if value.get("system") == UCUM else None
    for code, (base, factor, zero) in MEASURES.items():
        if own is not None and own[0] == base:
            exact = (Fraction(str(value["value"])) * own[1] + own[2] - zero) / factor
            found.append((f"{Decimal(exact.numerator) / Decimal(exact.denominator):.7g}", f"|{UCUM}|{code}"))
    return found


@st.composite
def questions(draw: st.DrawFn, ids: Ids, population: Population, most: int) -> list[tuple[str, Pairs]]:
    """Draw some searches."""
    asker = Asker(draw, ids, population)
    return [asker.question() for _ in range(most)]
