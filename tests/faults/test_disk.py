"""F04, F05: a disk that is full, or fails. On a disk of the test's own (tests/kill/disk.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from overblik.fhir.errors import Full
from overblik.store.room import Room
from tests.kill import disk
from tests.kill.rounds import rounds
from tests.kill.victim import PoweredVictim

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import World

needs_disk = pytest.mark.skipif(bool(disk.missing()), reason=disk.missing() or "it is there")


@pytest.mark.long
@needs_disk
async def test_f05_nothing_is_lost_on_a_full_disk_and_it_goes_on_when_there_is_room(folder: Path) -> None:
    """To the last byte: PostgreSQL itself stops where its log finds no room, and is started when there is some."""
    with disk.open_disk(500) as made:
        victim = PoweredVictim(made, log=folder / "server.log")
        victim.environment["OVERBLIK_RESERVE_MB"] = "0"
        outcome = await rounds(folder, ["full", "full"], victim=victim)
    assert outcome.problems == []
    assert outcome.refused.keys() <= {503, 507}
    assert outcome.refused, "the disk was never full"
    assert outcome.acknowledged.total() > 10


@pytest.mark.long
@needs_disk
def test_f05_reads_go_on_while_writers_are_refused(folder: Path) -> None:
    with disk.open_disk(500) as made:
        victim = PoweredVictim(made, log=folder / "server.log")
        victim.environment["OVERBLIK_RESERVE_MB"] = "100"
        victim.start()
        try:
            headers = victim.header("source") | {"Content-Type": "application/fhir+json"}
            with httpx.Client(base_url=f"{victim.address}/fhir", headers=headers, timeout=30) as http:
                stored = http.post("/Patient", json={"resourceType": "Patient"})
                assert stored.status_code == 201, stored.text
                made.fill(leave=90 << 20)
                refused = [
                    http.post("/Patient", json={"resourceType": "Patient"}),
                    http.put(f"/Patient/{stored.json()['id']}", json=stored.json()),
                    http.delete(f"/Patient/{stored.json()['id']}"),
                    http.post("/$process-message", json={"resourceType": "Bundle", "type": "message"}),
                ]
                assert [(r.status_code, r.headers["Retry-After"]) for r in refused] == [(507, "1")] * len(refused)
                for _ in range(20):
                    assert http.get(f"/Patient/{stored.json()['id']}").status_code == 200
                made.make_room()
                assert http.post("/Patient", json={"resourceType": "Patient"}).status_code == 201
        finally:
            victim.stop()


async def test_f05_a_writer_is_refused_before_anything_is_done(world: World, tmp_path: Path) -> None:
    everything = Room(tmp_path, 1 << 60)
    world.run.database.room = everything
    with pytest.raises(Full):
        everything.require()
    body: dict[str, Any] = {"resourceType": "Patient"}
    response = await world.post("/Patient", world.source(), body)
    assert (response.status_code, response.headers["Retry-After"]) == (507, "1")
    assert response.json()["issue"][0]["code"] == "no-store"
    assert (await world.get("/Patient", world.source())).status_code == 200
    world.run.database.room = Room()
    assert (await world.post("/Patient", world.source(), body)).status_code == 201
