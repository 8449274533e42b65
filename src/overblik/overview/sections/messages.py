"""Messages as threads; a payload that replies repeat appears once.

A thread is what shares a Communication.identifier. Its payloads are the union of those in the
visible messages, so what a hidden message alone carried is not there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from overblik.fhir.reading import code_of, display_of, extension, moment, token_of, words_of
from overblik.shown import Shown
from overblik.trust.door.entries import once

if TYPE_CHECKING:
    from datetime import datetime

    from overblik.fhir.strict_json import Json
    from overblik.overview.context import Context, Origin
    from overblik.trust.door.entries import Entry

_CORE = "http://medcomfhir.dk/ig/core/StructureDefinition/"
HEADER_SYSTEM = "urn:ietf:rfc:3986"


class Attachment(Shown, frozen=True):
    """A file or link: the server's own address of it, never one a message points to."""

    title: str
    media: str
    size: int
    binary: str
    link: str


class Part(Shown, frozen=True):
    """One signed contribution to a thread."""

    id: str
    at: datetime | None
    organisation: str
    author: str
    role: str
    phone: str
    text: str
    attachment: Attachment | None


class Thread(Shown, frozen=True):
    """A conversation: its category, who takes part, its parts oldest first, and who is to answer ("" for nobody)."""

    id: str
    category: str
    priority: str
    last: datetime
    participants: tuple[str, ...]
    recipients: tuple[str, ...]
    awaits: str
    awaits_token: str
    parts: tuple[Part, ...]
    origins: tuple[Origin, ...]
    note: str = ""


def messages(ctx: Context) -> list[Thread]:
    """Return the threads, the one written in last first."""
    threads: dict[str, list[Entry]] = {}
    for entry in ctx.of("Communication"):
        threads.setdefault(_thread_key(entry), []).append(entry)
    items = [_thread(ctx, members) for members in threads.values()]
    return sorted(items, key=lambda t: (t.last, t.id), reverse=True)


def _thread_key(entry: Entry) -> str:
    for identifier in entry.resource.get("identifier", ()):
        if identifier.get("value") and identifier.get("system") != HEADER_SYSTEM:
            return str(identifier["value"]).lower()
    return entry.reference


@once
def _sent(entry: Entry) -> datetime:
    return moment(entry.resource.get("sent")) or entry.received


def _thread(ctx: Context, members: list[Entry]) -> Thread:
    ordered = sorted(members, key=lambda e: (_sent(e), e.reference))
    found: dict[str, Part] = {}
    for entry in ordered:
        for number, payload in enumerate(entry.resource.get("payload", ())):
            part = _part(ctx, entry, payload, number)
            known = found.get(part.id)
            if known is None or (part.attachment and not (known.attachment and known.attachment.binary)):
                found[part.id] = part
    last = ordered[-1]
    parts = sorted(found.values(), key=lambda p: (p.at or _sent(last), p.id))
    receiver = _awaited(ordered)
    names = [ctx.source(e.source).name for e in ordered]
    first = ordered[0].resource
    return Thread(
        id=min(e.reference for e in members),
        category=next((code for c in first.get("category", ()) if (code := code_of(c))), ""),
        priority=str(last.resource.get("priority", "")),
        last=_sent(last),
        participants=tuple(dict.fromkeys(names)),
        recipients=tuple(dict.fromkeys(display_of(r) for e in ordered for r in e.resource.get("recipient", ()))),
        awaits=display_of(receiver),
        awaits_token=token_of(receiver),
        parts=tuple(parts),
        origins=tuple(ctx.origin(e, _sent(e)) for e in ordered),
        note=next((str(n["text"]) for n in last.resource.get("note", ()) if n.get("text")), ""),
    )


def _awaited(ordered: list[Entry]) -> Json:
    """Return whom a conversation waits for: the receiver of what has not been answered; {} where all has.

    An answer waits for nobody; what is said after it asks again.
    """
    asks = asked = ""
    receiver: Json = {}
    for entry in ordered:
        to: Json = (entry.resource.get("recipient") or [{}])[0]
        sender = token_of(entry.resource.get("sender")) or entry.source
        answers = bool(receiver) and sender == asked and token_of(to) == asks
        asks, asked, receiver = sender, token_of(to), {} if answers else to
    return receiver


def _part(ctx: Context, entry: Entry, payload: Json, number: int) -> Part:
    identifier = extension(payload, _CORE + "medcom-core-identifier-extension").get("valueIdentifier", {})
    author = extension(payload, _CORE + "medcom-core-practitioner-extension").get("valueReference", {})
    contact = extension(payload, _CORE + "medcom-core-contact-extension").get("valueContactPoint", {})
    role = _contained(entry.resource, str(author.get("reference", "")))
    assigner = display_of(identifier.get("assigner"))
    return Part(
        id=str(identifier.get("value") or f"{entry.reference}#{number}").lower(),
        at=moment(extension(payload, _CORE + "medcom-core-datetime-extension").get("valueDateTime")) or _sent(entry),
        organisation=assigner or ctx.source(entry.source).name,
        author=display_of(role.get("practitioner")),
        role=next((w for c in role.get("code", ()) if (w := words_of(c))), ""),
        phone=str(contact.get("value", "")),
        text=str(payload.get("contentString", "")),
        attachment=_attachment(payload["contentAttachment"]) if "contentAttachment" in payload else None,
    )


def _contained(resource: Json, reference: str) -> Json:
    return next((c for c in resource.get("contained", ()) if "#" + str(c.get("id")) == reference), {})


def _attachment(attachment: Json) -> Attachment:
    url = str(attachment.get("url", ""))
    own = url if url.startswith("Binary/") else ""
    return Attachment(
        title=str(attachment.get("title", "")),
        media=str(attachment.get("contentType", "")),
        size=int(attachment.get("size", 0) or 0),
        binary=own,
        link="" if own else url,
    )
