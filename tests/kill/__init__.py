"""Kill it: what was acknowledged is there, whatever is killed and whenever."""
