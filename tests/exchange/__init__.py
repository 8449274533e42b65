"""Messages in: every sample of the field, every bad input."""
