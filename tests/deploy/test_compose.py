"""The compose files: by the schema of the Compose Specification, and against the images."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from causerie.server.settings import Settings

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy"
CPU = yaml.safe_load((FOLDER / "compose.yaml").read_text("utf-8"))
CUDA = yaml.safe_load((FOLDER / "compose.cuda.yaml").read_text("utf-8"))
SERVER: dict[str, Any] = CPU["services"]["causerie"]
OPEN_WEBUI: dict[str, Any] = CPU["services"]["open-webui"]


@pytest.mark.parametrize("name", ["compose.yaml", "compose.cuda.yaml"])
def test_they_match_the_specification(name: str) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*command, FOLDER / name], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", [CPU, CUDA], ids=["cpu", "cuda"])
def test_they_build_the_images(file: dict[str, Any]) -> None:
    build = {**SERVER["build"], **file["services"]["causerie"]["build"]}
    context = (FOLDER / build["context"]).resolve()
    assert context == ROOT
    assert (context / build["dockerfile"]).is_file()
    assert "cuda" in build["dockerfile"] if file is CUDA else "cuda" not in build["dockerfile"]


def test_the_gpu_is_reserved() -> None:
    (device,) = CUDA["services"]["causerie"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    assert {*CUDA["services"]} <= {*CPU["services"]}, "it is added to compose.yaml"


def test_the_server_has_a_key_and_keeps_its_voices() -> None:
    """Compose refuses to start without the key."""
    assert SERVER["environment"]["CAUSERIE_API_KEY"].startswith("${CAUSERIE_API_KEY:?")
    (volume,) = SERVER["volumes"]
    assert volume == "voices:/data"
    for name in "Dockerfile", "Dockerfile.cuda":
        dockerfile = (ROOT / "docker" / name).read_text("utf-8")
        assert "VOLUME /data\n" in dockerfile
        assert "CAUSERIE_VOICES=/data/" in dockerfile
        assert re.search(r"HEALTHCHECK .*\n.*/ready", dockerfile)
    assert {*CPU["volumes"]} == {"voices", "open-webui"}
    known = {f"CAUSERIE_{name.upper()}" for name in Settings.model_fields}
    assert {name for name in SERVER["environment"] if name.startswith("CAUSERIE_")} <= known
    grace_s = Settings.model_fields["grace_s"].default
    assert int(SERVER["stop_grace_period"].removesuffix("s")) > grace_s


def test_only_this_machine_reaches_the_ports() -> None:
    ports = [port for service in CPU["services"].values() for port in service["ports"]]
    assert ports == ["127.0.0.1:8000:8000", "127.0.0.1:3000:8080"]


def test_open_webui_speaks_by_the_server() -> None:
    assert OPEN_WEBUI["depends_on"] == {"causerie": {"condition": "service_healthy"}}
    environment = OPEN_WEBUI["environment"]
    assert environment["AUDIO_TTS_ENGINE"] == "openai"
    assert environment["AUDIO_TTS_OPENAI_API_BASE_URL"] == "http://causerie:8000/v1"
    assert environment["AUDIO_TTS_OPENAI_API_KEY"] == "${CAUSERIE_API_KEY}"
