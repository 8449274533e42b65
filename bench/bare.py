"""The server without its rules and without its log, to be measured beside the real one: never a setting, never shipped.

    python -m bench.bare

It is the real server (`overblik serve`), whose statements are rewritten in this process before it starts: the
subquery that permits a record permits every record, the condition that a row may be seen is true, and nothing is
inserted into the log or queued for its number. All else is as it was: the same statements, plans, joins and bytes.
Nothing in `src` knows of this module, the wheel does not hold it, and it refuses to run in production.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, LiteralString

from overblik.app.server import create as real
from overblik.app.settings import Settings
from overblik.cli.serve import run_server
from overblik.store import queries

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_LOGGED = re.compile(r"logged as \(\n\s+insert into access_log .*?\n\)", re.DOTALL)
_BARE = re.compile(r"(?:--.*\n)*insert into access_log.*", re.DOTALL)
_PERMIT: LiteralString = "select 'bare' as rule, null::bigint as evidence where t.pid is not null"


def unlogged(text: LiteralString) -> LiteralString:
    """Return a statement that writes no entry."""
    if _BARE.fullmatch(text):
        return "select"
    return _LOGGED.sub("logged as (select)", text)


def create() -> ASGIApp:
    """Return the application of a worker, with neither rules nor log; as granian's factory."""
    if Settings().mode == "production":
        raise SystemExit("bench: a server without rules is for measuring, on made-up data, and nothing else")

    def nothing(*_: Any, **__: Any) -> LiteralString:
        return "select"

    def everything(*_: Any, **__: Any) -> LiteralString:
        return "(true)"

    def permitted(*_: Any, **__: Any) -> LiteralString:
        return _PERMIT

    instead = {"permit": permitted, "visible": everything, "blocks": nothing, "queued": unlogged}
    for name, function in instead.items():
        setattr(queries, name, function)
    for kept in (queries.named_queries, queries.sql, queries.sql_for, queries.sql_for_set):
        kept.cache_clear()
    return real()


if __name__ == "__main__":
    run_server(Settings(), "bench.bare:create")
