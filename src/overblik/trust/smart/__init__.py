"""The authorization server of SMART App Launch 2.2: clients, scopes, grants and tokens.

https://hl7.org/fhir/smart-app-launch/STU2.2/
"""
