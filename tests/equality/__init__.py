"""What left the server equals what its log says left, across kills (security-cases O3 and U11)."""
