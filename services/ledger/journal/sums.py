"""The sums of an account's items: their key, their figures, and how both are written in SQL.

A row of `balance_sum` adds up the items of one owner that are alike in subject, month, content and opening. This is the only place
that spells out which columns these are.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple


class SumKey(NamedTuple):
    """A row of the sums. `account_id` is the owner of its items."""

    account_id: int
    subject: str
    cycle: str
    content: str
    opens_at: datetime


KEY = ", ".join(SumKey._fields)
TYPES = ("bigint", "text", "text", "text", "timestamptz")
FIGURES = ("settled_fen", "refunded_fen", "positive_fen", "negative_fen", "reserved_fen", "invoiced_fen", "offset_fen")
COLUMNS = ", ".join((*SumKey._fields, *FIGURES))

ADD = f"ON CONFLICT ({KEY}) DO UPDATE SET " + ", ".join(f"{name} = s.{name} + excluded.{name}" for name in FIGURES)
"""Ends an INSERT INTO balance_sum AS s: what is inserted is added to what is there."""

NOTE_CHANGE = """
    INSERT INTO account_change AS c (account_id) SELECT DISTINCT account_id FROM {source} ORDER BY account_id
    ON CONFLICT (account_id) DO UPDATE SET version = c.version + 1
"""
"""Notes that the balances of accounts changed. The source is what wrote the sums: so everybody locks sums first and this row after them."""


def of(alias: str) -> str:
    """The key's columns of one relation."""
    return ", ".join(f"{alias}.{name}" for name in SumKey._fields)


def same(one: str, other: str) -> str:
    """Two relations speak of the same sum."""
    return f"({of(one)}) = ({of(other)})"


def is_given(first: int) -> str:
    """The key is that of the parameters from `$first`."""
    return f"({KEY}) = ({', '.join(f'${place}' for place in range(first, first + len(TYPES)))})"


def given(first: int, *beside: str) -> str:
    """A relation of the keys in the five arrays from `$first`, and of arrays of other types after them; `columns` makes the five."""
    return f"unnest({', '.join(f'${place}::{kind}[]' for place, kind in enumerate((*TYPES, *beside), first))})"


def columns(keys: Collection[SumKey]) -> list[list[Any]]:
    return [[key[place] for key in keys] for place in range(len(TYPES))]
