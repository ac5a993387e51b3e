"""AsyncAPI 3: a channel for each topic; whoever owns it sends, everybody may receive."""

from typing import Any

from deploy.reference.contracts import text_of
from shared.contracts.topics import TOPICS

ATTRIBUTES = ("ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time", "traceparent", "content-type")
REQUIRED = ATTRIBUTES[:5]


def page() -> str:
    return text_of(document())


def document() -> dict[str, Any]:
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
    headers = {
        "type": "object",
        "properties": {name: {"type": "string"} for name in ATTRIBUTES},
        "required": list(REQUIRED),
    }
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Kaipiao", "version": "0.1.0", "description": "CloudEvents 1.0 over Kafka, binary mode."},
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": {"CloudEventHeaders": headers}},
    }
