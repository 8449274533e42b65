"""One module an interaction; each function takes (services, request) and returns a response."""
