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
