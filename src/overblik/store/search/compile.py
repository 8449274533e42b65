"""The whole statement of a search, with the door's condition and the log entry inside."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, LiteralString, NamedTuple, cast

from overblik.fhir.query import FullText
from overblik.store.queries import LOG_COLUMNS, LOG_VALUES, fill
from overblik.store.search.common import COMMON
from overblik.store.search.conditions import condition
from overblik.store.search.drivers import Source, choose
from overblik.store.search.order import NEWEST, Order, columns, computed, following, order_of, ordered, place
from overblik.store.search.scope import Scope
from overblik.store.visibility import blocks

if TYPE_CHECKING:
    from overblik.fhir.query import Criterion, Query
    from overblik.store.visibility import Kind


class Compiled(NamedTuple):
    """A statement, its parameters (without those of the access itself), and what leads to the rows.

    Every row has a `place`, after which a next page goes on; it takes `width` bytes at the most, 0 for the usual.
    """

    text: LiteralString
    params: dict[str, Any]
    driver: str = ""
    width: int = 0


_SEARCH: LiteralString = """
with {record}{counted}hit as materialized ({hits}
),
shown as materialized (select * from hit order by {order} limit %(count)s),
logged as (
    insert into access_log {columns}
    select pid, 'permit', min(rule), min(evidence),
           coalesce(array_agg(rid order by rid) filter (where rid is not null), '{}'),
           coalesce(array_agg(version order by rid) filter (where rid is not null), '{}'), %(query)s, {values}
    from {disclosed} group by pid
)
select h.pid, h.rule, h.evidence, h.rid, h.type, h.id, h.version, h.received_at, h.body, {place} as place{total}
from hit h order by {h_order}"""

# Everyone who is counted is disclosed: an entry a patient, of no resource, and how many they gave to the sum.
_COUNT: LiteralString = """
with {record}{counted}logged as (
    insert into access_log {columns}
    select pid, 'permit', rule, evidence, '{}'::bigint[], '{}'::integer[], %(query)s || ' #' || number, {values}
    from (select c.pid, c.rule, c.evidence, c.number from counted c, told where told.number <= %(most)s::bigint
          union all select 0, 'no match', null, 0 from told where told.number = 0) c
)
select number as total from told"""
_COUNTED: LiteralString = """matching as materialized (
    select pid, rule, evidence from ({matches}) m limit %(most)s::bigint + 1
),
counted as materialized (
    select pid, min(rule) as rule, min(evidence) as evidence, count(*) as number from matching group by pid
),
told as materialized (select coalesce(sum(number), 0)::bigint as number from counted),
"""
_DISCLOSED: LiteralString = """(
        select pid, rule, evidence, rid, version from shown
        union all
        select c.pid, c.rule, c.evidence, null, null from counted c, told where told.number <= %(most)s::bigint
    ) d"""

# Decides nothing: it says which side is smaller, by how many relations the unit has, up to a bound.
_SIDE: LiteralString = """relations as materialized (
    select l.pid from relation l
    where l.org = any(%(orgs)s::text[]) and l.valid_from <= %(now)s and l.valid_until > %(now)s
    limit %(most_few)s::bigint
),
mine as materialized (
    select m.pid from relations m
    union select s.pid from relations m join record_alias o on o.pid = m.pid join record_alias s on s.root = o.root
),
side as materialized (
    select (select count(*) from relations) < %(most_few)s::bigint
       and (select count(*) from mine) <= %(few)s::bigint as few
),
"""
_MANY: LiteralString = "(select not side.few from side) and "
_RECORD: LiteralString = """record as materialized (
    select w.pid, e.rule, e.evidence
    from ({who}) w, lateral (select w.pid as pid) t, lateral (:permit:) e
),
blocks as materialized ({blocks}),
"""
_OF_RECORD: LiteralString = """
    select * from (select distinct pid, rule, evidence from record{gate}) e, lateral (
        select r.rid, r.type, r.id, r.version, r.received_at, r.body, r.sort_at{keys}
        from resource r{computed}
        where r.pid = e.pid and r.type = %(type)s and not r.deleted and :visible_given:{criteria}
        order by {r_order} limit %(limit)s
    ) r
    order by {order} limit %(limit)s"""
_BRANCH: LiteralString = """
    select r.pid, e.rule, e.evidence, r.rid, r.type, r.id, r.version, r.received_at, r.body, r.sort_at{keys}
    from {tables}, lateral (select r.pid as pid) t, lateral (:permit:) e{computed}
    where {source} and not r.deleted{likely} and :visible:{criteria}
    order by {sort} limit %(limit)s"""
# As many as a page needs among the newest are that page; otherwise all that match are collected.
_WALK: LiteralString = """
    with many as materialized (select {many} as many),
    walked as materialized (
        select r.pid, e.rule, e.evidence, r.rid, r.type, r.id, r.version, r.received_at, r.body, r.sort_at
        from (select * from resource r where r.type = %(type)s{beyond}
              order by r.sort_at desc, r.rid desc limit %(walked)s) r,
             lateral (select r.pid as pid) t, lateral (:permit:) e
        where (select many from many) and not r.deleted and :visible:{match}{criteria}
        order by r.sort_at desc, r.rid desc limit %(limit)s
    )
    select * from walked where (select count(*) from walked) >= %(limit)s
    union all ({collected})"""
_FEWER: LiteralString = "(select count(*) from walked) < %(limit)s"
_OF_RECORD_COUNTED: LiteralString = """
    select e.pid, e.rule, e.evidence from (select distinct pid, rule, evidence from record) e, resource r
    where r.pid = e.pid and r.type = %(type)s and not r.deleted and :visible_given:{criteria}"""
_BRANCH_COUNTED: LiteralString = """
    select r.pid, e.rule, e.evidence
    from {tables}, lateral (select r.pid as pid) t, lateral (:permit:) e
    where {source} and not r.deleted{likely} and :visible:{criteria}"""
# Decides nothing: without it the decision below refuses the same rows, six times as slowly.
_LIKELY: LiteralString = """
      and (case when exists (select from relation y where y.pid = r.pid and y.org = any(%(orgs)s::text[]))
                or exists (select from record_alias y where y.pid = r.pid) then true else false end)"""

_SHARED: LiteralString = """
select type, id, version, received_at, body, rid, id as place{total} from shared_resource r
where r.type = %(type)s and not r.deleted{criteria}
order by r.id limit %(limit)s"""
_SHARED_SORTED: LiteralString = """
select h.type, h.id, h.version, h.received_at, h.body, h.rid, {place} as place{total} from (
    select r.type, r.id, r.version, r.received_at, r.body, r.rid{keys} from shared_resource r{computed}
    where r.type = %(type)s and not r.deleted{criteria}
    order by {r_order} limit %(limit)s
) h order by {order}"""
_SHARED_COUNT: LiteralString = """
select count(*) as total from (
    select from shared_resource r where r.type = %(type)s and not r.deleted{criteria} limit %(most)s::bigint + 1
) m"""


def compile_search(query: Query, kind: Kind, key: bytes, after: str = "", *, most: int = 0) -> Compiled:
    """Compile a search of patient data for one kind of access; `after` is the place of the last row shown.

    With `most`, every row has the `total` of all matches beside it; `most` + 1 stands for any more.
    What a first page takes is worked out once for a query.
    """
    if after:
        return _compiled(query, kind, key, after, most)
    learned, known = query.known.get((kind, key, most), (0, None))
    if known is None or learned != COMMON.learned:
        known = _compiled(query, kind, key, "", most)
        query.known[kind, key, most] = COMMON.learned, known
    return cast("Compiled", known)


def _compiled(query: Query, kind: Kind, key: bytes, after: str, most: int) -> Compiled:
    scope = Scope(query.type, key, kind)
    driver = choose(query, scope)
    criteria, params = _criteria(query, scope, driver.answers)
    order = order_of(query, scope)
    beyond, place = following(order, after)
    shape = _Shape(
        kind,
        driver.record,
        tuple(driver.sources),
        criteria,
        driver.either,
        beyond,
        order.keys,
        order.descending,
        most > 0,
        driver.many,
        driver.match,
    )
    params |= driver.params | place | order.params
    params |= {"type": query.type, "count": query.count, "limit": query.count + 1, "most": most}
    return Compiled(_search(shape), params, driver.name, order.width)


def compile_count(query: Query, kind: Kind, key: bytes, most: int) -> Compiled:
    """Compile a search that answers with the `total` alone; `most` + 1 stands for any more, and nobody is logged."""
    scope = Scope(query.type, key, kind)
    driver = choose(query, scope)
    criteria, params = _criteria(query, scope, driver.answers)
    text = _count(_Shape(kind, driver.record, tuple(driver.sources), criteria, driver.either))
    return Compiled(text, params | driver.params | {"type": query.type, "most": most}, driver.name)


class _Shape(NamedTuple):
    """What a statement's text is made of; searches of one shape share a text, and PostgreSQL's plan of it."""

    kind: Kind
    record: LiteralString
    sources: tuple[Source, ...]
    criteria: LiteralString
    either: bool = False
    beyond: LiteralString = ""
    keys: tuple[tuple[LiteralString, LiteralString, bool], ...] = ()
    descending: bool = True
    counted: bool = False
    many: LiteralString = ""
    match: LiteralString = ""


@lru_cache(maxsize=2000)
def _search(shape: _Shape) -> LiteralString:
    order = Order(shape.keys, shape.descending)
    text = _SEARCH.replace("{hits}", _hits(shape, order))
    text = text.replace("{total}", ", (select number from told) as total" if shape.counted else "")
    text = text.replace("{disclosed}", _DISCLOSED if shape.counted else "shown")
    return _whole(_in_order(text, order), shape, counted=shape.counted)


def _in_order(text: LiteralString, order: Order) -> LiteralString:
    text = text.replace("{place}", place(order)).replace("{computed}", computed(order))
    text = text.replace("{keys}", columns(order, "k.")).replace("{order}", ordered(order, ""))
    inner = ordered(order, "k.", rid="r.rid") if order.keys else ordered(order, "r.")
    return text.replace("{r_order}", inner).replace("{h_order}", ordered(order, "h."))


@lru_cache(maxsize=500)
def _count(shape: _Shape) -> LiteralString:
    return _whole(_COUNT, shape, counted=True)


def _whole(text: LiteralString, shape: _Shape, *, counted: bool) -> LiteralString:
    """Fill in what every statement has; short, for it is sent and parsed again."""
    record = _RECORD.replace("{who}", shape.record) if shape.record else ""
    record = record.replace("{blocks}", blocks(shape.kind, "array(select distinct pid from record)"))
    text = text.replace("{record}", (_SIDE if shape.either else "") + record)
    text = text.replace("{counted}", _COUNTED.replace("{matches}", _matches(shape)) if counted else "")
    text = text.replace("{likely}", _LIKELY if shape.kind == "professional" else "")
    text = fill(text, shape.kind).replace("{columns}", LOG_COLUMNS).replace("{values}", LOG_VALUES)
    return " ".join(text.split())


def _hits(shape: _Shape, order: Order) -> LiteralString:
    criteria = shape.criteria + shape.beyond
    walking = shape.many != "" and order == NEWEST
    gate = _FEWER + " and " if walking else _gate(shape)
    of_record = _OF_RECORD.replace("{gate}", " where " + _FEWER if walking else "")
    branches = [of_record.replace("{criteria}", criteria)] if shape.record else []
    for source in shape.sources:
        text = _filled(_BRANCH, source, gate, criteria)
        by = ordered(order, "k.", rid=source.rid) if order.keys else ordered(order, "", source.sort_at, source.rid)
        branches.append(text.replace("{sort}", by))
    if walking:
        return _walk(shape, branches[0])
    if len(branches) == 1:
        return branches[0]
    return "\n    select * from (" + _union(branches) + ") b order by {order} limit %(limit)s"


def _walk(shape: _Shape, collected: LiteralString) -> LiteralString:
    """Return what finds a page among the newest, where many match, and `collected` where it does not."""
    text = _WALK.replace("{many}", shape.many).replace("{match}", shape.match).replace("{beyond}", shape.beyond)
    return text.replace("{criteria}", shape.criteria).replace("{collected}", collected)


def _matches(shape: _Shape) -> LiteralString:
    """Return every row that matches, by its record, in no order."""
    branches = [_OF_RECORD_COUNTED.replace("{criteria}", shape.criteria)] if shape.record else []
    gate = _gate(shape)
    return _union(branches + [_filled(_BRANCH_COUNTED, source, gate, shape.criteria) for source in shape.sources])


def _gate(shape: _Shape) -> LiteralString:
    return _MANY if shape.either else ""


def _filled(branch: LiteralString, source: Source, gate: LiteralString, criteria: LiteralString) -> LiteralString:
    text = branch.replace("{tables}", source.tables).replace("{criteria}", criteria)
    return text.replace("{source}", gate + source.where)


def _union(branches: list[LiteralString]) -> LiteralString:
    text: LiteralString = ""
    for branch in branches:
        text += (" union all " if text else "") + "(" + branch + ")"
    return text


def compile_shared(query: Query, key: bytes, after: str = "", *, most: int = 0) -> Compiled:
    """Compile a search of resources that belong to no patient, in the order of their ids without `_sort`; as above."""
    scope = Scope(query.type, key, "system", shared=True)
    criteria, params = _criteria(query, scope)
    total = ", (" + _SHARED_COUNT.replace("{criteria}", criteria) + ") as total" if most else ""
    order = order_of(query, scope)
    if query.sort:
        beyond, last = following(order, after)
        text = _in_order(_SHARED_SORTED, order)
    else:
        beyond, last = (" and r.id > %(after)s", {"after": after}) if after else ("", {})
        text = _SHARED
    text = text.replace("{criteria}", criteria + beyond).replace("{total}", total)
    params |= last | order.params | {"type": query.type, "limit": query.count + 1, "most": most}
    return Compiled(text, params, "shared", order.width)


def compile_shared_count(query: Query, key: bytes, most: int) -> Compiled:
    """Compile a count of resources that belong to no patient."""
    criteria, params = _criteria(query, Scope(query.type, key, "system", shared=True))
    return Compiled(
        _SHARED_COUNT.replace("{criteria}", criteria), params | {"type": query.type, "most": most}, "shared"
    )


def _criteria(query: Query, scope: Scope, answered: tuple[Criterion, ...] = ()) -> tuple[LiteralString, dict[str, Any]]:
    """Return the criteria as conditions that no index is chosen by.

    Inside a case, PostgreSQL expects every other row to pass, and goes on in the order that was chosen.
    """
    text: LiteralString = ""
    params: dict[str, Any] = {}
    for name, criterion in zip(_NAMES[: len(query.criteria)], query.criteria, strict=True):
        if any(criterion is one for one in answered):
            continue
        found = condition(criterion, scope)
        # Only what is visible is read for its words: how long that takes, and how it fails, would tell of the rest.
        first: LiteralString = "e.rule is not null and :visible: and " if isinstance(criterion, FullText) else ""
        test: LiteralString = "(case when " + first + found.text + " then true else false end)"
        test = found.text if scope.shared else test
        text += " and " + test.replace("{p}", name)
        params |= {name + suffix: value for suffix, value in found.params.items()}
    return text, params


_NAMES: tuple[LiteralString, ...] = (
    "a", "b", "c", "d0", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "q",
)  # fmt: skip
