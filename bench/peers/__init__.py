"""Other FHIR servers, started for a measurement beside Overblik and never part of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.peers import hapi

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from bench.target import Target

PEERS: dict[str, Callable[[Path], AbstractContextManager[Target]]] = {"hapi": hapi.served}
"""How each is served on a folder of its own."""
