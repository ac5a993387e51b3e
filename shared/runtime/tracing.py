"""One trace from the HTTP request to the mail: the context is stored with each outbox row and continued by whoever reads it.

Spans carry names and counts; never keys, bodies or exception texts, which may be personal.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

LINKS_MAX = 100
MAY_LEAVE = frozenset(
    {
        *("messaging.consumer.group.name", "messaging.batch.message_count", "error.type", "url.scheme"),
        *("http.request.method", "http.route", "http.response.status_code", "network.protocol.version"),
    }
)
"""Attributes of spans. Libraries make spans too, and put paths and queries into them as they were asked."""
QUIET: dict[str, Any] = {"record_exception": False, "set_status_on_exception": False}
_propagator = TraceContextTextMapPropagator()
_tracer = trace.get_tracer("kaipiao.runtime")


class Guarded(SpanExporter):
    """Lets out what may leave: names, times, kinds and numbers; no other attribute, no event, no text of an error."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._exporter.export([_without_values(span) for span in spans])

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def _without_values(span: ReadableSpan) -> ReadableSpan:
    said = {name: value for name, value in (span.attributes or {}).items() if name in MAY_LEAVE}
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=said,
        links=span.links,
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def configure(service: str, replica: str, otlp_endpoint: str) -> None:
    """Spans are made in any case, so that logs and messages have trace ids; they leave the process only with an endpoint."""
    provider = TracerProvider(resource=Resource.create({"service.name": service, "service.instance.id": replica}))
    if otlp_endpoint:
        provider.add_span_processor(
            BatchSpanProcessor(Guarded(OTLPSpanExporter(endpoint=f"{otlp_endpoint.rstrip('/')}/v1/traces")))
        )
    trace.set_tracer_provider(provider)


def flush() -> None:
    """What was not sent yet. It may take as long as its receiver likes."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        provider.force_flush()


def traceparent() -> str | None:
    """The current context as a W3C `traceparent`, to be stored and continued elsewhere."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier.get("traceparent")


def trace_id() -> str | None:
    context = trace.get_current_span().get_span_context()
    return format(context.trace_id, "032x") if context.is_valid else None


def ids() -> dict[str, str]:
    """Of the current span, for a log line."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {"trace_id": format(context.trace_id, "032x"), "span_id": format(context.span_id, "016x")}


def ids_of(parent: str | None) -> dict[str, str]:
    """Of a stored `traceparent`; nothing if it is none."""
    context = _context(parent)
    if context is None:
        return {}
    return {"trace_id": format(context.trace_id, "032x"), "span_id": format(context.span_id, "016x")}


@contextmanager
def continuing(name: str, parent: str | None, kind: SpanKind = SpanKind.INTERNAL) -> Iterator[None]:
    """A span under a stored `traceparent`."""
    context = _propagator.extract({"traceparent": parent}) if parent else None
    with _failing(_tracer.start_as_current_span(name, context=context, kind=kind, **QUIET)):
        yield


@contextmanager
def consuming(consumer: str, topic: str, parents: Sequence[str | None]) -> Iterator[None]:
    """One message continues its sender's trace; a batch links to all of its senders."""
    if len(parents) == 1:
        with continuing(f"{topic} process", parents[0], SpanKind.CONSUMER):
            yield
        return
    links = [Link(context) for parent in parents[:LINKS_MAX] if (context := _context(parent)) is not None]
    attributes: dict[str, str | int] = {
        "messaging.consumer.group.name": consumer,
        "messaging.batch.message_count": len(parents),
    }
    named = f"{topic} process"
    with _failing(
        _tracer.start_as_current_span(named, kind=SpanKind.CONSUMER, links=links, attributes=attributes, **QUIET)
    ):
        yield


@contextmanager
def _failing(opened: AbstractContextManager[Span]) -> Iterator[None]:
    """A span that fails says of what kind the error was, not its text."""
    with opened as span:
        try:
            yield
        except Exception as error:
            span.set_status(StatusCode.ERROR, type(error).__name__)
            span.set_attribute("error.type", type(error).__name__)
            raise


def _context(parent: str | None) -> SpanContext | None:
    if not parent:
        return None
    context = trace.get_current_span(_propagator.extract({"traceparent": parent})).get_span_context()
    return context if context.is_valid else None
