"""Addresses of databases, taken apart and put together as libpq reads them: query strings, several hosts, any of them in brackets.

Only what may stand in a URI is touched; whatever else it says (`sslmode`, `target_session_attrs`, `options`) stays as it was. Standard
library only: the local supervisor uses it too.
"""

from collections.abc import Iterator
from urllib.parse import quote, unquote, urlsplit

USUAL_NAME = "kaipiao"
NAMED = ("dbname", "database")
LOGIN = ("user", "password", "passfile")


def with_database(dsn: str, name: str) -> str:
    """The same server, another database."""
    scheme, netloc, _, query = _parts(dsn)
    return _joined(scheme, netloc, quote(name, safe=""), _without(query, *NAMED))


def database_of(dsn: str, service: str) -> str:
    """The named database is a prefix: `postgresql://host/kaipiao` and "ledger" give `postgresql://host/kaipiao_ledger`."""
    return with_database(dsn, f"{name_of(dsn)}_{service}")


def name_of(dsn: str) -> str:
    """The database that is named, or the usual one."""
    _, _, path, query = _parts(dsn)
    return unquote(path) or next((said for one in NAMED if (said := _said(query, one))), USUAL_NAME)


def with_login(dsn: str, user: str, password: str) -> str:
    """The same database for somebody else."""
    scheme, netloc, path, query = _parts(dsn)
    login = f"{quote(user, safe='')}:{quote(password, safe='')}@"
    return _joined(scheme, login + netloc.rpartition("@")[2], path, _without(query, *LOGIN))


def password_of(dsn: str) -> str:
    _, netloc, _, query = _parts(dsn)
    return unquote(netloc.rpartition("@")[0].partition(":")[2]) or _said(query, "password")


def parameter(dsn: str, name: str) -> str:
    """What the query string says, or nothing."""
    return _said(_parts(dsn)[3], name)


def with_parameter(dsn: str, name: str, setting: str) -> str:
    scheme, netloc, path, query = _parts(dsn)
    kept = [*filter(None, [_without(query, name)]), f"{name}={quote(setting, safe='/')}"]
    return _joined(scheme, netloc, path, "&".join(kept))


def each_host(dsn: str) -> list[str]:
    """One address for each host of several, in their order."""
    scheme, netloc, path, query = _parts(dsn)
    login, at, hosts = netloc.rpartition("@")
    return [_joined(scheme, f"{login}{at}{host}", path, query) for host in hosts.split(",")]


def _parts(dsn: str) -> tuple[str, str, str, str]:
    parts = urlsplit(dsn)
    return parts.scheme, parts.netloc, parts.path.removeprefix("/"), parts.query


def _joined(scheme: str, netloc: str, path: str, query: str) -> str:
    return f"{scheme}://{netloc}/{path}" + (f"?{query}" if query else "")


def _said(query: str, name: str) -> str:
    """The last one counts, as with libpq."""
    found = [setting for key, setting in _pairs(query) if key == name]
    return unquote(found[-1]) if found else ""


def _without(query: str, *names: str) -> str:
    return "&".join(f"{key}={setting}" for key, setting in _pairs(query) if key not in names)


def _pairs(query: str) -> Iterator[tuple[str, str]]:
    for pair in filter(None, query.split("&")):
        key, _, setting = pair.partition("=")
        yield unquote(key), setting
