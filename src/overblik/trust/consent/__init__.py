"""What a citizen has decided about their record: blocks, and who may act for them, stated as FHIR Consents."""
