"""The access decision as SQL: one static text for each kind of access.

`permit(kind)` is a subquery that gives at most one row (rule, evidence) for the record `t.pid`;
no row means refused. `visible(kind)` is a condition on a resource row inside a permitted record.
Both are filled into named queries, so hidden rows are never candidates: filtered before LIMIT,
count, order and merge. Evidence that is hidden from a professional gives no relation; breaking the
glass sets blocks aside for that one person. A block on a period hides what lies in it and what has
no date, but not the Patient itself, which is of no period.

Parameters: `%(now)s` instant · citizen: `%(system)s`, `%(value)s` · professional: `%(person)s`,
`%(org)s`, `%(orgs)s` (the unit and every unit above it) · source: `%(via)s`.
"""

from __future__ import annotations

from typing import Literal, LiteralString

Kind = Literal["citizen", "professional", "source", "system"]
KINDS: tuple[Kind, ...] = ("citizen", "professional", "source", "system")

# The names inside must be nobody else's: `{b}` is a column of the statement around it.
# As an array, which an index on {a} is searched by: `a = b or a in (…)` reads every row there is.
_SAME_RECORD: LiteralString = """{a} = any(array(
        select {b} union all
        select same.pid from record_alias same join record_alias given on given.root = same.root
        where given.pid = {b}))"""

_IN_FORCE: LiteralString = """
      and d.valid_from <= %(now)s and d.valid_until > %(now)s
      and (d.person is null or d.person = %(person)s)
      and (d.org is null or d.org = %(org)s or (d.sub_units and d.org = any(%(orgs)s::text[])))"""
_COVERS: LiteralString = """
      and (d.rid is null or d.rid = {row}.rid)
      and (d.type is null or d.type = {row}.type)
      and (d.source is null or d.source = {row}.source or d.source = any({row}.origins))
      and ((d.data_from is null and d.data_until is null) or {row}.type <> 'Patient')
      and (d.data_from is null or {row}.clinical_to is null or d.data_from < {row}.clinical_to)
      and (d.data_until is null or {row}.clinical_from is null or d.data_until > {row}.clinical_from)"""
_DENIED: LiteralString = "exists (select from deny d where d.pid = {row}.pid" + _IN_FORCE + _COVERS + ")"
_BLOCKED: LiteralString = "exists (select from blocks d where d.pid = {row}.pid" + _COVERS + ")"

_RELATION: LiteralString = """
    select l.kind as rule, l.rid as evidence, l.valid_until as until
    from relation l
    where {same}
      and l.org = any(%(orgs)s::text[])
      and (l.person is null or l.person = %(person)s)
      and l.valid_from <= %(now)s and l.valid_until > %(now)s
      and (l.kind = 'break-glass' or not {denied})"""

# The array keeps PostgreSQL from reading every relation into a hash table to answer for one record.
_BROKEN_GLASS: LiteralString = """exists (
    select from relation g
    where g.pid = any(array[{row}.pid]) and g.kind = 'break-glass' and g.person = %(person)s
      and g.org = any(%(orgs)s::text[]) and g.valid_from <= %(now)s and g.valid_until > %(now)s)"""


def _same(a: LiteralString, b: LiteralString) -> LiteralString:
    return _SAME_RECORD.replace("{a}", a).replace("{b}", b)


def _relation(record: LiteralString) -> LiteralString:
    text = _RELATION.replace("{same}", _same("l.pid", record))
    return text.replace("{denied}", _DENIED.replace("{row}", "l"))


def permit(kind: Kind) -> LiteralString:
    """Return the subquery that permits the record `t.pid` to this kind of access."""
    if kind == "citizen":
        return (
            "select 'self' as rule, null::bigint as evidence from person_key k"
            " where k.system = %(system)s and k.value = %(value)s and k.source = ''"
            " and " + _same("k.pid", "t.pid") + " limit 1"
        )
    if kind == "professional":
        return (
            "select rule, evidence from (" + _relation("t.pid") + ") e"
            " order by (rule = 'break-glass'), until desc, evidence limit 1"
        )
    if kind == "source":
        return "select 'own delivery' as rule, null::bigint as evidence where t.pid is not null"
    return "select 'system' as rule, null::bigint as evidence where t.pid is not null"


def blocks(kind: Kind, pids: LiteralString) -> LiteralString:
    """Return the query `blocks`: every block in force on these records, looked up once and not for each row."""
    return "select * from deny d where d.pid = " + pids + _IN_FORCE if kind == "professional" else "select"


def visible(kind: Kind, row: LiteralString = "r", *, given: bool = False) -> LiteralString:
    """Return the condition under which a resource row of a permitted record may be seen.

    `given` says that the statement has the `blocks` of the record.
    """
    text = _VISIBLE[kind].replace(_DENIED, _BLOCKED) if given else _VISIBLE[kind]
    return text.replace("{row}", row)


_SELF: LiteralString = """exists (select from person_key k
    where k.system = %(system)s and k.value = %(value)s and k.source = '' and {same})"""

_VISIBLE: dict[Kind, LiteralString] = {
    "citizen": "(not 'staff' = any({row}.labels) and ({row}.others is null or not exists ("
    "select from unnest({row}.others) as o(pid) where not " + _SELF.replace("{same}", _same("k.pid", "o.pid")) + ")))",
    "professional": "((not "
    + _DENIED
    + " or "
    + _BROKEN_GLASS
    + ") and ({row}.others is null or not exists (select from unnest({row}.others) as o(pid)"
    " where not exists (" + _relation("o.pid") + "))))",
    "source": "({row}.via = %(via)s)",
    "system": "(true)",
}
