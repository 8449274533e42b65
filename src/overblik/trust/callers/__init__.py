"""Who is asking: identity, scopes, sessions, test tokens, the sources that are registered."""
