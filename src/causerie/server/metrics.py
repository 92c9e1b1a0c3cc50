"""What the server counts, for Prometheus.

Each app has a registry of its own. The engine counts by itself; it is asked when somebody looks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from causerie.engine.stats import Stats

_FIRST_SOUND_S = (0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30)
_RTF = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.5, 2, 5)
_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_BATCH = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """The numbers of one server.

    Attributes:
        num_active: replies that are asked for and not yet over.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.num_active = 0
        add: dict[str, Any] = {"registry": self.registry}
        self.requests = Counter(
            "causerie_requests", "Requests of HTTP.", ["method", "route", "status"], **add
        )
        self.request_s = Histogram(
            "causerie_request_seconds", "From a request to the end of its answer.", ["route"],
            buckets=_SECONDS, **add,
        )  # fmt: skip
        self.replies = Counter(
            "causerie_replies", "Replies by how they ended: end, limit, cancelled, error.",
            ["protocol", "ended"], **add,
        )  # fmt: skip
        self.errors = Counter("causerie_errors", "Errors that clients were told.", ["code"], **add)
        self.first_sound_s = Histogram(
            "causerie_first_sound_seconds", "From a request to its first sound, waiting included.",
            ["protocol"], buckets=_FIRST_SOUND_S, **add,
        )  # fmt: skip
        self.rtf = Histogram(
            "causerie_rtf", "Seconds of waiting for a second of sound.", buckets=_RTF, **add
        )
        self.speech_s = Counter("causerie_speech_seconds", "Sound handed out.", **add)
        self.active = Gauge("causerie_active_streams", "Replies asked for and not over.", **add)
        self.active.set_function(lambda: self.num_active)
        self.sockets = Gauge("causerie_websockets", "Open WebSockets.", ["route"], **add)

    def watch(self, stats: Callable[[], Stats]) -> None:
        """Show the numbers of an engine too."""
        self.registry.register(_EngineNumbers(stats))

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self.registry)


class _EngineNumbers(Collector):
    def __init__(self, stats: Callable[[], Stats]) -> None:
        self._stats = stats

    def collect(self) -> Iterable[Metric]:
        stats = self._stats()
        gauges = {
            "slots_active": ("Requests that have a slot.", stats.active),
            "queue_length": ("Requests that wait for a slot.", stats.waiting),
            "last_step_seconds": ("How long the latest step took.", stats.last_step_s),
            "prefix_bytes": ("Of prompts that are kept.", stats.prefix_bytes),
        }
        for name, (about, value) in gauges.items():
            yield GaugeMetricFamily(f"causerie_{name}", about, value=value)
        counters = {
            "frames": ("Frames of 80 ms that were made.", stats.num_frames),
            "underruns": ("How often a listener waited for late sound.", stats.num_underruns),
            "steps": ("Steps of the engine.", stats.num_steps),
            "step_seconds": ("Of all steps together.", stats.step_s),
            "prompt_rows": ("Rows of prompts that were read.", stats.num_rows),
            "prompt_rows_saved": ("Rows of prompts that were kept.", stats.num_rows_saved),
            "cancels": ("Turns whose listener left.", stats.done["cancelled"]),
        }
        for name, (about, value) in counters.items():
            yield CounterMetricFamily(f"causerie_{name}", about, value=value)
        done = CounterMetricFamily("causerie_turns", "Turns, by their end.", labels=["state"])
        for state in "ended", "limit", "cancelled", "failed":
            done.add_metric([state], stats.done[state])
        yield done
        yield _batches(stats)


def _batches(stats: Stats) -> Metric:
    """Sizes of batches as a histogram; the engine keeps each size's count."""
    sizes = stats.batch_sizes
    buckets = [
        (str(float(bound)), float(sum(n for size, n in sizes.items() if size <= bound)))
        for bound in _BATCH
    ]
    buckets.append(("+Inf", float(sum(sizes.values()))))
    total = float(sum(size * n for size, n in sizes.items()))
    family = HistogramMetricFamily("causerie_batch_size", "Replies that share a step.")
    family.add_metric([], buckets=buckets, sum_value=total)
    return family
