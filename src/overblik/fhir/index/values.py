"""Values as they are compared: intervals of dates and numbers, folded text, coded pairs."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, NamedTuple

from overblik.fhir.dates import EARLIEST, LATEST, Interval, parse_interval
from overblik.fhir.identifiers import canonical
from overblik.fhir.references import parse_reference
from overblik.fhir.units import UCUM, unit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from overblik.fhir.fhirpath import Item

LONGEST = 200
"""Characters of a text that are kept; a longer search is compared by its beginning."""
_INFINITE = Decimal("Infinity")
_MOST_DIGITS = 100


class Span(NamedTuple):
    """From `lo` to `hi`, both inside; the same for a plain number. `units` are (system, code or unit)."""

    lo: Decimal
    hi: Decimal
    units: tuple[tuple[str, str], ...] = ()


def interval_of(kind: str, value: Any) -> Interval | None:
    """Return the interval of a date, dateTime, instant, Period or Timing; open ends reach far."""
    if isinstance(value, str):
        return parse_interval(value)
    if not isinstance(value, dict):
        return None
    if kind == "Timing":
        events = [i for e in value.get("event", ()) if (i := parse_interval(str(e)))]
        return Interval(min(i.start for i in events), max(i.end for i in events)) if events else None
    start = parse_interval(str(value.get("start", "")))
    end = parse_interval(str(value.get("end", "")))
    if start is None and end is None:
        return None
    return Interval(start.start if start else EARLIEST, end.end if end else LATEST)


def codings_of(item: Item) -> Iterator[tuple[str, str]]:
    """Yield (system, code) of a Coding, CodeableConcept, Identifier, ContactPoint, code or boolean."""
    value: Any = item.value
    if isinstance(value, str):
        yield "", value
    elif isinstance(value, bool):
        yield "", "true" if value else "false"
    elif not isinstance(value, dict):
        return
    elif item.type == "CodeableConcept":
        for coding in value.get("coding", ()):
            yield str(coding.get("system", "")), str(coding.get("code", ""))
    elif item.type == "Identifier":
        yield canonical(str(value.get("system", "")), str(value.get("value", "")))
    elif item.type == "ContactPoint":
        yield "", str(value.get("value", ""))
    else:
        yield str(value.get("system", "")), str(value.get("code", ""))


def links_of(item: Item) -> Iterator[str]:
    """Yield what a reference can be found by: `Type/id`, or the URL it is, without and with its version."""
    value: Any = item.value
    if isinstance(value, str):
        yield value
        if "|" in value:
            yield value.partition("|")[0]
    elif isinstance(value, dict) and (text := value.get("reference")):
        found = parse_reference(str(text))
        if found is None:
            yield str(text)
        else:
            name = f"{found.base}/{found.type}/{found.id}" if found.base else f"{found.type}/{found.id}"
            yield name
            if found.version:
                yield f"{name}/_history/{found.version}"
    elif isinstance(value, dict) and "resourceType" in value and "id" in value:
        yield f"{value['resourceType']}/{value['id']}"


def logical_of(item: Item) -> tuple[str, str] | None:
    """Return (system, value) of the identifier in a reference."""
    stated = item.value.get("identifier") if isinstance(item.value, dict) else None
    if item.type != "Reference" or not isinstance(stated, dict):
        return None
    return canonical(str(stated.get("system", "")), str(stated.get("value", "")))


def decimal_of(value: Any) -> Decimal | None:
    """Return a JSON number exactly; None for what is none, or beyond any measurement."""
    if isinstance(value, (bool, str, dict, list)) or value is None:
        return None
    text = value.__bytes__().decode() if hasattr(value, "__bytes__") else str(value)
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number.adjusted()) <= _MOST_DIGITS else None


def span_of(item: Item) -> Span | None:
    """Return the span of a number, Quantity, Money or Range; a comparator opens one end."""
    value: Any = item.value
    if not isinstance(value, dict):
        number = decimal_of(value)
        return None if number is None else Span(number, number)
    if item.type == "Range":
        low, high = value.get("low", {}), value.get("high", {})
        lo, hi = decimal_of(low.get("value")), decimal_of(high.get("value"))
        if lo is None and hi is None:
            return None
        return Span(-_INFINITE if lo is None else lo, _INFINITE if hi is None else hi, _units(low or high))
    number = decimal_of(value.get("value"))
    if number is None:
        return None
    comparator = str(value.get("comparator", ""))
    lo = -_INFINITE if comparator.startswith("<") else number
    hi = _INFINITE if comparator.startswith(">") else number
    return Span(lo, hi, _units(value))


def measured_of(item: Item) -> tuple[str, Span] | None:
    """Return the span of a Quantity or Range in base units, with these; None where its units are not known."""
    span, value = span_of(item), item.value
    if span is None or not isinstance(value, dict):
        return None
    ends = [value["low"], value["high"]] if item.type == "Range" and len({"low", "high"} & value.keys()) == 2 else []
    ends = ends or [value.get("low") or value.get("high") or value]
    units = [unit(str(end.get("code", ""))) for end in ends if end.get("system") == UCUM]
    lo, hi = (units[0], units[-1]) if len(units) == len(ends) else (None, None)
    if lo is None or hi is None or lo.base != hi.base:
        return None
    return lo.base, Span(lo.convert(span.lo), hi.convert(span.hi))


def _units(quantity: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    if currency := quantity.get("currency"):
        return (("urn:iso:std:iso:4217", str(currency)),)
    system, code, unit = (str(quantity.get(k, "")) for k in ("system", "code", "unit"))
    found = [(system, code)] if code else []
    return (*found, ("", unit)) if unit and unit != code else tuple(found)


def place_of(item: Item) -> tuple[Decimal, Decimal] | None:
    """Return latitude and longitude of a position, in degrees of WGS 84; a longitude is at least -180 and below 180."""
    value: Any = item.value
    if not isinstance(value, dict):
        return None
    latitude, longitude = decimal_of(value.get("latitude")), decimal_of(value.get("longitude"))
    if latitude is None or longitude is None or abs(latitude) > 90 or abs(longitude) > 360:
        return None
    turned = longitude + 360 if longitude < -180 else longitude - 360 if longitude >= 180 else longitude
    return latitude, turned


_NAME = ("text", "family", "given", "prefix", "suffix")
_ADDRESS = ("text", "line", "city", "district", "state", "postalCode", "country")


def exact_texts_of(item: Item) -> Iterator[str]:
    """Yield the texts of a string, HumanName or Address as they stand; a name also as it is spoken."""
    value: Any = item.value
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict) and item.type in {"HumanName", "Address"}:
        for part in _NAME if item.type == "HumanName" else _ADDRESS:
            stated = value.get(part, ())
            for text in [stated] if isinstance(stated, str) else stated:
                yield str(text or "")
        if item.type == "HumanName" and "text" not in value:
            yield " ".join([*(str(g) for g in value.get("given", ()) if g), str(value.get("family", ""))]).strip()


def words_of(item: Item) -> Iterator[str]:
    """Yield the folded texts that stand with a code: a concept's text and displays, an identifier's type."""
    value: Any = item.value
    if not isinstance(value, dict):
        return
    if item.type == "CodeableConcept":
        concept = value
    elif item.type == "Identifier":
        concept = {"text": value.get("type", {}).get("text")}
    else:
        concept = {"coding": [value]}
    stated = [concept.get("text"), *(coding.get("display") for coding in concept.get("coding", ()))]
    for text in stated:
        if text and (folded := fold(str(text))):
            yield folded


def typed_of(item: Item) -> Iterator[tuple[str, str]]:
    """Yield (system, `code|value`) of an identifier's type, for `:of-type`."""
    value: Any = item.value
    if item.type == "Identifier" and isinstance(value, dict) and "value" in value:
        for coding in value.get("type", {}).get("coding", ()):
            yield str(coding.get("system", "")), f"{coding.get('code', '')}|{value['value']}"


_LETTERS = str.maketrans({
    "å": "aa", "æ": "ae", "ø": "oe", "ä": "ae", "ö": "oe", "ß": "ss", "đ": "d", "ð": "d", "þ": "th", "ł": "l", "ŋ": "n",
})  # fmt: skip
_SPACES = re.compile(r"\s+")


def fold(text: str) -> str:
    """Return a text as it is compared: small letters, no accents, å as aa, æ as ae, ø as oe.

    >>> fold("Åse  Sørensen-Né")
    'aase soerensen-ne'
    """
    small = unicodedata.normalize("NFC", text).casefold().translate(_LETTERS)
    if not small.isascii():
        small = "".join(c for c in unicodedata.normalize("NFKD", small) if not unicodedata.combining(c))
        small = small.casefold().translate(_LETTERS)
    return _SPACES.sub(" ", small).strip()[:LONGEST]
