"""Where somebody with a protected address lives: shown to themselves and to who delivered it, in no other channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from overblik.demo.cast import INGER, NURSE
from tests.conftest import NOW
from tests.trust.stage import CPR, DAY, DEPARTMENT, about, encounter, patient, stage, write
from tests.web.browse import CITIZEN, document, sign_in, told

if TYPE_CHECKING:
    from tests.conftest import World

SECRET, NUMBER = "Hemmeligvej 17", "00998877"
LABEL = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}


def living(**more: Any) -> dict[str, Any]:
    """Return a Patient with an address, a number and a narrative that tells both."""
    return {
        **patient(),
        "text": {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{SECRET}</div>'},
        "address": [{"line": [SECRET], "city": "Odense", "postalCode": "5000"}],
        "telecom": [{"system": "phone", "value": NUMBER}],
        "contact": [{"name": {"family": "Test"}, "address": {"line": [SECRET]}}],
        **more,
    }


def relative() -> dict[str, Any]:
    return {
        "resourceType": "RelatedPerson",
        "patient": about(),
        "name": [{"family": "Test"}],
        "address": [{"line": [SECRET]}],
    }


async def protected(world: World) -> tuple[str, str]:
    """Write a relation, what a hospital knows, and the register's word that the address is protected."""
    identifier = await stage(world)
    await write(world, encounter(DEPARTMENT, NOW - DAY, None))
    stated = await world.post("/Patient", world.source("hospital"), living())
    await write(world, relative())
    await world.post("/Patient", world.source("register"), living(meta={"security": [LABEL]}))
    return identifier, str(stated.json()["id"])


CHANNELS = [
    "/Patient/{id}",
    "/Patient/{id}/_history",
    "/Patient/{id}/_history/1",
    "/Patient?_id={id}",
    "/Patient?identifier=urn:oid:1.2.208.176.1.2|" + CPR,
    "/Encounter?patient=Patient/{first}&_include=Encounter:patient",
    "/Patient?_id={id}&_elements=address,telecom",
    "/Patient/{id}/$everything",
    "/Patient/{id}/$overview",
    "/RelatedPerson?patient=Patient/{first}",
    "/Patient/{id}?asOf=2026-11-23T09:00:01Z",
    "/Patient/{id}/_history?_count=1",
]


async def test_no_channel_tells_where_they_live_and_the_citizen_reads_it_all(world: World) -> None:
    first, second = await protected(world)
    await world.run.drain()
    for channel in CHANNELS:
        path = channel.format(id=second, first=first)
        told = await world.get(path, world.professional(DEPARTMENT))
        assert told.status_code == 200, (path, told.text)
        assert SECRET not in told.text, path
        assert NUMBER not in told.text, path
        own = await world.get(path, world.citizen(CPR))
        assert own.status_code == 200
        if "RelatedPerson" not in path and "_include" not in path:
            assert SECRET in own.text or NUMBER in own.text, path
    batch = {"request": {"method": "GET", "url": f"Patient/{second}"}}
    body = {"resourceType": "Bundle", "type": "batch", "entry": [batch]}
    answer = await world.post("", world.professional(DEPARTMENT), body)
    assert answer.status_code == 200
    assert SECRET not in answer.text
    delivered = await world.get(f"/Patient/{second}", world.source("hospital"))
    assert SECRET in delivered.text


async def test_a_message_as_it_came_is_not_shown_for_it_states_the_address_too(world: World) -> None:
    await told(world)
    nurse, own = await sign_in(world, NURSE.claims()), await sign_in(world, CITIZEN)
    page = await nurse.open(INGER.cpr)
    raw = str(document(page).xpath("//a[contains(@href, '/raw/')]/@href")[0]).removeprefix(nurse.base)
    assert document(await nurse.get(raw)).xpath("//pre[@class='raw']")
    stated = patient(INGER.cpr) | {"meta": {"security": [LABEL]}}
    await world.post("/Patient", world.source("register"), stated)
    hidden = await nurse.get(raw)
    assert hidden.status_code == 200
    assert not document(hidden).xpath("//pre[@class='raw']")
    assert "Borgeren har beskyttet adresse." in hidden.text
    assert document(await own.get(raw)).xpath("//pre[@class='raw']")
    who = world.token(**NURSE.claims())
    message = await world.get(f"/Binary/{raw.removeprefix('/raw/')}", who | {"Accept": "application/fhir+json"})
    assert message.status_code == 200
    assert "data" not in message.json()


ASKED = [
    "address=Hemmeligvej",
    "address-city=Odense",
    "address-postalcode=5000",
    f"phone={NUMBER}",
    f"telecom={NUMBER}",
]


@pytest.mark.parametrize("asked", ASKED)
async def test_nobody_is_found_by_a_protected_address(world: World, asked: str) -> None:
    await stage(world)
    await write(world, encounter(DEPARTMENT, NOW - DAY, None))
    who = world.professional(DEPARTMENT)
    plain = await world.post("/Patient", world.source("register"), living())
    assert len((await world.get(f"/Patient?{asked}", who)).json()["entry"]) == 1
    path = f"/Patient/{plain.json()['id']}"
    await world.replace(path, world.source("register"), living(id=plain.json()["id"], meta={"security": [LABEL]}))
    assert "entry" not in (await world.get(f"/Patient?{asked}", who)).json()


async def test_others_are_shown_as_before(world: World) -> None:
    await stage(world)
    await write(world, encounter(DEPARTMENT, NOW - DAY, None))
    plain = await world.post("/Patient", world.source("register"), living())
    told = await world.get(f"/Patient/{plain.json()['id']}", world.professional(DEPARTMENT))
    assert SECRET in told.text
    assert NUMBER in told.text
