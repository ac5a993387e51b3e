"""What a connection may cost before anybody has said who they are: raw sockets at the customers' listener."""

import asyncio
import resource
import time

import pytest

from deploy.demo.client import eventually
from tests.integration.http.conftest import LIMITS, Door, heard

pytestmark = pytest.mark.database

MIB = 1 << 20
ASK = b"POST /v1/invoice-requests HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


def bearer(headers: dict[str, str]) -> bytes:
    return f"Authorization: {headers['Authorization']}\r\n".encode()


async def test_a_hundred_megabytes_without_a_key_are_refused_before_they_are_read(door: Door) -> None:
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    answer = await door.said(ASK + b"Content-Length: 104857600\r\n\r\n", *[b" " * MIB] * 100)
    assert (status(answer), b"UNAUTHORIZED" in answer) == (401, True)
    assert b"connection: close" in answer
    assert time.monotonic() - began < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40 * 1024, "KiB"


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "in chunks"])
@pytest.mark.parametrize("size", [64 * 1024 + 1, 10 * MIB])
async def test_a_body_has_a_largest_size_also_with_a_key(size: int, chunked: bool, door: Door) -> None:
    key = bearer(await door.gateway.key(7))
    body = b'"' + b"x" * (size - 2) + b'"'
    if chunked:
        sent = ASK + key + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    else:
        sent = ASK + key + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    answer = await door.said(sent)
    assert (status(answer), b"BODY_TOO_LARGE" in answer, b'"body_max_bytes":65536' in answer) == (413, True, True)
    assert door.gateway.seen == []


async def test_a_body_of_the_largest_size_arrives(door: Door) -> None:
    key = bearer(await door.gateway.key(7)) + b"Idempotency-Key: k\r\nConnection: close\r\n"
    body = b'{"numbers": ["O1"]}'.ljust(64 * 1024)
    answer = await door.said(ASK + key + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert status(answer) == 200
    assert len(door.gateway.seen) == 1


@pytest.mark.parametrize(
    "head",
    [
        b"".join(b"X-%d: 1\r\n" % number for number in range(100_000)),
        b"X-A: " + b"a" * MIB + b"\r\n",
        b"X-" + b"a" * MIB + b": 1\r\n",
        b"X-A: 1\r\n" * 101,
        b"X-A: " + b"a" * 33_000 + b"\r\n",
    ],
    ids=["100,000 of them", "a long one", "a long name", "one too many", "a bit too long"],
)
async def test_headers_are_limited_in_number_and_size(head: bytes, door: Door) -> None:
    answer = await door.said(b"GET /v1/balances HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n")
    assert (status(answer), b"HEADERS_TOO_LARGE" in answer) == (431, True)


@pytest.mark.parametrize("address", [b"a" * 33_000, b"a" * MIB, b"a?" + b"b=1&" * 20_000])
async def test_an_address_is_limited_in_size(address: bytes, door: Door) -> None:
    assert status(await door.said(b"GET /v1/" + address + b" HTTP/1.1\r\nHost: x\r\n\r\n")) == 431


async def test_as_many_headers_as_there_may_be_are_taken(door: Door) -> None:
    key = bearer(await door.gateway.key(7)) + b"Connection: close\r\n"
    head = key + b"".join(b"X-%d: 1\r\n" % number for number in range(90))
    assert status(await door.said(b"GET /v1/balances HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n")) == 200


@pytest.mark.parametrize(
    "half",
    [
        b"",
        b"G",
        b"GET /v1/balances HTTP/1.1\r\n",
        b"GET /v1/balances HTTP/1.1\r\nHost: x\r\nX-A: b",
        b"\r\n\r\n",
    ],
    ids=["nothing", "a letter", "a line", "half a header", "empty lines"],
)
async def test_half_a_request_does_not_stay_open(half: bytes, door: Door) -> None:
    began = time.monotonic()
    answer = await door.said(half)
    assert LIMITS.head_seconds * 0.9 < time.monotonic() - began < LIMITS.head_seconds + 3
    assert (status(answer), b"REQUEST_TOO_SLOW" in answer) == (408, True)


async def test_a_request_that_trickles_in_does_not_either(door: Door) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)

    async def trickle() -> None:
        writer.write(b"GET /v1/balances HTTP/1.1\r\n")
        for _ in range(1000):
            writer.write(b"X-A: 1\r\n")
            await asyncio.sleep(0.05)

    trickling, began = asyncio.create_task(trickle()), time.monotonic()
    answer = await heard(reader)
    trickling.cancel()
    writer.close()
    assert (status(answer), time.monotonic() - began < LIMITS.head_seconds + 3) == (408, True)


async def test_connections_are_limited_and_operators_have_their_own(door: Door) -> None:
    held = [await asyncio.open_connection("127.0.0.1", door.port) for _ in range(LIMITS.connections)]
    refused = await door.said()
    assert (status(refused), b"SERVICE_UNAVAILABLE" in refused) == (503, True)
    live = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert status(await door.said(live, port=door.operations)) == 200
    for _, writer in held:
        writer.close()

    async def is_let_in() -> bool:
        return status(await door.said(b"GET /v1/balances HTTP/1.1\r\nHost: x\r\n\r\n")) == 401

    await eventually("place of those who left", is_let_in, 10)


@pytest.mark.parametrize("nonsense", [b"\x00" * 100, b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"hello there\r\n\r\n"])
async def test_what_is_no_http_is_said_so(nonsense: bytes, door: Door) -> None:
    assert status(await door.said(nonsense)) == 400


@pytest.mark.parametrize("length", ["-1", "1e3", "0x10", "9" * 400])
async def test_a_length_that_is_none_is_refused(length: str, door: Door) -> None:
    head = ASK + bearer(await door.gateway.key(7)) + f"Content-Length: {length}\r\n\r\n".encode()
    assert status(await door.said(head)) in (400, 413)
    assert door.gateway.seen == []


async def test_a_connection_is_kept_for_the_next_request(door: Door) -> None:
    key = bearer(await door.gateway.key(7))
    one = b"GET /v1/balances HTTP/1.1\r\nHost: x\r\n" + key
    answer = await door.said(one + b"\r\n" + one + b"Connection: close\r\n\r\n")
    assert answer.count(b"HTTP/1.1 200 ") == 2


async def test_a_body_that_never_ends_is_given_up(door: Door) -> None:
    key = bearer(await door.gateway.key(7))
    answer = await door.said(ASK + key + b"Content-Length: 10\r\n\r\n{")
    assert (status(answer), b"REQUEST_TOO_SLOW" in answer) == (408, True)
