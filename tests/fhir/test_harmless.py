"""P17: narratives that would do something wherever they are shown, and those that only say something."""

from __future__ import annotations

import pytest

from overblik.fhir.harmless import harm_in

XHTML = 'xmlns="http://www.w3.org/1999/xhtml"'
PNG = "data:image/png;base64,iVBORw0KGgo//w=="

HARMFUL = [
    "<script>alert(1)</script>",
    "<SCRIPT>x</SCRIPT>",
    '<script xmlns="">x</script>',
    "<p onclick='alert(1)'>x</p>",
    "<p ONCLICK='alert(1)'>x</p>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href=' java&#9;script:alert(1)'>x</a>",
    "<a href='&#9;javascript:alert(1)'>x</a>",
    "<a href='JAVASCRIPT&#58;alert(1)'>x</a>",
    "<a href='vbscript:x'>x</a>",
    "<a href='data:text/html,x'>x</a>",
    "<a href='file:///etc/passwd'>x</a>",
    "<img src='http://evil.example/x.png' alt=''/>",
    "<img src='//evil.example/x.png' alt=''/>",
    "<img src='\\\\evil.example\\x' alt=''/>",
    "<img src='data:image/svg+xml;base64,x' alt=''/>",
    "<img src='javascript:x' alt=''/>",
    "<img src='x.png' srcset='http://e/x' alt=''/>",
    "<iframe src='http://evil.example'/>",
    "<p style='background:url(http://e/x)'>x</p>",
    "<p style='background:url(&quot;//e/x&quot;)'>x</p>",
    "<p style='background:u\\72l(http://e/x)'>x</p>",
    "<p style='width:expression(alert(1))'>x</p>",
    "<p style='background:image-set(&quot;http://e/x&quot; 1x)'>x</p>",
    "<form action='http://evil.example'/>",
    "<input name='x'/>",
    "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
    "<s:svg xmlns:s='http://www.w3.org/2000/svg'/>",
    "<math xmlns='http://www.w3.org/1998/Math/MathML'/>",
    "<object data='x'/>",
    "<embed src='x'/>",
    "<style>p{}</style>",
    "<meta http-equiv='refresh' content='0'/>",
    "<link href='x'/>",
    "<base href='http://e/'/>",
    "<p xml:base='http://e/'>x</p>",
    "<x:script xmlns:x='http://www.w3.org/1999/xhtml'>x</x:script>",
    "<!--><img src='x' onerror='alert(1)'/>-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?xml-stylesheet href='http://e/x'?>",
    "<td background='http://e/x'>x</td>",
    "<template><p/></template>",
    "<a ping='http://e/x' href='#a'>x</a>",
    "<a target='x' href='#a'>x</a>",
]
"""Inside of a div."""
BROKEN = [
    "<div>",
    "x",
    "",
    f"<p {XHTML}>x</p>",
    f"<div {XHTML}><p></div>",
    "<!DOCTYPE div []><div/>",
    "<div>&unheard;</div>",
]
HARMLESS = [
    "Blodtryk <b>120</b>&nbsp;mmHg<br/>",
    "<a href='https://sundhed.dk/x?y=1#z' title='x'>mere</a>",
    "<a href='tel:+4511111111'>x</a>",
    "<a href='urn:uuid:6f1c3f9e-0a0a-4a0a-8a0a-000000000001'><img src='urn:uuid:6f1c3f9e' alt=''/></a>",
    "<a name='x'/><a href='#x'>x</a>",
    "<img src='#billede' alt=''/>",
    "<img src='icon_element.gif' alt=''/>",
    f"<img src='{PNG}' alt=''/>",
    "<table border='0' style='border: 1px #F0F0F0 solid'><tr><td colspan='2' class='x'>1</td></tr></table>",
    f"<td style='background-color: white; background-image: url({PNG})'>x</td>",
    "<td style='background: url(tbl_bck1.png)'>x</td>",
    "<!-- kort --><p lang='da' xml:lang='da'>æøå 😀</p>",
    "<ul><li>a</li></ul><pre>a &lt; b</pre><h3>x</h3><code>&lt;script&gt;</code>",
    "<p style='text-align : var(--ig-left,left)'>x</p>",
]


@pytest.mark.parametrize("inside", HARMFUL)
def test_p17_what_would_do_something_is_named(inside: str) -> None:
    assert harm_in(f"<div {XHTML}>{inside}</div>") is not None


@pytest.mark.parametrize("text", BROKEN)
def test_p17_what_is_no_xhtml_is_none(text: str) -> None:
    assert harm_in(text) in {"", "<!"}


@pytest.mark.parametrize("inside", HARMLESS)
def test_p17_what_only_says_something_is_left_alone(inside: str) -> None:
    assert harm_in(f"<div {XHTML}>{inside}</div>") is None
    assert harm_in(f"\n<div>{inside}</div>") is None
