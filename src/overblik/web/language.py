"""Danish first, English second: the texts of the pages, and dates as each language writes them.

The Danish text is the key (gettext msgid); `locale/en.po` holds the English. A test fails on a text
without a translation. What comes from the record is never translated.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache, lru_cache
from importlib import resources
from io import BytesIO

from babel.core import Locale
from babel.dates import format_datetime
from babel.messages.pofile import read_po

from overblik.fhir.dates import COPENHAGEN

LANGUAGES = ("da", "en")
_DAY = {"da": "d. MMM", "en": "d MMM"}
_WEEKDAY = {"da": "EEEE 'den' d. MMMM", "en": "EEEE d MMMM"}
_CLOCK = {"da": "HH.mm", "en": "HH:mm"}
_AT = {"da": " 'kl.' ", "en": ", "}
_NEAR_DAYS = 14
_NUMBERS = re.compile(r"[<>=≤≥ -]*\d+(\.\d+)?( ?[–-] ?\d+(\.\d+)?)?")
"""A number as FHIR writes it, or a range of two."""
_POINT = re.compile(r"(?<=\d)\.(?=\d)")
_SCANDINAVIAN = frozenset({"da", "no", "nb", "nn", "sv", "fo"})
"""Languages whose readers are better served in Danish than in English."""


@cache
def _catalogue(language: str) -> dict[str | tuple[str, ...], str | tuple[str, ...]]:
    """Return the translations of one language: of a text, or of the pair of a plural."""
    if language == "da":
        return {}
    text = resources.files("overblik.web").joinpath(f"locale/{language}.po").read_bytes()
    found: dict[str | tuple[str, ...], str | tuple[str, ...]] = {}
    for message in read_po(BytesIO(text)):
        if message.id and message.string:
            found[_key(message.id)] = _key(message.string)
    return found


def _key(text: str | list[str] | tuple[str, ...]) -> str | tuple[str, ...]:
    return text if isinstance(text, str) else tuple(text)


@dataclass(frozen=True, slots=True)
class Language:
    """One language: its texts and its dates."""

    code: str

    def text(self, danish: str) -> str:
        """Return a text of the pages in this language."""
        return str(_catalogue(self.code).get(danish, danish))

    def plural(self, one: str, many: str, n: int) -> str:
        """Return the text for one, or for any other number, with `{n}` filled in."""
        forms = _catalogue(self.code).get((one, many), (one, many))
        return forms[0 if n == 1 else 1].format(n=n)

    def day(self, moment: date | datetime | None, now: datetime) -> str:
        """Return a date such as `3. nov.`, with the year unless it is this one."""
        return self._format(moment, now, _DAY[self.code], "")

    def time(self, moment: datetime | None, now: datetime) -> str:
        """Return a date and time such as `3. nov. kl. 10.00`."""
        return self._format(moment, now, _DAY[self.code], _AT[self.code] + _CLOCK[self.code])

    def weekday(self, moment: date | datetime | None, now: datetime) -> str:
        """Return a date with its weekday, such as `tirsdag den 3. november`."""
        return self._format(moment, now, _WEEKDAY[self.code], "")

    def meeting(self, moment: datetime | None, now: datetime) -> str:
        """Return when to be somewhere, such as `tirsdag den 3. november kl. 10.00`."""
        return self._format(moment, now, _WEEKDAY[self.code], _AT[self.code] + _CLOCK[self.code])

    def clock(self, moment: datetime) -> str:
        """Return a time of day such as `10.00`."""
        local = moment.astimezone(COPENHAGEN)
        return _written(_clock(local), _CLOCK[self.code], self.code)

    def span(self, start: datetime | None, end: datetime | None, now: datetime) -> str:
        """Return a period such as `15. nov. – 20. nov.`, or one day where it begins and ends on the same."""
        first, last = self.day(start, now), self.day(end, now)
        return first if first == last or not last else f"{first} – {last}"

    def soon(self, moment: datetime, now: datetime) -> str:
        """Return how near a day is, such as `i morgen` or `om 3 dage`; "" when it is not near."""
        days = (_local(moment).date() - _local(now).date()) // timedelta(days=1)
        if days in {0, 1}:
            return self.text("i dag") if days == 0 else self.text("i morgen")
        return self.plural("om {n} dag", "om {n} dage", days) if 1 < days <= _NEAR_DAYS else ""

    def number(self, text: str) -> str:
        """Return a measured value or range with the decimal sign of the language; its digits stay."""
        return _POINT.sub(",", text) if self.code == "da" and _NUMBERS.fullmatch(text) else text

    def _format(self, moment: date | datetime | None, now: datetime, pattern: str, rest: str) -> str:
        if moment is None:
            return ""
        local = _local(moment)
        year = " y" if local.year != now.astimezone(COPENHAGEN).year else ""
        written = _written(_day(local), pattern + year, self.code)
        return written + _written(_clock(local), rest, self.code) if rest else written


@lru_cache(maxsize=16384)
def _written(wall: datetime, pattern: str, code: str) -> str:
    """Write a day or a time of day: of either there are few, and a page has hundreds."""
    return str(format_datetime(wall, pattern, locale=_locale(code)))


def _day(local: datetime) -> datetime:
    return datetime(local.year, local.month, local.day)  # noqa: DTZ001 - what the calendar on the wall says


def _clock(local: datetime) -> datetime:
    return datetime(2000, 1, 1, local.hour, local.minute)  # noqa: DTZ001 - what the clock on the wall says


@cache
def _locale(code: str) -> Locale:
    return Locale.parse(code)


def _local(moment: date | datetime) -> datetime:
    """Return a moment in Danish time; a bare date stands at noon, so that no offset moves it."""
    if isinstance(moment, datetime):
        return moment.astimezone(COPENHAGEN)
    return datetime(moment.year, moment.month, moment.day, 12, tzinfo=COPENHAGEN)


def chosen(value: str) -> Language:
    """Return a language by its code; Danish for anything unknown."""
    return Language(value if value in LANGUAGES else "da")


def preferred(header: str) -> str:
    """Return the language an Accept-Language header asks for first; Danish unless that is English.

    https://www.rfc-editor.org/rfc/rfc9110#field.accept-language
    """
    best, weight = "da", 0.0
    for part in header.split(","):
        tag, _, parameter = part.partition(";")
        primary = tag.strip().lower().split("-")[0]
        quality = _quality(parameter)
        if quality > weight and (primary in _SCANDINAVIAN or primary == "en"):
            best, weight = ("en" if primary == "en" else "da"), quality
    return best


def _quality(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
