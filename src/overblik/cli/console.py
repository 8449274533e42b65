"""How the commands speak: results to standard output, everything else to standard error."""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from typing import TYPE_CHECKING, Any, NoReturn

from rich.console import Console

from overblik.app.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

DEMO_STATE = "demo.json"
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def fail(text: str) -> NoReturn:
    """End with one sentence that says what to do."""
    err.print(f"overblik: {text}", style="bold red", markup=False)
    sys.exit(1)


def demo_settings(port: int | None = None) -> Settings:
    """Return the settings of the demo: a data folder of its own below the usual one."""
    base = Settings()
    folder = base.data / "demo"
    chosen = port or int(demo_state(folder).get("port", base.port))
    return base.model_copy(update={"data": folder, "mode": "demo", "port": chosen, "key_file": None})


def demo_state(folder: Path) -> dict[str, Any]:
    """Return what the demo remembers of itself; {} where there is none."""
    try:
        return dict(json.loads((folder / DEMO_STATE).read_text()))
    except FileNotFoundError:
        return {}


def answers(settings: Settings) -> bool:
    """Say whether a server answers there."""
    try:
        with urllib.request.urlopen(f"{settings.address}/livez", timeout=2):  # noqa: S310 - our own address
            return True
    except OSError:
        return False


def current_settings() -> Settings:
    """Return the running demo's settings where one runs and the environment names no other server."""
    if not {"OVERBLIK_MODE", "OVERBLIK_DATABASE_URL"} & os.environ.keys():
        demo = demo_settings()
        if demo_state(demo.data) and answers(demo):
            return demo
    return Settings()
