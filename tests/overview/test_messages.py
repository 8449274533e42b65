"""Conversations: a repeated payload once, the unanswered asked of its receiver, and nothing from what is hidden."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import NOW
from tests.overview.build import CLINIC, DAY, HOSPITAL, TRAINING, seen, told, unit

if TYPE_CHECKING:
    from overblik.trust.door.entries import Entry

_CORE = "http://medcomfhir.dk/ig/core/StructureDefinition/"


def payload(identifier: str, text: str, at: Any) -> dict[str, Any]:
    return {
        "extension": [
            {"url": _CORE + "medcom-core-datetime-extension", "valueDateTime": at.isoformat()},
            {"url": _CORE + "medcom-core-identifier-extension", "valueIdentifier": {"value": identifier}},
        ],
        "contentString": text,
    }


def message(source: str, to: str, thread: str, at: Any, *payloads: dict[str, Any]) -> Entry:
    body = {
        "resourceType": "Communication",
        "status": "unknown",
        "identifier": [{"value": thread}],
        "sent": at.isoformat(),
        "recipient": [unit(to)],
        "payload": list(payloads),
    }
    return told(body, source, at)


ASKED, ANSWERED = NOW - 3 * DAY, NOW - 2 * DAY
FIRST, SECOND = payload("p1", "Såret væsker", ASKED), payload("p2", "Set i morges", ANSWERED)


@pytest.mark.parametrize("backwards", [False, True])
def test_a_payload_that_a_reply_repeats_appears_once(backwards: bool) -> None:
    entries = [
        message(TRAINING, CLINIC, "urn:uuid:T", ASKED, FIRST),
        message(CLINIC, TRAINING, "URN:UUID:t", ANSWERED, FIRST, SECOND),
    ]
    (thread,) = seen(entries[::-1] if backwards else entries).messages
    assert [p.text for p in thread.parts] == ["Såret væsker", "Set i morges"]
    assert thread.awaits == ""
    assert thread.last == ANSWERED
    assert len(thread.origins) == 2


def test_two_threads_never_become_one() -> None:
    entries = [message(TRAINING, CLINIC, "a", ASKED, FIRST), message(TRAINING, CLINIC, "b", ANSWERED, SECOND)]
    assert [t.parts[0].text for t in seen(entries).messages] == ["Set i morges", "Såret væsker"]


def test_what_only_a_hidden_message_carried_is_not_in_the_thread() -> None:
    (thread,) = seen([message(CLINIC, TRAINING, "t", ANSWERED, SECOND)]).messages
    assert [p.text for p in thread.parts] == ["Set i morges"]


def test_the_receiver_of_the_last_message_is_asked_and_nobody_else() -> None:
    entries = [message(TRAINING, CLINIC, "t", ASKED, FIRST)]
    assert [a.text for a in seen(entries, org=CLINIC).asked] == ["Såret væsker"]
    assert seen(entries, org=HOSPITAL).asked == ()
    assert seen(entries, "citizen").asked == ()
    answered = [*entries, message(CLINIC, TRAINING, "t", ANSWERED, FIRST, SECOND)]
    assert seen(answered, org=CLINIC).asked == ()
    assert seen(entries, org=CLINIC, now=NOW + timedelta(days=90)).asked == ()


@pytest.mark.parametrize(
    ("url", "binary", "link"), [("Binary/1", "Binary/1", ""), ("http://evil/x", "", "http://evil/x")]
)
def test_an_attachment_is_opened_at_our_own_address_only(url: str, binary: str, link: str) -> None:
    file = {"contentAttachment": {"url": url, "title": "Foto", "contentType": "image/png"}}
    (thread,) = seen([message(TRAINING, CLINIC, "t", ASKED, file)]).messages
    attachment = thread.parts[0].attachment
    assert attachment is not None
    assert (attachment.binary, attachment.link) == (binary, link)
