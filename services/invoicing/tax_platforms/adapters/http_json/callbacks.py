"""What the platform says by itself: signed together with the moment, and only about which serial."""

import hmac
import json
import re
from collections.abc import Mapping
from datetime import datetime

SERIAL, CALL_ID, SECONDS = re.compile(r"[0-9A-Z]{20}"), re.compile(r"[\x21-\x7e]{1,64}"), re.compile(r"[0-9]{1,12}")


def called_about(
    body: bytes, headers: Mapping[str, str], now: datetime, *, secret: str, window_seconds: int
) -> tuple[str, str] | None:
    """The serial a callback speaks of, and what names the call: its `id`, or its signature. None unless the platform signed it, and that
    not long ago: Timestamp is seconds since 1970, Signature the HMAC-SHA256 in hex of it, a full stop and the body.
    """
    timestamp, signature = headers.get("timestamp", ""), headers.get("signature", "")
    expected = hmac.new(secret.encode(), timestamp.encode() + b"." + body, "sha256").hexdigest()
    if not hmac.compare_digest(signature.encode(), expected.encode()):
        return None
    if not SECONDS.fullmatch(timestamp) or abs(now.timestamp() - int(timestamp)) > window_seconds:
        return None
    try:
        match json.loads(body):
            case {"serial": str(serial), "id": str(call_id)} if SERIAL.fullmatch(serial) and CALL_ID.fullmatch(call_id):
                return serial, call_id
            case {"serial": str(serial)} if SERIAL.fullmatch(serial):
                return serial, signature
    except (ValueError, RecursionError):
        pass
    return None
