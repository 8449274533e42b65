"""The page of blocks as a browser without JavaScript meets it: what a block would hide, set, in force, ended."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from overblik.demo.cast import INGER, NURSE, NURSING, STRANGER
from tests.trust.consents import consent, deny, of_type, person, verified
from tests.web.browse import CITIZEN, document, section, sign_in, told, words

if TYPE_CHECKING:
    import httpx

    from tests.conftest import World
    from tests.web.browse import Tab


def unmarked(page: httpx.Response) -> str:
    """Return a page with a sealed mark that differs each time as so many letters."""
    return re.sub(r"(?<=mark=)[A-Za-z0-9_-]+", lambda found: "x" * len(found[0]), page.text)


async def opened(world: World) -> tuple[Tab, Tab]:
    await told(world)
    nurse = await sign_in(world, NURSE.claims())
    await nurse.open(INGER.cpr)
    return await sign_in(world, CITIZEN), nurse


async def test_a_block_is_previewed_set_in_force_and_ended(world: World) -> None:
    citizen, nurse = await opened(world)
    page = await citizen.get("/blocks")
    assert "Du har ikke spærret for noget." in section(page, "blocks")
    offered = {words(o) for o in document(page).xpath("//select[@name='who']//option")}
    assert NURSING.name in offered
    assert any(NURSE.name in text for text in offered)
    fields = {"who": f"org:{NURSING.sor}", "what": "group:plans"}
    before = await citizen.post("/blocks/preview", fields)
    assert before.status_code == 200
    assert "Plan" in section(before, "hidden")
    assert NURSING.name in section(before, "from-whom")
    assert (await world.run.database.fetch("select 1 from deny")) == []
    seen = await nurse.open(INGER.cpr)
    assert "Genoptræningsplan" in section(seen, "plans")
    form = document(before).xpath("//form[contains(@action, '/blocks/set')]")[0]
    hidden = {i.get("name"): i.get("value") for i in form.xpath(".//input") if i.get("name") != "form_token"}
    after = await citizen.post("/blocks/set", hidden)
    assert f"Spærret for {NURSING.name}: Planer og mål" in section(after, "blocks")
    seen = await nurse.open(INGER.cpr)
    assert "Genoptræningsplan" not in seen.text
    assert "Spærr" not in seen.text.replace("spærret oplysninger", "")
    mine = await citizen.get()
    assert "Genoptræningsplan" in section(mine, "plans")
    identifier = document(after).xpath("string(//section[@id='blocks']//input[@name='id']/@value)")
    ended = await citizen.post("/blocks/end", {"id": identifier})
    assert "Du har ikke spærret for noget." in section(ended, "blocks")
    assert f"Spærret for {NURSING.name}" in section(ended, "blocks"), "among the earlier ones"
    assert "Genoptræningsplan" in section(await nurse.open(INGER.cpr), "plans")
    log = words(document(await citizen.get("/log")))
    assert "satte en spærring" in log
    assert "ophævede en spærring" in log


async def test_what_the_preview_lists_is_what_is_hidden(world: World) -> None:
    """The entries listed are those that the nurse no longer sees, less the Provenance that only says where from."""
    citizen, nurse = await opened(world)
    who = world.professional(NURSE.unit.sor, NURSE.id)
    patient = await world.patient_id(INGER.cpr, who)
    everything = f"/Patient/{patient}/$everything?_count=500"

    async def ids() -> set[str]:
        page = (await world.get(everything, who)).json()
        return {
            f"{e['resource']['resourceType']}/{e['resource']['id']}"
            for e in page["entry"]
            if e["search"]["mode"] == "match"
        }

    visible = await ids()
    fields = {"who": "all", "what": "group:plans"}
    before = await citizen.post("/blocks/preview", fields)
    links = document(before).xpath("//section[@id='hidden']//a/@href")
    listed = {link.partition("entry:")[2].partition("#")[0] for link in links}
    await citizen.post("/blocks/set", fields)
    gone = visible - await ids()
    assert gone
    assert {one for one in gone if not one.startswith("Provenance/")} <= listed
    assert not listed & await ids()
    assert nurse


async def test_every_group_that_the_page_offers_can_be_blocked(world: World) -> None:
    citizen, nurse = await opened(world)
    offered = document(await citizen.get("/blocks")).xpath("//select[@name='what']//option/@value")
    for what in (one for one in offered if one.startswith("group:")):
        answer = await citizen.post("/blocks/set", {"who": "all", "what": what})
        assert answer.status_code == 200, what
    page = await nurse.open(INGER.cpr)
    assert "/raw/" not in page.text, "a document's bytes are hidden with what tells of it"


async def test_one_entry_is_chosen_from_the_preview(world: World) -> None:
    citizen, _ = await opened(world)
    before = await citizen.post("/blocks/preview", {"who": "all", "what": "group:plans"})
    links = document(before).xpath("//section[@id='hidden']//a[contains(@href, 'CarePlan')]/@href")
    link = links[0].partition("/blocks")[2].partition("#")[0]
    page = await citizen.get("/blocks" + link)
    chosen = document(page).xpath("string(//select[@name='what']//option[@selected]/@value)")
    assert chosen.startswith("entry:CarePlan/")
    narrow = await citizen.post("/blocks/preview", {"who": "all", "what": chosen})
    assert document(narrow).xpath("count(//section[@id='hidden']//li[contains(@class, 'item')])") >= 1
    plan = chosen.partition("/")[2]
    assert plan in before.text
    await world.run.database.run("update resource set labels = '{staff}' where id = %(id)s", {"id": plan})
    assert plan not in (await citizen.post("/blocks/preview", {"who": "all", "what": "group:plans"})).text


@pytest.mark.parametrize(
    ("fields", "told_so"),
    [
        ({"who": "other", "other": ""}, "Hvem handler spærringen om?"),
        ({"who": ""}, "Hvem handler spærringen om?"),
        ({"who": "nobody:1"}, "Hvem handler spærringen om?"),
        ({"who": "other", "other": "99999999999"}, "Det sted eller den fagperson kender vi ikke"),
        ({"who": "all", "from": "2026-13-01"}, "Datoen findes ikke"),
        ({"who": "all", "data_from": "2026-02-01", "data_until": "2026-01-01"}, "Perioden slutter, før den begynder"),
        ({"who": "all", "what": "entry:Observation/0"}, "Den oplysning er ikke i din journal"),
    ],
)
async def test_what_cannot_be_set_says_why(world: World, fields: dict[str, str], told_so: str) -> None:
    citizen, _ = await opened(world)
    for path in ("/blocks/preview", "/blocks/set"):
        page = await citizen.post(path, fields)
        assert page.status_code == 422
        assert told_so in page.text
    assert (await world.run.database.fetch("select 1 from deny")) == []


async def test_the_page_is_the_citizens(world: World) -> None:
    citizen, nurse = await opened(world)
    assert (await nurse.get("/blocks")).status_code == 404
    for path in ("/blocks/preview", "/blocks/set", "/blocks/end"):
        assert (await nurse.post(path, {"who": "all", "id": "0" * 32})).status_code == 404
    assert (await citizen.post("/blocks/end", {"id": "0" * 32})).status_code == 404


async def test_staff_enter_a_block_at_the_citizens_word_and_are_told_of_no_other(world: World) -> None:
    citizen, nurse = await opened(world)
    patient = str((await nurse.open(INGER.cpr)).url).rpartition("/")[2]
    path = f"/patient/{patient}/block"
    before = unmarked(await nurse.get(path))
    fields = {"who": "all", "what": "group:messages", "word": "Inger selv, i telefonen", "verified": "1"}
    for missing in ("word", "verified"):
        refused = await nurse.post(path + "/set", {k: v for k, v in fields.items() if k != missing})
        assert refused.status_code == 422
        assert "Hvem sagde det?" in refused.text
    assert "Spærringen er sat." in (await nurse.post(path + "/set", fields)).text
    assert unmarked(await nurse.get(path)) == before
    told_of = section(await citizen.get("/blocks"), "blocks")
    assert "Spærret for alle fagfolk: Beskeder" in told_of
    assert f"af {NURSE.name}, {NURSE.role}, {NURSE.unit.name} (efter Inger selv, i telefonen)" in told_of
    stranger = await sign_in(world, STRANGER.claims())
    assert (await stranger.get(path)).status_code == (await stranger.post(path + "/set", fields)).status_code == 404
    assert (await citizen.get(path)).status_code == 404


async def test_what_staff_send_is_told_as_the_server_knows_it_and_hides_no_page(world: World) -> None:
    """A draft that says nothing, a forged word on who entered a block, and a false name for whom it is about."""
    citizen, _ = await opened(world)
    nurse = world.professional(NURSE.unit.sor, NURSE.id)
    forged = {"url": "urn:x:entered-by", "valueReference": {"display": "Overlæge Hansen"}}
    about = person("TEST9")
    about["actor"][0]["reference"]["display"] = "alle fagfolk"
    for body in (
        consent(None, INGER.cpr, status="draft", **verified()),
        consent(deny(about, of_type("Goal")), INGER.cpr, extension=[forged], **verified()),
    ):
        assert (await world.post("/Consent", nurse, body)).status_code == 201
    page = await citizen.get("/blocks")
    assert (page.status_code, (await citizen.get("/proxies")).status_code) == (200, 200)
    told_of = section(page, "blocks")
    assert "Spærret for TEST9: Mål" in told_of
    assert "af Test Person, læge" in told_of
    assert "Hansen" not in told_of
    assert "alle fagfolk" not in told_of
