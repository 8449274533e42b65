"""The access decision as SQL: one static text for each kind of access.

`permit(kind)` is a subquery that gives at most one row (rule, evidence) for the record `t.pid`;
no row means refused. `visible(kind)` is a condition on a resource row inside a permitted record.
Both are filled into named queries, so hidden rows are never candidates: filtered before LIMIT,
count, order and merge. Evidence that is hidden from a professional gives no relation; breaking the
glass sets blocks aside for that one person. A block on a period hides what lies in it and what has
no date, but not the Patient itself, which is of no period. A block counts for every part of a merged
record, and never for the citizen. What has the label `staff` is for professionals only, `citizen` for
the citizen only.

Parameters: `%(now)s` instant · citizen: `%(system)s`, `%(value)s` · proxy: the same of whom they act for, and
`%(person)s` · professional: `%(person)s`,
`%(org)s`, `%(orgs)s` (the unit and every unit above it) · source: `%(via)s`.
"""

from __future__ import annotations

from typing import Literal, LiteralString

Kind = Literal["citizen", "proxy", "professional", "source", "system"]
KINDS: tuple[Kind, ...] = ("citizen", "proxy", "professional", "source", "system")

# As an array, which an index on {a} is searched by. `{b}` is a column of the statement around it.
_SAME_RECORD: LiteralString = """{a} = any(coalesce(
        (select same.parts from record_alias same where same.pid = {b}), array[{b}]))"""

_IN_FORCE: LiteralString = """
      and d.parent is null
      and d.valid_from <= %(now)s and d.valid_until > %(now)s
      and (d.person is null or d.person = %(person)s)
      and (d.org is null or d.org = %(org)s or (d.sub_units and d.org = any(%(orgs)s::text[])))"""
# A block hides what it touches at all; its exceptions show only what lies in them wholly.
_COVERS: LiteralString = """((
      (d.rid is null or d.rid = {row}.rid) and (d.type is null or d.type = {row}.type)
      and (d.source is null or d.source = {row}.source or d.source = any({row}.origins))
      and ((d.data_from is null and d.data_until is null) or {row}.type <> 'Patient')
      and (d.data_from is null or {row}.clinical_to is null or d.data_from < {row}.clinical_to)
      and (d.data_until is null or {row}.clinical_from is null or d.data_until > {row}.clinical_from)
      and not (d.excepting and block_excepts(d.pid, d.did, %(now)s, %(person)s, %(org)s, %(orgs)s::text[], {row}.rid,
          {row}.type, {row}.source, {row}.origins, {row}.clinical_from, {row}.clinical_to)))
    or ({row}.type in ('Binary', 'DocumentReference', 'Provenance', 'MessageHeader')
        and block_carries({row}.pid, {row}.rid, d.pid, d.did, %(now)s, %(person)s, %(org)s, %(orgs)s::text[])))"""
_DENIED: LiteralString = "exists (select from deny d where {of}" + _IN_FORCE + " and {covers})"
_BLOCKED: LiteralString = "exists (select from blocks d where d.of = {row}.pid and " + _COVERS + ")"

_MANDATED: LiteralString = """
    and m.holder = %(person)s and m.valid_from <= %(now)s and m.valid_until > %(now)s"""

_HOLDER_DEAD: LiteralString = """exists (select from person_key h where h.system = %(system)s
    and h.value = %(person)s and h.source = '' and death_known(h.pid, %(now)s))"""

_RELATION: LiteralString = """
    select l.kind as rule, l.rid as evidence, l.valid_until as until
    from relation l
    where {same}
      and l.org = any(%(orgs)s::text[])
      and (l.person is null or l.person = %(person)s)
      and l.valid_from <= %(now)s and l.valid_until > %(now)s
      and (l.kind = 'break-glass' or not {denied})
      and not {outlived}"""

# Of a relation that a death could end; asked only where somebody of the record is dead, or it has several parts.
_OUTLIVED: LiteralString = """((l.kind = 'stated' or l.valid_until >= '9999-01-01')
      and {dead}
      and death_ends(l.pid, l.kind = 'stated', l.valid_from, l.valid_until >= '9999-01-01',
          %(now)s, %(person)s, %(org)s, %(orgs)s::text[]))"""

# Each of these a planner can look up once for many rows: the parts of a record are asked for where there are any.
_PERHAPS_DEAD: LiteralString = """(exists (select from death x where x.pid = l.pid)
      or exists (select from record_alias a where a.pid = l.pid))"""

_BROKEN_GLASS: LiteralString = """exists (
    select from relation g
    where {same} and g.kind = 'break-glass' and g.person = %(person)s
      and g.org = any(%(orgs)s::text[]) and g.valid_from <= %(now)s and g.valid_until > %(now)s)"""


def _same(a: LiteralString, b: LiteralString, parts: LiteralString = "") -> LiteralString:
    """Return the condition that the record `a` is the record `b`; `parts` is what `b` is known to consist of."""
    return a + " = any(" + parts + ")" if parts else _SAME_RECORD.replace("{a}", a).replace("{b}", b)


def _denied(covers: LiteralString, record: LiteralString, parts: LiteralString = "") -> LiteralString:
    """Return the condition that there is such a block of a record, in whichever of its parts it stands."""
    return _DENIED.replace("{of}", _same("d.pid", record, parts)).replace("{covers}", covers)


