"""Events and errors, as a client gets them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from causerie.server.realtime.ids import new_id
from causerie.server.sockets import GoneError, Socket


class Events:
    """Sends events to the client of a session."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket

    async def send(self, kind: str, **facts: Any) -> None:
        """Send an event."""
        await self._socket.send({"type": kind, "event_id": new_id("event"), **facts})

    @contextlib.asynccontextmanager
    async def telling(self, event: dict[str, Any]) -> AsyncIterator[None]:
        """Tell the client of an error, and of its event that caused it; the session goes on."""
        try:
            yield
        except GoneError:
            raise
        except Exception as error:  # noqa: BLE001 any error
            facts = self._socket.service.report(error).body()["error"]
            given = event.get("event_id")
            name = given if isinstance(given, str) else None
            await self.send("error", error={**facts, "event_id": name})
