"""Z35: what a Consent comes to: deny in permit, permit in deny, three levels, periods, states, and every refusal."""

from __future__ import annotations

from typing import Any

import pytest

from overblik.fhir.dates import parse_interval
from overblik.fhir.errors import Unprocessable
from overblik.trust.consent.rules import Mandate, Names, Rule, is_mandate, require_not_privacy, rules_of
from tests.trust.consents import (
    attorney,
    coded,
    consent,
    deny,
    during,
    entry,
    nested,
    of_time,
    of_type,
    permit,
    person,
    source,
    unit,
)
from tests.trust.stage import DEPARTMENT, HOSPITAL, OTHER

KNOWN = {HOSPITAL, DEPARTMENT}
NAMES = Names(
    org_of=lambda r: str(v) if (v := r.get("identifier", {}).get("value")) in KNOWN else "",
    person_of=lambda r: str(r["identifier"]["value"]) if "autregweb" in str(r.get("identifier")) else "",
)


def first(text: str) -> Any:
    found = parse_interval(text)
    assert found
    return found.start


def last(text: str) -> Any:
    found = parse_interval(text)
    assert found
    return found.end


OBS, COND = of_type("Observation"), of_type("Condition")
GRANTED: list[tuple[str, dict[str, Any], list[Rule]]] = [
    ("everything from everybody", deny(), [Rule()]),
    ("a unit with its sub-units", deny(unit(HOSPITAL)), [Rule(org=HOSPITAL)]),
    ("a unit alone", deny(unit(HOSPITAL, sub_units=False)), [Rule(org=HOSPITAL, sub_units=False)]),
    ("a person", deny(person("AB12C")), [Rule(person="AB12C")]),
    ("two units", deny(unit(HOSPITAL), unit(DEPARTMENT)), [Rule(org=HOSPITAL), Rule(org=DEPARTMENT)]),
    ("a type", deny(OBS), [Rule(type="Observation")]),
    ("two types", deny(of_type("Observation", "Condition")), [Rule(type="Observation"), Rule(type="Condition")]),
    ("a source", deny(source(HOSPITAL)), [Rule(source=HOSPITAL)]),
    ("an entry", deny(entry("Observation/x")), [Rule(entry="Observation/x")]),
    ("an entry and a source", deny(entry("Observation/x"), source(HOSPITAL)),
     [Rule(entry="Observation/x"), Rule(source=HOSPITAL)]),
    ("data of a day", deny(of_time("2026-01-02", "2026-01-02")),
     [Rule(data_from=first("2026-01-02"), data_until=last("2026-01-02"))]),
    ("data until a month", deny(of_time(end="2025-12")), [Rule(data_until=last("2025-12"))]),
    ("from a day on", deny(during("2026-12-01")), [Rule(valid_from=first("2026-12-01"))]),
    ("until an instant", deny(during(end="2026-12-01T10:00:00Z")), [Rule(valid_until=last("2026-12-01T10:00:00Z"))]),
    ("whom, what and when together", deny(unit(DEPARTMENT), OBS, of_time("2026-01-01")),
     [Rule(org=DEPARTMENT, type="Observation", data_from=first("2026-01-01"))]),
    ("each combination", deny(unit(HOSPITAL), person("P"), of_type("Observation", "Condition")),
     [Rule(org=HOSPITAL, type="Observation"), Rule(org=HOSPITAL, type="Condition"),
      Rule(person="P", type="Observation"), Rule(person="P", type="Condition")]),
    ("access said", deny({"action": [coded("consentaction", "access")]}), [Rule()]),
    ("until the end of the calendar", deny(during(end="9999-12-31")), [Rule()]),
    ("as many as can be told apart", deny(*[person("P")] * 100), [Rule(person="P")] * 100),
    # permit in deny: an exception to that block
    ("but one person", deny(unit(HOSPITAL), nested(permit(person("P")))),
     [Rule(org=HOSPITAL, exceptions=(Rule(person="P"),))]),
    ("but one type", deny(nested(permit(OBS))), [Rule(exceptions=(Rule(type="Observation"),))]),
    ("but for a time", deny(nested(permit(during("2026-12-01", "2026-12-31")))),
     [Rule(exceptions=(Rule(valid_from=first("2026-12-01"), valid_until=last("2026-12-31")),))]),
    ("but two of them", deny(nested(permit(OBS), permit(person("P")))),
     [Rule(exceptions=(Rule(type="Observation"), Rule(person="P")))]),
    ("but as many as can be told apart", deny(nested(permit(of_type(*["Observation"] * 100)))),
     [Rule(exceptions=(Rule(type="Observation"),) * 100)]),
    # deny in permit: what the law permits, less these
    ("as many blocks in a permit", permit(nested(*[deny(OBS)] * 100)), [Rule(type="Observation")] * 100),
    ("a permit with an id", permit({"id": "p", "extension": [{"url": "x"}]}, nested(deny())), [Rule()]),
    ("a block in a permit of all", permit(nested(deny(OBS))), [Rule(type="Observation")]),
    ("two blocks in a permit", permit(nested(deny(OBS), deny(COND))),
     [Rule(type="Observation"), Rule(type="Condition")]),
    ("three levels", permit(nested(deny(nested(permit(OBS))))), [Rule(exceptions=(Rule(type="Observation"),))]),
    ("a permit's period is its blocks'", permit(during("2026-12-01", "2027-01-31"), nested(deny(OBS))),
     [Rule(type="Observation", valid_from=first("2026-12-01"), valid_until=last("2027-01-31"))]),
    ("periods that overlap",
     permit(during("2026-12-01", "2027-01-31"), nested(deny(during("2027-01-01", "2027-12-31")))),
     [Rule(valid_from=first("2027-01-01"), valid_until=last("2027-01-31"))]),
]  # fmt: skip


