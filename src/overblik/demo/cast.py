"""The stage: real regions, municipalities and postcodes; invented clinics and staff; one main person.

SOR codes, ydernumre, GLNs and authorisation ids are fictional and marked so (`meta.tag`, alias).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from overblik.demo import people
from overblik.demo.people import Person
from overblik.fhir.identifiers import AUTHORISATION, GLN, SOR, YDER

if TYPE_CHECKING:
    from overblik.demo.people import Town
    from overblik.fhir.strict_json import Json

SYNTHETIC: Json = {"system": "urn:overblik:demo", "code": "synthetic", "display": "Syntetisk"}
VALIDITY = "urn:overblik:extension:validity"
ORG_TYPE = "urn:overblik:organisation-type"


@dataclass(frozen=True, slots=True)
class Unit:
    """An organisation. `slug` is the name its system delivers under."""

    slug: str
    sor: str
    name: str
    kind: str
    parent: str = ""
    gln: str = ""
    yder: str = ""
    phone: str = ""
    street: str = ""
    postcode: str = ""
    city: str = ""
    valid_from: str = ""
    valid_until: str = ""

    def identifiers(self) -> list[Json]:
        """Return the unit's identifiers, SOR first."""
        found = [{"system": SOR, "value": self.sor}]
        found += [{"system": YDER, "value": self.yder}] if self.yder else []
        return found + ([{"system": GLN, "value": self.gln}] if self.gln else [])

    def reference(self) -> Json:
        """Return a logical reference to the unit."""
        return {"type": "Organization", "identifier": {"system": SOR, "value": self.sor}, "display": self.name}

    def resource(self) -> Json:
        """Return the unit as an Organization."""
        body: Json = {
            "resourceType": "Organization",
            "meta": {"tag": [SYNTHETIC]},
            "active": True,
            "type": [{"coding": [{"system": ORG_TYPE, "code": self.kind}]}],
            "identifier": self.identifiers(),
            "name": self.name,
            "alias": ["Fiktive numre"],
        }
        if self.phone:
            body["telecom"] = [{"system": "phone", "value": self.phone, "use": "work"}]
        if self.street:
            body["address"] = [{"line": [self.street], "postalCode": self.postcode, "city": self.city}]
        if self.parent:
            body["partOf"] = {"identifier": {"system": SOR, "value": self.parent}}
        period = {k: v for k, v in (("start", self.valid_from), ("end", self.valid_until)) if v}
        if period:
            body["extension"] = [{"url": VALIDITY, "valuePeriod": period}]
        return body


