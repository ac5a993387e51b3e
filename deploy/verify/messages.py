"""Messages: every record accounted for, every committed message published, in order; people told once; nothing personal in clear."""

import json
from collections import defaultdict

from deploy.verify.intake import body_of
from deploy.verify.world import SERVICES, TOPICS, UPSTREAM, World

Violations = list[str]


async def every_record_accounted_for(world: World) -> Violations:
    """Each consumer has read its topic to the end, and each offset ended as applied, duplicate, parked or skipped.

    Between the offsets of records there may be others: a transaction of upstream's ends with one of its own.
    """
    found = []
    for service in SERVICES:
        rows = await world.rows(
            service,
            """
            SELECT consumer, topic, "partition", next_offset, applied + duplicate + parked + skipped AS seen
            FROM runtime.consumer_offset
            """,
        )
        offsets: dict[tuple[str, int], list[int]] = defaultdict(list)
        for record in (record for topic in {row["topic"] for row in rows} for record in world.records(topic)):
            offsets[record.topic, record.partition].append(record.offset)
        for row in rows:
            there, at, seen = offsets[row["topic"], row["partition"]], row["next_offset"], row["seen"]
            if not there and row["topic"] in world.shortened:
                continue  # all of them have left, and nobody can say how many there were
            if at != (there[-1] + 1 if there else 0) or seen < len(there):
                found.append(f"{row['consumer']} partition {row['partition']}: at {at}, {seen} seen, of {len(there)}")
    return found


async def nothing_committed_left_unpublished(world: World) -> Violations:
    found = []
    for service in SERVICES:
        rows = await world.rows(service, "SELECT outbox_id FROM runtime.outbox WHERE sent_at IS NULL")
        found += [f"{service}: outbox row {row['outbox_id']} was never sent" for row in rows]
    sent = {record.header("ce_id") for topic in TOPICS if topic not in UPSTREAM for record in world.records(topic)}
    for service in SERVICES:
        for row in await world.rows(service, "SELECT records FROM runtime.outbox WHERE sent_at IS NOT NULL"):
            ids = [message["headers"]["ce_id"] for message in json.loads(row["records"])]
            found += [
                f"{service}: {event_id} is marked sent and in no topic" for event_id in ids if event_id not in sent
            ]
    return found


async def nothing_published_that_was_not_committed(world: World) -> Violations:
    committed = set()
    for service in SERVICES:
        for row in await world.rows(service, "SELECT records FROM runtime.outbox"):
            committed |= {message["headers"]["ce_id"] for message in json.loads(row["records"])}
    return [
        f"{record.header('ce_id')} in {topic} is in no outbox"
        for topic in TOPICS
        if topic not in UPSTREAM
        for record in world.records(topic)
        if record.header("ce_id") not in committed
    ]


async def nothing_is_said_twice(world: World) -> Violations:
    """A request has one answer of the ledger, a part one document and one booking; the same record may come again, a second one not."""
    found = []
    for topic in ("ledger.events", "invoicing.events"):
        said: dict[tuple[str, int | str], set[str]] = defaultdict(set)
        for record in world.records(topic):
            about = SAID_ONCE.get(record.header("ce_type"))
            if about is not None:
                what, name = about
                said[what, json.loads(record.value or b"{}")[name]].add(record.header("ce_id"))
        found += [f"{what} {number} was told {len(ids)} times" for (what, number), ids in said.items() if len(ids) > 1]
    return found


SAID_ONCE = {
    "BalanceReserved": ("the answer to request", "request_id"),
    "ReservationRefused": ("the answer to request", "request_id"),
    "InvoiceIssued": ("the issue of part", "part_id"),
    "AmountInvoiced": ("the booking of part", "part_id"),
    "AmountCredited": ("the credit of part", "part_id"),
    "InvoiceCredited": ("the credit note of part", "part_id"),
    "CreditNoteFailed": ("the failure of credit note", "credit_note_id"),
    "InvoiceFilesStored": ("the files of invoice", "number"),
}


async def nothing_of_our_own_is_parked(world: World) -> Violations:
    """Upstream may send what cannot be taken; we may not."""
    rows = [
        (service, row)
        for service in SERVICES
        for row in await world.rows(service, "SELECT topic, reason, text FROM runtime.parked WHERE status = 'open'")
    ]
    return [
        f"{service}: {row['topic']} {row['reason']}: {row['text']}"
        for service, row in rows
        if row["topic"] not in UPSTREAM
    ]


