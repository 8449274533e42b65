"""Requests as hypothesis draws them: every route of the table, asked of what is seen, hidden and absent.

A route is made by its interaction's code (`CODES`), a page by its method and path (`PAGES`): one that is new and
stands in neither cannot be made, and the test of coverage says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from overblik.api.matching import find
from overblik.api.routes import ROUTES
from overblik.fhir.strict_json import dumps
from overblik.web.routes import PAGES as WEB
from tests.api.test_transaction import bundle, entry
from tests.search.paths import PARAMS, SHARED
from tests.search.people import OF_PATIENTS, Ids
from tests.search.questions import Asker, Pairs
from tests.trust.consents import attorney, consent, deny, of_time, of_type, permit, person, source, unit, verified
from tests.trust.consents import entry as one_entry
from tests.trust.stage import DEPARTMENT, HOSPITAL, SIBLING, about
from tests.worlds.stages import HOLDER, MINE, NOBODY, SEEN, THEIRS, UNSEEN

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis import strategies as st

    from overblik.api.routes import Route
    from tests.search.evaluate import Population

FHIR = {"Content-Type": "application/fhir+json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
KINDS = ("Patient", *OF_PATIENTS, "List", "Consent", "Practitioner", "Binary")
INSTANTS = ("2026-11-21", "2026-11-23T08:59:59Z", "2026-11-23T09:00:00Z", "2026-11-24", "2026")
INCLUDES = (
    "*", "Observation:*", "Observation:encounter", "Observation:has-member", "Observation:subject:Patient",
    "Observation:performer", "Condition:evidence-detail", "Condition:encounter", "Encounter:diagnosis",
    "Encounter:part-of", "List:item", "RiskAssessment:condition", "Patient:general-practitioner",
    "Encounter:service-provider", "Observation:focus",
)  # fmt: skip
LINES = {
    "capabilities": ((), ()), "smart-configuration": ((), ()), "$indexing": ((), ()), "$log": ((), ()),
    "$meta": ((), ()), "$relations": ((), ()), "$follow-ups": ((), ()),
    "vread": (("_format", "_elements", "_summary"), ()),
    "read": (("asOf", "_format", "_elements", "_summary"), ("If-None-Match", "If-Modified-Since")),
    "$overview": (("asOf",), ()),
    "$everything": (("_type", "_since", "start", "end", "_count"), ()),
    "$lastn": (("code", "category", "max"), ()),
    "history-instance": (("_since", "_at", "_count"), ()), "history-type": (("_since", "_at", "_count"), ()),
    "history-system": (("_since", "_at", "_count"), ()),
}  # fmt: skip
"""What reads take, by interaction: (parameters, headers)."""


@dataclass(frozen=True)
class Ask:
    """One request; `path` is below the FHIR base, or below a page's slot."""

    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    fields: dict[str, str] | None = None

    @property
    def content(self) -> bytes | None:
        """The body as it is sent."""
        if self.fields is not None:
            return urlencode(self.fields).encode()
        return self.body if isinstance(self.body, bytes) or self.body is None else dumps(self.body)


