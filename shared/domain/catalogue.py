"""The catalogue: who sells what, at which rate, under which printed name. Data with validity dates, never constants in code.

The rate follows the day of supply, the printed category the day of issue (D-16). An item freezes what was resolved for it.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal

from shared.domain.calendar import day_of

HERE = Path(__file__).parents[2]
DATA = Path(__file__).parent / "data" / "catalogue"
TABLES = ("legal_entities", "subjects", "categories", "contents", "products", "order_types")
CACHED_CHOICES = 65_536
InvoiceableBy = Literal["platform", "vendor", "nobody"]


@dataclass(frozen=True)
class LegalEntity:
    """The seller on an invoice. `region` begins the numbers of its invoices; `unconfirmed` names fields that are stand-ins.

    `net_cap_fen`: the most one of its invoices may be over, tax not included, if there is a limit (R-6).
    """

    key: str
    name: str
    name_en: str
    tax_id: str
    region: str
    address: str
    phone: str
    bank_name: str
    bank_account: str
    unconfirmed: tuple[str, ...]
    net_cap_fen: int | None = None


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
    unconfirmed: tuple[str, ...]


@dataclass(frozen=True)
class Choice:
    """What an item freezes when it arrives."""

    subject: str
    content: str
    tax_percent: int
    legal_entity: str


@dataclass(frozen=True)
class NoRow:
    """Why nothing was found: the record is parked with this text until the catalogue, or the record, is mended."""

    text: str


@dataclass(frozen=True)
class ProductRow:
    """A product as one legal entity sells it, for supplies on the days `since` <= day < `until`."""

    since: date
    until: date
    choice: Choice


class Catalogue:
    """`version` is a hash of the data, frozen into items beside the choice. A row that points nowhere fails here, at start-up."""

    def __init__(self, data: dict[str, Any], version: str) -> None:
        self.version = version
        self.legal_entities = {key: _legal_entity(key, row) for key, row in data["legal_entities"].items()}
        self.subjects = {key: Subject(key, **row) for key, row in data["subjects"].items()}
        self.contents = {key: _content(key, row, data["categories"]) for key, row in data["contents"].items()}
        self.products = {code: tuple(map(self._product_row, rows)) for code, rows in data["products"].items()}
        self.order_types: dict[str, InvoiceableBy] = data["order_types"]
        self._defaults = {key: self._choice_of(subject.default_content) for key, subject in self.subjects.items()}
        self._choice = lru_cache(CACHED_CHOICES)(self._choose)

    @staticmethod
    @cache
    def load() -> "Catalogue":
        texts = {name: (DATA / f"{name}.json").read_text(encoding="utf-8") for name in TABLES}
        version = hashlib.blake2b("".join(texts.values()).encode(), digest_size=6).hexdigest()
        return Catalogue({name: json.loads(text) for name, text in texts.items()}, version)

    def resolve(
        self, product_code: str | None, subject: str | None, supplied_at: datetime, legal_entity: str | None = None
    ) -> Choice | NoRow:
        """By product and day of supply; a line that names only a subject gets that subject's default row.

        A product may have several sellers: the first one listed, unless the line names a legal entity or a subject.
        """
        return self._choice(product_code, subject, day_of(supplied_at), legal_entity)

    def _choose(
        self, product_code: str | None, subject: str | None, day: date, legal_entity: str | None
    ) -> Choice | NoRow:
        if product_code is None:
            return self._by_subject(subject, legal_entity)
        valid = [row.choice for row in self.products.get(product_code, ()) if row.since <= day < row.until]
        fitting = [
            choice
            for choice in valid
            if subject in (None, choice.subject) and legal_entity in (None, choice.legal_entity)
        ]
        if fitting:
            return fitting[0]
        if not valid:
            return NoRow(f"the catalogue has no row for product {product_code} on {day}; {_add_to('products.json')}")
        sold = " or ".join(choice.subject for choice in valid)
        asked = " of ".join(name for name in (subject, legal_entity) if name)
        return NoRow(
            f"product {product_code} belongs to {sold} on {day}, not to {asked}; have the record corrected, or {_add_to('products.json')}"
        )

    def _by_subject(self, subject: str | None, legal_entity: str | None) -> Choice | NoRow:
        choice = self._defaults.get(subject or "")
        if choice is None:
            known = ", ".join(self.subjects)
            return NoRow(f"neither a product nor a known subject (subject {subject}); name one of {known}")
        if legal_entity not in (None, choice.legal_entity):
            return NoRow(f"subject {subject} is sold by {choice.legal_entity}, not by {legal_entity}; mend the record")
        return choice

    def _product_row(self, row: dict[str, str]) -> ProductRow:
        since, until = _day(row.get("since"), date.min), _day(row.get("until"), date.max)
        return ProductRow(since, until, self._choice_of(row["content"]))

    def _choice_of(self, content: str) -> Choice:
        subject = self.subjects[self.contents[content].subject]
        entity = self.legal_entities[subject.legal_entity]
        return Choice(subject.key, content, subject.tax_percent, entity.key)

    def printed_name(self, content: str, issued_at: datetime) -> str:
        """`*category*item` with the category in force on the day of issue."""
        row, day = self.contents[content], day_of(issued_at)
        category = [name for since, name in row.categories if since <= day][-1]
        return f"*{category}*{row.item}"

    def invoiceable_by(self, order_type: str | None) -> InvoiceableBy | NoRow:
        """Some domain-name trades are between customers, some orders are the vendor's; an order without a type is the platform's."""
        if order_type is None:
            return "platform"
        known = self.order_types.get(order_type)
        if known is not None:
            return known
        return NoRow(
            f"the catalogue has no order type {order_type}, nor who invoices such orders; {_add_to('order_types.json')}"
        )


def _add_to(table: str) -> str:
    """What an operator does about a row that is missing."""
    return (
        f"add it to {(DATA / table).relative_to(HERE).as_posix()}, restart the ledger (make stop, make run), then type "
        "deploy/kaipiao parked redrive --reason NO_CATALOGUE_ROW"
    )


def _legal_entity(key: str, row: dict[str, Any]) -> LegalEntity:
    return LegalEntity(key, **{**row, "unconfirmed": tuple(row["unconfirmed"])})


def _content(key: str, row: dict[str, Any], series: dict[str, list[dict[str, str]]]) -> Content:
    categories = tuple((_day(one.get("since"), date.min), one["name"]) for one in series[row["category"]])
    return Content(key, row["subject"], row["item"], row["tax_code"], categories, tuple(row["unconfirmed"]))


def _day(text: str | None, otherwise: date) -> date:
    return date.fromisoformat(text) if text else otherwise
