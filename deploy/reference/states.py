"""The lives of what Kaipiao issues, drawn from the tables the services go by: docs/states/*.md."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.invoicing.credit_notes.rules import NEXT_STATUS as NEXT_STATUS_OF_A_CREDIT_NOTE
from services.invoicing.issuing.rules import NEXT_STATUS as NEXT_STATUS_OF_A_PART

NOTHING = "·"


@dataclass(frozen=True)
class Life:
    """A table {(status, event): next status}, the status it begins with, and what its words mean."""

    title: str
    about: str
    first: str
    table: Mapping[tuple[str, Any], str]
    statuses: Mapping[str, str]
    events: Mapping[str, str]


LIVES = {
    "part": Life(
        title="A part of an invoice request: one invoice, or none",
        about="A request is split into parts by legal entity and tax rate. Each part is submitted to the tax platform on its own.",
        first="queued",
        table=NEXT_STATUS_OF_A_PART,
        statuses={
            "queued": "to be submitted as soon as a worker is free",
            "waiting_quota": "the seller's monthly quota at the tax bureau does not suffice; asked again by itself",
            "submitting": "submitted, or about to be; its answer is asked for until there is one, however long that takes",
            "issued": "the invoice exists, as it was asked for",
            "failed": "the platform refused it for good; its amount is free again. An invoice that turns up all the same counts",
            "voided": "cancelled before an invoice existed; its amount is free again. An invoice that turns up all the same counts",
            "quarantined": "an invoice exists, but for another amount than was asked for; an operator has to look at it",
        },
        events={
            "claimed": "a worker took it and wrote down that it is about to call the platform",
            "short": "the quota does not suffice, by our count or by the platform's word",
            "fits": "the quota suffices again",
            "unsettled": "the call told no end: accepted, still at work, refused but not yet confirmed by a query, or no answer at all",
            "issued": "the platform tells of the invoice, with the amounts that were asked for",
            "differs": "the platform tells of an invoice with other amounts",
            "failed": "the platform has failed it, or refused it and a query confirms that nothing came of it",
            "cancelled": "cancelled: by the platform, or before it ever arrived there",
        },
    ),
    "credit_note": Life(
        title="A credit note: one red invoice over all of a blue one, or none",
        about="The tax bureau issues a red invoice by a red confirmation form, on which seller and buyer agree. Until the red invoice "
        "exists, the blue one counts in full.",
        first="requested",
        table=NEXT_STATUS_OF_A_CREDIT_NOTE,
        statuses={
            "requested": "to be submitted, or submitted without a word about a form yet",
            "form_pending": "there is a red confirmation form, and it is neither confirmed and issued nor void",
            "issued": "the red invoice exists; the blue one's amount is free again",
            "failed": "refused, or the form is void; the blue invoice stands as it was. A red invoice that turns up all the same counts",
            "quarantined": "a red invoice exists, but for another amount than was asked for; an operator has to look at it",
        },
        events={
            "form": "the platform tells of a form that lives",
            "unsettled": "the call told no end: accepted, still at work, refused but not yet confirmed by a query, or no answer at all",
            "short": "refused for the seller's quota; asked again by itself",
            "issued": "the platform tells of the red invoice, with the amounts that were asked for",
            "differs": "the platform tells of a red invoice with other amounts",
            "failed": "the form is void, or the platform has refused it and a query confirms that nothing came of it",
            "cancelled": "the platform has cancelled it",
        },
    ),
}


def page(life: Life) -> str:
    return "\n".join(
        [
            f"# {life.title}",
            "",
            f"{life.about} Written from the code's own table; what is not in it changes nothing.",
            "",
            "```mermaid",
            "stateDiagram-v2",
            *(f"    {line}" for line in _arrows(life)),
            "```",
            "",
            *_table(life),
            "",
            *_words("status", life.statuses),
            "",
            *_words("event", life.events),
            "",
        ]
    )


def _arrows(life: Life) -> list[str]:
    """One between two statuses, whatever the events; one with nothing behind it is an end."""
    events: dict[tuple[str, str], list[str]] = defaultdict(list)
    for (status, event), following in life.table.items():
        events[status, following].append(event)
    drawn = [f"{status} --> {following}: {', '.join(names)}" for (status, following), names in events.items()]
    leaving = {status for status, _ in life.table}
    ends = [status for status in life.statuses if status not in leaving]
    return [f"[*] --> {life.first}", *drawn, *(f"{status} --> [*]" for status in ends)]


def _table(life: Life) -> list[str]:
    """Rows are statuses, columns events, cells what a status becomes."""
    rows = [
        [f"**{status}**", *(life.table.get((status, event), NOTHING) for event in life.events)]
        for status in life.statuses
    ]
    return _as_table(["", *life.events], rows)


def _words(what: str, meanings: Mapping[str, str]) -> list[str]:
    return _as_table([what, "meaning"], [[f"`{word}`", meaning] for word, meaning in meanings.items()])


def _as_table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]
