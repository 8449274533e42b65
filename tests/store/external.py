"""PostgreSQL servers as an operator sets them up: on TCP with passwords, behind TLS, too old, set up badly."""

from __future__ import annotations

import asyncio
import os
import ssl
import struct
import subprocess
import time
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from overblik.store import embedded
from overblik.store.embedded import EmbeddedPostgres

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

OWNER, RUNNER, CLOSED = "owner", "runner", "closed"
PASSWORD = "hemmeligt og langt"
CREATE = (
    "create database {} owner {} template template0 encoding 'UTF8' locale_provider builtin"
    " builtin_locale 'C.UTF-8' locale 'C'"
)


@dataclass(frozen=True)
class External:
    """One server, and the way its administrator gets in."""

    host: str
    admin: str

    def url(self, role: str = OWNER, password: str = PASSWORD, database: str = "overblik", more: str = "") -> str:
        """Return the URL an operator would set."""
        secret = f":{password.replace(' ', '%20')}" if password else ""
        return f"postgresql://{role}{secret}@{self.host}:5432/{database}{more}"

    def run(self, *statements: str) -> None:
        """Run statements as the administrator."""
        with psycopg.connect(self.admin, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def set(self, setting: str, value: str) -> None:
        """Change a setting, and wait until new connections have it."""
        self.run(f"alter system set {setting} = {value}", "select pg_reload_conf()")
        until = time.monotonic() + 20
        while time.monotonic() < until:
            with psycopg.connect(self.admin) as connection:
                if connection.execute(f"show {setting}".encode()).fetchone() == (value,):
                    return
            time.sleep(0.05)
        raise TimeoutError(setting)


@contextmanager
def external_server(folder: Path, host: str) -> Iterator[External]:
    """Start a server that lets roles in by password on a loopback address of its own."""
    server = EmbeddedPostgres(folder, {"listen_addresses": f"'{host}'", "autovacuum": "off"})
    server.start()
    hba = server.cluster / "pg_hba.conf"
    entries = [f"host all {CLOSED} 127.0.0.0/8 reject", "host all all 127.0.0.0/8 scram-sha-256"]
    hba.write_text(hba.read_text() + "\n".join(entries) + "\n")
    made = External(host, server.conninfo.replace("user=overblik", "user=postgres").replace("=overblik", "=postgres"))
    try:
        made.run(
            *(f"create role {role} login password '{PASSWORD}'" for role in (OWNER, RUNNER, CLOSED)),
            f"create role locked nologin password '{PASSWORD}'",
            "drop database overblik",
            CREATE.format("overblik", OWNER),
            "select pg_reload_conf()",
        )
        yield made
    finally:
        server.stop()


@contextmanager
def old_server(folder: Path, host: str) -> Iterator[External]:
    """Start the PostgreSQL 16 that lies beside the embedded 18."""
    binaries = embedded._package() / "pginstall" / "bin"  # noqa: SLF001 - what the package brings is not for others
    account = embedded._service_account() if os.geteuid() == 0 else None  # noqa: SLF001 - as above
    user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": list[int]()} if account else {}
    if account:
        os.chown(folder, account.pw_uid, account.pw_gid)

    def run(program: str, *arguments: str) -> None:
        with Path(os.devnull).open("w") as nowhere:
            subprocess.run(
                [str(binaries / program), *arguments],
                check=True,
                cwd="/",
                stdout=nowhere,
                **user,  # type: ignore[call-overload]
            )

    cluster = str(folder / "old")
    run("initdb", "-D", cluster, "-U", OWNER, "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C")
    run("pg_ctl", "-D", cluster, "-w", "-l", str(folder / "log"), "-o", f"-h {host} -k {folder}", "start")
    try:
        yield External(host, "")
    finally:
        run("pg_ctl", "-D", cluster, "-m", "immediate", "-w", "stop")


@dataclass(frozen=True)
class Certificates:
    """An authority and a server's certificate by it, as files."""

    authority: Path
    certificate: Path
    key: Path


def make_certificates(folder: Path, host: str) -> Certificates:
    """Make an authority of one's own and the certificate of one address."""
    authority_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"Authority {folder.name}")])
    now = datetime.now(UTC)

    def signed(name: x509.Name, key: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType) -> bytes:
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(authority)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(extension, critical=True)
        )
        return made.sign(authority_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    files = Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    files.authority.write_bytes(signed(authority, authority_key, x509.BasicConstraints(ca=True, path_length=None)))
    server = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))])
    files.certificate.write_bytes(signed(server, server_key, alternative))
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    files.key.write_bytes(server_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return files


@asynccontextmanager
async def tls_in_front(host: str, of: str, certificates: Certificates) -> AsyncIterator[None]:
    """Serve a PostgreSQL by TLS only, as a pooler in front of it does: the embedded one is built without."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            length, code = struct.unpack(">ii", await reader.readexactly(8))
            if (length, code) != (8, 80877103):  # SSLRequest; anything else would be in the clear
                writer.close()
                return
            writer.write(b"S")
            await writer.start_tls(context)
            inner_reader, inner_writer = await asyncio.open_connection(of, 5432)
            await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))

    server = await asyncio.start_server(serve, host, 5432)
    try:
        yield
    finally:
        server.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
