"""PostgreSQL, for real: the embedded server, versions, the sequencer."""
