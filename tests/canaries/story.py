"""A record full of tokens, everybody who asks for it, and every tool that looks at the server: what each was told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

import httpx
from typer.main import get_command

from overblik.cli.main import commands
from overblik.demo.cast import GP, INGER, NURSE, STRANGER, SURGEON
from overblik.fhir.identifiers import CPR
from tests.canaries.tokens import KINDS, Canaries, tokens
from tests.conftest import NOW
from tests.exchange.documents import apd
from tests.trust.consents import consent, deny, entry, unit
from tests.web.browse import document

if TYPE_CHECKING:
    from pathlib import Path

    from tests.journeys.live import Live

OTHER = "0905489998"
REFUSED = "0404440404"
CITIZEN = {"kind": "citizen", "sub": INGER.cpr, "name": INGER.name}
MAY = {"citizen": CITIZEN, "nurse": NURSE.claims(), "gp": GP.claims()}
BORN = f'<birthTime value="{INGER.born:%Y%m%d}"/>'
NOBODY = ("nobody", "a forger")
SEARCHES = (
    "?patient={patient}", "?_id={id}", "?_count=50&_include=*&_revinclude=*", "?_filter=_id eq {id}",
    "?_lastUpdated=gt2020-01-01&_total=accurate",
)  # fmt: skip
PAGES = (
    "/", "/patient/{patient}", "/patient/{patient}?asOf=2026-11-23T09:00:00Z", "/patient/{patient}/block",
    "/patient/{patient}/apps", "/raw/{patient}", "/relations", "/log", "/log/file", "/blocks", "/proxies", "/sign-ins",
)  # fmt: skip


@dataclass
class Told:
    """What somebody asked, or which tool somebody ran, and what came back."""

    who: str
    what: str
    status: int
    answer: bytes

    @cached_property
    def tokens(self) -> set[str]:
        """The tokens in the answer."""
        return tokens(self.answer)


@dataclass
class Tale:
    """What was written where, and what everybody was told."""

    live: Live
    folder: Path
    said: Canaries = field(default_factory=Canaries)
    told: list[Told] = field(default_factory=list)
    written: dict[str, str] = field(default_factory=dict)
    patient: str = ""
    columns: dict[str, set[str]] = field(default_factory=dict)
    files: dict[str, set[str]] = field(default_factory=dict)
    dump: bytes = b""
    looks: list[str] = field(default_factory=list)

    def given(self, who: str) -> set[str]:
        """Return the places whose tokens somebody was given."""
        found = {token for told in self.told if told.who == who for token in told.tokens}
        return {self.said.places[token] for token in found}

    @property
    def may_not(self) -> dict[str, dict[str, str]]:
        """Who may see nothing of the record, each for a reason of their own."""
        token = self.live.token
        narrow = {"scope": "patient/Immunization.rs", "patient": "nobody", "app": "Appen"}
        return {
            NOBODY[0]: {},
            NOBODY[1]: {"Authorization": "Bearer eyJhbGciOiJub25lIn0.e30."},
            "blocked": token(**SURGEON.claims()),
            "a stranger": token(**STRANGER.claims()),
            "another citizen": token(kind="citizen", sub=OTHER, name="Borger"),
            "another source": token(kind="source", sub="elsewhere", name="elsewhere"),
            "an app": token(**NURSE.claims(), **narrow),
        }

    async def write(self, http: httpx.AsyncClient) -> None:
        """Write the record, everything in two versions, a document, and blocks: of a unit, and of one entry."""
        source = self.live.token(kind="source", sub="gateway", name="gateway")
        self.patient = await self._created(http, source, self.said.person(INGER.cpr, INGER.born))
        about = {"type": "Patient", "identifier": {"system": CPR, "value": INGER.cpr}}
        for staff in (NURSE, GP, SURGEON):
            await self._created(http, source, {
                "resourceType": "Encounter", "status": "in-progress", "class": {"code": "AMB"}, "subject": about,
                "serviceProvider": staff.unit.reference(), "period": {"start": (NOW - timedelta(days=1)).isoformat()},
            })  # fmt: skip
        for kind in KINDS:
            name = await self._created(http, source, self.said.full(kind, f"Patient/{self.patient}"))
            again = self.said.full(kind, f"Patient/{self.patient}") | {"id": name}
            answer = await http.put(f"/fhir/{kind}/{name}", json=again, headers={**source, "If-Match": 'W/"1"'})
            assert answer.status_code == 200, answer.text
            self.written[kind] = name
        message = apd(INGER.cpr, born=BORN).decode().replace("Kontrol", self.said.new("a document's section"))
        taken = await http.post("/fhir/$process-message", content=message.encode(), headers=source)
        assert taken.status_code == 200, taken.text
        for provision in (deny(unit(SURGEON.unit.sor)), deny(entry(f"Observation/{self.written['Observation']}"))):
            body = consent(provision, INGER.cpr)
            answer = await http.post("/fhir/Consent", json=body, headers=self.live.token(**CITIZEN))
            assert answer.status_code == 201, answer.text

    async def _created(self, http: httpx.AsyncClient, who: dict[str, str], body: dict[str, Any]) -> str:
        answer = await http.post(f"/fhir/{body['resourceType']}", json=body, headers=who)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def spoil(self, http: httpx.AsyncClient) -> None:
        """Deliver what is refused, full of tokens; the one who sent it may be told what was wrong with it."""
        source = self.live.token(kind="source", sub="gateway", name="gateway")
        for kind in KINDS:
            body = self.said.full(kind, f"Patient/{self.patient}")
            text = json.dumps(body)
            for spoilt in (text[: len(text) // 2], json.dumps(body | {"id": ["x"]}), json.dumps(body | {"x": text})):
                answer = await http.post(f"/fhir/{kind}", content=spoilt, headers=source)
                assert answer.status_code in {400, 422}, answer.text
        whole = apd(REFUSED, born='<birthTime value="19440404"/>').decode()
        whole = whole.replace("5b1f0d8a", "6c2f0d8b").replace("Kontrol", self.said.new("a refused section"))
        for spoilt in (
            whole[: whole.index("</text>")],
            whole.replace("19440404", self.said.new("a birth time")),
            whole.replace('value="20261201100000+0100"', f'value="{self.said.new("a time")}"'),
            whole.replace('"active"', f'"{self.said.new("a status")}"'),
            whole.replace("99900000055001", self.said.new("a sender")),
            whole.replace(REFUSED, self.said.new("a number")),
            whole.replace('"ENC"', f'"{self.said.new("a class")}"'),
            "MSH|" + self.said.new("a line of another format"),
        ):
            answer = await http.post("/fhir/$process-message", content=spoilt.encode(), headers=source)
            self.told.append(Told("who delivered", "message", answer.status_code, answer.content))

    async def look(self, http: httpx.AsyncClient) -> None:
        """Ask as those who may, by words that stand in the record; and for the record as a whole."""
        for who, claims in MAY.items():
            header = self.live.token(**claims)
            for path in (
                f"/Patient?name={self._word('Patient.name.family')}", f"/List?notes={self._word('List.note.text')}",
                f"/Condition?code:text={self._word('Condition.code.text')}", "/Observation",
                f"/Patient/{self.patient}/$overview", f"/Patient/{self.patient}/$everything?_count=200",
            ):  # fmt: skip
                answer = await http.get(f"/fhir{path}", headers=header)
                assert answer.status_code == 200, answer.text
                await self._one(who, answer)

    async def break_the_glass(self, http: httpx.AsyncClient) -> None:
        """Open the record to the stranger, for a reason; what they saw is not looked at any more."""
        reason = f"Fundet bevidstløs {self.said.new('the reason for breaking the glass')}"
        broken = {"resourceType": "Parameters", "parameter": [
            {"name": "identifier", "valueIdentifier": {"system": CPR, "value": INGER.cpr}},
            {"name": "reason", "valueString": reason},
        ]}  # fmt: skip
        answer = await http.post(
            "/fhir/Patient/$break-glass", json=broken, headers=self.live.token(**STRANGER.claims())
        )
        assert answer.status_code == 200, answer.text

    async def read_the_log(self, http: httpx.AsyncClient) -> None:
        """Read the log as the citizen does: as events, and in the words of the page."""
        await self.live.run.drain()
        await self.live.run.heads.sign()
        for who, path in (
            ("the log", f"/Patient/{self.patient}/$log?_count=200"),
            ("events", "/AuditEvent?_count=200"),
        ):
            answer = await http.get(f"/fhir{path}", headers=self.live.token(**CITIZEN))
            assert answer.status_code == 200, answer.text
            await self._one(who, answer)

    def _word(self, place: str) -> str:
        return next(token for token, written in self.said.places.items() if written == place)

    async def ask(self, http: httpx.AsyncClient, who: str, header: dict[str, str]) -> None:
        """Ask for everything in every way that the API has, and try to change it; for little where nobody is known."""
        paths = [
            f"/Patient/{self.patient}", *(f"/Patient/{self.patient}/{end}" for end in (
                "$everything", "$overview", "$log", "_history", "_history/1", "$meta", "AuditEvent", "*")),
            f"/Patient?identifier={INGER.cpr}", f"/Patient?name={self._word('Patient.name.family')[:24]}",
            f"/Observation?code:text={self._word('Observation.code.text')[:24]}", "/_history?_count=50",
            f"/?_type=Observation,Condition&patient={self.patient}", f"/Observation/$lastn?patient={self.patient}",
            f"/Observation?_has:Provenance:target:_id=x&patient={self.patient}", "/Observation?_text=a", "/Patient/x",
        ]  # fmt: skip
        known = who not in NOBODY
        written = [(kind, name) for n, (kind, name) in enumerate(self.written.items()) if known or n < 5]
        for kind, name in written:
            paths += [f"/{kind}/{name}{end}" for end in ("", "/_history", "/_history/1", "/$meta")]
            paths += [f"/{kind}{end.format(patient=self.patient, id=name)}" for end in SEARCHES]
        for path in paths:
            await self._one(who, await http.get(f"/fhir{path}", headers=header))
        for kind, name in written:
            place, body = f"/fhir/{kind}/{name}", {"resourceType": kind, "id": name}
            patch = {**header, "Content-Type": "application/json-patch+json"}
            await self._one(who, await http.put(place, json=body, headers={**header, "If-Match": 'W/"1"'}))
            await self._one(
                who, await http.patch(place, content='[{"op":"test","path":"/x","value":1}]', headers=patch)
            )
            await self._one(who, await http.delete(place, headers=header))

    async def open(self, who: str, claims: dict[str, Any]) -> None:
        """Open every page that a person can, as a browser does, and send its forms."""
        async with httpx.AsyncClient(base_url=self.live.address, follow_redirects=True, timeout=60) as http:
            home = await http.get(await self.live.link(**claims))
            base = str(home.url.path).rstrip("/")
            form = {"form_token": str(document(home).xpath("string(//input[@name='form_token']/@value)"))}
            for end in PAGES:
                await self._one(who, await http.get(base + end.format(patient=self.patient)))
            for end, fields in (
                ("/look-up", {"cpr": INGER.cpr}), ("/look-up", {"cpr": "x"}), ("/blocks/preview", {"what": "all"}),
                ("/break-glass", {"cpr": INGER.cpr, "reason": ""}), ("/relations/state", {"cpr": INGER.cpr}),
            ):  # fmt: skip
                await self._one(who, await http.post(base + end, data={**form, **fields}))

    async def _one(self, who: str, answer: httpx.Response) -> None:
        head = "\n".join(f"{name}: {value}" for name, value in answer.headers.items()).encode()
        what = f"{answer.request.method} {answer.request.url}"
        self.told.append(Told(who, what, answer.status_code, head + b"\n\n" + answer.content))

    def run(self, who: str, tool: str, *arguments: str, keys: str = "") -> Told:
        """Run `overblik` as an operator does, with the file of master keys or without."""
        environment = {name: value for name, value in os.environ.items() if name != "OVERBLIK_BODY_KEYS"}
        environment |= {"OVERBLIK_DATA": str(self.folder), "OVERBLIK_MODE": "demo", "COLUMNS": "500"}
        environment |= {"OVERBLIK_BODY_KEYS": keys} if keys else {}
        done = subprocess.run(
            [sys.executable, "-m", "overblik", *tool.split(" "), *arguments],
            env=environment, capture_output=True, timeout=120, check=False, input=b"",
        )  # fmt: skip
        told = Told(who, tool, done.returncode, done.stdout + done.stderr)
        self.told.append(told)
        return told

    async def read_the_tables(self) -> None:
        """Read every column of every table, as whoever is master of the database can."""
        database = self.live.run.database
        columns = await database.fetch(
            "select c.table_name as t, c.column_name as c from information_schema.columns c"
            " join information_schema.tables using (table_schema, table_name)"
            " where c.table_schema = 'public' and table_type = 'BASE TABLE'"
            " and c.data_type in ('text', 'bytea', 'jsonb', 'ARRAY')"
        )
        for row in columns:
            found: set[str] = set()
            for cell in await database.fetch(f'select "{row.c}" as v from "{row.t}" where "{row.c}" is not null'):
                found |= tokens(cell.v if isinstance(cell.v, bytes) else str(cell.v).encode())
            if found:
                self.columns[f"{row.t}.{row.c}"] = {self.said.places[token] for token in found}

    async def logged_looks(self) -> list[str]:
        """Return what the log says that operators had opened to read."""
        rows = await self.live.run.database.fetch(
            "select query from access_log where action = 'read raw' and actor_kind = 'system' order by at, query"
        )
        return [str(row.query) for row in rows]


def tools() -> set[str]:
    """Return every command that `overblik` has, as it is written."""

    def within(command: Any, path: tuple[str, ...]) -> set[str]:
        below = getattr(command, "commands", {})
        own = set() if below and not command.invoke_without_command else {" ".join(path)}
        return own.union(*(within(one, (*path, name)) for name, one in below.items()))

    return within(get_command(commands()), ())
