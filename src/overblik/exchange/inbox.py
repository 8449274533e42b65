"""The inbox: keep, recognise, deduplicate, apply, acknowledge.

    keep the bytes (durable) -> recognise -> one transaction: claim the ids, apply the facts,
    settle the message, owe the acknowledgement -> answer

Duplicates follow MedCom's reliable messaging, scoped by sender and kept as long as the record:

    Bundle id   header id   content     what happens
    new         new         –           processed
    known       known       same        the first answer again, byte for byte
    known       known       other       held: an id is used twice
    known       new         –           held: a Bundle id is never used again
    new         known       same        recognised, answered ok, nothing processed
    new         known       other       held: an id is used twice
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import structlog

from overblik.exchange.medcom.acknowledgement import acknowledge
from overblik.exchange.message import (
    CLOCKS,
    PATIENT,
    document_fact,
    patient_fact,
    provenance_fact,
    raw_fact,
)
from overblik.exchange.parties import Party
from overblik.exchange.recognise import media_of, recognise
from overblik.fhir.clocks import clock_fault
from overblik.fhir.errors import (
    Forbidden,
    Issue,
    Malformed,
    OverblikError,
    TooLarge,
    Unprocessable,
    Unsupported,
)
from overblik.fhir.outcome import operation_outcome
from overblik.fhir.strict_json import dumps
from overblik.trust.callers.identity import require
from overblik.trust.callers.sources import require_sender
from overblik.trust.facts import apply
from overblik.trust.intake import Intake, Settled

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from overblik.exchange.message import Message
    from overblik.trust.callers.identity import Caller
    from overblik.trust.door.work import Work
    from overblik.trust.door.writer import Writer
    from overblik.trust.facts import Fact

OVERBLIK = Party("Overblik")
UNREADABLE = (Malformed, Unsupported, TooLarge)
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of what was received. `answer` is the acknowledgement Bundle (or an outcome)."""

    state: str
    code: str
    answer: bytes
    iid: UUID
    format: str = ""
    reason: str = ""


