"""What the pages work with, and how a template becomes a response."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse

from overblik.fhir.clocks import is_ahead
from overblik.fhir.dates import COPENHAGEN
from overblik.trust.live.seen import collected, sealed
from overblik.web import arrange
from overblik.web.fragments import BASE, Fragments
from overblik.web.language import LANGUAGES, Language, chosen, preferred
from overblik.web.words import TABLES

if TYPE_CHECKING:
    from starlette.requests import Request

    from overblik.overview.context import Origin
    from overblik.overview.service import Overviews
    from overblik.trust.callers.sessions import Session, Sessions
    from overblik.trust.callers.tries import Credentials
    from overblik.trust.door.access import Door
    from overblik.trust.door.writer import Writer
    from overblik.trust.keys.seal import Seal
    from overblik.trust.live.watching import Watcher
    from overblik.trust.log.heads import Heads
    from overblik.trust.oidc.login import Login
    from overblik.trust.oidc.test_provider import TestProvider
    from overblik.trust.organisations import Directory
    from overblik.trust.smart.server import AuthorizationServer
    from overblik.trust.treatment.relations import Relation
    from overblik.trust.treatment.stated import Rules

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Cache-Control": "no-store, private",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Vary": "Cookie, Accept-Language",
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
        auto_reload=False,
    )


@dataclass(frozen=True, slots=True)
class Site:
    """The services the pages use; made once by the app."""

    door: Door
    writer: Writer
    overviews: Overviews
    sessions: Sessions
    login: Login
    smart: AuthorizationServer
    provider: TestProvider | None
    directory: Directory
    heads: Heads
    watcher: Watcher
    marks: Seal
    stating: Rules
    credentials: Credentials
    mode: str
    secure: bool = False
    templates: Environment = field(default_factory=environment)
    fragments: Fragments = field(default_factory=Fragments)

    def page(
        self,
        name: str,
        request: Request,
        *,
        session: Session | None = None,
        status: int = 200,
        **values: Any,
    ) -> HTMLResponse:
        """Return a page; every page knows its language, its caller and the time."""
        language = language_of(request)
        now = values.pop("now", None) or self.door.clock.now()
        base = f"/s/{session.slot}" if session else ""
        context = {
            "session": session,
            "user": session.caller if session else None,
            "base": BASE if base else "",
            "mark": sealed(self.marks, seen, session.caller) if session and (seen := collected()) else "",
            "kept": self.fragments.within(
                language.code, now.astimezone(COPENHAGEN).date(), session.caller.kind if session else ""
            ),
            "answers_form": request.method not in {"GET", "HEAD"},
            "mode": self.mode,
            "now": now,
            "arrange": arrange,
            "find": self.directory.find,
            "other_language": _other_language(request, status, base, language),
            **_functions(language, now, self.directory),
            **values,
        }
        body = self.templates.get_template(name).render(context).replace(BASE, base)
        return HTMLResponse(body, status, HEADERS)


def language_of(request: Request) -> Language:
    """Return the language asked for: in the address, else as chosen before, else as the browser prefers."""
    stated = request.query_params.get("lang") or request.cookies.get(LANGUAGE_COOKIE, "")
    return chosen(stated if stated in LANGUAGES else preferred(request.headers.get("accept-language", "")))


def _other_language(request: Request, status: int, base: str, language: Language) -> str:
    """Return where this page stands in the other language; what answered a form has no address of its own."""
    code = "en" if language.code == "da" else "da"
    if request.method not in {"GET", "HEAD"}:
        return f"{base}/?lang={code}"
    kept = [(k, v) for k, v in request.query_params.multi_items() if k != "lang"] if status < 400 else []
    return "?" + urlencode([*kept, ("lang", code)])


def _functions(language: Language, now: datetime, directory: Directory) -> dict[str, Any]:
    """Return what templates call: texts, dates and words of codes in one language."""

    def word(table: str, code: str) -> str:
        known = TABLES[table].get(code)
        return code if known is None else language.text(known) if known else ""

    def ground(one: Relation) -> tuple[str, str]:
        """Return what a relation rests on: what kind of thing, of whom; both "" where a rule alone permits."""
        unit = directory.find(one.source)
        return (word("kinds", one.evidence), unit.name if unit else one.source) if one.evidence else ("", "")

    def origin_times(o: Origin) -> str:
        """Return when something was recorded and when it was received, each said once."""
        received = language.time(o.received, now)
        if o.recorded is not None and is_ahead(o.recorded, o.received):
            text = language.text("registreret {recorded} efter afsenderens ur, der er foran; modtaget {received}")
            return text.format(recorded=language.time(o.recorded, now), received=received)
        if o.recorded is None or abs((o.received - o.recorded).total_seconds()) < 60:
            return language.text("modtaget {received}").format(received=received)
        if o.recorded.astimezone(COPENHAGEN).date() == o.received.astimezone(COPENHAGEN).date():
            received = language.clock(o.received)
            text = language.text("registreret {recorded}, modtaget kl. {received}")
        else:
            text = language.text("registreret {recorded}, modtaget {received}")
        return text.format(recorded=language.time(o.recorded, now), received=received)

    return {
        "language": language,
        "_": language.text,
        "_n": language.plural,
        "word": word,
        "lines": _lines,
        "phone": _phone,
        "identifier": _identifier,
        "ground": ground,
        "origin_times": origin_times,
        "structured": STRUCTURED,
        "day": lambda moment: language.day(moment, now),
        "time": lambda moment: language.time(moment, now),
        "weekday": lambda moment: language.weekday(moment, now),
        "meeting": lambda moment: language.meeting(moment, now),
        "span": lambda start, end: language.span(start, end, now),
        "soon": lambda moment: language.soon(moment, now),
        "days_since": lambda day: (now.astimezone(COPENHAGEN).date() - day).days,
        "clock": language.clock,
        "last_day": lambda end: end - timedelta(microseconds=1),  # an end is the instant after it
        "real_time": lambda moment: language.time(moment, datetime.now(UTC)),
        "number": language.number,
        "local": lambda moment: moment.astimezone(COPENHAGEN).strftime("%Y-%m-%dT%H:%M"),
    }


def _lines(text: str) -> Markup:
    """Return a text of the record with its line breaks, escaped."""
    return Markup("<br>").join(escape(line) for line in text.splitlines())


def _phone(number: str) -> Markup:
    """Return a telephone number as a link, its digits in pairs."""
    digits = number.replace(" ", "")
    shown = " ".join(digits[i : i + 2] for i in range(0, 8, 2)) if len(digits) == 8 and digits.isdigit() else number
    return Markup('<a class="phone" href="tel:{}">{}</a>').format(digits, shown)


def _identifier(value: str) -> str:
    """Return a CPR or replacement number as it is read: the date, a hyphen, the rest."""
    return f"{value[:6]}-{value[6:]}" if len(value) == 10 and value[:6].isdigit() else value
