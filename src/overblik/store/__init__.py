"""PostgreSQL: the embedded server, schema, statements, versions, the sequencer."""