@pytest.mark.parametrize(("what", "provision", "rules"), GRANTED, ids=[row[0] for row in GRANTED])
def test_z35_what_a_provision_comes_to(what: str, provision: dict[str, Any], rules: list[Rule]) -> None:
    assert list(rules_of(consent(provision), NAMES).blocks) == rules, what


@pytest.mark.parametrize("status", ["draft", "proposed", "rejected", "inactive", "entered-in-error"])
def test_z35_what_is_not_active_comes_to_nothing(status: str) -> None:
    for provision in (deny(), permit(attorney(OTHER)), None):
        found = rules_of(consent(provision, status=status), NAMES)
        assert (found.blocks, found.mandates) == ((), ())


REFUSED: list[tuple[str, dict[str, Any] | None, str, str]] = [
    # what, the provision, code, expression
    ("nothing said", None, "consent-says-nothing", "Consent.provision"),
    ("neither deny nor permit", {"class": OBS["class"]}, "consent-says-nothing", "Consent.provision"),
    ("a permit of everything", permit(), "consent-permits-nothing", "Consent.provision"),
    ("a permit to a unit", permit(unit(HOSPITAL)), "consent-permits-nothing", "Consent.provision.actor"),
    ("a permit of a type", permit(OBS, nested(deny())), "consent-permits-nothing", "Consent.provision.class"),
    ("permit in permit", permit(nested(permit(OBS))), "consent-permits-nothing", "Consent.provision.provision[0]"),
    ("deny in deny", deny(nested(deny(OBS))), "consent-nested", "Consent.provision.provision[0]"),
    ("deny in permit in deny", deny(nested(permit(nested(deny())))),
     "consent-nested", "Consent.provision.provision[0]"),
    ("four levels", permit(nested(deny(nested(permit(nested(deny())))))), "consent-nested",
     "Consent.provision.provision[0].provision[0]"),
    ("untyped in deny", deny(nested({"class": OBS["class"]})), "consent-nested", "Consent.provision.provision[0]"),
    ("a label", deny({"securityLabel": [{"code": "R"}]}), "consent-not-evaluated", "Consent.provision.securityLabel"),
    ("a purpose", deny({"purpose": [{"code": "TREAT"}]}), "consent-not-evaluated", "Consent.provision.purpose"),
    ("a code", deny({"code": [{"text": "x"}]}), "consent-not-evaluated", "Consent.provision.code"),
    ("a purpose in an exception", deny(nested(permit({"purpose": [{"code": "TREAT"}]}))), "consent-not-evaluated",
     "Consent.provision.provision[0].purpose"),
    ("collecting", deny({"action": [coded("consentaction", "collect")]}), "consent-action", "Consent.provision.action"),
    ("access and use", deny({"action": [coded("consentaction", "access"), coded("consentaction", "use")]}),
     "consent-action", "Consent.provision.action"),
    ("a unit nobody knows", deny(unit("99999999999")), "consent-actor-unknown", "Consent.provision.actor[0].reference"),
    ("an actor without a role", deny({"actor": [{"role": {}, "reference": unit(HOSPITAL)["actor"][0]["reference"]}]}),
     "consent-role", "Consent.provision.actor[0].role"),
    ("a related person", deny({"actor": [{"role": coded("v3-ParticipationType", "PRCP"),
                                          "reference": {"reference": "RelatedPerson/x"}}]}),
     "consent-actor-unknown", "Consent.provision.actor[0].reference"),
    ("a document type", deny({"class": [{"system": "urn:ietf:rfc:3986", "code": "x"}]}), "consent-class",
     "Consent.provision.class[0]"),
    ("a type of nobody", deny(of_type("Organization")), "consent-class", "Consent.provision.class[0]"),
    ("the Patient itself", deny(of_type("Patient")), "consent-class", "Consent.provision.class[0]"),
    ("a Consent by type", deny(of_type("Consent")), "consent-class", "Consent.provision.class[0]"),
    ("a Consent as an entry", deny(entry("Consent/x")),
     "consent-entry-unknown", "Consent.provision.data[0].reference"),
    ("related entries", deny({"data": [{"meaning": "related", "reference": {"reference": "Encounter/x"}}]}),
     "consent-meaning", "Consent.provision.data[0].meaning"),
    ("dependent entries", deny({"data": [{"meaning": "dependents", "reference": {"reference": "Encounter/x"}}]}),
     "consent-meaning", "Consent.provision.data[0].meaning"),
    ("a source nobody knows", deny(source("99999999999")),
     "consent-actor-unknown", "Consent.provision.data[0].reference"),
    ("the Patient as an entry", deny(entry("Patient/x")),
     "consent-entry-unknown", "Consent.provision.data[0].reference"),
    ("a period that ends first", deny(during("2026-12-02", "2026-12-01")),
     "consent-period", "Consent.provision.period"),
    ("data of no time", deny(of_time("2026-12-02", "2026-12-01")), "consent-period", "Consent.provision.dataPeriod"),
    ("more than can be told apart", deny(*[person(str(n)) for n in range(101)]),
     "consent-too-large", "Consent.provision"),
    ("a block after as many as can be told apart", permit(nested(*[deny(unit(DEPARTMENT))] * 100, deny())),
     "consent-too-large", "Consent.provision"),
    ("exceptions that together are too many", deny(nested(*[permit(of_type(*["Observation"] * 60))] * 2)),
     "consent-too-large", "Consent.provision"),
    ("one exception more than can be told apart", deny(nested(permit(of_type(*["Observation"] * 100)), permit())),
     "consent-too-large", "Consent.provision"),
    ("mandates to too many", permit(attorney(OTHER), *[attorney(OTHER)] * 100), "consent-too-large",
     "Consent.provision"),
    ("a block outside the period of its root", permit(during("2026-12-01"), nested(deny(during(end="2026-11-30")))),
     "consent-period", "Consent.provision.provision[0].period"),
    ("a mandate to nobody", permit({"actor": [{**attorney(OTHER)["actor"][0], "reference": {"display": "X"}}]}),
     "consent-mandate", "Consent.provision.actor[0]"),
    ("a mandate for data of a time", permit(attorney(OTHER), of_time("2026-01-01")), "consent-mandate",
     "Consent.provision.dataPeriod"),
    ("a mandate with exceptions", permit(attorney(OTHER), nested(deny(OBS))), "consent-mandate",
     "Consent.provision.provision"),
    *((f"a mandate with {name}", permit(attorney(OTHER), {name: [{"code": "x"}]}), "consent-mandate",
       f"Consent.provision.{name}") for name in ("securityLabel", "purpose", "code", "data")),
    ("a mandate to collect", permit(attorney(OTHER), {"action": [coded("consentaction", "collect")]}),
     "consent-action", "Consent.provision.action"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "provision", "code", "where"), REFUSED, ids=[row[0] for row in REFUSED])
