"""Searches of a population, over the grammar that the server states."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from tests.search.paths import COMPOSITES, PARAMS, Param
from tests.search.people import CODINGS, DATES, INSTANTS, NUMBERS, SYSTEMS, URLS, WORDS, Ids

if TYPE_CHECKING:
    from tests.search.evaluate import Population

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
)
MINUTES = ("2026-11-20T00:00", "2026-10-25T02:30+01:00", "2026-11-20T08:00Z")

tokens = st.sampled_from(TOKENS)
strings = st.sampled_from(PARTS)
dates = st.builds(lambda p, d: p + d, st.sampled_from(PREFIXES), st.sampled_from(DATES + INSTANTS + MINUTES))
numbers = st.builds(lambda p, n: p + n, st.sampled_from(PREFIXES), st.sampled_from(NUMBERS))
quantities = st.builds(lambda n, u: n + u, numbers, st.sampled_from(UNITS))
VALUES = {
    "token": tokens, "string": strings, "date": dates, "number": numbers, "quantity": quantities,
    "uri": st.sampled_from(URLS),
}  # fmt: skip


def several(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Give one value, or some with commas between them."""
    return values | st.lists(values, min_size=2, max_size=3).map(",".join)


class Asker:
    """Draws searches of one population."""

    def __init__(self, draw: st.DrawFn, ids: Ids, population: Population) -> None:
        self.draw = draw
        self.ids = ids
        self.named = {k: [r["id"] for r in population.resources if r["resourceType"] == k] for k in PARAMS}

    def question(self) -> tuple[str, Pairs]:
        """Draw a type and its criteria."""
        kind = self.draw(st.sampled_from(sorted(PARAMS)))
        return kind, [self.criterion(kind) for _ in range(self.draw(st.sampled_from((0, 1, 1, 1, 1, 2, 2, 3))))]

    def criterion(self, kind: str) -> tuple[str, str]:
        """Draw one `name=value`."""
        names = [*PARAMS[kind], *COMPOSITES.get(kind, {}), "_id", "_lastUpdated"]
        name = self.draw(st.sampled_from(names))
        if name == "_id":
            known = st.sampled_from([*self.named[kind], "none"])
            return name, self.draw(several(known))
        if name == "_lastUpdated":
            stated = st.sampled_from(("2026-11-23", "2026-11-23T09:00:00Z", "2026-11-22", "2026"))
            return name, self.draw(st.sampled_from(PREFIXES)) + self.draw(stated)
        if name in COMPOSITES.get(kind, {}):
            _, params = COMPOSITES[kind][name]
            parts = st.tuples(*(VALUES[p.kind] for p in params)).map("$".join)
            return name, self.draw(several(parts))
        param = PARAMS[kind][name]
        if param.kind == "reference":
            return self.reference(name, param)
        return name, self.draw(several(VALUES[param.kind]))

    def reference(self, name: str, param: Param) -> tuple[str, str]:
        """Draw a reference: by id, by type and id, of a type, by identifier."""
        target = self.draw(st.sampled_from(param.targets))
        identifier = self.draw(st.sampled_from([*self.named[target], f"{self.ids.seen}.none"]))
        forms = [(name, f"{target}/{identifier}"), (name, identifier)]
        if name not in {"patient", "subject"}:
            asked = self.draw(st.sampled_from((*(f"{s}|1" for s in SYSTEMS), "1", "urn:x|")))
            forms += [(f"{name}:{target}", identifier), (f"{name}:identifier", asked)]
        chosen: tuple[str, str] = self.draw(st.sampled_from(forms))
        return chosen


@st.composite
def questions(draw: st.DrawFn, ids: Ids, population: Population, most: int) -> list[tuple[str, Pairs]]:
    """Draw some searches."""
    asker = Asker(draw, ids, population)
    return [asker.question() for _ in range(most)]
