"""FHIR REST through HTTP."""
