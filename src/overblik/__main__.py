"""`python -m overblik` is the command line."""

from overblik.cli.main import main

main()
