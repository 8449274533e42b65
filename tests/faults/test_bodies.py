"""F16, F17, P11: bodies that are too deep, too large, half sent, and answers that nobody reads."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from overblik.api import dispatch
from overblik.fhir.errors import Malformed, TooLarge, TooSlow
from overblik.fhir.strict_json import MAX_BYTES
from tests.faults import impatient
from tests.folders import open_folder
from tests.kill.victim import Victim

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import World

MB = 1 << 20
DEEP = {
    "application/fhir+json": b'{"resourceType":"Patient","extension":' + b'[{"extension":' * 10_000,
    "application/fhir+xml": b'<Patient xmlns="http://hl7.org/fhir">' + b"<extension>" * 100_000,
}


@pytest.mark.parametrize("media", DEEP)
async def test_f16_p04_a_deep_body_is_refused(world: World, media: str) -> None:
    response = await world.post("/Patient", world.source(), DEEP[media], headers={"Content-Type": media})
    assert response.status_code == 400, response.text
    assert len(response.content) < 2000


async def test_p11_a_body_is_read_to_the_limit_and_no_further() -> None:
    taken = 0

    async def receive() -> dict[str, Any]:
        nonlocal taken
        taken += 1
        return {"type": "http.request", "body": b"x" * MB, "more_body": True}

    with pytest.raises(TooLarge):
        await dispatch.read_body({}, receive)
    assert taken == MAX_BYTES // MB + 1
    with pytest.raises(TooLarge):
        await dispatch.read_body({"content-length": str(1 << 30)}, receive)
    assert taken == MAX_BYTES // MB + 1


@pytest.mark.parametrize("name", ["SILENT", "LONGEST"])
async def test_p11_a_body_that_does_not_come_is_given_up(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """One that falls silent, and one that comes byte by byte without an end."""
    monkeypatch.setattr(dispatch, name, 0.2)

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0.05 if name == "LONGEST" else 10)
        return {"type": "http.request", "body": b"x", "more_body": True}

    with pytest.raises(TooSlow):
        await dispatch.read_body({}, receive)


async def test_m10_a_body_that_is_cut_off_is_none() -> None:
    """Wherever it ends: nothing is stored of what did not come whole."""
    whole = b'{"resourceType":"Bundle"}'
    for end in range(0, len(whole), 5):
        parts: list[dict[str, Any]] = [{"type": "http.request", "body": whole[:end], "more_body": True}]

        async def receive(parts: list[dict[str, Any]] = parts) -> dict[str, Any]:
            return parts.pop(0) if parts else {"type": "http.disconnect"}

        with pytest.raises(Malformed, match="body-cut-off"):
            await dispatch.read_body({"content-length": str(len(whole))}, receive)


@pytest.fixture(scope="module")
def served() -> Iterator[Victim]:
    """One real server of two workers, which is not patient."""
    with open_folder("bodies", in_memory=True) as folder:
        victim = Victim(folder, f"{impatient.__name__}:create")
        victim.start()
        try:
            yield victim
        finally:
            victim.stop()


def connected(victim: Victim, sent: bytes, **options: int) -> socket.socket:
    """Open a connection with a small window, and send something."""
    made = socket.socket()
    for name, value in options.items():
        made.setsockopt(socket.SOL_SOCKET, getattr(socket, name), value)
    made.settimeout(60)
    made.connect(("127.0.0.1", int(victim.address.rsplit(":", 1)[1])))
    made.sendall(sent)
    return made


def request(victim: Victim, method: str, path: str, **headers: str) -> bytes:
    """Return the head of a request."""
    fields = {"Host": "x", "Content-Type": "application/fhir+json", **victim.header("source"), **headers}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(lines).encode()


def memory(victim: Victim) -> int:
    """Return the bytes that the workers have in memory."""
    total = 0
    for pid in victim.workers:
        status = Path(f"/proc/{pid}/status").read_text()
        total += int(status.split("VmRSS:")[1].split()[0]) * 1024
    return total


@pytest.mark.long
def test_f17_large_bodies_are_refused_and_take_no_memory(served: Victim) -> None:
    httpx.get(f"{served.address}/readyz", verify=False)
    before = memory(served)
    announced = request(served, "POST", "/fhir/Patient", **{"Content-Length": str(200 * MB)}) + b"{"
    sockets = [connected(served, announced) for _ in range(20)]
    for made in sockets:
        assert b" 413 " in made.recv(100)
        made.close()
    for _ in range(4):  # no length: sent on until it is refused
        with closing(
            connected(served, request(served, "POST", "/fhir/Patient", **{"Transfer-Encoding": "chunked"}))
        ) as made:
            answer = b""
            try:
                for _ in range(200):
                    made.sendall(b"100000\r\n" + b" " * MB + b"\r\n")
            except OSError:
                pass
            else:
                answer = made.recv(100)
            assert answer == b"" or b" 413 " in answer
    assert memory(served) < before + 256 * MB
    assert httpx.get(f"{served.address}/readyz", verify=False).status_code == 200


@pytest.mark.long
def test_p11_half_sent_bodies_are_answered_408_and_delay_nobody(served: Victim) -> None:
    head = request(served, "POST", "/fhir/Patient", **{"Content-Length": str(MB)}) + b'{"resourceType":'
    halves = [connected(served, head) for _ in range(100)]
    with httpx.Client(base_url=served.address, headers=served.header("source"), timeout=30, verify=False) as http:
        assert http.post("/fhir/Patient", json={"resourceType": "Patient"}).status_code == 201
    for made in halves:
        assert b" 408 " in made.recv(100)
        made.close()


@pytest.mark.long
def test_an_answer_that_nobody_reads_ends_with_its_connection(served: Victim) -> None:
    """Memory stays within bounds, neighbours are answered, and the kernel ends what is stuck."""
    with httpx.Client(base_url=served.address, headers=served.header("source"), timeout=60, verify=False) as http:
        big = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "valueString": "å" * (2 * MB)}
        patient = http.post("/fhir/Patient", json={"resourceType": "Patient"}).json()["id"]
        sent = http.post("/fhir/Observation", json=big | {"subject": {"reference": f"Patient/{patient}"}})
        assert sent.status_code == 201, sent.text
        path = f"/fhir/Observation/{sent.json()['id']}"
        before = memory(served)
        stuck = [connected(served, request(served, "GET", path), SO_RCVBUF=4096) for _ in range(40)]
        assert http.get(f"/fhir/Patient/{patient}").status_code == 200
        assert memory(served) < before + 512 * MB
        assert len(of_server(served)) >= len(stuck)
        deadline = time.monotonic() + 60
        while len(of_server(served)) > 1 and time.monotonic() < deadline:
            time.sleep(0.2)
        assert len(of_server(served)) <= 1, "only this client's own"
        for made in stuck:
            made.close()
        assert http.get(path).status_code == 200


def of_server(victim: Victim) -> list[str]:
    """Return the server's established connections, as the kernel lists them (proc(5), net/tcp)."""
    port = f":{int(victim.address.rsplit(':', 1)[1]):04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [row[2] for row in rows if row[1].endswith(port) and row[3] == "01"]
