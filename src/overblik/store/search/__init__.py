"""Query tree and kind of access to SQL (docs/decisions/008-search-index.md).

    scope.py       what a condition is made with
    narrow.py      criteria on narrow rows: dates, numbers, texts, composites
    near.py        places within a distance
    conditions.py  one criterion as a condition on a row, and the steps to other rows
    drivers.py     where the rows come from: one patient, a token, a range, …; chosen explicitly
    order.py       what the rows are ordered by, and how a page goes on
    compile.py     the whole statement, with the door's condition inside
    linked.py      what a page links to, and what links to it
    past.py        the same statement over what was known at a past moment

Values are always bound; the text is made of literals only.
"""

from overblik.store.search.compile import Compiled, compile_count, compile_search, compile_shared, compile_shared_count

__all__ = ["Compiled", "compile_count", "compile_search", "compile_shared", "compile_shared_count"]
