"""How every service says no over HTTP: problems (RFC 9457) with stable codes, about any value, also one that no text can hold."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import JSONResponse

from shared.runtime import tracing

PROBLEM = "application/problem+json"
SHOWN_MAX = 200


class ProblemResponse(JSONResponse):
    """JSON of whatever was sent to us: half a surrogate pair, which no UTF-8 can hold, is written as an escape."""

    media_type = PROBLEM

    def render(self, content: Any) -> bytes:  # noqa: ANN401 - JSON
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode("utf-8", "backslashreplace")


class Problem(Exception):  # noqa: N818 - RFC 9457 calls it a problem
    """A "no" to somebody who asked over HTTP: what was wrong, with which value, and what to do."""

    def __init__(
        self,
        status: int,
        code: str,
        title: str,
        detail: str,
        headers: Mapping[str, str] | None = None,
        **members: Any,  # noqa: ANN401 - any JSON
    ) -> None:
        super().__init__(code)
        self.status = status
        self.headers = dict(headers or {})
        self.content: dict[str, Any] = {
            "type": f"urn:kaipiao:problem:{code}",
            "status": status,
            "code": code,
            "title": title,
            "detail": detail,
            **members,
        }

    def response(self) -> ProblemResponse:
        trace_id = tracing.trace_id()
        content = self.content | ({"trace_id": trace_id} if trace_id else {})
        return ProblemResponse(content, self.status, self.headers)


def invalid(errors: Sequence[Mapping[str, Any]]) -> Problem:
    """Of a request with fields that are not well formed, as pydantic names them."""
    wrong = [
        {"field": ".".join(map(str, one["loc"])), "message": one["msg"], "value": shown(one.get("input"))}
        for one in errors
    ]
    detail = "; ".join(f"{one['field']}: {one['message']}" for one in wrong)
    detail += ". Correct these fields and send it again."
    return Problem(422, "INVALID_REQUEST", "The request is not well formed", detail, errors=wrong)


def shown(value: object) -> str:
    """The beginning of what was sent. A number of more digits than Python writes is named, not shown."""
    try:
        return str(value)[:SHOWN_MAX]
    except ValueError:
        return "a number that is too long to be shown"


def away() -> Problem:
    detail = "The database did not answer. Nothing was half done; send the same request again."
    return Problem(503, "SERVICE_UNAVAILABLE", "For the moment out of service", detail, {"Retry-After": "5"})


def bug() -> Problem:
    detail = "This is our fault, not yours. Send the same request again, or tell us the trace id."
    return Problem(500, "INTERNAL_ERROR", "Something went wrong on our side", detail)
