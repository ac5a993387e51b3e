"""The register of refusals: every code by which the system refuses what a customer asks for, what was wrong, and what to do.

The texts are data (`data/refusals.json`), one row a code, by who refuses. Each is a clause without a full stop, so that it can stand
in a sentence of a notice; `{name}` stands for one of the row's values.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from pathlib import Path

ROWS = Path(__file__).parent / "data" / "refusals.json"
CONFLICT = 409
"""The status of most refusals: the request is well formed, the state of things is against it."""
TEXTS = ("english", "advice_english", "chinese", "advice_chinese")
NOT_GIVEN = "…"
PLATFORM = "tax platform"


class Refusal(StrEnum):
    """Published: a code is never renamed."""

    INSUFFICIENT_INVOICEABLE = "INSUFFICIENT_INVOICEABLE"
    DEFICIT_NOT_COVERED = "DEFICIT_NOT_COVERED"
    SELECTION_BELOW_AMOUNT_PLUS_DEFICIT = "SELECTION_BELOW_AMOUNT_PLUS_DEFICIT"
    ITEM_NOT_INVOICEABLE = "ITEM_NOT_INVOICEABLE"
    ITEM_LOCKED = "ITEM_LOCKED"
    NEGATIVE_SELECTED_ALONE = "NEGATIVE_SELECTED_ALONE"
    SELECTION_TOO_LARGE = "SELECTION_TOO_LARGE"
    OFFSET_ABOVE_DEFICIT = "OFFSET_ABOVE_DEFICIT"
    NOTHING_SELECTED = "NOTHING_SELECTED"
    NO_ACTIVE_TITLE = "NO_ACTIVE_TITLE"
    SPECIAL_NOT_ALLOWED_FOR_NATURAL_PERSON = "SPECIAL_NOT_ALLOWED_FOR_NATURAL_PERSON"
    TITLE_INCOMPLETE_FOR_SPECIAL = "TITLE_INCOMPLETE_FOR_SPECIAL"
    BAD_TAX_ID = "BAD_TAX_ID"
    REMARK_TOO_LONG = "REMARK_TOO_LONG"
    REMARK_BAD_CHARACTER = "REMARK_BAD_CHARACTER"
    REMARK_IRRELEVANT = "REMARK_IRRELEVANT"
    NO_INVOICE_PERMISSION = "NO_INVOICE_PERMISSION"
    ACCOUNT_CLOSED = "ACCOUNT_CLOSED"
    ACCOUNT_DATA_ERASED = "ACCOUNT_DATA_ERASED"
    IDEMPOTENCY_CONFLICT = "IDEMPOTENCY_CONFLICT"
    ALREADY_ISSUED = "ALREADY_ISSUED"
    NOT_CANCELLABLE = "NOT_CANCELLABLE"
    CANCELLED = "CANCELLED"
    REFUND_BEFORE_ISSUE = "REFUND_BEFORE_ISSUE"
    AMOUNT_DIFFERS = "AMOUNT_DIFFERS"
    ALREADY_CREDITED = "ALREADY_CREDITED"
    ALREADY_CREDITING = "ALREADY_CREDITING"
    NOT_CREDITABLE = "NOT_CREDITABLE"
    RED_FORM_NUMBER_REQUIRED = "RED_FORM_NUMBER_REQUIRED"
    PLATFORM_REFUSED = "PLATFORM_REFUSED"
    QUOTA_EXCEEDED = "QUOTA_EXCEEDED"
    BUYER_NAME = "BUYER_NAME"
    BUYER_TAX_ID = "BUYER_TAX_ID"
    CHARACTER = "CHARACTER"
    SELLER_TAX_ID = "SELLER_TAX_ID"
    FORMAT = "FORMAT"
    TOTALS = "TOTALS"
    TOLERANCE = "TOLERANCE"
    SERIAL_REUSED = "SERIAL_REUSED"
    BLUE_UNKNOWN = "BLUE_UNKNOWN"
    RED_AMOUNTS = "RED_AMOUNTS"
    BLUE_ALREADY_RED = "BLUE_ALREADY_RED"
    RED_FORM_05 = "RED_FORM_05"
    RED_FORM_06 = "RED_FORM_06"
    RED_FORM_07 = "RED_FORM_07"
    RED_FORM_08 = "RED_FORM_08"
    RED_FORM_09 = "RED_FORM_09"
    RED_FORM_10 = "RED_FORM_10"
    RED_FORM_11 = "RED_FORM_11"
    RED_FORM_12 = "RED_FORM_12"
    RED_FORM_13 = "RED_FORM_13"
    RED_FORM_AMOUNT_MISMATCH = "RED_FORM_AMOUNT_MISMATCH"
    RED_FORM_UNKNOWN = "RED_FORM_UNKNOWN"
    RED_FORM_DEAD = "RED_FORM_DEAD"
    RED_FORM_KNOWN = "RED_FORM_KNOWN"
    NOT_FOUND = "NOT_FOUND"
    NO_SUCH_SUBJECT = "NO_SUCH_SUBJECT"
    BAD_AS_OF = "BAD_AS_OF"
    BAD_CURSOR = "BAD_CURSOR"
    UNAUTHORIZED = "UNAUTHORIZED"
    BAD_SIGNATURE = "BAD_SIGNATURE"
    THROTTLED = "THROTTLED"
    ADDRESS_TOO_LONG = "ADDRESS_TOO_LONG"
    SERVICE_UNAVAILABLE = "SERVICE_UNAVAILABLE"
    NO_ANSWER = "NO_ANSWER"
    NO_RECIPIENT = "NO_RECIPIENT"
    BAD_ADDRESS = "BAD_ADDRESS"
    BAD_HEADER = "BAD_HEADER"
    ADDRESS_REFUSED = "ADDRESS_REFUSED"
    MAIL_REFUSED = "MAIL_REFUSED"
    NUMBER_REFUSED = "NUMBER_REFUSED"


@dataclass(frozen=True)
class RefusalRow:
    """What is said of a refusal. `by`: who refuses. `words`: those of the tax platform, if the code is none of ours."""

    code: str
    by: str
    status: int
    title: str
    english: str
    advice_english: str
    chinese: str
    advice_chinese: str
    values: tuple[str, ...]
    words: str = ""

    @property
    def detail(self) -> str:
        """What was wrong and what to do, in English sentences, for a problem over HTTP."""
        wrong = f"{self.english}: {self.words}" if self.words else self.english
        return f"{_capital(wrong)}. {_capital(self.advice_english)}."

    @property
    def problem(self) -> tuple[int, str, str, str]:
        """How a problem over HTTP begins: status, code, title, detail. The values come behind it."""
        return self.status, self.code, self.title, self.detail


def text_of(code: str, values: Mapping[str, object] = {}) -> RefusalRow:
    """The row of a code with `values` filled in. A code that is none of ours is the tax platform's."""
    rows = _register()
    return _filled(rows.get(code, rows[Refusal.PLATFORM_REFUSED]), code, values)


