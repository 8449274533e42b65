"""Resources made from the definitions: every kind of value, ids and extensions anywhere, lists with nulls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from overblik.fhir.fields import Field, fields
from overblik.fhir.strict_json import loads

if TYPE_CHECKING:
    from overblik.fhir.strict_json import Json

TYPES = ("Patient", "Observation", "Questionnaire", "Parameters", "Bundle", "Basic", "MedicationRequest", "Binary")
XMLNS = 'xmlns="http://www.w3.org/1999/xhtml"'
NARRATIVES = (
    f"<div {XMLNS}>Vægt <b class='x'>82 kg</b></div>",
    f'<div {XMLNS}><br/><br /><img src="#a" alt="&lt;&#8364;&gt;"></img>\r\n\t</div>',
    f"<div {XMLNS}><!-- </div> --><![CDATA[ </div> <x> ]]>&amp;</div>",
    f'<div id="a>b" {XMLNS} lang="da" ><div>æ<div/></div></div >',
    f"<div {XMLNS}/>",
    f"<div {XMLNS}>/></div>",
    f'<div {XMLNS} xmlns:h="http://www.w3.org/1999/xhtml"><h:p>x</h:p></div>',
)
_FORBIDDEN = "\ufffe\uffff" + "".join(map(chr, range(32)))
_TEXTS = st.one_of(
    st.sampled_from(["æøåÆØÅ", '<a href="\'">&amp;</a>', " a  b ", "1\n2\r\n3\t4", "\U0001f9d1", "]]>", "{}"]),
    st.text(st.characters(codec="utf-8", exclude_characters=_FORBIDDEN), min_size=1, max_size=12),
)
_DECIMALS = st.one_of(
    st.sampled_from(["1.00", "1e2", "1E+2", "1.0e-10", "-0.0", "0.10", "42", "0", "123456789012345678.000"]),
    st.from_regex(r"-?(0|[1-9][0-9]{0,20})\.[0-9]{1,20}", fullmatch=True),
    st.integers(-(10**17), 10**17).map(str),
).map(lambda digits: loads(digits.encode()))
_KINDS: dict[str, st.SearchStrategy[Any]] = {
    "boolean": st.booleans(),
    "decimal": _DECIMALS,
    "integer": st.integers(-(2**31), 2**31 - 1),
    "positiveInt": st.integers(1, 2**31 - 1),
    "unsignedInt": st.integers(0, 2**31 - 1),
    "xhtml": st.sampled_from(NARRATIVES),
}


@st.composite
def resources(draw: st.DrawFn, types: tuple[str, ...] = TYPES, depth: int = 4) -> Json:
    """Make a resource; deeper than `depth` stand only elements that must."""
    name = draw(st.sampled_from(types))
    return {"resourceType": name, **draw(objects(name, depth))}


@st.composite
def objects(draw: st.DrawFn, type_name: str, depth: int) -> Json:
    """Make an object of a type, never an empty one."""
    known = {field.of: field for field in draw(st.permutations(list(fields(type_name).values())))}
    optional = [of for of, field in known.items() if not field.needed and (depth > 0 or field.primitive)]
    chosen = {of for of, field in known.items() if field.needed}
    most = 5 if depth > 0 else 0
    chosen |= draw(st.sets(st.sampled_from(optional), max_size=most)) if optional and most else set()
    if not chosen:
        chosen = {"id"}
    value: Json = {}
    for of in sorted(chosen):
        value |= draw(_members(known[of], depth - 1))
    return value


@st.composite
def _members(draw: st.DrawFn, field: Field, depth: int) -> Json:
    """Make what a field puts into its object: the name, its sibling, or both."""
    if not field.primitive or field.kind == "xhtml":
        item = resources(("Basic", "Binary"), min(depth, 1)) if field.kind == "Resource" else objects(field.kind, depth)
        item = _KINDS["xhtml"] if field.kind == "xhtml" else item
        return {field.name: draw(st.lists(item, min_size=1, max_size=2) if field.many else item)}
    if field.attribute or depth <= 0:
        one = draw(_KINDS.get(field.kind, _TEXTS))
        return {field.name: [one] if field.many else one}
    pairs = draw(st.lists(_pairs(field.kind, depth), min_size=1, max_size=4 if field.many else 1))
    values, siblings = [v for v, _ in pairs], [s for _, s in pairs]
    if not field.many:
        values, siblings = values[0], siblings[0]
        return {n: v for n, v in ((field.name, values), ("_" + field.name, siblings)) if v is not None}
    found = ((field.name, values), ("_" + field.name, siblings))
    return {name: items for name, items in found if any(item is not None for item in items)}


@st.composite
def _pairs(draw: st.DrawFn, kind: str, depth: int) -> tuple[Any, Any]:
    """Make a value, what extends it, or both."""
    stands = draw(st.sampled_from("vvvvsb"))
    value = draw(_KINDS.get(kind, _TEXTS)) if stands in "vb" else None
    return value, draw(objects("Element", min(depth, 1))) if stands in "sb" else None
