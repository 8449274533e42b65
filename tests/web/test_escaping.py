"""Whatever a source writes is text: in every section, for every reader, nothing of it becomes markup."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from overblik.demo.cast import CLINIC, GP, NURSE, SURGEON, TRAINING
from overblik.fhir.identifiers import ATC, CPR, SOR
from tests.conftest import NOW
from tests.journeys.tell import set_the_stage
from tests.web.browse import CITIZEN, document, section, sign_in, told

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.conftest import World

PERSON = "2512489996"
ATTACK = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&lt;{{7*7}}"
CORE = "http://medcomfhir.dk/ig/core/StructureDefinition/"
OVERBLIK = "urn:overblik:extension:"


def evil(section: str) -> str:
    """Return a text that tells which section let it through."""
    return f"{section}{ATTACK}"


def about() -> dict[str, Any]:
    return {"type": "Patient", "identifier": {"system": CPR, "value": PERSON}}


def unit(sor: str, name: str = "") -> dict[str, Any]:
    reference: dict[str, Any] = {"type": "Organization", "identifier": {"system": SOR, "value": sor}}
    return reference | {"display": name or evil("unit")}


def resources() -> Iterator[dict[str, Any]]:
    """Walk a record that says something of everything, each in words meant to do harm."""
    start = (NOW + timedelta(days=2)).isoformat()
    mobile = {"system": "phone", "value": evil("phone"), "use": "mobile"}
    relative = {"name": {"text": evil("relative")}, "relationship": [{"text": evil("relation")}], "telecom": [mobile]}
    yield {
        "resourceType": "Patient",
        "identifier": [{"system": CPR, "value": PERSON}],
        "name": [{"text": evil("name"), "family": evil("name")}],
        "address": [{"line": [evil("master-data")], "city": "Odense"}],
        "telecom": [mobile],
        "contact": [relative],
        "communication": [{"language": {"text": evil("language")}}],
    }
    for org in (CLINIC.sor, NURSE.unit.sor, SURGEON.unit.sor):
        yield {
            "resourceType": "Encounter",
            "status": "in-progress",
            "class": {"code": "IMP", "display": evil("class")},
            "subject": about(),
            "period": {"start": (NOW - timedelta(days=2)).isoformat()},
            "reasonCode": [{"text": evil("contacts")}],
            "serviceProvider": unit(org),
        }
    yield {
        "resourceType": "Appointment",
        "status": "booked",
        "start": start,
        "end": start,
        "comment": evil("appointments"),
        "reasonCode": [{"text": evil("reason")}],
        "participant": [
            {"actor": about(), "status": "accepted"},
            {"type": [{"coding": [{"code": "PPRF"}]}], "actor": unit(TRAINING.sor), "status": "accepted"},
        ],
        "contained": [{"resourceType": "Location", "id": "location", "name": evil("place"), "telecom": [mobile]}],
    }
    for dose in ("1", "2"):
        yield {
            "resourceType": "MedicationRequest",
            "status": "active",
            "intent": "order",
            "identifier": [{"system": "urn:x", "value": "same"}],
            "medicationCodeableConcept": {"coding": [{"system": ATC, "code": "B01AB04"}], "text": evil("medication")},
            "subject": about(),
            "authoredOn": NOW.isoformat(),
            "reasonCode": [{"text": evil("why")}],
            "statusReason": {"text": evil("because")},
            "requester": unit(CLINIC.sor),
            "dosageInstruction": [{"text": dose + evil("dose")}],
        }
    yield {
        "resourceType": "Observation",
        "status": "corrected",
        "code": {"text": evil("results")},
        "subject": about(),
        "effectiveDateTime": NOW.isoformat(),
        "valueString": evil("value"),
        "referenceRange": [{"text": evil("range")}],
        "interpretation": [{"coding": [{"code": "HH"}]}],
    }
    yield {
        "resourceType": "Condition",
        "subject": about(),
        "code": {"text": evil("problems"), "coding": [{"system": "urn:x<b>y", "code": "x<b>y"}]},
        "verificationStatus": {"coding": [{"code": "confirmed"}]},
    }
    yield {
        "resourceType": "AllergyIntolerance",
        "patient": about(),
        "code": {"text": evil("allergies")},
        "reaction": [{"manifestation": [{"text": evil("reaction")}]}],
    }
    yield {
        "resourceType": "CarePlan",
        "status": "active",
        "intent": "plan",
        "title": evil("plans"),
        "subject": about(),
        "created": NOW.isoformat(),
        "author": unit(SURGEON.unit.sor),
        "activity": [
            {"detail": {"status": "not-started", "description": evil("asked"), "performer": [unit(CLINIC.sor)]}}
        ],
        "extension": [
            {
                "url": OVERBLIK + "plan-section",
                "extension": [
                    {"url": "code", "valueCode": "SafetyAspects"},
                    {"url": "title", "valueString": evil("title")},
                    {"url": "text", "valueString": evil("handover") + "\n" + evil("line")},
                ],
            }
        ],
    }
    yield {
        "resourceType": "Communication",
        "status": "unknown",
        "subject": about(),
        "sent": NOW.isoformat(),
        "category": [{"coding": [{"code": "x<b>y"}]}],
        "note": [{"text": evil("note")}],
        "recipient": [unit(CLINIC.sor)],
        "payload": [
            {"contentString": evil("messages") + "\n<b>fed</b>"},
            {"contentAttachment": {"title": evil("file"), "url": "javascript:alert(3)", "contentType": "text/html"}},
        ],
    }
    yield {
        "resourceType": "DocumentReference",
        "status": "current",
        "subject": about(),
        "type": {"text": evil("documents")},
        "content": [{"attachment": {"contentType": "text/html", "title": evil("x")}}],
    }


async def attacked(world: World) -> str:
    """Write the record; return the patient's id."""
    await set_the_stage(world)
    made = []
    for resource in resources():
        answer = await world.post(f"/{resource['resourceType']}", world.source(), resource)
        assert answer.status_code == 201, answer.text
        made.append(str(answer.json()["id"]))
    await world.run.drain()
    return made[0]


