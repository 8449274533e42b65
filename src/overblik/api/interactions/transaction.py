"""The writing part of a transaction (https://hl7.org/fhir/R4/http.html#trules): all or nothing.

Order of work: what conditions find is settled under their locks; every entry has its identity;
what is written or referred to is locked and read at once; references are rewritten; then DELETE,
POST, and PUT and PATCH are staged. The unit of work sends them as sets.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

from overblik.api.http import version_of
from overblik.api.interactions.write import checked, put_matched
from overblik.api.matching import kept_types
from overblik.api.patching import change_in
from overblik.api.preconditions import condition, only_match
from overblik.fhir.errors import Malformed, NotFound, OverblikError, PreconditionFailed, Unprocessable
from overblik.fhir.links import relink
from overblik.fhir.references import parse_reference, references
from overblik.fhir.structure import check
from overblik.trust.callers.identity import require_scope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from overblik.fhir.strict_json import Json
    from overblik.trust.door.work import Stored, Work

MOST_ENTRIES = 5000
METHODS = {"DELETE": 0, "POST": 1, "PUT": 2, "PATCH": 2, "GET": 3, "HEAD": 3}
"""The methods an entry may have, in FHIR's order of processing."""
LETTERS = {"DELETE": "d", "POST": "c", "PUT": "u", "PATCH": "u"}
"""What a scope must have for an entry (docs/identity.md)."""
_RESTFUL = re.compile(r"(https?://.+/)[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64}")


@dataclass(slots=True)
class Entry:
    """One writing entry. `id` is "" where a conditional delete found nothing to do.

    `found` says that its condition found a resource.
    """

    number: int
    method: str
    type: str
    id: str
    query: str
    body: Json
    found: bool = False

    @property
    def resource(self) -> Json:
        """The resource that it carries; empty for a deletion."""
        resource: Json = self.body.get("resource", {})
        return resource

    @property
    def condition(self) -> str | None:
        """The search that decides what this entry is about; None where its address does."""
        if self.method == "POST":
            text = self.body["request"].get("ifNoneExist")
            return None if text is None else str(text)
        return None if self.id else self.query

    @property
    def if_match(self) -> int | None:
        """The version it states."""
        etag = self.body["request"].get("ifMatch")
        return None if etag is None else version_of(etag, "request.ifMatch")


def checked_entries(body: Json) -> list[Json]:
    """Return a Bundle's entries if it is a batch or transaction whose shape is right."""
    if body.get("resourceType") != "Bundle" or body.get("type") not in {"batch", "transaction"}:
        text = "POST to the base takes a Bundle of type batch or transaction; messages go to $process-message."
        raise Unprocessable("bundle-expected", text, expression="Bundle.type")
    entries = body.get("entry", [])
    if body["type"] == "batch" and isinstance(entries, list):
        # The entries of a batch stand alone: what is wrong with a resource is that entry's own answer.
        bare = [{k: v for k, v in e.items() if k != "resource"} if isinstance(e, dict) else e for e in entries]
        issues = check({**body, **({"entry": bare} if entries else {})})
    else:
        issues = check(body)
    if issues:
        raise Unprocessable.of(issues)
    if len(entries) > MOST_ENTRIES:
        raise Unprocessable("bundle-too-large", f"A Bundle may have {MOST_ENTRIES} entries; send several.")
    for number, entry in enumerate(entries):
        _require_entry(entry, number)
    listed: list[Json] = entries
    return listed


def _require_entry(entry: Json, number: int) -> None:
    place = f"Bundle.entry[{number}]"
    method = entry.get("request", {}).get("method")
    url = str(entry.get("request", {}).get("url", ""))
    if method not in METHODS:
        raise Malformed("entry-method", f"{place}.request.method is missing or not done here.", expression=place)
    if url.startswith(("/", "http:", "https:")) or ".." in unquote(url.partition("?")[0]).split("/") or not url:
        raise Malformed("entry-url", f"{place}.request.url must be relative to the base.", expression=place)
    if method in {"PUT", "PATCH"} and "resource" not in entry:
        raise Malformed("entry-resource", f"{place} needs a resource.", expression=place)
    if method == "POST" and "resource" not in entry and "$" not in url:
        raise Malformed("entry-resource", f"{place} needs a resource.", expression=place)


_FIELDS = {
    "method": "method",
    "If-Match": "ifMatch",
    "If-None-Exist": "ifNoneExist",
    "If-None-Match": "ifNoneMatch",
}
"""Where in an entry's `request` that stands which is a header, or the method, of a request of its own."""


