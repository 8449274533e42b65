"""Codes in words: what the pages call the states, kinds and events of an overview.

Danish is the key of the translation, as everywhere in the pages.
"""

from __future__ import annotations

from overblik.web.app_words import RESOURCES, VERBS  # noqa: F401 - tables like those below

STEPS = {
    "admitted": "Indlagt",
    "operated": "Opereret",
    "discharged": "Udskrevet",
    "sent": "Plan sendt",
    "received": "Modtaget af kommunen",
    "offered": "Første træning tilbudt",
    "underway": "Træning i gang",
    "reported": "Rapport til egen læge",
    "closed": "Afsluttet",
    "returned": "Sendt retur til sygehuset",
    "none": "Begyndt",
}
STANDINGS = {
    "admitted": "Du er indlagt.",
    "operated": "Du er opereret og stadig indlagt.",
    "discharged": "Du er udskrevet.",
    "sent": "Sygehuset har sendt din genoptræningsplan til kommunen. Kommunen har ikke bekræftet den endnu.",
    "received": "Kommunen har modtaget din genoptræningsplan og skal nu tilbyde dig træning.",
    "offered": "Din første træning er aftalt.",
    "underway": "Din træning er i gang.",
    "reported": "Kommunen har sendt en rapport om din træning til din læge.",
    "closed": "Forløbet er afsluttet.",
    "returned": "Kommunen har sendt planen retur til sygehuset.",
    "none": "Forløbet er begyndt.",
}
"""The state of a course, told to the citizen."""
COURSES = {
    "rehabilitation-general": "Almen genoptræning",
    "rehabilitation-specialised": "Specialiseret genoptræning",
    "rehabilitation": "Genoptræning",
    "stay": "Indlæggelse",
}
PLANS = {
    "rehabilitation-general": "Genoptræningsplan (almen)",
    "rehabilitation-specialised": "Genoptræningsplan (specialiseret)",
    "rehabilitation": "Genoptræningsplan",
    "care-plan": "Plan",
}
PLAN_STATES = {
    "active": "i gang",
    "on-hold": "på hold",
    "completed": "afsluttet",
    "revoked": "ophævet",
    "draft": "kladde",
    "unknown": "ukendt",
}
SECTORS = {
    "hospital": "Sygehus",
    "municipality": "Kommune",
    "gp": "Egen læge",
    "region": "Region",
    "register": "Register",
    "pharmacy": "Apotek",
    "national": "National tjeneste",
}
PROBLEM_STATES = {
    "active": "",
    "recurrence": "tilbagefald",
    "relapse": "tilbagefald",
    "inactive": "ikke aktiv",
    "remission": "i ro",
    "resolved": "overstået",
}
VERIFICATIONS = {
    "confirmed": "",
    "unconfirmed": "ikke bekræftet",
    "provisional": "mistanke",
    "differential": "mulig diagnose",
    "refuted": "afkræftet",
}
ALLERGY_STATES = {
    "active": "",
    "unconfirmed": "ikke bekræftet",
    "inactive": "ikke aktiv",
    "resolved": "overstået",
    "refuted": "afkræftet",
}
FLAGS = {
    "L": "under referenceområdet",
    "H": "over referenceområdet",
    "LL": "kritisk lav",
    "HH": "kritisk høj",
    "N": "",
    "A": "afvigende",
    "AA": "kritisk afvigende",
}
PRIORITIES = {"routine": "", "urgent": "haster", "asap": "haster meget", "stat": "straks"}
APPOINTMENTS = {
    "booked": "aftalt",
    "pending": "afventer",
    "arrived": "mødt",
    "fulfilled": "afholdt",
    "cancelled": "aflyst",
    "noshow": "udeblevet",
    "checked-in": "mødt",
    "waitlist": "på venteliste",
    "proposed": "foreslået",
}
EVENTS = {
    "admit-emergency": "Akut på sygehus",
    "admit-inpatient": "Indlagt",
    "start-leave-inpatient": "På orlov fra sygehus",
    "end-leave-inpatient": "Tilbage fra orlov",
    "discharge-emergency-home": "Afsluttet på akutmodtagelse",
    "discharge-inpatient-home": "Udskrevet",
    "died": "Afgået ved døden",
    "revise-admit-emergency": "Rettelse: akut på sygehus",
    "revise-admit-inpatient": "Rettelse: indlagt",
    "revise-start-leave-inpatient": "Rettelse: på orlov",
    "revise-end-leave-inpatient": "Rettelse: tilbage fra orlov",
    "revise-discharge-emergency-home": "Rettelse: afsluttet på akutmodtagelse",
    "revise-discharge-inpatient-home": "Rettelse: udskrevet",
    "cancel-admit-emergency": "Trukket tilbage: akut på sygehus",
    "withdrawn-admit-emergency": "Trukket tilbage: akut på sygehus",
    "cancel-admit-inpatient": "Trukket tilbage: indlagt",
    "withdrawn-admit-inpatient": "Trukket tilbage: indlagt",
    "cancel-start-leave-inpatient": "Trukket tilbage: på orlov",
    "withdrawn-start-leave-inpatient": "Trukket tilbage: på orlov",
    "cancel-end-leave-inpatient": "Trukket tilbage: tilbage fra orlov",
    "withdrawn-end-leave-inpatient": "Trukket tilbage: tilbage fra orlov",
    "cancel-discharge-emergency-home": "Trukket tilbage: afsluttet på akutmodtagelse",
    "withdrawn-discharge-emergency-home": "Trukket tilbage: afsluttet på akutmodtagelse",
    "cancel-discharge-inpatient-home": "Trukket tilbage: udskrevet",
    "withdrawn-discharge-inpatient-home": "Trukket tilbage: udskrevet",
    "withdrawn": "Trukket tilbage",
    "accepted": "Modtaget",
    "in-progress": "I gang",
    "requested": "Anmodet",
    "rejected": "Afvist",
    "completed": "Afsluttet",
    "cancelled": "Aflyst",
    "booked": "Aftalt",
    "fulfilled": "Afholdt",
    "corrected": "Rettet",
    "amended": "Rettet",
    "stopped": "Stoppet",
    "entered-in-error": "Trukket tilbage",
    "new-message": "Ny besked",
    "reply-message": "Svar",
    "forward-message": "Videresendt",
    "modified-message": "Ændret besked",
    "retract-message": "Trukket tilbage",
    "finished": "Afsluttet",
    "on-hold": "På hold",
    "revoked": "Ophævet",
}
KINDS = {
    "Encounter": "Kontakt",
    "CarePlan": "Plan",
    "Task": "Opgave",
    "Appointment": "Aftale",
    "Procedure": "Operation",
    "Communication": "Besked",
    "MedicationRequest": "Medicin",
    "MedicationStatement": "Medicin",
    "AllergyIntolerance": "Allergi",
    "Condition": "Problem",
    "Observation": "Måling",
    "DiagnosticReport": "Svar på undersøgelse",
    "DocumentReference": "Dokument",
    "Patient": "Stamkort",
    "MessageHeader": "Besked",
    "Immunization": "Vaccination",
    "Goal": "Mål",
    "ServiceRequest": "Henvisning",
    "Binary": "Besked, som den kom",
}
CATEGORIES = {
    "alcohol-and-drug-treatment": "Alkohol- og rusmiddelbehandling",
    "assistive-devices": "Hjælpemidler",
    "carecoordination": "Koordinering",
    "decease": "Dødsfald",
    "discharge": "Udskrivelse",
    "examination-results": "Undersøgelsesresultater",
    "healthcare": "Sundhedspleje",
    "home-care-assessment": "Visitation",
    "medicine": "Medicin",
    "nursing": "Sygepleje",
    "outpatient": "Ambulant",
    "psychiatry-social-disability": "Psykiatri, social og handicap",
    "regarding-referral": "Om henvisning",
    "telemedicine": "Telemedicin",
    "training": "Træning",
    "acute-ambulant": "Akut ambulant",
    "extended-care-responsibility": "Udvidet behandlingsansvar",
    "other": "Andet",
}
FIELDS = {
    "address": "Adresse",
    "temporary-address": "Midlertidig adresse",
    "phone": "Telefon",
    "mail": "E-mail",
    "gp": "Egen læge",
    "insurance-group": "Sygesikringsgruppe",
    "language": "Talt sprog",
    "relative": "Pårørende",
    "guardian": "Værge",
    "dentist": "Tandlæge",
    "registered-organ-donor": "Organdonor registreret",
    "registered-living-will": "Livstestamente registreret",
    "registered-treatment-will": "Behandlingstestamente registreret",
    "name": "Navn",
    "birth-date": "Fødselsdato",
    "gender": "Køn",
}
USES = {"home": "hjem", "work": "arbejde", "mobile": "mobil", "temp": "midlertidig", "old": "tidligere"}
CONTACTS = {"IMP": "Indlæggelse", "EMER": "Akut kontakt", "AMB": "Ambulant besøg", "HH": "Hjemmebesøg", "VR": "Video"}
CONTACT_STATES = {
    "arrived": "ankommet",
    "triaged": "i gang",
    "in-progress": "i gang",
    "onleave": "på orlov",
    "finished": "afsluttet",
    "planned": "planlagt",
    "cancelled": "aflyst",
}
GROUPS = {
    "overdue": "Over fristen",
    "new-plan": "Nye planer",
    "discharged": "Udskrevet",
    "unacknowledged": "Ubesvaret",
    "admitted": "Indlagt nu",
    "underway": "I gang",
    "other": "Øvrige",
}
GROUPS_OF_DATA = {
    "medication": "Medicin",
    "results": "Målinger og svar",
    "problems": "Diagnoser og allergi",
    "plans": "Planer og mål",
    "appointments": "Aftaler",
    "contacts": "Indlæggelser og besøg",
    "messages": "Beskeder",
    "vaccinations": "Vacciner",
    "documents": "Dokumenter",
}
RULES = {
    "self": "Egen indsigt",
    "attorney": "Fuldmagt",
    "custody": "Forældremyndighed",
    "guardian": "Værgemål",
    "contact": "Kontakt på enheden",
    "appointment": "Aftale på enheden",
    "addressed": "Plan eller besked til enheden",
    "gp": "Egen læge",
    "course": "Igangværende forløb",
    "break-glass": "Værdispring",
    "stated": "Oplyst af fagpersonen selv, skal bekræftes",
    "follow-up": "Opfølgning",
    "own delivery": "Leverer oplysninger",
    "system": "Systemdrift",
    "none": "Ingen behandlingsrelation",
    "no match": "Intet fundet",
}
ACTIONS = {
    "overview": "så overblikket",
    "worklist": "så dig på sin arbejdsliste",
    "read": "læste",
    "read raw": "åbnede en oprindelig besked",
    "erase": "slettede journalens indhold og tilintetgjorde dens nøgle",
    "history": "så tidligere udgaver",
    "vread": "så en udgave",
    "search": "søgte",
    "read log": "læste loggen",
    "look up": "slog op",
    "condition": "slog op for at levere",
    "deliver": "leverede en besked",
    "create": "skrev",
    "update": "rettede",
    "delete": "slettede",
    "transaction": "leverede oplysninger",
    "break glass": "brugte værdispring",
    "state relation": "oplyste selv at behandle dig; det skal bekræftes",
    "relation unconfirmed": "en fagperson her oplyste selv at behandle dig, og intet har bekræftet det inden fristen",
    "follow up": "fulgte op på, at en kollega så dine oplysninger",
    "follow-ups": "så enhedens opfølgninger",
    "blocks": "så sine spærringer",
    "proxies": "så sine fuldmagter",
    "relations": "så, hvem enheden har behandlingsrelation til",
    "preview": "så, hvad en spærring ville skjule",
    "block": "satte en spærring",
    "unblock": "ophævede en spærring",
    "grant": "gav en fuldmagt",
    "revoke": "tilbagekaldte en fuldmagt",
    "refused": "blev afvist",
}
BASES = {
    "here": "Borgeren er her nu",
    "referred": "En henvisning er på vej",
    "taken-over": "Vi har overtaget fra en anden enhed",
    "appointment": "En aftale er ved at blive lavet",
}
CHANNELS = {"web": "Overbliks sider", "api": "Et fagsystem"}
PURPOSES = {
    "TREAT": "Behandling",
    "PATRQT": "Egen indsigt",
    "FAMRQT": "På vegne af en anden",
    "HSYSADMIN": "Systemdrift",
    "BTG": "Værdispring",
}
CHANGES = {"started": "startet", "changed": "ændret", "stopped": "stoppet"}
IDENTIFIERS = {"cpr": "CPR", "replacement": "Erstatnings-CPR", "other": "Nummer"}
GENDERS = {"female": "kvinde", "male": "mand", "other": "andet", "unknown": "ukendt"}
ORIGINS = {"register": "fra register", "typed": "indtastet", "message": "fra besked"}
DOCUMENTS = {
    "39289-4": "Aftaledokument",
    "81215-6": "Plandokument",
    "53576-5": "Hjemmemålinger",
    "74468-0": "Spørgeskema",
    "74465-6": "Besvaret spørgeskema",
    "PDC": "Stamkort",
    "PCD": "Stamkort",
    "homecareobservation-message": "Målinger fra hjemmeplejen",
    "11450-4": "Diagnoseliste",
    "11524-6": "EKG",
    "866144008": "Notat",
}
ACHIEVEMENTS = {
    "in-progress": "på vej",
    "achieved": "nået",
    "not-achieved": "ikke nået",
    "improving": "bedring",
    "worsening": "forværring",
    "no-change": "uændret",
}

TABLES = {
    name.lower(): table
    for name, table in dict(globals()).items()
    if name.isupper() and isinstance(table, dict) and name != "TABLES"
}
"""Every table by its name in lower case, as the templates ask for them: `word('steps', code)`."""
