"""The client of the current request: a key, or else an address.

The engine shares its slots and its queue between clients. Knows no protocol.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from contextvars import ContextVar

#: Set by the connection and then by its key; tasks inherit it.
current_client: ContextVar[str | None] = ContextVar("client", default=None)

#: Bits of an IPv6 address that are one client: providers assign networks of this size.
IPV6_BITS = 64


def client_at(address: Sequence[object] | None) -> str:
    """The client at an address.

    Args:
        address: host and port, and more for IPv6; None if unknown.
    """
    if not address:
        return "unknown"
    host = str(address[0])
    try:
        found = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((int(found), IPV6_BITS), strict=False))
    return str(found)
