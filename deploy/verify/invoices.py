"""Documents: one for a part, none for what ended without one, the same money on all three sides (ledger, invoicing, platform)."""

from collections import Counter

from deploy.verify.world import Row, World

Violations = list[str]


def issued(world: World) -> list[Row]:
    """Blue and red; a red one says `of` which it is."""
    return [row for row in world.platform_log if row.get("event") == "issued"]


async def one_invoice_for_a_part(world: World) -> Violations:
    """The platform issued no two invoices for one part, under whatever serials, and no two red ones that reverse it."""
    parts = {row["serial"]: (row["account_id"], row["part_id"]) for row in await _serials(world)}
    counts = Counter(
        (parts.get(row["serial"], row["serial"]), "red" if "of" in row else "blue") for row in issued(world)
    )
    return [f"part {part} has {count} {color} invoices" for (part, color), count in counts.items() if count > 1]


async def red_is_the_negative_of_its_blue(world: World) -> Violations:
    """At the platform; and at ours, where a credit note is issued if and only if the platform has its invoice (R-14)."""
    names = ("gross_fen", "net_fen", "tax_fen")
    blue = {row["number"]: tuple(-row[name] for name in names) for row in issued(world) if "of" not in row}
    red = {row["number"]: row for row in issued(world) if "of" in row}
    wrong = [
        f"{number} is {row['gross_fen']}, {row['of']} asks for {blue.get(row['of'])}"
        for number, row in red.items()
        if blue.get(row["of"]) != tuple(row[name] for name in names)
    ]
    ours = {
        (row["number"], row["blue"])
        for row in await world.rows(
            "invoicing",
            """
            SELECT c.number, p.number AS blue FROM credit_note c JOIN part p USING (account_id, part_id) WHERE c.number IS NOT NULL
            """,
        )
    }
    theirs = {(number, row["of"]) for number, row in red.items()}
    return wrong + [
        f"{number} of {blue_number} is at one side only" for number, blue_number in sorted(ours ^ theirs, key=str)
    ]


async def one_invoice_for_a_request_group(world: World) -> Violations:
    """No reserved group is printed twice: per request, shares of live parts do not exceed the group."""
    rows = await world.rows(
        "invoicing",
        """
        SELECT account_id, request_id, share ->> 'group_no' AS group_no, sum((share ->> 'amount_fen')::bigint) AS fen, count(*)
        FROM part, jsonb_array_elements(shares) AS share WHERE number IS NOT NULL
        GROUP BY account_id, request_id, share ->> 'group_no'
        """,
    )
    held = {
        (row["account_id"], row["request_id"], str(row["group_no"])): row["fen"]
        for row in await world.rows(
            "ledger",
            """
            SELECT r.account_id, r.request_id, i.group_no, sum(i.reserved_fen) AS fen
            FROM reservation r JOIN allocation i USING (reservation_id)
            GROUP BY r.account_id, r.request_id, i.group_no
            """,
        )
    }
    return [
        f"request {row['request_id']} group {row['group_no']} invoiced {row['fen']}, reserved {held.get(_group(row), 0)}"
        for row in rows
        if row["fen"] > held.get(_group(row), 0)
    ]


def _group(row: Row) -> tuple[int, int, str]:
    return row["account_id"], row["request_id"], row["group_no"]


async def numbers_and_serials_unique(world: World) -> Violations:
    numbers = Counter(row["number"] for row in issued(world))
    serials = Counter(row["serial"] for row in issued(world))
    return [f"{value} was issued {count} times" for value, count in (numbers + serials).items() if count > 1]


async def no_invoice_for_what_ended_without(world: World) -> Violations:
    ended = {row["serial"]: row for row in await _serials(world) if row["status"] in ("voided", "failed")}
    return [
        f"part {ended[row['serial']]['part_id']} is {ended[row['serial']]['status']}, the platform issued {row['number']}"
        for row in issued(world)
        if row["serial"] in ended
    ]


async def every_invoice_is_known(world: World) -> Violations:
    """Invoicing has every blue invoice of the platform, and no other; for the red ones see `red_is_the_negative_of_its_blue`."""
    ours = {row["number"] for row in await world.rows("invoicing", "SELECT number FROM part WHERE number IS NOT NULL")}
    theirs = {row["number"] for row in issued(world) if "of" not in row}
    return [f"{number} is at one side only" for number in sorted(ours ^ theirs)]


async def money_reconciles_with_the_platform(world: World) -> Violations:
    theirs = {row["number"]: (row["gross_fen"], row["net_fen"], row["tax_fen"]) for row in issued(world)}
    rows = await world.rows("invoicing", "SELECT number, gross_fen, net_fen, tax_fen FROM part WHERE status = 'issued'")
    wrong = [
        f"{row['number']}: ours {row['gross_fen']}, theirs {theirs[row['number']][0]}"
        for row in rows
        if row["number"] in theirs and theirs[row["number"]] != (row["gross_fen"], row["net_fen"], row["tax_fen"])
    ]
    (ledger,) = await world.rows("ledger", "SELECT coalesce(sum(invoiced_fen), 0)::bigint AS fen FROM item")
    (credited,) = await world.rows(
        "invoicing",
        """
        SELECT coalesce(sum(p.gross_fen), 0)::bigint AS fen FROM credit_note c JOIN part p USING (account_id, part_id)
        WHERE c.status = 'issued'
        """,
    )
    total = sum(row["gross_fen"] for row in rows) - credited["fen"]
    return wrong + (
        [f"the ledger has {ledger['fen']} invoiced, invoices less the credited ones sum to {total}"]
        if ledger["fen"] != total
        else []
    )


