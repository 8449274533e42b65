"""The main job as a newcomer does it: one command, four links, and the commands beside it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
import pytest

from overblik.demo.cast import INGER
from tests.folders import open_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.long
TODAY = "2026-11-23"


@dataclass
class Demo:
    """A running demo, and the command line beside it."""

    folder: Path
    port: int
    text: str
    process: subprocess.Popen[str]

    @property
    def links(self) -> list[str]:
        return re.findall(r"http://\S+/sign-in\?hint=\S+", self.text)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return overblik(self.folder, *arguments)


def overblik(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OVERBLIK_DATA": str(folder), "COLUMNS": "200"}
    command = [sys.executable, "-m", "overblik", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def words(page: httpx.Response) -> str:
    """Return a page's text without its tags."""
    return " ".join(re.sub(r"<[^>]+>", "", page.text).split())


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    with open_folder("demo") as folder, running_demo(folder) as started:
        yield started


@contextmanager
def running_demo(folder: Path) -> Iterator[Demo]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "overblik", "demo", "--patients", "6", "--port", str(port), "--today", TODAY]
    environment = {**os.environ, "OVERBLIK_DATA": str(folder), "COLUMNS": "200"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    text = ""
    for line in process.stdout:
        text += line
        if "Next event" in line:
            break
    yield Demo(folder, port, text, process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 0, text
    assert not (folder / "demo" / "postgres" / "postmaster.pid").exists(), "PostgreSQL stopped with it"


def test_it_prints_four_links_that_sign_in(demo: Demo) -> None:
    assert len(demo.links) == 4, demo.text
    slots = set()
    with httpx.Client(follow_redirects=True) as http:
        for link in demo.links:
            response = http.get(link)
            assert response.status_code == 200
            assert "SYNTETISKE DATA" in response.text
            slots.add(str(response.url))
        assert len(slots) == 4
        assert [http.get(slot).status_code for slot in slots] == [200] * 4, "all four stay open in one browser"


def test_the_commands_beside_it_join_the_running_demo(demo: Demo) -> None:
    token = demo.command("token", "--citizen", INGER.cpr)
    assert token.returncode == 0, token.stderr
    header = {"Authorization": f"Bearer {token.stdout.strip()}"}
    base = f"http://127.0.0.1:{demo.port}/fhir"
    found = httpx.get(f"{base}/Patient?identifier={INGER.cpr}", headers=header).json()
    assert found["entry"][0]["resource"]["name"][0]["family"] == INGER.family


def test_next_delivers_the_next_event_while_the_pages_are_open(demo: Demo) -> None:
    with httpx.Client(follow_redirects=True) as http:
        page = http.get(demo.links[0])
        done = demo.command("demo", "next")
        assert done.returncode == 0, done.stderr
        assert "Kommunen har modtaget planen" in done.stdout
        again = http.get(str(page.url))
        assert "Modtaget af kommunen: ikke endnu" in words(page)
        assert "Modtaget af kommunen: ikke endnu" not in words(again)
        assert "Modtaget af kommunen" in words(again)


def test_load_takes_files_once_and_says_what_it_did_not_take(demo: Demo, tmp_path: Path) -> None:
    patient = {"resourceType": "Patient", "identifier": [{"system": "urn:oid:1.2.208.176.1.2", "value": "2512489996"}]}
    entry = {"resource": patient, "request": {"method": "POST", "url": "Patient"}}
    (tmp_path / "a.json").write_text(json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": [entry]}))
    (tmp_path / "b.json").write_text("{")
    (tmp_path / "c.xml").write_text("<!DOCTYPE x><x/>")
    first = demo.command("load", str(tmp_path))
    assert "1 applied" in first.stdout
    assert "b.json: refused (json-invalid)" in first.stdout
    assert "c.xml: refused (xml-doctype)" in first.stdout
    again = demo.command("load", str(tmp_path))
    assert "1 applied (duplicate)" in again.stdout
    listed = demo.command("inbox", "list")
    assert listed.stdout.count("refused") >= 2
    kept = re.findall(r"[0-9a-f-]{36}(?=.*xml-doctype)", listed.stdout)
    assert demo.command("inbox", "show", kept[0]).stdout == "<!DOCTYPE x><x/>"


def test_a_second_demo_on_the_same_port_says_so(demo: Demo, tmp_path: Path) -> None:
    done = overblik(tmp_path, "demo", "--port", str(demo.port))
    assert done.returncode == 1
    assert "--port" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["demo", "--today", "yesterday"], "--today takes a date"),
        (["demo", "next"], "no demo is running"),
        (["token"], "exactly one of"),
        (["token", "--citizen", "123"], "no CPR number"),
        (["token", "--system"], "demo and test only"),
        (["load", "nowhere"], "does not exist"),
        (["inbox", "show", "x"], "no message id"),
    ],
)
def test_a_wrong_command_says_what_to_do(
    folder: Path, arguments: list[str], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OVERBLIK_PORT", "1")  # where no demo of somebody's listens
    done = overblik(folder, *arguments)
    assert done.returncode == 1
    assert says in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_every_command_explains_itself(tmp_path: Path) -> None:
    for command in ([], ["demo"], ["demo", "next"], ["load"], ["serve"], ["migrate"], ["token"], ["inbox"], ["source"]):
        done = overblik(tmp_path, *command, "--help")
        assert done.returncode == 0
        assert "Usage" in done.stdout
