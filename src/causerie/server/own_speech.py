"""Recognizes the speech that this server made, which needs nobody's consent as context.

Each reply has a token. A client that sends a reply back sends the token with it, and the server
compares the sound with fingerprints that it keeps: of the file as it was sent and, for PCM and wav,
of each frame, so that a reply that was interrupted is recognized as far as it was heard.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

from causerie.audio.formats import Encoder
from causerie.audio.io import pcm16, read
from causerie.audio.recording import MAX_RAW_S
from causerie.errors import AudioError

#: The header with the token of a reply.
TOKEN_HEADER = "x-audio-token"
#: Bytes of a frame: 80 ms of 16 bits at 24 kHz.
FRAME_BYTES = 3840
#: Bytes before the samples, by media type without parameters.
HEADER_BYTES = {"audio/pcm": 0, "audio/wav": 44}
#: Replies to remember, and frames of all together: 22 hours of speech, 8 MB.
MAX_REPLIES, MAX_FRAMES = 4_096, 1_000_000
_DIGEST_BYTES = 8


class Receipt:
    """The fingerprints of one reply, which grow while it is encoded.

    Attributes:
        token: names the reply.
        file: a hash of the bytes that were sent.
        frames: a digest of all samples up to the end of each frame, joined.
    """

    def __init__(self) -> None:
        self.token = f"speech_{secrets.token_urlsafe(18)}"
        self.file = hashlib.blake2b()
        self.frames = bytearray()

    @property
    def num_frames(self) -> int:
        """The number of frames so far."""
        return len(self.frames) // _DIGEST_BYTES

    def watch(self, encoder: Encoder) -> Encoder:
        """The encoder, with its output remembered."""
        return _Watched(encoder, self)


class OwnSpeech:
    """The receipts of the latest replies."""

    def __init__(self) -> None:
        self._receipts: OrderedDict[str, Receipt] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self) -> Receipt:
        """A receipt for a new reply. The oldest ones are forgotten."""
        receipt = Receipt()
        with self._lock:
            self._receipts[receipt.token] = receipt
            num_frames = sum(one.num_frames for one in self._receipts.values())
            while num_frames > MAX_FRAMES or len(self._receipts) > MAX_REPLIES:
                _, oldest = self._receipts.popitem(last=False)
                num_frames -= oldest.num_frames
        return receipt

    def includes(self, token: str, file: bytes) -> bool:
        """Whether a file is a reply of this server, or the beginning of one; decodes it.

        Args:
            token: of the reply.
        """
        with self._lock:
            receipt = self._receipts.get(token)
        if receipt is None:
            return False
        if hashlib.blake2b(file).digest() == receipt.file.digest():
            return True
        try:
            samples, _ = read(file, max_s=MAX_RAW_S)
        except AudioError:
            return False
        frames = bytearray()
        digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
        _add_frames(pcm16(samples).tobytes(), digest, frames)
        return bool(frames) and receipt.frames.startswith(frames)


def _add_frames(data: bytes, digest: hashlib.blake2b, frames: bytearray) -> bytes:
    """Append a digest for each complete frame; returns the rest of the data."""
    end = len(data) // FRAME_BYTES * FRAME_BYTES
    for start in range(0, end, FRAME_BYTES):
        digest.update(data[start : start + FRAME_BYTES])
        frames += digest.digest()
    return data[end:]


class _Watched:
    """An encoder whose output is remembered in a receipt."""

    def __init__(self, inner: Encoder, receipt: Receipt) -> None:
        self._inner, self._receipt = inner, receipt
        self.content_type, self.sample_rate = inner.content_type, inner.sample_rate
        #: Bytes of the header that are still to come; None if the format loses samples.
        self._header = HEADER_BYTES.get(inner.content_type.partition(";")[0])
        self._digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
        self._rest = b""

    def encode(self, pcm: NDArray[np.float32]) -> bytes:
        """See `Encoder`."""
        return self._remember(self._inner.encode(pcm))

    def finish(self) -> bytes:
        """See `Encoder`."""
        return self._remember(self._inner.finish())

    def _remember(self, data: bytes) -> bytes:
        self._receipt.file.update(data)
        if self._header is not None:
            skipped = min(self._header, len(data))
            self._header -= skipped
            samples = self._rest + data[skipped:]
            self._rest = _add_frames(samples, self._digest, self._receipt.frames)
        return data