async def each_invoice_equals_its_shares(world: World) -> Violations:
    rows = await world.rows(
        "invoicing",
        """
        SELECT part_id FROM part
        WHERE gross_fen IS DISTINCT FROM (SELECT sum((share ->> 'amount_fen')::bigint) FROM jsonb_array_elements(shares) AS share)
            OR gross_fen <> net_fen + tax_fen
        """,
    )
    return [f"part {row['part_id']}" for row in rows]


async def a_terminal_request_holds_nothing(world: World) -> Violations:
    closed = await world.rows(
        "invoicing", "SELECT account_id, request_id, status FROM request WHERE closed_at IS NOT NULL"
    )
    held = {
        (row["account_id"], row["request_id"]): row["fen"]
        for row in await world.rows(
            "ledger",
            """
            SELECT r.account_id, r.request_id, sum(i.reserved_fen - i.invoiced_fen - i.released_fen) AS fen
            FROM reservation r JOIN allocation i USING (reservation_id) GROUP BY r.account_id, r.request_id
            """,
        )
    }
    quarantined = {
        row["request_id"]
        for row in await world.rows("invoicing", "SELECT request_id FROM part WHERE status = 'quarantined'")
    }
    return [
        f"request {row['request_id']} is {row['status']} and holds {held[row['account_id'], row['request_id']]} fen"
        for row in closed
        if held.get((row["account_id"], row["request_id"]), 0) and row["request_id"] not in quarantined
    ]


async def every_call_has_an_earlier_attempt(world: World) -> Violations:
    attempts = Counter(
        (row["serial"], row["step"]) for row in await world.rows("invoicing", "SELECT serial, step FROM attempt")
    )
    calls = Counter((row["serial"], row["call"]) for row in world.platform_log if row.get("event") == "call")
    known = {"submit", "query", "cancel"}
    return [
        f"{call} of {serial}: {count} calls, {attempts[serial, call]} attempts"
        for (serial, call), count in calls.items()
        if call in known and count > attempts[serial, call]
    ]


async def history_is_a_path(world: World) -> Violations:
    allowed = {
        ("queued", "submitting"), ("queued", "voided"), ("queued", "issued"), ("submitting", "submitting"), ("submitting", "issued"),
        ("submitting", "failed"), ("submitting", "voided"), ("submitting", "quarantined"), ("failed", "issued"), ("voided", "issued"),
        ("queued", "waiting_quota"), ("submitting", "waiting_quota"), ("waiting_quota", "queued"), ("waiting_quota", "voided"),
        ("waiting_quota", "issued"), ("waiting_quota", "quarantined"),
        ("queued", "quarantined"), ("failed", "quarantined"), ("voided", "quarantined"),
    }  # fmt: skip
    rows = await world.rows(
        "invoicing", "SELECT part_id, from_status, to_status FROM part_history ORDER BY part_id, change_no"
    )
    return [
        f"part {row['part_id']}: {row['from_status']} to {row['to_status']}"
        for row in rows
        if (row["from_status"], row["to_status"]) not in allowed
    ]


async def quotas_are_what_parts_hold_and_used(world: World) -> Violations:
    """Held by those that are about to be issued, used by those that are, in the month of their issue."""
    quotas = await world.rows("invoicing", "SELECT legal_entity, month, held_net_fen, issued_net_fen FROM quota")
    held, used = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    query = """
        SELECT legal_entity, net_fen, status, quota_month, to_char(issued_at AT TIME ZONE 'Asia/Shanghai', 'YYYYMM') AS month FROM part
    """
    for part in await world.rows("invoicing", query):
        if part["status"] == "submitting":
            held[part["legal_entity"], part["quota_month"]] += part["net_fen"]
        used[part["legal_entity"], part["month"]] += part["net_fen"]
    found = {(row["legal_entity"], row["month"]): (row["held_net_fen"], row["issued_net_fen"]) for row in quotas}
    keys = found.keys() | {key for key in (*held, *used) if key[1] is not None}
    return [
        f"quota of {key[0]} in {key[1]}: held and issued are {found.get(key)}, of parts {(held[key], used[key])}"
        for key in sorted(keys)
        if found.get(key) != (held[key], used[key])
    ]


async def _serials(world: World) -> list[Row]:
    return await world.rows(
        "invoicing",
        "SELECT s.serial, s.account_id, s.part_id, p.status FROM platform_serial s JOIN part p USING (account_id, part_id)",
    )


CHECKS = (
    one_invoice_for_a_part,
    red_is_the_negative_of_its_blue,
    one_invoice_for_a_request_group,
    numbers_and_serials_unique,
    no_invoice_for_what_ended_without,
    every_invoice_is_known,
    money_reconciles_with_the_platform,
    each_invoice_equals_its_shares,
    a_terminal_request_holds_nothing,
    every_call_has_an_earlier_attempt,
    history_is_a_path,
    quotas_are_what_parts_hold_and_used,
)
