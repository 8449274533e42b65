"""The server that gets killed: the real one, on settings under which a missing barrier shows.

    python -m tests.kill.server [FACTORY]

The WAL writer sleeps ten seconds instead of a fifth of one: what a transaction did not itself wait
for then dies with the postmaster, and the test that removes the barrier turns red at once.
"""

from __future__ import annotations

import sys

from overblik.app.settings import Settings
from overblik.cli.serve import run_server
from overblik.store import embedded

if __name__ == "__main__":
    embedded.SETTINGS = {**embedded.SETTINGS, "wal_writer_delay": "'10s'", "wal_writer_flush_after": "'1GB'"}
    run_server(Settings(), *sys.argv[1:2])
