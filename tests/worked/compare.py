"""Compares what an example expects with what was played or is computed. Every key of an expected fact is looked at, or it differs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from shared.contracts.ledger import Balance
from shared.domain.calendar import SHANGHAI
from shared.domain.catalogue import Catalogue
from tests.worked import arithmetic
from tests.worked.language import NotOfferedError
from tests.worked.played import Played

Differences = Iterator[str]
NO_BALANCE = dict.fromkeys((name for name in Balance.model_fields if name != "subject"), 0)


def differences(example: dict[str, Any], played: Played) -> list[str]:
    found: list[str] = []
    for name, expected in example["expected"].items():
        look = LOOKS.get(name)
        if look is None:
            raise NotOfferedError(f"not offered yet: {name}")
        try:
            found += [f"{name}: {text}" for text in look(expected, played, example)]
        except (KeyError, ValueError, TypeError, ArithmeticError, AttributeError, IndexError) as error:
            found.append(f"{name}: {type(error).__name__} {error}")
    return found


def _same(expected: Mapping[str, Any], has: Mapping[str, Any], what: str) -> Differences:
    for key, value in expected.items():
        if key not in has:
            yield f"{what} has no {key}"
        elif has[key] != value:
            yield f"{what}: {key} is {has[key]!r}, expected {value!r}"


def _balances(expected: Sequence[Mapping[str, Any]], played: Played, _: object) -> Differences:
    yield from _balance_rows(expected, played.looks[-1].balances, played)


def _balance_rows(
    expected: Sequence[Mapping[str, Any]], found: Mapping[tuple[str, str], Balance], played: Played
) -> Differences:
    for row in expected:
        account, subject = row["account"], row["subject"]
        if account not in played.accounts or subject not in Catalogue.load().subjects:
            yield f"there is no {account} or no {subject}"
        has = found.get((account, subject))
        figures = has.model_dump() if has is not None else NO_BALANCE
        rest = {key: value for key, value in row.items() if key not in ("account", "subject")}
        yield from _same(rest, figures, f"{account} {subject}")


def _checkpoints(expected: Sequence[Mapping[str, Any]], played: Played, _: object) -> Differences:
    for point in expected:
        key, value = ("at", point["at"]) if "at" in point else ("type", point["after"])
        looks = [look for look in played.looks if getattr(look, key) == value]
        if not looks:
            yield f"nothing happened at {value}"
            continue
        yield from _balance_rows(point.get("balances", ()), looks[-1].balances, played)
        if "parked" in point and sorted(point["parked"]) != looks[-1].waiting:
            yield f"waiting are {looks[-1].waiting}, expected {point['parked']}"
        if "invoice_status" in point and {point["invoice_status"]} != looks[-1].invoice_status:
            yield f"invoices are {looks[-1].invoice_status}, expected {point['invoice_status']}"
        if unknown := set(point) - {"at", "after", "balances", "parked", "invoice_status"}:
            raise NotOfferedError(f"not offered yet: checkpoint {', '.join(sorted(unknown))}")


def _deficits(expected: Sequence[Mapping[str, Any]], played: Played, _: object) -> Differences:
    yield from _balance_rows(expected, played.looks[-1].balances, played)


def _invoices(expected: Sequence[Mapping[str, Any]], played: Played, _: object) -> Differences:
    named = {invoice.get("status") for invoice in expected}
    left = [one for one in played.invoices if one["number"] or one["status"] in named]
    for wanted in expected:
        match = next((one for one in left if _fits(wanted, one)), None)
        if match is None:
            yield f"no invoice like {dict(wanted)} among {left}"
        else:
            left.remove(match)
    if left:
        yield f"not expected: {left}"


def _fits(wanted: Mapping[str, Any], has: Mapping[str, Any]) -> bool:
    special = {"number_prefix": (has["number"] or "").startswith, "remark_contains": has["remark"].__contains__}
    return all(
        special[key](value) if key in special else key in has and has[key] == value for key, value in wanted.items()
    )


def _items(expected: Sequence[Mapping[str, Any]], played: Played, _: object) -> Differences:
    for row in expected:
        rest = {key: value for key, value in row.items() if key != "doc_id"}
        yield from _same(rest, played.items.get(row["doc_id"], {}), f"item {row['doc_id']}")


def _errors(expected: Sequence[Mapping[str, Any]], played: Played, _: object) -> Differences:
    yield from _matched(expected, played.errors, "error")


def _matched(expected: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]], what: str) -> Differences:
    """A complete list, in any order: each expected row once, and no other."""
    left = list(found)
    for wanted in expected:
        match = next((one for one in left if all(one.get(key) == value for key, value in wanted.items())), None)
        if match is None:
            yield f"no {what} like {dict(wanted)} among {left}"
        else:
            left.remove(match)
    if left:
        yield f"not expected: {left}"


def _requests(expected: Sequence[Mapping[str, Any]], played: Played, _: object) -> Differences:
    for row in expected:
        rest = {key: value for key, value in row.items() if key != "request_id"}
        yield from _same(rest, played.requests.get(row["request_id"], {}), f"request {row['request_id']}")


def _offsets(expected: Sequence[Mapping[str, Any]], played: Played, _: object) -> Differences:
    yield from _matched(expected, played.offsets, "offset")


def _equal(name: str, value: Callable[[Played, dict[str, Any]], Any]) -> Callable[..., Differences]:
    def look(expected: Any, played: Played, example: dict[str, Any]) -> Differences:  # noqa: ANN401
        has = value(played, example)
        if has != expected:
            yield f"{name} is {has!r}, expected {expected!r}"

    return look


def _duplicates(expected: Sequence[Mapping[str, str]], played: Played, _: object) -> Differences:
    if list(expected) != played.duplicates:
        yield f"are {played.duplicates}, expected {expected}"


def _accepted(expected: Any, played: Played, _: object) -> Differences:  # noqa: ANN401
    if expected != played.accepted:
        yield f"are {played.accepted}, expected {expected}"


def _cycles(expected: Mapping[str, str], played: Played, _: object) -> Differences:
    yield from _same(expected, {name: usage["cycle"] for name, usage in played.usage.items()}, "usage")


def _earliest(expected: Mapping[str, str], played: Played, _: object) -> Differences:
    moments = {name: usage["earliest_at"].astimezone(SHANGHAI).isoformat() for name, usage in played.usage.items()}
    yield from _same(expected, moments, "usage")


def _notifications(expected: Sequence[str], played: Played, _: object) -> Differences:
    if missing := set(expected) - played.notifications:
        yield f"nobody was told by {sorted(missing)}, only {sorted(played.notifications)}"


def _red_invoices(expected: Sequence[Mapping[str, Any]], played: Played, _: object) -> Differences:
    yield from _matched(expected, played.red_invoices, "red invoice")


def _splits(name: str) -> Callable[..., Differences]:
    def look(expected: Sequence[Mapping[str, Any]], played: Played, _: object) -> Differences:
        yield from _matched(expected, getattr(played, name), "part")

    return look


def _separate_sum(expected: Mapping[str, int], played: Played, _: object) -> Differences:
    sums = {name: sum(row[name] for row in played.separate) for name in ("gross_fen", "net_fen", "tax_fen")}
    yield from _same(expected, sums, "sum")


def _member_gross(expected: Mapping[str, int], played: Played, _: object) -> Differences:
    yield from _same(expected, played.member_gross, "members")


LOOKS: dict[str, Callable[..., Differences]] = {
    "balances": _balances,
    "checkpoints": _checkpoints,
    "deficits": _deficits,
    "invoices": _invoices,
    "red_invoices": _red_invoices,
    "items": _items,
    "errors": _errors,
    "requests": _requests,
    "offsets": _offsets,
    "separate": _splits("separate"),
    "separate_sum": _separate_sum,
    "consolidated": _splits("consolidated"),
    "member_gross_fen": _member_gross,
    "accepted": _accepted,
    "duplicates": _duplicates,
    "cycles": _cycles,
    "earliest_invoiceable_at": _earliest,
    "notifications": _notifications,
    "account_cash_fen": _equal("cash", lambda played, _: played.cash["A1"][0]),
    "withdrawable_fen": _equal("withdrawable", lambda played, _: played.cash["A1"][1]),
    "invoice_count": _equal("count", lambda played, _: len([one for one in played.invoices if one["number"]])),
    "sum_gross_fen": _equal("sum", lambda played, _: sum(one["gross_fen"] for one in played.invoices if one["number"])),
    "download_of_old_invoices": _equal("download", lambda played, _: played.downloads),
    "quota_used_net_fen": _equal("quota used", lambda played, _: played.quota_used_net_fen),
    "issued_at_provider": _equal("count", lambda played, _: len(played.platform)),
    **{
        name: (lambda expected, _, example, look=look: look(expected, example))
        for name, look in arithmetic.LOOKS.items()
    },
}
