"""Every page over HTTP, as a browser without JavaScript meets it: headers, refusals, words, ways on."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from overblik.demo.cast import GP, INGER, NURSE, STRANGER, SURGEON
from overblik.web.site import HEADERS
from tests.conftest import NOW
from tests.web.browse import CITIZEN, FOUR, document, known, section, sign_in, told, words

if TYPE_CHECKING:
    import httpx

    from tests.conftest import World
    from tests.web.browse import Tab

ABSENT = "0905489971"
REASON = "Bevidstløs i modtagelsen, kan ikke spørges"
SHOWN = f"{INGER.cpr[:6]}-{INGER.cpr[6:]}"
RAW = re.compile(r"/raw/([A-Za-z0-9.-]+)")


def assert_guarded(answer: httpx.Response) -> None:
    """A page of ours says what a browser may do with it: run nothing of others, keep nothing, tell nobody."""
    for name, value in HEADERS.items():
        assert answer.headers[name.lower()] == value, name
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["cache-control"] == "no-store, private"
    assert answer.headers["x-request-id"]


async def test_w02_w09_every_page_and_every_refusal_is_guarded(world: World) -> None:
    await told(world)
    tabs = {name: await sign_in(world, claims) for name, claims in FOUR.items()}
    nurse, citizen = tabs["nurse"], tabs["citizen"]
    opened = await nurse.open(INGER.cpr)
    raw = RAW.findall(opened.text)[0]
    patient = str(opened.url).rpartition("/")[2]
    asked = [
        (await nurse.get(), 200),
        (opened, 200),
        (await nurse.get(f"/raw/{raw}"), 200),
        (await nurse.get(f"/patient/{patient}?asOf=x"), 400),
        (await nurse.get(f"/patient/{'0' * 32}"), 404),
        (await nurse.get("/nowhere"), 404),
        (await nurse.get("/log"), 404),
        (await nurse.get("/log/file"), 404),
        (await nurse.get("/look-up"), 405),
        (await nurse.post("/look-up", {"cpr": "x"}), 422),
        (await nurse.post("/break-glass", {"cpr": INGER.cpr, "reason": "kort"}), 422),
        (await citizen.get(), 200),
        (await citizen.get("/log"), 200),
        (await citizen.get("/log/file"), 503),  # nothing is sealed yet
        (await citizen.get(f"/patient/{patient}"), 404),
        (await world.http.get("/"), 200),
        (await world.http.get("/nowhere"), 404),
        (await world.http.get("/s/x/"), 401),
        (await world.http.get("/sign-in/callback"), 400),
        (await world.http.request("DELETE", "/"), 405),
    ]
    for answer, status in asked:
        assert answer.status_code == status, answer.request.url
        assert_guarded(answer)
        assert "SYNTETISKE DATA" in answer.text
        assert "<h1>" in answer.text
        assert INGER.cpr not in str(answer.request.url)


async def test_static_files_are_few_typed_and_our_own(world: World) -> None:
    for name, media in (("overblik.css", "text/css"), ("overblik.js", "text/javascript"), ("favicon.svg", "image/svg")):
        answer = await world.http.get(f"/static/{name}")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(media)
        assert answer.headers["x-content-type-options"] == "nosniff"
    for name in ("nothing.css", "..%2Fsite.py", "%2e%2e/site.py"):
        assert (await world.http.get(f"/static/{name}")).status_code == 404


@pytest.mark.parametrize("path", ["/", "/static/overblik.css", "/nowhere", "/sign-in/callback"])
async def test_head_answers_as_get_does_without_a_body(world: World, path: str) -> None:
    got, head = await world.http.get(path), await world.http.head(path)
    assert head.status_code == got.status_code
    assert head.headers["content-type"] == got.headers["content-type"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("POST", "/", "GET, HEAD"), ("PUT", "/s/x/log", "GET, HEAD"), ("GET", "/s/x/sign-out", "POST")],
)
async def test_a_page_that_does_not_work_that_way_says_how_it_does(
    world: World, method: str, path: str, allowed: str
) -> None:
    answer = await world.http.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


async def test_every_patient_page_names_the_person_and_how_fresh_it_is(world: World) -> None:
    await told(world)
    for name, claims in FOUR.items():
        tab = await sign_in(world, claims)
        page = await tab.get() if name == "citizen" else await tab.open(INGER.cpr)
        bar = words(document(page).xpath("//section[contains(@class, 'bar')]")[0])
        assert INGER.name in bar
        assert SHOWN in bar
        assert "82 år" in bar
        assert "Hentet kl." in page.text
        assert [s.get("src") for s in document(page).xpath("//script")] == ["/static/overblik.js"]
        assert document(page).xpath("//noscript/meta[@http-equiv='refresh']")


async def test_the_same_caution_and_the_same_door_stand_on_every_professional_page(world: World) -> None:
    await told(world)
    for claims in (NURSE.claims(), GP.claims(), SURGEON.claims()):
        tab = await sign_in(world, claims)
        for page in (await tab.get(), await tab.open(INGER.cpr)):
            assert "Kan være ufuldstændigt: borgeren kan have spærret oplysninger" in page.text
            assert document(page).xpath("//section[@id='break-glass']//textarea[@name='reason']")


async def test_what_nobody_stated_is_not_stated_and_never_none(world: World) -> None:
    await known(world)
    page = await (await sign_in(world, CITIZEN)).get()
    for name in ("medication", "allergies", "results", "plans", "problems"):
        assert "Ikke oplyst." in section(page, name), name
    assert "Ingen kendte" not in page.text
    assert "Fælles Medicinkort" in section(page, "sources")
    assert "Ikke tilsluttet" in section(page, "sources")


# -- looking up, and breaking the glass


async def test_looking_up_opens_whom_the_unit_treats(world: World) -> None:
    await told(world)
    nurse = await sign_in(world, NURSE.claims())
    for typed in (INGER.cpr, SHOWN, f" {SHOWN[:6]} {SHOWN[7:]} "):
        page = await nurse.open(typed)
        assert page.status_code == 200
        assert "/patient/" in str(page.url)
        assert INGER.cpr not in str(page.url)


async def test_a_look_up_is_in_the_log_before_its_page_is_opened(world: World) -> None:
    """Where the answer leads tells that the unit treats this person, also one who never follows it."""
    await told(world)
    logged = """select a.outcome, a.rule, a.pid <> 0 as known, l.type, l.id, cardinality(a.rids) as resources,
                       r.type as evidence
                from access_log a left join locator l on l.pid = a.pid and l.rid = any(a.rids)
                     left join resource r on r.pid = a.pid and r.rid = a.evidence
                where a.request = %(request)s and a.action = 'look up'"""
    for claims, cpr, status, expected in (
        (NURSE.claims(), INGER.cpr, 303, ("permit", "addressed", True, "Patient", 1, "MessageHeader")),
        (STRANGER.claims(), INGER.cpr, 404, ("refuse", "none", True, None, 0, None)),
        (STRANGER.claims(), ABSENT, 404, ("refuse", "none", False, None, 0, None)),
    ):
        tab = await sign_in(world, claims)
        answer = await world.http.post(f"{tab.base}/look-up", data={"form_token": await tab.token(), "cpr": cpr})
        assert answer.status_code == status
        (row,) = await world.run.database.fetch(logged, {"request": answer.headers["x-request-id"]})
        assert (row.outcome, row.rule, row.known, row.type, row.resources, row.evidence) == expected
        assert answer.headers.get("location", "").rpartition("/")[2] == (row.id or "")
    home = await (await sign_in(world, CITIZEN)).get()
    assert await world.run.database.fetch(logged, {"request": home.headers["x-request-id"]}) == []
    assert "slog op" in words(document(await (await sign_in(world, CITIZEN)).get("/log")))


@pytest.mark.parametrize("typed", ["", "x", "12345", "3213489996", "14044423467", "<script>"])
async def test_what_is_no_cpr_is_said_to_be_none(world: World, typed: str) -> None:
    await known(world)
    page = await (await sign_in(world, NURSE.claims())).open(typed)
    assert page.status_code == 422
    assert "Det er ikke et CPR-nummer" in page.text


async def test_hidden_and_absent_are_the_same_page(world: World) -> None:
    await told(world)
    stranger = await sign_in(world, STRANGER.claims())
    pages = [await stranger.open(cpr) for cpr in (INGER.cpr, ABSENT)]
    assert pages[0].status_code == pages[1].status_code == 404
    assert pages[0].text.replace(INGER.cpr, "CPR") == pages[1].text.replace(ABSENT, "CPR")
    identifier = await world.patient_id(INGER.cpr)
    direct = [await stranger.get(f"/patient/{target}") for target in (identifier, "0" * 32)]
    assert direct[0].text.replace(identifier, "ID") == direct[1].text.replace("0" * 32, "ID")
    assert direct[0].status_code == direct[1].status_code == 404


async def test_a_citizen_opens_nobody_else(world: World) -> None:
    await told(world)
    other = await sign_in(world, {"kind": "citizen", "sub": ABSENT, "name": "En anden"})
    home = await other.get()
    assert home.status_code == 404
    assert INGER.family not in home.text
    citizen = await sign_in(world, CITIZEN)
    identifier = await world.patient_id(INGER.cpr)
    assert (await citizen.get(f"/patient/{identifier}")).status_code == 404


async def test_breaking_the_glass_from_refusal_to_the_citizens_log(world: World) -> None:
    await told(world)
    stranger = await sign_in(world, STRANGER.claims())
    for reason in ("", "   ", "kort", "  for kort  "):
        refused = await stranger.post("/break-glass", {"cpr": INGER.cpr, "reason": reason})
        assert refused.status_code == 422
        assert "Skriv en begrundelse" in refused.text
        assert (await stranger.open(INGER.cpr)).status_code == 404
    opened = await stranger.post("/break-glass", {"cpr": SHOWN, "reason": REASON})
    assert opened.status_code == 200
    assert "Åbnet med værdispring." in opened.text
    assert INGER.name in opened.text
    log = words(document(await (await sign_in(world, CITIZEN)).get("/log")))
    assert REASON in log
    assert STRANGER.name in log
    assert STRANGER.unit.name in log
    assert "Afvist" in log


async def test_broken_glass_is_one_person_one_patient_and_sixty_minutes(world: World) -> None:
    await told(world)
    stranger = await sign_in(world, STRANGER.claims())
    page = await stranger.post("/break-glass", {"cpr": INGER.cpr, "reason": REASON})
    path = "/patient/" + str(page.url).rpartition("/")[2]
    colleague = await sign_in(world, {**STRANGER.claims(), "sub": "DEM99", "name": "En kollega"})
    assert (await colleague.get(path)).status_code == 404
    world.clock.forward(minutes=59, seconds=58)
    assert (await stranger.get(path)).status_code == 200
    world.clock.forward(seconds=4)
    assert (await stranger.get(path)).status_code == 404


async def test_u05_the_citizen_is_told_at_the_top_of_the_overview_at_once(world: World) -> None:
    await told(world)
    stranger = await sign_in(world, STRANGER.claims())
    assert "Bevidstløs" not in (await (await sign_in(world, CITIZEN)).get()).text
    await stranger.post("/break-glass", {"cpr": INGER.cpr, "reason": REASON})
    page = await (await sign_in(world, CITIZEN)).get()
    first = words(document(page).xpath("//main/*")[0])
    assert first.startswith("Værdispring: Bo Strandgaard, sygeplejerske")
    assert REASON in first


async def test_z33_who_has_not_shown_who_they_are_lately_shows_it_first(world: World) -> None:
    await told(world)
    stranger = await sign_in(world, STRANGER.claims())
    await world.run.database.run("update session set proved_at = now() - interval '16 minutes'")
    page = await stranger.post("/break-glass", {"cpr": INGER.cpr, "reason": REASON})
    assert page.status_code == 403
    assert "Vis igen, hvem du er" in page.text
    assert (await stranger.open(INGER.cpr)).status_code == 404
    await world.run.database.run("update session set proved_at = now() - interval '14 minutes'")
    assert (await stranger.post("/break-glass", {"cpr": INGER.cpr, "reason": REASON})).status_code == 200


async def test_the_glass_of_nobody_breaks_like_a_look_up_of_nobody(world: World) -> None:
    await known(world)
    page = await (await sign_in(world, STRANGER.claims())).post("/break-glass", {"cpr": ABSENT, "reason": REASON})
    assert page.status_code == 404


async def test_a_citizen_breaks_no_glass(world: World) -> None:
    await known(world)
    page = await (await sign_in(world, CITIZEN)).post("/break-glass", {"cpr": INGER.cpr, "reason": REASON})
    assert page.status_code == 403
    assert "Værdispring er for fagfolk" in page.text


# -- the message as it came, and the log


async def test_a_message_as_it_came_opens_for_those_who_see_it_and_nobody_else(world: World) -> None:
    await told(world)
    citizen, stranger = await sign_in(world, CITIZEN), await sign_in(world, STRANGER.claims())
    raws = list(dict.fromkeys(RAW.findall((await citizen.get()).text)))
    assert len(raws) > 3
    for raw in raws:
        page = await citizen.get(f"/raw/{raw}")
        assert page.status_code == 200
        assert INGER.name in page.text
        assert document(page).xpath("//pre[@class='raw']")[0].text_content().strip()
    answers = [await stranger.get(f"/raw/{target}") for target in (raws[0], "0" * 32)]
    assert answers[0].status_code == answers[1].status_code == 404
    assert answers[0].text.replace(raws[0], "ID") == answers[1].text.replace("0" * 32, "ID")


async def test_the_log_tells_who_where_what_and_why(world: World) -> None:
    await told(world)
    await (await sign_in(world, NURSE.claims())).open(INGER.cpr)
    await (await sign_in(world, STRANGER.claims())).open(INGER.cpr)
    page = await (await sign_in(world, CITIZEN)).get("/log")
    rows = [words(row) for row in document(page).xpath("//table[contains(@class, 'log')]//tbody/tr")]
    nurse = next(r for r in rows if NURSE.name in r and "overblik" in r.lower())
    assert NURSE.unit.name in nurse
    assert "ehandling" in nurse
    refused = next(r for r in rows if STRANGER.name in r)
    assert "Afvist" in refused
    assert STRANGER.unit.name in refused


# -- languages and the past


async def test_a_language_is_chosen_by_address_by_cookie_and_by_the_browser(world: World) -> None:
    english, danish = "One patient, one overview.", "Én patient, ét overblik."
    preferred = {"Accept-Language": "en-GB,en;q=0.9"}
    assert danish in (await world.http.get("/")).text
    assert english in (await world.http.get("/", headers=preferred)).text
    assert english in (await world.http.get("/?lang=en")).text
    assert english in (await world.http.get("/")).text
    assert danish in (await world.http.get("/?lang=da", headers=preferred)).text
    assert danish in (await world.http.get("/", headers=preferred)).text
    unknown = await world.http.get("/?lang=xx")
    assert danish in unknown.text
    assert "set-cookie" not in unknown.headers


async def test_the_other_language_keeps_what_the_address_asks_and_the_record_its_words(world: World) -> None:
    await told(world)
    tab = await sign_in(world, CITIZEN)
    page = await tab.get("/?asOf=2026-11-22")
    assert document(page).xpath("//a[@hreflang='en']/@href") == ["?asOf=2026-11-22&lang=en"]
    english = await tab.get("/?asOf=2026-11-22&lang=en")
    assert document(english).xpath("/html/@lang") == ["en"]
    assert "Your appointments" in english.text or "appointments" in section(english, "appointments").lower()
    assert "Blodtrykskontrol" in section(english, "appointments")
    assert document(english).xpath("//*[@lang='da']")


@pytest.mark.parametrize("text", ["x", "2026-99-99", "2026-11-23T99:00", "'; drop table"])
@pytest.mark.parametrize("who", ["citizen", "nurse"])
async def test_a_time_that_cannot_be_read_is_said_to_be_none(world: World, who: str, text: str) -> None:
    identifier = await known(world)
    tab = await sign_in(world, FOUR[who])
    page = await tab.get("/" if who == "citizen" else f"/patient/{identifier}", params={"asOf": text})
    assert page.status_code == 400
    assert "Tidspunktet kunne ikke læses" in page.text


async def test_the_past_says_that_it_is_the_past_and_looks_at_no_log(world: World) -> None:
    await told(world)
    tab = await sign_in(world, CITIZEN)
    past = await tab.get("/", params={"asOf": (NOW - timedelta(days=3)).strftime("%Y-%m-%dT%H:%M")})
    assert "Du ser overblikket, som det var kendt" in past.text
    assert section(past, "new") == section(past, "seen") == ""
    assert "Hentet kl." not in past.text
    future = await tab.get("/", params={"asOf": "2099-01-01"})
    assert "Du ser overblikket, som det var kendt" not in future.text
    assert "Hentet kl." in future.text


# -- the worklist


async def test_the_worklist_moves_a_patient_with_the_course(world: World) -> None:
    stands = ""
    for step, group in (("admission", "admitted"), ("discharge", "new-plan"), ("acceptance", "underway")):
        await told(world, step, stands)
        stands = step
        page = await (await sign_in(world, NURSE.claims())).get()
        assert groups(page) == {group: [INGER.name]}, step


def groups(page: httpx.Response) -> dict[str, list[str]]:
    """Return the names in each group of a worklist."""
    found: dict[str, list[str]] = {}
    for part in document(page).xpath("//section[starts-with(@aria-labelledby, 'g-')]"):
        found[part.get("aria-labelledby")[2:]] = [words(a) for a in part.xpath(".//td//a")]
    return found


async def test_an_empty_worklist_says_so(world: World) -> None:
    await known(world)
    tab: Tab = await sign_in(world, STRANGER.claims())
    page = await tab.get()
    assert "Enheden har ingen igangværende patienter lige nu." in page.text
    assert groups(page) == {}


async def test_u02_a_worklist_is_logged_for_each_patient_on_it(world: World) -> None:
    await told(world)
    await (await sign_in(world, NURSE.claims())).get()
    rows: list[Any] = await world.run.database.fetch(
        "select pid from access_log where action = 'worklist' and outcome = 'permit'"
    )
    assert len(rows) == 1
    assert "rbejdsliste" in (await (await sign_in(world, CITIZEN)).get("/log")).text
