"""`near`: Locations within a true distance, over poles and the 180th meridian."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from tests.api.test_transaction import bundle, entry

if TYPE_CHECKING:
    from tests.conftest import World

PLACES = {
    "rigshospitalet": (55.6963, 12.5669), "bispebjerg": (55.7134, 12.5414), "skejby": (56.1915, 10.1700),
    "fiji": (-17.0, 179.99), "taveuni": (-17.0, -179.99), "line": (-17.0, 180), "pole": (89.95, 0),
    "beyond": (89.95, 180), "south": (-89.999, 45),
}  # fmt: skip
TABLE = [
    ("near=55.6963|12.5669|0|km", "rigshospitalet"),
    ("near=55.6963|12.5669|2|km", "rigshospitalet"),
    # 2.48 km apart: between the two that follow.
    ("near=55.6963|12.5669|2.4|km", "rigshospitalet"),
    ("near=55.6963|12.5669|2.6|km", "bispebjerg rigshospitalet"),
    ("near=55.6963|12.5669|2.6", "bispebjerg rigshospitalet"),
    ("near=55.6963|12.5669|2400|m", "rigshospitalet"),
    ("near=55.6963|12.5669|2600|m", "bispebjerg rigshospitalet"),
    ("near=55.6963|12.5669|1.5|[mi_i]", "rigshospitalet"),
    ("near=55.6963|12.5669|1.6|[mi_us]", "bispebjerg rigshospitalet"),
    ("near=55.6963|12.5669|1.3|[nmi_i]", "rigshospitalet"),
    ("near=55.6963|12.5669|8600|[ft_i]", "bispebjerg rigshospitalet"),
    # Without a distance 10 km are near, whatever the units.
    ("near=55.70|12.56", "bispebjerg rigshospitalet"),
    ("near=55.70|12.56||m", "bispebjerg rigshospitalet"),
    ("near=55.80|12.56", "bispebjerg"),
    # Copenhagen and Aarhus are 158 km apart.
    ("near=55.6963|12.5669|155|km", "bispebjerg rigshospitalet"),
    ("near=55.6963|12.5669|160|km", "bispebjerg rigshospitalet skejby"),
    ("near=56.19|10.17|1|km,55.7134|12.5414|1|km", "bispebjerg skejby"),
    ("near=55.6963|12.5669|160|km&near=56.19|10.17|1|km", "skejby"),
    # Over the 180th meridian, which has two longitudes.
    ("near=-17|179.99|2.2|km", "fiji line taveuni"),
    ("near=-17|-179.99|2.2|km", "fiji line taveuni"),
    ("near=-17|-179.99|1.5|km", "line taveuni"),
    ("near=-17|180|1|m", "line"),
    ("near=-17|-180|1|m", "line"),
    # Over the pole: 11.1 km, though half the world lies between the longitudes.
    ("near=89.95|0|11|km", "pole"),
    ("near=89.95|0|11.2|km", "beyond pole"),
    ("near=90|77|6|km", "beyond pole"),
    ("near=-90|-135|1|km", "south"),
    ("near=0|0|20100|km", "beyond bispebjerg fiji line pole rigshospitalet skejby south taveuni"),
    ("near:missing=true", "nowhere"),
    ("near=55.6963|12.5669|3|km&name=bi", "bispebjerg"),
    ('_filter=near eq "55.6963|12.5669|3|km" and not(name co "rigs")', "bispebjerg"),
]  # fmt: skip


async def write(world: World) -> None:
    located: list[dict[str, Any]] = [
        {"resourceType": "Location", "id": f"acme.{name}", "name": name,
         "position": {"latitude": latitude, "longitude": longitude}}
        for name, (latitude, longitude) in PLACES.items()
    ]  # fmt: skip
    located.append({"resourceType": "Location", "id": "acme.nowhere", "name": "nowhere"})
    person: dict[str, Any] = {"resourceType": "Patient", "id": "acme.p"}
    visits: list[dict[str, Any]] = [
        {"resourceType": "Encounter", "id": f"acme.at-{name}", "status": "planned", "class": {"code": "AMB"},
         "subject": {"reference": "Patient/acme.p"}, "location": [{"location": {"reference": f"Location/acme.{name}"}}]}
        for name in ("skejby", "bispebjerg")
    ]  # fmt: skip
    entries = [entry("PUT", f"{r['resourceType']}/{r['id']}", r) for r in [*located, person, *visits]]
    written = await world.post("", world.source("acme"), bundle(*entries))
    assert written.status_code == 200, written.text


async def found(world: World, path: str) -> str:
    response = await world.get("/" + quote(path, safe="/?=&:,"), world.source("acme"))
    assert response.status_code == 200, (path, response.text)
    return " ".join(sorted(e["resource"]["id"].removeprefix("acme.") for e in response.json().get("entry", [])))


async def test_what_is_within_the_distance_is_found(world: World) -> None:
    await write(world)
    for search, expected in TABLE:
        assert await found(world, f"Location?{search}") == expected, search
    assert await found(world, "Encounter?location.near=56.2|10.2|5|km") == "at-skejby"
    assert await found(world, "Encounter?location.near=55.7|12.56|5|km&status=planned") == "at-bispebjerg"
    counted = await world.get("/Location?near=55.6963|12.5669|160|km&_summary=count", world.source("acme"))
    assert counted.json()["total"] == 3
    pages = await world.get("/Location?near=55.6963|12.5669|160|km&_count=2&_sort=-name", world.source("acme"))
    assert [e["resource"]["name"] for e in pages.json()["entry"]] == ["skejby", "rigshospitalet"]


async def test_a_place_that_moves_is_near_where_it_is_now(world: World) -> None:
    await write(world)
    body = {"resourceType": "Location", "id": "acme.skejby", "position": {"latitude": 55.7, "longitude": 12.56}}
    assert (await world.put("/Location/acme.skejby", world.source("acme"), body)).status_code == 200
    assert await found(world, "Location?near=55.7|12.56|10|m") == "skejby"
    assert await found(world, "Location?near=56.1915|10.17|1|km") == ""
    await world.http.delete("/fhir/Location/acme.skejby", headers=world.source("acme"))
    assert await found(world, "Location?near=55.7|12.56|10|m") == ""


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("55", "latitude|longitude|distance|units"), ("55|12|1|km|x", "latitude|longitude|distance|units"),
        ("x|12", "latitude from -90 to 90"), ("91|12", "latitude from -90"), ("55|181", "longitude from -180"),
        ("55|12|-1", "a distance such as"), ("55|12|x|km", "a distance such as"), ("55|12|1|mile", "[mi_us]"),
        (",".join(["55|12"] * 21), "At most 20"), ("55|12,", "latitude|longitude"),
    ],
)  # fmt: skip
async def test_what_is_no_place_is_refused(world: World, value: str, says: str) -> None:
    response = await world.get("/Location", world.source(), params={"near": value})
    (issue,) = response.json()["issue"]
    assert (response.status_code, issue["expression"], says in issue["details"]["text"]) == (400, ["http.near"], True)
