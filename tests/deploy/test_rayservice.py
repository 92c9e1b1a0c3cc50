"""KubeRay's manifest: by the schemas of Kubernetes, and against the code that it runs."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from causerie.errors import ConfigError
from causerie.server.ray import deployment
from causerie.server.settings import Settings

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "deploy" / "rayservice.yaml").read_text("utf-8")
CLAIM, SERVICE = yaml.safe_load_all(TEXT)
CLUSTER: dict[str, Any] = SERVICE["spec"]["rayClusterConfig"]
(WORKERS,) = CLUSTER["workerGroupSpecs"]
GROUPS = {"head": CLUSTER["headGroupSpec"], "workers": WORKERS}
(APPLICATION,) = yaml.safe_load(SERVICE["spec"]["serveConfigV2"])["applications"]
VERSION = "1.37"


def container(group: str) -> dict[str, Any]:
    (only,) = GROUPS[group]["template"]["spec"]["containers"]
    return only


def test_the_claim_is_valid() -> None:
    kubernetes_validate.validate(CLAIM, VERSION, strict=True)
    (volume,) = WORKERS["template"]["spec"]["volumes"]
    assert volume["persistentVolumeClaim"]["claimName"] == CLAIM["metadata"]["name"]
    assert CLAIM["spec"]["accessModes"] == ["ReadWriteMany"], "workers share it"


@pytest.mark.parametrize("group", GROUPS)
def test_the_pods_are_valid(group: str) -> None:
    template = GROUPS[group]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": group}, **template}
    kubernetes_validate.validate(pod, VERSION, strict=True)


def test_the_application_is_ours_and_its_settings_are_valid(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module, _, name = APPLICATION["import_path"].partition(":")
    assert getattr(import_module(module), name) is deployment.app
    monkeypatch.delenv("CAUSERIE_API_KEY", raising=False)
    with pytest.raises(ConfigError, match="--api-key"):
        Settings.load(None, **APPLICATION["args"])
    monkeypatch.setenv("CAUSERIE_API_KEY", "secret")
    settings = Settings.load(None, **APPLICATION["args"])
    (mount,) = container("workers")["volumeMounts"]
    assert Path(mount["mountPath"]) in Path(settings.voices).parents
    seconds = WORKERS["template"]["spec"]["terminationGracePeriodSeconds"]
    assert seconds > settings.grace_s + 5
    # A worker holds one replica, and there is room for all of them.
    assert float(container("workers")["resources"]["limits"]["cpu"]) == settings.cpus_per_replica
    assert (WORKERS["minReplicas"], WORKERS["maxReplicas"]) == (
        settings.replicas,
        settings.max_replicas,
    )


@pytest.mark.parametrize("group", GROUPS)
def test_ray_has_our_environment(group: str) -> None:
    variables = {one["name"]: one for one in container(group)["env"]}
    assert variables["CAUSERIE_API_KEY"]["valueFrom"]["secretKeyRef"] == {
        "name": "causerie",
        "key": "api-key",
    }
    for name in "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH", "RAY_worker_niceness":
        assert variables[name]["value"] == deployment.ENVIRONMENT[name]


def test_the_version_of_ray_is_the_tested_one() -> None:
    pins = (ROOT / "constraints-clients.txt").read_text("utf-8")
    (pin,) = re.findall(r"^ray==(\S+)$", pins, re.M)
    assert CLUSTER["rayVersion"] == pin
    assert {container(group)["image"] for group in GROUPS} == {f"causerie-ray:{pin}"}
    docs = (ROOT / "docs" / "deploy.md").read_text("utf-8")
    assert f"rayproject/ray:{pin}-" in docs
    assert f"causerie-ray:{pin}" in docs
