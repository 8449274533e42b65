"""Each published CareCommunication alone in an empty store: the facts that must result.

Read by hand from the files: MedCom's guide examples 5.0.2.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import needs_shared, shared_files
from tests.exchange.real import BRUNO, CARE_HOME, HEART, one, resources, take

if TYPE_CHECKING:
    from tests.conftest import World

pytestmark = needs_shared

BIRGIT_SYSTEM, BIRGIT = "urn:oid:1.2.208.176.1.6.1.1", "0703921VJ4"
NAMELESS = ("1042981000016003", "1042981000016003")
"""A unit that its messages give no name: shown by its SOR code."""
RESULTS_PDF = ("Blodprøveresultater", "application/pdf", 28416, "f10bad1cc096e88b")
RESULTS_QUOTED = ("Blodprøveresultater", "application/pdf", 0, "")
"""A reply names the attachment it quotes without its bytes."""


@dataclass(frozen=True, slots=True)
class Part:
    """One contribution: the end of its id, when and by whom, how its text begins or what is attached."""

    id: str
    at: str
    unit: str
    author: tuple[str, str, str]
    begins: str = ""
    attached: tuple[str, str, int, str] = ("", "", 0, "")
    link: str = ""


MICHAEL = ("Michael Burns", "sygeplejerske", "38683868")
EMMA = ("Emma Waters", "sygeplejerske", "44527000")
UNSIGNED = ("", "", "")
ASKED = Part(
    "fd1432dadee1", "2024-05-01T10:00:00Z", HEART[1], MICHAEL,
    "Til rette vedkommende. Vi ønsker information om de seneste undersøgelser udført på Bruno.",
)  # fmt: skip
ANSWERED = Part(
    "6a0584871fcd", "2024-05-02T09:30:00Z", CARE_HOME[1], EMMA,
    "Hej Michael, Resultaterne for undersøgelsen kommer her. Blodtryk 130/95 mmHg, vægt: 83 kg og højde: 179 cm.",
)  # fmt: skip
ATTACHED = Part(
    "9b6a-0242ac120002", "2024-05-02T09:30:00Z", CARE_HOME[1], UNSIGNED, attached=RESULTS_PDF
)  # fmt: skip
QUOTED = Part("9b6a-0242ac120002", "2024-05-02T09:30:00Z", CARE_HOME[1], EMMA, attached=RESULTS_QUOTED)
THANKED = Part(
    "2f040133e922", "2024-05-03T07:25:00Z", HEART[1], MICHAEL,
    "Mange tak for fremsendte. Kan I desuden hjælpe mig med at finde information vedr. kommunal udredning",
)  # fmt: skip
FORWARDED = "Hej - Jeg håber det er okay, at jeg videresender denne forespørgsel."


@dataclass(frozen=True, slots=True)
class Message:
    """One file's facts: the thread it stands in, from whom to whom, and every contribution it carries."""

    file: str
    event: str
    thread: str
    sent: str
    sender: tuple[str, str]
    receiver: tuple[str, str]
    parts: tuple[Part, ...]
    category: str = "examination-results"
    topic: str = ""
    priority: str = ""
    note: str = ""
    episodes: tuple[str, ...] = ()
    origins: tuple[str, ...] = field(default=())


