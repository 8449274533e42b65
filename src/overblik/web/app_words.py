"""What an app may be let to see, in words: types of resources as people call them."""

from __future__ import annotations

RESOURCES = {
    "*": "alt i journalen, også hvem der har set den",
    "AllergyIntolerance": "allergier og overfølsomhed",
    "Appointment": "aftaler",
    "AuditEvent": "hvem der har set journalen",
    "Binary": "beskeder og dokumenter, som de kom",
    "CarePlan": "planer",
    "CareTeam": "hvem der er om behandlingen",
    "Communication": "beskeder",
    "Composition": "notater og breve",
    "Condition": "diagnoser og problemer",
    "Consent": "spærringer og samtykker",
    "Coverage": "sygesikring",
    "Device": "hjælpemidler og apparater",
    "DiagnosticReport": "svar på undersøgelser",
    "DocumentReference": "dokumenter",
    "Encounter": "indlæggelser og besøg",
    "EpisodeOfCare": "forløb",
    "Goal": "mål",
    "Immunization": "vaccinationer",
    "Location": "steder",
    "Medication": "lægemidler",
    "MedicationRequest": "ordinationer og recepter",
    "MedicationStatement": "medicin",
    "Observation": "målinger og prøvesvar",
    "Organization": "sygehuse, kommuner og klinikker",
    "Patient": "navn, CPR-nummer, adresse og pårørende",
    "Practitioner": "behandlere",
    "PractitionerRole": "behandlere og deres enheder",
    "Procedure": "operationer og behandlinger",
    "Questionnaire": "spørgeskemaer",
    "QuestionnaireResponse": "svar på spørgeskemaer",
    "RelatedPerson": "pårørende",
    "ServiceRequest": "henvisninger og genoptræningsplaner",
    "Task": "opgaver",
}
"""FHIR types; one that is not here is called by its own name."""

VERBS = {"r": "se", "c": "oprette", "u": "ændre", "d": "slette"}
"""Letters of a scope; to find (`s`) is to see."""
