"""One value as it is asked for, beside one as it is stored (https://hl7.org/fhir/R4/search.html).

Simple and slow on purpose, and made of nothing the server uses.
"""

from __future__ import annotations

import math
import re
import unicodedata
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

DENMARK = ZoneInfo("Europe/Copenhagen")
FOREVER = (datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC))
"""An open period; its start is later than none at all, which `_sort` puts first."""
LETTERS = {"æ": "ae", "ø": "oe", "å": "aa", "ä": "ae", "ö": "oe", "ß": "ss", "ł": "l"}


def split(text: str, mark: str) -> list[str]:
    """Split where the mark is not escaped; escapes stay."""
    parts, now, escaped = [""], 0, False
    for char in text:
        if escaped:
            parts[now] += char
            escaped = False
        elif char == "\\":
            parts[now] += char
            escaped = True
        elif char == mark:
            parts.append("")
            now += 1
        else:
            parts[now] += char
    return parts


def bare(text: str) -> str:
    """Take the escapes away."""
    return re.sub(r"\\([\\,$|])", r"\1", text)


# -- tokens


def codings(value: Any) -> list[tuple[str, str]]:
    """Return (system, code) of anything a token parameter finds."""
    if isinstance(value, bool):
        return [("", str(value).lower())]
    if isinstance(value, str):
        return [("", value)]
    if "coding" in value or "text" in value:
        return [(c.get("system", ""), c.get("code", "")) for c in value.get("coding", [])]
    if "rank" in value or value.get("system") in {"phone", "email"}:  # a ContactPoint
        return [("", value.get("value", ""))]
    return [(value.get("system", ""), value.get("code", value.get("value", "")))]


def token(asked: str, stored: Any) -> bool:
    """Say whether `code`, `system|code`, `|code` or `system|` finds a stored token."""
    parts = [bare(part) for part in split(asked, "|")]
    for system, code in codings(stored):
        if len(parts) == 1:
            if code == parts[0] != "":
                return True
        elif system == parts[0] and (code == parts[1] or (parts[1] == "" and parts[0] != "")):
            return True
    return False


# -- texts


def folded(text: str) -> str:
    """Return a text without case, accents and runs of spaces; æ, ø, å as ae, oe, aa."""
    text = "".join(LETTERS.get(char, char) for char in unicodedata.normalize("NFC", text).lower())
    text = "".join(char for char in unicodedata.normalize("NFD", text) if unicodedata.category(char) != "Mn")
    return " ".join(text.split())


def texts(value: Any) -> list[str]:
    """Return every text of a string, a name or an address; a name also as it is spoken."""
    if isinstance(value, str):
        return [value]
    plain = [value[k] for k in ("text", "family", "city", "district", "state", "postalCode", "country") if k in value]
    listed = [text for k in ("given", "prefix", "suffix", "line") for text in value.get(k, [])]
    spoken = []
    if ("family" in value or "given" in value) and "text" not in value:
        spoken = [" ".join([*value.get("given", []), value.get("family", "")]).strip()]
    return plain + listed + spoken


def string(asked: str, stored: Any) -> bool:
    """Say whether a stored text begins as asked."""
    return any(folded(text).startswith(folded(bare(asked))) for text in texts(stored))


# -- dates


def prefixed(text: str) -> tuple[str, str]:
    """Split the prefix from a value."""
    found = re.match(r"(eq|ne|gt|lt|ge|le|sa|eb|ap)?(.*)", text)
    assert found is not None
    return found[1] or "eq", found[2]


def moment(text: str) -> tuple[datetime, datetime]:
    """Return from when until when (not included) a date stands for."""
    if "T" not in text:
        year, month, day = (int(part) for part in [*text.split("-"), "0", "0"][:3])
        start = datetime(year, month or 1, day or 1, tzinfo=DENMARK)
        if day:
            end = start + timedelta(days=1)
        elif month:
            end = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=DENMARK)
        else:
            end = datetime(year + 1, 1, 1, tzinfo=DENMARK)
        return start.astimezone(UTC), end.astimezone(UTC)
    stated = datetime.fromisoformat(text)
    start = (stated if stated.tzinfo else stated.replace(tzinfo=DENMARK)).astimezone(UTC)
    clock = re.sub(r"(Z|[+-]\d\d:\d\d)$", "", text.split("T")[1])
    if clock.count(":") == 1:
        return start, start + timedelta(minutes=1)
    return start, start + (timedelta(milliseconds=1) if "." in clock else timedelta(seconds=1))


def period(value: Any) -> tuple[datetime, datetime] | None:
    """Return what a stored date or Period covers."""
    if isinstance(value, str):
        return moment(value)
    if "start" not in value and "end" not in value:
        return None
    start = moment(value["start"])[0] if "start" in value else FOREVER[0]
    return start, moment(value["end"])[1] if "end" in value else FOREVER[1]


