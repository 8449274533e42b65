"""What a page links to and what links to it, through the same decision as any read, in one statement.

Digests of references hold the type and the parameter they stand in, so that one list of them asks for
everything that refers to the page, whatever its type.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, LiteralString

from overblik.fhir.index.digests import reference
from overblik.fhir.index.parameters import kept_as
from overblik.store.queries import LOG_COLUMNS, LOG_VALUES, fill
from overblik.store.search.compile import Compiled

if TYPE_CHECKING:
    from collections.abc import Iterable

    from overblik.store.visibility import Kind

_LINKED: LiteralString = """
with named as (
    select l.pid, l.rid from locator l
    where (l.type, l.id) in (select * from unnest(%(types)s::text[], %(ids)s::text[]))
    union
    select r.pid, r.rid from resource r where r.tokens && %(digests)s::bigint[]
),
hit as materialized (
    select r.pid, e.rule, e.evidence, r.rid, r.type, r.id, r.version, r.received_at, r.body
    from named n join resource r on r.pid = n.pid and r.rid = n.rid,
         lateral (select r.pid as pid) t, lateral (:permit:) e
    where not r.deleted and :visible:
      and (r.type, r.id) not in (select * from unnest(%(known_types)s::text[], %(known_ids)s::text[]))
    limit %(most)s::bigint + 1
),
logged as (
    insert into access_log {columns}
    select pid, 'permit', min(rule), min(evidence), array_agg(rid order by rid),
           array_agg(version order by rid), %(query)s, {values}
    from hit where (select count(*) from hit) <= %(most)s::bigint group by pid
)
select * from hit order by type, id"""
_LINKED_SHARED: LiteralString = """
select r.type, r.id, r.version, r.received_at, r.body from shared_resource r
where not r.deleted
  and ((r.type, r.id) in (select * from unnest(%(types)s::text[], %(ids)s::text[]))
       or r.tokens && %(digests)s::bigint[])
  and (r.type, r.id) not in (select * from unnest(%(known_types)s::text[], %(known_ids)s::text[]))
order by r.type, r.id limit %(most)s::bigint + 1"""


@cache
def _linked(kind: Kind) -> LiteralString:
    text = fill(_LINKED, kind).replace("{columns}", LOG_COLUMNS).replace("{values}", LOG_VALUES)
    return " ".join(text.split())


def compile_linked(kind: Kind, params: dict[str, Any], *, shared: bool) -> Compiled:
    """Return the statement of what links to, or is linked from, resources of patients or of nobody."""
    if shared:
        return Compiled(" ".join(_LINKED_SHARED.split()), params, "linked-shared")
    return Compiled(_linked(kind), params, "linked")


def referring(key: bytes, source: str, params: Iterable[str], references: Iterable[str]) -> list[int]:
    """Return the digests that what refers to one of `references` (each `Type/id`) has."""
    names = {kept for code in params for kept in kept_as(source, code)}
    return [reference(key, source, name, link).value for link in references for name in sorted(names)]
