"""One module a section; each function takes the Context and returns the section's items."""
