"""The catalogue: who sells what, at which rate, under which printed name. Data with validity dates, never constants in code.

The rate follows the date of supply, the printed category the date of issue (D-16). An item freezes what was resolved for it.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from shared.domain.calendar import SHANGHAI

DATA = Path(__file__).parent / "data" / "catalogue.json"
CACHED_CHOICES = 65_536


@dataclass(frozen=True)
class LegalEntity:
    """The seller on an invoice."""

    key: str
    name: str
    name_en: str
    tax_id: str
    address: str
    phone: str
    bank_name: str
    bank_account: str


@dataclass(frozen=True)
class Subject:
    """A legal entity at one rate: the unit by which balances are kept and invoices are split."""

    key: str
    legal_entity: str
    tax_percent: int
    default_content: str


@dataclass(frozen=True)
class Content:
    """One row of what is printed. `categories` are (valid from, short name), oldest first."""

    key: str
    subject: str
    item: str
    tax_code: str
    categories: tuple[tuple[date, str], ...]


@dataclass(frozen=True)
class Choice:
    """What an item freezes when it arrives."""

    subject: str
    content: str
    tax_percent: int
    legal_entity: str


@dataclass(frozen=True)
class NoRow:
    """Why nothing was found: the record is parked with this text until the catalogue is mended."""

    text: str


class Catalogue:
    """`version` is a hash of the data, frozen into items beside the choice."""

    def __init__(self, data: dict[str, Any], version: str) -> None:
        self.version = version
        self.legal_entities = {
            key: LegalEntity(key, **{name: value for name, value in row.items() if name != "tax_id_is_fictitious"})
            for key, row in data["legal_entities"].items()
        }
        self.subjects = {key: Subject(key, **row) for key, row in data["subjects"].items()}
        self.contents = {
            key: Content(
                **row
                | {"key": key, "categories": tuple((date.fromisoformat(day), name) for day, name in row["categories"])}
            )
            for key, row in data["contents"].items()
        }
        self._products = {
            code: tuple((date.fromisoformat(day), content) for day, content in rows)
            for code, rows in data["products"].items()
        }
        self._order_types: dict[str, str] = data["order_types"]
        self._choice = lru_cache(CACHED_CHOICES)(self._choose)

    @staticmethod
    @cache
    def load() -> "Catalogue":
        text = DATA.read_text(encoding="utf-8")
        return Catalogue(json.loads(text), hashlib.blake2b(text.encode(), digest_size=6).hexdigest())

    @property
    def products(self) -> tuple[str, ...]:
        return tuple(self._products)

    def resolve(
        self, product_code: str | None, subject: str | None, supplied_at: datetime, legal_entity: str | None = None
    ) -> Choice | NoRow:
        """By product and date of supply; a line that names only a subject gets that subject's default row."""
        return self._choice(product_code, subject, supplied_at.astimezone(SHANGHAI).date(), legal_entity)

    def _choose(
        self, product_code: str | None, subject: str | None, day: date, legal_entity: str | None
    ) -> Choice | NoRow:
        if product_code is None:
            if subject not in self.subjects:
                return NoRow(
                    f"neither a product nor a known subject (subject {subject}); name one of {', '.join(self.subjects)}"
                )
            return self._choice_of(self.subjects[subject].default_content)
        valid = [content for since, content in self._products.get(product_code, ()) if since <= day]
        if not valid:
            return NoRow(f"the catalogue has no row for product {product_code} on {day}; add it and redrive")
        choice = self._choice_of(valid[-1])
        if legal_entity not in (None, choice.legal_entity):
            return NoRow(
                f"product {product_code} is sold by {choice.legal_entity}, not by {legal_entity}; mend one and redrive"
            )
        if subject not in (None, choice.subject):
            return NoRow(
                f"product {product_code} belongs to {choice.subject} on {day}, not to {subject}; mend one and redrive"
            )
        return choice

    def _choice_of(self, content: str) -> Choice:
        subject = self.subjects[self.contents[content].subject]
        return Choice(subject.key, content, subject.tax_percent, subject.legal_entity)

    def printed_name(self, content: str, issued_at: datetime) -> str:
        """`*category*item` with the category in force on the day of issue."""
        row, day = self.contents[content], issued_at.astimezone(SHANGHAI).date()
        category = [name for since, name in row.categories if since <= day][-1]
        return f"*{category}*{row.item}"

    def invoiceable_by(self, order_type: str | None) -> str:
        """`platform`, `vendor` or `nobody`: some domain-name trades are between customers."""
        return self._order_types.get(order_type or "", "platform")