def compare(prefix: str, asked: tuple[Any, Any], stored: tuple[Any, Any]) -> bool:
    """Compare two ranges, both without their end.

    `ge` and `le` are open to whatever reaches into the range asked for.
    """
    (begin, end), (start, until) = asked, stored
    return bool(
        {
            "eq": begin <= start and until <= end,
            "ne": not (begin <= start and until <= end),
            "gt": until > end,
            "lt": start < begin,
            "ge": until > begin,
            "le": start < end,
            "sa": start >= end,
            "eb": until <= begin,
            "ap": start < end and until > begin,
        }[prefix]
    )


def date(asked: str, stored: Any) -> bool:
    """Say whether a date with its prefix finds a stored date or Period."""
    prefix, text = prefixed(bare(asked))
    covered = period(stored)
    return covered is not None and compare(prefix, moment(text.replace(" ", "+")), covered)


# -- numbers and quantities

UCUM = "http://unitsofmeasure.org"
MEASURES: dict[str, tuple[str, Fraction, Fraction]] = {
    code: (base, Fraction(factor), Fraction(zero))
    for code, base, factor, zero in (
        ("kg", "g", "1000", "0"), ("g", "g", "1", "0"), ("mg", "g", "1/1000", "0"), ("[lb_av]", "g", "453.59237", "0"),
        ("mm[Hg]", "Pa", "133.322", "0"), ("kPa", "Pa", "1000", "0"), ("bar", "Pa", "100000", "0"),
        ("/min", "/s", "1/60", "0"), ("Hz", "/s", "1", "0"), ("{beats}/min", "/s", "1/60", "0"),
        ("Cel", "K", "1", "273.15"), ("K", "K", "1", "0"), ("[degF]", "K", "5/9", "45967/180"),
        ("mmol/L", "mol/m3", "1", "0"), ("umol/mL", "mol/m3", "1", "0"), ("mol/m3", "mol/m3", "1", "0"),
        ("10*9/L", "/m3", "1000000000000", "0"), ("/uL", "/m3", "1000000000", "0"),
        ("[IU]/mL", "[IU]/m3", "1000000", "0"), ("k[IU]/L", "[IU]/m3", "1000000", "0"),
    )
}  # fmt: skip
"""What a unit measures, as so many of it and from which zero; by hand from the tables of UCUM."""


def number(asked: str, stored: Any) -> bool:
    """Say whether a number with its prefix finds a stored number; only `eq` and `ne` mind its digits."""
    prefix, text = prefixed(asked)
    return measure(prefix, bounds(prefix, text), (Fraction(str(stored)), Fraction(str(stored))))


Number = Fraction | float  # the float is infinite


def bounds(prefix: str, text: str) -> tuple[Fraction, Fraction, Fraction]:
    """Return a number as written, with what its digits, or `ap`, leave open on both sides."""
    value = Fraction(text)
    half = Fraction(1, 2) * Fraction(10) ** int(Decimal(text).as_tuple().exponent)
    width = abs(value) / 10 if prefix == "ap" else half
    return value, value - width, value + width


def measure(prefix: str, asked: tuple[Number, Number, Number], stored: tuple[Number, Number]) -> bool:
    """Compare a number and its bounds with what lies from `low` to `high`, both included."""
    (value, least, most), (low, high) = asked, stored
    within = least <= low and high < most
    return {
        "eq": within,
        "ne": not within,
        "gt": high > value,
        "lt": low < value,
        "ge": high >= value,
        "le": low <= value,
        "sa": low > value,
        "eb": high < value,
        "ap": low <= most and high >= least,
    }[prefix]


def quantity(asked: str, stored: Any) -> bool:
    """Say whether `5.4`, `5.4|system|code` or `5.4||unit` finds a stored Quantity."""
    if "value" not in stored:
        return False
    text, *unit = [bare(part) for part in split(asked, "|")]
    prefix, digits = prefixed(text)
    number = Fraction(str(stored["value"]))
    low: Number = -math.inf if stored.get("comparator", "").startswith("<") else number
    high: Number = math.inf if stored.get("comparator", "").startswith(">") else number
    wanted = bounds(prefix, digits)
    if unit and unit[0] == UCUM and unit[1] in MEASURES:
        own = MEASURES.get(stored.get("code", "")) if stored.get("system") == UCUM else None
        base, *scale = MEASURES[unit[1]]
        if own is None or own[0] != base:
            return False
        value, least, most = (one * scale[0] + scale[1] for one in wanted)
        return measure(prefix, (value, least, most), (low * own[1] + own[2], high * own[1] + own[2]))
    if unit and unit[1]:
        system, code = unit
        units = {(stored.get("system", ""), stored.get("code")), ("", stored.get("code")), ("", stored.get("unit"))}
        if (system, code) not in units:
            return False
    return measure(prefix, wanted, (low, high))


def uri(asked: str, stored: Any) -> bool:
    """Say whether a uri is the same."""
    return bool(bare(asked) == stored)


# -- value sets and hierarchies, a few of R4's by hand

