"""The formats in which the demo's sources deliver: MedCom FHIR messages, CDA documents, FHIR bundles."""
