"""Tests of src/overblik/courses."""
