"""`_filter` asked of a population: expressions as they are drawn, as they are written, and what they mean."""

from __future__ import annotations

import json
import re
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from overblik.fhir.query.filter import MOST_TESTS
from tests.search import values
from tests.search.evaluate import MATCH, Filter, composite, led, referring, refers
from tests.search.paths import COMPOSITES, PARAMS, found
from tests.search.values import bare, folded, prefixed, texts

if TYPE_CHECKING:
    from overblik.fhir.strict_json import Json
    from tests.search.evaluate import Population
    from tests.search.questions import Asker

ONCE = frozenset({
    ("Observation", "status"), ("Observation", "code"), ("Observation", "value-concept"), ("Observation", "encounter"),
    ("Patient", "gender"), ("Patient", "active"), ("Encounter", "status"), ("Encounter", "class"),
    ("Condition", "code"), ("Condition", "encounter"), ("Condition", "onset-info"), ("Location", "status"),
    ("Observation", "code-value-quantity"),
})  # fmt: skip
"""Parameters of one value, of which `ne` can be asked."""
PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
OPERATORS = {
    "token": ("eq", "eq", "eq", "pr"), "string": ("eq", "co", "sw", "ew", "gt", "lt", "ge", "le", "pr"),
    "date": (*PREFIXES, "po", "co", "pr"), "number": (*PREFIXES, "pr"), "quantity": (*PREFIXES, "pr"),
    "reference": ("re", "re", "eq", "pr"), "uri": ("eq", "pr"), "special": ("eq", "pr"),
}  # fmt: skip


class Step(NamedTuple):
    """A name on a path, and the filter in brackets behind it."""

    name: str
    filter: Tree | None = None


class Asked(NamedTuple):
    """One test."""

    path: tuple[Step, ...]
    operator: str
    value: str


class Tree(NamedTuple):
    """Terms from left to right, each with the word before it; `negated` of the whole."""

    terms: tuple[tuple[str, Tree | Asked], ...]
    negated: bool = False


# -- what it means


def satisfied(tree: Tree | Asked, population: Population, resource: Json) -> bool:
    """Say whether a resource meets an expression, its words taken from left to right."""
    if isinstance(tree, Asked):
        if tree.operator == "pr":
            return along(population, resource, tree, tree.path) == (tree.value == "true")
        return along(population, resource, tree, tree.path)
    result = True
    for word, term in tree.terms:
        one = satisfied(term, population, resource)
        result = result or one if word == "or" else result and one
    return result != tree.negated


def along(population: Population, resource: Json, asked: Asked, path: tuple[Step, ...]) -> bool:
    """Say whether a test holds of something that a path leads to."""
    step, *rest = path
    if not rest:
        return meets(population, resource, step.name, asked.operator, asked.value)
    if step.name.startswith("_has:"):
        _, kind, code = step.name.split(":")
        targets = referring(population, resource, kind, code)
    else:
        targets = led(population, resource, step.name, rest[0].name.partition(":")[0])
    return any(
        (step.filter is None or satisfied(step.filter, population, target))
        and along(population, target, asked, tuple(rest))
        for target in targets
    )


def meets(  # noqa: PLR0911 - one line a kind of parameter
    population: Population, resource: Json, name: str, operator: str, value: str
) -> bool:
    """Say whether a resource has a value that an operator finds; for `pr`, whether it has any."""
    kind = resource["resourceType"]
    if name == "_id":
        return bool((resource["id"] == value) == (operator == "eq"))
    if name == "_lastUpdated":
        return dated(operator, value, population.updated.replace("+00:00", ".000+00:00"))
    if name in COMPOSITES.get(kind, {}):
        equal = composite(resource, name, value)
        return equal if operator == "eq" else not equal and all(found(resource, p) for p in COMPOSITES[kind][name][1])
    param = PARAMS[kind][name.partition(":")[0]]
    stored = found(resource, param)
    if operator == "pr":
        return bool(stored)
    if operator == "ne" and param.kind in {"token", "string", "reference"}:
        return bool(stored) and not meets(population, resource, name, "eq", value)
    if param.kind == "string":
        return any(compared(operator, value, text) for one in stored for text in texts(one))
    if param.kind == "reference":
        code, _, target = name.partition(":")
        return refers(population, resource, code, param, target, value)
    if param.kind == "date":
        return any(dated(operator, value, one) for one in stored)
    if param.kind == "token":
        value = re.sub(r"^loinc\|", "http://loinc.org|", value)
    prefix = operator if param.kind in {"number", "quantity"} else ""
    return any(MATCH[param.kind](prefix + value, one) for one in stored)


def compared(operator: str, value: str, text: str) -> bool:
    """Compare two texts as they are folded."""
    asked, kept = folded(value), folded(text)
    return {
        "eq": kept == asked, "co": asked in kept, "sw": kept.startswith(asked), "ew": kept.endswith(asked),
        "gt": kept > asked, "lt": kept < asked, "ge": kept >= asked, "le": kept <= asked,
    }[operator]  # fmt: skip


def dated(operator: str, value: str, stored: Any) -> bool:
    """Compare dates: by the prefix, or as two periods."""
    if operator not in {"po", "co"}:
        return values.date(operator + value, stored)
    covered, (begin, end) = values.period(stored), values.moment(value)
    if covered is None:
        return False
    start, until = covered
    return (start < end and until > begin) if operator == "po" else (start <= begin and until >= end)


# -- how it is written


