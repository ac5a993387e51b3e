"""One HTTP question: does this address answer with success? A client library would cost more memory than the supervisor."""

import asyncio
from urllib.parse import urlsplit

ANSWER_SECONDS = 2.0


async def answers_ok(url: str) -> bool:
    try:
        return await asyncio.wait_for(_status(url), ANSWER_SECONDS) in range(200, 300)
    except (OSError, ValueError, TimeoutError, asyncio.IncompleteReadError):
        return False


async def _status(url: str) -> int:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        writer.write(f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        line = await reader.readline()
        return int(line.split()[1]) if line.startswith(b"HTTP/") else 0
    finally:
        writer.close()
