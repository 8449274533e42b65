"""Any number of synthetic patients with small records, one after the other: the same for the same seed.

Unlike the demo's residents they have no story: diagnoses, results, medicines, contacts and appointments as
a general population has them, to load and to measure with. Patient `n` does not depend on how many there are.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from overblik.demo.cast import ORG_TYPE, SYNTHETIC
from overblik.demo.people import is_modulus_11, make_phone
from overblik.fhir.identifiers import ATC, CPR, NPU, SKS, SOR, YDER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from overblik.fhir.strict_json import Json

TYPES = ("Organization", "Patient", "Encounter", "Condition", "Observation", "MedicationRequest", "Appointment")
UNTIL = date(2026, 11, 1)
"""The last day anything is known of, unless another is asked for."""
_DAYS = 35_000
_STRIDE = 15_485_863
"""A prime: consecutive patients are born far apart, and no two have the same day and serial number."""
_CLINICS = 60
_WOMEN = ("Anne", "Mette", "Hanne", "Sofie", "Ida", "Freja", "Laura", "Camilla", "Pia", "Rikke", "Åse", "Søs")
_MEN = ("Lars", "Mads", "Søren", "Niels", "Oskar", "Emil", "Magnus", "Anders", "Bjørn", "Rasmus", "Åge", "Jens")
_FAMILIES = (
    "Agerskov", "Brinkholt", "Dalsgård", "Engsig", "Fladbro", "Granlund", "Havbjerg", "Ishøj", "Jordløse", "Kildemose",
    "Langtved", "Mosekær", "Nørreris", "Ottestrup", "Pedholt", "Ravnsø", "Sønderå", "Tangmose", "Ulvedal", "Ørbæk",
)  # fmt: skip
_CITIES = (("5000", "Odense C"), ("5700", "Svendborg"), ("6000", "Kolding"), ("6700", "Esbjerg"), ("7100", "Vejle"))
_DIAGNOSES = (
    ("DI109", "Essentiel hypertension"), ("DE119", "Type 2-diabetes uden komplikationer"), ("DJ449", "KOL"),
    ("DJ459", "Astma"), ("DM179", "Knæartrose"), ("DF329", "Depressiv enkeltepisode"), ("DI489", "Atrieflimren"),
    ("DE039", "Hypotyreose"), ("DM545", "Lænderygsmerter"), ("DG439", "Migræne"),
)  # fmt: skip


class Analysis(NamedTuple):
    """A laboratory analysis: NPU code, words, unit, and the range in which most results lie."""

    code: str
    words: str
    unit: str
    low: float
    high: float


_ANALYSES = (
    Analysis("NPU02319", "B-Hæmoglobin", "mmol/L", 7.0, 10.5),
    Analysis("NPU18016", "P-Kreatinin", "µmol/L", 45, 105),
    Analysis("NPU03429", "P-Natrium", "mmol/L", 137, 145),
    Analysis("NPU03230", "P-Kalium", "mmol/L", 3.5, 4.6),
    Analysis("NPU27300", "Hb(B)-HbA1c", "mmol/mol", 31, 65),
    Analysis("NPU19748", "P-CRP", "mg/L", 1, 40),
    Analysis("NPU01566", "P-Kolesterol", "mmol/L", 3.2, 7.1),
    Analysis("NPU19651", "P-ALAT", "U/L", 10, 70),
    Analysis("NPU03577", "P-TSH", "10^-3 int.enh./L", 0.3, 4.5),
    Analysis("NPU02902", "B-Leukocytter", "10^9/L", 3.5, 10),
)
_MEDICINES = (
    ("C09AA02", "Enalapril 10 mg, tabletter"), ("A10BA02", "Metformin 500 mg, tabletter"),
    ("C10AA05", "Atorvastatin 40 mg, tabletter"), ("N02BE01", "Paracetamol 500 mg, tabletter"),
    ("R03AC02", "Salbutamol 0,1 mg, inhalation"), ("H03AA01", "Levothyroxin 50 mikrogram, tabletter"),
)  # fmt: skip
_LABORATORY: Json = {
    "coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "laboratory"}]
}


def organisations() -> Iterator[Json]:
    """Walk the units that the patients are treated at: one hospital, and the clinics they are listed with."""
    yield _unit(_HOSPITAL, "Sygehuset i Bakkeby", "hospital", {})
    for number in range(_CLINICS):
        yield _unit(_clinic(number), f"Lægehuset nr. {number + 1}", "gp", {"system": YDER, "value": f"97{number:04}"})


def patients(count: int, seed: int = 0, until: date = UNTIL) -> Iterator[list[Json]]:
    """Walk the records of `count` patients, each a list that begins with the Patient."""
    for number in range(count):
        yield record(number, seed, until)


def record(number: int, seed: int = 0, until: date = UNTIL) -> list[Json]:
    """Return the record of patient `number`: 10 to 30 resources."""
    rng = Random(f"{seed}/{number}")  # noqa: S311 - the same people every time
    born, cpr, female = _birth(number, seed, until)
    patient = f"p{seed}-{number}"
    made = _Record(rng, patient, born, until)
    clinic = number % _CLINICS
    name = {"family": rng.choice(_FAMILIES), "given": [rng.choice(_WOMEN if female else _MEN)], "use": "official"}
    postcode, city = rng.choice(_CITIES)
    made.add(
        "Patient",
        identifier=[{"system": CPR, "value": cpr}],
        name=[name],
        gender="female" if female else "male",
        birthDate=born.isoformat(),
        telecom=[{"system": "phone", "value": make_phone(rng)}],
        address=[{"line": [f"Bakkevej {rng.randrange(1, 99)}"], "postalCode": postcode, "city": city}],
        generalPractitioner=[_reference(_clinic(clinic), f"Lægehuset nr. {clinic + 1}")],
    )
    made.contacts()
    made.conditions()
    made.results()
    made.medicines()
    made.appointments()
    return made.resources


class _Record:
    """Collects one patient's resources."""

    def __init__(self, rng: Random, patient: str, born: date, until: date) -> None:
        self.rng = rng
        self.patient = patient
        self.resources: list[Json] = []
        self.known = max(born, until - timedelta(days=8 * 365))
        self.until = until

    def add(self, kind: str, **elements: object) -> str:
        """Add a resource and return its reference."""
        place = "" if kind == "Patient" else f"-{len(self.resources)}"
        body: Json = {"resourceType": kind, "id": self.patient + place, "meta": {"tag": [SYNTHETIC]}}
        self.resources.append(body | elements)
        return f"{kind}/{body['id']}"

    @property
    def subject(self) -> Json:
        """The reference to the patient."""
        return {"reference": f"Patient/{self.patient}"}

    def day(self) -> date:
        """Return a random day of the last eight years of this life."""
        return self.known + timedelta(days=self.rng.randrange(max((self.until - self.known).days, 1)))

    def moment(self) -> datetime:
        """Return a random moment of a working day."""
        day = self.day()
        hour, minute = self.rng.randrange(7, 15), self.rng.randrange(0, 60, 5)
        return datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)

    def contacts(self) -> None:
        """Add stays and visits at the hospital."""
        for _ in range(self.rng.randrange(1, 5)):
            start = self.moment()
            inpatient = self.rng.random() < 0.3
            end = start + timedelta(hours=self.rng.randrange(20, 200) if inpatient else 1)
            code = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP" if inpatient else "AMB"}
            self.add(
                "Encounter",
                status="finished",
                **{"class": code},
                subject=self.subject,
                period={"start": _instant(start), "end": _instant(end)},
                serviceProvider=_reference(_HOSPITAL, "Sygehuset i Bakkeby"),
            )

    def conditions(self) -> None:
        """Add diagnoses, each once."""
        status = {"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}
        for code, words in self.rng.sample(_DIAGNOSES, self.rng.randrange(4)):
            self.add(
                "Condition",
                clinicalStatus={"coding": [status]},
                code={"coding": [{"system": SKS, "code": code, "display": words}], "text": words},
                subject=self.subject,
                onsetDateTime=self.day().isoformat(),
            )

    def results(self) -> None:
        """Add the results of a few blood samples."""
        for _ in range(self.rng.randrange(1, 5)):
            at = _instant(self.moment())
            for analysis in self.rng.sample(_ANALYSES, self.rng.randrange(2, 6)):
                self._result(analysis, at)

    def _result(self, analysis: Analysis, at: str) -> None:
        spread = (analysis.high - analysis.low) * 0.15
        value = round(self.rng.uniform(analysis.low - spread, analysis.high + spread), 1)
        limits = {"low": {"value": analysis.low}, "high": {"value": analysis.high}}
        self.add(
            "Observation",
            status="final",
            category=[_LABORATORY],
            code={
                "coding": [{"system": NPU, "code": analysis.code, "display": analysis.words}],
                "text": analysis.words,
            },
            subject=self.subject,
            effectiveDateTime=at,
            valueQuantity={"value": max(value, 0.1), "unit": analysis.unit},
            referenceRange=[limits],
        )

    def medicines(self) -> None:
        """Add prescriptions."""
        for code, words in self.rng.sample(_MEDICINES, self.rng.randrange(4)):
            self.add(
                "MedicationRequest",
                status="active",
                intent="order",
                medicationCodeableConcept={"coding": [{"system": ATC, "code": code}], "text": words},
                subject=self.subject,
                authoredOn=self.day().isoformat(),
                dosageInstruction=[{"text": "1 tablet daglig"}],
            )

    def appointments(self) -> None:
        """Add an appointment in the weeks to come, for some."""
        if self.rng.random() < 0.3:
            day = self.until + timedelta(days=self.rng.randrange(1, 60))
            start = datetime(day.year, day.month, day.day, self.rng.randrange(7, 15), tzinfo=UTC)
            hospital = _reference(_HOSPITAL, "Sygehuset i Bakkeby")
            self.add(
                "Appointment",
                status="booked",
                start=_instant(start),
                end=_instant(start + timedelta(minutes=30)),
                participant=[
                    {"actor": self.subject, "status": "accepted"},
                    {"actor": hospital, "status": "accepted"},
                ],
            )


_HOSPITAL = "99900000097001"


def _clinic(number: int) -> str:
    return f"999000000971{number:02}"


def _unit(sor: str, name: str, kind: str, more: Json) -> Json:
    identifiers = [{"system": SOR, "value": sor}] + ([more] if more else [])
    return {
        "resourceType": "Organization",
        "id": f"sor-{sor}",
        "meta": {"tag": [SYNTHETIC]},
        "identifier": identifiers,
        "active": True,
        "type": [{"coding": [{"system": ORG_TYPE, "code": kind}]}],
        "name": name,
    }


def _reference(sor: str, name: str) -> Json:
    return {"reference": f"Organization/sor-{sor}", "identifier": {"system": SOR, "value": sor}, "display": name}


def _instant(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _birth(number: int, seed: int, until: date) -> tuple[date, str, bool]:
    """Return (born, CPR, female) of a patient: no two of one seed share a CPR, and no real person can have it."""
    place = (number * _STRIDE + seed * 7919) % _DAYS
    born = until - timedelta(days=place + 1)
    moved = (born.month, born.day) == (1, 1)
    serial = _serial(born + timedelta(days=moved), number // _DAYS, 2000 if moved else 0)
    born += timedelta(days=moved)
    return born, f"{born:%d%m%y}{serial}", int(serial[-1]) % 2 == 0


def _serial(born: date, number: int, first: int) -> str:
    """Return the `number`-th of a day's serial numbers that fail modulus 11, in an order of the day's own."""
    sevenths = "0123" if born.year < 2000 else "4567"
    step = born.toordinal()
    while True:
        place = (first * 1237 + step) % 4000
        serial = f"{sevenths[place // 1000]}{place % 1000:03}"
        if not is_modulus_11(f"{born:%d%m%y}{serial}"):
            if number == 0:
                return serial
            number -= 1
        first += 1
