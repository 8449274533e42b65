"""Keys: the server's own, those that wrap what is stored, sealed notes, and erasure by losing a key."""
