"""Transactions with every form of reference and condition; batches of every interaction."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any

import pytest

from overblik.fhir.strict_json import dumps
from overblik.store.database import counting
from tests.api.test_transaction import bundle, entry, place
from tests.conftest import NOW
from tests.trust.stage import CPR, DAY, DEPARTMENT, OTHER, SIBLING, about, encounter, patient, stage, write

if TYPE_CHECKING:
    import httpx

    from tests.conftest import World

BY_CPR = f"identifier=urn:oid:1.2.208.176.1.2|{CPR}"
URN = "urn:uuid:6f1c3f9e-0a0a-4a0a-8a0a-00000000000"
ELSEWHERE = "https://elsewhere.example/base"


def observation(subject: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "subject": {"reference": subject},
        **more,
    }


async def sent(world: World, *entries: dict[str, Any], **headers: str) -> httpx.Response:
    return await world.post("", world.source(), bundle(*entries), headers=headers)


async def stored(world: World, answer: httpx.Response, number: int) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    return dict((await world.get(f"/{place(answer.json(), number)}", world.source())).json())


def code(answer: httpx.Response) -> tuple[str, str]:
    issue = answer.json()["issue"][0]
    return issue["details"]["coding"][0]["code"], issue.get("expression", [""])[0]


@pytest.mark.parametrize(
    ("full", "own", "reference"),
    [
        (f"{URN}1", f"{URN}2", f"{URN}1"),
        ("urn:oid:1.2.3", f"{URN}2", "urn:oid:1.2.3"),
        (f"{ELSEWHERE}/Patient/7", f"{ELSEWHERE}/Observation/8", "Patient/7"),
        (f"{ELSEWHERE}/Patient/7", f"{ELSEWHERE}/Observation/8", f"{ELSEWHERE}/Patient/7"),
        (f"{ELSEWHERE}/Patient/7", f"{URN}2", f"{ELSEWHERE}/Patient/7"),
        (f"{ELSEWHERE}/Patient/7", f"{ELSEWHERE}/Observation/8", "Patient/7/_history/1"),
        ("http://test/fhir/Patient/7", "http://test/fhir/Observation/8", "Patient/7"),
        (f"{URN}1", f"{URN}2", f"Patient?{BY_CPR}"),
    ],
)
async def test_a_reference_to_another_entry_is_resolved_in_every_form(
    world: World, full: str, own: str, reference: str
) -> None:
    answer = await sent(
        world,
        entry("POST", "Observation", observation(reference), full_url=own),
        entry("POST", "Patient", patient(), full_url=full),
    )
    assert (await stored(world, answer, 0))["subject"]["reference"] == place(answer.json(), 1)


async def test_links_fragments_and_foreign_references_keep_their_meaning(world: World) -> None:
    document = {
        "resourceType": "DocumentReference",
        "status": "current",
        "subject": {"reference": f"{URN}1"},
        "author": [{"reference": "#a"}],
        "contained": [{"resourceType": "Practitioner", "id": "a"}],
        "text": {
            "status": "generated",
            "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><a href="{URN}3">x</a></div>',
        },
        "content": [{"attachment": {"url": f"{URN}3"}}],
        "custodian": {"reference": f"{ELSEWHERE}/Organization/7"},
        "relatesTo": [{"code": "appends", "target": {"reference": f"{URN}3#part"}}],
    }
    binary = {"resourceType": "Binary", "contentType": "text/plain", "data": "eA=="}
    answer = await sent(
        world,
        entry("POST", "DocumentReference", document, full_url=f"{URN}2"),
        entry("POST", "Binary", binary, full_url=f"{URN}3"),
        entry("POST", "Patient", patient(), full_url=f"{URN}1"),
    )
    found = await stored(world, answer, 0)
    target = place(answer.json(), 1)
    assert found["content"][0]["attachment"]["url"] == target
    assert f'<a href="{target}">' in found["text"]["div"]
    assert found["author"][0]["reference"] == "#a"
    assert found["custodian"]["reference"] == f"{ELSEWHERE}/Organization/7"
    assert found["relatesTo"][0]["target"]["reference"] == f"{target}#part"


async def test_a_conditional_reference_finds_what_the_same_transaction_writes(world: World) -> None:
    clinic = {"resourceType": "Organization", "identifier": [{"system": "s", "value": "clinic"}], "name": "K"}
    who = {**patient(), "managingOrganization": {"reference": "Organization?identifier=s|clinic"}}
    answer = await sent(
        world,
        entry("POST", "Observation", observation(f"{URN}1")),
        entry("POST", "Patient", who, full_url=f"{URN}1"),
        entry("POST", "Organization", clinic),
    )
    assert (await stored(world, answer, 1))["managingOrganization"]["reference"] == place(answer.json(), 2)
    assert (await stored(world, answer, 0))["subject"]["reference"] == place(answer.json(), 1)


async def test_entries_by_condition_update_patch_and_delete_what_they_find(world: World) -> None:
    first = await write(world, patient())
    gone = await write(world, observation(f"Patient/{first}", identifier=[{"value": "gone"}]))
    patching = {
        "resourceType": "Binary",
        "contentType": "application/json-patch+json",
        "data": base64.b64encode(dumps([{"op": "replace", "path": "/status", "value": "amended"}])).decode(),
    }
    changed = await write(world, observation(f"Patient/{first}", identifier=[{"value": "changed"}]))
    answer = await sent(
        world,
        entry("PATCH", "Observation?identifier=changed", patching, ifMatch='W/"1"'),
        entry("PUT", f"Patient?{BY_CPR}", {**patient(), "gender": "male"}, full_url=f"{URN}1"),
        entry("PUT", "Observation?identifier=new", observation(f"{URN}1")),
        entry("DELETE", "Observation?identifier=gone"),
        entry("DELETE", "Observation?identifier=unknown"),
        Prefer="return=representation",
    )
    assert answer.status_code == 200, answer.text
    entries = answer.json()["entry"]
    statuses = [e["response"]["status"][:3] for e in entries]
    assert statuses == ["200", "200", "201", "204", "204"]
    assert entries[0]["resource"]["status"] == "amended"
    assert place(answer.json(), 0) == f"Observation/{changed}"
    assert place(answer.json(), 1) == f"Patient/{first}"
    assert entries[2]["resource"]["subject"]["reference"] == f"Patient/{first}"
    assert (await world.get(f"/Observation/{gone}", world.source())).status_code == 410


async def test_entries_on_one_condition_mean_one_resource(world: World) -> None:
    clinic = {"resourceType": "Organization", "identifier": [{"system": "s", "value": "clinic"}], "name": "K"}
    answer = await sent(
        world,
        entry("POST", "Patient", patient(), ifNoneExist=BY_CPR, full_url=f"{URN}1"),
        entry("POST", "Patient", patient(), ifNoneExist=BY_CPR, full_url=f"{URN}2"),
        entry("POST", "Organization", clinic, ifNoneExist="identifier=s|clinic"),
        entry("POST", "Organization", clinic, ifNoneExist="identifier=s|clinic"),
        entry("POST", "Observation", observation(f"{URN}2")),
    )
    assert answer.status_code == 200, answer.text
    statuses = [e["response"]["status"][:3] for e in answer.json()["entry"]]
    assert statuses == ["201", "200", "201", "200", "201"]
    places = [place(answer.json(), number) for number in range(4)]
    assert (places[0], places[2]) == (places[1], places[3])
    twice = [entry("PUT", "Patient?identifier=x", patient(OTHER)) for _ in range(2)]
    refused = await sent(world, *twice)
    assert (refused.status_code, code(refused)) == (400, ("entry-twice", "Bundle.entry[1]"))


@pytest.mark.parametrize(
    ("second", "status", "expected"),
    [
        (entry("PUT", "Patient/gateway.1", {**patient(), "id": "gateway.1"}), 400, ("entry-twice", "Bundle.entry[1]")),
        (entry("DELETE", "Patient/gateway.1"), 400, ("entry-twice", "Bundle.entry[1]")),
        (
            entry("PUT", "Patient?identifier=x", {**patient(OTHER)}, ifMatch='W/"1"'),
            412,
            ("version-changed", "Bundle.entry[1].request.url"),
        ),
        (entry("PUT", "Patient", patient(OTHER)), 400, ("condition-empty", "Bundle.entry[1].request.url")),
        (entry("DELETE", "Patient?identifier="), 400, ("condition-empty", "Bundle.entry[1].request.url")),
        (entry("PATCH", "Patient?identifier=x", patient()), 404, ("not-found", "Bundle.entry[1]")),
        (entry("PATCH", "Patient/none", patient()), 422, ("patch-invalid", "Bundle.entry[1].resource.resourceType")),
        (
            entry("POST", "Observation", observation("Patient?identifier=")),
            400,
            ("condition-empty", "Bundle.entry[1].resource.reference"),
        ),
        (
            entry("POST", "Patient", patient(OTHER), ifNoneExist=""),
            422,
            ("wrong-value", "Bundle.entry[1].request.ifNoneExist"),
        ),
        (entry("POST", "Patient/x/$everything", patient(OTHER)), 400, ("entry-url", "Bundle.entry[1].request.url")),
        (entry("GET", "Patient/x/$nonsense"), 404, ("not-found", "Bundle.entry[1]")),
        (entry("GET", "metadata"), 400, ("entry-url", "Bundle.entry[1].request.url")),
        (
            entry("POST", "Patient", {**patient(OTHER), "gender": "x"}),
            422,
            ("code-not-in-list", "Bundle.entry[1].resource.gender"),
        ),
        (
            entry("PUT", "Patient/gateway.2", {**patient(OTHER), "id": "gateway.2"}, ifMatch='W/"3"'),
            404,
            ("not-found", "Bundle.entry[1]"),
        ),
    ],
)
async def test_a_refusal_says_which_entry_and_undoes_all(
    world: World, second: dict[str, Any], status: int, expected: tuple[str, str]
) -> None:
    first = entry("PUT", "Patient/gateway.1", {**patient(), "id": "gateway.1"})
    answer = await sent(world, first, second)
    assert (answer.status_code, code(answer)) == (status, expected), answer.text
    assert (await world.get("/Patient/gateway.1", world.system())).status_code == 404


async def test_updates_of_many_take_as_few_statements_as_one(world: World) -> None:
    ids = [await write(world, patient(cpr)) for cpr in (CPR, OTHER)]
    results = [await write(world, observation(f"Patient/{ids[n % 2]}")) for n in range(12)]
    subject = {one: f"Patient/{ids[n % 2]}" for n, one in enumerate(results)}
    versions = dict.fromkeys(results, 0)
    counts = []
    for some in (results[:2], results):
        versions |= {i: versions[i] + 1 for i in some}
        entries = [
            entry("PUT", f"Observation/{i}", {**observation(subject[i]), "id": i}, ifMatch=f'W/"{versions[i]}"')
            for i in some
        ]
        with counting() as statements:
            answer = await sent(world, *entries)
        assert answer.status_code == 200, answer.text
        counts.append(len(statements))
    assert counts[0] == counts[1]


async def test_transactions_that_cross_each_other_all_succeed(world: World) -> None:
    """Locks are taken in one order, and a deadlock that arises all the same is tried again."""
    ids = [await write(world, patient(cpr)) for cpr in (CPR, OTHER)]
    one = [entry("PUT", f"Patient/{i}", {**patient(c), "id": i}) for i, c in zip(ids, (CPR, OTHER), strict=True)]
    new = [
        entry("POST", "Observation", {**observation(""), "subject": about(cpr)}) for cpr in ("0905489971", "2512489996")
    ]
    both = [[*one, *new], [*reversed(one), *reversed(new)]]
    answers = await asyncio.gather(*(sent(world, *both[n % 2]) for n in range(12)))
    assert [a.status_code for a in answers] == [200] * 12
    versions = (await world.get(f"/Patient/{ids[0]}", world.source())).json()["meta"]["versionId"]
    assert versions == "13"


async def test_a_batch_does_every_interaction_and_each_answers_alone(world: World) -> None:
    identifier = await stage(world)
    result = await write(world, observation(f"Patient/{identifier}"))
    await world.run.drain()
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": [
        {"name": "type", "valueCode": "replace"}, {"name": "path", "valueString": "Observation.status"},
        {"name": "value", "valueCode": "amended"}]}]}  # fmt: skip
    table = [
        (entry("GET", f"Patient/{identifier}"), "200", "Patient"),
        (entry("HEAD", f"Patient/{identifier}"), "200", ""),
        (entry("GET", f"Patient/{identifier}", ifNoneMatch='W/"1"'), "304", ""),
        (entry("GET", f"Patient/{identifier}", ifModifiedSince="2026-11-23T09:00:00Z"), "304", ""),
        (entry("GET", f"Patient/{identifier}/_history/1"), "200", "Patient"),
        (entry("GET", f"Patient/{identifier}/_history"), "200", "Bundle"),
        (entry("GET", "Patient/_history?_count=1"), "200", "Bundle"),
        (entry("GET", f"Patient/{identifier}/$everything"), "200", "Bundle"),
        (entry("GET", f"Observation?patient={identifier}"), "200", "Bundle"),
        (entry("GET", "Patient/" + "0" * 32), "404", ""),
        (entry("PATCH", f"Observation/{result}", parameters), "200", "Observation"),
        (entry("PUT", "Patient?identifier=none", patient(OTHER)), "201", "Patient"),
        (entry("POST", "Observation", {"resourceType": "Observation", "nonsense": 1}), "422", ""),
        (entry("DELETE", f"Observation/{result}", ifMatch='W/"1"'), "412", ""),
        (entry("DELETE", f"Observation/{result}"), "204", ""),
        (entry("GET", f"Observation/{result}"), "410", ""),
        (entry("GET", "Nonsense/1"), "404", ""),
        (entry("GET", "metadata"), "400", ""),
        (entry("DELETE", "Patient/x/$everything"), "405", ""),
        (entry("POST", "$process-message", patient()), "400", ""),
    ]
    sent_bundle = bundle(*(row[0] for row in table), kind="batch")
    answer = await world.post("", world.source(), sent_bundle)
    assert answer.status_code == 200, answer.text
    found = [
        (e["response"]["status"][:3], e.get("resource", {}).get("resourceType", "")) for e in answer.json()["entry"]
    ]
    assert found == [(status, kind) for _, status, kind in table]
    outcomes = ["outcome" in e["response"] for e in answer.json()["entry"]]
    assert outcomes == [int(status) >= 400 for _, status, _ in table]


@pytest.mark.parametrize(
    "url", ["https://elsewhere.example/Patient/1", "//evil/Patient", "../Patient", "Patient/../x", "/Patient/1", ""]
)
@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_z14_an_address_outside_the_base_is_refused_before_anything_is_done(
    world: World, url: str, kind: str
) -> None:
    await write(world, patient())
    entries = [entry("POST", "Patient", patient(OTHER)), entry("GET", url)]
    answer = await world.post("", world.source(), bundle(*entries, kind=kind))
    assert answer.status_code in {400, 422}
    assert len((await world.get("/Patient?_count=9", world.source())).json()["entry"]) == 1


async def test_z14_a_nested_batch_is_refused(world: World) -> None:
    inner = bundle(entry("POST", "Patient", patient()), kind="batch")
    answer = await world.post("", world.source(), bundle(entry("POST", "?x=1", inner), kind="batch"))
    assert answer.json()["entry"][0]["response"]["status"][:3] == "400"


async def test_what_a_bundle_reads_is_decided_and_logged_as_a_read_is(world: World) -> None:
    identifier = await stage(world)
    await write(world, encounter(DEPARTMENT, NOW - DAY, None))
    for org, status in ((DEPARTMENT, "200"), (SIBLING, "404")):
        for kind in ("batch", "transaction"):
            sent_bundle = bundle(entry("GET", f"Patient/{identifier}"), kind=kind)
            answer = await world.post("", world.professional(org), sent_bundle)
            got = (
                str(answer.status_code)
                if answer.status_code != 200
                else answer.json()["entry"][0]["response"]["status"]
            )
            assert got[:3] == status
    rows = await world.run.database.fetch(
        "select outcome, count(*) as n from access_log where action = 'read' and actor_kind = 'professional'"
        " group by outcome order by outcome"
    )
    assert [(row.outcome, row.n) for row in rows] == [("permit", 2), ("refuse", 2)]
