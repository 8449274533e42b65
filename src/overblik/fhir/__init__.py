"""The FHIR standard, pure: definitions, structure, FHIRPath, search grammar, index rows.

No database, no HTTP, no clock, no settings.
"""
