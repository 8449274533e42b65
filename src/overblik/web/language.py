"""Danish first, English second: the texts of the pages, and dates as each language writes them.

The Danish text is the key (gettext msgid); `locale/en.po` holds the English. A test fails on a text
without a translation. What comes from the record is never translated.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from importlib import resources
from io import BytesIO

from babel.dates import format_datetime
from babel.messages.pofile import read_po

from overblik.fhir.dates import COPENHAGEN

LANGUAGES = ("da", "en")
_DAY = {"da": "d. MMM", "en": "d MMM"}
_WEEKDAY = {"da": "EEEE 'd.' d. MMM", "en": "EEEE d MMM"}
_CLOCK = {"da": "HH.mm", "en": "HH:mm"}
_AT = {"da": " 'kl.' ", "en": ", "}


@cache
def _catalogue(language: str) -> dict[str, str]:
    if language == "da":
        return {}
    text = resources.files("overblik.web").joinpath(f"locale/{language}.po").read_bytes()
    return {str(m.id): str(m.string) for m in read_po(BytesIO(text)) if m.id and m.string}


@dataclass(frozen=True, slots=True)
class Language:
    """One language: its texts and its dates."""

    code: str

    def text(self, danish: str) -> str:
        """Return a text of the pages in this language."""
        return _catalogue(self.code).get(danish, danish)

    def day(self, moment: date | datetime | None, now: datetime) -> str:
        """Return a date such as `3. nov.`, with the year unless it is this one."""
        return self._format(moment, now, _DAY[self.code], "")

    def time(self, moment: datetime | None, now: datetime) -> str:
        """Return a date and time such as `3. nov. kl. 10.00`."""
        return self._format(moment, now, _DAY[self.code], _AT[self.code] + _CLOCK[self.code])

    def weekday(self, moment: datetime, now: datetime) -> str:
        """Return a date with its weekday, such as `tirsdag d. 3. nov. kl. 10.00`."""
        return self._format(moment, now, _WEEKDAY[self.code], _AT[self.code] + _CLOCK[self.code])

    def clock(self, moment: datetime) -> str:
        """Return a time of day such as `10.00`."""
        return str(format_datetime(moment.astimezone(COPENHAGEN), _CLOCK[self.code], locale=self.code))

    def number(self, text: str) -> str:
        """Return a measured value with the decimal sign of the language; its digits stay."""
        return text.replace(".", ",") if self.code == "da" and _is_number(text) else text

    def _format(self, moment: date | datetime | None, now: datetime, pattern: str, rest: str) -> str:
        if moment is None:
            return ""
        local = _local(moment)
        year = " y" if local.year != now.astimezone(COPENHAGEN).year else ""
        return str(format_datetime(local, pattern + year + rest, locale=self.code))


def _is_number(text: str) -> bool:
    return text.lstrip("<>=≤≥-").replace(".", "", 1).isdigit()


def _local(moment: date | datetime) -> datetime:
    """Return a moment in Danish time; a bare date stands at noon, so that no offset moves it."""
    if isinstance(moment, datetime):
        return moment.astimezone(COPENHAGEN)
    return datetime(moment.year, moment.month, moment.day, 12, tzinfo=COPENHAGEN)


def chosen(value: str) -> Language:
    """Return a language by its code; Danish for anything unknown."""
    return Language(value if value in LANGUAGES else "da")
