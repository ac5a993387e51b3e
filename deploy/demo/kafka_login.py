"""How an outside system logs in at Kafka, from the environment; nothing where Kafka is open, as it is by default."""

import os
import ssl
from collections.abc import Mapping
from typing import Any

OPEN: Mapping[str, Any] = {}


def kafka_login(whose: str = "") -> Mapping[str, Any]:
    """`whose`: what the names of login and password begin with."""
    if os.environ.get("KAFKA_SECURITY_PROTOCOL", "PLAINTEXT") == "PLAINTEXT":
        return OPEN
    return {
        "security_protocol": os.environ["KAFKA_SECURITY_PROTOCOL"],
        "sasl_mechanism": os.environ["KAFKA_SASL_MECHANISM"],
        "ssl_context": ssl.create_default_context(cafile=os.environ["TLS_CA_FILE"]),
        "sasl_plain_username": os.environ[f"{whose}KAFKA_USERNAME"],
        "sasl_plain_password": os.environ[f"{whose}KAFKA_PASSWORD"],
    }
