"""What crosses sectors over time: a course of care as one object, whatever format its parts came in."""
