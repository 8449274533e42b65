"""The index row of one resource."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

from overblik.fhir.dates import Interval
from overblik.fhir.fhirpath import Item
from overblik.fhir.index.digests import Digest, measure, pair, reference, token, tokens
from overblik.fhir.index.extract import Composite, extractors
from overblik.fhir.index.parameters import headline_date, headline_token, measured, places
from overblik.fhir.index.values import (
    codings_of,
    exact_texts_of,
    fold,
    interval_of,
    links_of,
    logical_of,
    measured_of,
    place_of,
    span_of,
    typed_of,
    words_of,
)
from overblik.fhir.protection import findable

if TYPE_CHECKING:
    from overblik.fhir.index.extract import Component, Simple
    from overblik.fhir.strict_json import Json

LONGEST_URL = 1000
"""Characters of a url that can be searched by a part of it."""
WIDEST = timedelta(days=32)
"""A headline date wider than this stands in a narrow row, so that a search by the columns can be bounded."""


class Narrow(NamedTuple):
    """One row of a narrow table: a date's instants, a number's bounds, a place, or a text as `lo`.

    `part` numbers the element it comes from, `marks` are digests of what stands beside it there: the
    unit, and the codes of a composite.
    """

    code: str
    lo: Any
    hi: Any = None
    part: int = 0
    marks: tuple[int, ...] = ()


@dataclass(slots=True)
class IndexRow:
    """What is indexed of one resource.

    `words` has the proof of every digest used, `headline` the codes by which the type is listed.
    `span` is the headline date where one short interval tells all of it. `present` has a bit for
    each parameter that has a value (`parameters.places`). `vocabulary` has (code, text, token) of
    what is searched by a part of it and found by its token.
    """

    tokens: dict[int, int] = field(default_factory=dict)
    marks: dict[int, int] = field(default_factory=dict)
    headline: list[int] = field(default_factory=list)
    dates: list[Narrow] = field(default_factory=list)
    numbers: list[Narrow] = field(default_factory=list)
    strings: list[Narrow] = field(default_factory=list)
    clinical: Interval | None = None
    sort: Interval | None = None
    span: Interval | None = None
    present: int = 0
    vocabulary: set[tuple[str, str, int]] = field(default_factory=set)

    @property
    def words(self) -> dict[int, int]:
        """Every digest with its proof."""
        return self.tokens | self.marks


def index_row(resource: Json, key: bytes) -> IndexRow:
    """Extract the index row of a resource; `key` makes the digests useless without it."""
    return _Builder(findable(resource), key).build()


class _Builder:
    """Evaluates the closures of one type and collects what they find."""

    def __init__(self, resource: Json, key: bytes) -> None:
        self.resource = resource
        self.type = str(resource["resourceType"])
        self.key = key
        self.row = IndexRow()
        self.seen: set[str] = set()
        self.listed = headline_token(self.type)

    def build(self) -> IndexRow:
        known = extractors(self.type)
        items = [Item(self.type, self.resource)]
        for extractor in known.always:
            self.extract(extractor, items)
        for name in self.resource:
            for extractor in known.by_key.get(name, ()):
                self.extract(extractor, items)
        self.finish()
        return self.row

    def extract(self, extractor: Simple | Composite, items: list[Item]) -> None:
        if isinstance(extractor, Composite):
            for part, item in enumerate(extractor.find(items)):
                self.compose(extractor, part, item, items)
            return
        code, kind, find = extractor
        keep = getattr(self, kind)
        for item in find(items):
            keep(code, item)
            self.seen.add(code)

    def note(self, digest: Digest) -> int:
        self.row.tokens[digest.value] = digest.proof
        return digest.value

    def mark(self, digest: Digest) -> int:
        self.row.marks[digest.value] = digest.proof
        return digest.value

    def token(self, code: str, item: Item) -> None:
        for system, value in codings_of(item):
            digests = tokens(self.key, self.type, code, system, value)
            for digest in digests:
                self.row.tokens[digest.value] = digest.proof
            if code == self.listed and value and digests[0].value not in self.row.headline:
                self.row.headline.append(digests[0].value)
        for system, value in typed_of(item):
            self.note(token(self.key, self.type, code + ":of-type", system, value))
        for text in dict.fromkeys(words_of(item)):
            self.word(code + ":text", text)

    def word(self, code: str, text: str) -> None:
        """Note a text under which a token is found: few are different, so they stand in a table of their own."""
        digest = self.note(token(self.key, self.type, code, None, text))
        self.row.vocabulary.add((code, text, digest))

    def uri(self, code: str, item: Item) -> None:
        if isinstance(item.value, str):
            if item.value.startswith("urn:") or len(item.value) > LONGEST_URL:
                self.note(token(self.key, self.type, code, None, item.value))
            else:
                self.word(code, item.value)
            url, mark, _ = item.value.partition("|")
            if mark and item.type == "canonical":
                self.uri(code, item._replace(value=url))

    def reference(self, code: str, item: Item) -> None:
        for target in links_of(item):
            self.note(reference(self.key, self.type, code, target))
        if isinstance(item.value, str):
            self.uri(code, item)
        if (logical := logical_of(item)) is not None:
            for digest in tokens(self.key, self.type, code + ":identifier", *logical):
                self.note(digest)

    def date(self, code: str, item: Item, part: int = 0, marks: tuple[int, ...] = ()) -> None:
        interval = interval_of(item.type, item.value)
        if interval is not None:
            self.row.dates.append(Narrow(code, interval.start, interval.end, part, marks))

    def number(self, code: str, item: Item, part: int = 0, marks: tuple[int, ...] = ()) -> None:
        span = span_of(item)
        if span is not None:
            if (converted := measured_of(item)) is not None:
                base, (lo, hi, _) = converted
                kept = (*marks, self.mark(measure(self.key, base)))
                self.row.numbers.append(Narrow(measured(code), lo, hi, part, kept))
            for system, unit in span.units:
                forms = [(None, unit), (system, unit)] if system else [(None, unit)]
                marks += tuple(self.mark(token(self.key, "", "unit", s, v)) for s, v in forms)
            self.row.numbers.append(Narrow(code, span.lo, span.hi, part, marks))

    quantity = number

    def special(self, code: str, item: Item) -> None:
        """Keep a position (`near` of a Location), its latitude as `lo` and its longitude as `hi`."""
        if (place := place_of(item)) is not None:
            self.row.numbers.append(Narrow(code, *place))

    def string(self, code: str, item: Item, part: int = 0, marks: tuple[int, ...] = ()) -> None:
        for text in dict.fromkeys(exact_texts_of(item)):
            if folded := fold(text):
                self.row.strings.append(Narrow(code, folded, None, part, marks))
            if not code.endswith("$"):  # a further part of a composite, which has no name of its own
                self.note(token(self.key, self.type, code + ":exact", None, text))

    def compose(self, composite: Composite, part: int, item: Item, items: list[Item]) -> None:
        """Keep one element of a composite: its tokens as a pair, or as marks beside its values."""
        found = [c.find(items if c.whole else [item]) for c in composite.components]
        if not all(found):
            return
        code = composite.code
        self.seen.add(code)
        coded = [(c, f) for c, f in zip(composite.components, found, strict=True) if c.kind in _CODED]
        forms = list(product(*(_forms(component, values) for component, values in coded)))
        if len(coded) == len(found):
            for chosen in forms:
                self.note(pair(self.key, self.type, code, chosen))
            return
        marks = tuple(self.mark(pair(self.key, self.type, code, chosen)) for chosen in forms)
        place = 0
        for component, values in zip(composite.components, found, strict=True):
            if component.kind not in _CODED:
                keep = getattr(self, component.kind)
                for value in values:
                    keep(composite.code + "$" * place, value, part, marks)
                place += 1

    def finish(self) -> None:
        row = self.row
        own = [d for d in row.dates if d.code == "date"]
        if own:
            row.clinical = Interval(min(d.lo for d in own), max(d.hi for d in own))
        code = headline_date(self.type)
        dated = [d for d in row.dates if d.code == code]
        if dated:
            row.sort = Interval(min(d.lo for d in dated), max(d.hi for d in dated))
            if len(dated) == 1 and row.sort.end - row.sort.start <= WIDEST:
                row.span = row.sort
                row.dates = [d for d in row.dates if d.code != code]
        row.dates = list(dict.fromkeys(row.dates))
        row.numbers = list(dict.fromkeys(row.numbers))
        row.strings = list(dict.fromkeys(row.strings))
        known = places(self.type)
        for code in self.seen:
            row.present |= 1 << known[code]


_CODED = frozenset({"token", "reference", "uri"})


def _forms(component: Component, values: list[Item]) -> list[tuple[str | None, str | None]]:
    """Return the ways a composite's token or reference can be asked for: with its system, and without."""
    found: list[tuple[str | None, str | None]] = []
    for value in values:
        if component.kind == "token":
            for system, code in codings_of(value):
                found += [(None, code), (system, code)] if code else []
                found += [(system, None)] if system else []
        else:
            found += [(None, link) for link in links_of(value)]
    return list(dict.fromkeys(found))
