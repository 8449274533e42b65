"""FHIR XML: what JSON says, XML says, and back, to the last digit; what cannot be read is told with its place."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from overblik.fhir.errors import NotAcceptable, OverblikError
from overblik.fhir.strict_json import dumps, loads
from overblik.fhir.structure import check
from overblik.fhir.xml import from_xml
from overblik.fhir.xml_writing import to_xml
from tests.fhir.generate import NARRATIVES, XMLNS, resources

if TYPE_CHECKING:
    import random

    from overblik.fhir.strict_json import Json

HEAD = '<?xml version="1.0" encoding="UTF-8"?>'
NOTE = {"url": "http://x.dk/note", "valueString": "x"}
NOTE_XML = '<extension url="http://x.dk/note"><valueString value="x"/></extension>'


def exact(value: Any) -> bytes:
    """Return JSON that two values share only if they are the same, digits included."""
    return dumps(_sorted(value))


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def patient(inner: str) -> bytes:
    return f'<Patient xmlns="http://hl7.org/fhir">{inner}</Patient>'.encode()


SAME: dict[str, tuple[str, str]] = {
    "nothing": ('{"resourceType":"Patient"}', '<Patient xmlns="http://hl7.org/fhir"/>'),
    "values, in the order of the definition": (
        '{"resourceType":"Patient","birthDate":"1948-12-25","active":true,"id":"a"}',
        patient('<id value="a"/><active value="true"/><birthDate value="1948-12-25"/>').decode(),
    ),
    "an element's id is an attribute, a resource's an element": (
        '{"resourceType":"Patient","id":"a","name":[{"id":"b","family":"X"}]}',
        patient('<id value="a"/><name id="b"><family value="X"/></name>').decode(),
    ),
    "a primitive with an id and an extension": (
        (
            '{"resourceType":"Patient","birthDate":"1948","_birthDate":{"id":"b","extension":'
            '[{"url":"http://x.dk/note","valueString":"x"}]}}'
        ),
        patient(f'<birthDate id="b" value="1948">{NOTE_XML}</birthDate>').decode(),
    ),
    "a primitive that is only an extension": (
        '{"resourceType":"Patient","_birthDate":{"extension":[{"url":"http://x.dk/note","valueString":"x"}]}}',
        patient(f"<birthDate>{NOTE_XML}</birthDate>").decode(),
    ),
    "a list with a null": (
        (
            '{"resourceType":"Patient","name":[{"given":["a",null,"c"],'
            '"_given":[null,{"extension":[{"url":"http://x.dk/note","valueString":"x"}]},null]}]}'
        ),
        patient(f'<name><given value="a"/><given>{NOTE_XML}</given><given value="c"/></name>').decode(),
    ),
    "a list of nothing but extensions": (
        '{"resourceType":"Patient","name":[{"_given":[{"id":"x"},{"id":"y"}]}]}',
        patient('<name><given id="x"/><given id="y"/></name>').decode(),
    ),
    "contained": (
        (
            '{"resourceType":"Patient","contained":[{"resourceType":"Basic","id":"c","code":{"text":"x"}},'
            '{"resourceType":"Binary","contentType":"text/plain"}]}'
        ),
        patient(
            '<contained><Basic><id value="c"/><code><text value="x"/></code></Basic></contained>'
            '<contained><Binary><contentType value="text/plain"/></Binary></contained>'
        ).decode(),
    ),
    "signs that XML needs escaped": (
        '{"resourceType":"Patient","language":"<a b=\\"c\\">&amp;\\n\\t\\r\'"}',
        patient('<language value="&lt;a b=&quot;c&quot;&gt;&amp;amp;&#10;&#9;&#13;\'"/>').decode(),
    ),
    "decimals as they came": (
        (
            '{"resourceType":"Observation","component":[{"valueQuantity":{"value":1.00}},{"valueQuantity":{"value":1E+2}},'
            '{"valueQuantity":{"value":42}},{"valueQuantity":{"value":-0.0}},{"valueInteger":-7}]}'
        ),
        '<Observation xmlns="http://hl7.org/fhir">'
        + "".join(
            f'<component><valueQuantity><value value="{digits}"/></valueQuantity></component>'
            for digits in ("1.00", "1E+2", "42", "-0.0")
        )
        + '<component><valueInteger value="-7"/></component></Observation>',
    ),
}


@pytest.mark.parametrize(("json", "xml"), SAME.values(), ids=SAME.keys())
def test_json_and_xml_say_the_same(json: str, xml: str) -> None:
    assert to_xml(loads(json.encode())).decode() == HEAD + xml
    assert exact(from_xml(xml.encode())) == exact(loads(json.encode()))


@pytest.mark.parametrize("text", NARRATIVES)
def test_a_narrative_goes_over_byte_for_byte(text: str) -> None:
    resource = {"resourceType": "Patient", "text": {"status": "generated", "div": text}}
    written = to_xml(resource)
    assert text.encode() in written
    assert from_xml(written) == resource


def test_a_narrative_far_into_a_document_is_found_at_its_byte() -> None:
    """The reader below takes a document in pieces of a megabyte; æ is two bytes."""
    data = {"resourceType": "Binary", "contentType": "æ/x", "data": "QUJD" * 700_000}
    resource = {"resourceType": "Patient", "contained": [data], "text": {"status": "generated", "div": NARRATIVES[3]}}
    both = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": resource}, {"resource": resource}]}
    assert from_xml(to_xml(both)) == both


MENDED = {
    "without a namespace": ("<div>Puls</div>", f"<div {XMLNS}>Puls</div>"),
    "with HTML's names": (f"<div {XMLNS}>a&nbsp;b&amp;&eacute;</div>", f"<div {XMLNS}>a&#160;b&amp;&#233;</div>"),
    "with space around": (f"\n <div {XMLNS}>x</div>\n", f"<div {XMLNS}>x</div>"),
}


@pytest.mark.parametrize(("text", "written"), MENDED.values(), ids=MENDED.keys())
def test_a_narrative_is_mended_only_where_xml_needs_it(text: str, written: str) -> None:
    resource = {"resourceType": "Patient", "text": {"status": "generated", "div": text}}
    assert from_xml(to_xml(resource))["text"]["div"] == written


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "",
        "<p>x</p>",
        f"<div {XMLNS}><br></div>",
        f'<div {XMLNS}>x</div></text><active value="true"/><text>',
        f"<!DOCTYPE div><div {XMLNS}>x</div>",
        f'<?xml version="1.0"?><div {XMLNS}>x</div>',
        f"<div {XMLNS}>&unknown;</div>",
        f"<div {XMLNS}>\x01</div>",
        '<div xmlns="http://hl7.org/fhir">x</div>',
    ],
)
def test_what_is_no_narrative_is_never_written_into_xml(text: str) -> None:
    with pytest.raises(NotAcceptable) as refused:
        to_xml({"resourceType": "Patient", "text": {"status": "generated", "div": text}})
    assert refused.value.issues[0].expression == "Patient.text.div"


@pytest.mark.parametrize(
    ("value", "expression"),
    [
        ({"language": "a\x01"}, "Patient.language"),
        ({"name": [{"given": ["a", "\uffff"]}]}, "Patient.name[0].given[1]"),
        ({"nmae": "x"}, "Patient.nmae"),
        ({"name": {"family": "x"}}, "Patient.name"),
        ({"name": [{"given": [None]}]}, "Patient.name[0].given[0]"),
        ({"contained": [{"id": "x"}]}, "Patient.contained[0]"),
        ({"language": ["da"]}, "Patient.language"),
    ],
)
def test_what_xml_cannot_say_is_refused_with_its_place_rather_than_lost(value: Json, expression: str) -> None:
    with pytest.raises(NotAcceptable) as refused:
        to_xml({"resourceType": "Patient", **value})
    assert (refused.value.code, refused.value.issues[0].expression) == ("not-in-xml", expression)


READ: dict[str, tuple[bytes, Json]] = {
    "comments and instructions": (
        b'<?xml version="1.0"?><?xml-stylesheet href="x"?><!-- a -->'
        + patient('<!-- b --><active value="true"><!-- c --></active><?d?>'),
        {"active": True},
    ),
    "another order": (patient('<birthDate value="1948"/><id value="a"/>'), {"id": "a", "birthDate": "1948"}),
    "a list in two places": (
        patient('<name id="a"/><active value="false"/><name id="b"/>'),
        {"name": [{"id": "a"}, {"id": "b"}], "active": False},
    ),
    "a prefix": (b'<f:Patient xmlns:f="http://hl7.org/fhir"><f:id value="a"/></f:Patient>', {"id": "a"}),
    "a byte order mark": (b"\xef\xbb\xbf" + patient('<id value="a"/>'), {"id": "a"}),
    "a hint at the schema": (
        patient('<id value="a"/>').replace(
            b">",
            b' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="http://hl7.org/fhir x.xsd">',
            1,
        ),
        {"id": "a"},
    ),
    "numbers by reference": (patient('<language value="&#100;&#x61;"/>'), {"language": "da"}),
    "an empty element, for the structure check to refuse": (
        patient("<birthDate/><maritalStatus/>"),
        {"_birthDate": {}, "maritalStatus": {}},
    ),
    "a narrative in a prefix": (
        patient(
            '<text><status value="generated"/><h:div xmlns:h="http://www.w3.org/1999/xhtml"><h:b>x</h:b></h:div></text>'
        ),
        {"text": {"status": "generated", "div": f"<div {XMLNS}><b>x</b></div>"}},
    ),
    "a narrative that leans on a prefix outside": (
        (
            b'<Patient xmlns="http://hl7.org/fhir" xmlns:h="http://www.w3.org/1999/xhtml"><text>'
            b"<h:div>&amp;<h:br/></h:div></text></Patient>"
        ),
        {"text": {"div": f"<div {XMLNS}>&amp;<br/></div>"}},
    ),
}


@pytest.mark.parametrize(("xml", "expected"), READ.values(), ids=READ.keys())
def test_every_way_to_write_it_is_read(xml: bytes, expected: Json) -> None:
    assert from_xml(xml) == {"resourceType": "Patient", **expected}


FAULTS: dict[str, tuple[bytes, int, str, str, str]] = {
    "nothing": (b"", 400, "xml-invalid", "", "line 1"),
    "no XML": (b"{}", 400, "xml-invalid", "", "line 1"),
    "cut off": (b'<Patient xmlns="http://hl7.org/fhir">\n<active', 400, "xml-invalid", "", "line 2"),
    "two roots": (patient("") + b"\n" + patient(""), 400, "xml-invalid", "", "line 2"),
    "a DOCTYPE": (b"<!DOCTYPE Patient>\n" + patient(""), 400, "xml-doctype", "", "line 1"),
    "an entity of its own": (
        b'<!DOCTYPE x [<!ENTITY a "b">]>' + patient('<id value="&a;"/>'),
        400, "xml-doctype", "", "line 1",
    ),
    "an entity from a file": (
        b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + patient("<text>&a;</text>"),
        400, "xml-doctype", "", "line 1",
    ),
    "HTML's entity": (patient('<id value="&nbsp;"/>'), 400, "xml-invalid", "", "line 1"),
    "bytes that are not UTF-8": (patient('<id value="a"/>').replace(b'"a"', b'"\xff"'), 400, "xml-not-utf8", "", ""),
    "another encoding": (
        b'<?xml version="1.0" encoding="ISO-8859-1"?>' + patient(""), 400, "xml-not-utf8", "", "",
    ),
    "UTF-16": (patient("").decode().encode("utf-16"), 400, "xml-not-utf8", "", ""),
    "no namespace": (b"<Patient/>", 400, "xml-namespace", "", "line 1"),
    "another namespace": (b'<Patient xmlns="urn:hl7-org:v3"/>', 400, "xml-namespace", "", "line 1"),
    "another namespace inside": (
        patient('\n<name xmlns="urn:x"/>'), 400, "xml-namespace", "Patient", "line 2",
    ),
    "HTML outside a narrative": (
        patient(f"<div {XMLNS}>x</div>"), 400, "xml-namespace", "Patient", "line 1",
    ),
    "nested too deeply": (patient('<extension url="a">' * 100), 400, "xml-too-deep", "", "line 1"),
    "no resource": (b'<HumanName xmlns="http://hl7.org/fhir"/>', 422, "resource-type-unknown", "", "line 1"),
    "unknown element": (
        patient("<name>\n<last value='x'/></name>"), 422, "unknown-element", "Patient.name[0].last", "line 2",
    ),
    "element in a primitive": (patient("<active><x/></active>"), 422, "unknown-element", "Patient.active.x", "line 1"),
    "an attribute's name as an element": (
        patient('<name><id value="x"/></name>'), 422, "unknown-element", "Patient.name[0].id", "line 1",
    ),
    "a JSON name": (patient("<_birthDate/>"), 422, "unknown-element", "Patient._birthDate", "line 1"),
    "resourceType": (patient('<resourceType value="x"/>'), 422, "unknown-element", "Patient.resourceType", "line 1"),
    "unknown attribute": (patient('<active vaule="true"/>'), 422, "unknown-element", "Patient.active", "vaule"),
    "value of what has none": (patient('<name value="x"/>'), 422, "unknown-element", "Patient.name[0]", "value"),
    "a resource's id as an attribute": (
        patient("").replace(b"Patient ", b'Patient id="a" ', 1), 422, "unknown-element", "Patient", "id",
    ),
    "xml:id": (patient('<name xml:id="x"/>'), 422, "unknown-element", "Patient.name[0]", "without a prefix"),
    "text": (patient("<active>true</active>"), 422, "xml-text", "Patient.active", "line 1"),
    "text in CDATA": (patient("<![CDATA[x]]>"), 422, "xml-text", "Patient", "line 1"),
    "one that stands twice": (
        patient('<active value="true"/>\n<active value="false"/>'), 422, "element-twice", "Patient.active", "line 2",
    ),
    "two narratives": (
        patient(f"<text><div {XMLNS}/><div {XMLNS}/></text>"), 422, "element-twice", "Patient.text.div", "line 1",
    ),
    "two resources in one place": (
        patient("<contained><Basic/><Basic/></contained>"), 422, "element-twice", "Patient.contained[0]", "line 1",
    ),
    "no resource in a place": (
        patient("<contained/>"), 422, "resource-type-missing", "Patient.contained[0]", "line 1",
    ),
    "unknown in what is contained": (
        patient("<contained><Basic/></contained><contained><Basic><x/></Basic></contained>"),
        422, "unknown-element", "Patient.contained[1].x", "line 1",
    ),
    "no boolean": (patient('<active value="1"/>'), 422, "wrong-value", "Patient.active", "boolean"),
    "no number": (
        patient('<multipleBirthInteger value="2.0"/>'), 422, "wrong-value", "Patient.multipleBirthInteger", "integer",
    ),
    "no decimal": (
        b'<Observation xmlns="http://hl7.org/fhir"><valueQuantity><value value="1,0"/></valueQuantity></Observation>',
        422, "wrong-value", "Observation.valueQuantity.value", "decimal",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("xml", "status", "code", "expression", "says"), FAULTS.values(), ids=FAULTS.keys())
def test_each_fault_is_told_with_its_place_and_line(
    xml: bytes, status: int, code: str, expression: str, says: str
) -> None:
    with pytest.raises(OverblikError) as refused:
        from_xml(xml)
    issue = refused.value.issues[0]
    assert (refused.value.status, issue.code, issue.expression) == (status, code, expression)
    assert says in issue.text
    assert issue.text.endswith(".")


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=150)
@given(resources())
def test_json_to_xml_to_json_is_the_same_whatever_the_resource(resource: Json) -> None:
    assert exact(from_xml(to_xml(resource))) == exact(resource)
    assert exact(from_xml(to_xml(resource, pretty=True))) == exact(resource)


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=50)
@given(resources(), st.randoms(use_true_random=False))
def test_the_order_of_json_decides_nothing(resource: Json, chance: random.Random) -> None:
    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            keys = list(value)
            chance.shuffle(keys)
            return {key: shuffled(value[key]) for key in keys}
        return [shuffled(item) for item in value] if isinstance(value, list) else value

    written = to_xml(resource)
    assert to_xml(shuffled(resource)) == written
    assert etree.fromstring(written).tag == "{http://hl7.org/fhir}" + resource["resourceType"]


def attempt(data: bytes) -> tuple[Json | None, OverblikError | None]:
    """Return the resource or the refusal."""
    try:
        return from_xml(data), None
    except OverblikError as error:
        return None, error


_PIECES = re.findall(r"<[^>]*>|[^<]+", "".join(x for _, x in SAME.values()))
_PIECES += [f"<div {XMLNS}>", "</div>", "&", "<!--"]


@settings(max_examples=300)
@given(st.lists(st.sampled_from(_PIECES), max_size=12).map("".join) | st.text(max_size=40))
def test_whatever_comes_in_is_read_or_refused_in_words(inner: str) -> None:
    for data in (inner.encode(errors="surrogatepass"), patient(inner) if inner.isascii() else b"\xff"):
        resource, refusal = attempt(data)
        assert refusal is None or (refusal.status in {400, 422} and refusal.text.endswith("."))
        assert resource is None or all(issue.text for issue in check(resource))


def test_the_deepest_xml_that_is_read_can_be_stored_and_read_again() -> None:
    read = []
    for levels in range(60, 110):
        xml = patient('<extension url="a">' * levels + '<valueString value="x"/>' + "</extension>" * levels)
        resource, refusal = attempt(xml)
        assert refusal is None or refusal.code == "xml-too-deep"
        if resource is not None:
            assert exact(loads(dumps(resource))) == exact(resource)
            read.append(levels)
    assert read == list(range(60, read[-1] + 1))
    assert 80 < read[-1] < 109
