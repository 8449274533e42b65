"""`overblik`: the operator's commands. Each `--help` teaches what it is for."""

from __future__ import annotations

import sys
from importlib import import_module

import typer

from overblik import __version__
from overblik.cli.console import fail
from overblik.fhir.errors import OverblikError

COMMANDS = {
    "serve": "serve",
    "migrate": "serve",
    "token": "token",
    "load": "load",
    "population": "population",
    "reindex": "reindex",
    "demo": "demo",
    "inbox": "inbox",
    "keys": "keys",
    "source": "source",
    "client": "client",
    "withhold": "withhold",
    "follow-ups": "follow_ups",
    "verify-log": "verify_log",
    "replay-log": "replay_log",
    "witness": "witness",
}
"""Which module has each command: one that has an `app` has commands of its own."""


def commands(asked: str = "") -> typer.Typer:
    """Return the command line: with all commands, or only the one asked for, so that it starts without the others."""
    app = typer.Typer(
        name="overblik",
        help="One patient, one overview: a FHIR R4 server, a message gateway and a layer of trust.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for name in (asked,) if asked in COMMANDS else COMMANDS:
        module = import_module(f"overblik.cli.{COMMANDS[name]}")
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name)
        else:
            app.command(name)(getattr(module, name.replace("-", "_")))
    app.command("version")(version)
    return app


def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def main() -> None:
    """Run the command line; an expected error is one line that says what to do."""
    try:
        commands(sys.argv[1] if len(sys.argv) > 1 else "")()
    except OverblikError as error:
        fail(error.text)
    except KeyboardInterrupt:
        sys.exit(130)
