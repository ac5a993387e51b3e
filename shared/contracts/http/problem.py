"""How every service says no over HTTP."""

from pydantic import BaseModel, ConfigDict


class WrongField(BaseModel):
    """One field that is not well formed. `value` is shortened."""

    field: str
    message: str
    value: str


class ProblemView(BaseModel):
    """A problem (RFC 9457): what was wrong, with which value, and what to do. `code` is stable; the values are further members."""

    model_config = ConfigDict(extra="allow")

    type: str
    status: int
    code: str
    title: str
    detail: str
    trace_id: str | None = None
    errors: list[WrongField] | None = None
    """Of a request that is not well formed."""
