"""What a source delivers, when, and by which interface."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from overblik.demo.cast import Unit

Kind = Literal["message", "document", "fhir"]
PATHS: dict[Kind, tuple[str, str]] = {
    "message": ("/fhir/$process-message", "application/fhir+json"),
    "document": ("/fhir/$process-message", "application/xml"),
    "fhir": ("/fhir", "application/fhir+json"),
}


@dataclass(frozen=True, slots=True)
class Delivery:
    """One thing delivered. `at` is when it reaches Overblik; what it tells may be older."""

    at: datetime
    source: Unit
    kind: Kind
    body: bytes
    about: str


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a story: its deliveries, and the instant after which the pages tell it."""

    code: str
    title: str
    deliveries: tuple[Delivery, ...]
    until: datetime


def document(unit: Unit, body: bytes, moment: datetime, about: str) -> Delivery:
    """Return a document as its source delivers it."""
    return Delivery(moment, unit, "document", body, about)


def step(code: str, title: str, *deliveries: Delivery) -> Step:
    """Return a step that is told five minutes after its last delivery."""
    return Step(code, title, deliveries, max(d.at for d in deliveries) + timedelta(minutes=5))


Post = "Callable[[Delivery], Awaitable[None]]"


async def deliver(
    deliveries: list[Delivery],
    post: Callable[[Delivery], Awaitable[None]],
    move: Callable[[datetime], None],
    settle: Callable[[], Awaitable[object]],
) -> None:
    """Deliver in the order of arrival: move the clock, hand over, let it be numbered before time goes on."""
    for delivery in sorted(deliveries, key=lambda d: d.at):
        move(delivery.at)
        await post(delivery)
        await settle()
