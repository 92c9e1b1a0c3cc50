"""Recordings that requests name by their URL, fetched from public addresses alone.

Whoever can make us ask an address of their choice could else reach what only this machine can: each
address is looked up once, checked, and then connected to as it was checked, and so is each that
redirects lead to. Knows nothing of sound.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import SplitResult, urljoin, urlsplit

from causerie.server.errors import ApiError

#: Seconds for all of it, and to be answered at all.
MAX_S, ANSWER_S = 20.0, 5.0
MAX_REDIRECTS = 3
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
#: Threads of their own: a slow address shall hold up nothing else.
_threads = ThreadPoolExecutor(4, "causerie fetch")


async def fetch(url: str, max_bytes: int, param: str) -> bytes:
    """What is at an address.

    Args:
        param: the field that named it.

    Raises:
        ApiError: it is no public address, cannot be reached, or holds too much.
    """
    loop = asyncio.get_running_loop()
    try:
        return await loop.run_in_executor(_threads, _fetch, url, max_bytes)
    except ApiError as error:
        error.param, error.message = param, f"{param}: {error.message}"
        raise


def _fetch(url: str, max_bytes: int) -> bytes:
    ends_at = time.monotonic() + MAX_S
    for _ in range(MAX_REDIRECTS + 1):
        parts = _parts(url)
        connection = _connection(parts)
        # Whoever sends a byte now and then would never let a read time out.
        cut = threading.Timer(ends_at - time.monotonic(), _cut, [connection.sock])
        cut.start()
        try:
            connection.request("GET", f"{parts.path or '/'}{parts.query and '?' + parts.query}")
            answer = connection.getresponse()
            moved = answer.getheader("location")
            if answer.status in (301, 302, 303, 307, 308) and moved:
                url = urljoin(url, moved)
                continue
            if answer.status != 200:
                raise _failed(f"the address answered {answer.status}")
            data = _body(answer, max_bytes)
            if time.monotonic() > ends_at:
                raise _failed(f"it took longer than {MAX_S:g} s")
            return data
        except (OSError, http.client.HTTPException, ValueError) as error:
            told = str(error) or type(error).__name__
            raise _failed(f"the address cannot be read: {told}") from error
        finally:
            cut.cancel()
            connection.close()
    raise _failed(f"the address redirects more than {MAX_REDIRECTS} times")


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return parts
    except ValueError:
        pass
    raise _failed("the address must be like https://example.org/voice.wav")


def _connection(parts: SplitResult) -> http.client.HTTPConnection:
    """A connection to the very address that was checked."""
    host, is_safe = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if is_safe else 80)
    try:
        found = [info[4][0] for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError) as error:
        raise _failed(f"{host!r} is not known") from error
    if not all(is_public(str(address)) for address in found):
        raise ApiError(
            f"{host!r} is no public address, and is not fetched from",
            status=403,
            type="permission_error",
            code="urls_not_allowed",
        )
    try:
        sock = socket.create_connection((str(found[0]), port), ANSWER_S)
        if is_safe:
            sock = ssl.create_default_context().wrap_socket(sock, server_hostname=host)
    except OSError as error:
        raise _failed(f"{host!r} cannot be reached: {error}") from error
    connection = http.client.HTTPConnection(host, port)
    connection.sock = sock
    return connection


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        ip = ip.ipv4_mapped or ip.sixtofour or (_behind_nat64(ip) if ip in _NAT64 else ip)
    return ip.is_global and not ip.is_multicast


def _behind_nat64(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address:
    return ipaddress.IPv4Address(int(ip) % 2**32)


def _cut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def _body(answer: http.client.HTTPResponse, max_bytes: int) -> bytes:
    data = b""
    while chunk := answer.read1(2**16):
        data += chunk
        if len(data) > max_bytes:
            raise ApiError(
                f"what is there is larger than {max_bytes / 2**20:g} MiB",
                status=413,
                code="too_large",
            )
    return data


def _failed(message: str) -> ApiError:
    return ApiError(message, code="url_not_fetched")
