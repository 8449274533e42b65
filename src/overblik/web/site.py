"""What the pages work with, and how a template becomes a response."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse

from overblik.web.language import Language, chosen
from overblik.web.words import TABLES

if TYPE_CHECKING:
    from datetime import datetime

    from starlette.requests import Request

    from overblik.overview.service import Overviews
    from overblik.trust.access import Door
    from overblik.trust.organisations import Directory
    from overblik.trust.sessions import Session, Sessions
    from overblik.trust.tokens import TestIssuer

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store, private",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Vary": "Cookie",
}
STRUCTURED = frozenset({"RehabilitationNeedAndPotential", "FollowUp", "Diagnosis", "PlannedInterventionText"})
"""Plan sections whose content the page already shows as goals, tasks and diagnoses."""
LANGUAGE_COOKIE = "language"
SESSION_COOKIE = "overblik_session"


def environment() -> Environment:
    """Return the template environment: everything escaped, nothing undefined let through."""
    return Environment(
        loader=PackageLoader("overblik.web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@dataclass(frozen=True, slots=True)
class Site:
    """The services the pages use; made once by the app."""

    door: Door
    overviews: Overviews
    sessions: Sessions
    issuer: TestIssuer | None
    directory: Directory
    mode: str
    templates: Environment = field(default_factory=environment)

    def page(
        self,
        name: str,
        request: Request,
        *,
        session: Session | None = None,
        status: int = 200,
        language: Language | None = None,
        **values: Any,
    ) -> HTMLResponse:
        """Return a page; every page knows its language, its caller and the time."""
        spoken = language or language_of(request)
        now = values.pop("now", None) or self.door.clock.now()
        functions = _functions(spoken, now)
        context = {
            "session": session,
            "user": session.caller if session else None,
            "base": f"/s/{session.slot}" if session else "",
            "mode": self.mode,
            "now": now,
            "f": SimpleNamespace(**functions),
            **functions,
            **values,
        }
        body = self.templates.get_template(name).render(context)
        return HTMLResponse(body, status, HEADERS)


def language_of(request: Request) -> Language:
    """Return the language a browser has chosen; Danish until it has."""
    return chosen(request.query_params.get("lang") or request.cookies.get(LANGUAGE_COOKIE, "da"))


def _functions(language: Language, now: datetime) -> dict[str, Any]:
    """Return what templates call: texts, dates and words of codes in one language."""

    def word(table: str, code: str) -> str:
        known = TABLES[table].get(code)
        return language.text(known) if known else code

    def lines(text: str) -> Markup:
        """Return a text of the record with its line breaks, escaped."""
        return Markup("<br>").join(escape(line) for line in text.splitlines())

    def phone(number: str) -> Markup:
        """Return a telephone number as a link, its digits in pairs."""
        digits = number.replace(" ", "")
        shown = " ".join(digits[i : i + 2] for i in range(0, 8, 2)) if len(digits) == 8 and digits.isdigit() else number
        return Markup('<a href="tel:{}">{}</a>').format(digits, shown)

    return {
        "phone": phone,
        "structured": STRUCTURED,
        "language": language,
        "_": language.text,
        "word": word,
        "lines": lines,
        "day": lambda moment: language.day(moment, now),
        "time": lambda moment: language.time(moment, now),
        "weekday": lambda moment: language.weekday(moment, now),
        "clock": language.clock,
        "number": language.number,
    }
