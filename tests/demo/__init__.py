"""The synthetic population."""
