"""A value that the database cannot keep is the sender's to mend, and no sign that the database is away."""

from __future__ import annotations

import random
import string
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.conftest import World

LONG = "".join(random.Random(1).choices(string.ascii_letters, k=9000))


async def test_an_identifier_too_long_to_be_found_by_is_refused_for_good(world: World) -> None:
    patient: dict[str, Any] = {"resourceType": "Patient", "identifier": [{"system": "urn:x", "value": LONG}]}
    refused = await world.post("/Patient", world.source(), patient)
    assert refused.status_code == 422
    assert refused.json()["issue"][0]["details"]["coding"][0]["code"] == "not-storable"
    assert "Retry-After" not in refused.headers
    patient["identifier"] = [{"system": "urn:x", "value": "1"}]
    assert (await world.post("/Patient", world.source(), patient)).status_code == 201


async def test_a_name_that_the_database_cannot_keep_is_one_that_is_not_there(world: World) -> None:
    for path in (
        "/Patient/{}", "/Organization/{}", "/Binary/{}", "/Patient/{}/_history/1", "/Organization/{}/_history/1",
        "/Patient/{}/_history", "/Organization/{}/_history", "/Patient/{}/$everything", "/Patient/{}/$overview",
        "/Patient/{}?asOf=2026-11-22", "/Organization/{}?asOf=2026-11-22",
    ):  # fmt: skip
        for who in (world.system(), world.citizen("2512489996")):
            never, absent = [await world.get(path.format(name), who) for name in ("a%00b", "absent")]
            assert (never.status_code, never.content) == (absent.status_code, absent.content), path
            assert absent.status_code == 404, path
