"""The lines that were refused and are kept: written out again, to be corrected and delivered anew."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from overblik.fhir.strict_json import dumps
from overblik.store.queries import sql
from overblik.trust.callers.identity import system_caller

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from overblik.store.database import Database

PAGE = 1000


async def write_refusals(database: Database, via: str, path: Path, now: datetime) -> int:
    """Write what is kept of a source's refused lines as NDJSON, in the files' order; return how many.

    They are of no record, and may name anybody: that somebody had them is logged before they are opened.
    """
    count, last = 0, ("", -1)
    looked = system_caller("load refusals").params(now, "read raw", f"refusals/{via}")
    await database.run(sql("log_disclosure"), looked | {"pid": 0, "rule": "system"})
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)  # these are patients' data
    with os.fdopen(handle, "wb") as file:
        while rows := await _page(database, via, last):
            for row in rows:
                file.write(dumps(_said(row, await _raw(database, via, row))) + b"\n")
            count += len(rows)
            last = (rows[-1].file, rows[-1].line)
    return count


async def _page(database: Database, via: str, last: tuple[str, int]) -> list[Any]:
    params = {"via": via, "file": last[0], "line": last[1], "limit": PAGE}
    return await database.fetch(sql("read_refusals"), params)


async def _raw(database: Database, via: str, row: Any) -> bytes:
    raw = bytes(row.raw)
    if database.vault is None:
        return raw
    return await database.vault.open_loose(raw, refusal_name(via, row.line, bytes(row.digest)))


def refusal_name(via: str, line: int, digest: bytes) -> str:
    """Return the name under which what a refused line said is sealed."""
    return f"refusal/{digest.hex()}/{line}/{via}"


def _said(row: Any, raw: bytes) -> dict[str, Any]:
    content = raw.decode("utf-8", "replace")
    return {"file": row.file, "line": row.line, "code": row.code, "reason": row.reason, "content": content}
