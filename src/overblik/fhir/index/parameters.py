"""Which search parameters a type has, and under which name each is kept.

Those of the standard and of our own are the program's; a database may have more (`catalogue.py`).

Of every type one token parameter and one date parameter are its *headlines*: they stand in the
resource's own row, and ordered search goes by them.
"""

from __future__ import annotations

import hashlib
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from overblik.fhir.definitions import SearchParameter, r4
from overblik.fhir.index.catalogue import used

if TYPE_CHECKING:
    from overblik.fhir.index.catalogue import Custom

_OWN = {
    (kind, "date"): SearchParameter("date", "date", (kind,), expression, f"urn:overblik:search:{kind}-date")
    for kind, expression in {
        "Communication": "Communication.sent",
        "CommunicationRequest": "CommunicationRequest.authoredOn",
        "Condition": "Condition.onset.as(dateTime) | Condition.onset.as(Period) | Condition.recordedDate",
        "Goal": "Goal.start.as(date) | Goal.statusDate",
        "Task": "Task.authoredOn",
        "Provenance": "Provenance.occurred",
    }.items()
}
"""Appointments and messages as Denmark writes them have their usual date as `date`."""

KEPT = frozenset({"token", "reference", "uri", "date", "string", "number", "quantity", "special"})
NOT_KEPT = frozenset({"_id", "_lastUpdated"})
"""Answered by columns of their own."""


def standard(resource_type: str, code: str) -> SearchParameter | None:
    """Return a type's parameter, of the standard or of our own."""
    return r4().param(resource_type, code) or _OWN.get((resource_type, code))


def parameter(resource_type: str, code: str) -> SearchParameter | None:
    """Return a type's parameter, whoever defined it."""
    custom = used().find(resource_type, code)
    return custom.param if custom is not None else standard(resource_type, code)


def parameters(resource_type: str) -> dict[str, SearchParameter]:
    """Return every parameter of a type that has an expression, by code."""
    return with_customs(resource_type, used().of(resource_type))


@lru_cache(maxsize=1_000)
def with_customs(resource_type: str, customs: tuple[Custom, ...]) -> dict[str, SearchParameter]:
    """Return the parameters of the standard and these."""
    return standards(resource_type) | {custom.param.code: custom.param for custom in customs}


@cache
def standards(resource_type: str) -> dict[str, SearchParameter]:
    """Return the parameters of a type that have an expression, of the standard and of our own."""
    every = r4().params
    codes = {code for base, code in every if base in {resource_type, "DomainResource", "Resource"}}
    codes |= {code for base, code in _OWN if base == resource_type}
    found = {code: standard(resource_type, code) for code in sorted(codes)}
    return {code: p for code, p in found.items() if p is not None and p.expression}


_TOKENS = ("code", "vaccine-code", "type", "service-type", "category", "event", "class")
_DATES = ("date", "effective-time", "effective", "authored", "authored-on", "whenhandedover", "whenprepared", "created",
          "period", "occurrence", "started", "identified", "collected", "datetime", "datewritten",
          "birthdate")  # fmt: skip
_DATE_OF = {"MedicationRequest": "authoredon", "DeviceRequest": "authored-on", "ChargeItem": "occurrence"}
"""A MedicationRequest's `date` is when it is to be given, and seldom stands there."""


@cache
def headline_token(resource_type: str) -> str:
    """Return the code of the token parameter by which a type is listed, "" for none."""
    return next((c for c in _TOKENS if (p := standard(resource_type, c)) is not None and p.type == "token"), "")


@cache
def headline_date(resource_type: str) -> str:
    """Return the code of the date parameter by which a type is ordered, "" for none."""
    if resource_type in _DATE_OF:
        return _DATE_OF[resource_type]
    return next((c for c in _DATES if (p := standard(resource_type, c)) is not None and p.type == "date"), "")


def places(resource_type: str) -> dict[str, int]:
    """Return the bit of each kept name in a row's `present`, by which `:missing` is asked.

    No type of R4 has more than 49 parameters with an expression; a bigint has 64 bits.
    """
    return _places(resource_type, used().of(resource_type))


@lru_cache(maxsize=1_000)
def _places(resource_type: str, customs: tuple[Custom, ...]) -> dict[str, int]:
    found = {code: place for place, code in enumerate(standards(resource_type))}
    return found | {custom.kept: dict(custom.places)[resource_type] for custom in customs}


_BOTH = {
    "combo-code": ("code", "component-code"),
    "combo-data-absent-reason": ("data-absent-reason", "component-data-absent-reason"),
    "combo-value-concept": ("value-concept", "component-value-concept"),
    "combo-code-value-concept": ("code-value-concept", "component-code-value-concept"),
    "combo-code-value-quantity": ("code-value-quantity", "component-code-value-quantity"),
    "value-quantity": ("code-value-quantity",),
    "component-value-quantity": ("component-code-value-quantity",),
    "combo-value-quantity": ("code-value-quantity", "component-code-value-quantity"),
    "value-date": ("code-value-date",),
    "value-string": ("code-value-string",),
}
"""Parameters of Observation that are kept once, with the code they belong to, and not twice over."""


def kept_as(resource_type: str, code: str) -> tuple[str, ...]:
    """Return the names under which a parameter's rows and tokens are kept; mostly its own."""
    if (custom := used().find(resource_type, code)) is not None:
        return (custom.kept,)
    if code == "patient" and "subject" in standards(resource_type):
        return ("subject",)
    return _BOTH.get(code, (code,)) if resource_type == "Observation" else (code,)


def measured(code: str) -> str:
    """Return the name under which a parameter's quantities are kept in base units, beside those as they stand."""
    return code + "~"


@cache
def number_of(resource_type: str, code: str) -> int:
    """Return the number under which a parameter's narrow rows are kept: 31 bits of its name."""
    return int.from_bytes(hashlib.sha256(f"{resource_type}.{code}".encode()).digest()[:4], "big") >> 1


@cache
def component_type(url: str) -> str:
    """Return the type of the parameter that a composite's component names."""
    return _types_by_url().get(url, "")


@cache
def _types_by_url() -> dict[str, str]:
    return {p.url: p.type for p in r4().params.values()}
