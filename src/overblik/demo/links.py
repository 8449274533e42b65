"""The four links that open a demo: who each signs in, and one thing to notice there."""

from __future__ import annotations

from typing import Any

from overblik.demo.cast import GP, INGER, NURSE, SURGEON

LINKS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("Inger (borger)", {"kind": "citizen", "sub": INGER.cpr, "name": INGER.name},
     "Her står forløbet: kommunen har fået planen, hvem De kan ringe til, og hvem der har set det."),
    (f"{NURSE.name}, {NURSE.unit.name}", NURSE.claims(),
     "Arbejdslisten: Inger er en ny plan; andre er over 7-dages fristen."),
    (f"{GP.name}, {GP.unit.name}", GP.claims(),
     "Åbn Inger: „Hvad bliver jeg bedt om?“ – og to kilder er uenige om amlodipin."),
    (f"{SURGEON.name}, {SURGEON.unit.name}", SURGEON.claims(),
     "Åbn Inger: funktion før indlæggelsen, blodfortyndende, hvem der har bolden nu."),
)  # fmt: skip
"""(who, the claims of the sign-in, what to notice)"""
