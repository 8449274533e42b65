"""Loading in bulk: many resources of one source, in parallel processes, each block whole or not at all."""
