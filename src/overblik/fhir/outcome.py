"""OperationOutcome (https://hl7.org/fhir/R4/operationoutcome.html)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from overblik.fhir.errors import Issue
    from overblik.fhir.strict_json import Json

ERROR_SYSTEM = "urn:overblik:error"


def operation_outcome(issues: Iterable[Issue]) -> Json:
    """Return the resource that carries these issues."""
    return {"resourceType": "OperationOutcome", "issue": [_issue(issue) for issue in issues]}


def _issue(issue: Issue) -> Json:
    body: Json = {
        "severity": issue.severity,
        "code": issue.kind,
        "details": {"coding": [{"system": ERROR_SYSTEM, "code": issue.code}], "text": issue.text},
    }
    if issue.expression:
        body["expression"] = [issue.expression]
    return body
