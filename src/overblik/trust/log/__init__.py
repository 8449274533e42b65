"""The log that can be verified: its format, signed heads, proofs, and the check of all of it (docs/log.md)."""
