"""`_list`, `_text` and `_content`: members of a List, Danish words of narratives and of whole resources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.api.test_search import INGE, found, write
from tests.journeys.wire import Recorder

if TYPE_CHECKING:
    from tests.conftest import World

TEXTS = {
    "hip": ("Røntgen af hoften viser brud", "Patienten er faldet på isen"),
    "knee": ("Knæet er hævet", "Ingen brud på knæet"),
    "plain": ("", "Æblegrød"),
}


async def tell(world: World) -> dict[str, str]:
    """Write what `write` does, and Observations with a narrative and a note; return the names by id."""
    names = await write(world)
    inge = next(identifier for identifier, name in names.items() if name == "inge")
    for name, (narrative, note) in TEXTS.items():
        text = {
            "text": {
                "status": "generated",
                "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{narrative}</p></div>',
            }
        }
        body = {"resourceType": "Observation", "status": "final", "code": {"text": "fund"}, "note": [{"text": note}],
                "subject": {"reference": f"Patient/{inge}"}, **(text if narrative else {})}  # fmt: skip
        created = await world.post("/Observation", world.source(), body)
        assert created.status_code == 201, created.text
        names[created.json()["id"]] = name
    return names


WORDS = [
    ("_text=brud", "hip"), ("_text=hofter", "hip"), ("_text=HOFTEN viser", "hip"), ("_text=faldet", ""),
    ("_text=knæet", "knee"), ("_text=brud OR knæet", "hip knee"), ("_text=p", ""), ("_text=xhtml", ""),
    ("_content=brud", "hip knee"), ("_content=faldet", "hip"), ('_content="brud på knæet"', "knee"),
    ("_content=brud -hofte", "knee"), ("_content=æblegrød", "plain"), ("_content=status", ""),
    ("_content=fund", "hip knee plain undated"), ("_content=brud&_text=hævet", "knee"), ("_content=%26%7C!(:*", ""),
    ("_text=", "hip knee longer plain pressure undated weight"),
]  # fmt: skip


async def test_words_are_found_as_danes_write_them(world: World) -> None:
    names = await tell(world)
    ids = {name: identifier for identifier, name in names.items()}
    for asked, expected in WORDS:
        path = f"Observation?patient={ids['inge']}&{asked}&_count=2"
        assert sorted(await found(world, names, path)) == expected.split(), asked
    assert await found(world, names, f"Observation?_id={ids['knee']}&_content=brud") == ["knee"]
    assert await found(world, names, "Observation?_content=æblegrød", world.citizen(INGE)) == ["plain"]
    assert await found(world, names, "Observation?_content=æblegrød", world.citizen("0101010101")) == []
    total = await world.get(f"/Patient/{ids['inge']}/Observation?_content=brud&_summary=count", world.source())
    assert total.json()["total"] == 2


@pytest.mark.parametrize("path", ["Observation?_text=brud", "Organization?_content=x", "Patient?_content=x&_count=0",
                                  "?_type=Observation&_text=x",
                                  "Observation?subject:Patient.gender=female&_content=x"])  # fmt: skip
async def test_texts_are_looked_for_in_records_that_are_named(world: World, path: str) -> None:
    response = await world.get(f"/{path}", world.system())
    assert (response.status_code, "text-of-whom" in response.text) == (400, True)


async def test_a_list_stands_for_its_members(world: World) -> None:
    names = await tell(world)
    ids = {name: identifier for identifier, name in names.items()}

    def entry(name: str, **more: Any) -> dict[str, Any]:
        return {"item": {"reference": f"Observation/{ids[name]}"}, **more}

    entries = [entry("weight"), entry("hip"), entry("light"), entry("knee", deleted=True),
               {"item": {"reference": f"Patient/{ids['inge']}"}}, {"item": {"display": "something"}}]  # fmt: skip
    body = {"resourceType": "List", "status": "current", "mode": "working", "entry": entries,
            "subject": {"reference": f"Patient/{ids['inge']}"}}  # fmt: skip
    created = (await world.post("/List", world.source(), body)).json()
    for path, expected in [
        (f"Observation?_list={created['id']}", ["hip", "light", "weight"]),
        (f"Observation?_list=List/{created['id']}&_count=1", ["hip", "light", "weight"]),
        (f"Observation?_list={created['id']}&code=W", ["light", "weight"]),
        (f"Patient?_list={created['id']}", ["inge"]),
        (f"?_type=Patient,Observation&_list={created['id']}&_count=2", ["hip", "inge", "light", "weight"]),
        (f"Condition?_list={created['id']}", []),
        ("Observation?_list=absent", []),
    ]:
        assert sorted(await found(world, names, path)) == expected, path
    assert sorted(await found(world, names, f"Observation?_list={created['id']}", world.citizen(INGE))) == [
        "hip", "weight"]  # fmt: skip
    refused = await world.get("/Observation?_list=$current-problems", world.source())
    assert refused.status_code == 400
    long = (await world.post("/List", world.source(), {**body, "entry": [entry("hip")] * 2_001})).json()["id"]
    refused = await world.get(f"/Observation?_list={long}", world.source())
    assert (refused.status_code, "search-by-too-large" in refused.text) == (422, True)


async def test_a_hidden_list_answers_as_one_that_is_not_there(world: World) -> None:
    names = await tell(world)
    bo = next(identifier for identifier, name in names.items() if name == "bo")
    weight = next(identifier for identifier, name in names.items() if name == "weight")
    body = {"resourceType": "List", "status": "current", "mode": "working", "subject": {"reference": f"Patient/{bo}"},
            "entry": [{"item": {"reference": f"Observation/{weight}"}}]}  # fmt: skip
    hidden = (await world.post("/List", world.source(), body)).json()["id"]
    recorder = Recorder(world)
    texts = []
    for name in (hidden, "0" * 32):
        response = await world.get(f"/Observation?_list={name}", world.citizen(INGE))
        texts.append((response.status_code, response.text.replace(name, "x")))
    assert texts[0] == texts[1]
    assert texts[0][0] == 200
    assert await recorder.differences() == []


async def test_a_condition_is_not_decided_by_words(world: World) -> None:
    ids = {name: identifier for identifier, name in (await tell(world)).items()}
    body = {"resourceType": "Observation", "status": "final", "code": {"text": "x"},
            "subject": {"reference": f"Patient/{ids['inge']}"}}  # fmt: skip
    response = await world.post("/Observation", {**world.source(), "If-None-Exist": "_content=brud"}, body)
    assert response.status_code == 400, response.text


@pytest.mark.parametrize("more", ["&_list=b", "&status=final" * 16])
async def test_no_criterion_is_left_out(world: World, more: str) -> None:
    assert (await world.get(f"/Observation?_list=a{more}", world.source())).status_code == 400


MANY = ",".join(map(str, range(501)))


@pytest.mark.parametrize("path", [f"Observation?_id={MANY}", f"Observation?code={MANY}", f"Observation?patient={MANY}",
                                  f"Provenance?target={','.join(map(str, range(20)))}"])  # fmt: skip
async def test_values_are_bounded_before_they_are_multiplied(world: World, path: str) -> None:
    response = await world.get(f"/{path}", world.source())
    assert (response.status_code, "search-too-long" in response.text) == (400, True)


async def test_a_form_is_bounded(world: World) -> None:
    form = {**world.source(), "Content-Type": "application/x-www-form-urlencoded"}
    response = await world.http.post("/fhir/Observation/_search", headers=form, content=b"code=" + b"x" * 300_000)
    assert response.status_code == 413
    for sent, headers in ((b"a=&" * 201, form | {"Prefer": "handling=lenient"}), (b"_sort=x&" * 201, form)):
        for path in ("Observation/_search", "_search?_type=Observation,Condition"):
            response = await world.http.post(f"/fhir/{path}", headers=headers, content=sent)
            assert (response.status_code, "search-too-long" in response.text) == (400, True), path
