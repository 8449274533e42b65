"""`_filter` over HTTP: it finds what the parameters it names find, hides what they hide, and says where it is wrong."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from overblik.store.database import counting
from tests.api.test_chains import told
from tests.api.test_hidden import plain
from tests.api.test_search import ALL, BO, CPR, INGE, NPU, UCUM, found, write
from tests.journeys.wire import Recorder
from tests.trust.stage import CPR as TREATED
from tests.trust.stage import DEPARTMENT, OTHER, SIBLING, deny

if TYPE_CHECKING:
    from tests.conftest import World

TABLE = [
    # Texts.
    ("Patient", 'name co "oerens"', "inge"),
    ("Patient", 'name co "xx"', ""),
    ("Patient", "family sw soer", "inge"),
    ("Patient", "family sw oer", ""),
    ("Patient", "family ew ård", "bo"),
    ("Patient", "family ew aag", ""),
    ("Patient", 'given eq "Åse"', "inge"),
    ("Patient", "given eq ås", ""),
    ("Patient", "family gt b", "inge"),
    ("Patient", "family ge aagaard and family le aagaard", "bo"),
    ("Patient", "family lt b", "bo"),
    ("Observation", 'not(value-string eq "ærø fundet") and not(value-quantity pr true)', "asked longer pressure"),
    # Tokens.
    ("Observation", "code eq W", "light weight"),
    ("Observation", f"code eq {NPU}|W and not(category eq vital-signs)", "weight"),
    ("Observation", "code eq loinc|29463-7 or code eq L", "asked longer weight"),
    ("Observation", "status ne final", "undated"),
    ("Patient", "gender ne male", "inge"),
    ("Patient", "not(gender eq female)", "bo"),
    ("Patient", f"identifier eq {CPR}|251248-9996", "inge"),
    # Left to right, without precedence.
    ("Observation", "code eq W or code eq L and date ge 2026-11-20", "asked longer weight"),
    ("Observation", "code eq W or (code eq L and date ge 2026-12)", "light longer weight"),
    ("Observation", "not(code eq W or code eq L)", "pressure undated"),
    ("Observation", "not(code eq W) and not (code eq L)", "pressure undated"),
    # Dates, in the row and beside it.
    ("Observation", "date eq 2026-11-20", "asked weight"),
    ("Observation", "date po 2026-10-01", "light longer"),
    ("Observation", "date co 2026-10-01", "light longer"),
    ("Observation", "date co 2026-11-21T08:30:00Z", "longer pressure"),
    ("Observation", "date co 2026", "longer"),
    ("Observation", "date sa 2026-11-20 or date eb 2026-11-01", "light pressure"),
    ("Observation", "_lastUpdated ge 2026-11-23 and _lastUpdated lt 2026-11-24", ALL),
    # Numbers and quantities, composites.
    ("Observation", "value-quantity gt 5", "weight"),
    ("Observation", f"value-quantity lt 6|{UCUM}|kg", "light"),
    ("Observation", "value-quantity lt 6|ucum|kg", "light"),
    ("Observation", "component-code-value-quantity eq 8480-6$gt100", "pressure"),
    ("Observation", "component-code-value-quantity eq loinc|8462-4$gt100", ""),
    # Presence.
    ("Observation", "date pr false", "undated"),
    ("Observation", "date pr true and status pr true", "asked light longer pressure weight"),
    ("Observation", "subject.gender pr false", "asked light"),
    ("Observation", "encounter.status pr false", ALL),
    # Paths.
    ("Observation", 'subject.name co "gaar"', "asked light"),
    ("Observation", "subject:Patient.birthdate eq 1948-12-25 and code eq W", "weight"),
    ("Observation", "subject[gender eq female].birthdate ge 1948-12", "longer pressure undated weight"),
    ("Observation", "subject[gender eq female].birthdate lt 1948-12", ""),
    ("Observation", f"subject.identifier eq {CPR}|{BO}", "asked light"),
    ("Patient", "_has:Observation:patient:code eq L and _has:Observation:patient:status eq preliminary", "inge"),
    ("Patient", "_has:Observation:subject:value-quantity lt 6", "bo"),
    ("Observation", "subject._has:Observation:subject:value-concept eq NEG", "asked light"),
    ("Observation", "performer re Practitioner/p1", "asked"),
    ("Organization", 'name co "syg" and address-city sw ærø', "hospital"),
    ("Organization", "not(name co syg)", ""),
]  # fmt: skip


async def test_a_filter_finds_what_it_says(world: World) -> None:
    names = await write(world)
    for kind, text, expected in TABLE:
        for path in (f"{kind}?_filter={quote(text)}", f"{kind}?_filter={quote(text)}&_count=1"):
            assert sorted(await found(world, names, path)) == expected.split(), text
        counted = await world.get(f"/{kind}?_filter={quote(text)}&_summary=count", world.source())
        assert counted.json()["total"] == len(expected.split()), text


async def test_a_filter_stands_beside_other_parameters(world: World) -> None:
    names = await write(world)
    await world.run.drain()
    ids = {name: identifier for identifier, name in names.items()}
    asked = quote("code eq W or code eq L")
    for path, expected in [
        (f"Observation?_filter={asked}&patient={ids['inge']}", ["weight", "longer"]),
        (f"Observation?patient={ids['inge']}&_filter={asked}&asOf=2026-11-24", ["weight", "longer"]),
        (f"Patient/{ids['bo']}/Observation?_filter={asked}&_sort=date", ["light", "asked"]),
        (f"Observation?_filter={asked}&_filter={quote('value-quantity pr true')}&_sort=-date", ["weight", "light"]),
        (f"?_type=Observation,Condition&_filter={quote('code eq W')}", ["weight", "light"]),
        (f"Observation?_list=none&_filter={asked}", []),
    ]:
        assert await found(world, names, path) == expected, path
    posted = await world.http.post(
        "/fhir/Observation/_search", headers=world.source(), data={"_filter": "code eq W and value-quantity gt 6"}
    )
    assert [names[e["resource"]["id"]] for e in posted.json()["entry"]] == ["weight"]
    mine = await found(world, names, f"Observation?_filter={asked}", world.citizen(INGE))
    assert mine == ["weight", "longer"]


async def test_a_wrong_filter_says_where_and_is_no_fault(world: World) -> None:
    for text in ("code eq", "code zz x", "code in http://no", "(code eq x", "dog eq 1", "status ss x", '"', "a" * 5000):
        for who in (world.source(), world.citizen(INGE)):
            headers = {"Prefer": "handling=lenient"}
            response = await world.get(f"/Observation?_filter={quote(text)}", who, headers=headers)
            (issue,) = response.json()["issue"]
            assert (response.status_code, issue["expression"]) == (400, ["http._filter"]), text


async def test_a_cpr_in_a_filter_is_in_no_link(world: World) -> None:
    names = await write(world)
    text = quote(f"subject.identifier eq {CPR}|{INGE}")
    response = await world.get(f"/Observation?_filter={text}&_count=1", world.source())
    links = {link["relation"]: link["url"] for link in response.json()["link"]}
    assert INGE not in str(links)
    following = links["next"].removeprefix("http://test/fhir")
    assert len(await found(world, names, following.removeprefix("/"))) == 3


async def test_a_filter_is_one_statement(world: World) -> None:
    await write(world)
    numbers = []
    for asked in ("status=final", f"_filter={quote('code eq W or not(subject.name co x)')}"):
        with counting() as statements:
            await world.get(f"/Observation?{asked}", world.citizen(INGE))
        numbers.append(len(statements))
    assert numbers == [1, 1]


HIDDEN = (
    "diagnosis:Condition.code eq {code}",
    "not(diagnosis:Condition.code eq {code})",
    "diagnosis:Condition.code pr true",
    "diagnosis:Condition.code pr false",
    "diagnosis re Condition/{id} and diagnosis:Condition._id eq {id}",
    "diagnosis:Condition[code eq {code}]._lastUpdated ge 2020",
    "_has:Condition:encounter:code eq {code} or status eq cancelled",
    "patient._has:Condition:patient:code eq {code}",
    "subject[_has:Condition:patient:code eq {code}].name co test",
    "not(not(patient._has:Condition:patient:_id eq {id}))",
)  # fmt: skip


async def test_a_filter_reads_hidden_as_absent(world: World) -> None:
    """What a department has been denied gives the bytes that a filter by what never was gives."""
    names = await told(world)
    nurse, absent = world.professional(DEPARTMENT), names | {"id": "0" * 32, "code": "Z"}
    shown = {text: await _number(world, text.format(**names), nurse) for text in HIDDEN}
    assert [shown[text] for text in HIDDEN] == [1, 0, 1, 0, 1, 1, 1, 1, 1, 1]
    for text in HIDDEN:
        for stranger in (world.professional(SIBLING), world.citizen(OTHER)):
            assert await _number(world, text.format(**names), stranger) == 0, text
        assert await _number(world, text.format(**names), world.citizen(TREATED)) == shown[text], text
    await deny(world, names["patient"], type="Condition")
    recorder = Recorder(world)
    for text in HIDDEN:
        for more in ("", "&_summary=count", "&_total=accurate", "&_sort=_id"):
            path = "/Encounter?_filter={}" + more
            got = [plain(await world.get(path.format(quote(text.format(**n))), nurse), {}) for n in (names, absent)]
            # The link repeats the filter; beside it every byte is the same.
            (_, real, headers), (_, gone, others) = ((s, re.sub('"link":.*?]', "", body), h) for s, body, h in got)
            assert (real, headers) == (gone, others), text
            assert got[0][0] == got[1][0] == 200
    assert await recorder.differences() == []


async def _number(world: World, text: str, who: dict[str, str]) -> int:
    response = await world.get(f"/Encounter?_filter={quote(text)}", who)
    assert response.status_code == 200, (text, response.text)
    return len(response.json().get("entry", []))


async def test_a_condition_may_be_a_filter(world: World) -> None:
    body = {"resourceType": "Organization", "name": "En"}
    asked = {"If-None-Exist": f"_filter={quote('name eq en')}"}
    sent = [await world.post("/Organization", {**world.source(), **asked}, body) for _ in range(2)]
    assert [response.status_code for response in sent] == [201, 200]
