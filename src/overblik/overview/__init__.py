"""The combined view: gathered through the door, merged for display only, ordered into sections."""
