"""Who may know which setting: a table of programs. What stands in none of its rows is for all services and no stand-in's secret.

The launcher gives a program its own settings only, and in production a service answers for its own only. Standard library only: the local
supervisor uses it too.
"""

SERVICES = ("title", "ledger", "invoicing", "notification", "gateway")
STAND_INS = ("tax_platform", "sms_gateway", "smtp_sink")

KAFKA = frozenset(
    {
        *("KAFKA_BOOTSTRAP", "KAFKA_SECURITY_PROTOCOL", "KAFKA_SASL_MECHANISM", "KAFKA_USERNAME", "KAFKA_PASSWORD"),
        "TLS_CA_FILE",
    }
)
CLOCK = frozenset({"ENVIRONMENT", "CLOCK", "TOPIC_REPLICATION", "TOPIC_MIN_INSYNC"})
LISTENS = frozenset({"HTTP_HOST", "HTTP_PORT"})
OPERATIONS = frozenset({"OPERATIONS_HOST", "OPERATIONS_PORT", "OPERATOR_TOKEN"})
RUNTIME = KAFKA | CLOCK | LISTENS | OPERATIONS | {"DATABASE_URL", "MIGRATION_URL", "SERVICE_TOKEN", "PARKING_KEY"}
READS_SEALED = frozenset({"SEALING_KEY", "TITLE_URL"})
CALLBACKS = frozenset({"CALLBACKS_HOST", "CALLBACKS_PORT", "CALLBACK_WINDOW_SECONDS"})
OWNERS = frozenset({"TITLE_URL", "LEDGER_URL", "INVOICING_URL", "NOTIFICATION_URL"})
MAIL = frozenset({"SMTP_HOST", "SMTP_PORT", "SMTP_TLS", "SMTP_USERNAME", "SMTP_PASSWORD", "MAIL_FROM"})
STORE = frozenset({"DOCUMENTS_URL", "AWS_*"})
PLATFORM = frozenset(
    {
        *("TAX_PLATFORM_URL", "TAX_PLATFORM_SECRET", "TAX_PLATFORM_TOKEN"),
        *("TAX_PLATFORM_CERT_FILE", "TAX_PLATFORM_KEY_FILE"),
    }
)

NEEDS: dict[str, frozenset[str]] = {
    "title": RUNTIME | {"SEALING_KEY"},
    "ledger": RUNTIME,
    "invoicing": RUNTIME | READS_SEALED | {"ANSWER_WAIT_SECONDS"} | CALLBACKS | PLATFORM | STORE,
    "notification": RUNTIME | READS_SEALED | {"SMS_URL", "SMS_TOKEN"} | MAIL | STORE,
    "gateway": RUNTIME | OWNERS | {"GATEWAY_URL"},
    "tax_platform": KAFKA | CLOCK | LISTENS | {"SANDBOX_DIR", "TAX_PLATFORM_SECRET", "CALLBACKS_URL"},
    "sms_gateway": LISTENS | {"SANDBOX_DIR"},
    "smtp_sink": LISTENS | {"SANDBOX_DIR", "SMTP_HOST", "SMTP_PORT"},
    "demo": KAFKA
    | OWNERS
    | {"FINANCE_KAFKA_USERNAME", "FINANCE_KAFKA_PASSWORD", "GATEWAY_URL", "SERVICE_TOKEN", "DOCUMENTS_URL"}
    | {"OPERATIONS_URLS", "OPERATOR_TOKEN"},
    "logins": frozenset({"POSTGRES_URL", "DATABASE_LOGINS"}),
    "acls": KAFKA | CLOCK,
}
LISTED = frozenset().union(*NEEDS.values())
SECRET_ENDINGS = ("_KEY", "_SECRET", "_TOKEN", "_PASSWORD", "_URL", "_LOGINS")
SECRET_BEGINNINGS = ("AWS_", "AZURE_", "GOOGLE_", "PG", "POSTGRES_")


def may_know(program: str, name: str) -> bool:
    """Whether a program may find this name in its environment. What looks like a secret is nobody's who does not ask for it."""
    if any(name == one or (one.endswith("*") and name.startswith(one[:-1])) for one in NEEDS[program]):
        return True
    return name not in LISTED and not name.endswith(SECRET_ENDINGS) and not name.startswith(SECRET_BEGINNINGS)
