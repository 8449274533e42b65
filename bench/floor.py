"""How fast the machine is just now: the least that any answer costs, beside what it cost where the targets were set.

    python -m bench.floor

One granian worker serves a Starlette application that looks nothing up. On shared machines this varies by the hour, by
half and more, so a report measures it before and after everything else, and shows it.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from bench.target import free_port, wait_for
from bench.wrk import Ask, run

THERE = 21_100
"""Requests a second of such a program on the machine that the targets were measured on."""
CONNECTIONS = 16
ROUNDS = 3
_COMMAND = ("-m", "granian", "--interface", "asgi", "--loop", "uvloop", "--log-level", "critical", "--port")


async def _nothing(_: object) -> PlainTextResponse:
    return PlainTextResponse("ok\n")


app = Starlette(routes=[Route("/", _nothing)])


def floor(seconds: float) -> float:
    """Return requests a second, the median of three rounds of that many seconds."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, *_COMMAND, str(port), "bench.floor:app"]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[1])  # noqa: S603 - our own
    try:
        wait_for(address, process, 30)
        rounds = [run(address, {}, [Ask("GET", "/")], connections=CONNECTIONS, seconds=seconds) for _ in range(ROUNDS)]
    finally:
        process.terminate()
        process.wait(10)
    return statistics.median(figure.rate for figure in rounds)


def told(before: float, after: float) -> str:
    """Return what the two measurements say of the machine."""
    return (
        f"A program that looks nothing up (bench/floor.py) answered {before:,.0f} requests a second before and"
        f" {after:,.0f} after this; {THERE:,} where the targets were measured: this machine was"
        f" {(before + after) / 2 / THERE:.2f} of that one."
    )


if __name__ == "__main__":
    print(f"{floor(2):,.0f} requests a second; {THERE:,} where the targets were measured")
