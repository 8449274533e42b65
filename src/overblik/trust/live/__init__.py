"""Pages that are open: what they show, and when they must no longer."""
