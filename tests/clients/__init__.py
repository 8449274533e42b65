"""Clients that others wrote, doing real work against the real server."""
