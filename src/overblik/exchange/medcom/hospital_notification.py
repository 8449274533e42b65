"""MedCom HospitalNotification (https://medcomfhir.dk/ig/hospitalnotification).

A notification carries the whole Encounter, so the newest by Provenance.occurred stands: nothing
waits for a missing earlier one, and a correction that comes first stays. A hospital stay is known by
the sender, the locally defined episode-of-care id and the class (acute ambulant or inpatient): a
change of class is a new Encounter, and so is a stay that begins after another has ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from overblik.exchange.medcom.bundle import ACTIVITY_CODES, instant_at, statement_of
from overblik.exchange.message import PATIENT, without_empty
from overblik.fhir.dates import LATEST
from overblik.fhir.errors import Unprocessable
from overblik.fhir.identifiers import episode_key
from overblik.fhir.index import interval_of
from overblik.trust.facts import Fact

if TYPE_CHECKING:
    from overblik.exchange.medcom.bundle import MessageBundle
    from overblik.exchange.message import Message
    from overblik.fhir.strict_json import Json

EVENT = "hospital-notification-message"
LEAVE = (
    "http://medcomfhir.dk/ig/hospitalnotification/StructureDefinition/medcom-hospitalnotifiation-leave-period-extension"
)
REPORT_OF_ADMISSION = (
    "http://medcomfhir.dk/ig/hospitalnotification/StructureDefinition/medcom-messaging-reportOfAdmissionExtension"
)
REPORT_RECIPIENT = (
    "http://medcomfhir.dk/ig/hospitalnotification/StructureDefinition/"
    "medcom-messaging-reportOfAdmissionRecipientExtension"
)
LPR3 = "https://www.esundhed.dk/Registre/Landspatientregisteret"
BASE_ACTIVITIES = (
    "admit-emergency",
    "admit-inpatient",
    "start-leave-inpatient",
    "end-leave-inpatient",
    "discharge-emergency-home",
    "discharge-inpatient-home",
)
ACTIVITIES = frozenset(p + a for a in BASE_ACTIVITIES for p in ("", "revise-", "cancel-"))
DECEASED = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/discharge-disposition", "code": "exp"}]}


def add_facts(message: Message, bundle: MessageBundle) -> None:
    """Add the facts of a HospitalNotification: the stay, and the Patient with whether they live."""
    step = bundle.own_step()
    if step.activity not in ACTIVITIES:
        text = f"HospitalNotification has no activity {step.activity[:40]!r}."
        raise Unprocessable("activity-unknown", text, expression="Provenance.activity")
    encounter = bundle.resolve((bundle.header.get("focus") or [{}])[0])
    if encounter.get("resourceType") != "Encounter":
        raise Unprocessable(
            "focus-missing", "MessageHeader.focus must name the Encounter.", expression="MessageHeader.focus"
        )
    deceased = bundle.patient.get("deceasedBoolean") is True or "deceasedDateTime" in bundle.patient
    message.patient = statement_of(bundle.patient, deceased=True)
    message.activity = (ACTIVITY_CODES, step.activity)
    provider = bundle.organisation(encounter.get("serviceProvider"))
    if provider.token and provider.token != message.sender.token:
        message.origins = (provider.token,)
    key = f"stay|{_episode(encounter)}|{encounter.get('class', {}).get('code', '')}"
    message.targets = (key,)
    message.facts.append(
        Fact(
            key=key,
            resource=_encounter(encounter, bundle, message, deceased=deceased),
            source=message.sender.token,
            order=message.order,
            origins=list(message.origins),
            recorded=message.recorded,
            choose=choose_stay,
        )
    )


def report_of_admission(bundle: MessageBundle) -> list[Json]:
    """Return whether the hospital asks for a report of admission (indlæggelsesrapport), and to whom."""
    kept: list[Json] = []
    for extension in bundle.header.get("extension", []):
        if extension.get("url") == REPORT_OF_ADMISSION:
            kept.append(extension)
        elif extension.get("url") == REPORT_RECIPIENT:
            party = bundle.organisation(extension.get("valueReference"))
            kept.append({"url": REPORT_RECIPIENT, "valueReference": party.reference()})
    return kept


def _episode(encounter: Json) -> str:
    """Return the episode id that ties notifications together: the local one, else the LPR3 one."""
    identifiers = [e.get("identifier", {}) for e in encounter.get("episodeOfCare", [])]
    usable = [i for i in identifiers if i.get("value")]
    if not usable:
        text = "The Encounter has no episode-of-care id; MedCom requires at least one."
        raise Unprocessable("episode-missing", text, expression="Encounter.episodeOfCare")
    local = [i for i in usable if i.get("system") != LPR3]
    return episode_key(str((local or usable)[0]["value"]))


def _encounter(encounter: Json, bundle: MessageBundle, message: Message, *, deceased: bool) -> Json:
    provider = bundle.organisation(encounter.get("serviceProvider"))
    period = encounter.get("period", {})
    for end in ("start", "end"):
        if end in period:
            instant_at(str(period[end]))
    kept = ("status", "class", "episodeOfCare", "period")
    resource: Json = {
        "resourceType": "Encounter",
        "meta": {"source": message.sender.source_uri},
        "extension": [e for e in encounter.get("extension", []) if e.get("url") == LEAVE],
        **{name: encounter[name] for name in kept if name in encounter},
        "subject": {"reference": f"fact:{PATIENT}"},
        "serviceProvider": (provider if provider.token else message.sender).reference(),
        "hospitalization": {"dischargeDisposition": DECEASED} if deceased else {},
    }
    return dict(without_empty(resource))


def choose_stay(stated: Json, known: list[tuple[str, Json]]) -> str | None:
    """Choose the stay a notification is about among those of the same episode and class.

    Two periods that cannot overlap are two stays. Where several could be meant, the one with the same
    start, else the one that began last.
    """
    mine = interval_of("Period", stated.get("period", {}))
    if mine is None:
        return known[-1][0] if known else None
    candidates = []
    for key, resource in known:
        other = interval_of("Period", resource.get("period", {}))
        if other is None:
            candidates.append((False, mine.start, key))
            continue
        ended_before = mine.end <= other.start and mine.end < LATEST
        begins_after = other.end <= mine.start and other.end < LATEST
        if not ended_before and not begins_after:
            candidates.append((other.start == mine.start, other.start, key))
    return max(candidates)[2] if candidates else None
