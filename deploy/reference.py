"""`python -m deploy.reference`: writes what is documented from code: settings, refusals, schemas of messages, the AsyncAPI document."""

import json
from pathlib import Path
from typing import Any

from deploy.rules import rules
from shared.contracts.message import Message
from shared.contracts.topics import TOPICS
from shared.domain.refusals import Refusal, text_of
from shared.runtime.settings import Settings

DOCS = Path(__file__).parent.parent / "docs"
REFUSED_BY = {
    "ledger": "Nothing is reserved. The figures say by how much it fell short.",
    "invoicing": "A request, a wish to cancel or a credit note is refused, or a request ends without an invoice.",
    "tax platform": "No invoice, or no red invoice, comes of it. `text` has the platform's own words. Real platforms have other codes than "
    "those of the sandbox: they are shown as they are, and told with these words.",
    "edge": "What any page or callback may answer.",
    "delivery": "A notice was not delivered. These, and `NO_ANSWER`, are its `reason`; over HTTP nobody is answered with them.",
}


def schema(message: type[Message]) -> dict[str, Any]:
    return message.model_json_schema() | {"$id": f"urn:kaipiao:schema:{message.__name__}"}


def schemas() -> dict[str, dict[str, Any]]:
    return {message.__name__: schema(message) for topic in TOPICS.values() for message in topic.messages}


def asyncapi() -> dict[str, Any]:
    """AsyncAPI 3: a channel for each topic; whoever owns it sends, everybody may receive."""
    channels, operations, messages = {}, {}, {}
    for topic in TOPICS.values():
        names = [message.__name__ for message in topic.messages]
        channels[topic.name] = {
            "address": topic.name,
            "description": f"Written by {topic.owner}. The key is the account id.",
            "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        }
        action = "receive" if topic.owner == "upstream" else "send"
        operations[f"{action}.{topic.name}"] = {"action": action, "channel": {"$ref": f"#/channels/{topic.name}"}}
        for message in topic.messages:
            messages[message.__name__] = {
                "name": message.__name__,
                "summary": (message.__doc__ or message.__name__).strip().splitlines()[0],
                "contentType": "application/json",
                "headers": {"$ref": "#/components/schemas/CloudEventHeaders"},
                "payload": {"$ref": f"./contracts/{message.__name__}.json"},
            }
    attributes = ("ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time", "traceparent", "content-type")
    headers = {
        "type": "object",
        "properties": {name: {"type": "string"} for name in attributes},
        "required": list(attributes[:5]),
    }
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Kaipiao", "version": "0.1.0", "description": "CloudEvents 1.0 over Kafka, binary mode."},
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": {"CloudEventHeaders": headers}},
    }


def settings() -> str:
    rows = [
        "# Settings",
        "",
        "Environment variables, or lines of `.env`; written from `shared/runtime/settings.py`.",
        "",
    ]
    rows += ["| name | default | meaning |", "| --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        secret = "Secret" in str(field.annotation)
        shown = "for local runs only" if secret else f"`{field.default}`"
        rows.append(f"| `{name.upper()}` | {shown} | {field.description} |")
    return "\n".join(rows) + "\n"


def refusals() -> str:
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


def files() -> dict[Path, str]:
    """Every file and what has to stand in it."""
    found = {DOCS / "contracts" / f"{name}.json": _json(content) for name, content in schemas().items()}
    written = {DOCS / "rules.md": rules(), DOCS / "settings.md": settings(), DOCS / "refusals.md": refusals()}
    return found | {DOCS / "asyncapi.json": _json(asyncapi())} | written


def breaks(old: dict[str, Any], new: dict[str, Any], where: str = "") -> list[str]:
    """What a reader of the new schema could no longer read, or a writer of the old one no longer write."""
    found = []
    properties, before = new.get("properties", {}), old.get("properties", {})
    found += [f"{where}{name} is required now" for name in set(new.get("required", ())) - set(old.get("required", ()))]
    found += [f"{where}{name} is gone" for name in before.keys() - properties.keys()]
    for name in before.keys() & properties.keys():
        found += [
            f"{where}{name}: {key} changed"
            for key in ("type", "$ref", "pattern")
            if _differs(before[name], properties[name], key)
        ]
    for name in old.get("$defs", {}).keys() & new.get("$defs", {}).keys():
        found += breaks(old["$defs"][name], new["$defs"][name], f"{where}{name}.")
    return sorted(found)


def _differs(old: dict[str, Any], new: dict[str, Any], key: str) -> bool:
    return key in old and key in new and old[key] != new[key]


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    for path, content in files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