def test_z35_what_is_not_clear_is_refused(what: str, provision: dict[str, Any] | None, code: str, where: str) -> None:
    with pytest.raises(Unprocessable) as refused:
        rules_of(consent(provision), NAMES)
    assert (code, where) in [(issue.code, issue.expression) for issue in refused.value.issues], what


@pytest.mark.parametrize(
    ("change", "code", "where"),
    [
        ({"scope": coded("consentscope", "treatment")}, "consent-scope", "Consent.scope"),
        ({"policyRule": coded("v3-ActCode", "OPTIN")}, "consent-policy", "Consent.policyRule"),
        ({"policyRule": {}, "policy": [{"uri": "https://example.org/policy"}]}, "consent-policy", "Consent.policy"),
        ({"status": "unknown"}, "consent-status", "Consent.status"),
    ],
)
def test_z35_another_base_or_status_is_refused(change: dict[str, Any], code: str, where: str) -> None:
    with pytest.raises(Unprocessable) as refused:
        rules_of(consent(deny()) | change, NAMES)
    assert [(issue.code, issue.expression) for issue in refused.value.issues] == [(code, where)]


def test_z35_the_law_can_be_named_as_the_base() -> None:
    named = consent(deny(), policy=[{"uri": "urn:overblik:policy:sundhedsloven"}])
    assert rules_of(named, NAMES).blocks == (Rule(),)


