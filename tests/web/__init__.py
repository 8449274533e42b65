"""The pages through HTTP."""
