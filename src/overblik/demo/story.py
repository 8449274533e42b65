"""The story of a hip fracture across hospital, municipality and GP, for any person of the population.

Each step comes by the carrier that carries it in reality: admission and discharge as
HospitalNotification, the operation as a Procedure by FHIR transaction, the plan as a CDA CPD, the
municipality's acceptance as its Task, training as CDA APD, reports and questions as
CareCommunication, the closure as the municipality's CarePlan.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from overblik.demo import medicines
from overblik.demo import words as w
from overblik.demo.calendar import after, at, working_day
from overblik.demo.cast import ODENSE, Places
from overblik.demo.delivery import Delivery, Step, document, step
from overblik.demo.formats import apd, cpd, fhir, pdc
from overblik.demo.formats.medcom import Stay, Words, care_communication, hospital_notification, name_id
from overblik.fhir.identifiers import SKS

if TYPE_CHECKING:
    from datetime import date, datetime

    from overblik.demo.cast import Unit
    from overblik.demo.people import Person
    from overblik.fhir.strict_json import Json

DIAGNOSIS = ("DS720", "Brud på lårbenshals")
OPERATION = ("KNFB02", "Indsættelse af hemialloplastik i hofte")
HAEMOGLOBIN = ("NPU02319", "Hæmoglobin;B")
RISING = "Rejse-sætte-sig-test (30 sek.)"
DELAY = timedelta(hours=44)
"""How long a late discharge letter is on its way."""


@dataclass(frozen=True, slots=True)
class Days:
    """The days of one story."""

    admitted: date
    operated: date
    discharged: date
    accepted: date
    first_session: date
    second_session: date
    clips: date
    report: date
    closed: date
    readmitted: date


def days_for(today: date) -> Days:
    """Return the days of a story that stands just after discharge on `today`."""
    discharged = working_day(today - timedelta(days=1), -1)
    operated = discharged - timedelta(days=4)
    accepted = working_day(today + timedelta(days=1))
    first = after(accepted, 2)
    closed = working_day(first + timedelta(weeks=7))
    return Days(
        admitted=operated - timedelta(days=1),
        operated=operated,
        discharged=discharged,
        accepted=accepted,
        first_session=first,
        second_session=after(first, 2),
        clips=working_day(max(operated + timedelta(days=12), after(first, 3))),
        report=working_day(first + timedelta(weeks=5)),
        closed=closed,
        readmitted=closed + timedelta(days=12),
    )


class Story:
    """One person's story. The same person, day and places give the same story, to the byte."""

    def __init__(self, person: Person, today: date, places: Places = ODENSE, *, late_letter: bool = False) -> None:
        self.person = person
        self.today = today
        self.places = places
        self.late_letter = late_letter
        self.days = days_for(today)
        self.episode = name_id("episode", person.cpr, self.days.admitted)
        self.second = name_id("episode", person.cpr, self.days.readmitted)
        self.key = name_id("key", person.cpr)[:13]

    def steps(self) -> list[Step]:
        """Return the steps in order."""
        return [
            self.background(),
            self.admission(),
            self.operation(),
            self.plan(),
            self.discharge(),
            self.acceptance(),
            self.offer(),
            self.training(),
            self.clips(),
            self.report(),
            self.closure(),
            self.readmission(),
        ]

    def _resources(self, unit: Unit, resources: list[Json], moment: datetime, about: str) -> Delivery:
        return Delivery(moment, unit, "fhir", fhir.transaction(self.person, unit, resources), about)

    def _id(self, unit: Unit, name: str) -> str:
        """Return an id in a source's own namespace, so that it can update what it wrote."""
        return f"{unit.slug}.{name}-{self.key}"

    # -- before the fall

    def background(self) -> Step:
        """What is known before: the card, the clinic's list, a test at home, a booked control."""
        p, clinic = self.person, self.places.clinic
        long_ago = at(working_day(self.days.admitted - timedelta(days=320)), "09:05")
        visit = at(working_day(self.days.admitted - timedelta(days=24)), "09:40")
        card = pdc.master_data(p, self.places.register, clinic, long_ago, note="Kan træffes hele døgnet.")
        start = at(after(self.today, 9), "08:20")
        control = apd.Booking(
            person=p,
            unit=clinic,
            staff=self.places.gp,
            start=start,
            end=start + timedelta(minutes=20),
            reason="Blodtrykskontrol",
            category="PractitionerAppointment",
        )
        seen = [
            fhir.visit("AMB", clinic, visit, visit + timedelta(minutes=20), "Årskontrol, blodtryk"),
            fhir.result(*HAEMOGLOBIN, 7.9, "mmol/L", visit, f"S1-{p.cpr}", reference="7,3–9,5"),
            fhir.result("NPU18016", "Kreatinin;P", 78, "µmol/L", visit, f"S2-{p.cpr}", reference="45–90"),
        ]
        tested = at(after(visit.date(), 1), "13:30")
        habitual = fhir.measurement(RISING, 9, "gange", tested)
        return step(
            "background",
            "Før indlæggelsen",
            Delivery(long_ago, self.places.register, "document", card, "stamkort"),
            self._resources(clinic, self._clinic_list(long_ago), long_ago + timedelta(hours=1), "lægens liste"),
            self._resources(clinic, seen, visit + timedelta(minutes=25), "årskontrol"),
            document(clinic, apd.appointment(control, visit), visit + timedelta(minutes=26), "aftale"),
            self._resources(self.places.training, [habitual], tested + timedelta(hours=1), "test"),
        )

    def _clinic_list(self, moment: datetime) -> list[Json]:
        cpr, clinic = self.person.cpr, self.places.clinic
        orders = [
            fhir.medication(order, moment, clinic) for order in (medicines.amlodipine(cpr), medicines.alendronate(cpr))
        ]
        painkiller = fhir.medication(
            medicines.ibuprofen(cpr), moment, clinic, resource_id=self._id(clinic, "ibuprofen")
        )
        return [
            fhir.condition("K86", "Forhøjet blodtryk", moment - timedelta(days=2200)),
            fhir.condition("L95", "Knogleskørhed", moment - timedelta(days=900)),
            fhir.allergy("Penicillin", "Udslæt", moment - timedelta(days=7000)),
            *orders,
            painkiller,
        ]

    # -- the hospital

    def _stay(self, end: datetime | None = None) -> Stay:
        start = at(self.days.admitted, "19:40")
        return Stay(self.person, self.places.hospital, self.places.municipality, self.episode, "IMP", start, end)

    def admission(self) -> Step:
        """The fall; the hospital tells the municipality."""
        moment = at(self.days.admitted, "19:52")
        body, _ = hospital_notification(self._stay(), "admit-inpatient", moment)
        told = Delivery(moment + timedelta(minutes=1), self.places.hospital, "message", body, "indlagt")
        return step("admission", "Indlæggelse", told)

    def operation(self) -> Step:
        """The operation, the diagnosis and the changes of medication."""
        cpr, hospital = self.person.cpr, self.places.hospital
        moment = at(self.days.operated, "10:45")
        day_after = moment + timedelta(hours=20)
        resources = [
            fhir.operation(*OPERATION, moment, hospital, self.episode),
            fhir.condition(*DIAGNOSIS, at(self.days.admitted, "19:40"), system=SKS, episode_id=self.episode),
            fhir.medication(medicines.dalteparin(cpr), moment, hospital, until=moment + timedelta(days=28)),
            fhir.medication(medicines.paracetamol(cpr), moment, hospital),
            fhir.result(*HAEMOGLOBIN, 5.9, "mmol/L", day_after, f"S3-{cpr}", reference="7,3–9,5", flag="L"),
        ]
        written = self._resources(hospital, resources, day_after + timedelta(hours=2), "operation")
        return step("operation", "Operation", written)

    def plan(self) -> Step:
        """The rehabilitation plan, to the municipality with a copy to the GP."""
        moment = at(self.days.discharged, "09:15")
        plan = cpd.care_plan(self._plan(), moment)
        sent = document(self.places.hospital, plan, moment + timedelta(minutes=3), "plan")
        return step("plan", "Genoptræningsplan", sent)

    def _plan(self) -> cpd.PlanWords:
        places, days = self.places, self.days
        age = (days.admitted - self.person.born).days // 365
        operated = at(days.operated, "10:45")
        return cpd.PlanWords(
            person=self.person,
            signer=places.surgeon,
            receiver=places.municipality,
            copies=(places.clinic,),
            episode=self.episode,
            admitted=at(days.admitted, "19:40"),
            discharge=at(days.discharged, "11:30"),
            diagnosis=DIAGNOSIS,
            sections=(
                ("InformationForPatientAndRelatives", "Til patient og pårørende", w.PLAN_FOR_PATIENT),
                ("HealthSummary", "Resumé", w.PLAN_SUMMARY.format(age=age)),
                ("HabitualFunction", "Habituel funktion", w.PLAN_HABITUAL),
                ("AbilityAtDischarge", "Funktionsevne ved udskrivelse", w.PLAN_ABILITY),
                ("WoundCare", "Sår", w.PLAN_WOUND),
                ("SafetyAspects", "Sikkerhed", w.PLAN_SAFETY),
            ),
            goal=w.PLAN_GOAL,
            tasks=(
                ("Agrafter fjernes 12. dag", places.clinic, at(days.clips, "16:00")),
                ("Kontrol af hæmoglobin om 1 uge", places.clinic, at(after(days.discharged, 5), "16:00")),
                ("Dalteparin seponeres efter 28 dage", places.clinic, operated + timedelta(days=28)),
            ),
            contacts=(
                ("Spørgsmål til kommunen", places.training.phone),
                ("Spørgsmål til regionen", places.hospital.phone),
            ),
        )

    def discharge(self) -> Step:
        """Home again: the notification, a changed dose nobody else knows of, the words to the GP."""
        hospital, cpr = self.places.hospital, self.person.cpr
        moment = at(self.days.discharged, "11:38")
        stay = self._stay(at(self.days.discharged, "11:30"))
        body, _ = hospital_notification(
            stay, "discharge-inpatient-home", moment, earlier=name_id("first", self.episode)
        )
        said = Words(self.places.surgeon, at(self.days.discharged, "12:05"), w.DISCHARGE)
        letter = care_communication(self.person, "discharge", [said], self.places.clinic, episode=self.episode)
        arrives = moment + timedelta(minutes=40) + (DELAY if self.late_letter else timedelta())
        changed = [fhir.medication(medicines.amlodipine_doubled(cpr), moment, hospital)]
        return step(
            "discharge",
            "Udskrivelse",
            Delivery(moment + timedelta(minutes=1), hospital, "message", body, "udskrevet"),
            self._resources(hospital, changed, moment + timedelta(minutes=9), "medicin"),
            Delivery(arrives, hospital, "message", letter, "besked til egen læge"),
        )

    # -- the municipality and the GP

    def acceptance(self) -> Step:
        """The municipality takes the plan on; the clinic stops ibuprofen."""
        training, clinic = self.places.training, self.places.clinic
        moment, later = at(self.days.accepted, "08:50"), at(self.days.accepted, "09:20")
        task = fhir.task(
            self._id(training, "task"), training, self.episode, "accepted", moment, moment, "Genoptræningsplan modtaget"
        )
        plan = fhir.municipal_plan(self._id(training, "plan"), training, self.episode, "Genoptræningsforløb", moment)
        stopped = fhir.medication(
            medicines.ibuprofen(self.person.cpr),
            later,
            clinic,
            status="stopped",
            reason="Seponeret efter sygehusets anbefaling",
            resource_id=self._id(clinic, "ibuprofen"),
        )
        return step(
            "acceptance",
            "Kommunen har modtaget planen",
            self._resources(training, [task, plan], moment, "modtaget"),
            self._resources(clinic, [stopped], later, "medicin stoppet"),
        )

    def _session(self, day: date, clock: str, note: str, booked: datetime | None = None) -> apd.Booking:
        start = at(day, clock)
        return apd.Booking(
            person=self.person,
            unit=self.places.training,
            staff=self.places.therapist,
            start=start,
            end=start + timedelta(minutes=45),
            reason="Genoptræning efter hofteoperation",
            category="MunicipalityAppointment",
            episode=self.episode,
            note=note,
            booked=booked,
        )

    def _sessions(self) -> tuple[apd.Booking, apd.Booking, apd.Booking]:
        days, booked = self.days, at(self.days.accepted, "13:10")
        return (
            self._session(days.first_session, "10:00", w.SESSION_HOME, booked),
            self._session(days.second_session, "10:00", w.SESSION_CENTRE, booked),
            self._session(after(days.second_session, 2), "13:00", w.SESSION_CENTRE),
        )

    def offer(self) -> Step:
        """The first sessions are booked, and the hospital's control."""
        training, hospital = self.places.training, self.places.hospital
        moment = at(self.days.accepted, "13:10")
        start = at(working_day(self.days.operated + timedelta(weeks=6)), "10:15")
        control = apd.Booking(
            person=self.person,
            unit=hospital,
            staff=self.places.surgeon,
            start=start,
            end=start + timedelta(minutes=20),
            reason="Kontrol efter hofteoperation",
            category="RegionalAppointment",
            episode=self.episode,
            note=w.CONTROL,
        )
        first, second, _ = self._sessions()
        return step(
            "offer",
            "Første træning er aftalt",
            document(training, apd.appointment(first, moment), moment, "træning"),
            document(training, apd.appointment(second, moment), moment + timedelta(minutes=1), "træning"),
            document(hospital, apd.appointment(control, moment), moment + timedelta(hours=1), "kontrol"),
        )

    def training(self) -> Step:
        """The first session is held; the second is cancelled and another booked."""
        unit = self.places.training
        held = at(self.days.first_session, "10:50")
        later = held + timedelta(hours=3)
        first, second, third = self._sessions()
        tested = fhir.measurement(RISING, 4, "gange", held)
        return step(
            "training",
            "Træning i gang",
            document(unit, apd.appointment(first, held, status="completed"), held, "træning afholdt"),
            self._resources(unit, [tested], held + timedelta(minutes=2), "test"),
            document(unit, apd.appointment(second, later, status="cancelled"), later, "aflyst"),
            document(unit, apd.appointment(third, later), later + timedelta(minutes=1), "ny tid"),
        )

    def clips(self) -> Step:
        """At the GP: clips out, a result that had to be corrected, a question answered."""
        p, clinic, nurse, gp = self.person, self.places.clinic, self.places.nurse, self.places.gp
        start = at(self.days.clips, "09:00")
        reading = fhir.Sample(f"S4-{p.cpr}", self._id(clinic, "hgb"))
        wrong = fhir.corrected(*HAEMOGLOBIN, 9.6, "mmol/L", start, reading, flag="H", status="final")
        right = fhir.corrected(*HAEMOGLOBIN, 6.9, "mmol/L", start, reading, flag="L", status="corrected")
        visit = fhir.visit("AMB", clinic, start, start + timedelta(minutes=15), "Agrafter fjernet, sår rent og tørt")
        asked = Words(nurse, start + timedelta(hours=4), w.NURSE_ASKS)
        answered = Words(gp, start + timedelta(hours=5), w.GP_ANSWERS)
        question = care_communication(p, "nursing", [asked], clinic, episode=self.episode)
        answer = care_communication(
            p, "nursing", [asked, answered], nurse.unit, episode=self.episode, activity="reply-message"
        )
        return step(
            "clips",
            "Hos egen læge",
            self._resources(clinic, [visit, wrong], start + timedelta(minutes=20), "besøg"),
            self._resources(clinic, [right], start + timedelta(hours=3), "rettet svar"),
            Delivery(asked.at, nurse.unit, "message", question, "spørgsmål"),
            Delivery(answered.at, clinic, "message", answer, "svar"),
        )

    def report(self) -> Step:
        """The municipality reports to the GP."""
        unit = self.places.training
        moment = at(self.days.report, "14:20")
        said = Words(self.places.therapist, moment, w.REPORT)
        body = care_communication(self.person, "training", [said], self.places.clinic, episode=self.episode)
        tested = fhir.measurement(RISING, 8, "gange", moment - timedelta(hours=1))
        return step(
            "report",
            "Rapport til egen læge",
            self._resources(unit, [tested], moment, "test"),
            Delivery(moment + timedelta(minutes=1), unit, "message", body, "rapport"),
        )

    def closure(self) -> Step:
        """The municipality closes its plan."""
        unit = self.places.training
        begun, moment = at(self.days.accepted, "08:50"), at(self.days.closed, "11:00")
        plan = fhir.municipal_plan(self._id(unit, "plan"), unit, self.episode, "Genoptræningsforløb", begun, moment)
        task = fhir.task(
            self._id(unit, "task"), unit, self.episode, "completed", begun, moment, "Genoptræning afsluttet"
        )
        return step("closure", "Forløbet er afsluttet", self._resources(unit, [plan, task], moment, "afsluttet"))

    def readmission(self) -> Step:
        """A new fall: what the hospital doctor finds this time."""
        places = self.places
        start, moment = at(self.days.readmitted, "20:10"), at(self.days.readmitted, "20:25")
        stay = Stay(self.person, places.hospital, places.municipality, self.second, "IMP", start)
        body, _ = hospital_notification(stay, "admit-inpatient", moment)
        return step("readmission", "Genindlæggelse", Delivery(moment, places.hospital, "message", body, "indlagt igen"))
