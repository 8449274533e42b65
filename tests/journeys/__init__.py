"""Whole stories: the browser, two worlds, the wire, kill it."""
