"""Settings, from the environment (`OVERBLIK_*`); docs/settings.md lists each, and a test compares."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from overblik.trust.callers.tries import networks
from overblik.trust.log.cosignature import witness_keys
from overblik.trust.treatment.bulk_reading import Limits
from overblik.trust.treatment.stated import Rules

Mode = Literal["production", "demo", "test"]


def default_data() -> Path:
    """Return `var` here, or a folder of its own under /var/lib where the server's user cannot enter here."""
    here = Path.cwd() / "var"
    if os.geteuid() != 0:
        return here
    reachable = all(folder.stat().st_mode & 0o001 for folder in (Path.cwd(), *Path.cwd().parents))
    return here if reachable else Path("/var/lib/overblik") / str(Path.cwd()).strip("/").replace("/", "-")


class Settings(BaseSettings):
    """What an operator sets."""

    model_config = SettingsConfigDict(env_prefix="OVERBLIK_", extra="ignore")

    data: Path = Field(default_factory=default_data, description="Folder of the embedded database and the keys.")
    database_url: str = Field(default="", description="An external PostgreSQL 18; empty for the embedded one.")
    database_url_file: Path | None = Field(default=None, description="A file that holds the database URL.")
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8480, ge=1, le=65535, description="Port to listen on.")
    tls_cert: Path | None = Field(default=None, description="A certificate with its chain (PEM): serve by TLS 1.3.")
    tls_key: Path | None = Field(default=None, description="The certificate's private key (PEM).")
    workers: int = Field(default=1, ge=1, le=64, description="Worker processes.")
    connections: int = Field(default=10, ge=2, le=100, description="Database connections a worker.")
    reserve_mb: int = Field(default=200, ge=0, description="Megabytes of the disk that writers leave free.")
    mode: Mode = Field(
        default="production",
        description="production, demo or test; the test provider and the test issuer run in the last two.",
    )
    key_file: Path | None = Field(default=None, description="The server's master key; default in the data folder.")
    body_keys: Path | None = Field(
        default=None,
        description="A file of master keys: bodies are sealed with keys that these wrap; none, not sealed.",
    )
    sealed_only: bool = Field(default=False, description="Take a patient's body that is not sealed for a forged one.")
    log_signer: str = Field(default="", description="Command that signs the log's heads; default a child of our own.")
    witnesses: str = Field(default="", description="Keys of the witnesses whose cosignatures are kept, with commas.")
    providers_file: Path | None = Field(default=None, description="A TOML file of the providers that sign people in.")
    stated_days: int = Field(default=7, ge=1, le=30, description="Days in which a stated relation must be confirmed.")
    stated_most: int = Field(default=5, ge=0, le=100, description="Stated relations a person may have unconfirmed.")
    stated_roles: str = Field(default="", description="Roles that may state a relation, with commas; empty for any.")
    proxies: str = Field(default="", description="Proxies whose X-Forwarded-For is believed: addresses or networks.")
    tries: int = Field(default=100, ge=0, description="Credentials from one address that may fail in ten minutes.")
    look_ups: int = Field(default=100, ge=0, description="Look-ups by one person that may find nobody in ten minutes.")
    read_person: int = Field(
        default=300, ge=0, description="Patients whom a professional reads in an hour, to be told."
    )
    read_unit: int = Field(default=3000, ge=0, description="The same of a unit.")
    read_app: int = Field(default=10000, ge=0, description="The same of an app or service.")
    base_url: str = Field(default="", description="The address that users see; default http://HOST:PORT.")

    @field_validator("proxies")
    @classmethod
    def _of_networks(cls, value: str) -> str:
        networks(value)
        return value

    @field_validator("witnesses")
    @classmethod
    def _of_witnesses(cls, value: str) -> str:
        witness_keys(value)
        return value

    @property
    def url(self) -> str:
        """The database URL, from the file where one is named."""
        if self.database_url_file is not None:
            return self.database_url_file.read_text(encoding="utf-8").strip()
        return self.database_url

    @property
    def key_path(self) -> Path:
        """Where the master key is."""
        return self.key_file or self.data / "keys" / "server.key"

    @property
    def signer(self) -> list[str]:
        """The command that signs the log's heads."""
        own = [sys.executable, "-m", "overblik.trust.log.signer", str(self.data / "keys" / "log")]
        return shlex.split(self.log_signer) or own

    @property
    def witness_keys(self) -> tuple[str, ...]:
        """The keys of the witnesses of the log."""
        return witness_keys(self.witnesses)

    @property
    def stating(self) -> Rules:
        """What holds for relations that professionals state."""
        roles = tuple(role.strip().casefold() for role in self.stated_roles.split(",") if role.strip())
        return Rules(self.stated_days, self.stated_most, roles)

    @property
    def reading(self) -> Limits:
        """How many different patients within an hour are told of."""
        return Limits(self.read_person, self.read_unit, self.read_app)

    @property
    def address(self) -> str:
        """The address that users see."""
        scheme = "https" if self.tls_cert is not None else "http"
        return self.base_url.rstrip("/") or f"{scheme}://{self.host}:{self.port}"
