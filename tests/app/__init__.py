"""Tests of the application: what binds the layers together."""
