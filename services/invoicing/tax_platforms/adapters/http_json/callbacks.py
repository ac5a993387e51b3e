"""What the platform says by itself: signed, and only about which serial."""

import hmac
import json
import re

SERIAL = re.compile(r"[0-9A-Z]{20}")


def called_about(body: bytes, signature: str, secret: str) -> str | None:
    """The serial a callback speaks of; None unless the platform signed it (HMAC-SHA256 of the body, in hex)."""
    expected = hmac.new(secret.encode(), body, "sha256").hexdigest()
    if not hmac.compare_digest(signature.encode(), expected.encode()):
        return None
    try:
        match json.loads(body):
            case {"serial": str(serial)} if SERIAL.fullmatch(serial):
                return serial
    except ValueError:
        pass
    return None
