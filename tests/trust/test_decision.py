"""The parts of the decision that need no database, by table; no mutant of them survives (scripts/mutate.py)."""

from __future__ import annotations

from typing import Any

import pytest

from overblik.fhir.errors import Forbidden, Malformed
from overblik.trust.callers.identity import Caller, Interaction, Kind, require, require_kind, system_caller
from overblik.trust.callers.scopes import EVERYTHING, LONGEST, Reach, parse_scopes
from overblik.trust.door.cursors import Cursors
from overblik.trust.door.searching import of_one
from tests.conftest import NOW

MAY: dict[Kind, set[str]] = {
    "citizen": {"read", "consent"}, "proxy": {"read"}, "professional": {"read", "consent"},
    "source": {"read", "write", "operate"}, "system": {"read", "write", "operate"},
}  # fmt: skip
INTERACTIONS: tuple[Interaction, ...] = ("read", "write", "operate", "consent")


def caller(kind: Kind = "citizen", scope: str = "", **more: Any) -> Caller:
    reach = Reach(parse_scopes(scope), (7, 8)) if scope else None
    return Caller(kind, "0101010101", "N", reach=reach, **more)


@pytest.mark.parametrize("kind", MAY)
@pytest.mark.parametrize("interaction", INTERACTIONS)
def test_what_a_kind_of_caller_may_never_do_is_refused_before_anything_is_looked_up(
    kind: Kind, interaction: Interaction
) -> None:
    for asked in (require_kind, require):
        if interaction in MAY[kind]:
            asked(caller(kind), interaction)
        else:
            with pytest.raises(Forbidden, match="not-for-this-caller"):
                asked(caller(kind), interaction)


REQUIRED: list[tuple[str, str, tuple[str, ...], bool]] = [
    # the scopes, the letters, the types, whether they cover them
    ("patient/Observation.r", "r", ("Observation",), True),
    ("patient/Observation.r", "s", ("Observation",), False),
    ("patient/Observation.r", "rs", ("Observation",), False),
    ("patient/Observation.rs", "rs", ("Observation",), True),
    ("patient/Observation.r user/Observation.s", "rs", ("Observation",), True),
    ("patient/Observation.rs", "r", ("Condition",), False),
    ("patient/Observation.rs", "r", ("Observation", "Condition"), False),
    ("patient/Observation.rs user/Condition.r", "r", ("Observation", "Condition"), True),
    ("patient/*.rs", "r", ("Condition",), True),
    ("patient/*.rs", "r", (), False),
    ("patient/*.rs", "r", ("*",), True),
    ("patient/Observation.rs", "r", ("*",), False),
]


@pytest.mark.parametrize(("scope", "letters", "types", "covered"), REQUIRED)
def test_an_app_gets_what_all_its_scopes_cover_and_nothing_that_nobody_names(
    scope: str, letters: str, types: tuple[str, ...], covered: bool
) -> None:
    if covered:
        require(caller(scope=scope), "read", *types, letters=letters)
    else:
        with pytest.raises(Forbidden, match="scope-missing"):
            require(caller(scope=scope), "read", *types, letters=letters)
    require(caller(), "read", *types, letters=letters)


def test_letters_are_to_read_where_nothing_else_is_said() -> None:
    require(caller(scope="patient/Observation.r"), "read", "Observation")
    with pytest.raises(Forbidden):
        require(caller(scope="patient/Observation.s"), "read", "Observation")


def test_rows_are_narrowed_by_level_and_by_what_is_done_with_them() -> None:
    scope = "patient/Observation.r patient/Condition.s user/Encounter.rs system/Patient.r user/List.cud"
    who = caller(scope=scope)
    for action in ("read", "history", "anything else"):
        found = who.params(NOW, action)
        assert (found["reach_patient"], found["reach_user"]) == (["Observation"], ["Encounter", "Patient"]), action
        assert found["reach_pids"] == [7, 8]
    for action in ("search", "count", "condition", "look up"):
        found = who.params(NOW, action)
        assert (found["reach_patient"], found["reach_user"]) == (["Condition"], ["Encounter"]), action
    assert {name: caller().params(NOW, "read")[name] for name in EVERYTHING} == EVERYTHING
    assert set(EVERYTHING.values()) == {None}