async def order_per_key(world: World) -> Violations:
    """What is told of one notice, credit note, part, request or account appears in the order it was committed. Repeats may follow.

    Two requests of one account have no order between them: their transactions run side by side.
    """
    found = []
    for service in SERVICES:
        made: dict[tuple[str, str, str], list[str]] = defaultdict(list)
        for row in await world.rows(service, "SELECT records FROM runtime.outbox ORDER BY outbox_id"):
            for message in json.loads(row["records"]):
                key = (message["topic"], message["key"], _concerns(message["value"]))
                made[key].append(message["headers"]["ce_id"])
        appeared = _first_appearances(world, {topic for topic, _, _ in made})
        for key, ids in made.items():
            places = [appeared[event_id] for event_id in ids if event_id in appeared]
            if places != sorted(places):
                found.append(f"{key[0]}, key {key[1]}, {key[2]}: messages overtook each other")
    return found


def _concerns(value: str) -> str:
    body = json.loads(value)
    if "record_offset" in body:
        return f"record {body['record_topic']} {body['record_partition']}/{body['record_offset']}"
    names = ("notice_id", "notification_id", "credit_note_id", "part_id", "request_id")
    name = next((name for name in names if body.get(name) is not None), "account_id")
    return f"{name} {body[name]}"


def _first_appearances(world: World, topics: set[str]) -> dict[str, tuple[int, int]]:
    """Where each event stands first: one key lies in one partition, so places of one key can be compared."""
    found: dict[str, tuple[int, int]] = {}
    for topic in sorted(topics):
        for record in world.records(topic):
            found.setdefault(record.header("ce_id"), (record.partition, record.offset))
    return found


async def one_notice_for_a_fact_and_channel(world: World) -> Violations:
    rows = await world.rows(
        "notification",
        """
        SELECT account_id, request_id, part_id, credit_note_id, kind, channel, count(*) FROM notice
        GROUP BY account_id, request_id, part_id, credit_note_id, kind, channel HAVING count(*) > 1
        """,
    )
    return [f"{row['kind']} by {row['channel']} of part {row['part_id']}: {row['count']} times" for row in rows]


async def every_invoice_was_told(world: World) -> Violations:
    """Of the last 90 days, counted from the last invoice: notices of before may have left, NOTICE_DAYS can be no less."""
    told = {
        row["part_id"]
        for row in await world.rows(
            "notification", "SELECT part_id FROM notice WHERE channel = 'inbox' AND kind = 'invoice_issued'"
        )
    }
    rows = await world.rows(
        "invoicing",
        """
        SELECT part_id FROM part
        WHERE status = 'issued' AND issued_at > (SELECT max(issued_at) FROM part) - interval '90 days'
        """,
    )
    return [f"nobody was told of part {row['part_id']}" for row in rows if row["part_id"] not in told]


async def nothing_personal_in_clear(world: World) -> Violations:
    """Mailboxes, numbers of phones and bank accounts, and names stand in no topic of ours, no key, no header and no log."""
    canaries = set()
    for record in world.records("account.events"):
        body = body_of(record.value)
        registration = body.get("registration") if isinstance(body.get("registration"), dict) else {}
        for source in (body, registration):
            assert isinstance(source, dict)
            canaries |= {
                str(source[name]) for name in ("mailbox", "mobile", "name", "phone", "bank_account") if source.get(name)
            }
    needles = [value.encode() for value in canaries if len(value) > 3]
    found = []
    for topic in TOPICS:
        for record in world.records(topic):
            shown = [record.key or b"", *(value or b"" for value in record.headers.values())]
            shown += [record.value or b""] if topic not in UPSTREAM else []
            if any(needle in text for needle in needles for text in shown):
                found.append(f"{topic} partition {record.partition} offset {record.offset}")
    found += [str(path) for path in world.logs if any(needle in path.read_bytes() for needle in needles)]
    return found


CHECKS = (
    every_record_accounted_for,
    nothing_committed_left_unpublished,
    nothing_published_that_was_not_committed,
    nothing_is_said_twice,
    nothing_of_our_own_is_parked,
    order_per_key,
    one_notice_for_a_fact_and_channel,
    every_invoice_was_told,
    nothing_personal_in_clear,
)
