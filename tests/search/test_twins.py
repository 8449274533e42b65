"""A parameter that is defined as one of the standard's finds what that one finds, in the same order.

Some of each type get a twin, drawn anew for every third population: once what is there has to be indexed, and
then what comes is indexed as it is written. `--oracle N` asks a tenth of N searches.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overblik.fhir.index.parameters import standards
from tests.api.test_search_parameters import index
from tests.api.test_transaction import bundle, entry
from tests.conftest import DRAWN
from tests.fhir.test_definitions_of_parameters import restated
from tests.search.paths import COMPOSITES, PARAMS
from tests.search.people import populations
from tests.search.questions import Pairs, questions
from tests.search.test_oracle import pages, write

if TYPE_CHECKING:
    from tests.conftest import World

EACH = 20
ROUND = 6
LASTING = 3
"""Populations that one draw of twins sees."""
MOST = 6
"""Twins of one type: as many again may still be on their way out."""
OF_RECORDS = {"patient", "subject", "near"}
"""What is more than an expression says: whose record something is in, and distances."""
CAN = {
    kind: sorted((params.keys() | COMPOSITES.get(kind, {}).keys()) & standards(kind).keys() - OF_RECORDS)
    for kind, params in PARAMS.items()
}


@dataclass
class Twins:
    """Which parameters have a twin now, and the resources that define them."""

    codes: dict[str, set[str]] = field(default_factory=dict)
    ids: list[str] = field(default_factory=list)
    seen: int = 0

    async def define(self, world: World, codes: dict[str, set[str]]) -> None:
        """Withdraw the twins there are, and define others, in one transaction."""
        stated = [
            restated(kind, standards(kind)[code]) | {"code": name_of(code)}
            for kind, chosen in codes.items()
            for code in sorted(chosen)
        ]
        entries = [entry("DELETE", f"SearchParameter/{identifier}") for identifier in self.ids]
        response = await world.post(
            "", world.system(), bundle(*entries, *(entry("POST", "SearchParameter", one) for one in stated))
        )
        assert response.status_code == 200, response.text
        places = [one["response"]["location"] for one in response.json()["entry"][len(entries) :]]
        self.ids = [place.split("SearchParameter/")[1].split("/")[0] for place in places]
        self.codes = codes

    def of(self, kind: str, code: str) -> str:
        """Return the code of a parameter's twin, or its own where it has none."""
        return name_of(code) if code in self.codes.get(kind, ()) else code

    def name(self, kind: str, name: str) -> str:
        """Return a search's parameter with twins in place of what has one, along its chains."""
        if name.startswith("_has:"):
            _, other, code, rest = name.split(":", 3)
            return f"_has:{other}:{self.of(other, code)}:{self.name(other, rest)}"
        step, dot, rest = name.partition(".")
        code, colon, more = step.partition(":")
        inner = self.name(more, rest) if dot and more else rest
        return self.of(kind, code) + colon + more + dot + inner

    def pairs(self, kind: str, pairs: Pairs) -> Pairs:
        """Return a search with twins in it."""
        return [(self.name(kind, n), self.sort(kind, v) if n == "_sort" else v) for n, v in pairs]

    def sort(self, kind: str, value: str) -> str:
        keys = [(key[: key.startswith("-")], key.removeprefix("-")) for key in value.split(",")]
        return ",".join(sign + self.of(kind, code) for sign, code in keys)


def name_of(code: str) -> str:
    """Return the code of a twin; only what finds identifiers may and must say so at its end."""
    return f"x{code.replace('_', '-')}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give as many rounds as the searches asked for need."""
    if "turn" in metafunc.fixturenames:
        wanted = int(metafunc.config.getoption("--oracle")) // 10
        turns = range(max(1, wanted // (EACH * ROUND)))
        metafunc.parametrize("turn", [pytest.param(n, marks=[pytest.mark.long] if n else []) for n in turns])


@pytest.fixture
def twins() -> Twins:
    return Twins()


@settings(DRAWN, max_examples=ROUND)
@given(data=st.data())
async def test_a_twin_finds_what_its_like_of_the_standard_finds(
    world: World, twins: Twins, turn: int, data: st.DataObject
) -> None:
    assert turn >= 0
    ids, population = data.draw(populations())
    await write(world, ids, population)
    if twins.seen % LASTING == 0:
        drawn = {kind: data.draw(st.permutations(codes)) for kind, codes in CAN.items()}
        await twins.define(world, {kind: set(codes[:MOST]) for kind, codes in drawn.items()})
        await index(world)
    twins.seen += 1
    for kind, pairs in data.draw(questions(ids, population, EACH)):
        asked = twins.pairs(kind, pairs)
        wanted = await pages(world, ids, f"/{kind}?{urlencode([*pairs, ('_count', '1000')])}")
        got = await pages(world, ids, f"/{kind}?{urlencode([*asked, ('_count', '1000')])}")
        assert got == wanted, (kind, pairs, asked)
