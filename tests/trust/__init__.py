"""The door: who sees what, and what is logged."""
