"""Search string to a frozen query tree (https://hl7.org/fhir/R4/search.html). Knows no SQL.

tree.py     the tree: a query is criteria that must all hold
coded.py    value sets and hierarchies of codes
hierarchies.py  references by what is above or below their target
values.py   one value as text to what it stands for
places.py   `near`: one place with a distance
grammar.py  a parameter's name: modifiers and chains
filter.py   `_filter`: its text to expressions, with where each stands
filtered.py an expression of `_filter` to criteria
includes.py the links that a page follows
result.py   the parameters of the result: how many, counted or not
parse.py    which parameters there are, and the whole string

customs.py      which parameters of the server's own a search asks by
definitions.py  what a SearchParameter resource defines
"""

from overblik.fhir.query.coded import named_sets
from overblik.fhir.query.definitions import definition
from overblik.fhir.query.includes import INCLUDES, Include, includes
from overblik.fhir.query.parse import parse_query, searchable
from overblik.fhir.query.result import sortable
from overblik.fhir.query.tree import (
    DEFAULT_COUNT,
    MOST_COUNT,
    MOST_CRITERIA,
    MOST_SORTS,
    MOST_VALUES,
    All,
    Amount,
    Base,
    Chain,
    Circle,
    Composites,
    Criterion,
    Dates,
    Either,
    FullText,
    Has,
    Ids,
    Levels,
    Links,
    Missing,
    Near,
    Not,
    Numbers,
    Patients,
    Query,
    Sort,
    Strings,
    Tokens,
    Updated,
    Words,
    searched,
)

__all__ = [
    "DEFAULT_COUNT",
    "INCLUDES",
    "MOST_COUNT",
    "MOST_CRITERIA",
    "MOST_SORTS",
    "MOST_VALUES",
    "All",
    "Amount",
    "Base",
    "Chain",
    "Circle",
    "Composites",
    "Criterion",
    "Dates",
    "Either",
    "FullText",
    "Has",
    "Ids",
    "Include",
    "Levels",
    "Links",
    "Missing",
    "Near",
    "Not",
    "Numbers",
    "Patients",
    "Query",
    "Sort",
    "Strings",
    "Tokens",
    "Updated",
    "Words",
    "definition",
    "includes",
    "named_sets",
    "parse_query",
    "searchable",
    "searched",
    "sortable",
]
