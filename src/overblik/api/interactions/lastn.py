"""$lastn of Observations (https://hl7.org/fhir/R4/observation-operation-lastn.html)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from overblik.api.http import bundle_response, require_json_answer
from overblik.api.parameters import count, operation_pairs, page_links, query_string, require_known
from overblik.fhir.dates import EARLIEST, parse_interval
from overblik.fhir.errors import Malformed
from overblik.trust.door import history

if TYPE_CHECKING:
    from datetime import datetime

    from overblik.api.http import Request, Response, Services
    from overblik.fhir.strict_json import Json

TAKEN = ("category", "code", "max", "patient", "subject")


async def lastn(services: Services, request: Request) -> Response:
    """Return the newest Observations of a patient, `max` of each code (one, unless asked for more)."""
    require_json_answer(request)
    request = replace(request, pairs=operation_pairs(request))
    require_known(request, TAKEN)
    patient = (request.one("patient") or request.one("subject")).removeprefix("Patient/")
    if not patient or "/" in patient:
        text = "$lastn needs patient=, the id of one Patient."
        raise Malformed("patient-needed", text, expression="http.patient")
    most = count(request, "max", 1)
    asked = f"Observation/$lastn?{query_string(request.pairs)}"

    def choose(known: list[Json]) -> list[int]:
        fitting = [number for number, item in enumerate(known) if _fits(request, item)]
        return newest(known, fitting, most)

    found = await history.last_observations(services.door, request.caller, patient, asked, choose)
    entries = [
        {
            "fullUrl": f"{request.base}/Observation/{item.id}",
            "resource": item.json(),
            "search": {"mode": "match"},
        }
        for item in found
    ]
    return bundle_response("searchset", entries, links=page_links(request, "Observation/$lastn", TAKEN, ""))


def newest(known: list[Json], numbers: list[int], most: int) -> list[int]:
    """Return, group by group, the places of the newest; those with a coding in common are of one group."""
    groups: list[tuple[set[tuple[str, str]], list[int]]] = []
    for number in numbers:
        keys = _codes(known[number].get("code", {}))
        joined = [group for group in groups if group[0] & keys]
        for group in joined:
            groups.remove(group)
        groups.append(
            (keys.union(*(group[0] for group in joined)), [n for group in joined for n in group[1]] + [number])
        )
    ordered = sorted((min(keys, default=("", "")), members) for keys, members in groups)
    return [
        number
        for _, members in ordered
        for number in sorted(members, key=lambda n: (_taken(known[n]), known[n]["id"]), reverse=True)[:most]
    ]


def _codes(concept: Json) -> set[tuple[str, str]]:
    found = {(str(c.get("system", "")), str(c["code"])) for c in concept.get("coding", ()) if "code" in c}
    return found or {("", str(concept.get("text", "")))}


def _taken(observation: Json) -> datetime:
    """Return when an Observation is of: its effective time, else when it was issued."""
    period = observation.get("effectivePeriod", {})
    for text in (
        observation.get("effectiveDateTime"),
        observation.get("effectiveInstant"),
        period.get("end"),
        period.get("start"),
        observation.get("issued"),
    ):
        if text and (found := parse_interval(text)) is not None:
            return found.start
    return EARLIEST


def _fits(request: Request, observation: Json) -> bool:
    concepts = {"code": [observation.get("code", {})], "category": observation.get("category", [])}
    return all(
        any(_asked(part, concept) for part in value.split(",") for concept in concepts[name])
        for name, value in request.pairs
        if name in concepts
    )


def _asked(text: str, concept: Json) -> bool:
    """Say whether a concept has the token asked for: `code`, `system|code`, `system|` or `|code`."""
    system, bar, code = text.rpartition("|")
    return any(
        (not code or coding.get("code") == code) and (not bar or coding.get("system", "") == system)
        for coding in concept.get("coding", ())
    )