TOPIC = "Forspørgsel på seneste resultater"
THREAD, FORWARDED_THREAD = (
    "urn:uuid:b2eb3d0e-5de5-4de9-b2a3-0ff321ad1c3a",
    "urn:uuid:546b19ba-3e50-4da8-b9ec-7caeefad6928",
)
MESSAGES = [
    # A person with a replacement number.
    Message(
        "0d5b3c18", "new-message", "urn:uuid:cefe0dee-13b5-4bec-a843-09b4d58e4fe6", "2024-06-01T11:55:00Z",
        HEART, CARE_HOME,
        (Part("fd1432dadee1", "2024-06-01T11:55:00Z", HEART[1], MICHAEL, ASKED.begins),),
    ),
    Message(
        "3dcb5618", "reply-message", THREAD, "2024-05-03T07:25:00Z", HEART, CARE_HOME,
        (ASKED, ANSWERED, QUOTED, THANKED), topic=TOPIC, origins=("953741000016009",),
    ),
    Message(
        "add5e7e2", "new-message", THREAD, "2024-05-01T10:00:00Z", HEART, CARE_HOME, (ASKED,), topic=TOPIC
    ),
    Message(
        "b56549f7", "reply-message", THREAD, "2024-05-02T09:30:00Z", CARE_HOME, HEART,
        (ASKED, ANSWERED, ATTACHED), topic=TOPIC, origins=("265161000016000",),
    ),
    Message(
        "c0426e3e", "forward-message", FORWARDED_THREAD, "2024-05-04T08:00:00Z", CARE_HOME, NAMELESS,
        (
            ASKED, ANSWERED, ATTACHED, THANKED,
            Part("f1dcbbc3998b", "2024-05-04T08:00:00Z", CARE_HOME[1], EMMA, FORWARDED),
        ),
        origins=("265161000016000",),
    ),
    Message(
        "d11968f5", "forward-message", FORWARDED_THREAD, "2024-05-05T09:35:00Z", NAMELESS, CARE_HOME,
        (
            ASKED, ANSWERED, QUOTED, THANKED,
            Part("cbd18f9b4115", "2024-05-04T08:00:00Z", CARE_HOME[1], EMMA, FORWARDED),
            Part(
                "780f181dae54", "2024-05-05T09:35:00Z", NAMELESS[1], ("Ann Marie Wounds", "Visitator", "48456523"),
                "Hej Emma, Jeg har vedhæftet linket til siden, med den ønskede information.",
            ),
            Part(
                "0f8ece783dc7", "2024-05-05T09:35:00Z", NAMELESS[1], UNSIGNED, attached=("Link", "", 0, ""),
                link="https://medcom.dk/projekter/korrespondancemeddelelse/",
            ),
        ),
        origins=("265161000016000", "953741000016009"),
    ),
    Message(
        "gfd00bc2", "new-message", "urn:uuid:f9cf2547-7a1c-4639-9fd3-9f717556ad36", "2024-05-01T10:00:00Z",
        HEART, CARE_HOME,
        (
            Part(
                "d50acfec0aac", "2024-05-01T10:00:00Z", HEART[1], MICHAEL,
                "Hi, I've attached the following journal note.",
            ),
            Part("9b6a-0242ac120002", "2024-05-01T10:00:00Z", HEART[1], MICHAEL, attached=RESULTS_PDF),
            Part(
                "3ce180a91568", "2024-05-01T10:00:00Z", HEART[1], ("Michael Burns", "sygeplejerske", ""),
                attached=("medcom.dk", "", 0, ""), link="https://medcom.dk/",
            ),
        ),
        category="regarding-referral", topic="Journal notat", priority="asap", note="Til: Plejecenter Herlev Team 1",
        episodes=("gfd00bc2-9c26-4174-934e-f6e4360845de",),
    ),
    Message(
        "k7bfbc0c", "reply-message", "urn:uuid:59aac95e-ca57-4b04-b075-9880b7e6441c", "2024-05-07T16:00:00Z",
        HEART, CARE_HOME,
        (Part("24247035bf08", "2024-05-07T16:00:00Z", HEART[1], MICHAEL, "We have a question regarding"),),
        category="carecoordination", episodes=("fc60e762-b13b-5773-865e-67f3907bdcc7",),
    ),
]  # fmt: skip


def test_every_published_message_has_its_row() -> None:
    files = shared_files("medcom-fhir/carecommunication/Bundle*.json")
    assert [path.name[7:15] for path in files] == [message.file for message in MESSAGES]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: f"{m.file}-{m.event}")
async def test_message_alone_gives_its_facts(world: World, message: Message) -> None:
    answer = await take(world, one(f"medcom-fhir/carecommunication/Bundle-{message.file}*.json"))
    assert (answer.status, answer.code, answer.issue) == (200, "ok", "")
    overview = await _overview(world, message)
    (thread,) = overview["messages"]
    assert (thread["category"], thread["priority"], thread["note"]) == (
        message.category,
        message.priority,
        message.note,
    )
    assert (thread["last"], thread["participants"]) == (message.sent, [message.sender[1]])
    assert (thread["awaitsToken"], thread["origins"][0]["source"]["token"]) == (message.receiver[0], message.sender[0])
    await _parts(world, thread["parts"], message.parts)
    (news,) = overview["new"]
    assert (news["kind"], news["event"], news["what"]) == ("Communication", message.event, message.category)
    assert (news["clinical"], news["source"]["token"]) == (message.sent, message.sender[0])


