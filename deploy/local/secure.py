"""`make run SECURE=1`: certificates of our own, and who logs in at Kafka. The default stays open, and on loopback."""

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.local import folders
from deploy.local.keys import Keys
from deploy.local.ports import LOOPBACK
from shared.runtime.programs import SERVICES

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

BROKER = "kaipiao-broker"
ADMIN = "admin"
KAFKA_LOGINS = ("upstream", "finance", "operator")
"""Whoever stands outside the services."""
MECHANISM = "SCRAM-SHA-512"
VALID_DAYS, RENEW_DAYS = 365, 30


@dataclass(frozen=True)
class Secure:
    """Where the certificates lie, and the password of each of Kafka's users."""

    folder: Path
    users: Mapping[str, str]

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def certificate(self) -> Path:
        return self.folder / "server.pem"

    @property
    def key(self) -> Path:
        return self.folder / "server.key"

    @property
    def keystore(self) -> Path:
        """Key and certificate in one file, as Kafka reads them."""
        return self.folder / "broker.pem"


def ca_file(state: Path) -> Path:
    return state / "tls" / "ca.pem"


def kafka_settings(state: Path) -> dict[str, str]:
    return {
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_MECHANISM": MECHANISM,
        "TLS_CA_FILE": str(ca_file(state)),
    }


def users(keys: Keys) -> dict[str, str]:
    """Everybody who logs in at Kafka."""
    return {
        name: keys.password_of(f"kafka/{name}") for name in (ADMIN, "broker", "tax_platform", *SERVICES, *KAFKA_LOGINS)
    }


def prepare(state: Path, keys: Keys) -> Secure:
    """Makes the certificates, unless they are there and good for a while yet."""
    made = Secure(folders.make(state / "tls", 0o700), users(keys))
    if not _is_good(made.certificate):
        _make(made)
    return made


def _is_good(path: Path) -> bool:
    from cryptography import x509  # noqa: PLC0415  loaded only where it is asked for

    if not path.exists():
        return False
    ends = x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
    return ends > datetime.now(UTC) + timedelta(days=RENEW_DAYS)


def _make(secure: Secure) -> None:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    pem = serialization.Encoding.PEM
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca = _certificate("kaipiao local authority", ca_key, None, ca_key)
    server = _certificate(BROKER, key, ca, ca_key)
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    chain = server.public_bytes(pem)
    _write(secure.ca, ca.public_bytes(pem))
    _write(secure.key, private)
    _write(secure.keystore, private + chain)
    _write(secure.certificate, chain)


def _certificate(
    name: str, key: "EllipticCurvePrivateKey", issuer: "x509.Certificate | None", signer: "EllipticCurvePrivateKey"
) -> "x509.Certificate":
    """An authority's own if there is no issuer; else a server's, which brokers show each other too."""
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID  # noqa: PLC0415

    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(LOOPBACK))]
    is_ca = issuer is None
    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=is_ca, crl_sign=is_ca, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=VALID_DAYS))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=0 if is_ca else None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if not is_ca:
        both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        built = built.add_extension(x509.SubjectAlternativeName(names), critical=False)
        built = built.add_extension(x509.ExtendedKeyUsage(both), critical=False)
    return built.sign(signer, hashes.SHA256())


def _write(path: Path, content: bytes) -> None:
    """Readable by its owner only, from its first byte."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
