"""One value of a search, from text to what it stands for."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING

from overblik.fhir.dates import Interval, parse_interval
from overblik.fhir.errors import Malformed
from overblik.fhir.identifiers import CPR, canonical
from overblik.fhir.index import fold
from overblik.fhir.query.tree import (
    MOST_VALUES,
    Amount,
    Base,
    Composites,
    Dates,
    Links,
    Missing,
    Numbers,
    Patients,
    Strings,
    Tokens,
    Updated,
    Words,
)
from overblik.fhir.references import elsewhere, parse_reference
from overblik.fhir.units import UCUM, unit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from overblik.fhir.query.tree import How

    Part = Tokens | Links | Dates | Numbers | Strings

PREFIXES = frozenset({"eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"})
_NUMBER = re.compile(r"[+-]?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,2})?", re.ASCII)


def refuse(param: str, text: str) -> Malformed:
    """Return the error of a value that cannot be read."""
    return Malformed("search-value-invalid", text, expression=f"http.{param[:64]}")


MOST_PARTS = 500
MOST_TARGETS = 2_000


def split(value: str, separator: str = ",") -> list[str]:
    """Split on a separator that is not escaped with a backslash; escapes stay for `plain`."""
    parts: list[str] = []
    begin = 0
    for found in re.finditer(rf"\\.|{re.escape(separator)}", value):
        if found[0] == separator:
            parts.append(value[begin : found.start()])
            begin = found.end()
    if len(parts) >= MOST_PARTS:
        raise Malformed("search-too-long", f"At most {MOST_PARTS} values at once.")
    return [*parts, value[begin:]]


def plain(text: str) -> str:
    """Remove the escapes (https://hl7.org/fhir/R4/search.html#escaping)."""
    return re.sub(r"\\([\\,|$])", r"\1", text)


def _system_and_value(text: str) -> tuple[str | None, str]:
    system, *rest = split(text, "|")
    return (plain(system), plain("|".join(rest))) if rest else (None, plain(system))


def tokens(param: str, parts: Sequence[str]) -> Tokens:
    """Read `system|value`, `|value`, `value` and `system|`."""
    return Tokens(param, tuple(_token(param, part) for part in parts))


def _token(param: str, text: str) -> tuple[str | None, str | None]:
    system, value = _system_and_value(text)
    if param.endswith("identifier"):
        named = canonical(CPR if system is None and _looks_cpr(value) else system or "", value)
        system, value = named.system if system is not None else None, named.value
    return system, value if value or system is None else None


def _looks_cpr(text: str) -> bool:
    return re.fullmatch(r"[0-9]{6}-?[0-9]{4}", text) is not None


def is_elsewhere(part: str) -> bool:
    """Say whether a value names what another server has."""
    reference = parse_reference(plain(part))
    return reference is not None and elsewhere(reference)


def patients(value: str) -> Patients:
    """Read the ids of Patients."""
    ids = []
    for part in map(plain, split(value)):
        kind, _, identifier = part.rpartition("/")
        if kind and kind.rsplit("/", 1)[-1] != "Patient":
            raise refuse("patient", "patient takes the id of a Patient.")
        ids.append(identifier)
    return Patients(ids=tuple(ids))


def patient_identifiers(value: str) -> Patients:
    """Read the identifiers of patients; a bare number like a CPR is one, anything else is a token like any."""
    named = []
    for system, text in map(_system_and_value, split(value)):
        if not text or (system is None and not _looks_cpr(text)):
            return Patients(matching=tokens("identifier", split(value)))
        named.append(canonical(CPR if system is None else system, text))
    return Patients(identifiers=tuple(named))


def links(param: str, parts: Sequence[str], targets: Sequence[str]) -> Links:
    """Read references: `Type/id`, an id of one of the target types, or a URL.

    One that names a version finds what names that version; one of this server's own address is as `Type/id`.
    """
    found: list[str] = []
    for text in map(plain, parts):
        reference = parse_reference(text)
        if reference is not None:
            name = f"{reference.type}/{reference.id}"
            name += f"/_history/{reference.version}" if reference.version else ""
            found += [] if elsewhere(reference) else [name]
            found += [f"{reference.base}/{name}"] if reference.base else []
        elif "/" in text or ":" in text:
            found.append(text)
        else:
            found += [f"{target}/{text}" for target in targets]
    if len(found) > MOST_TARGETS:
        text = f"{param} can be of many types; with so many values, write each as Type/id."
        raise Malformed("search-too-long", text, expression=f"http.{param}")
    return Links(param, tuple(dict.fromkeys(found)))


def uris(param: str, parts: Sequence[str]) -> Links:
    """Read uris, which are compared as they are."""
    return Links(param, tuple(plain(part) for part in parts))


def _limited(param: str, parts: Sequence[str]) -> Sequence[str]:
    if len(parts) > MOST_VALUES:
        raise Malformed("search-too-long", f"At most {MOST_VALUES} values in {param}.", expression=f"http.{param}")
    return parts


def dates(param: str, parts: Sequence[str]) -> Dates:
    """Read dates, each with its prefix."""
    return Dates(param, tuple(_date(param, plain(part)) for part in _limited(param, parts)))


def updated(parts: Sequence[str]) -> Updated:
    """Read the instants of `_lastUpdated`."""
    return Updated(dates("_lastUpdated", parts).values)


def _prefixed(text: str) -> tuple[str, str]:
    return (text[:2], text[2:]) if text[:2] in PREFIXES else ("eq", text)


def _date(param: str, text: str) -> tuple[str, Interval]:
    prefix, rest = _prefixed(text)
    interval = parse_interval(rest.replace(" ", "+"))
    if interval is None:
        raise refuse(param, f"{param} takes a date such as 2026-11-22 or ge2026-11, not {text[:40]!r}.")
    return prefix, interval


def decimal(text: str) -> Decimal | None:
    """Return a number as it is written, None where it is none."""
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def numbers(param: str, parts: Sequence[str]) -> Numbers:
    """Read numbers and quantities: `gt5.4`, `5.4|system|code`, `5.4||unit`."""
    return Numbers(param, tuple(_number(param, part) for part in _limited(param, parts)))


def _number(param: str, text: str) -> tuple[str, Amount, tuple[str | None, str] | Base | None]:
    stated, *named = map(plain, split(text, "|"))
    prefix, digits = _prefixed(stated)
    value = decimal(digits)
    if value is None or len(named) not in {0, 2}:
        raise refuse(param, f"{param} takes a number such as 5.4, gt5 or 5.4|system|code, not {text[:40]!r}.")
    exponent = value.as_tuple().exponent
    half = abs(value) / 10 if prefix == "ap" else Decimal(5).scaleb((exponent if isinstance(exponent, int) else 0) - 1)
    amount = Amount(value, value - half, value + half)
    if not named or not named[1]:
        return prefix, amount, None
    system, code = named
    if system == UCUM and (known := unit(code)) is not None:
        return prefix, Amount(*map(known.convert, amount)), Base(known.base)
    return prefix, amount, (system or None, code)


def strings(param: str, parts: Sequence[str], *, how: How = "begins") -> Strings:
    """Read texts, folded as they are kept."""
    return Strings(param, _folded(param, parts), how)


def _folded(param: str, parts: Sequence[str]) -> tuple[str, ...]:
    """Fold; what folds to nothing would find everything."""
    found = tuple(fold(plain(part)) for part in _limited(param, parts))
    if not all(found):
        raise refuse(param, f"{param} takes at least one letter or digit.")
    return found


def exact(param: str, parts: Sequence[str]) -> Tokens:
    """Read texts that must stand so, letter for letter."""
    return Tokens(f"{param}:exact", tuple((None, plain(part)) for part in parts))


def words(param: str, parts: Sequence[str]) -> Words:
    """Read the beginnings of the texts that stand with codes."""
    return Words(f"{param}:text", beginnings=_folded(param, parts))


def typed(param: str, parts: Sequence[str]) -> Tokens:
    """Read `system|code|value`: the type of an identifier, and its value."""
    found = []
    for part in parts:
        stated = [plain(text) for text in split(part, "|")]
        if len(stated) != 3 or not all(stated):
            raise refuse(param, f"{param}:of-type takes system|code|value.")
        found.append((stated[0], f"{stated[1]}|{stated[2]}"))
    return Tokens(f"{param}:of-type", tuple(found))


def below(param: str, parts: Sequence[str]) -> Words:
    """Read urls: itself, and what lies below it by the segments of its path, or by the parts of its version."""
    found = tuple(_url(param, part) for part in _limited(param, parts))
    return Words(param, found, tuple(url + ("." if "|" in url else "/") for url in found))


def above(param: str, parts: Sequence[str]) -> Links:
    """Read urls: itself, and what it lies below."""
    found: list[str] = []
    for part in _limited(param, parts):
        url = _url(param, part)
        while "://" in url and not url.endswith("/"):
            found += [url, url + "/"]
            url = url.rpartition("/")[0]
    return Links(param, tuple(found))


def _url(param: str, part: str) -> str:
    url = plain(part).rstrip("/")
    if "://" not in url:
        raise refuse(param, f"{param}:below and :above take a url with a path.")
    return url


def missing(param: str, value: str) -> Missing:
    """Read `true` or `false`."""
    if value not in {"true", "false"}:
        raise refuse(param, f"{param}:missing takes true or false.")
    return Missing(param, value == "true")


def composites(param: str, parts: Sequence[str], components: Sequence[Callable[[str], Part]]) -> Composites:
    """Read `a$b`, each part by its own component; what is wrong is the composite's."""
    found = []
    for part in _limited(param, parts):
        stated = split(part, "$")
        if len(stated) != len(components) or not all(stated):
            raise refuse(param, f"{param} takes {len(components)} parts with $ between them.")
        try:
            found.append(tuple(read(text) for read, text in zip(components, stated, strict=True)))
        except Malformed as error:
            raise refuse(param, f"{param}:{error.text}") from None
    return Composites(param, tuple(found))
