"""Files in: messages and documents through the inbox, transaction bundles as FHIR.

A bundle is known by its content: taken once from a source, it changes nothing when it comes again.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from overblik.api.interactions.transaction import checked_entries, write_all
from overblik.exchange.recognise import FHIR_MEDIA, media_of
from overblik.fhir.errors import OverblikError
from overblik.fhir.strict_json import load_object
from overblik.trust.callers.identity import require_kind
from overblik.trust.intake import Settled

if TYPE_CHECKING:
    from overblik.app.runtime import Runtime
    from overblik.fhir.strict_json import Json
    from overblik.trust.callers.identity import Caller
    from overblik.trust.door.work import Work


async def take_file(runtime: Runtime, caller: Caller, raw: bytes) -> tuple[str, str, str]:
    """Take one file's content in; return (state, code, sentence)."""
    body = _bundle(raw)
    if body.get("resourceType") == "Bundle" and body.get("type") in {"transaction", "batch"}:
        return await take_bundle(runtime, caller, raw, body)
    receipt = await runtime.inbox.receive(caller, raw, "")
    return receipt.state, receipt.code, receipt.reason


def _bundle(raw: bytes) -> Json:
    """Return the JSON object the bytes are; {} for anything else, which the inbox will judge."""
    try:
        return load_object(raw) if media_of(raw) == FHIR_MEDIA else {}
    except OverblikError:
        return {}


async def take_bundle(runtime: Runtime, caller: Caller, raw: bytes, body: Json) -> tuple[str, str, str]:
    """Write a transaction bundle's entries in one transaction, once."""
    require_kind(caller, "write")
    intake = runtime.inbox.intake
    iid = await intake.keep(caller, raw, FHIR_MEDIA)
    digest = hashlib.sha256(raw).digest()

    async def work(work: Work) -> tuple[str, str, str]:
        transaction = work.unit.transaction
        first = await intake.claim(transaction, iid, caller.via, "digest", digest.hex(), digest)
        code, reason = ("", "") if first else ("duplicate", "Taken before.")
        if first:
            await write_all(work, entries, range(len(entries)))
        settled = Settled("applied", "FHIR transaction", caller.via, code, reason, placed=True)
        await intake.settle(iid, settled, b"", transaction)
        return "applied", code, reason

    try:
        entries = checked_entries(body)
        return await runtime.writer.write(caller, "transaction", f"bundle of {len(entries)}", work)
    except OverblikError as error:
        await intake.settle(iid, Settled("refused", "FHIR transaction", caller.via, error.code, error.text))
        raise
