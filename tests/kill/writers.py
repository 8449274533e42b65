"""Concurrent writers that keep a ledger, through kills."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any

import httpx

from overblik.demo.cast import MUNICIPALITY, ORTHOPAEDICS
from overblik.demo.client import refusal
from overblik.demo.formats.medcom import Stay, hospital_notification
from overblik.demo.people import Person, make_person
from tests.conftest import NOW
from tests.kill.ledger import Ledger, Line, digest_of
from tests.kill.verdict import KEYS

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 40
FHIR = {"Content-Type": "application/fhir+json"}


def observation(key: str, patient: str, **more: Any) -> dict[str, Any]:
    """Return a resource that its key names."""
    return {
        "resourceType": "Observation",
        "identifier": [{"system": KEYS, "value": key}],
        "status": "final",
        "code": {"text": key},
        "subject": {"reference": f"Patient/{patient}"},
        **more,
    }


def client(address: str, **more: Any) -> httpx.AsyncClient:
    """Return a client without TLS: reading the authorities' certificates takes longer than to start PostgreSQL."""
    return httpx.AsyncClient(base_url=address, timeout=PATIENCE, verify=False, **more)


class Writer:
    """One client. Every request is in the ledger before it is sent, and again when it is answered."""

    def __init__(self, address: str, ledger: Ledger, number: int, header: Callable[[str], dict[str, str]]) -> None:
        self._address = address
        self._ledger = ledger
        self._number = number
        self._header = header
        self._count = 0
        self._rng = Random(number)
        self._person = make_person(self._rng, NOW.date())
        self._patient = ""
        self._last: tuple[str, int] | None = None
        self.messages: dict[str, bytes] = {}
        self.surprises: list[str] = []
        self.refused: Counter[int] = Counter()
        self.heard = ""

    async def write(self, stop: asyncio.Event) -> None:
        """Write until stopped; a server that is away is asked again."""
        jobs = [self._create, self._update, self._transaction, self._message, self._read]
        while not stop.is_set():
            try:
                async with client(self._address) as http:
                    while not self._patient:
                        await self._open(http)
                    while not stop.is_set():
                        await jobs[self._count % len(jobs)](http)
            except httpx.TimeoutException as error:
                self.surprises.append(f"no answer within {PATIENCE} s: {error!r}")
            except (httpx.HTTPError, ConnectionError) as error:
                self.heard = self.heard or repr(error)
                await self._wait_ready()

    async def _wait_ready(self) -> None:
        """Wait until the server says that it is ready, as a client does that was told to come back."""
        async with client(self._address) as http:
            while True:
                with suppress(httpx.HTTPError):
                    if (await http.get("/readyz")).status_code == 200:
                        return
                await asyncio.sleep(0.05)

    def _key(self, kind: str) -> str:
        self._count += 1
        key = f"{self._number}-{self._count}"
        self._ledger.sent(key, kind)
        return key

    async def _send(self, http: httpx.AsyncClient, method: str, path: str, body: Any = None) -> httpx.Response:
        content = {"content": body} if isinstance(body, bytes) else {"json": body} if body else {}
        response = await http.request(method, f"/fhir{path}", headers=self._header("source") | FHIR, **content)
        if response.status_code in {200, 201}:
            return response
        if response.status_code not in {429, 503, 507} or "retry-after" not in response.headers:
            self.surprises.append(f"{method} {path}: {response.status_code} {response.text[:200]}")
            self._patient, self._last = "", None
        self.refused[response.status_code] += 1
        self.heard = f"{method} {path}: {response.status_code} {response.text}"
        raise ConnectionError(response.text)

    def _acknowledge(self, key: str, kind: str, digest: str, response: httpx.Response, *places: list[Any]) -> None:
        request = response.headers["x-request-id"]
        line = Line(key, kind, acknowledged=True, digest=digest, request=request, places=list(places))
        self._ledger.answered(replace(line, round=self._ledger.round))

    async def _open(self, http: httpx.AsyncClient) -> None:
        body = {
            "resourceType": "Patient",
            "identifier": [{"system": "urn:oid:1.2.208.176.1.2", "value": self._person.cpr}],
        }
        condition = {"If-None-Exist": f"identifier=urn:oid:1.2.208.176.1.2|{self._person.cpr}"}
        headers = self._header("source") | FHIR | condition
        response = await http.post("/fhir/Patient", headers=headers, json=body)
        if response.status_code in {200, 201}:
            self._patient = response.headers["location"].split("/Patient/")[1].split("/")[0]
        else:
            self.heard = f"opening: {response.status_code} {response.text}"
            await asyncio.sleep(0.05)

    async def _create(self, http: httpx.AsyncClient) -> None:
        key = self._key("create")
        sent = observation(key, self._patient, valueString="å" * self._rng.randrange(10, 4000))
        response = await self._send(http, "POST", "/Observation", sent)
        found = response.json()
        self._last = (found["id"], 1)
        self._acknowledge(key, "create", digest_of(sent), response, ["Observation", found["id"], 1])

    async def _update(self, http: httpx.AsyncClient) -> None:
        if self._last is None:
            return await self._create(http)
        key = self._key("update")
        (identifier, version), self._last = self._last, None
        sent = observation(key, self._patient, valueString="ø" * self._rng.randrange(10, 4000))
        read = {**sent, "id": identifier, "meta": {"versionId": str(version)}}
        response = await self._send(http, "PUT", f"/Observation/{identifier}", read)
        version = int(response.json()["meta"]["versionId"])
        self._last = (identifier, version)
        self._acknowledge(key, "update", digest_of(sent), response, ["Observation", identifier, version])
        return None

    async def _transaction(self, http: httpx.AsyncClient) -> None:
        key = self._key("transaction")
        first, second = observation(f"{key}.a", self._patient), observation(f"{key}.b", self._patient)
        entries = []
        for url, resource in (("urn:uuid:" + "a" * 32, first), ("urn:uuid:" + "b" * 32, second)):
            entries.append({"fullUrl": url, "resource": resource, "request": {"method": "POST", "url": "Observation"}})
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        response = await self._send(http, "POST", "", bundle)
        places = []
        for entry in response.json()["entry"]:
            kind, identifier, _, version = entry["response"]["location"].rsplit("/", 3)
            places.append([kind.rsplit("/", 1)[-1], identifier, int(version)])
        self._acknowledge(key, "transaction", digest_of(first), response, *places)

    async def _message(self, http: httpx.AsyncClient) -> None:
        key = self._key("message")
        person: Person = make_person(self._rng, NOW.date())
        stay = Stay(person, ORTHOPAEDICS, MUNICIPALITY, key, "IMP", NOW)
        body, _ = hospital_notification(stay, "admit-inpatient", NOW)
        self.messages[key] = body
        response = await self._send(http, "POST", "/$process-message", body)
        assert refusal(response.content) == "", response.text
        self._acknowledge(key, "message", hashlib.sha256(body).hexdigest(), response)

    async def _read(self, http: httpx.AsyncClient) -> None:
        key = self._key("read")
        response = await self._send(http, "GET", f"/Patient/{self._patient}")
        version = int(response.json()["meta"]["versionId"])
        digest = digest_of(response.json())
        self._acknowledge(key, "read", digest, response, ["Patient", self._patient, version])

    async def again(self, http: httpx.AsyncClient, key: str) -> None:
        """Send a message that was never acknowledged once more, as a sender does."""
        body = self.messages[key]
        response = await self._send(http, "POST", "/$process-message", body)
        assert refusal(response.content) == "", response.text
        self._acknowledge(key, "message", hashlib.sha256(body).hexdigest(), response)
