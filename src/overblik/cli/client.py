"""`overblik client`: which apps and services are registered, and the most that each may ask for."""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003 - typer reads it at run time
from typing import TYPE_CHECKING, Annotated

import typer

from overblik.cli.console import current_settings, err, fail, out
from overblik.cli.opened import with_runtime
from overblik.trust.callers.scopes import parse_scopes
from overblik.trust.callers.sources import registered
from overblik.trust.callers.tokens import TEST_MODES
from overblik.trust.smart.clients import SYSTEM, Client

if TYPE_CHECKING:
    from overblik.app.runtime import Runtime

app = typer.Typer(no_args_is_help=True, help="Register apps (SMART App Launch) and backend services.")


@app.command("add")
def add(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="The client_id.")],
    name: Annotated[str, typer.Option(help="The name people see when they are asked.")],
    scope: Annotated[str, typer.Option(help="The most it may ask for: 'launch/patient openid patient/*.rs'.")],
    redirect: Annotated[
        list[str] | None, typer.Option(help="An exact address codes may go to; repeat for more.")
    ] = None,
    launch_url: Annotated[str, typer.Option(help="Where the app begins when it is opened from a patient.")] = "",
    jwks: Annotated[Path | None, typer.Option(help="A file with its public keys (JSON Web Key Set).")] = None,
    jwks_uri: Annotated[str, typer.Option(help="The https address of its public keys.")] = "",
    source: Annotated[str, typer.Option(help="A backend service that comes as this registered source.")] = "",
    system: Annotated[bool, typer.Option("--system", help="A backend service that comes as the system.")] = False,
    pushed: Annotated[
        bool, typer.Option("--pushed", help="Its authorization requests must come pushed (RFC 9126).")
    ] = False,
) -> None:
    """Register a client, or change it. With keys it must show them; without, it is a public app."""
    acts_as = SYSTEM if system else source
    kind = "backend" if acts_as else "confidential" if jwks or jwks_uri else "public"
    keys = _keys(jwks) if jwks else None
    scopes = parse_scopes(scope)
    addresses = tuple(redirect or ())
    client = Client(identifier, name, kind, scopes, addresses, launch_url, keys, jwks_uri, acts_as, pushed)  # type: ignore[arg-type]  # one of three words
    settings = current_settings()

    async def run(runtime: Runtime) -> None:
        local = settings.mode in TEST_MODES
        if source and not local and await registered(runtime.database, source) is None:
            fail(f"there is no source {source}; register it with `overblik source add`.")
        await runtime.smart.clients.register(client, runtime.clock.now(), allow_local=local)

    with_runtime(run, settings)
    err.print(f"{identifier} is registered ({kind}).", markup=False)


def _keys(path: Path) -> dict[str, object]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        fail(f"{path} cannot be read: {error}.")
    return found if isinstance(found, dict) else {}


@app.command("list")
def list_() -> None:
    """List the registered clients."""

    async def run(runtime: Runtime) -> list[Client]:
        return await runtime.smart.clients.listed()

    for client in with_runtime(run):
        out.print(f"{client.id}\t{client.kind}\t{client.name}\t{client.scopes.text}", markup=False)


@app.command("remove")
def remove(identifier: Annotated[str, typer.Argument(metavar="ID", help="The client_id.")]) -> None:
    """Let a client do nothing more: its tokens open nothing within a second."""

    async def run(runtime: Runtime) -> bool:
        return await runtime.smart.clients.disable(identifier, runtime.clock.now())

    if not with_runtime(run):
        fail(f"there is no client {identifier}.")
    err.print(f"{identifier} is removed.", markup=False)
