"""TLS and logins for whoever we speak to: Kafka, mail, SMS and the tax platform. (PostgreSQL's stand in its URL.)"""

import ssl
from typing import Any

from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512

from shared.runtime.settings import Settings


def trusted(settings: Settings) -> ssl.SSLContext:
    """Who is believed to be who they say: those of TLS_CA_FILE, else those of the system. Names are checked, and TLS is 1.2 or later."""
    context = ssl.create_default_context(cafile=settings.tls_ca_file or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def kafka_security(settings: Settings) -> dict[str, Any]:
    """What each client of Kafka is made with."""
    protocol = settings.kafka_protocol
    if protocol == "PLAINTEXT":
        return {}
    said: dict[str, Any] = {"security_protocol": protocol}
    if protocol.endswith("SSL"):
        said["ssl_context"] = trusted(settings)
    if protocol.startswith("SASL"):
        said |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_username,
            "sasl_plain_password": settings.kafka_password.get_secret_value(),
        }
    return said


LOGINS = {"SCRAM-SHA-512": SASLScram512, "SCRAM-SHA-256": SASLScram256, "PLAIN": SASLPlaintext}


def broker_security(settings: Settings) -> BaseSecurity | None:
    """The same in FastStream's own words."""
    said = kafka_security(settings)
    context = said.get("ssl_context")
    if "sasl_mechanism" in said:
        login = LOGINS[said["sasl_mechanism"]]
        return login(said["sasl_plain_username"], said["sasl_plain_password"], context, context is not None)
    return BaseSecurity(context, use_ssl=True) if said else None


def mail_security(settings: Settings) -> dict[str, Any]:
    """What a mail is sent with."""
    said: dict[str, Any] = {"use_tls": settings.mail_tls == "tls", "start_tls": settings.mail_tls == "starttls"}
    if settings.mail_tls != "none":
        said["tls_context"] = trusted(settings)
    if settings.smtp_username:
        said |= {"username": settings.smtp_username, "password": settings.smtp_password.get_secret_value()}
    return said


def sms_security(settings: Settings) -> dict[str, Any]:
    """What the client of the SMS gateway is made with."""
    return _http(settings, settings.sms_url, settings.sms_token.get_secret_value())


def tax_platform_security(settings: Settings) -> dict[str, Any]:
    """What the client of the tax platform is made with."""
    said = _http(settings, settings.tax_platform_url, settings.tax_platform_token.get_secret_value())
    if settings.tax_platform_cert_file and "verify" in said:
        said["verify"].load_cert_chain(settings.tax_platform_cert_file, settings.tax_platform_key_file or None)
    return said


def _http(settings: Settings, url: str, token: str) -> dict[str, Any]:
    """A context is read from files, so there is none where nothing is encrypted."""
    said: dict[str, Any] = {"verify": trusted(settings)} if url.startswith("https:") else {}
    return said | ({"headers": {"Authorization": f"Bearer {token}"}} if token else {})
