"""Bodies that are sealed at rest."""
