"""The real server with short bounds, so that a test does not wait for a minute."""

from __future__ import annotations

from typing import TYPE_CHECKING

from overblik.api import dispatch
from overblik.app import server, sockets

if TYPE_CHECKING:
    from starlette.types import ASGIApp

SECONDS = 2.0


def create() -> ASGIApp:
    """Give bodies and readers two seconds."""
    dispatch.SILENT = SECONDS
    sockets.STUCK_SECONDS = SECONDS
    return server.create()
