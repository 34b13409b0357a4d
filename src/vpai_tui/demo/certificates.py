"""Certificates of an authority that nobody but the demo trusts."""

from __future__ import annotations

import ssl
import tempfile
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_NAME = "Demo authority, not a real one"


def contexts(domain: str, now: datetime, days: int) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """For the servers of a domain and all names below it, certified for `days` from now; and for who trusts them."""
    certificate, key, authority = _certificates([domain, f"*.{domain}"], now, days)
    trust = ssl.create_default_context(cadata=authority.decode())
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:  # only a file can be loaded
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file.write(pem + certificate)
        file.flush()
        server.load_cert_chain(file.name)
    return server, trust


def _certificates(names: list[str], now: datetime, days: int) -> tuple[bytes, Any, bytes]:
    """A certificate for `names`, its key, and the authority that signed it; the certificates as PEM."""

    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def builder(subject: str, key: ec.EllipticCurvePrivateKey, lasts: int) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(named(subject))
            .issuer_name(named(_NAME))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=29))
            .not_valid_after(now + timedelta(days=lasts))
        )

    own, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = builder(_NAME, own, 3650).add_extension(x509.BasicConstraints(True, 0), critical=True)
    leaf = builder(names[0], key, days).add_extension(
        x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False
    )
    pem = serialization.Encoding.PEM
    return leaf.sign(own, hashes.SHA256()).public_bytes(pem), key, root.sign(own, hashes.SHA256()).public_bytes(pem)