class Drawer(Asker):
    """Draws requests: their searches are those of the search oracle, of everything that the second world holds."""

    def __init__(self, draw: st.DrawFn, population: Population) -> None:
        asked = replace(population, resources=[r for r in population.resources if r["resourceType"] in PARAMS])
        super().__init__(draw, Ids(1), asked)
        self.everything = population.resources

    def some(self) -> bool:
        """Draw a rare yes."""
        return self.pick((True, False, False, False))

    def id(self, kind: str) -> str:
        """Draw an id of a type: of what is seen, hidden, or not there."""
        known = [str(r["id"]) for r in self.everything if r["resourceType"] == kind]
        unseen = [name for name in known if name.startswith(UNSEEN)]
        more = [f"{SEEN}.e", f"{UNSEEN}.e"] if kind == "Encounter" else []
        return self.pick([*known, *unseen, *more, "0" * 32, f"{UNSEEN}.none"])

    def any(self) -> str:
        """Draw a reference to anything."""
        kind = self.pick(KINDS)
        return f"{kind}/{self.id(kind)}"

    def of(self, name: str) -> str:
        """Draw the value of a parameter of a read."""
        values: dict[str, tuple[str, ...]] = {
            "_format": ("json", "xml", "html"), "_elements": ("id", "status,code", "subject"),
            "_summary": ("true", "text", "data", "count", "false"), "_type": ("Observation", "Patient,List", "Consent"),
            "_count": ("0", "1", "2", "50"), "max": ("1", "2"), "code": ("a", "urn:x|a", "|a"), "category": ("a", "A"),
        }  # fmt: skip
        return self.pick(values.get(name, INSTANTS))

    def header(self, name: str) -> str:
        """Draw the value of a header."""
        if name == "If-Modified-Since":
            return self.pick(("Mon, 23 Nov 2026 09:00:00 GMT", "Sun, 22 Nov 2026 09:00:00 GMT"))
        return self.pick(('W/"1"', 'W/"2"', 'W/"9"', "*", '"x"'))

    def searching(self, kind: str | None = None) -> tuple[str, Pairs]:
        """Draw a search, with whatever a result can be shaped by."""
        near = [r for r in self.population.resources if r["resourceType"] == kind]
        if kind is None:
            kind, pairs = self.question()
        else:
            pairs = [self.criterion(kind, self.pick(near) if near else None)] if kind in PARAMS else []
        if self.some():
            pairs.append(("_list", self.pick((f"{SEEN}.l", f"{UNSEEN}.l", "none"))))
        if self.some():
            patient = self.id("Patient")
            pairs.append((self.pick(("patient", "patient", "patient._id")), patient) if kind not in {"Patient", *SHARED}
                         else ("_id", patient))  # fmt: skip
        for name, values in (
            ("_include", INCLUDES), ("_revinclude", INCLUDES), ("_include:iterate", INCLUDES),
            ("_revinclude:iterate", INCLUDES), ("_total", ("accurate", "estimate", "none")), ("asOf", INSTANTS),
            ("_summary", ("count", "true", "text", "data")), ("_elements", ("code", "id,status")),
            ("_text", ("a", "Åse")), ("_content", ("kg", "Åse")), ("_format", ("xml", "json")),
        ):  # fmt: skip
            if self.pick((True, *(False,) * 9)):
                pairs.append((name, self.pick(values)))
        return kind, [*pairs, ("_count", self.pick(("0", "1", "2", "3", "50", "50")))]

    def resource(self, kind: str) -> dict[str, Any]:
        """Draw a resource to write, which refers to what it may."""
        body: dict[str, Any] = {"resourceType": kind}
        if kind == "Patient":
            return body | {"identifier": about(self.pick((MINE, THEIRS, NOBODY)))["identifier"]}
        subjects = [{"reference": f"Patient/{self.id('Patient')}"}, about(self.pick((MINE, THEIRS, NOBODY)))]
        conditional = {"reference": f"Patient?identifier=urn:oid:1.2.208.176.1.2|{self.pick((MINE, THEIRS))}"}
        body["subject"] = self.pick([*subjects, conditional])
        if kind == "Observation":
            body |= {"status": "final", "code": {"text": "skrevet"}, "hasMember": [{"reference": self.any()}]}
        elif kind == "List":
            body |= {"status": "current", "mode": "working", "entry": [{"item": {"reference": self.any()}}]}
        elif kind == "Condition":
            body |= {"evidence": [{"detail": [{"reference": self.any()}]}]}
        return body

    def consent(self) -> dict[str, Any]:
        """Draw what a citizen says, or a professional for them."""
        whom = self.pick((unit(DEPARTMENT), unit(SIBLING), person("TEST2"), {}))
        what = self.pick(({}, of_type("Observation"), source(HOSPITAL), of_time("2026-11-20"), one_entry(self.any())))
        said = self.pick((deny(whom, what), deny(whom, what), permit(attorney(HOLDER))))
        more = verified() if self.pick((True, False)) else {}
        return consent(said, self.pick((MINE, MINE, THEIRS, NOBODY)), **more)


