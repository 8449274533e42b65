"""The real files: where they lie, how one is delivered, and what its sender was answered."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.conftest import DATA

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import World

MEDCOM = DATA / "medcom-fhir"
CDA = DATA / "cda"
BRUNO = "2509479989"
"""The patient of most MedCom examples."""
NANCY = "2512489996"
"""The patient of the CDA examples."""
HEART = ("265161000016000", "Hjerteafdelingen på Herlev og Gentofte hospital")
CARE_HOME = ("953741000016009", "Plejecenter Herlev")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a sender was answered: HTTP status, the acknowledgement's code and the first issue's."""

    status: int
    code: str
    issue: str
    body: dict[str, Any]


def answer_of(response: Any) -> Answer:
    """Read an acknowledgement Bundle or an OperationOutcome."""
    body: dict[str, Any] = response.json()
    resources = [e["resource"] for e in body.get("entry", [])] or [body]
    outcome: dict[str, Any] = next((r for r in resources if r["resourceType"] == "OperationOutcome"), {})
    issues = [i["details"]["coding"][0]["code"] for i in outcome.get("issue", [])]
    header: dict[str, Any] = next((r for r in resources if r["resourceType"] == "MessageHeader"), {})
    code = header.get("response", {}).get("code", "")
    return Answer(response.status_code, code, issues[0] if issues else "", body)


def content(path: Path) -> bytes:
    """Return a file's bytes, unpacked where it is packed."""
    raw = path.read_bytes()
    return gzip.decompress(raw) if path.suffix == ".gz" else raw


async def take(world: World, path: Path) -> Answer:
    """Deliver one file by HTTP, let it be numbered, and return the answer."""
    answer = answer_of(await world.message(content(path)))
    await world.run.drain()
    return answer


async def resources(world: World, resource_type: str, cpr: str) -> list[dict[str, Any]]:
    """Return every resource of a type in a person's record, as the system reads it."""
    patient = await world.patient_id(cpr)
    found = await world.get(f"/{resource_type}?patient={patient}&_count=100", world.system())
    return [e["resource"] for e in found.json().get("entry", [])]


def one(pattern: str) -> Path:
    """Return the one real file a pattern below the data folder matches."""
    (path,) = DATA.glob(pattern)
    return path


async def overview_of(world: World, pattern: str) -> dict[str, Any]:
    """Deliver one CDA file of the test person, which must be taken, and return her overview."""
    answer = await take(world, one(pattern))
    assert (answer.status, answer.code, answer.issue) == (200, "ok", "")
    return await world.overview(NANCY, world.system())


def document_of(overview: dict[str, Any], code: str) -> dict[str, Any]:
    """Return the one document shown: a mapped one stands as a document too, without its title, which holds a CPR."""
    (document,) = overview["documents"]
    assert (document["code"], document["mapped"], document["media"]) == (code, True, "application/xml")
    assert document["binary"].startswith("Binary/")
    return dict(document)
