"""Messages in and out: the inbox, MedCom FHIR messages, CDA documents, acknowledgements, quarantine."""
