"""What `/metrics` shows. Labels are names of ours, never values of a customer."""

from prometheus_client import Counter, Gauge, Histogram

RECORDS = Counter("kaipiao_records", "Records read, by what became of them", ["consumer", "outcome"])
PARKED_RECORDS = Counter("kaipiao_parked", "Records parked, by reason code", ["consumer", "reason"])
REPEATS = Gauge(
    "kaipiao_batch_repeats", "How often the batch a partition stands at came again", ["consumer", "partition"]
)
WORK_SECONDS = Histogram(
    "kaipiao_work_seconds", "Outside calls of workers, and jobs that were done", ["worker", "outcome"]
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
DAYS_AHEAD = Gauge("kaipiao_outbox_days_ahead", "For how many days to come the outbox has partitions")
UNHEALTHY = Gauge("kaipiao_unhealthy", "1 for what stands still although work is there and could be done", ["what"])
AVAILABLE = Gauge("kaipiao_dependency_available", "1 if it answered in time at the last look", ["dependency"])