SUBJECTS: list[tuple[Kind, str, bool]] = [
    ("citizen", "0101010101", True), ("proxy", "0202020202", True), ("professional", "", False), ("source", "", False),
    ("system", "", False),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "subject", "is_citizen"), SUBJECTS)
def test_whose_own_record_it_is(kind: Kind, subject: str, is_citizen: bool) -> None:
    who = caller(kind, on_behalf="0202020202", org="U", orgs=("U", "H"))
    assert (who.subject, who.is_citizen) == (subject, is_citizen)
    assert who.via == ("0101010101" if kind == "source" else kind)
    found = who.params(NOW, "read", "what")
    told = {
        "system": "urn:oid:1.2.208.176.1.2", "value": subject, "person": "0101010101", "org": "U", "orgs": ["U", "H"],
        "via": who.via, "action": "read", "query": "what", "actor_kind": kind, "actor": "0101010101", "now": NOW,
        "on_behalf": "0202020202", "request": who.request, "purpose": "TREAT", "channel": "api", "reason": "",
    }  # fmt: skip
    assert {name: found[name] for name in told} == told
    assert who.viewer == f"{kind}|0101010101|U"


def test_each_request_is_one_of_its_own_and_says_through_which_app_it_came() -> None:
    who = caller()
    asked = who.asking()
    assert asked.request != who.request
    assert (asked.channel, who.asking(channel="web").channel) == ("api", "web")
    assert caller(app="Appen").asking(channel="web").channel == "app:Appen"
    assert who.asking(request=who.request).request == who.request
    assert (who.asking(reason="why").reason, caller(reason="old").asking().reason) == ("why", "old")


def test_the_system_says_so() -> None:
    who = system_caller("why")
    assert (who.kind, who.purpose, who.reason, who.organisations) == ("system", "HSYSADMIN", "why", None)
    assert Caller("source", "x", "x").organisations == ()


GOOD = [
    "patient/Observation.rs",
    "patient/*.r",
    "user/Patient.cruds",
    "system/Encounter.cud",
    "launch/patient openid fhirUser",
]
BAD = [
    "", " ", "patient/Observation.sr", "patient/Observation.rsx", "patient/Observation.", "patient/Observation.rs ",
    "patient/Observation.rs  openid", "patient%2FObservation.rs", "patient∕Observation.rs", "patient/Nothing.rs",
    "patient/Observation.read", "user/*.*", "patient/Observation.rs?code:not=x", "patient/Observation.rs?category=lab",
    "patient/Observation.rs?subject.name=x", "admin",
    "PATIENT/Observation.rs", "launch/encounter", "patient/observation.rs",
    "openid\nfhirUser", "x" * 3000,
]  # fmt: skip


@pytest.mark.parametrize("text", GOOD)
def test_a_scope_is_read_and_written_as_it_stands(text: str) -> None:
    assert set(parse_scopes(text).text.split()) == set(text.split())


@pytest.mark.parametrize("text", BAD)
def test_a22_what_is_no_scope_is_refused_and_never_passed_over(text: str) -> None:
    with pytest.raises(Malformed, match="scope-invalid"):
        parse_scopes(text)
    with pytest.raises(Malformed, match="scope-invalid"):
        parse_scopes(f"openid {text}")


@pytest.mark.parametrize(
    ("wanted", "given", "within"),
    [
        ("patient/Observation.r", "patient/*.rs", True),
        ("patient/*.rs", "patient/*.rs openid", True),
        ("patient/*.rs", "patient/Observation.rs", False),
        ("patient/Observation.cr", "patient/*.rs", False),
        ("user/Observation.r", "patient/*.rs", False),
        ("openid", "patient/*.rs", False),
        ("patient/Observation.rs", "patient/Observation.r patient/Observation.s", False),
    ],
)
def test_a_client_gets_no_more_than_it_is_registered_for(wanted: str, given: str, within: bool) -> None:
    assert parse_scopes(wanted).within(parse_scopes(given)) is within