def written(asker: Asker, tree: Tree | Asked) -> str:
    """Write an expression, with spaces, parentheses and quotes where they may stand."""
    if isinstance(tree, Asked):
        path = ".".join(
            step.name + (f"[{written(asker, step.filter)}]" if step.filter is not None else "") for step in tree.path
        )
        path = re.sub(r"(_has:\w+:[a-z-]+)\.", r"\1:", path)
        return f"{path} {tree.operator}{asker.pick((' ', ' ', '  '))}{quoted(asker, tree.value)}"
    text = "".join((f" {word} " if word else "") + written_term(asker, term) for word, term in tree.terms)
    return f"not{asker.pick(('', ' '))}({text})" if tree.negated else text


def written_term(asker: Asker, term: Tree | Asked) -> str:
    """Write what stands between words; what has words of its own stands in parentheses."""
    text = written(asker, term)
    group = isinstance(term, Tree) and not term.negated and len(term.terms) > 1
    return f"({text})" if group or asker.pick((True, False, False, False)) else text


def quoted(asker: Asker, value: str) -> str:
    """Write a value: as a JSON string, or bare where it may be."""
    if not re.search(r'[\s\])]|^"', value) and asker.pick((True, False)):
        return value
    return json.dumps(value, ensure_ascii=asker.pick((True, False)))


# -- what is asked


def draw_filter(asker: Asker, kind: str, near: Json | None) -> Filter:
    """Draw a filter of a type, of no more tests than the server takes."""
    tree = draw_tree(asker, kind, near, 0)
    while tests_in(tree) > MOST_TESTS:
        tree = draw_tree(asker, kind, near, 0)
    asked = Filter(written(asker, tree))
    asked.meets = partial(satisfied, tree)
    return asked


def tests_in(tree: Tree | Asked | None) -> int:
    """Count the tests of an expression, with those in brackets on its paths."""
    if isinstance(tree, Asked):
        return 1 + sum(tests_in(step.filter) for step in tree.path)
    return sum(tests_in(term) for _, term in tree.terms) if tree else 0


def draw_tree(asker: Asker, kind: str, near: Json | None, depth: int) -> Tree:
    terms: list[tuple[str, Tree | Asked]] = []
    for _ in range(asker.pick((1, 1, 2, 2, 3))):
        inner = depth < 2 and asker.pick((True, False, False, False))
        term = draw_tree(asker, kind, near, depth + 1) if inner else draw_test(asker, kind, near, depth)
        terms.append((asker.pick(("and", "or")) if terms else "", term))
    return Tree(tuple(terms), asker.pick((True, False, False)))


def draw_test(asker: Asker, kind: str, near: Json | None, depth: int) -> Asked:
    """Draw a test: of the type itself, or along a path."""
    way = asker.pick(("own", "own", "chain", "has")) if depth < 3 else "own"
    links = asker.links(kind, near) if way == "chain" else asker.referring(kind, near) if way == "has" else []
    if not links:
        return draw_own(asker, kind, near)
    code, target, other = asker.pick(links)
    rest = draw_test(asker, target, other, depth + 1)
    if way == "has":
        return rest._replace(path=(Step(f"_has:{target}:{code}"), *rest.path))
    alone = PARAMS[kind][code].targets == (target,) and code not in {"has-member", "derived-from"}
    name = code if alone and asker.pick((True, False)) else f"{code}:{target}"
    beside = draw_tree(asker, target, other, 2) if asker.pick((True, False, False)) else None
    return rest._replace(path=(Step(name, beside), *rest.path))


def draw_own(asker: Asker, kind: str, near: Json | None) -> Asked:
    """Draw a test of a parameter of the type."""
    names = [*PARAMS[kind], *COMPOSITES.get(kind, {}), "_id", "_lastUpdated"]
    said = [name for name, param in PARAMS[kind].items() if near is not None and found(near, param)]
    name = asker.pick(said) if said and asker.mostly() else asker.pick(names)
    once = ("ne",) if (kind, name) in ONCE else ()
    if name == "_id":
        return Asked((Step(name),), asker.pick(("eq", "ne")), asker.pick([*asker.named[kind], "none"]))
    if name == "_lastUpdated":
        moment = asker.pick(("2026-11-23", "2026-11-23T09:00:00Z", "2026-11-22", "2026"))
        return Asked((Step(name),), asker.pick(OPERATORS["date"][:-1]), moment)
    if name in COMPOSITES.get(kind, {}):
        value = values.split(asker.composite(kind, name, near), ",")[0]
        return Asked((Step(name),), asker.pick(("eq", "eq", *once)), value)
    param = PARAMS[kind][name]
    operator = asker.pick((*OPERATORS[param.kind], *once))
    if operator == "pr":
        return Asked((Step(name),), operator, asker.pick(("true", "false")))
    if param.kind == "reference":
        name, value = asker.reference(name, param, near)
        while name.endswith(":identifier"):
            name, value = asker.reference(name.partition(":")[0], param, near)
        return Asked((Step(name),), operator, value)
    return Asked((Step(name),), operator, value_of(asker, kind, name, near))


def value_of(asker: Asker, kind: str, name: str, near: Json | None) -> str:
    """Draw a value as a filter takes it: without a prefix, a text without escapes."""
    value = values.split(asker.modified(kind, name, "", near)[1], ",")[0]
    param_kind = PARAMS[kind][name].kind
    if param_kind in {"date", "number", "quantity"}:
        return prefixed(value)[1]
    if param_kind in {"string", "uri"}:
        return bare(value)
    if param_kind == "token":
        value = value.replace("http://loinc.org|", asker.pick(("http://loinc.org|", "loinc|")))
        return value.replace("\\,", ",") if asker.pick((True, False)) else value
    return value
