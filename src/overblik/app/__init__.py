"""Puts the parts together: settings, the database, the door, the routes."""
