"""A sender's clock, by what it says something was written down and when that came."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

AHEAD = timedelta(minutes=10)
"""How far clocks may differ where both are right enough."""
BEHIND = timedelta(days=90)
"""How late a message may come that was sent again and again; documents may be of any age."""


def is_ahead(recorded: datetime, received: datetime) -> bool:
    """Say whether something came before it was written down."""
    return recorded - received > AHEAD


def clock_fault(recorded: datetime, received: datetime, *, aged: bool) -> str:
    """Return what is wrong with a sender's clock, "" where nothing is; what is `aged` may have lain for years."""
    if is_ahead(recorded, received):
        return "clock-ahead"
    return "clock-behind" if received - recorded > BEHIND and not aged else ""
