"""$relations, $state-relation, $follow-ups and $follow-up: what a professional does on the page of relations, by API.

The same functions decide, write and log as for the pages (trust/treatment/relations.py, stated.py, follow_up.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from overblik.api.http import Response, require_json_answer
from overblik.api.parameters import require_known
from overblik.fhir.dates import LATEST, instant
from overblik.fhir.errors import Malformed
from overblik.fhir.identifiers import canonical
from overblik.fhir.strict_json import dumps
from overblik.trust.treatment.follow_up import close, follow_ups
from overblik.trust.treatment.relations import relations
from overblik.trust.treatment.stated import state_relation

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from overblik.api.http import Request, Services
    from overblik.fhir.strict_json import Json

AUTHORISATION = "https://autregweb.sst.dk"
_KINDS = {"identifier": ("valueIdentifier", dict), "basis": ("valueCode", str), "reason": ("valueString", str),
          "case": ("valueString", str), "note": ("valueString", str)}  # fmt: skip


async def of_unit(services: Services, request: Request) -> Response:
    """Return under which relations the caller's unit sees whom: a `relation` for each record, `why` for each ground."""
    require_json_answer(request)
    require_known(request, ())
    return _answer(
        _part(
            "relation",
            _part("patient", valueReference={"reference": f"Patient/{record.patient_id}"}),
            *(
                _part(
                    "why",
                    _part("rule", valueCode=one.rule),
                    _part("evidence", valueCode=one.evidence),
                    _part("source", valueString=one.source),
                    _instant("until", one.until),
                )
                for one in why
            ),
        )
        for record, why in await relations(services.door, request.caller)
    )


async def state(services: Services, request: Request) -> Response:
    """State a relation, to be confirmed: `identifier`, `basis`, `reason`. No `until`: there was one already."""
    said = _said(request, "identifier", "basis", "reason")
    who = canonical(str(said["identifier"].get("system", "")), str(said["identifier"].get("value", "")))
    pair = who.system, who.value
    until = await state_relation(services.door, request.caller, services.stating, pair, said["basis"], said["reason"])
    patient_id = await services.door.find(request.caller, *pair)
    return _answer([_part("patient", valueReference={"reference": f"Patient/{patient_id}"}), _instant("until", until)])


async def to_follow_up(services: Services, request: Request) -> Response:
    """Return what the caller's unit has to follow up, and what it dealt with lately: a `case` each."""
    require_json_answer(request)
    require_known(request, ())
    return _answer(map(_case, await follow_ups(services.door, request.caller)))


async def followed_up(services: Services, request: Request) -> Response:
    """Close a case of the unit's: `case` is its id, `note` what came of it."""
    said = _said(request, "case", "note")
    await close(services.door, request.caller, said["case"], said["note"])
    return _answer([_part("case", valueString=said["case"]), _instant("closed", services.door.clock.now())])


def _case(row: Any) -> Json | None:
    named = {"reference": f"Patient/{row.patient_id}"} if row.patient_id else ""
    return _part(
        "case",
        _part("id", valueString=str(row.fid)),
        _part("kind", valueCode=row.kind),
        _part("basis", valueCode=row.basis),
        _part("person", valueIdentifier={"system": AUTHORISATION, "value": row.person} if row.person else ""),
        _part("name", valueString=row.person_name),
        _part("role", valueString=row.role),
        _part("patient", valueReference=named),
        _part("patients", valueInteger=row.many),
        _part("reason", valueString=row.reason),
        _instant("at", row.at),
        _instant("until", row.until),
        _instant("confirmed", row.confirmed_at),
        _instant("alerted", row.alerted_at),
        _instant("closed", row.closed_at),
        _part("closedBy", valueString=row.closed_name),
        _part("note", valueString=row.note),
    )


def _said(request: Request, *names: str) -> dict[str, Any]:
    """Return what Parameters say: each of these once, and nothing else."""
    require_json_answer(request)
    body = request.json()
    stated = body.get("parameter") if isinstance(body, dict) and body.get("resourceType") == "Parameters" else None
    found: dict[str, Any] = {}
    for one in stated if isinstance(stated, list) else ():
        name = one.get("name") if isinstance(one, dict) else None
        kind, wanted = _KINDS.get(name, ("", str)) if isinstance(name, str) and name in names else ("", str)
        if not kind or name in found or set(one) != {"name", kind} or not isinstance(one[kind], wanted):
            raise _other(names)
        found[str(name)] = one[kind]
    if set(found) != set(names):
        raise _other(names)
    return found


def _other(names: Iterable[str]) -> Malformed:
    wanted = ", ".join(f"{name} ({_KINDS[name][0]})" for name in names)
    text = f"Send Parameters with each of these once, and nothing else: {wanted}."
    return Malformed("operation-parameters", text, expression="Parameters.parameter")


def _part(name: str, *parts: Json | None, **value: Any) -> Json | None:
    """Return a parameter with its value or its parts; None where it has neither."""
    said = {kind: one for kind, one in value.items() if one not in ("", None)}
    held = [part for part in parts if part is not None]
    return {"name": name, **said, **({"part": held} if held else {})} if said or held else None


def _instant(name: str, moment: datetime | None) -> Json | None:
    """Return a parameter with an instant; none for what has no end."""
    return _part(name, valueInstant=instant(moment) if moment is not None and moment < LATEST else "")


def _answer(parts: Iterable[Json | None]) -> Response:
    held = [part for part in parts if part is not None]
    return Response(200, dumps({"resourceType": "Parameters", **({"parameter": held} if held else {})}))
