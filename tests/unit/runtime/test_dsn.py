"""Addresses of databases as people and their tools write them."""

from typing import Any

import pytest
from asyncpg.connect_utils import _parse_connect_dsn_and_args  # type: ignore[attr-defined]

from shared.runtime.dsn import (
    database_of,
    each_host,
    name_of,
    parameter,
    password_of,
    with_database,
    with_login,
    with_parameter,
)

SHAPES = [
    "postgresql://u:p@h:1/kaipiao",
    "postgres://u@h/kaipiao?sslmode=disable",
    "postgresql://u:p%40%2Fx@h1:1,h2:2/kaipiao?target_session_attrs=read-write&application_name=a%20b",
    "postgresql://h1,h2:2,[::1]:3/kaipiao?sslmode=disable",
    "postgresql://u@h?dbname=kaipiao&connect_timeout=3",
    "postgresql://u@h/?database=kaipiao",
    "postgresql:///kaipiao?host=/run/postgresql&port=5433",
    "postgresql://u:p@h",
    "postgresql://u:p@h/",
]


def read(dsn: str) -> Any:  # noqa: ANN401 - hosts and parameters
    """As asyncpg reads it, which reads it as libpq does."""
    nothing = dict.fromkeys(
        ("host", "port", "user", "password", "passfile", "database", "ssl", "service", "servicefile", "direct_tls")
    )
    more = dict.fromkeys(("server_settings", "target_session_attrs", "krbsrvname", "gsslib"))
    return _parse_connect_dsn_and_args(dsn=dsn, **nothing, **more)


@pytest.mark.parametrize("dsn", SHAPES)
def test_a_service_has_its_own_database_and_all_else_stays(dsn: str) -> None:
    named, service = read(with_database(dsn, "kaipiao")), read(database_of(dsn, "ledger"))
    assert service[0] == named[0], "the hosts"
    assert vars_of(service[1]) == vars_of(named[1]) | {"database": "kaipiao_ledger"}
    assert name_of(database_of(dsn, "ledger")) == "kaipiao_ledger"


@pytest.mark.parametrize("dsn", SHAPES)
@pytest.mark.parametrize("name", ["postgres", "a b", "ä/?#%", "x-1"])
def test_any_name_of_a_database_arrives(dsn: str, name: str) -> None:
    assert vars_of(read(with_database(dsn, name))[1])["database"] == name == name_of(with_database(dsn, name))


@pytest.mark.parametrize("dsn", SHAPES)
def test_another_login_arrives_whatever_is_in_it(dsn: str) -> None:
    found = vars_of(read(with_login(dsn, "kaipiao_ledger_login", "p@:/?#%1"))[1])
    assert (found["user"], found["password"]) == ("kaipiao_ledger_login", "p@:/?#%1")
    assert password_of(with_login(dsn, "x", "p@:/?#%1")) == "p@:/?#%1"


def test_a_parameter_is_said_once_and_the_last_counts() -> None:
    dsn = "postgresql://h/k?sslmode=disable&a=1&sslmode=require"
    assert (parameter(dsn, "sslmode"), parameter(dsn, "b")) == ("require", "")
    assert with_parameter(dsn, "sslmode", "verify-full") == "postgresql://h/k?a=1&sslmode=verify-full"
    assert (
        with_parameter("postgresql://h/k", "sslrootcert", "/a b/ca.pem") == "postgresql://h/k?sslrootcert=/a%20b/ca.pem"
    )


def test_each_of_several_hosts_can_be_asked_alone() -> None:
    assert each_host("postgresql://u:p@h1:1,h2,[::1]:3/k?a=1") == [
        f"postgresql://u:p@{host}/k?a=1" for host in ("h1:1", "h2", "[::1]:3")
    ]
    assert each_host("postgresql:///k?host=/run/postgresql") == ["postgresql:///k?host=/run/postgresql"]


def vars_of(parameters: Any) -> dict[str, object]:  # noqa: ANN401
    return {name: value for name, value in parameters._asdict().items() if name != "ssl"}
