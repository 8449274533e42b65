"""F26, Z44: an exception at every call of policy, log and storage, one a run: nothing is permitted, nothing half.

A run asks one request and raises at one place: where a function of these layers is entered, or goes on after it has
waited. Everyday at some of the places, in the long tests at every sixth, with `--injected 1` at each.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from opcode import opmap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from psycopg import OperationalError

import overblik
from overblik.fhir.errors import Unavailable
from overblik.fhir.strict_json import dumps
from overblik.store.pool import Pool
from tests.conftest import NOW
from tests.trust.consents import attorney, consent, of_type, permit
from tests.trust.consents import deny as denying
from tests.trust.stage import CPR, DAY, DEPARTMENT, MUNICIPALITY, OTHER, about, deny, encounter, stage, write
from tests.trust.test_consent import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import CodeType, FrameType

    import httpx

    from tests.conftest import World

CANARY = "canary4f1c9d0e7b"
ROOT = Path(overblik.__file__).parent
LAYERS = tuple(str(ROOT / name) for name in ("trust", "store", "api", "overview"))
NOT_OURS = (str(ROOT / "store" / "lanes.py"), str(ROOT / "store" / "wire.py"))
"""What works for several requests at once; its faults are those of the database (test_database.py)."""
GIVES_BACK = Pool.give_back.__code__
"""Where this fails before it has begun, its connection is closed by whoever collects what nobody holds any more."""
WAIT = 20.0
ERRORS: tuple[Callable[[], Exception], ...] = (
    lambda: RuntimeError("injected"),
    lambda: Unavailable("injected", "An input of the decision has failed."),
    lambda: OperationalError("injected"),
    lambda: MemoryError("injected"),
    lambda: TimeoutError("injected"),
)
Place = tuple["CodeType", int]


class Injector:
    """Follows the calls of one request, and raises at one of them."""

    def __init__(self, at: Place | None = None, error: Exception | None = None) -> None:
        self.places: list[Place] = []
        self._at = at
        self._error = error
        self._entered: dict[CodeType, int] = {}
        self._woken: FrameType | None = None

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        """Take a call; what is raised here is raised there (https://docs.python.org/3/library/sys.html#sys.settrace).

        A function that is woken only to wake the one that it waits for is no place: an error comes from within that
        one. Raised outside, it would leave what is inside hanging, as no error ever does.
        """
        if event != "call":
            return
        if self._woken is not None and frame.f_back is self._woken and _goes_on(frame):
            self._forget(self._woken.f_code)
        self._woken = frame if _goes_on(frame) else None
        code = frame.f_code
        if not _is_ours(code):
            return
        turn = self._entered.get(code, 0)
        self._entered[code] = turn + 1
        if turn < 2:
            self.places.append((code, turn))
        if self._at == (code, turn) and self._error is not None:
            raise self._error

    def _forget(self, code: CodeType) -> None:
        """Take back the place of a function that was the last to be woken."""
        if self.places and _is_ours(code) and self.places[-1] == (code, self._entered[code] - 1):
            self.places.pop()


def _is_ours(code: CodeType) -> bool:
    name = code.co_filename
    return name.startswith(LAYERS) and name not in NOT_OURS and not code.co_name.startswith("<")


def _goes_on(frame: FrameType) -> bool:
    """Say whether a function does not begin, but goes on after it has waited (the operand of RESUME)."""
    code = frame.f_code.co_code
    return code[frame.f_lasti] == opmap["RESUME"] and code[frame.f_lasti + 1] != 0


@contextmanager
def following(injector: Injector) -> Iterator[None]:
    """Follow what is called meanwhile, and not what the collector closes: that is of requests before."""
    before = sys.gettrace()
    gc.disable()
    sys.settrace(injector)
    try:
        yield
    finally:
        sys.settrace(before)
        gc.enable()


@dataclass(frozen=True)
class Asked:
    """One request; `shows` is what its answer holds that only some may see, "" where it must hold nothing of it."""

    who: str
    method: str
    path: str
    body: Any = None
    shows: str = CANARY

    @property
    def is_write(self) -> bool:
        """Say whether it changes something."""
        return self.method != "GET"


SEEN = (
    *(
        Asked("doctor", "GET", path)
        for path in (
            "/Observation/{made}", "/Observation/{made}/_history/1", "/Observation/{made}/_history",
            "/Observation?patient={patient}", "/Encounter?_revinclude=Observation:encounter&_total=accurate",
            "/Patient/{patient}/$everything", "/Patient/{patient}/$overview", "/Observation/$lastn?patient={patient}",
            "/Observation/_history", "/Observation/{made}?asOf=2026-11-24",
        )
    ),
    Asked("app", "GET", "/Observation/{made}"),
    Asked("citizen", "GET", "/Observation"),
    Asked("proxy", "GET", "/Observation/{made}"),
    Asked("proxy", "GET", "/Observation"),
    Asked("breaker", "GET", "/Observation/{made}"),
    Asked("breaker", "GET", "/Patient/{patient}/$everything"),
    Asked("citizen", "GET", "/AuditEvent", shows='"agent"'),
    Asked("proxy", "GET", "/AuditEvent", shows='"agent"'),
    Asked("citizen", "GET", "/Patient/{patient}/$log", shows='"whatSalt"'),
)  # fmt: skip
UNSEEN = tuple(
    Asked(who, "GET", path, shows="")
    for who, path in (
        ("stranger", "/Observation/{made}"), ("stranger", "/Observation?patient={patient}&_total=accurate"),
        ("stranger", "/Patient/{patient}/$everything"), ("stranger", "/Patient/{patient}/$overview"),
        ("blocked", "/Observation/{made}"), ("blocked", "/Observation?patient={patient}"),
        ("narrow app", "/Observation/{made}"), ("another citizen", "/Observation"), ("nobody", "/Observation/{made}"),
        ("narrow proxy", "/Observation/{made}"), ("narrow proxy", "/Observation"), ("narrow proxy", "/AuditEvent"),
        ("another citizen", "/Patient/{patient}/$log"),
        ("doctor", f"/Patient?identifier=urn:oid:1.2.208.176.1.2|{CPR}"),
    )
)  # fmt: skip
OBSERVED: dict[str, Any] = {
    "resourceType": "Observation", "status": "final", "code": {"text": CANARY}, "subject": about(),
    "encounter": {"reference": "Encounter/gateway.e"},
}  # fmt: skip
BOTH = {"resourceType": "Bundle", "type": "transaction", "entry": [
    {"resource": OBSERVED, "request": {"method": "POST", "url": "Observation"}},
    {"resource": {**OBSERVED, "id": "gateway.t"}, "request": {"method": "PUT", "url": "Observation/gateway.t"}},
]}  # fmt: skip
WRITES = (
    Asked("source", "POST", "/Observation", OBSERVED),
    Asked("source", "PUT", "/Observation/gateway.u", {**OBSERVED, "id": "gateway.u"}),
    Asked("source", "POST", "", BOTH),
    Asked("citizen", "POST", "/Consent", consent(denying(of_type("Condition")))),
)


async def staged(world: World) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """Write what there is to see; return its names and who asks."""
    patient = await stage(world)
    for unit in (DEPARTMENT, MUNICIPALITY):
        await world.put(f"/Encounter/gateway.{unit}", world.source(), {
            **encounter(unit, NOW - DAY, None), "id": f"gateway.{unit}"})  # fmt: skip
    contact = {**encounter(DEPARTMENT, NOW - DAY, None), "id": "gateway.e"}
    await world.put("/Encounter/gateway.e", world.source(), contact)
    made = await write(world, OBSERVED)
    await world.run.drain()
    await deny(world, patient, org=MUNICIPALITY, type="Observation")
    app = {"kind": "citizen", "sub": CPR, "name": "Borger", "app": "Appen", "patient": patient}
    who = {
        "doctor": world.professional(DEPARTMENT), "stranger": world.professional("99900016003", "TEST3"),
        "blocked": world.professional(MUNICIPALITY, "TEST2"), "citizen": world.citizen(CPR),
        "app": world.token(**app, scope="patient/Observation.rs"), "another citizen": world.citizen("0101010101"),
        "narrow app": world.token(**app, scope="patient/Condition.rs"), "source": world.source(), "nobody": {},
    }  # fmt: skip
    return {"patient": patient, "made": made}, who


async def let_in(world: World, name: str) -> dict[str, str]:
    """Let somebody act for the citizen, wholly or for conditions alone, or break the glass; return who asks."""
    if name == "breaker":
        identity = {"kind": "professional", "sub": "TEST4", "name": "Læge", "role": "læge", "org": "99900016003"}
        who = world.token(**identity, auth_time=int(time.time()))
        reason = {"name": "reason", "valueString": "Bevidstløs i modtagelsen"}
        parameters = [{"name": "identifier", "valueIdentifier": about()["identifier"]}, reason]
        answer = await world.post("/Patient/$break-glass", who, {"resourceType": "Parameters", "parameter": parameters})
        assert answer.status_code == 200, answer.text
        return who
    limits = [of_type("Condition")] if name == "narrow proxy" else []
    await say(world, world.citizen(CPR), consent(permit(attorney(OTHER), *limits)))
    return world.token(kind="proxy", sub=OTHER, name="Fuldmægtig", on_behalf=CPR)


async def asked(world: World, ask: Asked, names: dict[str, str], who: dict[str, dict[str, str]]) -> httpx.Response:
    content = dumps(ask.body) if ask.body is not None else None
    headers = {"Content-Type": "application/fhir+json", **who[ask.who]}
    url = f"/fhir{ask.path.format(**names)}"
    return await asyncio.wait_for(world.http.request(ask.method, url, headers=headers, content=content), WAIT)


async def amounts(world: World) -> tuple[int, ...]:
    """Return how many rows every table has but those of the log and of looks."""
    rows = await world.run.database.fetch(
        "select c.relname::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where c.relkind = 'r' and n.nspname = 'public' and c.relname !~ '^(access_log|log_|looked|unsequenced)'"
        " order by 1"
    )
    counts = ", ".join(f'(select count(*) from "{row.name}") as "{row.name}"' for row in rows)
    return tuple((await world.run.database.fetch(f"select {counts}"))[0])


async def try_each(world: World, ask: Asked, stride: int, offset: int = 0) -> int:
    """Raise at each place of a request, or at some; return at how many."""
    names, who = await staged(world)
    if ask.who not in who:
        who[ask.who] = await let_in(world, ask.who)
    if ask.path.endswith("$log"):
        await world.run.drain()
        await world.run.heads.sign()
    told = ask.shows or CANARY
    await asked(world, ask, names, who)  # what is kept and prepared at the first time is there
    followed = Injector()
    before = await amounts(world)
    with following(followed):
        clean = await asked(world, ask, names, who)
    whole = _change(before, await amounts(world))
    assert (told in clean.text) is (bool(ask.shows) and ask.path not in {"/Consent", ""}), clean.text
    places = followed.places[offset::stride]
    for number, place in enumerate(places):
        before = await amounts(world)
        with following(Injector(place, ERRORS[number % len(ERRORS)]())):
            answer = await asked(world, ask, names, who)
        where = f"{ask} at {place[0].co_filename}:{place[0].co_qualname}, turn {place[1]}: {answer.text[:300]}"
        assert answer.status_code in {clean.status_code, 500, 503, 401}, where
        change = _change(before, await amounts(world))
        assert change == whole or not any(change), where
        if ask.is_write:
            assert any(change) or answer.status_code >= 400, f"acknowledged and not there: {where}"
        elif not ask.shows or answer.status_code != 200:
            assert told not in answer.text, where
        else:
            assert await logged(world, answer.headers["x-request-id"]), f"disclosed and not logged: {where}"
    if any(code is GIVES_BACK for code, _ in places):
        gc.collect()
    after = await asked(world, ask, names, who)
    assert after.status_code == clean.status_code, "it works again when nothing fails"
    return len(places)


def _change(before: tuple[int, ...], after: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(b - a for a, b in zip(before, after, strict=True))


async def logged(world: World, request: str) -> bool:
    rows = await world.run.database.fetch(
        "select 1 from access_log where request = %(request)s::uuid and outcome = 'permit'", {"request": request}
    )
    return bool(rows)


EVERYDAY = [SEEN[0], UNSEEN[0], UNSEEN[5], WRITES[0]]


@pytest.mark.filterwarnings("ignore:.*was deleted while still open:ResourceWarning")  # GIVES_BACK
@pytest.mark.parametrize("ask", EVERYDAY, ids=lambda ask: f"{ask.who} {ask.method} {ask.path}")
async def test_f26_z44_what_fails_permits_nothing_here_and_there(world: World, ask: Asked) -> None:
    assert await try_each(world, ask, 12, 3) > 2


@pytest.mark.filterwarnings("ignore:.*was deleted while still open:ResourceWarning")  # GIVES_BACK
@pytest.mark.long
@pytest.mark.parametrize("ask", [*SEEN, *UNSEEN, *WRITES], ids=lambda ask: f"{ask.who} {ask.method} {ask.path}")
async def test_f26_z44_what_fails_permits_nothing_wherever_it_fails(
    world: World, ask: Asked, request: pytest.FixtureRequest
) -> None:
    stride = int(request.config.getoption("--injected"))
    assert await try_each(world, ask, stride, zlib.crc32(ask.path.encode()) % stride) > (
        0 if ask.who == "nobody" else 10 // stride
    )
