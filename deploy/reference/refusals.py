"""The register of refusals, as a table for each of those who refuse."""

from shared.domain.refusals import Refusal, text_of

REFUSED_BY = {
    "ledger": "Nothing is reserved. The figures say by how much it fell short.",
    "invoicing": "A request, a wish to cancel or a credit note is refused, or a request ends without an invoice.",
    "tax platform": "No invoice, or no red invoice, comes of it. `text` has the platform's own words. Real platforms have other codes than "
    "those of the sandbox: they are shown as they are, and told with these words.",
    "edge": "What any page or callback may answer.",
    "delivery": "A notice was not delivered. These, and `NO_ANSWER`, are its `reason`; over HTTP nobody is answered with them.",
}


def page() -> str:
    """A table for each of those who refuse; the values stand in the texts by their names."""
    rows = [
        "# Refusals",
        "",
        "Every code by which the system refuses; written from `shared/domain/data/refusals.json`. Over HTTP a code comes as a problem",
        "(RFC 9457) with this status and the values as members, as far as they are known; in events and views it is the `reason`.",
    ]
    named = [text_of(code, {name: f"`{name}`" for name in text_of(code).values if name != "text"}) for code in Refusal]
    for by, meaning in REFUSED_BY.items():
        rows += ["", f"## {by.capitalize()}", "", meaning, ""]
        rows += [
            "| code | HTTP | what was wrong | what to do | 中文 | values |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
        for row in named:
            if row.by == by:
                values = ", ".join(f"`{name}`" for name in row.values)
                chinese = f"{row.chinese}。{row.advice_chinese}。"
                status = "" if by == "delivery" else row.status
                rows.append(
                    f"| `{row.code}` | {status} | {row.english} | {row.advice_english} | {chinese} | {values} |"
                )
    return "\n".join(rows) + "\n"