def test_a_scope_has_the_letters_and_levels_it_is_written_with() -> None:
    found = parse_scopes("openid patient/Observation.rs user/*.cud")
    assert found.text == "openid patient/Observation.rs user/*.cud"
    assert [(s.level, s.type, s.letters) for s in found.resources] == [
        ("patient", "Observation", "rs"), ("user", "*", "cud"),
    ]  # fmt: skip
    assert len(parse_scopes("openid openid patient/*.r patient/*.r").text.split()) == 2


@pytest.mark.parametrize(
    ("text", "needed"),
    [("launch/patient", True), ("patient/Observation.r", True), ("user/Observation.r", False), ("openid", False),
     ("launch user/*.r", False)],
)  # fmt: skip
def test_a_patient_is_needed_in_context_for_what_is_of_one(text: str, needed: bool) -> None:
    assert parse_scopes(text).of_patient is needed


def test_scopes_may_be_two_thousand_characters_and_no_more() -> None:
    text = "openid " * 284 + "patient/*.rs"
    assert len(text) == LONGEST
    assert parse_scopes(text)
    with pytest.raises(Malformed, match="scope-invalid"):
        parse_scopes("openid " * 284 + "patient/*.crs")


@pytest.mark.parametrize(
    "word",
    ["openid", "fhirUser", "profile", "launch", "launch/patient", "offline_access", "online_access"],
)
def test_what_is_about_the_launch_is_known(word: str) -> None:
    assert parse_scopes(word).context == (word,)
    assert not parse_scopes(word).within(parse_scopes("patient/*.rs"))
    assert parse_scopes(word).within(parse_scopes(f"{word} patient/*.rs"))


def test_a_cursor_is_of_one_length_says_nothing_and_opens_only_where_it_was_made() -> None:
    cursors = Cursors(b"k" * 32)
    sealed = [cursors.seal(last, "who|what") for last in ("", "2026|12", "x" * 72)]
    assert len({len(text) for text in sealed}) == 1
    assert [cursors.open(text, "who|what") for text in sealed] == ["", "2026|12", "x" * 72]
    assert len(cursors.seal("a", "s", 100)) > len(sealed[0])
    assert cursors.seal("a", "s") != cursors.seal("a", "s")
    others = [(sealed[1], "another|what"), (sealed[1][:-4], "who|what"), ("å", "who|what"), ("", "who|what")]
    for text, scope in others:
        with pytest.raises(Malformed, match="cursor-invalid"):
            cursors.open(text, scope)
    with pytest.raises(Malformed, match="cursor-invalid"):
        Cursors(b"l" * 32).open(sealed[1], "who|what")


ONE, TWO = "2512489996", "0905489998"
KEPT: list[tuple[str, bool]] = [
    # a query, and whether the log keeps the CPR numbers in it
    (f"Patient?identifier={ONE}", True),
    (f"Patient?identifier={ONE},{ONE[:6]}-{ONE[6:]}", True),
    (f"Patient?identifier={ONE},{TWO}", False),
    (f"Patient?identifier:not={ONE}", False),
    (f"Patient?_filter=identifier eq {ONE}", False),
    ("Patient?name:not=Hansen&_filter=active eq true", True),
    (f"Patient?identifier=x%7C{ONE}%2Cx%7C{TWO}", False),
    (f"Patient?identifier=1{ONE}&_filter=x", True),
]


@pytest.mark.parametrize(("query", "kept"), KEPT)
def test_the_log_names_a_cpr_only_where_nobody_but_that_person_is_found(query: str, kept: bool) -> None:
    hidden = query
    for number in (ONE, TWO) if not kept else ():
        hidden = hidden.replace(number, "(CPR)")
    assert of_one(query) == hidden
