"""One criterion as a condition on a row, with its parameters.

In the texts `{p}` stands for the criterion's own prefix, `{r}` for the row and `{x}` for a narrow row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, LiteralString

from overblik.fhir.compartment import is_shared
from overblik.fhir.errors import Malformed
from overblik.fhir.index.digests import reference, token, way
from overblik.fhir.index.parameters import headline_date, kept_as, number_of, parameter, places
from overblik.fhir.query import (
    All,
    Chain,
    Composites,
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
    Strings,
    Tokens,
    Updated,
    Words,
)
from overblik.store.search.narrow import composites, exists, has_token, headline_dates, updated
from overblik.store.search.near import near
from overblik.store.search.scope import DIGITS, JSON, LAST, READABLE, Condition, Scope, any_of, item
from overblik.store.visibility import visible

if TYPE_CHECKING:
    from overblik.fhir.query import Criterion


def condition(criterion: Criterion, scope: Scope) -> Condition:
    """Return the condition under which a row meets a criterion."""
    match criterion:
        case Dates() | Numbers() | Strings() | Composites() | Updated():
            found = _of_values(criterion, scope)
        case Ids(ids):
            found = Condition("{r}.id = any(%({p}_ids)s::text[])", {"_ids": list(ids)})
        case FullText(words, whole):
            test = READABLE.replace("{test}", _CONTENT if whole else _NARRATIVE)
            found = Condition("coalesce(" + test + ", false)", {"_words": words})
        case Tokens() | Links():
            found = has_token(digests(criterion, scope))
        case Near():
            found = near(criterion, scope)
        case Words():
            found = _words(criterion, scope)
        case Missing(param, wanted):
            found = _missing(param, wanted, scope)
        case _:
            return _of_others(criterion, scope)
    return Condition(found.text.replace("{r}", scope.row), found.params)


_QUERY: LiteralString = " @@ websearch_to_tsquery('danish', %({p}_words)s::text)"
_CONTENT: LiteralString = "jsonb_to_tsvector('danish', " + JSON + ", '[\"string\"]')" + _QUERY
_NARRATIVE: LiteralString = "to_tsvector('danish', coalesce(" + JSON + " #>> '{text,div}', ''))" + _QUERY


def _of_others(  # noqa: PLR0911 - one for each kind
    criterion: Patients | Not | Either | All | Chain | Has | Levels, scope: Scope
) -> Condition:
    """Return a condition made of others."""
    match criterion:
        case Levels(param):
            text = "A hierarchy is followed by searches, and not by the condition of a write: name the resources."
            raise Malformed("search-parameter-unknown", text, kind="not-supported", expression=f"http.{param}")
        case Patients(matching=matching):
            if matching is not None:
                return _step("Patient", matching, "true", [], scope)
            who = record_of(criterion, scope)
            return Condition(scope.row + ".pid in (" + who.text + ")", who.params)
        case Not(inner):
            found = condition(inner, scope)
            return Condition("not (" + found.text + ")", found.params)
        case Either(several):
            return _joined([condition(one, scope) for one in several], " or ")
        case All(several):
            return _joined([condition(one, scope) for one in several], " and ")
        case Chain():
            return _forward(criterion, scope)
        case Has():
            return _reverse(criterion, scope)


def _joined(several: list[Condition], word: LiteralString) -> Condition:
    params: dict[str, Any] = {}
    text: LiteralString = ""
    for number, found in zip(DIGITS[: len(several)], several, strict=True):
        text += (word if text else "") + "(" + found.text.replace("{p}", "{p}e" + number) + ")"
        params |= {"e" + number + name: value for name, value in found.params.items()}
    return Condition("(" + text + ")", params)


def _of_values(criterion: Dates | Numbers | Strings | Composites | Updated, scope: Scope) -> Condition:
    match criterion:
        case Composites():
            return composites(criterion, scope)
        case Updated(values):
            return updated(values)
        case Dates(param) if param == headline_date(scope.type) and not scope.shared:
            return headline_dates(criterion, scope)
        case _:
            return exists(criterion, scope)


def digests(criterion: Tokens | Links, scope: Scope) -> list[int]:
    """Return the digests of which a row must have one."""
    code, colon, modifier = criterion.param.partition(":")
    names = [name + colon + modifier for name in kept_as(scope.type, code)]
    asked = criterion.values if isinstance(criterion, Tokens) else [(None, link) for link in criterion.values]
    known = parameter(scope.type, code)
    if known is not None and known.type == "reference" and not modifier:
        return [reference(scope.key, scope.type, name, str(link)).value for name in names for _, link in asked]
    return [token(scope.key, scope.type, name, system, value).value for name in names for system, value in asked]


def _words(criterion: Words, scope: Scope) -> Condition:
    """Few texts are different: those that fit give the tokens of the rows."""
    code, colon, modifier = criterion.param.partition(":")
    numbers = [number_of(scope.type, name + colon + modifier) for name in kept_as(scope.type, code)]
    tests: list[LiteralString] = ["v.value = any(%({p}_whole)s::text[])"]
    for number in range(len(criterion.beginnings)):
        tests.append("v.value >= " + item("_lo", "text", number) + " and v.value < " + item("_hi", "text", number))
    text: LiteralString = (
        "{r}.tokens && array(select v.token from vocabulary v where v.param = any(%({p}_param)s::integer[]) and ("
    )
    until = [text + LAST for text in criterion.beginnings]
    params = {"_param": numbers, "_whole": list(criterion.whole), "_lo": list(criterion.beginnings), "_hi": until}
    return Condition(text + any_of(tests) + "))", params)


def _missing(param: str, wanted: bool, scope: Scope) -> Condition:
    known = places(scope.type)
    bits = sum(1 << known[name] for name in set(kept_as(scope.type, param)))
    text: LiteralString = (
        "({r}.present & %({p}_bits)s::bigint) = 0" if wanted else ("({r}.present & %({p}_bits)s::bigint) <> 0")
    )
    return Condition(text, {"_bits": bits})


def record_of(patients: Patients, scope: Scope) -> Condition:
    """Any visible Patient of a record, by id or identifier, opens the whole record; an invisible one opens nothing."""
    found: LiteralString = "q.tokens && %({p}_who)s::bigint[]"
    params: dict[str, Any] = {
        "_who": [token(scope.key, "Patient", "identifier", *i).value for i in patients.identifiers]
    }
    if not patients.identifiers:
        params = {"_who": list(patients.ids)}
        found = (
            "(q.pid, q.rid) in (select l.pid, l.rid from locator l"
            " where l.type = 'Patient' and l.id = any(%({p}_who)s::text[]))"
        )
    text = (
        "select m.pid from resource q, lateral ("
        " select q.pid as pid union select s.pid from record_alias s"
        " join record_alias o on o.root = s.root where o.pid = q.pid) m"
        " where q.type = 'Patient' and not q.deleted and " + visible(scope.kind, "q", named=True) + " and " + found
    )
    return Condition(text, params)


# -- steps to other resources

_ALIASES: tuple[LiteralString, ...] = ("h0", "h1", "h2", "h3", "h4", "h5", "h6", "h7", "h8", "h9", "h10", "h11")
# What is looked at on the way is of the same record, or of no patient: who is shown a row is logged
# for its record, and nobody else's record may be told of by it.
_SAME: LiteralString = (
    "{h}.pid = any(array(select {home} union all select s.pid from record_alias s"
    " join record_alias o on o.root = s.root where o.pid = {home}))"
)


def _forward(chain: Chain, scope: Scope) -> Condition:
    """The row refers to a resource that the caller may see, and of which the criterion holds."""
    ways = [way(scope.key, scope.type, name).value for name in kept_as(scope.type, chain.param)]
    if is_shared(chain.type):
        link: LiteralString = "{h}.link = any(array(select t # w from unnest({r}.tokens) t, unnest({ways}) w))"
    else:
        link = "exists (select from unnest({ways}) w where ({h}.link # w) = any({r}.tokens))"
    return _step(chain.type, chain.criterion, link, ways, scope)


def _reverse(has: Has, scope: Scope) -> Condition:
    """A resource that the caller may see refers to the row, and the criterion holds of it."""
    if not has.param:
        return _step(has.type, has.criterion, "true", [], scope)
    ways = [way(scope.key, has.type, name).value for name in kept_as(has.type, has.param)]
    link: LiteralString = "{h}.tokens && array(select {r}.link # w from unnest({ways}) w)"
    return _step(has.type, has.criterion, link, ways, scope)


# A record is small: to look in the index for what all records have is dearer than to look at each of its rows. An
# expression has no index.
_OF_ALL: LiteralString = "{h}.tokens &&"
_OF_RECORD: LiteralString = "({h}.tokens || '{}'::bigint[]) &&"


# Inside a case the steps stay what they are: made into joins, they are done for every row of every step.
def _step(kind: str, criterion: Criterion, link: LiteralString, ways: list[int], scope: Scope) -> Condition:
    alias = _ALIASES[scope.hops]
    shared = is_shared(kind)
    inner = Scope(kind, scope.key, scope.kind, shared, alias, scope.home, scope.hops + 1)
    found = condition(criterion, inner)
    within: LiteralString = (
        "" if shared else _SAME.replace("{home}", scope.home) + " and " + visible(scope.kind, alias) + " and "
    )
    text: LiteralString = (
        "(case when exists (select from " + ("shared_resource" if shared else "resource") + " {h}"
        " where {h}.type = %({p}_type)s and not {h}.deleted and " + within + link
    )
    text = text.replace("{ways}", "%({p}_ways)s::bigint[]").replace("{h}", alias).replace("{r}", scope.row)
    text += " and " + found.text.replace("{p}", "{p}h") + ") then true else false end)"
    if not shared:
        text = text.replace(_OF_ALL.replace("{h}", alias), _OF_RECORD.replace("{h}", alias))
    params = {"h" + name: value for name, value in found.params.items()}
    return Condition(text, params | {"_type": kind} | ({"_ways": ways} if ways else {}))
