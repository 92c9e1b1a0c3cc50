"""The server's metrics for Prometheus.

Each app has a registry of its own. The engine keeps its own counts, which are read at each scrape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from causerie.audio.audio import Check
from causerie.engine.guard import Reason
from causerie.engine.stats import Stats

_FIRST_SOUND_S = (0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30)
_RTF = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.5, 2, 5)
_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_BATCH = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """The metrics of one server.

    Attributes:
        num_active: replies that were requested and have not ended.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.num_active = 0
        add: dict[str, Any] = {"registry": self.registry}
        self.requests = Counter(
            "causerie_requests", "HTTP requests and WebSockets.",
            ["method", "route", "status"], **add,
        )  # fmt: skip
        self.request_s = Histogram(
            "causerie_request_seconds", "From a request to the end of its response.", ["route"],
            buckets=_SECONDS, **add,
        )  # fmt: skip
        self.replies = Counter(
            "causerie_replies", "Replies by outcome: end, guard, limit, cancelled, error.",
            ["protocol", "ended"], **add,
        )  # fmt: skip
        self.errors = Counter("causerie_errors", "Errors sent to clients.", ["code"], **add)
        self.first_sound_s = Histogram(
            "causerie_first_sound_seconds", "From a request to its first audio, queueing included.",
            ["protocol"], buckets=_FIRST_SOUND_S, **add,
        )  # fmt: skip
        self.turn_s = Histogram(
            "causerie_turn_seconds",
            "From the end of a user's speech to the first audio of Realtime's answer, by part: "
            "silence, recognizer, chat, causerie (the rest), and their total.",
            ["part"], buckets=_FIRST_SOUND_S, **add,
        )  # fmt: skip
        self.rtf = Histogram(
            "causerie_rtf", "Seconds to compute a second of audio.", buckets=_RTF, **add
        )
        self.speech_s = Counter("causerie_speech_seconds", "Seconds of audio sent.", **add)
        self.attempts = Counter(
            "causerie_verify_attempts", "How often pieces that are verified were spoken.", **add
        )
        self.verified = Counter(
            "causerie_verified", "Verified pieces: right at once, corrected by another attempt, or "
            "wrong in the best one.", ["outcome"], **add,
        )  # fmt: skip
        for outcome in "right", "corrected", "wrong":
            self.verified.labels(outcome)
        self.active = Gauge("causerie_active_streams", "Replies that have not ended.", **add)
        self.active.set_function(lambda: self.num_active)
        self.sockets = Gauge("causerie_websockets", "Open WebSockets.", ["route"], **add)

    def watch(self, stats: Callable[[], Stats]) -> None:
        """Export the statistics of an engine as well."""
        self.registry.register(_EngineMetrics(stats))

    def count_checks(self, checks: Sequence[Check]) -> None:
        """Count the verified pieces of a reply."""
        for check in checks:
            self.attempts.inc(check.attempts)
            right = "right" if check.attempts == 1 else "corrected"
            self.verified.labels(right if check.is_right else "wrong").inc()

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self.registry)


class _EngineMetrics(Collector):
    def __init__(self, stats: Callable[[], Stats]) -> None:
        self._stats = stats

    def collect(self) -> Iterable[Metric]:
        stats = self._stats()
        gauges = {
            "slots_active": ("Requests that have a slot.", stats.active),
            "queue_length": ("Requests that wait for a slot.", stats.waiting),
            "last_step_seconds": ("Duration of the latest step.", stats.last_step_s),
            "prefix_bytes": ("Memory of cached prompts.", stats.prefix_bytes),
        }
        for name, (help, value) in gauges.items():
            yield GaugeMetricFamily(f"causerie_{name}", help, value=value)
        counters = {
            "frames": ("Generated frames, of 80 ms each.", stats.num_frames),
            "underruns": ("Times that a listener waited for late audio.", stats.num_underruns),
            "steps": ("Steps of the engine.", stats.num_steps),
            "step_seconds": ("Duration of all steps.", stats.step_s),
            "prompt_rows": ("Prompt rows that were computed.", stats.num_rows),
            "prompt_rows_saved": ("Prompt rows that were cached.", stats.num_rows_saved),
            "cancels": ("Turns that were cancelled.", stats.done["cancelled"]),
        }
        for name, (help, value) in counters.items():
            yield CounterMetricFamily(f"causerie_{name}", help, value=value)
        done = CounterMetricFamily("causerie_turns", "Turns by outcome.", labels=["state"])
        for state in "ended", "limit", "guard", "cancelled", "failed":
            done.add_metric([state], stats.done[state])
        yield done
        guarded = CounterMetricFamily(
            "causerie_guarded", "Turns that the guard ended, by reason.", labels=["reason"]
        )
        for reason in get_args(Reason):
            guarded.add_metric([reason], stats.guarded[reason])
        yield guarded
        yield _batches(stats)


def _batches(stats: Stats) -> Metric:
    """The batch sizes as a histogram, from the engine's count of each size."""
    sizes = stats.batch_sizes
    buckets = [
        (str(float(bound)), float(sum(n for size, n in sizes.items() if size <= bound)))
        for bound in _BATCH
    ]
    buckets.append(("+Inf", float(sum(sizes.values()))))
    total = float(sum(size * n for size, n in sizes.items()))
    family = HistogramMetricFamily("causerie_batch_size", "Replies in a step.")
    family.add_metric([], buckets=buckets, sum_value=total)
    return family
