"""`overblik keys` beside a served process, and what a thief finds in its data folder (O6, O07, O10, Z42)."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from overblik.store.embedded import EmbeddedPostgres
from tests.exchange.documents import apd
from tests.journeys.live import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.long
CPR_SYSTEM = "urn:oid:1.2.208.176.1.2"
SEALED = ("note", "narrative", "extension", "contact", "attachment", "binary", "instruction", "older", "message")
"""What is written and is no search parameter: nowhere in the data folder. `message` is in the bytes of a document."""
INDEXED = ("family", "street", "valuestring", "codetext")
"""What is searched by its beginning: readable in the tables, as docs/decisions/018 says."""


def canaries() -> dict[str, str]:
    return {place: place + secrets.token_hex(16) for place in (*SEALED, *INDEXED)}


class Client:
    """Writes to a server as a source."""

    def __init__(self, address: str, token: str) -> None:
        self._http = httpx.Client(base_url=address, headers={"Authorization": f"Bearer {token}"}, timeout=30)

    def create(self, resource: dict[str, Any]) -> str:
        answer = self._http.post(f"/fhir/{resource['resourceType']}", json=resource)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def write(self, cpr: str, said: dict[str, str]) -> str:
        """Write one person with a canary in every place; return the Patient's id."""
        patient = self.create({
            "resourceType": "Patient", "identifier": [{"system": CPR_SYSTEM, "value": cpr}],
            "name": [{"family": said["family"]}], "address": [{"line": [said["street"]]}],
            "contact": [{"name": {"text": said["contact"]}}],
        })  # fmt: skip
        subject = {"reference": f"Patient/{patient}"}
        observation = {
            "resourceType": "Observation", "status": "final", "code": {"text": said["codetext"]}, "subject": subject,
            "valueString": said["valuestring"], "note": [{"text": said["older"]}],
            "text": {"status": "generated",
                     "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{said["narrative"]}</div>'},
            "extension": [{"url": "http://example.dk/x", "valueString": said["extension"]}],
        }  # fmt: skip
        name = self.create(observation)
        changed = observation | {"id": name, "note": [{"text": said["note"]}]}
        answer = self._http.put(f"/fhir/Observation/{name}", json=changed, headers={"If-Match": 'W/"1"'})
        assert answer.status_code == 200, answer.text
        self.create({
            "resourceType": "DocumentReference", "status": "current", "subject": subject,
            "content": [{"attachment": {"contentType": "text/plain", "data": _coded(said["attachment"])}}],
        })  # fmt: skip
        self.create({
            "resourceType": "Binary", "contentType": "text/plain", "data": _coded(said["binary"]),
            "securityContext": subject,
        })  # fmt: skip
        self.create({
            "resourceType": "ServiceRequest", "status": "active", "intent": "order", "subject": subject,
            "patientInstruction": said["instruction"],
        })  # fmt: skip
        born = f"19{cpr[4:6]}{cpr[2:4]}{cpr[:2]}"
        message = apd(cpr, born=f'<birthTime value="{born}"/>').decode()
        message = message.replace("Kontrol", said["message"]).replace("4000-8000", f"4000-8{cpr[:3]}")
        taken = self._http.post("/fhir/$process-message", content=message.encode())
        assert taken.status_code == 200, taken.text
        return patient

    def status(self, path: str) -> int:
        return self._http.get(f"/fhir/{path}").status_code

    def close(self) -> None:
        self._http.close()


def _coded(text: str) -> str:
    return b64encode(text.encode()).decode()


def forms(text: str) -> list[bytes]:
    """Return how a text may stand in a file: as it is, or in base64 at each of three places."""
    coded = [b64encode(b"x" * shift + text.encode())[4 * (shift > 0) : -4] for shift in range(3)]
    return [text.encode(), *coded]


def found(folder: Path, said: dict[str, str]) -> dict[str, set[str]]:
    """Return in which kinds of files (by the first folder below the data) each canary stands."""
    places: dict[str, set[str]] = {}
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            where = "wal" if "pg_wal" in path.parts else "tables" if "base" in path.parts else path.name
            for place, text in said.items():
                if any(form in data for form in forms(text)):
                    places.setdefault(place, set()).add(where)
    return places


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Return what runs `overblik` on the folder; it gives the output, and fails where the command does."""
    monkeypatch.setenv("COLUMNS", "200")

    def command(*arguments: str, code: int = 0) -> str:
        environment = {**os.environ, "OVERBLIK_DATA": str(folder), "OVERBLIK_MODE": "demo"}
        ended = subprocess.run(
            [sys.executable, "-m", "overblik", *arguments],
            env=environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert ended.returncode == code, ended.stdout + ended.stderr
        return ended.stdout + (ended.stderr if code else "")

    return command


@pytest.fixture
def server(folder: Path) -> Iterator[EmbeddedPostgres]:
    made = EmbeddedPostgres(folder)
    made.start()
    yield made
    made.stop()


def stolen(server: EmbeddedPostgres, folder: Path, said: dict[str, str]) -> dict[str, set[str]]:
    """Return what a thief of the disk finds, everything being in the files."""
    server.stop()
    try:
        return found(folder, said)
    finally:
        server.start()


def test_o07_a_stolen_data_folder_tells_what_the_decision_says_and_no_more(
    server: EmbeddedPostgres, folder: Path, tmp_path: Path, run: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = canaries(), canaries()
    with serving(folder) as address:
        token = run("token", "--source", "gateway").split()[-1]
        client = Client(address, token)
        first = client.write("2512489996", before)
        client.close()
    swept = stolen(server, folder, before)
    assert {place for place, where in swept.items() if "tables" in where} == {*SEALED, *INDEXED}, "the sweep works"

    monkeypatch.setenv("OVERBLIK_BODY_KEYS", str(tmp_path / "master.keys"))
    assert "keys make" in run("keys", "status", code=1)
    run("keys", "make")
    assert "is there already" in run("keys", "make", code=1)
    with serving(folder) as address:
        client = Client(address, token)
        second = client.write("0403441234", after)
        assert re.search(r"[1-9]\d* bodies not sealed", run("keys", "status"))
        assert re.search(r"[1-9]\d* bodies sealed", run("keys", "encrypt", "--rewrite"))
        assert "\n0 bodies not sealed" in run("keys", "status")
        assert client.status(f"Patient/{first}/$everything") == 200
        run("keys", "rotate", "--drop")
        run("keys", "rotate")
        assert run("keys", "status").count("in force") == 1
        assert client.status(f"Patient/{second}/$everything") == 200
        client.close()
    swept = stolen(server, folder, before | {f"{place} after": text for place, text in after.items()})
    assert {place for place in swept if place.endswith("after")} == {f"{place} after" for place in INDEXED}, swept
    left = {place for place, where in swept.items() if "tables" in where and not place.endswith("after")}
    assert left == set(INDEXED), "what was plain before is in no table any more"

    with serving(folder) as address:
        client = Client(address, token)
        run("keys", "shred", f"Patient/{second}", "--reason", "asked for", "--yes")
        assert client.status(f"Patient/{second}") == 410
        assert client.status(f"Patient/{first}") == 200
        assert "there is no Patient" in run("keys", "shred", "Patient/nobody", "--reason", "x", "--yes", code=1)
        run("verify-log")
        client.close()
    monkeypatch.delenv("OVERBLIK_BODY_KEYS")
    assert "OVERBLIK_BODY_KEYS" in run("keys", "status", code=1)
    assert "Bodies are sealed in this database" in run("reindex", code=1)