REGION = Unit("region-syddanmark", "99900000016001", "Region Syddanmark", "region")
REGION_EAST = Unit("region-oestdanmark", "99900000016002", "Region Østdanmark", "region", valid_from="2027-01-01")
REGION_CAPITAL = Unit("region-hovedstaden", "99900000016003", "Region Hovedstaden", "region", valid_until="2026-12-31")
REGION_ZEALAND = Unit("region-sjaelland", "99900000016004", "Region Sjælland", "region", valid_until="2026-12-31")
HOSPITAL = Unit(
    "fjordby-sygehus", "99900000016010", "Fjordby Sygehus", "hospital", REGION.sor, "5790009990016",
    phone="00 10 10 00", street="Sygehusvej 1", postcode="5000", city="Odense C",
)  # fmt: skip
ORTHOPAEDICS = Unit(
    "fjordby-ortopaedkirurgi", "99900000016011", "Ortopædkirurgisk Afdeling, Fjordby Sygehus", "department",
    HOSPITAL.sor, "5790009990023", phone="00 10 10 11", street="Sygehusvej 1", postcode="5000", city="Odense C",
)  # fmt: skip
EMERGENCY = Unit(
    "fjordby-akutmodtagelse", "99900000016012", "Fælles Akutmodtagelse, Fjordby Sygehus", "department",
    HOSPITAL.sor, "5790009990030", phone="00 10 10 12", street="Sygehusvej 1", postcode="5000", city="Odense C",
)  # fmt: skip
MUNICIPALITY = Unit(
    "odense-kommune", "99900000016020", "Odense Kommune", "municipality", gln="5790009990047",
    phone="00 20 20 00", street="Flakhaven 2", postcode="5000", city="Odense C",
)  # fmt: skip
TRAINING = Unit(
    "odense-genoptraening", "99900000016021", "Genoptræningen, Odense Kommune", "municipal-unit", MUNICIPALITY.sor,
    "5790009990054", phone="00 20 20 21", street="Træningsvej 4", postcode="5000", city="Odense C",
)  # fmt: skip
NURSING = Unit(
    "odense-hjemmesygepleje", "99900000016022", "Hjemmesygeplejen, Odense Kommune", "municipal-unit",
    MUNICIPALITY.sor, "5790009990061", phone="00 20 20 22", street="Plejevej 9", postcode="5210", city="Odense NV",
)  # fmt: skip
CLINIC = Unit(
    "laegerne-ved-aaen", "99900000016030", "Lægerne ved Åen", "gp", yder="990017", gln="5790009990078",
    phone="00 30 30 30", street="Åstræde 7", postcode="5000", city="Odense C",
)  # fmt: skip
OTHER_MUNICIPALITY = Unit(
    "svendborg-kommune", "99900000016040", "Svendborg Kommune", "municipality", gln="5790009990085",
    phone="00 40 40 00", street="Ramsherred 5", postcode="5700", city="Svendborg",
)  # fmt: skip
OTHER_NURSING = Unit(
    "svendborg-hjemmesygepleje", "99900000016041", "Hjemmesygeplejen, Svendborg Kommune", "municipal-unit",
    OTHER_MUNICIPALITY.sor, "5790009990092", phone="00 40 40 41", street="Havnegade 3", postcode="5700",
    city="Svendborg",
)  # fmt: skip
OTHER_CLINIC = Unit(
    "laegehuset-ved-parken", "99900000016042", "Lægehuset ved Parken", "gp", yder="990025", gln="5790009990108",
    phone="00 40 40 42", street="Parkvej 2", postcode="5700", city="Svendborg",
)  # fmt: skip
REGISTER = Unit(
    "stamkort-register", "99900000016090", "Stamkortregisteret (simuleret)", "register", gln="5790009990115"
)
UNITS = (
    REGION, REGION_EAST, REGION_CAPITAL, REGION_ZEALAND, HOSPITAL, ORTHOPAEDICS, EMERGENCY, MUNICIPALITY, TRAINING,
    NURSING, CLINIC, OTHER_MUNICIPALITY, OTHER_NURSING, OTHER_CLINIC, REGISTER,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Staff:
    """A professional, for test sign-in."""

    id: str
    name: str
    role: str
    unit: Unit

    def resource(self) -> Json:
        """Return the professional as a PractitionerRole."""
        return {
            "resourceType": "PractitionerRole",
            "meta": {"tag": [SYNTHETIC]},
            "identifier": [{"system": AUTHORISATION, "value": self.id}],
            "active": True,
            "practitioner": {"display": self.name},
            "organization": self.unit.reference(),
            "code": [{"text": self.role}],
        }

    def claims(self) -> dict[str, Any]:
        """Return the claims of a test sign-in."""
        return {
            "kind": "professional",
            "sub": self.id,
            "name": self.name,
            "role": self.role,
            "org": self.unit.sor,
            "org_name": self.unit.name,
        }


NURSE = Staff("DEM01", "Mette Holmsted", "sygeplejerske", NURSING)
THERAPIST = Staff("DEM02", "Jonas Kildegård", "fysioterapeut", TRAINING)
GP = Staff("DEM03", "Anders Friisholt", "praktiserende læge", CLINIC)
SURGEON = Staff("DEM04", "Sofie Lundager", "afdelingslæge", ORTHOPAEDICS)
STRANGER = Staff("DEM05", "Bo Strandgaard", "sygeplejerske", OTHER_NURSING)
OTHER_THERAPIST = Staff("DEM06", "Ida Rosendal", "fysioterapeut", OTHER_NURSING)
OTHER_GP = Staff("DEM07", "Karen Aagesholt", "praktiserende læge", OTHER_CLINIC)
STAFF = (NURSE, THERAPIST, GP, SURGEON, STRANGER, OTHER_THERAPIST, OTHER_GP)


@dataclass(frozen=True, slots=True)
class Places:
    """Who carries a story: the units and staff of one part of the country."""

    surgeon: Staff
    municipality: Unit
    nurse: Staff
    therapist: Staff
    gp: Staff
    register: Unit
    town: Town

    @property
    def hospital(self) -> Unit:
        """The department that admits."""
        return self.surgeon.unit

    @property
    def training(self) -> Unit:
        """The unit that trains."""
        return self.therapist.unit

    @property
    def clinic(self) -> Unit:
        """The GP's clinic."""
        return self.gp.unit


ODENSE = Places(SURGEON, MUNICIPALITY, NURSE, THERAPIST, GP, REGISTER, people.ODENSE)
SVENDBORG = Places(SURGEON, OTHER_MUNICIPALITY, STRANGER, OTHER_THERAPIST, OTHER_GP, REGISTER, people.SVENDBORG)
ROUTES = (
    (MUNICIPALITY, (NURSING, TRAINING)),
    (OTHER_MUNICIPALITY, (OTHER_NURSING,)),
)
"""What is sent to a whole municipality reaches these units."""
CONNECTIONS = (
    ("Sygehus (MedCom, FHIR)", "hospital", "connected", 0),
    ("Kommune (MedCom, APD, FHIR)", "municipality", "connected", 0),
    ("Praktiserende læger (FHIR)", "gp", "connected", 0),
    ("Stamkortregisteret (simuleret)", "register", "connected", 0),
    ("Apotekernes udleveringer", "pharmacy", "silent", 9),
    ("Fælles Medicinkort", "national", "absent", 0),
    ("Laboratoriesvarportalen", "national", "absent", 0),
)
"""Systems and whether they deliver; the last number is how many days one has been silent."""

INGER = Person(
    cpr="1404442346",
    given="Inger Margrethe",
    family="Solbakke",
    female=True,
    born=date(1944, 4, 14),
    street="Lindealleen 18, st. tv.",
    postcode="5230",
    city="Odense M",
    phone="00 50 12 34",
    relative="Lone Solbakke",
    relation="Datter",
    relative_phone="00 51 56 78",
)
