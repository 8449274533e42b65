"""Tells a demo story to a test's server, as its sources would, without a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from overblik.demo.client import refusal
from overblik.demo.delivery import PATHS, Delivery, deliver
from overblik.demo.stage import directory_bundle, set_stage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.conftest import World


async def set_the_stage(world: World) -> None:
    """Write organisations, staff, routes and connections."""
    await set_stage(world.run.door, world.clock.now().date())
    response = await world.post("", world.system(), directory_bundle())
    assert response.status_code == 200, response.text
    await world.run.directory.refresh(force=True)


async def hand_over(world: World, delivery: Delivery) -> None:
    """Hand one delivery over; it must be taken."""
    path, media = PATHS[delivery.kind]
    who = world.token(kind="source", sub=delivery.source.slug, name=delivery.source.name)
    response = await world.post(path.removeprefix("/fhir"), who, delivery.body, headers={"Content-Type": media})
    assert response.status_code == 200, response.text
    assert not refusal(response.content), response.text


async def tell(world: World, deliveries: Iterable[Delivery], *, in_order: bool = True) -> None:
    """Deliver everything, each at its time; or in the order given, at the time it is now."""
    if not in_order:
        for delivery in deliveries:
            await hand_over(world, delivery)
        await world.run.drain()
        return

    async def post(delivery: Delivery) -> None:
        await hand_over(world, delivery)

    await deliver(list(deliveries), post, world.clock.set, world.run.drain)
