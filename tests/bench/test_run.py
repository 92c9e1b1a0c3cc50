"""Bench: what is measured, and plans that are refused."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from causerie.bench import run
from causerie.bench.plan import MEASURES, Plan, default_kernels, parse_formats, parse_kernels
from causerie.bench.run import Bench, send_peak
from causerie.errors import ConfigError

ONE = (("float32", "float32"),)


def small(**changes: object) -> Plan:
    values = {
        "subject": "tiny", "formats": ONE, "kernels": ("plain",), "streams": (1, 2),
        "contexts": (4, 9), "prefill_rows": 5, "frames": 2, "rounds": 1, "sounds": 1, "threads": 1,
        "measures": MEASURES[:-1],
    }  # fmt: skip
    return Plan(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.slow
def test_all_measures_of_all_runners() -> None:
    messages: list[str] = []
    kernels = dict.fromkeys((*default_kernels(), "plain", "batched"))  # native where it is built
    bench = Bench(small(kernels=tuple(kernels)), messages.append)
    bench.run()
    by = {(r.measure, r.implementation) for r in bench.results}
    ours = {f"causerie {name}" for name in kernels}
    assert {(measure, name) for measure in MEASURES[:5] for name in ours} <= by
    assert ("codec", f"causerie {next(iter(kernels))}") in by
    assert all(0 < r.min <= r.ms <= r.p95 <= r.max for r in bench.results)
    frames = [r for r in bench.results if r.measure in ("frame", "context", "streams")]
    assert all(r.rtf == pytest.approx(r.ms / 80) and r.floor_ms is None for r in frames)
    for with_sound in (r for r in frames if r.codec_included):
        (codes,) = (
            r for r in frames
            if not r.codec_included and (r.measure, r.implementation, r.streams, r.rows)
            == (with_sound.measure, with_sound.implementation, with_sound.streams, with_sound.rows)
        )  # fmt: skip
        assert codes.max <= with_sound.max
    assert {r.streams for r in bench.results if r.measure == "streams"} == {1, 2}
    assert {r.rows for r in bench.results if r.measure == "context"} == {4, 9}
    assert {r.voice for r in bench.results if r.measure == "first-sound"} == {
        "none", "new", "kept",
    }  # fmt: skip
    assert "measuring the codec" in messages


def test_peers_need_a_comparison_that_has_them() -> None:
    with pytest.raises(ConfigError, match="no peer nobody"):
        Bench(small(peers=("nobody",)))


def test_without_a_checkout_the_error_names_the_repository(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    installed = tmp_path / "lib" / "site-packages" / "causerie" / "bench" / "run.py"
    monkeypatch.setattr(run, "__file__", str(installed))
    with pytest.raises(ConfigError, match="clone the repository") as error:
        run.load_comparison()
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_memory_is_the_peak_of_a_process_with_one_runner() -> None:
    """Without the process, which takes long to start."""
    sent: list[tuple[tuple[str, tuple[str, str]], float]] = []
    send_peak(small(), ("plain", ONE[0]), SimpleNamespace(send=sent.append))
    (((name, formats), peak_gb),) = sent
    assert (name, formats) == ("causerie plain", ONE[0])
    assert 0.05 < peak_gb < 50


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"subject": "large"}, "no subject large"),
        ({"measures": ("joy",)}, "no measure joy"),
        ({"measures": ()}, "nothing to measure"),
        ({"frames": 0}, "must be 1 or more"),
        ({"streams": ()}, "must be 1 or more"),
        ({"contexts": (1,)}, "2 rows or more"),
    ],
)
def test_invalid_plans_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        small(**changes)


def test_formats() -> None:
    assert parse_formats("bf16, int8+int4") == (("bfloat16", "bfloat16"), ("int8", "int4"))
    for text in ("", "int2", "int8+int4+int4"):
        with pytest.raises(ConfigError, match="format"):
            parse_formats(text)


def test_kernels() -> None:
    assert parse_kernels("plain, native") == ("plain", "native")
    for text in ("", "slow", "auto"):
        with pytest.raises(ConfigError, match="native, batched, plain"):
            parse_kernels(text)
