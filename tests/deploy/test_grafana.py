"""The dashboard shows metrics that the server has."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from causerie.engine.stats import Stats
from causerie.server.metrics import Metrics

FILE = Path(__file__).parents[2] / "deploy" / "grafana.json"
DASHBOARD: dict[str, Any] = json.loads(FILE.read_text("utf-8"))
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
#: Words of a query that are neither metrics nor labels.
PROMQL = {"sum", "by", "rate", "histogram_quantile"}


def labels_of_metrics() -> dict[str, set[str]]:
    """The name of each series of /metrics with its labels."""
    metrics = Metrics()
    metrics.watch(Stats)
    # A metric has no series before its labels have values.
    for metric in vars(metrics).values():
        if names := getattr(metric, "_labelnames", ()):
            metric.labels(*names)
    series: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(metrics.text().decode()):
        for sample in family.samples:
            series[sample.name] = {*sample.labels}
    return series


def expressions() -> list[str]:
    return [target["expr"] for panel in PANELS for target in panel["targets"]]


def test_it_is_a_dashboard() -> None:
    assert {"title", "uid", "schemaVersion", "templating", "time"} <= {*DASHBOARD}
    ids = [panel["id"] for panel in PANELS]
    assert len({*ids}) == len(ids)
    variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?([a-z]\w*)", FILE.read_text("utf-8")))
    assert used == variables, "a variable is not defined, or not used"
    for panel in PANELS:
        assert {"type", "title", "description", "datasource", "gridPos"} <= {*panel}
        assert panel["fieldConfig"]["defaults"]["unit"]
        refs = [target["refId"] for target in panel["targets"]]
        assert refs
        assert len({*refs}) == len(refs)


def test_panels_do_not_overlap() -> None:
    def cells(panel: dict[str, Any]) -> set[tuple[int, int]]:
        x, y, w, h = (panel["gridPos"][key] for key in "xywh")
        assert x + w <= 24
        return {(column, row) for column in range(x, x + w) for row in range(y, y + h)}

    for one, other in combinations(PANELS, 2):
        assert not cells(one) & cells(other), (one["title"], other["title"])


@pytest.mark.parametrize("expression", expressions())
def test_queries_name_metrics_and_labels_that_exist(expression: str) -> None:
    series = labels_of_metrics()
    names = set(re.findall(r"\bcauserie_\w+", expression))
    assert names
    assert names <= {*series}
    assert expression.count("(") == expression.count(")")
    # Prometheus adds the label `instance` to every series.
    labels = set.intersection(*(series[name] for name in names)) | {"instance"}
    bare = re.sub(r'"[^"]*"|\[[^]]*\]|\bcauserie_\w+', "", expression)
    assert {*re.findall(r"[a-z_]+", bare)} - PROMQL <= labels
    assert expression.count('{instance=~"$instance"}') == len(
        re.findall(r"\bcauserie_\w+", expression)
    )
    for name in names:
        is_counter = name.endswith(("_total", "_bucket", "_sum", "_count"))
        assert is_counter == (f"rate({name}{{" in expression), f"{name}: rate() is for counters"


def test_it_shows_what_an_operator_needs() -> None:
    shown = set(re.findall(r"\bcauserie_\w+", " ".join(expressions())))
    assert {
        "causerie_first_sound_seconds_bucket", "causerie_replies_total", "causerie_queue_length",
        "causerie_active_streams", "causerie_batch_size_sum", "causerie_rtf_bucket",
        "causerie_errors_total", "causerie_requests_total", "causerie_underruns_total",
    } <= shown  # fmt: skip
