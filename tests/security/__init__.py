"""Rows of the attack cases that one look at a running server decides; docs/security-cases.md lists all of them.

Tests are named by their row. They share one server and its patients, which they only add to.
"""