STATUS = "http://hl7.org/fhir/observation-status"
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
CLASS = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
BELOW: dict[str, dict[str, tuple[str, ...]]] = {
    CLINICAL: {"active": ("recurrence", "relapse"), "recurrence": (), "inactive": ("remission", "resolved")},
    STATUS: {"amended": ("corrected",), "corrected": (), "final": ()},
    CLASS: {"IMP": ("ACUTE", "NONAC"), "ACUTE": (), "AMB": ()},
}
SETS: dict[str, tuple[tuple[str, str], ...]] = {
    "http://hl7.org/fhir/ValueSet/observation-status": tuple(
        (STATUS, code) for code in ("registered", "preliminary", "final", "amended", "corrected", "cancelled",
                                    "entered-in-error", "unknown")),
    "http://hl7.org/fhir/ValueSet/condition-clinical|4.0.1": tuple(
        (CLINICAL, code) for code in ("active", "recurrence", "relapse", "inactive", "remission", "resolved")),
    "http://hl7.org/fhir/ValueSet/administrative-gender": tuple(
        ("http://hl7.org/fhir/administrative-gender", code) for code in ("male", "female", "other", "unknown")),
    "http://hl7.org/fhir/ValueSet/yesnodontknow": (
        ("http://terminology.hl7.org/CodeSystem/v2-0136", "Y"), ("http://terminology.hl7.org/CodeSystem/v2-0136", "N"),
        ("http://terminology.hl7.org/CodeSystem/data-absent-reason", "asked-unknown")),
}  # fmt: skip


def among(wanted: tuple[tuple[str, str], ...], stored: Any) -> bool:
    """Say whether a stored token is one of some; an element of type code names no system."""
    if isinstance(stored, str):
        return stored in [code for _, code in wanted]
    return any(coding in wanted for coding in codings(stored))


def member(asked: str, stored: Any) -> bool:
    """Say whether a token is in a value set."""
    return among(SETS[asked], stored)


def subsumed(asked: str, stored: Any) -> bool:
    """Say whether a token is the asked one, or below it."""
    system, code = asked.split("|")
    return among(tuple((system, one) for one in (code, *BELOW[system][code])), stored)


def subsuming(asked: str, stored: Any) -> bool:
    """Say whether a token is the asked one, or above it."""
    system, code = asked.split("|")
    return among(tuple((system, one) for one in [code, *(up for up, under in ABOVE if code in under)]), stored)


ABOVE = [(up, under) for known in BELOW.values() for up, under in known.items()]


# -- modifiers


def text(asked: str, stored: Any) -> bool:
    """Say whether the text of a code, or one of its displays, begins as asked."""
    if isinstance(stored, dict) and "value" in stored:
        stored = {"text": stored.get("type", {}).get("text")}
    if not isinstance(stored, dict):
        return False
    listed = [stored.get("text"), stored.get("display"), *(c.get("display") for c in stored.get("coding", []))]
    return any(folded(word).startswith(folded(bare(asked))) for word in listed if word)


def of_type(asked: str, stored: Any) -> bool:
    """Say whether an identifier is of a type, `system|code|value`."""
    system, code, value = (bare(part) for part in split(asked, "|"))
    types = stored.get("type", {}).get("coding", [])
    return value == stored["value"] and any(c.get("system") == system and c.get("code") == code for c in types)


def exact(asked: str, stored: Any) -> bool:
    """Say whether a text stands just so."""
    return bare(asked) in texts(stored)


def contains(asked: str, stored: Any) -> bool:
    """Say whether a text has the asked one anywhere."""
    return any(folded(bare(asked)) in folded(text) for text in texts(stored))


def below(asked: str, stored: Any) -> bool:
    """Say whether a url is the asked one, or goes on from it with a further segment."""
    url = bare(asked).rstrip("/")
    return bool(stored == url or stored.startswith(url + "/"))


def above(asked: str, stored: Any) -> bool:
    """Say whether the asked url is, or goes on from, a stored one."""
    return "://" in stored and below(stored, bare(asked).rstrip("/"))


# -- places

RADIUS = 6_371_008.8
"""Metres; the Earth as a sphere."""
LENGTHS = {"": 1000.0, "km": 1000.0, "m": 1.0, "[mi_i]": 1609.344}


def near(asked: str, stored: Any) -> bool:
    """Say whether a position is within `latitude|longitude|distance|units`, by the angle between two vectors."""
    latitude, longitude, distance, units = [*asked.split("|"), "", ""][:4]
    one = direction(float(latitude), float(longitude))
    other = direction(float(str(stored["latitude"])), float(str(stored["longitude"])))
    cross = (
        one[1] * other[2] - one[2] * other[1],
        one[2] * other[0] - one[0] * other[2],
        one[0] * other[1] - one[1] * other[0],
    )
    apart = math.atan2(math.hypot(*cross), sum(a * b for a, b in zip(one, other, strict=True))) * RADIUS
    most = float(distance) * LENGTHS[units] if distance else 10_000
    assert abs(apart - most) > 1e-3, "a place on the rim is nobody's"
    return apart < most


def direction(latitude: float, longitude: float) -> tuple[float, float, float]:
    """Return the vector from the middle of the Earth to a place."""
    up, turn = math.radians(latitude), math.radians(longitude)
    return math.cos(up) * math.cos(turn), math.cos(up) * math.sin(turn), math.sin(up)
