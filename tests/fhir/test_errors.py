"""Errors and the OperationOutcome that carries them."""

from __future__ import annotations

import inspect
import re

import pytest

from overblik.fhir import errors
from overblik.fhir.definitions import r4
from overblik.fhir.errors import Issue, Malformed, NotFound, OverblikError, Unauthenticated, Unprocessable
from overblik.fhir.outcome import operation_outcome
from overblik.fhir.structure import check

CLASSES = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, OverblikError)]
DRAWN = dict(re.findall(r"── (\w+) +(\d{3}) ", errors.__doc__ or ""))


def make(error: type[OverblikError]) -> OverblikError:
    return error() if error in {NotFound, Unauthenticated} else error("some-code", "Some text.")


def test_the_tree_is_drawn_as_it_is() -> None:
    assert {c.__name__: str(c.status) for c in CLASSES if c is not OverblikError} == DRAWN
    assert len(DRAWN) == 17


@pytest.mark.parametrize("error", CLASSES)
def test_every_error_makes_an_outcome_that_is_valid_fhir(error: type[OverblikError]) -> None:
    assert check(operation_outcome(make(error).issues)) == []


@pytest.mark.parametrize("error", CLASSES)
def test_every_kind_of_error_is_one_of_fhirs(error: type[OverblikError]) -> None:
    codes = r4().types["OperationOutcome.issue"].elements["code"].codes
    assert codes is not None
    assert error.kind in codes
    assert make(error).issues[0].kind == error.kind


def test_an_error_tells_its_code_text_and_place() -> None:
    error = Unprocessable("a-code", "A text.", expression="Patient.name", kind="value")
    assert (error.code, error.text, error.status) == ("a-code", "A text.", 422)
    assert error.issues == (Issue("a-code", "A text.", "value", "Patient.name"),)
    assert str(error) == "a-code: A text."


def test_an_error_of_several_issues_is_named_for_the_first() -> None:
    issues = [Issue("one", "One."), Issue("two", "Two.", "value", "Patient")]
    error = Malformed.of(issues)
    assert isinstance(error, Malformed)
    assert (error.code, error.issues) == ("one", tuple(issues))


def test_an_error_nobody_expected_is_a_500() -> None:
    assert OverblikError.status == 500


def test_whatever_is_wrong_with_a_credential_has_one_text() -> None:
    text = "Sign in, or send a valid access token."
    assert Unauthenticated().issues == (Issue("sign-in-needed", text, "login"),)


def test_absent_and_hidden_have_one_text() -> None:
    assert NotFound().issues == (Issue("not-found", "There is nothing here that you can see.", "not-found"),)


def test_an_outcome_has_the_code_the_text_and_the_place_where_there_is_one() -> None:
    outcome = operation_outcome([Issue("one", "One."), Issue("two", "Two.", "value", "Patient.name[0]", "warning")])
    assert outcome == {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "severity": "error",
                "code": "invalid",
                "details": {"coding": [{"system": "urn:overblik:error", "code": "one"}], "text": "One."},
            },
            {
                "severity": "warning",
                "code": "value",
                "details": {"coding": [{"system": "urn:overblik:error", "code": "two"}], "text": "Two."},
                "expression": ["Patient.name[0]"],
            },
        ],
    }
