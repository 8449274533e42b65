"""The tools of measuring."""
