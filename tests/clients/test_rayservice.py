"""Ray accepts the application in KubeRay's manifest; tests/deploy checks the rest of it."""

from __future__ import annotations

from pathlib import Path

import yaml
from ray.serve.schema import ServeDeploySchema

FILE = Path(__file__).parents[2] / "deploy" / "rayservice.yaml"


def test_ray_accepts_the_application() -> None:
    (service,) = (
        one for one in yaml.safe_load_all(FILE.read_text()) if one["kind"] == "RayService"
    )
    config = ServeDeploySchema.model_validate(yaml.safe_load(service["spec"]["serveConfigV2"]))
    (application,) = config.applications
    assert application.import_path == "causerie.server.ray.deployment:app"
