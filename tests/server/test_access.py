"""Which web pages, extensions, apps and host names reach a server, and what its log says."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from causerie.server import auth
from tests.server.running import Running, running

#: Origins of extensions and apps, which no web page can have.
APPS = [
    "chrome-extension://hdhinadidafjejdhmfkjgnolgimiaplp",
    "moz-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdc",
    "safari-web-extension://E1B2A0C5-0000-4BBD-9C7A-0A0A0A0A0A0A",
    "app://obsidian.md",
    "capacitor://localhost",
    "ionic://localhost",
    "tauri://localhost",
    "http://tauri.localhost",
    "https://tauri.localhost",
    "https://localhost",  # Capacitor on Android
    "vscode-webview://1k2j3h4g5f",
    "Chrome-Extension://ABC",
]
PAGES = [
    "https://evil.example",
    "http://127.0.0.1:1",
    "http://localhost:3000",
    "http://tauri.localhost.evil.example",
    "http://tauri.localhost:8080",
    "https://evil.example#app://obsidian.md",
    "null",
    "file://",
    "ipfs://bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi",
    "app:",
    "app://",
    "chrome-extension:evil",
    "http://[",
    "",
]
PREFLIGHT = {
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type",
    "access-control-request-private-network": "true",
}


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("locked"), api_key=("right",)) as here:
        yield here


def speak(server: Running, **headers: str) -> httpx.Response:
    body = {"input": "...", "response_format": "pcm"}
    return httpx.post(f"{server.http}/v1/audio/speech", json=body, headers=headers)


def preflight(server: Running, origin: str) -> httpx.Response:
    headers = {**PREFLIGHT, "origin": origin}
    return httpx.options(f"{server.http}/v1/audio/speech", headers=headers)


def is_allowed(answer: httpx.Response, origin: str) -> bool:
    headers = answer.headers
    assert headers.get("access-control-allow-origin") in (None, origin)
    return (
        answer.status_code == 200
        and headers.get("access-control-allow-origin") == origin
        and headers.get("access-control-allow-methods") == "POST"
        and headers.get("access-control-allow-headers") == "authorization,content-type"
        and headers.get("access-control-allow-private-network") == "true"
    )


@pytest.mark.parametrize("origin", APPS)
def test_extensions_and_apps_are_let_in(server: Running, origin: str) -> None:
    answer = speak(server, origin=origin)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == origin
    assert answer.headers["access-control-expose-headers"] == "*"
    assert "Origin" in answer.headers["vary"]
    assert is_allowed(preflight(server, origin), origin)


@pytest.mark.parametrize("origin", PAGES)
def test_web_pages_are_refused(server: Running, origin: str) -> None:
    for answer in speak(server, origin=origin), preflight(server, origin):
        assert answer.status_code == 403
        assert answer.json()["error"]["code"] == "origin_not_allowed"
        assert "access-control-allow-origin" not in answer.headers
    with pytest.raises(InvalidStatus, match="403"):
        server.connect("/v1/realtime", additional_headers={"origin": origin})


def test_the_servers_own_page_is_let_in(server: Running) -> None:
    assert speak(server, origin=server.http).status_code == 200
    assert speak(server, origin="http://NAS.local", host="nas.local").status_code == 200


def test_the_flag_lets_pages_in(tmp_path: Path) -> None:
    cors = ("https://One.example/", "https://two.example", "null")
    with running(tmp_path, cors=cors) as server:
        for origin in "https://one.example", "https://two.example", "null":
            assert is_allowed(preflight(server, origin), origin)
            assert speak(server, origin=origin).status_code == 200
        assert speak(server, origin="https://three.example").status_code == 403
    with running(tmp_path, cors=("*",)) as server:
        assert is_allowed(preflight(server, "https://any.example"), "https://any.example")


def test_with_a_key_preflights_of_all_pages_are_answered(locked: Running) -> None:
    for origin in [*APPS, "https://any.example", "null"]:
        assert is_allowed(preflight(locked, origin), origin)
        refused = speak(locked, origin=origin)
        assert refused.status_code == 401
        assert refused.headers["access-control-allow-origin"] == origin  # the page can read why
        assert speak(locked, origin=origin, authorization="Bearer right").status_code == 200


def test_a_refusal_is_logged_once_with_its_flag(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "causerie.server")
    monkeypatch.setattr(auth, "MAX_LOGGED", 4)
    with running(tmp_path) as server:
        for _ in range(3):
            speak(server, origin="https://a.example")
            speak(server, host="b.example:8000")
            speak(server, origin="null")
        for number in range(10):
            speak(server, origin=f"https://{number}.example")
    warnings = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert len(warnings) == 4, "the memory for origins is bounded"
    assert warnings[0].endswith("--cors https://a.example")
    assert warnings[1].endswith("--allowed-host b.example")
    assert "--cors null" in warnings[2]
    facts = [getattr(one, "facts", {}) for one in caplog.records if one.getMessage() == "request"]
    codes = [(one["status"], one["code"]) for one in facts if one["status"] != 200]
    assert codes[:2] == [(403, "origin_not_allowed"), (403, "host_not_allowed")]


@pytest.mark.parametrize(
    "host",
    [
        "localhost", "LOCALHOST:8000", "localhost.", "localhost.:8000", "nas", "nas:80",
        "nas.local", "NAS.Local.:8000", "host.docker.internal:8000", "homeassistant.local:8123",
        "router.lan", "tts.home.arpa", "app.localhost:1", "127.0.0.1", "127.0.0.1.", "[::1]",
        "[::1]:8000", "[fe80::1%25eth0]:8000", "192.168.1.5:8000", "gateway.containers.internal",
    ],
)  # fmt: skip
def test_local_names_are_let_in(server: Running, host: str) -> None:
    assert speak(server, host=host).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:8000", "nas.local.evil.example", "local.example", "a.lan.com",
        "localhost.evil.example.", "127.0.0.1.nip.io", "xlocal.com", "notlan.org", "a.box",
        "evil.example@localhost", "user@nas.local", "evil.example#.local", "evil.example/.local",
        "evil.example\\.local", "[::1", "[evil.example].local",
    ],
)  # fmt: skip
def test_public_names_are_refused(server: Running, host: str) -> None:
    answer = speak(server, host=host)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "host_not_allowed")


def test_allowed_hosts_may_have_any_spelling(tmp_path: Path) -> None:
    with running(tmp_path, allowed_host=("TTS.Example.com:8000", "b.example.")) as server:
        for host in "tts.example.com", "TTS.example.COM.:443", "b.example":
            assert speak(server, host=host).status_code == 200
        assert speak(server, host="c.example").status_code == 403


def test_plain_requests_have_no_headers_for_browsers(server: Running) -> None:
    answer: Any = speak(server)
    assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "cross-site", "sec-fetch-dest": "audio"}, 403),
        ({"sec-fetch-site": "same-site", "sec-fetch-dest": "audio"}, 403),
        ({"sec-fetch-site": "cross-site", "sec-fetch-dest": "iframe"}, 403),
        ({"sec-fetch-site": "cross-site", "referer": "http://["}, 403),
        ({"sec-fetch-site": "cross-site", "referer": "https://good.example/a"}, 200),
        ({"sec-fetch-site": "cross-site", "sec-fetch-dest": "document"}, 200),
        ({"sec-fetch-site": "same-origin", "sec-fetch-dest": "audio"}, 200),
        ({"sec-fetch-site": "none", "sec-fetch-dest": "document"}, 200),
    ],
)
def test_foreign_pages_embed_nothing(tmp_path: Path, headers: dict[str, str], status: int) -> None:
    with running(tmp_path, cors=("https://good.example",)) as server:
        for path in "/v1/audio/voices/mia/preview", "/":
            assert httpx.get(server.http + path, headers=headers).status_code == status


def test_ready_names_models_to_those_with_a_key(tmp_path: Path) -> None:
    with running(tmp_path, api_key=("right",)) as server:
        answer = httpx.get(f"{server.http}/ready").json()
        assert (answer["status"], answer["model"], answer["loaded"]) == ("ready", None, [])
        named = httpx.get(f"{server.http}/ready", headers={"xi-api-key": "right"}).json()
        assert named["model"] == "petit"
