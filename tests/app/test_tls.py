"""TLS by default: in production never without, and headers on every answer."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from overblik.app.server import application
from overblik.app.settings import Settings
from overblik.app.tls import require_tls
from overblik.fhir.errors import Unavailable
from tests.journeys.live import serving

if TYPE_CHECKING:
    from tests.conftest import World

EVERYWHERE = "0.0.0.0"  # noqa: S104 - nothing listens there
CERT: dict[str, Any] = {"tls_cert": Path("cert.pem"), "tls_key": Path("key.pem")}
STARTS: list[tuple[dict[str, Any], str]] = [
    ({}, ""),
    ({"host": "localhost"}, ""),
    ({"host": "::1"}, ""),
    ({"host": EVERYWHERE}, "tls-needed"),
    ({"host": "overblik.example.dk"}, "tls-needed"),
    ({"host": EVERYWHERE, "base_url": "http://overblik.example.dk"}, "tls-needed"),
    ({"host": EVERYWHERE, "base_url": "https://overblik.example.dk"}, ""),
    ({"host": EVERYWHERE, **CERT}, ""),
    ({"host": EVERYWHERE, "mode": "demo"}, ""),
    ({"tls_cert": Path("cert.pem")}, "tls-incomplete"),
    ({"tls_key": Path("key.pem")}, "tls-incomplete"),
]


@pytest.mark.parametrize(("given", "code"), STARTS)
def test_a29_production_does_not_listen_without_tls(given: dict[str, Any], code: str) -> None:
    settings = Settings(**{"mode": "production", **given})
    try:
        require_tls(settings)
        said = ""
    except Unavailable as error:
        said = error.code
    assert said == code


@pytest.mark.parametrize(("address", "strict"), [("http://test", False), ("https://test", True)])
async def test_security_headers_stand_on_every_answer(world: World, address: str, strict: bool) -> None:
    settings = world.run.settings.model_copy(update={"base_url": address})
    object.__setattr__(world.run, "settings", settings)
    transport = httpx.ASGITransport(application(world.run))
    async with httpx.AsyncClient(transport=transport, base_url=address) as http:
        for path in ("/", "/fhir/metadata", "/fhir/Patient/1", "/nowhere"):
            headers = (await http.get(path)).headers
            assert headers.get("strict-transport-security") == ("max-age=31536000" if strict else None), path
            if path != "/nowhere":
                assert "frame-ancestors 'none'" in headers["content-security-policy"], path
                assert headers["x-content-type-options"] == "nosniff", path
                assert headers["referrer-policy"] == "no-referrer", path


@pytest.mark.long
def test_a29_a_server_with_a_certificate_speaks_tls_1_3(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True,
    )  # fmt: skip
    monkeypatch.setenv("OVERBLIK_TLS_CERT", str(cert))
    monkeypatch.setenv("OVERBLIK_TLS_KEY", str(key))
    trusted = ssl.create_default_context(cafile=str(cert))
    with serving(folder, verify=trusted) as address:
        assert address.startswith("https://")
        assert httpx.get(f"{address}/fhir/metadata", verify=trusted).headers["strict-transport-security"]
        old = ssl.create_default_context(cafile=str(cert))
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{address}/livez", verify=old)
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"{address}/livez".replace("https", "http"))
