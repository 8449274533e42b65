"""SMART App Launch: journeys through HTTP."""
