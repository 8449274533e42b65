"""FHIR REST (https://hl7.org/fhir/R4/http.html): routes as a table, one short function an interaction."""
