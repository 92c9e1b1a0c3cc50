"""Downloads recordings that requests give by URL, from public addresses only.

Prevents server-side request forgery: without these checks a client could make the server fetch URLs
that only this machine can reach. Each host, including those of redirects, is resolved once, and the
connection goes to the address that was checked. Knows nothing of audio.
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

#: Seconds for the whole download, and to connect.
MAX_S, CONNECT_S = 20.0, 5.0
MAX_REDIRECTS = 3
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
#: All that is assigned as global unicast.
_GLOBAL, _DOCUMENTATION = ipaddress.IPv6Network("2000::/3"), ipaddress.IPv6Network("3fff::/20")
#: A separate thread pool: slow downloads must not block other work.
_threads = ThreadPoolExecutor(4, "causerie fetch")


async def fetch(url: str, max_bytes: int, param: str) -> bytes:
    """Download a URL.

    Args:
        param: the request field that held the URL, named in errors.

    Raises:
        ApiError: the address is not public or cannot be reached, or the file is too large.
    """
    loop = asyncio.get_running_loop()
    try:
        return await loop.run_in_executor(_threads, _fetch, url, max_bytes)
    except ApiError as error:
        error.param, error.message = param, f"{param}: {error.message}"
        raise


def _fetch(url: str, max_bytes: int) -> bytes:
    deadline = time.monotonic() + MAX_S
    for _ in range(MAX_REDIRECTS + 1):
        parts = _parts(url)
        connection = _connection(parts)
        # A server that sends one byte now and then never lets a read time out.
        timer = threading.Timer(deadline - time.monotonic(), _shut_down, [connection.sock])
        timer.start()
        try:
            connection.request("GET", f"{parts.path or '/'}{parts.query and '?' + parts.query}")
            response = connection.getresponse()
            location = response.getheader("location")
            if response.status in (301, 302, 303, 307, 308) and location:
                url = urljoin(url, location)
                continue
            if response.status != 200:
                raise _failed(f"the URL answered {response.status}")
            data = _body(response, max_bytes)
            if time.monotonic() > deadline:
                raise _failed(f"the download took longer than {MAX_S:g} s")
            return data
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = str(error) or type(error).__name__
            raise _failed(f"the URL cannot be downloaded: {reason}") from error
        finally:
            timer.cancel()
            connection.close()
    raise _failed(f"the URL redirects more than {MAX_REDIRECTS} times")


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return parts
    except ValueError:
        pass
    raise _failed("it must be a URL like https://example.org/voice.wav")


def _connection(parts: SplitResult) -> http.client.HTTPConnection:
    """A connection to the address that was checked."""
    host, is_https = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if is_https else 80)
    try:
        addresses = [info[4][0] for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError) as error:
        raise _failed(f"the host {host!r} is unknown") from error
    if not all(is_public(str(address)) for address in addresses):
        raise ApiError(
            f"{host!r} is not a public address: only public URLs are downloaded",
            status=403,
            type="permission_error",
            code="urls_not_allowed",
        )
    try:
        sock = socket.create_connection((str(addresses[0]), port), CONNECT_S)
        if is_https:
            sock = ssl.create_default_context().wrap_socket(sock, server_hostname=host)
    except OSError as error:
        raise _failed(f"the host {host!r} cannot be reached: {error}") from error
    connection = http.client.HTTPConnection(host, port)
    connection.sock = sock
    return connection


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        ip = ip.ipv4_mapped or ip.sixtofour or (_nat64_target(ip) if ip in _NAT64 else ip)
    if isinstance(ip, ipaddress.IPv6Address) and (ip not in _GLOBAL or ip in _DOCUMENTATION):
        return False  # also what wraps an IPv4 address in another way
    return ip.is_global and not ip.is_multicast


def _nat64_target(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address:
    return ipaddress.IPv4Address(int(ip) % 2**32)


def _shut_down(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def _body(response: http.client.HTTPResponse, max_bytes: int) -> bytes:
    data = b""
    while chunk := response.read1(2**16):
        data += chunk
        if len(data) > max_bytes:
            raise ApiError(
                f"the file is larger than {max_bytes / 2**20:g} MiB",
                status=413,
                code="too_large",
            )
    return data


def _failed(message: str) -> ApiError:
    return ApiError(message, code="url_not_fetched")
