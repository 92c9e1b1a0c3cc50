"""Limits the size of request bodies, whatever length they claim.

A recording or a long text may be large; everything else must not be, because parsing it would stop
all streams: 15 MB of JSON keys take 6 seconds. So bodies that are not forms are counted while they
arrive, without their long strings, and refused before anything parses them.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: What a request holds besides its recording, in bytes, and a bound on the growth by base64.
MARGIN, GROWTH = 2**20, 2
#: Drain up to 4× the limit, so that a client that only reads after writing still sees the 413.
DRAIN = 4
#: Bytes of a string in JSON above which it counts as a recording.
LONG = 2**16
#: Most bytes of a character in JSON: a pair of `\\uXXXX`.
CHAR_BYTES = 12
#: Ends a run of characters that base64 or a URL may have: all that structures JSON, and escapes.
_ENDS = bytes.maketrans(b"\\,[]{}:", 7 * b'"')


class BodyLimit:
    """Answers 413 to a body that is too large: from its declared length, or while reading it.

    Args:
        max_chars: of a text.
    """

    def __init__(self, app: ASGIApp, *, max_upload_bytes: int, max_chars: int) -> None:
        self.app = app
        self.max_bytes = GROWTH * max_upload_bytes + MARGIN + CHAR_BYTES * max_chars
        self.max_short_bytes = MARGIN + CHAR_BYTES * max_chars

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        length = headers.get("content-length", "")
        is_too_large = length.isdigit() and int(length) > self.max_bytes
        is_form = headers.get("content-type", "").lower().startswith("multipart/")
        num_read, runs = 0, _Runs()

        async def limited() -> Message:
            nonlocal num_read
            message = await receive()
            if message["type"] != "http.request":
                return message
            body = message.get("body", b"")
            num_read += len(body)
            if is_too_large or num_read > self.max_bytes:
                reason = f"the request is larger than {self.max_bytes / 2**20:.0f} MiB"
            elif not is_form and runs.num_short(body) > self.max_short_bytes:
                reason = (
                    f"the request, without its recordings, is larger than "
                    f"{self.max_short_bytes / 2**20:.1f} MiB"
                )
            else:
                return message
            while message.get("more_body") and num_read < DRAIN * self.max_bytes:
                message = await receive()
                num_read += len(message.get("body", b""))
            # the rest of the body may still come
            raise HTTPException(413, reason, headers={"Connection": "close"})

        await self.app(scope, limited, send)


class _Runs:
    """Counts the bytes of a body that are not in a run as long as a recording."""

    def __init__(self) -> None:
        self._num_short = 0
        self._open, self._is_ascii = 0, True  # the length of the run that has not ended

    def num_short(self, more: bytes) -> int:
        """The number of such bytes so far.

        Args:
            more: the next part of the body.
        """
        # Some clients escape slashes in base64.
        marked = more.replace(b"\\/", b"/").translate(_ENDS)
        for start in range(0, len(marked), LONG):
            self._count(marked[start : start + LONG])
        return self._num_short + self._size()

    def _count(self, part: bytes) -> None:
        """Count a part, in which no complete run is long."""
        first, last = part.find(b'"'), part.rfind(b'"')
        if first >= 0:
            self._extend(part[:first])
            self._num_short += self._size() + last + 1 - first
            self._open, self._is_ascii = 0, True
        self._extend(part[last + 1 :])

    def _extend(self, run: bytes) -> None:
        self._open += len(run)
        self._is_ascii = self._is_ascii and run.isascii()

    def _size(self) -> int:
        """The bytes of the open run that count."""
        return 0 if self._open >= LONG and self._is_ascii else self._open