class Inbox:
    """Receives messages and documents for one server."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self.intake = Intake(writer.database, writer.clock)

    async def receive(self, caller: Caller, raw: bytes, content_type: str) -> Receipt:
        """Take one message in. Raises only for what cannot be read, which is kept all the same."""
        require(caller, "operate", "*", letters="cu")
        iid = await self.intake.keep(caller, raw, content_type)
        return await self._process(caller, raw, iid)

    async def _process(self, caller: Caller, raw: bytes, iid: UUID) -> Receipt:
        message: Message | None = None
        try:
            message = recognise(raw)
            message.fill(message)
            require_sender(caller, message.sender.token)
            return await self._take(caller, message, raw, iid)
        except UNREADABLE as error:
            await self.intake.settle(iid, Settled("refused", code=error.code, reason=error.text))
            log.warning("inbox.refused", code=error.code, iid=str(iid))
            raise
        except (Unprocessable, Forbidden) as error:
            return await self._reject(caller, message, error, iid)

    async def recover(self, caller_of: dict[str, Caller]) -> int:
        """Process what a kill left kept but not settled; return how many."""
        rows = await self.intake.unsettled()
        for row in rows:
            caller = caller_of.get(row.via)
            if caller is None:
                continue
            try:
                await self._process(caller, bytes(row.raw), row.iid)
            except OverblikError as error:
                log.warning("inbox.recovered", code=error.code, iid=str(row.iid))
        return len(rows)

    async def _take(self, caller: Caller, message: Message, raw: bytes, iid: UUID) -> Receipt:
        if message.is_acknowledgement:
            return await self._acknowledgement(message, iid)

        async def work(work: Work) -> Receipt:
            known = await self._known(work, message, iid)
            if known is not None:
                return known
            fault = clock_fault(message.stamped, work.now, aged=message.document is not None)
            pid, references = await self._apply(work, message, raw, fault)
            answer = self._answer(message, "ok", ())
            place = work.place_of(references[_raw_key(message, raw)])
            settled = Settled(
                "applied", message.format, message.sender.token, fault, CLOCKS.get(fault, ""), pid=pid,
                rid=place[1] if place else None, placed=place is not None,
            )  # fmt: skip
            if fault:
                log.warning("inbox.clock", code=fault, iid=str(iid), sender=message.sender.token)
            await self.intake.settle(iid, settled, answer, work.unit.transaction)
            return Receipt("applied", "", answer, iid, message.format)

        return await self._writer.write(caller, "deliver", message.format, work)

    async def _apply(self, work: Work, message: Message, raw: bytes, fault: str) -> tuple[int, dict[str, str]]:
        """Apply the message's facts to its record, opened if nobody has it."""
        facts = _all_facts(message, raw, fault)
        if message.patient is None:
            pid = await work.unit.open_record("unattached")
            return pid, await apply(work, pid, facts)
        if not any(i.value for i in message.patient.identifiers):
            raise Unprocessable(
                "patient-unidentified",
                "The patient has no identifier; a CPR or replacement number is needed.",
            )
        pid = await work.person(message.patient.identifiers, message.sender.token, message.patient.birth_date)
        return pid, await apply(work, pid, facts)

    async def _known(self, work: Work, message: Message, iid: UUID) -> Receipt | None:
        """Claim the message's ids; return the receipt of a copy, raise for an id used twice."""
        transaction, sender = work.unit.transaction, message.sender.token
        taken = [
            kind
            for kind, value in message.ids
            if not await self.intake.claim(transaction, iid, sender, kind, value, message.digest)
        ]
        if not taken:
            return None
        found = await self.intake.known(transaction, sender, message.ids)
        earlier = [row for row in found.values() if row.iid != iid]
        if taken == ["bundle"] and len(message.ids) > 1:
            raise Unprocessable("bundle-id-reused", "The Bundle id was used before; a Bundle id is used once.")
        if any(bytes(row.digest) != message.digest for row in earlier):
            text = "Another message with this id and other content is known; give the message a new id."
            raise Unprocessable("same-id-other-content", text)
        answer = await self.intake.answer_of(earlier[0].iid, transaction)
        code = "duplicate" if len(taken) == len(message.ids) else "resubmitted"
        if not answer:
            answer = self._answer(message, "ok", ())
        settled = Settled("applied", message.format, sender, code, "A copy of a message received before.")
        await self.intake.settle(iid, settled, b"", transaction)
        return Receipt("applied", code, answer, iid, message.format, settled.reason)

    async def _acknowledgement(self, message: Message, iid: UUID) -> Receipt:
        """Take an acknowledgement: of our own message, or dropped. None is ever acknowledged."""
        ours = await self.intake.was_sent(message.acknowledges)
        code = "acknowledged" if ours else "acknowledges-unknown"
        text = "Noted." if ours else "No message with that id was sent from here; the acknowledgement is dropped."
        state = "applied" if ours else "refused"
        await self.intake.settle(iid, Settled(state, message.format, message.sender.token, code, text))
        severity = "information" if ours else "warning"
        outcome = operation_outcome([Issue(code, text, "informational", severity=severity)])
        return Receipt(state, code, dumps(outcome), iid, message.format, text)

    async def _reject(self, caller: Caller, message: Message | None, error: OverblikError, iid: UUID) -> Receipt:
        """Hold (or refuse) a message and answer with a fatal-error; a copy of it is answered alike.

        A held message does not take its ids: its sender may mend it and send it again under them.
        """
        state = "refused" if isinstance(error, Forbidden) else "held"
        log.warning("inbox.rejected", state=state, code=error.code, iid=str(iid), via=caller.via)
        answer = self._answer(message, "fatal-error", error.issues)
        settled = Settled(
            state, message.format if message else "", message.sender.token if message else "", error.code, error.text
        )  # fmt: skip
        async with self.intake.database.transaction() as transaction:
            if message is not None and not await self._first_of(transaction, message, iid):
                found = await self.intake.known(transaction, message.sender.token, (_digest_key(message),))
                answer = await self.intake.answer_of(found["digest"].iid, transaction) or answer
                settled = replace(settled, reason=settled.reason + " (A copy of one received before.)")
            await self.intake.settle(iid, settled, answer, transaction)
        return Receipt(state, error.code, answer, iid, settled.format, error.text)

    async def _first_of(self, transaction: Any, message: Message, iid: UUID) -> bool:
        kind, value = _digest_key(message)
        return await self.intake.claim(transaction, iid, message.sender.token, kind, value, message.digest)

    def _answer(self, message: Message | None, code: str, issues: Sequence[Issue]) -> bytes:
        if message is not None and message.is_acknowledgement:
            return dumps(operation_outcome(issues))
        first = message.receivers[0] if message and message.receivers else OVERBLIK
        return acknowledge(
            message.id if message else "unknown",
            code,
            issues,
            sender=first,
            receiver=message.sender if message else Party("Ukendt"),
            envelope=message.envelope if message else None,
            now=self._writer.clock.now(),
            new_id=self._writer.keys.id,
        )


def _digest_key(message: Message) -> tuple[str, str]:
    return "digest", message.digest.hex()


def _raw_key(message: Message, raw: bytes) -> str:
    return raw_fact(message, raw, "").key


def _all_facts(message: Message, raw: bytes, fault: str) -> list[Fact]:
    """Return the message's facts with those every message has: patient, bytes, provenance, document."""
    media = media_of(raw)
    bytes_fact = raw_fact(message, raw, media)
    if message.patient is None:
        del bytes_fact.resource["securityContext"]
        return [bytes_fact]
    facts = [patient_fact(message, message.patient), bytes_fact, *message.facts]
    facts.append(provenance_fact(replace(message, targets=_targets(message)), bytes_fact.key, fault))
    if message.document is not None:
        facts.append(document_fact(message, bytes_fact.key, media, len(raw)))
    return facts


def _targets(message: Message) -> tuple[str, ...]:
    """Return what the message is about, besides the patient."""
    targets = tuple(key for key in message.targets if key != PATIENT)
    return targets or ((f"document|{message.id}",) if message.document is not None else ())