def _relation(record: LiteralString, parts: LiteralString = "", row: LiteralString = "") -> LiteralString:
    """Return the relations to a record; with `row`, those of somebody who may also see this row of another record."""
    covers = _COVERS.replace("{row}", "l")
    covers = "(" + covers + " or " + _COVERS.replace("{row}", row) + ")" if row else covers
    dead = "exists (select from death x where x.pid = any(" + parts + "))" if parts else _PERHAPS_DEAD
    outlived = _OUTLIVED.replace("{dead}", dead)
    text = _RELATION.replace("{same}", _same("l.pid", record, parts)).replace("{outlived}", outlived)
    return text.replace("{denied}", _denied(covers, "l.pid", parts))


def permit(kind: Kind, parts: LiteralString = "", *, whole: bool = False) -> LiteralString:
    """Return the subquery that permits the record `t.pid` to this kind of access.

    `parts` is an array of every pid of that record, where the statement has it: then it is not asked again.
    `whole` permits only those whose access to the record has no limits.
    """
    return _permit(kind, parts).replace("{whole}", " and m.types is null" if whole else "")


def _permit(kind: Kind, parts: LiteralString) -> LiteralString:
    if kind == "citizen":
        return (
            "select 'self' as rule, null::bigint as evidence from person_key k"
            " where k.system = %(system)s and k.value = %(value)s and k.source = ''"
            " and " + _same("k.pid", "t.pid", parts) + " and not death_known(k.pid, %(now)s) limit 1"
        )
    if kind == "proxy":
        return (
            "select m.kind as rule, m.rid as evidence from person_key k, mandate m"
            " where k.system = %(system)s and k.value = %(value)s and k.source = ''"
            " and " + _same("k.pid", "t.pid", parts) + " and " + _same("m.pid", "t.pid", parts) + _MANDATED + "{whole}"
            " and not death_known(k.pid, %(now)s) and not "
            + _HOLDER_DEAD
            + " order by (m.types is not null), m.kind, m.mid limit 1"
        )
    if kind == "professional":
        return (
            "select rule, evidence from (" + _relation("t.pid", parts) + ") e"
            " order by (rule = 'break-glass') desc, (rule = 'stated'), until desc, evidence limit 1"
        )
    if kind == "source":
        return "select 'own delivery' as rule, null::bigint as evidence where t.pid is not null"
    return "select 'system' as rule, null::bigint as evidence where t.pid is not null"


def blocks(kind: Kind, pids: LiteralString) -> LiteralString:
    """Return the query `blocks`: every block in force on these records, looked up once and not for each row.

    `pids` is an array; `of` says for which of them a block counts, wherever in their record it stands.
    """
    if kind != "professional":
        return "select"
    of = "select w.pid as of, d.* from unnest(" + pids + ") as w(pid) join deny d on " + _same("d.pid", "w.pid")
    return of + _IN_FORCE


def visible(
    kind: Kind, row: LiteralString = "r", *, given: bool = False, parts: LiteralString = "", named: bool = False
) -> LiteralString:
    """Return the condition under which a resource row of a permitted record may be seen.

    `given` says that the statement has the `blocks` of the record; `parts` as in `permit`. `named` is for a row that
    only says which record is meant: an app names it by an id that it has, whether or not it may see that row.
    """
    blocked = _BLOCKED if given else _denied(_COVERS, "{row}.pid", parts)
    glass = _BROKEN_GLASS.replace("{same}", _same("g.pid", "{row}.pid", parts))
    mandates = _same("m.pid", "{row}.pid", parts)
    text = _VISIBLE[kind].replace("{mandates}", mandates).replace("{blocked}", blocked).replace("{glass}", glass) + (
        "" if named else _REACHED
    )
    return "(" + text.replace("{row}", row) + ")"


# An app reaches no further than its scopes: types at the person's own reach, or in the record in context.
_REACHED: LiteralString = """ and (%(reach_user)s::text[] is null
    or '*' = any(%(reach_user)s::text[]) or {row}.type = any(%(reach_user)s::text[])
    or (('*' = any(%(reach_patient)s::text[]) or {row}.type = any(%(reach_patient)s::text[]))
        and {row}.pid = any(%(reach_pids)s::bigint[])
        and ({row}.others is null or {row}.others <@ %(reach_pids)s::bigint[])))"""


def every_relation() -> LiteralString:
    """Return the subquery of all that permits the record `t.pid` to a professional: rule, evidence, until."""
    return _relation("t.pid")


def blocked(parts: LiteralString) -> LiteralString:
    """Return the condition that the blocks of the Consent `%(consent)s` hide a resource row `r` from a professional."""
    return _denied("d.consent = %(consent)s and " + _COVERS.replace("{row}", "r"), "r.pid", parts)


_SELF: LiteralString = """exists (select from person_key k
    where k.system = %(system)s and k.value = %(value)s and k.source = '' and {same})"""

_OWN: LiteralString = (
    "(not 'staff' = any({row}.labels) and ({row}.others is null or not exists ("
    "select from unnest({row}.others) as o(pid) where not " + _SELF.replace("{same}", _same("k.pid", "o.pid")) + ")))"
)
# Who acts for somebody sees whose record it is, and what the mandate is for.
_VISIBLE: dict[Kind, LiteralString] = {
    "citizen": _OWN,
    "proxy": "(not 'citizen' = any({row}.labels) and "
    + _OWN
    + " and exists (select from mandate m where {mandates}"
    + _MANDATED
    + " and (m.types is null or {row}.type = any(m.types) or {row}.type = 'Patient')))",
    "professional": "(not 'citizen' = any({row}.labels) and (not {blocked} or {glass})"
    " and ({row}.others is null or not exists (select from unnest({row}.others) as o(pid)"
    " where not exists (" + _relation("o.pid", row="{row}") + "))))",
    "source": "({row}.via = %(via)s)",
    "system": "(true)",
}
