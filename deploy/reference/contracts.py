"""The messages as JSON Schemas, and whether a reader or writer of an earlier version can live with the present one."""

import json
from typing import Any

from shared.contracts.message import Message
from shared.contracts.topics import TOPICS

MESSAGES = {message.__name__: message for topic in TOPICS.values() for message in topic.messages}


def schema(message: type[Message]) -> dict[str, Any]:
    return message.model_json_schema() | {"$id": f"urn:kaipiao:schema:{message.__name__}"}


def page(message: type[Message]) -> str:
    return text_of(schema(message))


def text_of(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


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
