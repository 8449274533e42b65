"""What is refused before anything is looked up stands in the log too: who asked, for what, and why not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from overblik.fhir.errors import Unavailable
from overblik.trust.door.access import MOST_TOLD
from tests.api.test_totals import entries
from tests.trust.stage import DEPARTMENT
from tests.web.browse import sign_in

if TYPE_CHECKING:
    from tests.conftest import World

CITIZEN = "0905489971"
CASES: tuple[tuple[str, str, str, Any, str, str], ...] = (
    ("citizen", "GET", "/_history", None, "not-for-this-caller", "/_history"),
    ("professional", "GET", "/_history?_count=2", None, "not-for-this-caller", "/_history"),
    ("professional", "POST", "/SearchParameter", {"resourceType": "SearchParameter"}, "not-for-this-caller",
     "/SearchParameter"),
    ("citizen", "POST", "/Observation", {"resourceType": "Observation"}, "not-for-this-caller", "/Observation"),
    ("citizen", "DELETE", "/Patient/x%00y" + "z" * 300, None, "not-for-this-caller",
     ("/Patient/x?y" + "z" * 300)[:MOST_TOLD]),
)  # fmt: skip


@pytest.mark.parametrize(("who", "method", "path", "body", "code", "told"), CASES)
async def test_a_refusal_before_any_look_up_is_an_entry(
    world: World, who: str, method: str, path: str, body: Any, code: str, told: str
) -> None:
    headers = {"citizen": world.citizen(CITIZEN), "professional": world.professional(DEPARTMENT)}[who]
    answer = await world.http.request(method, f"/fhir{path}", headers=headers, json=body)
    assert answer.status_code == 403, answer.text
    (entry,) = await entries(world, answer)
    assert (entry.pid, entry.outcome, entry.action, entry.rule, entry.query, entry.rids) == (
        0, "refuse", "refused", code, told, [],
    )  # fmt: skip


async def test_each_refused_entry_of_a_batch_has_one(world: World) -> None:
    asked = ("SearchParameter?url=x", "Patient?_id=x", "_history")
    entry = [{"request": {"method": "GET", "url": url}} for url in asked]
    entry += [{"request": {"method": "DELETE", "url": "Observation/x"}}]
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": entry}
    answer = await world.post("", world.citizen(CITIZEN), bundle)
    statuses = [e["response"]["status"][:3] for e in answer.json()["entry"]]
    refused = [e["request"]["url"].partition("?")[0] for e, s in zip(entry, statuses, strict=True) if s == "403"]
    assert len(refused) >= 2
    assert sorted(e.query for e in await entries(world, answer) if e.action == "refused") == sorted(refused)


async def test_a_refused_page_is_an_entry(world: World) -> None:
    tab = await sign_in(world, {"kind": "citizen", "sub": CITIZEN, "name": "Inge"})
    answer = await world.http.post(f"{tab.base}/blocks/set", data={"form_token": "of another page"})
    assert answer.status_code == 403
    (entry,) = await entries(world, answer)
    assert (entry.pid, entry.outcome, entry.rule, entry.query) == (0, "refuse", "form-foreign", "blocks/set")


async def test_a_refusal_that_cannot_be_logged_is_503(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def down(*_: Any) -> None:
        raise Unavailable("database-down", "The database cannot be reached; try again shortly.")

    monkeypatch.setattr(world.run.database, "fetch_quick", down)
    answer = await world.get("/_history", world.citizen(CITIZEN))
    assert answer.status_code == 503
