"""Rows of group S that no test of search, history or two worlds has."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from overblik.overview.present import CAUTION
from tests.api.test_transaction import bundle
from tests.security.conftest import SECRET, observation
from tests.trust.stage import CPR, OTHER, SIBLING, about, patient, write

if TYPE_CHECKING:
    from tests.security.conftest import Scene

NOBODY = "0" * 32


async def test_s02_there_is_no_next_page_of_what_is_hidden(scene: Scene) -> None:
    """A page that is full without the hidden has no link on, and a cursor tells nothing by its length."""
    for _ in range(3):
        await write(scene.world, observation(OTHER, status="preliminary"))
    await write(scene.world, observation(status="preliminary"))
    found = (await scene.world.get("/Observation?status=preliminary&_count=1", scene.doctor)).json()
    assert len(found["entry"]) == 1
    assert [link["relation"] for link in found["link"]] == ["self"]
    assert "total" not in found


BISECTED = (
    "Patient?birthdate=ge1900&birthdate=le2000",
    "Patient?name=hem",
    "Patient?name:contains=mmelig",
    "Patient?name:exact={secret}",
    "Patient?gender:missing=true",
    "Patient?_lastUpdated=gt2000",
    "Patient?identifier={cpr}",
    "Observation?value-quantity=gt41",
    "Observation?value-quantity=lt42",
    "Observation?subject.birthdate=gt1900",
    "Observation?code:not=Y",
    "Observation?note:missing=false",
    "Observation?patient.name=hemmel",
    "Observation?date=ge2000",
    'Observation?_filter=subject.name co "mmelig"',
    "Observation?_content=hemmeligt*&_id={hidden}",
    "Observation?status:not=final",
    "Patient?_has:Observation:patient:value-quantity=gt41",
    "Patient?_has:Observation:patient:code=X",
    "Observation?_sort=-value-quantity&_count=500",
    "Observation?_summary=count",
    "Patient?_total=accurate",
)


@pytest.mark.parametrize("path", BISECTED)
async def test_s04_no_question_narrows_over_what_is_hidden(scene: Scene, path: str) -> None:
    """Each answer is as it is for a doctor who may see all, less what is hidden; what is left cannot tell."""
    asked = path.replace("{cpr}", OTHER).replace("{secret}", SECRET).replace("{hidden}", scene.hidden)
    everything = await scene.world.get(f"/{asked}", scene.world.system())
    found = await scene.world.get(f"/{asked}", scene.doctor)
    assert found.status_code == everything.status_code
    if found.status_code != 200:
        assert found.status_code == 400
        return
    ids = {e["resource"]["id"] for e in found.json().get("entry", [])}
    assert not ids & {scene.other, scene.hidden}
    assert SECRET not in found.text.replace(asked.partition("=")[2], "")
    if "count" in asked.partition("?")[2].partition("&")[0] or "_total" in asked:
        listed = await scene.world.get(f"/{asked.partition('?')[0]}?_count=500", scene.doctor)
        assert found.json()["total"] == len(listed.json().get("entry", []))


@pytest.mark.parametrize(
    "path", ["/Patient/{}", "/Observation?patient={}", "/Patient?_id={}", "/Patient/{}/$everything"]
)
async def test_s05_existing_and_absent_have_one_status(scene: Scene, path: str) -> None:
    for who in (scene.doctor, scene.world.professional(SIBLING), scene.world.citizen("0101010101")):
        answers = []
        for name in (scene.other, NOBODY):
            answer = await scene.world.get(path.format(name), who)
            answers.append((answer.status_code, answer.text.replace(name, "ID"), len(answer.content)))
        assert answers[0] == answers[1]


async def test_s07_a_condition_is_asked_with_the_callers_rights(scene: Scene) -> None:
    """Another source that guesses a CPR creates its own Patient, whether or not somebody has that number already."""
    answers = []
    for number, cpr in enumerate((OTHER, "0101010101")):
        sent = await scene.world.post(
            "/Patient", scene.world.source(f"guesser{number}"), patient(cpr),
            headers={"If-None-Exist": f"identifier=urn:oid:1.2.208.176.1.2|{cpr}"},
        )  # fmt: skip
        answers.append((sent.status_code, sent.headers["ETag"]))
    assert answers == [(201, 'W/"1"')] * 2
    for who in (scene.doctor, scene.citizen):
        sent = await scene.world.post("/Patient", who, patient(OTHER), headers={"If-None-Exist": f"identifier={OTHER}"})
        assert sent.status_code == 403


async def test_s10_no_id_follows_from_another(scene: Scene) -> None:
    made = [await write(scene.world, observation()) for _ in range(3)]
    asked = [(await scene.world.get(f"/Observation/{name}", scene.doctor)).headers["x-request-id"] for name in made]
    assert all(re.fullmatch("[0-9a-f]{32}", name) for name in made)
    assert all(UUID(one).version == 4 for one in asked)
    numbers = [int(name, 16) for name in made] + [UUID(one).int for one in asked]
    assert min(abs(a - b) for a in numbers for b in numbers if a != b) > 1 << 64


async def test_s13_a_refusal_quotes_nothing_of_what_is_hidden(scene: Scene) -> None:
    """Neither what a target says, nor that another has the same identifier, nor a name of a table."""
    stranger = scene.world.source("stranger")
    same = {**observation("0101010101"), "identifier": [{"system": "urn:x", "value": "one"}]}
    assert (await scene.world.post("/Observation", scene.source, same)).status_code == 201
    assert (await scene.world.post("/Observation", stranger, same)).status_code == 201, "no uniqueness across sources"
    answers = []
    for target in (scene.hidden, NOBODY):
        body = {**observation("0101010101"), "hasMember": [{"reference": f"Observation/{target}"}], "status": "x"}
        answers.append((await scene.world.post("/Observation", stranger, body)).text)
    assert answers[0] == answers[1]
    sent = await scene.world.post("/Observation", stranger, {**same, "identifier": [{"value": "v" * 9000}]})
    for word in ("psycopg", "constraint", "index row", "relation ", "Traceback", "/src/", SECRET):
        assert word not in answers[0] + sent.text


async def test_s14_a_transaction_that_names_the_hidden_fails_as_one_that_names_nothing(scene: Scene) -> None:
    stranger = scene.world.source("stranger")
    answers = []
    for target in (scene.hidden, NOBODY):
        for method in ("PUT", "DELETE", "PATCH"):
            entry: dict[str, Any] = {"request": {"method": method, "url": f"Observation/{target}"}}
            if method == "PUT":
                entry |= {"resource": {**observation(OTHER), "id": target}}
                entry["request"]["ifMatch"] = 'W/"1"'
            if method == "PATCH":
                parameters = {
                    "resourceType": "Parameters",
                    "parameter": [
                        {
                            "name": "operation",
                            "part": [
                                {"name": "type", "valueCode": "delete"},
                                {"name": "path", "valueString": "Observation.note"},
                            ],
                        }
                    ],
                }
                entry |= {"resource": parameters}
            answer = await scene.world.post("", stranger, bundle(entry, kind="transaction"))
            answers.append((method, answer.status_code, answer.text.replace(target, "ID")))
    assert answers[:3] == answers[3:]
    assert {status for _, status, _ in answers} <= {404, 422}


async def test_s16_nothing_says_that_something_was_withheld(scene: Scene) -> None:
    """No OperationOutcome in a Bundle, no header, and the page's caution is the same for every patient."""
    for path in ("/Observation", f"/Patient/{scene.mine}/$everything", f"/Patient/{scene.mine}/$overview"):
        answer = await scene.world.get(path, scene.doctor)
        assert "OperationOutcome" not in answer.text
        assert not {"warning", "x-filtered"} & set(answer.headers)
        said = answer.text.replace(CAUTION, "")
        assert not re.search("withheld|filtered|spær|blocked|hidden|incomplete|ufuldst", said), path
    overview = await scene.world.get(f"/Patient/{scene.mine}/$overview", scene.doctor)
    assert overview.json()["caution"] == CAUTION, "of every patient, whether or not anything is hidden"