@contextmanager
def placed(number: int) -> Iterator[None]:
    """Let an error say in which entry it arose."""
    try:
        yield
    except OverblikError as error:
        place = f"Bundle.entry[{number}]"
        error.issues = tuple(
            replace(issue, expression=f"{place}.{_inside(issue.expression)}".rstrip(".")) for issue in error.issues
        )
        raise


def _inside(expression: str) -> str:
    """Return an expression as it goes on inside an entry: a header stands in `request`, a path in `resource`."""
    if expression.startswith("http."):
        return "request." + _FIELDS.get(expression.removeprefix("http."), "url")
    if expression.startswith("request."):
        return expression
    head, dot, rest = expression.partition(".")
    return f"resource{dot}{rest}" if head in kept_types() else f"resource.{expression}" if expression else ""


async def write_all(work: Work, entries: list[Json], writes: Iterable[int], base: str = "") -> dict[int, Stored | None]:
    """Write these entries of a transaction; None stands for a deletion that found nothing.

    `base` is this server's own address, so that references by it are known to be local.
    """
    planned = [_entry(entries[number], number) for number in writes]
    for entry in planned:  # before anything is looked up
        with placed(entry.number):
            require_scope(work.caller, LETTERS[entry.method], entry.type)
    await _settle_conditions(work, planned)
    names = _names(work, planned)
    unresolved = await _conditional_references(work, planned, names)
    written = [e.resource for e in planned if e.method in {"POST", "PUT"} and not (e.method == "POST" and e.found)]
    await work.preload(_touched(planned, names, base), written)
    results: dict[int, Stored | None] = {}
    if unresolved:
        await _write_first(work, planned, unresolved, names, base, results)
    for entry in sorted(planned, key=_order):
        if entry.number not in results:
            results[entry.number] = await _write_one(work, entry, names, base)
    return results


def _entry(body: Json, number: int) -> Entry:
    path, _, query = body["request"]["url"].partition("?")
    resource_type, slash, resource_id = path.partition("/")
    method = body["request"]["method"]
    wrong = resource_type not in kept_types() or "/" in resource_id or (bool(slash) and not resource_id)
    if wrong or "$" in path or (method == "POST" and (resource_id or query)) or (resource_id and query):
        text = "A writing entry's url is Type, Type/id or Type?query."
        raise Malformed("entry-url", text, expression=f"Bundle.entry[{number}].request.url")
    if "resource" in body and method in {"POST", "PUT"}:
        with placed(number):
            checked(resource_type, body["resource"])
    return Entry(number, method, resource_type, resource_id, query, body)


def _order(entry: Entry) -> tuple[int, bool]:
    """FHIR's order of methods; Patients are written before what refers to them."""
    return METHODS[entry.method], entry.type != "Patient"


async def _settle_conditions(work: Work, planned: list[Entry]) -> None:
    """Find what each condition is about, in one order for all transactions, so that none waits for another."""
    asked = [(entry.type, entry.condition, entry) for entry in planned if entry.condition is not None]
    for _, text, entry in sorted(asked, key=lambda item: (item[0], item[1] or "")):
        place = "request.ifNoneExist" if entry.method == "POST" else "request.url"
        with placed(entry.number):
            match = await only_match(work, condition(entry.type, text or "", place), place)
            if match is not None:
                entry.id, entry.found = match[1], True
            elif entry.method == "PATCH":
                raise NotFound
            elif entry.if_match is not None:
                raise PreconditionFailed("version-changed", "Nothing is there to have that version.", expression=place)


def _names(work: Work, planned: list[Entry]) -> dict[str, str]:
    """Give each new resource its id; return {fullUrl: Type/id}. No resource may be written twice.

    Entries that would create one resource on one condition mean the same resource: the first creates it.
    """
    names: dict[str, str] = {}
    written: set[tuple[str, ...]] = set()
    created: dict[tuple[str, str], str] = {}
    for entry in planned:
        asked = (entry.type, entry.condition or "")
        if entry.method == "POST" and not entry.id:
            entry.found = asked[1] != "" and asked in created
            entry.id = created.setdefault(asked, work.unit.keys.id()) if asked[1] else work.unit.keys.id()
        elif entry.method == "PUT" and not entry.id:
            _require_once(written, ("?", *asked), entry)
            entry.id = str(entry.resource.get("id", "")) or work.unit.keys.id()
        identity = (entry.type, entry.id)
        if entry.id and not (entry.method == "POST" and entry.found):
            _require_once(written, identity, entry)
        full = entry.body.get("fullUrl")
        if full is not None:
            if full in names:
                raise Malformed(
                    "full-url-twice",
                    "A fullUrl stands twice in the Bundle.",
                    expression=f"Bundle.entry[{entry.number}].fullUrl",
                )
            names[full] = "/".join(identity)
    return names


