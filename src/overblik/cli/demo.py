"""`overblik demo`: the main job. A population, one course of care, four people's pages."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from datetime import date, datetime, timedelta
from pathlib import Path  # noqa: TC003 - typer reads it at run time
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import Progress

from overblik.app.logs import configure_logs
from overblik.app.postgres import server_of
from overblik.app.runtime import runtime
from overblik.cli.console import DEMO_STATE, answers, demo_settings, demo_state, err, fail, out
from overblik.clock import SystemClock
from overblik.demo.calendar import at
from overblik.demo.client import Sources
from overblik.demo.clock import DemoClock
from overblik.demo.delivery import deliver
from overblik.demo.links import LINKS, OTHERS
from overblik.demo.population import MAIN_STARTS_WITH, residents
from overblik.demo.stage import directory_bundle, set_stage
from overblik.fhir.dates import COPENHAGEN

if TYPE_CHECKING:
    from overblik.app.runtime import Runtime
    from overblik.app.settings import Settings
    from overblik.demo.delivery import Delivery

app = typer.Typer(help="The main job: a synthetic population, one course of care, four people's pages.")
START_SECONDS = 60


@app.callback(invoke_without_command=True)
def demo(
    context: typer.Context,
    patients: Annotated[int, typer.Option(min=1, max=5000, help="How many people.")] = 30,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8480,
    today: Annotated[str, typer.Option(help="The day the story stands at, YYYY-MM-DD; default today.")] = "",
) -> None:
    """Start the demo and print four links; `overblik demo next` tells the next event. Ctrl-C stops it.

    The population is made anew at every start. Everything it shows is synthetic.
    """
    if context.invoked_subcommand is None:
        _start(demo_settings(port), patients, _day(today))


def _day(text: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        fail("--today takes a date such as 2026-11-22.")


def _start(settings: Settings, patients: int, today: date | None) -> None:
    configure_logs()
    began = time.monotonic()
    for asked in (signal.SIGTERM, signal.SIGINT):  # a shell that starts it in the background has SIGINT ignored
        signal.signal(asked, _interrupt)
    _require_free(settings)
    _clear(settings.data)
    now = at(today, "09:00") if today else SystemClock().now()
    day = now.astimezone(COPENHAGEN).date()
    clock = DemoClock(settings.data / "clock")
    clock.set(now - timedelta(days=3 * 365))
    (settings.data / DEMO_STATE).write_text(
        json.dumps({"today": day.isoformat(), "port": settings.port, "told": MAIN_STARTS_WITH})
    )
    server = _spawn(settings)
    try:
        _wait_until_ready(settings, server)
        with server_of(settings) as conninfo:
            asyncio.run(_fill(settings, conninfo, patients, day, now))
        out.print(f"\n[bold]Overblik[/bold] · {patients} people, synthetic · {time.monotonic() - began:.0f} s\n")
        _print_links(settings)
        err.print("\nNext event: ./run overblik demo next    Stop: Ctrl-C\n", markup=False)
        server.wait()
    except KeyboardInterrupt:
        err.print("Stopping …")
    finally:
        _stop(server)


def _interrupt(*_: object) -> None:
    """Stop in order when asked to end, as on Ctrl-C."""
    raise KeyboardInterrupt


def _require_free(settings: Settings) -> None:
    if answers(settings):
        fail(f"something already listens on port {settings.port}; stop it, or give --port.")


def _clear(folder: Path) -> None:
    """Remove what an earlier demo left; never a folder that is not a demo's."""
    if folder.exists():
        if any(folder.iterdir()) and not (folder / DEMO_STATE).exists():
            fail(f"{folder} is not a demo's folder; move it away or set OVERBLIK_DATA.")
        shutil.rmtree(folder)
    folder.mkdir(parents=True)


def _spawn(settings: Settings) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "OVERBLIK_DATA": str(settings.data),
        "OVERBLIK_MODE": "demo",
        "OVERBLIK_HOST": settings.host,
        "OVERBLIK_PORT": str(settings.port),
    }
    command = [sys.executable, "-m", "overblik", "serve"]
    return subprocess.Popen(command, env=environment, start_new_session=True)  # noqa: S603 - our own command


