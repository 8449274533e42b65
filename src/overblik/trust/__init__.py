"""Identity, treatment relation, the door to patient data, and the log."""
