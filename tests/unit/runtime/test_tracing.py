"""Spans say that something failed, and nothing of what it was about."""

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from shared.runtime import tracing


@pytest.mark.parametrize("parents", [[None], [None, None]], ids=["one message", "a batch"])
def test_a_span_that_fails_names_the_kind_of_error_and_not_its_text(
    parents: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(seen))
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("test"))
    with pytest.raises(ValueError, match="13900000001"), tracing.consuming("ledger", "billing.events", parents):
        raise ValueError("13900000001 is no number")
    (span,) = seen.get_finished_spans()
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "ValueError")
    assert not span.events