def _fill(d: Drawer, path: str) -> str:
    """Return a route's path with types and ids drawn; an id is of the type before it."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "{type}":
            kinds = [k for k in KINDS if k != "Patient"] if len(parts) > 2 else KINDS
            parts.append(d.pick([k for k in kinds if k not in SHARED and k != "Binary"] if len(parts) > 2 else kinds))
        elif part == "{id}":
            parts.append(d.id(parts[-1]))
        else:
            parts.append(d.pick(("1", "2", "9")) if part == "{version}" else part)
    return "/".join(parts)


def _query(d: Drawer, route: Route, path: str, pairs: Pairs, headers: dict[str, str] | None = None) -> Ask:
    """Ask by query, or by form where the route is POSTed to."""
    if route.method == "POST":
        return Ask("POST", path, FORM, urlencode(pairs).encode())
    method = "HEAD" if d.some() else route.method
    return Ask(method, f"{path}?{urlencode(pairs)}" if pairs else path, headers or {})


def _line(d: Drawer, route: Route) -> Ask:
    """A read: its parameters and headers."""
    names, headers = LINES[route.code]
    pairs = [(name, d.of(name)) for name in names if d.some()]
    if route.code == "$lastn":
        pairs.append(("patient", d.id("Patient")))
    path = _fill(d, route.path)
    if route.method == "POST" and route.code in {"$everything", "$lastn"}:
        body = [{"name": name, "valueString": value} for name, value in pairs]
        return Ask("POST", path, FHIR, {"resourceType": "Parameters", "parameter": body})
    if route.method == "POST":
        return Ask("POST", path, FHIR, {"resourceType": "Parameters"})
    return _query(d, route, path, pairs, {name: d.header(name) for name in headers if d.some()})


def _search(d: Drawer, route: Route) -> Ask:
    """A search of one type, of several, or of a compartment."""
    if route.code == "search-type":
        kind, pairs = d.searching()
        return _query(d, route, route.path.replace("{type}", kind), pairs)
    path = _fill(d, route.path)
    parts = path.split("/")
    if route.code == "search-compartment" and "*" not in parts:
        return _query(d, route, path, d.searching(parts[3])[1])
    kinds = d.pick(("Observation,Condition", "Observation", "Encounter,List,RiskAssessment"))
    pairs = [("_type", kinds), *[p for p in d.searching("List")[1] if p[0][0] == "_" and p[0] != "_list"]]
    return _query(d, route, path, pairs)


def _write(d: Drawer, route: Route) -> Ask:
    """A create, update, patch or delete, of one or by a condition."""
    kind = d.pick(("Patient", "Observation", "Condition", "List", "Consent"))
    path = route.path.replace("{type}", kind)
    kind = path.split("/")[1]
    identifier = d.id(kind)
    path = path.replace("{id}", identifier)
    headers = {name: d.header("ETag") for name in ("If-Match", "If-None-Match") if d.some()}
    if d.some():
        headers["Prefer"] = d.pick(("return=minimal", "return=representation", "return=OperationOutcome"))
    if route.code.startswith("conditional"):
        path += f"?{urlencode(_condition(d, kind))}"
    if route.code == "create" and d.pick((True, False)):
        headers["If-None-Exist"] = urlencode(_condition(d, kind))
    if route.method == "DELETE":
        return Ask("DELETE", path, headers)
    if route.method == "PATCH":
        changes = [{"op": d.pick(("add", "test")), "path": "/language", "value": "da"}]
        return Ask("PATCH", path, {"Content-Type": "application/json-patch+json", **headers}, changes)
    body = d.consent() if kind == "Consent" else d.resource(kind)
    return Ask(route.method, path, FHIR | headers, body | ({"id": identifier} if "{id}" in route.path else {}))


def _condition(d: Drawer, kind: str) -> Pairs:
    if kind == "Patient" and d.pick((True, False)):
        return [("identifier", f"urn:oid:1.2.208.176.1.2|{d.pick((MINE, THEIRS, NOBODY))}")]
    return [d.criterion(kind, None)] if kind in PARAMS and d.pick((True, False)) else [("_id", d.id(kind))]


def _bundle(d: Drawer, route: Route) -> Ask:
    """A batch or transaction of what else can be asked; a transaction has what can stand in one."""
    kind = d.pick(("batch", "batch", "transaction"))
    known = [r for r in ROUTES if r.code in ENTRIES[kind]]
    entries = []
    for number in range(d.pick((1, 2, 3))):
        ask = CODES[(r := d.pick(known)).code](d, r)
        if isinstance(ask.body, bytes | list):
            ask = Ask("GET", f"/{d.any()}")
        names = (("If-Match", "ifMatch"), ("If-None-Match", "ifNoneMatch"), ("If-None-Exist", "ifNoneExist"))
        more = {to: ask.headers[name] for name, to in names if name in ask.headers}
        full = {"full_url": f"urn:uuid:00000000-0000-4000-8000-{number:012}"} if ask.method == "POST" else {}
        entries.append(entry(ask.method, ask.path.removeprefix("/"), ask.body, **more, **full))
    if len(entries) > 1 and (body := entries[-1].get("resource")) and "hasMember" in body and "fullUrl" in entries[0]:
        body["hasMember"] = [{"reference": entries[0]["fullUrl"]}]
    return Ask("POST", route.path, FHIR, bundle(*entries, kind=kind))


def _glass(d: Drawer, _: Route) -> Ask:
    """Nobody breaks the glass here: whoever does is to see what there is."""
    reason = d.pick(("kort", "", "  "))
    parameters = [{"name": "identifier", "valueIdentifier": about(d.pick((MINE, THEIRS, NOBODY)))["identifier"]},
                  {"name": "reason", "valueString": reason}]  # fmt: skip
    return Ask("POST", "/Patient/$break-glass", FHIR, {"resourceType": "Parameters", "parameter": parameters})


def _relating(d: Drawer, route: Route) -> Ask:
    """Nor states a relation: that it was of no use would be all there is to see."""
    said: dict[str, dict[str, Any]] = {
        "identifier": {"valueIdentifier": about(d.pick((MINE, THEIRS, NOBODY)))["identifier"]},
        "basis": {"valueCode": d.pick(("here", "x"))}, "reason": {"valueString": d.pick(("kort", ""))},
        "case": {"valueString": d.pick(("0" * 32, "1"))}, "note": {"valueString": d.pick(("Talt igennem", "kort"))},
    }  # fmt: skip
    names = ("identifier", "basis", "reason") if route.code == "$state-relation" else ("case", "note")
    parameters = [{"name": name, **said[name]} for name in names]
    return Ask("POST", route.path, FHIR, {"resourceType": "Parameters", "parameter": parameters})


def _message(d: Drawer, _: Route) -> Ask:
    """A message that is of no kind known here, about somebody."""
    head = {"resourceType": "MessageHeader", "eventCoding": {"system": "urn:x", "code": "a"},
            "source": {"endpoint": "urn:x"}, "focus": [{"reference": d.any()}]}  # fmt: skip
    entries = [{"fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000001", "resource": head},
               {"fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000002",
                "resource": d.resource("Patient")}]  # fmt: skip
    return Ask("POST", "/$process-message", FHIR, {"resourceType": "Bundle", "type": "message", "entry": entries})


_READS = ("read", "vread", "history-instance", "search-type", "$meta", "$everything", "$overview", "$lastn")
_WRITES = (
    "create", "update", "patch", "delete", "conditionalUpdate", "conditionalPatch", "conditionalDelete",
)  # fmt: skip
ENTRIES = {"batch": {*_READS, *_WRITES, "history-type"}, "transaction": {*_WRITES, "read", "search-type"}}
CODES: dict[str, Callable[[Drawer, Route], Ask]] = {
    **dict.fromkeys(LINES, _line), **dict.fromkeys(_WRITES, _write),
    **dict.fromkeys(("search-type", "search-system", "search-compartment"), _search),
    "transaction": _bundle, "batch": _bundle, "$break-glass": _glass, "$process-message": _message,
    "$state-relation": _relating, "$follow-up": _relating,
}  # fmt: skip
OFTEN = tuple(r for r in ROUTES if r.code in {"search-type", "read", "search-compartment", "$everything", "batch"})


def made(d: Drawer, route: Route) -> Ask:
    """Draw a request of a route of the FHIR interface."""
    return CODES[route.code](d, route)


def of_route(ask: Ask) -> Route:
    """Return the route that answers a request."""
    return find(ROUTES, ask.method, ask.path.partition("?")[0])[0]


def drawn(d: Drawer) -> Ask:
    """Draw a request: half of them of what is asked most, half of any route."""
    return made(d, d.pick(OFTEN if d.pick((True, False)) else ROUTES))


# -- the pages

Fields = dict[str, tuple[str, ...]]
_CPR: Fields = {"cpr": (MINE, THEIRS, NOBODY, HOLDER, "1")}
_BLOCK: Fields = {
    "who": ("all", "other", ""), "what": ("", "all"), "other": ("", SIBLING), "data_from": ("", "2026-11-01"),
}  # fmt: skip
PAGES: dict[tuple[str, str], Fields] = {
    **{(method, path): {} for method, path, _ in WEB if method == "GET"},
    ("POST", "/s/{slot}/patient/{id}/block/set"): {**_BLOCK, "word": ("Borgeren", ""), "verified": ("on",)},
    ("POST", "/s/{slot}/blocks/preview"): _BLOCK,
    ("POST", "/s/{slot}/blocks/set"): _BLOCK,
    ("POST", "/s/{slot}/blocks/end"): {"id": ("h1.none", "0" * 32), "page": ("", "proxies")},
    ("POST", "/s/{slot}/proxies/grant"): {**_CPR, "how": ("whole", "parts")},
    ("POST", "/s/{slot}/proxies/act"): _CPR,
    ("POST", "/s/{slot}/look-up"): _CPR,
    ("POST", "/s/{slot}/relations/state"): {**_CPR, "basis": ("", "x"), "reason": ("kort", "")},
    ("POST", "/s/{slot}/relations/follow-up"): {"case": ("0" * 32, "1"), "note": ("", "kort")},
    ("POST", "/s/{slot}/break-glass"): {**_CPR, "reason": ("kort", "")},
    ("POST", "/s/{slot}/allow"): {"query": ("", "client_id=app"), "decision": ("allow", "deny")},
    ("POST", "/s/{slot}/revoke"): {"id": ("0" * 32, "1")},
    ("POST", "/s/{slot}/sign-out"): {"form_token": ("another",)},
}
"""What the form of each page is filled in with; a page that is read has none."""


def page(d: Drawer, method: str, path: str) -> Ask:
    """Draw a request of a page."""
    kind = "Binary" if "/raw/" in path else "Patient"
    below = path.removeprefix("/s/{slot}").replace("{id}", d.id(kind)).replace("{client}", d.pick(("app", "none")))
    fields = {name: d.pick(values) for name, values in PAGES[method, path].items()}
    if method == "POST":
        return Ask("POST", below, FORM, fields=fields)
    query = {name: d.pick(v) for name, v in (("asOf", INSTANTS), ("lang", ("en", "da"))) if d.some()}
    return Ask("HEAD" if d.some() else "GET", f"{below}?{urlencode(query)}" if query else below)


def drawn_page(d: Drawer) -> Ask:
    """Draw a request of any page."""
    method, path, _ = d.pick(WEB)
    return page(d, method, path)
