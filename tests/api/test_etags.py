"""A version is named by an ETag; what is none is refused, never passed over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.conftest import World

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "identifier": [{"system": "urn:oid:1.2.208.176.1.2", "value": "2512489996"}],
}
WRONG = ["1", 'W/"one"', 'W/"²"', 'W/"٢"', f'W/"{"9" * 5000}"', "*", ""]


@pytest.mark.parametrize("etag", WRONG)
async def test_a_transaction_that_states_no_readable_version_changes_nothing(world: World, etag: str) -> None:
    """It would otherwise write as if no version had been asked for."""
    created = (await world.post("/Patient", world.source(), PATIENT)).json()
    url = f"Patient/{created['id']}"
    changed = {**PATIENT, "id": created["id"], "gender": "female"}
    entry = {"resource": changed, "request": {"method": "PUT", "url": url, "ifMatch": etag}}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    answer = await world.post("", world.source(), bundle)
    assert answer.status_code in {400, 422}, answer.text
    assert (await world.get(f"/{url}", world.source())).json()["meta"]["versionId"] == "1"


async def test_a_transaction_holds_to_the_version_it_states(world: World) -> None:
    created = (await world.post("/Patient", world.source(), PATIENT)).json()
    url = f"Patient/{created['id']}"

    async def put(etag: str) -> int:
        changed = {**PATIENT, "id": created["id"], "gender": "female"}
        entry = {"resource": changed, "request": {"method": "PUT", "url": url, "ifMatch": etag}}
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
        return (await world.post("", world.source(), bundle)).status_code

    assert [await put('W/"7"'), await put('W/"1"'), await put('W/"1"'), await put('"2"')] == [412, 200, 412, 200]


@pytest.mark.parametrize("version", ["²", "٢", "one", "0", "9" * 5000, "-1"])
async def test_a_version_that_cannot_be_is_not_found(world: World, version: str) -> None:
    created = (await world.post("/Patient", world.source(), PATIENT)).json()
    answer = await world.get(f"/Patient/{created['id']}/_history/{version}", world.source())
    assert answer.status_code == 404
