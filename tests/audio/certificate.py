"""A certificate that signs for C2PA, and the manifest of a signed file."""

from __future__ import annotations

import io
import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import c2pa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


def make_certificate(folder: Path, key: Any = None) -> tuple[Path, Path]:
    """The files of a certificate by an authority of its own, and of its key."""
    authority, key = ec.generate_private_key(ec.SECP256R1()), key or ec.generate_private_key(
        ec.SECP256R1()
    )  # fmt: skip
    certificates = [_certificate("Ann", key, authority), _certificate("CA", authority, authority)]
    pem = serialization.Encoding.PEM
    cert, secret = folder / "cert.pem", folder / "key.pem"
    cert.write_bytes(b"".join(one.public_bytes(pem) for one in certificates))
    none = serialization.NoEncryption()
    secret.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, none))
    return cert, secret


def _certificate(name: str, key: Any, authority: Any) -> x509.Certificate:
    is_authority = key is authority
    names = [
        x509.Name(
            [
                x509.NameAttribute(NameOID.COMMON_NAME, one),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "A test"),
            ]
        )
        for one in (name, "CA")
    ]
    usage = dict.fromkeys(
        "content_commitment key_encipherment data_encipherment key_agreement encipher_only "
        "decipher_only".split(),
        False,
    )
    usage |= {"key_cert_sign": is_authority, "crl_sign": is_authority}
    now = datetime.now(timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(names[0])
        .issuer_name(names[1])
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=not is_authority, **usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()),
            critical=False,
        )
    )
    if not is_authority:
        purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(purpose, critical=False)
    return builder.sign(authority, hashes.SHA256())


def manifest_of(contents: bytes, media_type: str) -> dict[str, Any]:
    """The manifest of a file, which must be intact; the authority is known to nobody."""
    store = json.loads(c2pa.Reader(media_type, io.BytesIO(contents)).json())
    assert [one["code"] for one in store["validation_status"]] == ["signingCredential.untrusted"]
    manifest: dict[str, Any] = store["manifests"][store["active_manifest"]]
    return manifest
