"""The combined view: merging, the strip, what is new."""
