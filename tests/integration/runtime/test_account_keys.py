"""Keys of accounts, asked of title over HTTP: kept for a minute and for so many accounts, asked again for a newer one, and waited for."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from shared.contracts.message import Erased
from shared.runtime import account_keys
from shared.runtime.account_keys import AccountKeys, KeyAway, Unseal
from shared.runtime.database import TRANSIENT_ERRORS
from shared.runtime.sealing import Sealer, Unsealable
from shared.runtime.settings import Settings
from tests.support.edge import AWAY, TOKEN, serving

SEALER = Sealer.from_setting(Settings(_env_file=None).sealing_key.get_secret_value())


@dataclass
class Title:
    """Answers for title. `keys` are those it has; `erased`: it had more."""

    keys: dict[int, list[str]] = field(default_factory=dict)
    erased: bool = False
    status: int = 200
    asked: list[Request] = field(default_factory=list)

    async def answer(self, request: Request) -> Response:
        self.asked.append(request)
        wrapped = self.keys.get(int(request.path_params["account_id"]), [])
        return JSONResponse({"wrapped_keys": wrapped, "erased": self.erased}, self.status)


@pytest.fixture
async def title() -> AsyncIterator[tuple[Title, str]]:
    fake = Title()
    app = Starlette(routes=[Route("/accounts/{account_id}/sealing-keys", fake.answer)])
    async with serving(app) as url:
        yield fake, url


@pytest.fixture
async def keys(title: tuple[Title, str]) -> AsyncIterator[AccountKeys]:
    async with AccountKeys(settings(title[1])) as opened:
        yield opened


def settings(url: str) -> Settings:
    return Settings(_env_file=None, title_url=url, service_token=SecretStr(TOKEN))


async def read(keys: AccountKeys, sealed: str, account_id: int = 1) -> str:
    async def work(unseal: Unseal) -> str:
        return unseal(sealed, f"{account_id}/name")

    return await keys.using(account_id, work)


def a_key(fake: Title, account_id: int = 1) -> str:
    """A new one, beside those there are; what is sealed with it."""
    wrapped = SEALER.new_wrapped_key()
    fake.keys.setdefault(account_id, []).append(wrapped)
    return SEALER.seal(wrapped, "示例", f"{account_id}/name")


async def test_a_key_is_asked_for_once_a_minute_with_the_token(
    title: tuple[Title, str], keys: AccountKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake, _ = title
    sealed = a_key(fake)
    assert [await read(keys, sealed) for _ in range(3)] == ["示例"] * 3
    assert [one.headers["authorization"] for one in fake.asked] == [f"Bearer {TOKEN}"]
    monkeypatch.setattr(account_keys, "monotonic", lambda: float("inf"))
    await read(keys, sealed)
    assert len(fake.asked) == 2


async def test_keys_of_so_many_accounts_are_kept_and_the_oldest_go_first(
    title: tuple[Title, str], keys: AccountKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account_keys, "KEPT_MAX", 2)
    fake, _ = title
    sealed = {account_id: a_key(fake, account_id) for account_id in (1, 2, 3)}
    for account_id in (1, 2, 3, 3, 2, 1):
        await read(keys, sealed[account_id], account_id)
    assert [int(one.path_params["account_id"]) for one in fake.asked] == [1, 2, 3, 1]
    assert len(keys._kept) == 2


async def test_a_key_that_is_newer_than_what_is_kept_is_asked_for(title: tuple[Title, str], keys: AccountKeys) -> None:
    fake, _ = title
    old = a_key(fake)
    await read(keys, old)
    new = a_key(fake)
    assert [await read(keys, new), await read(keys, old)] == ["示例"] * 2
    assert len(fake.asked) == 2


async def test_a_key_that_title_does_not_know_is_waited_for_unless_title_has_dropped_some(
    title: tuple[Title, str], keys: AccountKeys
) -> None:
    fake, _ = title
    sealed = a_key(fake)
    fake.keys.clear()
    with pytest.raises(KeyAway):
        await read(keys, sealed)
    fake.erased = True
    with pytest.raises(Erased):
        await read(keys, sealed)


async def test_a_value_that_was_changed_is_not_taken_for_an_erased_one(
    title: tuple[Title, str], keys: AccountKeys
) -> None:
    fake, _ = title
    sealed = a_key(fake)
    fake.erased = True
    with pytest.raises(Unsealable):
        await read(keys, sealed[:-4] + "AAAA")


@pytest.mark.parametrize("status", [404, 500, 503])
async def test_no_answer_is_a_transient_error_and_only_where_a_key_is_needed(
    status: int, title: tuple[Title, str], keys: AccountKeys
) -> None:
    async def nothing(_: Unseal) -> str:
        return "done"

    fake, _ = title
    sealed = a_key(fake)
    fake.status = status
    with pytest.raises(KeyAway) as away:
        await read(keys, sealed)
    assert isinstance(away.value, TRANSIENT_ERRORS)
    assert await keys.using(1, nothing) == "done"
    fake.status = 200
    assert await read(keys, sealed) == "示例"


async def test_a_replica_that_is_dead_is_passed_over(title: tuple[Title, str]) -> None:
    fake, url = title
    sealed = a_key(fake)
    async with AccountKeys(settings(f"{AWAY},{url}")) as keys:
        assert await read(keys, sealed) == "示例"
    async with AccountKeys(settings(AWAY)) as keys:
        with pytest.raises(KeyAway):
            await read(keys, sealed)
