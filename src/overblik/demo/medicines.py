"""The medicines of the story: each order under one identifier, whoever tells of it."""

from __future__ import annotations

from overblik.demo.formats.fhir import Order


def amlodipine(cpr: str) -> Order:
    """The tablet for blood pressure, as the clinic knows it."""
    return Order(f"A1-{cpr}", "C08CA01", "Amlodipin 5 mg, tabletter", "1 tablet morgen", "mod forhøjet blodtryk")


def amlodipine_doubled(cpr: str) -> Order:
    """The same order at the dose that only the hospital knows of: a disagreement on purpose."""
    dose = "1 tablet morgen (10 mg)"
    return Order(f"A1-{cpr}", "C08CA01", "Amlodipin 10 mg, tabletter", dose, "mod forhøjet blodtryk")


def alendronate(cpr: str) -> Order:
    """The weekly tablet for osteoporosis."""
    return Order(f"A2-{cpr}", "M05BA04", "Alendronat 70 mg, tabletter", "1 tablet om ugen", "mod knogleskørhed")


def ibuprofen(cpr: str) -> Order:
    """The painkiller that the hospital asks the clinic to stop."""
    dose = "1 tablet 3 gange daglig efter behov"
    return Order(f"A3-{cpr}", "M01AE01", "Ibuprofen 400 mg, tabletter", dose, "mod ledsmerter")


def dalteparin(cpr: str) -> Order:
    """The anticoagulant after the operation."""
    return Order(f"H1-{cpr}", "B01AB04", "Dalteparin 5.000 IE, injektion", "1 injektion daglig", "forebygger blodprop")


def paracetamol(cpr: str) -> Order:
    """The painkiller after the operation."""
    return Order(f"H2-{cpr}", "N02BE01", "Paracetamol 500 mg, tabletter", "2 tabletter 4 gange daglig", "mod smerter")
