"""Random valid and invalid requests from the OpenAPI schema.

There must be no server error, no response outside the schema, no hang, and no slot left.

`CAUSERIE_FUZZ=10000` sends about 10,000 requests.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import requests
import schemathesis
from schemathesis.checks import (
    CHECKS,
    load_all_checks,
    not_a_server_error,
)

from causerie.server.app import create_app
from causerie.server.settings import Settings
from causerie.tts import TTS
from tests import tiny
from tests.patience import PATIENCE_S
from tests.server.running import Running, running

pytestmark = pytest.mark.slow

load_all_checks()
CHECKED = [
    not_a_server_error,
    *(
        CHECKS.get_one(f"{name}_conformance")
        for name in "status_code content_type response_headers response_schema".split()
    ),
]
SCHEMA = schemathesis.openapi.from_dict(create_app(Settings()).openapi())
OPERATIONS = [found.ok() for found in SCHEMA.get_all_operations()]
MODES = list(schemathesis.GenerationMode)
NUM_CASES = int(os.environ.get("CAUSERIE_FUZZ", "300"))
#: Requests of a test, which has one operation and valid or invalid requests.
NUM_EACH = max(1, NUM_CASES // (len(OPERATIONS) * len(MODES)))
#: A reply of the tiny model, which does not stop by itself, is cut after this many seconds.
MAX_DURATION_S = 0.24


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    tts = TTS(tiny.checkpoint(), max_streams=3, max_queue=8)
    with running(tmp_path_factory.mktemp("voices"), tts) as here:
        yield here


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    statuses: Counter[int] = Counter()
    with requests.Session() as one:
        one.hooks["response"] = [lambda answer, **_: statuses.update([answer.status_code])]
        yield one
    print(f"{statuses.total():,} requests: {dict(sorted(statuses.items()))}")
    assert statuses[200] > NUM_CASES / 40
    assert statuses[400] > NUM_CASES / 40


def _shortened(body: Any) -> Any:
    """The body with a short maximum duration; an invalid one stays invalid."""
    if isinstance(body, dict) and (body.get("input") or body.get("turns") or body.get("items")):
        limit = body.get("max_duration_s")
        if limit is None or (type(limit) in (int, float) and limit > MAX_DURATION_S):
            return {**body, "max_duration_s": MAX_DURATION_S}
    return body


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_responses_conform_to_the_schema(
    server: Running, session: requests.Session, operation: Any, mode: Any, tmp_path: Path
) -> None:
    @hypothesis.settings(
        max_examples=NUM_EACH,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    )
    @hypothesis.given(case=operation.as_strategy(mode))
    def ask(case: Any) -> None:
        case.body = _shortened(case.body)
        if mode is schemathesis.GenerationMode.POSITIVE and "voice" in case.path_parameters:
            case.path_parameters["voice"] = "0"  # a random voice would hardly ever exist
        response = case.call(base_url=server.http, session=session, timeout=PATIENCE_S)
        case.validate_response(response, checks=CHECKED)
        if response.status_code >= 400:
            error = response.json()["error"]
            assert {*error} == {"message", "type", "param", "code"}
            assert error["message"]

    try:
        ask()
    except hypothesis.errors.Unsatisfiable:
        # An operation without parameters has no invalid requests.
        assert mode is schemathesis.GenerationMode.NEGATIVE
