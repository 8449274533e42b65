"""O6: everything that is written holds a token, and tokens are looked for wherever nobody should read."""
