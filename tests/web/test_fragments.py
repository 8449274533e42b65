"""What is kept of pages shows in no answer: a page from kept parts is the page as it is written anew."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup, escape

from overblik.demo.cast import INGER
from overblik.web.fragments import BASE, BESIDE, Fragments
from tests.web.browse import FOUR, sign_in, told

if TYPE_CHECKING:
    import pytest

    from tests.conftest import World
    from tests.web.browse import Tab


class Macro:
    """Writes its values, and counts how often it had to."""

    def __init__(self, name: str = "item") -> None:
        self.name, self.written = name, 0

    def __call__(self, *values: Any) -> Markup:
        """Write."""
        self.written += 1
        return Markup("<li>{}</li>").format(escape(values))


async def test_a_page_from_kept_parts_is_the_page_written_anew(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await told(world)
    tabs = [await sign_in(world, FOUR[name]) for name in ("nurse", "nurse", "citizen")]
    for tab in tabs:
        await _look(tab, "")  # the first look of all has news
    for language in ("?lang=en", "?lang=da"):
        pages = []
        for tab in tabs:  # each by itself: a look of one is news of who looked to another
            kept = [await _look(tab, language) for _ in range(2)]
            with monkeypatch.context() as patched:
                patched.setattr(Fragments, "within", lambda *_: lambda macro, *values: macro(*values))
                anew = await _look(tab, language)
            assert kept == [anew, anew]
            assert BASE not in anew
            pages.append(anew)
        assert pages[0] == pages[1] != pages[2]


async def _look(tab: Tab, language: str) -> str:
    """Return the page of the overview, without what every session has for itself."""
    own = await tab.get(f"/{language}")
    page = own
    if "/look-up" in own.text:
        patient = str((await tab.open(INGER.cpr)).url).rpartition("/")[2]
        page = await tab.get(f"/patient/{patient}{language}")
    assert page.status_code == 200, page.text
    assert f'href="{tab.base}/raw/' in page.text
    text = re.sub(r'<meta name="live"[^>]*>', "", page.text)
    text = re.sub(r'<section id="seen".*?</section>', "", text, flags=re.DOTALL)  # looks of one instant have no order
    return text.replace(tab.base, "").replace(await tab.token(), "")


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(("da", "en")), st.integers(0, 3), st.text(max_size=3)))
)
def test_what_is_kept_is_of_the_same_part_reader_and_value(asked: list[tuple[str, str, int, str]]) -> None:
    fragments = Fragments(most=5 * BESIDE)
    macros = {name: Macro(name) for name in "ab"}
    for name, language, day, value in asked:
        found = fragments.within(language, day)(macros[name], value)
        assert found == Macro(name)(value)
    assert sum(m.written for m in macros.values()) >= len(set(asked))


def test_a_part_is_written_once_and_the_least_lately_used_is_given_up() -> None:
    fragments, macro = Fragments(most=2 * (BESIDE + 30)), Macro()
    kept = fragments.within("da")
    for value in (1, 2, 1, 2, 3, 2, 1):
        kept(macro, value)
    assert macro.written == 4