def test_a_mandate_is_whole_or_for_types_and_for_a_time() -> None:
    whole = rules_of(consent(permit(attorney(OTHER))), NAMES).mandates
    limited = rules_of(consent(permit(attorney(OTHER), OBS, during("2026-12-01"))), NAMES).mandates
    many = rules_of(consent(permit(*[attorney(OTHER)] * 100)), NAMES).mandates
    assert whole == (Mandate(OTHER, None, None, None),)
    assert limited == (Mandate(OTHER, ("Observation",), first("2026-12-01"), None),)
    assert many == whole * 100


@pytest.mark.parametrize("code", ["POWATT", "HPOWATT"])
def test_either_power_of_attorney_is_a_mandate(code: str) -> None:
    given = attorney(OTHER)
    given["actor"][0]["role"] = coded("v3-RoleCode", code)
    stated = consent(permit(given))
    assert (is_mandate(stated), len(rules_of(stated, NAMES).mandates)) == (True, 1)
    assert not is_mandate(consent(deny(person("P"))))


def test_no_system_says_who_may_look() -> None:
    with pytest.raises(Unprocessable) as refused:
        require_not_privacy(consent(deny()))
    assert refused.value.code == "consent-whose-word"
    require_not_privacy(consent(deny(), scope=coded("consentscope", "treatment")))
    require_not_privacy({"resourceType": "Observation", "scope": coded("consentscope", "patient-privacy")})
