"""Records of topics: each that one of our services has to read took effect, or is parked where somebody can see it."""

import json

from deploy.verify.intake import body_of, kind_of
from deploy.verify.world import SERVICES, Row, Seen, World

Violations = list[str]
Key = tuple[str, str]

TAKEN: dict[str, dict[str, tuple[str, ...]]] = {
    "title": {
        "account.events": ("AccountRegistered", "RegistrationChanged", "RelationChanged", "AccountClosed"),
        "invoicing.events": ("AccountAtRest",),
    },
    "ledger": {
        "account.events": ("CashToppedUp",),
        "title.events": ("AccountErased",),
        "ledger.commands": ("ReserveBalance", "OffsetDeficit", "ReleaseReservation"),
        "invoicing.events": ("InvoiceIssued", "InvoiceFailed", "InvoiceVoided", "InvoiceCredited"),
    },
    "invoicing": {
        "title.events": (
            *("AccountStatusChanged", "TitleChanged", "MemberChanged"),
            *("AccountErasureStarted", "AccountErased"),
        ),
        "ledger.events": ("BalanceReserved", "ReservationRefused", "ReservationImpaired"),
    },
    "notification": {
        "title.events": ("RecipientChanged", "AccountErased"),
        "invoicing.events": (
            *("InvoiceIssued", "InvoiceFilesStored", "InvoiceFailed", "InvoiceVoided", "InvoiceCredited"),
            *("RedFormWaits", "CreditNoteFailed", "RequestRefused"),
        ),
    },
}
"""What each service takes one by one, under an id that counts once."""
ONLY_IN_BATCHES = {"ledger": ("billing.events",)}
"""Its own numbers say what of these took effect: see `intake.py`."""
KEPT_WHOLE = 64
"""Longer ids and sources are kept as a hash, which is nobody's business here."""


async def every_event_is_accounted_for(world: World) -> Violations:
    """An event that a service takes is in its inbox, or parked; one that says something else under the id of another is parked."""
    found = []
    for service, topics in TAKEN.items():
        inbox = await _inbox(world, service)
        places, parked = await _parked(world, service)
        for topic, types in topics.items():
            said: dict[Key, list[tuple[str, object]]] = {}
            for record in world.records(topic):
                body = body_of(record.value)
                kind, key = kind_of(record, body), _key(record)
                if kind not in types or max(map(len, key)) > KEPT_WHOLE:
                    continue
                if _place(record) in places or (key, record.value) in parked:
                    continue
                where = f"{service}: {topic} {record.partition}/{record.offset}"
                if key not in inbox:
                    found.append(f"{where} has no effect, and is not parked")
                elif said.setdefault(key, _money(body)) != _money(body):
                    found.append(f"{where} speaks of other money than the first event of its id, and is not parked")
    return found


async def every_unreadable_record_is_parked(world: World) -> Violations:
    """What upstream wrote and nobody can read is kept by each service that reads the topic."""
    found = []
    for service in SERVICES:
        places, parked = await _parked(world, service)
        for topic in ("account.events", *ONLY_IN_BATCHES.get(service, ())):
            if topic not in (*TAKEN[service], *ONLY_IN_BATCHES.get(service, ())):
                continue
            found += [
                f"{service}: {topic} {record.partition}/{record.offset} can't be read, and is not parked"
                for record in world.records(topic)
                if not body_of(record.value)
                and _place(record) not in places
                and (_key(record), record.value) not in parked
            ]
    return found


async def what_was_redriven_took_effect(world: World) -> Violations:
    """Nobody may mark a parked record as run again without its effect."""
    found = []
    for service, topics in TAKEN.items():
        inbox = await _inbox(world, service)
        rows = await world.rows(
            service,
            """
            SELECT parked_id, topic, event_source, event_id, event_type FROM runtime.parked
            WHERE status = 'redriven' AND length(event_source) <= 64 AND length(event_id) <= 64
            """,
        )
        found += [
            f"{service}: parked record {row['parked_id']} was redriven, and has no effect"
            for row in rows
            if row["event_type"] in topics.get(row["topic"], ()) and (row["event_source"], row["event_id"]) not in inbox
        ]
    return found


async def _inbox(world: World, service: str) -> set[Key]:
    rows = await world.rows(service, "SELECT source, event_id FROM runtime.inbox")
    return {(row["source"], row["event_id"]) for row in rows}


async def _parked(world: World, service: str) -> tuple[set[tuple[str, int, int]], set[tuple[Key, bytes | None]]]:
    """Places of parked records; and id and bytes of what lies there, because the same record again is counted with the first."""
    rows = await world.rows(service, 'SELECT topic, "partition", "offset" FROM runtime.parked')
    places = {(row["topic"], row["partition"], row["offset"]) for row in rows}
    parked = (record for topic in {topic for topic, _, _ in places} for record in world.records(topic))
    return places, {(_key(record), record.value) for record in parked if _place(record) in places}


def _place(record: Seen) -> tuple[str, int, int]:
    return record.topic, record.partition, record.offset


def _key(record: Seen) -> Key:
    """Source and id, in either mode of CloudEvents."""
    event: Row = {} if record.header("ce_id") else _event(record.value)
    source, event_id = (record.header(f"ce_{name}") or event.get(name) for name in ("source", "id"))
    return str(source or ""), str(event_id or "")


def _money(body: object) -> list[tuple[str, object]]:
    """Accounts and amounts, however deep they lie. All else may be written in more than one way, and mean the same."""
    if isinstance(body, list):
        return [one for member in body for one in _money(member)]
    if not isinstance(body, dict):
        return []
    mine = [(name, body[name]) for name in sorted(body) if name == "account_id" or name.endswith("_fen")]
    return mine + [one for name in sorted(body) for one in _money(body[name])]


def _event(value: bytes | None) -> Row:
    try:
        event = json.loads(value or b"")
    except (ValueError, RecursionError):
        return {}
    return event if isinstance(event, dict) else {}


CHECKS = (every_event_is_accounted_for, every_unreadable_record_is_parked, what_was_redriven_took_effect)
