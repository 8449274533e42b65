"""CDA data types to FHIR: identifiers, names, addresses, telecoms, codes, people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from overblik.exchange.cda.xml import attribute, find, find_all, text_of, time_of
from overblik.exchange.parties import Party, best_first
from overblik.fhir.errors import Malformed
from overblik.fhir.identifiers import GLN, ICPC2, NPU, PERSON_SYSTEMS, SKS, from_oid
from overblik.fhir.strict_json import loads

if TYPE_CHECKING:
    from overblik.exchange.cda.xml import Element
    from overblik.fhir.strict_json import Json

_SYSTEMS = {
    "1.2.208.176.2.4": SKS,
    "1.2.208.176.2.1": NPU,
    "2.16.840.1.113883.6.1": "http://loinc.org",
    "2.16.840.1.113883.6.96": "http://snomed.info/sct",
    "2.16.840.1.113883.5.1": "http://terminology.hl7.org/CodeSystem/v3-AdministrativeGender",
    "2.16.840.1.113883.5.111": "http://terminology.hl7.org/CodeSystem/v3-RoleCode",
}
_USES = {"H": "home", "HP": "home", "WP": "work", "TMP": "temp"}
_NOTHING = frozenset({"", "null"})
"""What some systems write where they have nothing to say."""
_GENDERS = {"F": "female", "M": "male", "UN": "other"}


def identifier(element: Element | None) -> Json | None:
    """Return an `<id>` as an Identifier; None for a null or placeholder one."""
    root, extension = attribute(element, "root"), attribute(element, "extension")
    if not root or extension in {"NI", "NA"} or root in {"NA", "NI"}:
        return None
    if not extension:
        return {"system": "urn:ietf:rfc:3986", "value": _urn(root)}
    if "-" in root:
        return {"system": _urn(root), "value": extension}
    found = from_oid(root, extension)
    return {"system": found.system, "value": found.value}


def _urn(root: str) -> str:
    """Return the URN of an OID or UUID; UUIDs are echoed in the case they came in."""
    return f"urn:uuid:{root}" if "-" in root else f"urn:oid:{root}"


def identifiers(element: Element | None, path: str = "id") -> list[Json]:
    """Return every usable identifier of an element."""
    found = (identifier(e) for e in find_all(element, path))
    return [i for i in found if i is not None]


def name(element: Element | None) -> Json | None:
    """Return a `<name>` as a HumanName."""
    if element is None or element.get("nullFlavor"):
        return None
    given = [t for t in map(text_of, find_all(element, "given")) if t]
    prefix = [t for t in map(text_of, find_all(element, "prefix")) if t]
    family = text_of(find(element, "family"))
    found: Json = {}
    if family:
        found["family"] = family
    if given:
        found["given"] = given
    if prefix:
        found["prefix"] = prefix
    if not found and (text := text_of(element)):
        found["text"] = text
    return found or None


def display(human: Json | None) -> str:
    """Return a HumanName in one line, title first."""
    if not human:
        return ""
    parts = [*human.get("prefix", ()), *human.get("given", ()), human.get("family", "")]
    return " ".join(p for p in parts if p) or str(human.get("text", ""))


def address(element: Element | None) -> Json | None:
    """Return an `<addr>` as an Address."""
    if element is None or element.get("nullFlavor"):
        return None
    lines = [t for t in map(text_of, find_all(element, "streetAddressLine")) if t not in _NOTHING]
    found: Json = {}
    if use := _USES.get(attribute(element, "use")):
        found["use"] = use
    if lines:
        found["line"] = lines
    for source, target in (("city", "city"), ("postalCode", "postalCode"), ("country", "country")):
        if text := text_of(find(element, source)):
            found[target] = text
    return found if set(found) - {"use"} else None


def telecom(element: Element | None) -> Json | None:
    """Return a `<telecom>` (or a TEL value) as a ContactPoint; `ean:` is no contact point."""
    value = attribute(element, "value")
    scheme, _, rest = value.partition(":")
    if element is None or rest in _NOTHING or scheme == "ean":
        return None
    found: Json = {"system": {"tel": "phone", "mailto": "email", "fax": "fax"}.get(scheme, "other")}
    found["value"] = rest if found["system"] != "other" else value
    use = attribute(element, "use")
    if use == "MC":
        found["use"] = "mobile"
    elif use in _USES:
        found["use"] = _USES[use]
    return found


def telecoms(element: Element | None, path: str = "telecom") -> list[Json]:
    """Return every contact point of an element."""
    found = (telecom(e) for e in find_all(element, path))
    return [t for t in found if t is not None]


def coding(element: Element | None) -> Json | None:
    """Return a coded element as a Coding, as sent; None for a null one."""
    code, display_name = attribute(element, "code"), attribute(element, "displayName")
    if element is None or not (code or display_name):
        return None
    found: Json = {}
    oid = attribute(element, "codeSystem")
    if "icpc" in attribute(element, "codeSystemName").lower():
        found["system"] = ICPC2
    elif oid:
        found["system"] = _SYSTEMS.get(oid, f"urn:oid:{oid}") if oid[0].isdigit() else f"urn:overblik:as-sent:{oid}"
    if code and code not in {"NI", "NA"}:
        found["code"] = code
    if display_name:
        found["display"] = " ".join(display_name.split())
    return found


def concept(element: Element | None) -> Json:
    """Return a coded element as a CodeableConcept; its text is the display it came with."""
    found = coding(element)
    if found is None:
        return {}
    body: Json = {"coding": [found]} if "code" in found else {}
    if "display" in found:
        body["text"] = found["display"]
    return body


def gender(element: Element | None) -> str:
    """Return an administrativeGenderCode as a FHIR gender, "" where it says nothing."""
    return _GENDERS.get(attribute(element, "code"), "")


def quantity(element: Element | None) -> Json | None:
    """Return a PQ value as a Quantity with the digits and the unit it came with."""
    value, unit = attribute(element, "value"), attribute(element, "unit")
    number = decimal(value)
    if number is None:
        return None
    return {"value": number, "unit": unit} if unit else {"value": number}


def decimal(text: str) -> object | None:
    """Return a decimal that keeps its digits in JSON; None where the text is no number."""
    try:
        found = loads(text.lstrip("+").encode())
    except Malformed:
        return None
    return None if isinstance(found, (bool, str, list, dict)) else found


def organisation(element: Element | None, *, ids: list[Json] | None = None) -> Party:
    """Return an organisation element as a Party; `ids` stand beside it in some roles, a person's do not count."""
    found = [*identifiers(element), *(i for i in ids or [] if i["system"] not in PERSON_SYSTEMS)]
    for contact in find_all(element, "telecom"):
        value = attribute(contact, "value")
        if value.startswith("ean:"):
            found.append({"system": GLN, "value": value[4:]})
    return Party(text_of(find(element, "name")), best_first(found), tuple(telecoms(element)))


def person(element: Element | None, path: str = "assignedPerson/name") -> str:
    """Return the name of a role's person in one line."""
    return display(name(find(element, path)))


def is_citizen(role: Element | None) -> bool:
    """Say whether a role is identified by a CPR number: a citizen's own, not a professional's."""
    return any(i["system"] in PERSON_SYSTEMS for i in identifiers(role))


def period(element: Element | None) -> Json:
    """Return an IVL_TS as a Period."""
    found: Json = {}
    if start := time_of(find(element, "low")) or time_of(element):
        found["start"] = start
    if end := time_of(find(element, "high")):
        found["end"] = end
    return found
