"""Who can sign in to a demo; the first four have a link, and one thing to notice there."""

from __future__ import annotations

from typing import Any

from overblik.demo.cast import GP, INGER, NURSE, OTHER_GP, OTHER_THERAPIST, STRANGER, SURGEON, THERAPIST

LINKS: tuple[tuple[str, str, dict[str, Any], str], ...] = (
    ("inger", "Inger (borger)", {"kind": "citizen", "sub": INGER.cpr, "name": INGER.name},
     "Her står forløbet: kommunen har fået planen, hvem De kan ringe til, og hvem der har set det."),
    ("mette", f"{NURSE.name}, {NURSE.unit.name}", NURSE.claims(),
     "Arbejdslisten: Inger er en ny plan; andre er over 7-dages fristen."),
    ("anders", f"{GP.name}, {GP.unit.name}", GP.claims(),
     "Åbn Inger: „Hvad bliver jeg bedt om?“ – og to kilder er uenige om amlodipin."),
    ("sofie", f"{SURGEON.name}, {SURGEON.unit.name}", SURGEON.claims(),
     "Åbn Inger: funktion før indlæggelsen, blodfortyndende, hvem der har bolden nu."),
)  # fmt: skip
"""(the name to be chosen by, who, the claims of the sign-in, what to notice)"""
OTHERS = {"jonas": THERAPIST, "bo": STRANGER, "ida": OTHER_THERAPIST, "karen": OTHER_GP}
