"""`overblik`: the operator's commands. Each `--help` teaches what it is for."""

from __future__ import annotations

import sys

import typer

from overblik import __version__
from overblik.cli import demo, inbox, load, population, reindex, serve, source, token, verify_log
from overblik.cli.console import fail
from overblik.fhir.errors import OverblikError

app = typer.Typer(
    name="overblik",
    help="One patient, one overview: a FHIR R4 server, a message gateway and a layer of trust.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("serve")(serve.serve)
app.command("migrate")(serve.migrate)
app.command("token")(token.token)
app.command("load")(load.load)
app.command("population")(population.population)
app.command("reindex")(reindex.reindex)
app.command("verify-log")(verify_log.verify_log)
app.add_typer(demo.app, name="demo")
app.add_typer(inbox.app, name="inbox")
app.add_typer(source.app, name="source")


@app.command("version")
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def main() -> None:
    """Run the command line; an expected error is one line that says what to do."""
    try:
        app()
    except OverblikError as error:
        fail(error.text)
    except KeyboardInterrupt:
        sys.exit(130)