def _require_once(written: set[tuple[str, ...]], what: tuple[str, ...], entry: Entry) -> None:
    if what in written:
        text = "Two entries of the transaction change the same resource."
        raise Malformed("entry-twice", text, expression=f"Bundle.entry[{entry.number}]")
    written.add(what)


async def _conditional_references(work: Work, planned: list[Entry], names: dict[str, str]) -> dict[str, int]:
    """Resolve references such as `Patient?identifier=…` with the caller's rights; return what found nothing yet."""
    wanted: dict[str, int] = {}
    for entry in planned:
        for reference in references(entry.resource):
            text = reference["reference"]
            if "?" in text and text.partition("?")[0] in kept_types():
                wanted.setdefault(text, entry.number)
    return {text: number for text, number in sorted(wanted.items()) if not await _resolve(work, text, number, names)}


async def _resolve(work: Work, text: str, number: int, names: dict[str, str]) -> bool:
    resource_type, _, query = text.partition("?")
    with placed(number):
        found = await work.match(condition(resource_type, query, "reference"))
        if len(found) > 1:
            raise _unresolved()
    if found:
        names[text] = "/".join(found[0])
    return bool(found)


def _unresolved() -> PreconditionFailed:
    say = "A conditional reference must find exactly one resource that you can see."
    return PreconditionFailed("reference-unresolved", say, expression="reference")


async def _write_first(
    work: Work,
    planned: list[Entry],
    unresolved: dict[str, int],
    names: dict[str, str],
    base: str,
    results: dict[int, Stored | None],
) -> None:
    """Write what a conditional reference may mean by entries of this transaction, and ask again."""
    types = {text.partition("?")[0] for text in unresolved}
    for entry in sorted(planned, key=_order):
        waits = any(reference["reference"] in unresolved for reference in references(entry.resource))
        if entry.method == "DELETE" or (entry.type in types and not waits):
            results[entry.number] = await _write_one(work, entry, names, base)
    await work.flush()
    for text, number in unresolved.items():
        if not await _resolve(work, text, number, names):
            with placed(number):
                raise _unresolved()


def _touched(planned: list[Entry], names: dict[str, str], base: str) -> Iterator[tuple[str, str]]:
    """Walk (type, id) of everything that stands already and is written, or that says whose a resource is."""
    new = {(e.type, e.id) for e in planned if e.method == "POST" and not e.found}
    for entry in planned:
        if entry.id and (entry.type, entry.id) not in new:
            yield entry.type, entry.id
        change = _resolver(entry, names, base)
        for reference in references(entry.resource):
            target = parse_reference(change(reference["reference"]))
            if target and target.type == "Patient" and not target.base and (target.type, target.id) not in new:
                yield target.type, target.id


def _resolver(entry: Entry, names: dict[str, str], base: str) -> Callable[[str], str]:
    """Return what a reference inside an entry means (https://hl7.org/fhir/R4/bundle.html#references).

    Another entry, by its fullUrl or relative to this entry's own; else this server's, if it names it.
    """
    own = _RESTFUL.fullmatch(str(entry.body.get("fullUrl", "")))
    root = own[1] if own else ""

    def change(text: str) -> str:
        plain, mark, fragment = text.partition("#")
        if not plain:
            return text
        for form in (
            text,
            plain,
            root + plain,
            (root if "://" not in plain else "") + plain.partition("/_history/")[0],
        ):
            if form in names:
                return names[form] + (mark + fragment if form != text else "")
        return text.removeprefix(base + "/") if base else text

    return change


async def _write_one(work: Work, entry: Entry, names: dict[str, str], base: str) -> Stored | None:
    with placed(entry.number):
        if entry.method == "DELETE":
            return await work.delete(entry.type, entry.id, if_match=entry.if_match) if entry.id else None
        if entry.method == "PATCH":
            return await work.patch(entry.type, entry.id, change_in(entry.resource), if_match=entry.if_match)
        if entry.method == "POST" and entry.found:
            return await work.current(entry.type, entry.id)
        resource = relink(entry.resource, _resolver(entry, names, base), lambda text: names.get(text, text))
        if entry.method == "POST":
            return await work.create(resource, new_id=entry.id)
        if not entry.condition and not entry.query:
            return await work.update(entry.type, entry.id, resource, if_match=entry.if_match)
        found = (entry.type, entry.id) if entry.found else None
        return await put_matched(work, resource, found, if_match=entry.if_match, new_id=entry.id)
