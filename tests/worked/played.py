"""What can be asked about a played example."""

from dataclasses import dataclass, field
from typing import Any

from shared.contracts.ledger import Balance


@dataclass
class Look:
    """The world after an event."""

    at: str
    type: str
    balances: dict[tuple[str, str], Balance]
    waiting: list[str]
    request_status: dict[str, str]
    invoice_status: set[str]


@dataclass
class Played:
    """Everything that can be asked about a played example."""

    looks: list[Look] = field(default_factory=list)
    invoices: list[dict[str, Any]] = field(default_factory=list)
    red_invoices: list[dict[str, Any]] = field(default_factory=list)
    items: dict[str, dict[str, Any]] = field(default_factory=dict)
    errors: list[dict[str, Any]] = field(default_factory=list)
    offsets: list[dict[str, Any]] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    duplicates: list[dict[str, str]] = field(default_factory=list)
    requests: dict[str, dict[str, Any]] = field(default_factory=dict)
    usage: dict[str, dict[str, Any]] = field(default_factory=dict)
    cash: dict[str, tuple[int, int]] = field(default_factory=dict)
    platform: list[dict[str, Any]] = field(default_factory=list)
    quota_used_net_fen: int | None = None
    notifications: set[Any] = field(default_factory=set)
    accounts: dict[str, int] = field(default_factory=dict)
    member_gross: dict[str, int] = field(default_factory=dict)
    """What each account's own items were invoiced for."""
    downloads: str | None = None
    separate: list[dict[str, Any]] = field(default_factory=list)
    consolidated: list[dict[str, Any]] = field(default_factory=list)
