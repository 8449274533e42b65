"""Overblik: one patient, one overview.

Layers, from the standard at the bottom to the command line at the top; imports point down only:

    cli -> app -> api | web | demo -> overview -> courses | exchange -> trust -> store -> fhir
"""

__version__ = "0.1.0"
