"""What `/metrics` shows. Labels are names of ours, never values of a customer. Every sample says which service and replica it is of."""

from collections.abc import Iterator
from copy import copy

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

RECORDS = Counter("kaipiao_records", "Records read, by what became of them", ["consumer", "outcome"])
PARKED_RECORDS = Counter("kaipiao_parked", "Records parked, by reason code", ["consumer", "reason"])
REPEATS = Gauge(
    "kaipiao_batch_repeats", "How often the batch a partition stands at came again", ["consumer", "partition"]
)
WORK_SECONDS = Histogram("kaipiao_work_seconds", "Jobs that were done", ["worker", "outcome"])
CALL_SECONDS = Histogram(
    "kaipiao_outside_call_seconds",
    "Calls to the outside world, by how they ended",
    ["call", "result"],
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60),
)
CALL_FAILING_SINCE = Gauge(
    "kaipiao_outside_failing_seconds",
    "How long a call has had no answer but failures; 0 when the last one was answered",
    ["call"],
)
SET_ASIDE = Counter("kaipiao_set_aside", "Rows whose job failed, each of which rests for a minute", ["worker"])
SENT = Counter("kaipiao_messages_sent", "Messages confirmed by the broker", ["type"])
SEND_FAILURES = Counter("kaipiao_send_failures", "Batches of the outbox that were not confirmed and go out again")
UNSENT = Gauge("kaipiao_outbox_unsent", "Outbox rows not sent yet")
UNSENT_AGE = Gauge("kaipiao_outbox_oldest_seconds", "Age of the oldest outbox row not sent yet")
PARKED = Gauge("kaipiao_parked_open", "Parked records nobody has decided on")
LOOP_LAG = Gauge("kaipiao_loop_lag_seconds", "How late the event loop was at the watchdog's last look")
RELAY_ACTIVE = Gauge("kaipiao_relay_active", "1 in the process whose relay sends, 0 in those that stand by")
LAG = Gauge(
    "kaipiao_consumer_lag",
    "Records of a topic that are not settled, of this process's partitions",
    ["consumer", "topic"],
)
DROPPED_ROWS = Counter("kaipiao_dropped_rows", "Rows that left at the end of their retention", ["table"])
OVERDUE = Gauge(
    "kaipiao_retention_overdue_seconds",
    "How long ago the oldest row that is left over should have left; 0 when nothing is",
    ["table"],
)
DAYS_AHEAD = Gauge("kaipiao_outbox_days_ahead", "For how many days to come the outbox has partitions")
UNHEALTHY = Gauge("kaipiao_unhealthy", "1 for what stands still although work is there and could be done", ["what"])
AVAILABLE = Gauge("kaipiao_dependency_available", "1 if it answered in time at the last look", ["dependency"])
QUEUE_DEPTH = Gauge(
    "kaipiao_queue_depth", "Rows that wait, by queue; read by the service's active relay", ["service", "queue"]
)
QUEUE_OLDEST = Gauge(
    "kaipiao_queue_oldest_seconds",
    "How long the oldest row of a queue has waited, in business time",
    ["service", "queue"],
)
PARKED_BY_REASON = Gauge(
    "kaipiao_parked_open_by_reason",
    "Parked records nobody has decided on, by reason",
    ["service", "consumer", "reason"],
)
POOL_CONNECTIONS = Gauge(
    "kaipiao_pool_connections",
    "Connections to PostgreSQL: in use, and how many there may be",
    ["service", "pool", "state"],
)
HTTP_SECONDS = Histogram(
    "kaipiao_http_seconds",
    "Answers over HTTP, by route and status",
    ["method", "route", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)


class Of(Collector):
    """All samples of a registry, each with the name of its process."""

    def __init__(self, registry: CollectorRegistry, **names: str) -> None:
        self._registry = registry
        self._names = names

    def collect(self) -> Iterator[Metric]:
        for metric in map(copy, self._registry.collect()):
            metric.samples = [one._replace(labels=self._names | one.labels) for one in metric.samples]
            yield metric


def exposition(service: str, replica: str) -> bytes:
    """The body of `/metrics`. It asks nobody."""
    return generate_latest(Of(REGISTRY, service=service, replica=replica))
