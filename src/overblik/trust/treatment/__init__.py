"""Treatment relations: their evidence, those that are only stated, broken glass, and what is followed up."""
