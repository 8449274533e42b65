"""The command line: `overblik serve | demo | token | load | inbox | source | migrate`."""
