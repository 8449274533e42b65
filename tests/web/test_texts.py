"""Every text of the pages has its English, none is left over, and both ask for the same values."""

from __future__ import annotations

import ast
import re
from datetime import UTC, date, datetime
from importlib import resources
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from babel.messages.extract import extract
from babel.messages.pofile import read_po

import overblik.web
from overblik.web.language import Language, preferred
from overblik.web.words import TABLES

if TYPE_CHECKING:
    from babel.messages.catalog import Catalog

WEB = Path(overblik.web.__file__).parent
PLACEHOLDER = re.compile(r"\{\w*\}")
Text = str | tuple[str, ...]


def in_templates() -> set[Text]:
    """Return what the templates ask for with `_` and `_n`."""
    found: set[Text] = set()
    for template in sorted((WEB / "templates").glob("*.html")):
        keywords: dict[str, tuple[int, ...]] = {"_": (1,), "_n": (1, 2)}
        with template.open("rb") as file:
            for _, text, _, _ in extract("jinja2.ext:babel_extract", file, keywords, options={"trimmed": "false"}):
                found.add(text if isinstance(text, str) else tuple(text))
    return found


def in_code() -> set[Text]:
    """Return what the code asks for with `.text("…")` and `.plural("…", "…")`, and the words of codes."""
    found: set[Text] = {word for table in TABLES.values() for word in table.values() if word}
    for path in WEB.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                given = tuple(a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str))
                if node.func.attr == "text" and len(given) == 1:
                    found.add(given[0])
                if node.func.attr == "plural" and len(given) == 2:
                    found.add(given)
    return found


def catalogue() -> Catalog:
    return read_po(BytesIO(resources.files("overblik.web").joinpath("locale/en.po").read_bytes()))


def entries() -> dict[Text, Text]:
    return {_text(m.id): _text(m.string) for m in catalogue() if m.id}


def _text(given: str | list[str] | tuple[str, ...] | None) -> Text:
    return given if isinstance(given, str) else tuple(given or ())


def test_every_text_has_its_english_and_none_is_left_over() -> None:
    asked, known = in_templates() | in_code(), entries()
    assert len(asked) > 300
    assert {t for t in asked if not known.get(t)} == set(), "no English"
    assert set(known) - asked == set(), "asked for by no page"
    assert [m.id for m in catalogue() if m.fuzzy] == []


def test_both_languages_ask_for_the_same_values() -> None:
    for danish, english in entries().items():
        one = [danish] if isinstance(danish, str) else list(danish)
        other = [english] if isinstance(english, str) else list(english)
        assert len(one) == len(other), danish
        for a, b in zip(one, other, strict=True):
            assert sorted(PLACEHOLDER.findall(a)) == sorted(PLACEHOLDER.findall(b)), danish


def test_no_text_stands_bare_in_a_template() -> None:
    """A text outside `_()` would be Danish on the English page; the few that are the same in both are named."""
    same = {"Overblik", "Dansk", "English", 'class="broad"'}
    bare: dict[str, list[str]] = {}
    for template in sorted((WEB / "templates").glob("*.html")):
        text = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", " ", template.read_text(), flags=re.DOTALL)
        text = re.sub(r"<[^>]*>", "\n", text)
        left = [line.strip(" ().,:;|/·–") for line in text.splitlines()]
        wrong = [line for line in left if re.search(r"[A-Za-zæøåÆØÅ]{2}", line) and line not in same]
        if wrong:
            bare[template.name] = wrong
    assert bare == {}


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "da"),
        ("da", "da"),
        ("en-GB,en;q=0.9,da;q=0.8", "en"),
        ("da-DK,da;q=0.9,en;q=0.8", "da"),
        ("nb-NO,nb;q=0.9,en;q=0.5", "da"),
        ("de-DE,de;q=0.9,en;q=0.4", "en"),
        ("de-DE", "da"),
        ("en;q=0, da;q=0.1", "da"),
        ("en;q=x", "da"),
        (";;;,,q=", "da"),
    ],
)
def test_the_browser_is_answered_in_the_language_it_prefers(header: str, language: str) -> None:
    assert preferred(header) == language


NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
WINTER = datetime(2026, 12, 1, 9, 5, tzinfo=UTC)
SUMMER = datetime(2025, 7, 1, 22, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("function", "arguments", "danish", "english"),
    [
        ("day", (WINTER, NOW), "1. dec.", "1 Dec"),
        ("day", (SUMMER, NOW), "2. jul. 2025", "2 Jul 2025"),
        ("day", (date(2026, 12, 1), NOW), "1. dec.", "1 Dec"),
        ("day", (None, NOW), "", ""),
        ("time", (WINTER, NOW), "1. dec. kl. 10.05", "1 Dec, 10:05"),
        ("meeting", (WINTER, NOW), "tirsdag den 1. december kl. 10.05", "Tuesday 1 December, 10:05"),
        ("span", (WINTER, WINTER, NOW), "1. dec.", "1 Dec"),
        ("span", (WINTER, None, NOW), "1. dec.", "1 Dec"),
        ("span", (NOW, WINTER, NOW), "23. nov. – 1. dec.", "23 Nov – 1 Dec"),
        ("soon", (NOW, NOW), "i dag", "today"),
        ("soon", (WINTER, NOW), "om 8 dage", "in 8 days"),
        ("soon", (SUMMER, NOW), "", ""),
        ("number", ("6.8",), "6,8", "6.8"),
        ("number", ("< 1.0",), "< 1,0", "< 1.0"),
        ("number", ("3.5 - 5.0",), "3,5 - 5,0", "3.5 - 5.0"),
        ("number", ("v. 2.0 af planen",), "v. 2.0 af planen", "v. 2.0 af planen"),
    ],
)
def test_dates_and_numbers_are_written_as_each_language_writes_them(
    function: str, arguments: tuple[object, ...], danish: str, english: str
) -> None:
    assert getattr(Language("da"), function)(*arguments) == danish
    assert getattr(Language("en"), function)(*arguments) == english