async def _overview(world: World, message: Message) -> dict[str, Any]:
    if message.file != "0d5b3c18":
        assert (await world.overview(BRUNO, world.system()))["person"]["birthDate"] == "1947-09-25"
        return await world.overview(BRUNO, world.system())
    found = await world.get(f"/Patient?identifier={BIRGIT_SYSTEM}|{BIRGIT}", world.system())
    patient = found.json()["entry"][0]["resource"]["id"]
    overview: dict[str, Any] = (await world.get(f"/Patient/{patient}/$overview", world.system())).json()
    person = overview["person"]
    # A replacement number has a birth date in it, which is nobody's to believe.
    assert (person["name"], person["identifierKind"], person["birthDate"]) == ("Birgit Berggren", "replacement", None)
    return overview


async def _parts(world: World, shown: list[dict[str, Any]], expected: tuple[Part, ...]) -> None:
    """Every contribution stands once, in order, signed; attachments can be read, byte for byte."""
    assert [p["id"].endswith(e.id) for p, e in zip(shown, expected, strict=True)] == [True] * len(expected)
    for part, wanted in zip(shown, expected, strict=True):
        assert (part["at"], part["organisation"]) == (wanted.at, wanted.unit)
        assert (part["author"], part["role"], part["phone"]) == wanted.author
        assert part["text"].startswith(wanted.begins)
        assert bool(part["text"]) == bool(wanted.begins)
        attachment = part["attachment"] or {"title": "", "media": "", "size": 0, "binary": "", "link": ""}
        title, media, size, digest = wanted.attached
        assert (attachment["title"], attachment["media"], attachment["size"]) == (title, media, size)
        assert (attachment["link"], bool(attachment["binary"])) == (wanted.link, bool(digest))
        if digest:
            read = await world.get(f"/{attachment['binary']}", world.system(), headers={"Accept": media})
            assert (read.headers["content-type"], read.content[:8]) == (media, b"%PDF-1.7")
            assert hashlib.sha256(read.content).hexdigest()[:16] == digest


@pytest.mark.parametrize("message", [m for m in MESSAGES if m.file != "0d5b3c18"], ids=lambda m: m.file)
async def test_the_stored_message_keeps_thread_topic_and_whose_words_it_quotes(world: World, message: Message) -> None:
    await take(world, one(f"medcom-fhir/carecommunication/Bundle-{message.file}*.json"))
    (communication,) = await resources(world, "Communication", BRUNO)
    assert communication["identifier"][0]["value"] == message.thread
    assert communication.get("topic", {}).get("text", "") == message.topic
    assert len(communication["payload"]) == len(message.parts)
    named = [
        e["valueReference"]["identifier"]["value"] for e in communication.get("extension", []) if "episode" in e["url"]
    ]
    assert tuple(named) == message.episodes
    rows = await world.run.database.fetch("select origins from resource where type = 'Communication'")
    assert set(rows[0].origins) == {message.sender[0], *message.origins}


async def test_who_sends_is_kept_where_the_message_says_more_than_the_unit(world: World) -> None:
    await take(world, one("medcom-fhir/carecommunication/Bundle-gfd00bc2*.json"))
    (communication,) = await resources(world, "Communication", BRUNO)
    sender = next(e for e in communication["extension"] if e["url"].endswith("medcom-core-sender-extension"))
    (role,) = [c for c in communication["contained"] if "#" + c["id"] == sender["valueReference"]["reference"]]
    assert role["practitioner"]["display"] == "Michael Burns"


async def test_a_thread_shows_each_contribution_once_and_the_attachment_with_its_bytes(world: World) -> None:
    # Delivered last first: the answer that only quotes the attachment comes before the one that carries it.
    for file in ("3dcb5618", "b56549f7", "add5e7e2"):
        await take(world, one(f"medcom-fhir/carecommunication/Bundle-{file}*.json"))
    (thread,) = (await world.overview(BRUNO, world.system()))["messages"]
    await _parts(world, thread["parts"], (ASKED, ANSWERED, ATTACHED, THANKED))
    assert thread["participants"] == [HEART[1], CARE_HOME[1]]
    assert (thread["last"], thread["awaits"]) == ("2024-05-03T07:25:00Z", CARE_HOME[1])
    assert len(thread["origins"]) == 3
