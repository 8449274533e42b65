"""Danish identifiers: canonical form and what each can be checked for.

Sources: CPR and eCPR (https://cpr.dk, DK Core), SOR, ydernummer, CVR, GLN; see docs/identifiers.md.
A CPR is never refused on modulus 11: numbers without it are issued since 2007. Gender is never
inferred from it.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Any, NamedTuple

CPR = "urn:oid:1.2.208.176.1.2"
X_ECPR = "urn:oid:1.2.208.176.1.6.1.1"
D_ECPR = "urn:oid:1.2.208.176.1.6.1.3"
REGIONAL_ECPR = tuple(f"urn:oid:1.2.208.176.1.6.1.3.{n}" for n in (177, 179, 181, 183, 187))
SOR = "urn:oid:1.2.208.176.1.1"
YDER = "urn:oid:1.2.208.176.1.4"
CVR = "http://cvr.dk"
AUTHORISATION = "https://autregweb.sst.dk"
"""Authorisation ids of health professionals."""
GLN = "https://www.gs1.org/gln"
SKS = "urn:oid:1.2.208.176.2.4"
NPU = "http://npu-terminology.org"
ICPC2 = "https://kiap.dk/koder/icpc-2-dk"
ATC = "http://www.whocc.no/atc"
EPISODE_UUID = re.compile(
    r"(?:urn:uuid:)?([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})",
    re.ASCII | re.IGNORECASE,
)

_ALIASES = {
    "http://www.gs1.org/gln": GLN,
    "urn:oid:1.2.208.176.2.1": NPU,
    "https://www.cvr.dk": CVR,
    "http://www.cvr.dk": CVR,
}
_ECPR = {
    X_ECPR: re.compile(r"[0-9]{6}[17][A-Z]{2}[0-9]"),
    **{system: re.compile(r"[0-9]{6}[056][A-Z]{2}[0-9]") for system in (D_ECPR, *REGIONAL_ECPR)},
}
PERSON_SYSTEMS = frozenset({CPR, *_ECPR})
"""Identifiers that stand for one person everywhere, whoever sends them."""
_SOR_ENDPOINT = re.compile(r"https?://sor2?\.[a-z.]*dsdn\.dk/#id=([0-9]+)")
_SOR_MISNAMED = "urn:oid:1.2.208.176.1"
"""The arc above SOR's own, which some send for it; what stands there and is no SOR code keeps its name."""


class Identifier(NamedTuple):
    """A canonical (system, value)."""

    system: str
    value: str


def canonical(system: str, value: str) -> Identifier:
    """Return one form for the many in which an identifier is written."""
    system = "".join(system.split()).rstrip("/")
    system = _ALIASES.get(system, system)
    value = value.strip()
    if system == _SOR_MISNAMED and sor_is_valid(value):
        system = SOR
    if system in PERSON_SYSTEMS:
        value = re.sub(r"[\s-]", "", value).upper()
    return Identifier(system, value)


def authorisation_id(value: str) -> str:
    """Return one form of a professional's authorisation id, however it was typed: whom a block names must be found."""
    return "".join(value.split()).upper()


def from_oid(root: str, extension: str) -> Identifier:
    """Return the canonical identifier of a CDA `<id root extension>`."""
    return canonical("urn:oid:" + root, extension)


def cpr_birth_date(value: str) -> date | None:
    """Return the birth date that a CPR's digits state; None where there is no such date.

    The century follows from the seventh digit and the year (https://cpr.dk, "Personnummeret i CPR").
    """
    if not re.fullmatch(r"[0-9]{10}", value):
        return None
    day, month, year, seventh = int(value[:2]), int(value[2:4]), int(value[4:6]), int(value[6])
    if seventh <= 3:
        century = 1900
    elif seventh in {4, 9}:
        century = 2000 if year <= 36 else 1900
    else:
        century = 2000 if year <= 57 else 1800
    try:
        return date(century + year, month, day)
    except ValueError:
        return None


def person_identifier_problem(identifier: Identifier, birth_date: str = "") -> str:
    """Return why a CPR or eCPR cannot stand, as a code, or "" where it can.

    `birth_date` is what the message says, as a FHIR date; it may be partial.
    """
    if identifier.system == CPR:
        born = cpr_birth_date(identifier.value)
        if born is None:
            return "cpr-impossible"
        stated = birth_date[:10]
        return "cpr-contradicts-birth-date" if stated and not born.isoformat().startswith(stated) else ""
    pattern = _ECPR.get(identifier.system)
    if pattern is not None and not pattern.fullmatch(identifier.value):
        return "ecpr-impossible"
    return ""


def sor_of_endpoint(endpoint: str) -> str:
    """Return the SOR code in a MedCom endpoint such as `https://sor2.sum.dsdn.dk/#id=265161000016000`."""
    match = _SOR_ENDPOINT.fullmatch(endpoint.strip())
    return match[1] if match else ""


def episode_key(value: str) -> str:
    """Return an episode-of-care id in one form for matching; what was received is echoed elsewhere."""
    match = EPISODE_UUID.fullmatch(value.strip())
    return "-".join(match.groups()).lower() if match else value.strip().lower()


def gln_is_valid(value: str) -> bool:
    """Check a GLN's thirteen digits and its mod-10 check digit."""
    if not re.fullmatch(r"[0-9]{13}", value):
        return False
    total = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(value[:12]))
    return (10 - total % 10) % 10 == int(value[12])


def sor_is_valid(value: str) -> bool:
    """A SOR code has eleven digits or more (SNOMED's form, so eighteen at most)."""
    return re.fullmatch(r"[0-9]{11,18}", value) is not None


def org_token(identifier: dict[str, Any]) -> str:
    """Return the key of an organisation from one of its identifiers: SOR, else `yder:`, `gln:`."""
    system, value = canonical(str(identifier.get("system", "")), str(identifier.get("value", "")))
    prefix = {SOR: "", YDER: "yder:", GLN: "gln:"}.get(system)
    return f"{prefix}{value}" if prefix is not None and value else ""