def platform_text(code: str, values: Mapping[str, object] = {}) -> RefusalRow:
    """The same for a code that came from the tax platform, with its words as `text`. Only its own codes count: a code that another of us
    refuses with says nothing about what the platform meant.
    """
    rows = _register()
    row = rows.get(code, rows[Refusal.PLATFORM_REFUSED])
    return _filled(row if row.by == PLATFORM else rows[Refusal.PLATFORM_REFUSED], code, values)


def _filled(row: RefusalRow, code: str, values: Mapping[str, object]) -> RefusalRow:
    shown = _Shown({name: _shown(value) for name, value in values.items() if value is not None})
    filled = replace(row, **{name: getattr(row, name).format_map(shown) for name in TEXTS})
    if row.code != Refusal.PLATFORM_REFUSED:
        return filled
    words = str(values.get("text") or "").strip().rstrip(".。")
    chinese = words or (filled.chinese if code == row.code else f"{filled.chinese}（{code}）")
    return replace(filled, code=code, title=_titled(code), chinese=chinese, words=words)


@cache
def _register() -> Mapping[str, RefusalRow]:
    """Every code with its row, as written. A code without a row, or a row without a code, fails here."""
    written = json.loads(ROWS.read_text(encoding="utf-8"))
    rows = {
        code: RefusalRow(
            code=code,
            by=by,
            status=row.get("status", CONFLICT),
            title=row.get("title", _titled(code)),
            values=tuple(row["values"]),
            **{name: row[name] for name in TEXTS},
        )
        for by, group in written.items()
        for code, row in group.items()
    }
    assert rows.keys() == set(Refusal), sorted(rows.keys() ^ set(Refusal))
    return rows


class _Shown(dict[str, str]):
    """Values of a text. One that did not come shows as an ellipsis: a refusal is told all the same."""

    def __missing__(self, name: str) -> str:
        return NOT_GIVEN


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _titled(code: str) -> str:
    return code.replace("_", " ").capitalize()


def _capital(clause: str) -> str:
    return clause[:1].upper() + clause[1:]