def _wait_until_ready(settings: Settings, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            fail("the server stopped while starting; see the lines above.")
        with suppress(urllib.error.URLError, OSError), urllib.request.urlopen(f"{settings.address}/readyz", timeout=2):  # noqa: S310 - http
            return
        time.sleep(0.1)
    fail(f"the server was not ready within {START_SECONDS} s.")


def _stop(server: subprocess.Popen[bytes]) -> None:
    if server.poll() is None:
        os.killpg(server.pid, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            server.wait(15)
    if server.poll() is None:
        os.killpg(server.pid, signal.SIGKILL)


async def _fill(settings: Settings, conninfo: str, patients: int, day: date, now: datetime) -> None:
    """Set the stage and let every source deliver, each thing at its time."""
    async with runtime(settings, conninfo, migrating=False) as opened:
        clock = DemoClock(settings.data / "clock")
        sources = Sources(settings.address, _token_of(opened))
        system = opened.issuer.token({"kind": "system", "sub": "system", "name": "Overblik"}) if opened.issuer else ""
        await set_stage(opened.door, day)
        sources.send("/fhir", "application/fhir+json", directory_bundle(), system)
        await opened.directory.refresh(force=True)
        await _cast(opened)
        deliveries = [d for resident in residents(patients, day) for d in resident.deliveries(now)]
        with Progress(console=err, transient=True, disable=not err.is_terminal) as progress:
            task = progress.add_task("Sources deliver", total=len(deliveries))

            async def post(delivery: Delivery) -> None:
                await sources.post(delivery)
                progress.advance(task)

            await deliver(deliveries, post, clock.set, opened.drain)
        clock.set(now)
        sources.close()


def _token_of(opened: Runtime) -> Any:
    def token(slug: str, name: str) -> str:
        if opened.issuer is None:
            fail("the demo needs its test issuer.")
        return opened.issuer.token({"kind": "source", "sub": slug, "name": name})

    return token


async def _cast(opened: Runtime) -> None:
    """Let the test provider know who is in the demo."""
    if opened.provider is None:
        fail("the demo needs its test provider.")
    for name, _, claims, notice in LINKS:
        await opened.provider.add(claims, name=name, notice=notice)
    for name, staff in OTHERS.items():
        await opened.provider.add(staff.claims(), name=name)


def _print_links(settings: Settings) -> None:
    for name, who, _, notice in LINKS:
        out.print(f"[bold]{who}[/bold]\n  {notice}\n  {settings.address}/sign-in?hint={name}")
    out.print(f"\nAnybody else in it: {settings.address}/sign-in")


@app.command("links")
def links() -> None:
    """Print the four links again."""
    settings = _running()
    _print_links(settings)


@app.command("next")
def next_event() -> None:
    """Deliver the next event of the main story, as its sources would; the open pages show it on reload."""
    settings = _running()
    saved = demo_state(settings.data)
    story = residents(1, date.fromisoformat(saved["today"]))[0].story
    steps = story.steps()
    place = next(n for n, step in enumerate(steps) if step.code == saved["told"])
    if place + 1 == len(steps):
        err.print("The story is told; ./run demo begins it again.")
        return
    step = steps[place + 1]

    async def run(conninfo: str) -> None:
        async with runtime(settings, conninfo, migrating=False) as opened:
            clock = DemoClock(settings.data / "clock")
            sources = Sources(settings.address, _token_of(opened))
            await deliver(list(step.deliveries), sources.post, clock.set, opened.drain)
            clock.set(step.until)
            sources.close()

    with server_of(settings) as conninfo:
        asyncio.run(run(conninfo))
    (settings.data / DEMO_STATE).write_text(json.dumps({**saved, "told": step.code}))
    when = step.until.astimezone(COPENHAGEN).strftime("%d.%m.%Y %H.%M")
    out.print(f"{step.title} ({when})", markup=False)
    for delivery in step.deliveries:
        out.print(f"  {delivery.source.name}: {delivery.about}", markup=False)


def _running() -> Settings:
    settings = demo_settings()
    if not answers(settings):
        fail("no demo is running; start it with ./run demo.")
    return settings