async def test_s17_a_clash_is_told_of_visible_appointments_only(scene: Scene) -> None:
    def booked(comment: str, *who: dict[str, Any]) -> dict[str, Any]:
        times = {"start": "2026-12-01T10:00:00Z", "end": "2026-12-01T11:00:00Z"}
        seats = [{"actor": one, "status": "accepted"} for one in who]
        return {"resourceType": "Appointment", "status": "booked", "comment": comment, **times, "participant": seats}

    await write(scene.world, booked("alene", about()))
    before = (await scene.world.get(f"/Patient/{scene.mine}/$overview", scene.doctor)).json()["appointments"]
    await write(scene.world, booked(SECRET, about(), about(OTHER)))
    after = (await scene.world.get(f"/Patient/{scene.mine}/$overview", scene.doctor)).json()["appointments"]
    assert before == after
    assert len(after) == 1


async def test_s19_no_answer_may_be_kept_for_another(scene: Scene) -> None:
    paths = (f"/Patient/{scene.mine}", "/Patient", "/Observation?code=X", "/metadata", f"/Patient/{NOBODY}", "/Nothing",
             f"/Patient/{scene.mine}/$overview", f"/Patient/{scene.mine}/_history")  # fmt: skip
    for path in paths:
        for answer in (await scene.world.get(path, scene.doctor), await scene.world.http.get(f"/fhir{path}")):
            assert "no-store" in answer.headers["cache-control"]
            assert "private" in answer.headers["cache-control"]
            assert "Authorization" in answer.headers["vary"]
    etag = (await scene.world.get(f"/Patient/{scene.mine}", scene.doctor)).headers["ETag"]
    kept = await scene.world.get(
        f"/Patient/{scene.mine}", scene.world.professional(SIBLING), headers={"If-None-Match": etag}
    )
    assert kept.status_code == 404, "an ETag of another's opens nothing"


async def test_s20_a_request_id_names_nobody_and_is_nobodys_key(scene: Scene) -> None:
    asked = str(UUID(int=7))
    answer = await scene.world.get(
        f"/Patient/{NOBODY}", scene.doctor, headers={"X-Request-Id": asked, "traceparent": "00-a-b-01"}
    )
    assert answer.headers["x-request-id"] != asked, "ours, not the caller's"
    assert (await scene.world.http.get(f"/log/{answer.headers['x-request-id']}")).status_code == 404
    assert CPR not in str(answer.headers)