def assert_harmless(page: httpx.Response) -> None:
    """No element, attribute or link on a page comes from the record."""
    assert page.status_code == 200, page.text[:300]
    tree = document(page)
    scripts = tree.xpath("//script")
    assert [s.get("src") for s in scripts] == ["/static/overblik.js"] * len(scripts)
    assert not tree.xpath("//img | //b | //iframe | //style | //object | //*[@style]")
    assert not tree.xpath("//@*[starts-with(name(), 'on')]")
    assert not tree.xpath("//@href[starts-with(., 'javascript:') or starts-with(., 'data:')]")
    assert "49" not in section(page, "messages")


EVERYWHERE = (
    "new", "appointments", "medication", "results", "plans", "problems", "contacts", "messages", "master-data",
    "documents",
)  # fmt: skip
READERS: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    ("citizen", {"kind": "citizen", "sub": PERSON, "name": evil("user")}, ("allergies",)),
    ("gp", {**GP.claims(), "name": evil("user")}, ("asked",)),
    ("nurse", {**NURSE.claims(), "role": evil("role")}, ("handover",)),
    ("surgeon", {**SURGEON.claims(), "name": evil("user")}, ("before",)),
]


@pytest.mark.parametrize(("who", "claims", "own"), READERS, ids=[r[0] for r in READERS])
async def test_w02_what_a_source_writes_is_shown_as_text(
    world: World, who: str, claims: dict[str, Any], own: tuple[str, ...]
) -> None:
    identifier = await attacked(world)
    tab = await sign_in(world, claims)
    for language in ("da", "en"):
        page = await tab.get(f"/?lang={language}" if who == "citizen" else f"/patient/{identifier}?lang={language}")
        assert_harmless(page)
        for name in (*EVERYWHERE, *own):
            text = section(page, name)
            assert text, f"{who} has no section {name}"
            assert (ATTACK if name in {"new", "before"} else evil(name)) in text, name
        assert evil("name") in document(page).xpath("//h1")[0].text_content()


async def test_w02_lists_logs_and_forms_show_text_too(world: World) -> None:
    await attacked(world)
    nurse = await sign_in(world, {**NURSE.claims(), "name": evil("user"), "role": evil("role")})
    work = await nurse.get()
    assert_harmless(work)
    assert evil("name") in document(work).text_content()
    refused = await nurse.post("/break-glass", {"cpr": evil("cpr"), "reason": evil("reason") + "</textarea>"})
    assert refused.status_code == 422
    assert document(refused).xpath("//textarea")[-1].text_content().strip().startswith(evil("reason"))
    assert document(refused).xpath("//input[@name='cpr']/@value")[-1] == evil("cpr")
    assert len(document(refused).xpath("//script")) <= 1
    opened = await nurse.post("/break-glass", {"cpr": PERSON, "reason": evil("reason")})
    assert_harmless(opened)
    citizen = await sign_in(world, {"kind": "citizen", "sub": PERSON, "name": evil("user")})
    log = await citizen.get("/log")
    assert_harmless(log)
    assert evil("reason") in document(log).text_content()
    assert evil("role") in document(log).text_content()


@pytest.mark.parametrize(
    ("media", "body"),
    [
        ("application/json", b'{"x": "<script>alert(1)</script>"}'),
        ("text/html", b"<script>alert(1)</script><b>fed</b>"),
        ("image/svg+xml", b"<svg onload='alert(1)'><script>alert(1)</script></svg>"),
        ("text/plain", ATTACK.encode()),
    ],
)
async def test_a_message_as_it_came_is_shown_as_text(world: World, media: str, body: bytes) -> None:
    await told(world, "background")
    await world.run.database.run(
        "update raw set content_type = %(media)s, body = %(body)s", {"media": media, "body": body}
    )
    tab = await sign_in(world, CITIZEN)
    (first, *_) = document(await tab.get()).xpath("//a[@class='whole']/@href")
    page = await world.http.get(first)
    assert_harmless(page)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
