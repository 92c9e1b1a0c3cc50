"""Signs sound files with a C2PA manifest, which says that the speech in them is generated.

Needs c2pa-python (extra `c2pa`). Nothing is sent anywhere: a signature has no time stamp of others.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causerie.audio.comment import generated_by
from causerie.audio.formats import Encoder
from causerie.audio.io import encode
from causerie.errors import ConfigError
from causerie.extras import need

#: Formats with a place for a manifest, and their media types.
MEDIA_TYPES: Mapping[str, str] = MappingProxyType(
    {"wav": "audio/wav", "mp3": "audio/mpeg", "flac": "audio/flac", "m4a": "audio/mp4"}
)
_ACTION = {
    "action": "c2pa.created",
    "digitalSourceType": ("http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"),
}


class Signer:
    """Signs with one certificate.

    Args:
        cert: the certificates in PEM, that of the signer first.
        key: its private key in PEM, without a password.

    Raises:
        ConfigError: c2pa-python is not installed, or the certificate or the key cannot be used.
    """

    def __init__(self, cert: Path, key: Path) -> None:
        c2pa = need("c2pa", "c2pa")
        try:
            chain, secret = cert.read_bytes(), key.read_bytes()
        except OSError as error:
            raise ConfigError(f"cannot read {error.filename}: {error.strerror}") from error
        self._info = c2pa.C2paSignerInfo(
            alg=_algorithm(secret, key), sign_cert=chain, private_key=secret, ta_url=None
        )
        name, version = generated_by()
        agent = {"name": name, "version": version}
        actions = {"actions": [{**_ACTION, "softwareAgent": agent}]}
        self._manifest = json.dumps(
            {
                "claim_generator_info": [agent],
                "assertions": [{"label": "c2pa.actions", "data": actions}],
            }
        )
        try:  # c2pa examines the certificate when it signs
            self.sign(encode(np.zeros(2400, np.float32), 24_000, "wav"), "audio/wav")
        except c2pa.C2paError as error:
            raise ConfigError(f"{cert} with {key} cannot sign for C2PA: {error}") from error

    def sign(self, contents: bytes, media_type: str) -> bytes:
        """A sound file with a manifest, for one of `MEDIA_TYPES`."""
        c2pa = need("c2pa", "c2pa")
        signed = io.BytesIO()
        with c2pa.Signer.from_info(self._info) as signer, c2pa.Builder(self._manifest) as builder:
            builder.sign(signer, media_type, io.BytesIO(contents), signed)
        return signed.getvalue()

    def around(self, encoder: Encoder) -> Encoder:
        """The encoder, with its file signed; the encoder itself if its format has no manifests."""
        return _Signed(encoder, self) if encoder.content_type in MEDIA_TYPES.values() else encoder


class _Signed:
    """An encoder whose file comes at the end, signed."""

    def __init__(self, inner: Encoder, signer: Signer) -> None:
        self._inner, self._signer, self._file = inner, signer, bytearray()
        self.content_type, self.sample_rate = inner.content_type, inner.sample_rate

    def encode(self, pcm: NDArray[np.float32]) -> bytes:
        """See `Encoder`."""
        self._file += self._inner.encode(pcm)
        return b""

    def finish(self) -> bytes:
        """See `Encoder`."""
        self._file += self._inner.finish()
        return self._signer.sign(bytes(self._file), self.content_type)


def _algorithm(secret: bytes, path: Path) -> bytes:
    """The name that C2PA gives to the algorithm of a private key."""
    keys: Any = need("cryptography.hazmat.primitives.serialization", "c2pa")
    try:
        key = keys.load_pem_private_key(secret, password=None)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{path} is not a private key in PEM without a password") from error
    curve = getattr(getattr(key, "curve", None), "name", type(key).__name__)
    names = {"secp256r1": b"es256", "secp384r1": b"es384", "secp521r1": b"es512",
             "Ed25519PrivateKey": b"ed25519", "RSAPrivateKey": b"ps256"}  # fmt: skip
    if curve not in names:
        raise ConfigError(f"{path} is a {curve} key: C2PA takes P-256 to P-521, Ed25519 and RSA")
    return names[curve]
