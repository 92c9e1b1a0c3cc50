"""Bench: who takes part, what is measured, who is absent."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from causerie.bench.peers import NAMES
from causerie.bench.plan import MEASURES, Plan, default_kernels, parse_formats, parse_kernels
from causerie.bench.run import Bench, hold
from causerie.errors import ConfigError

ONE = (("float32", "float32"),)


def small(**changes: object) -> Plan:
    values = {
        "subject": "tiny", "formats": ONE, "kernels": ("plain",), "streams": (1, 2),
        "contexts": (4, 9), "prefill_rows": 5, "frames": 2, "rounds": 1, "sounds": 1, "threads": 1,
        "measures": MEASURES[:-1],
    }  # fmt: skip
    return Plan(**(values | changes))  # type: ignore[arg-type]


def test_all_measures_of_all_runners() -> None:
    told: list[str] = []
    kernels = dict.fromkeys((*default_kernels(), "plain", "batched"))  # native where it is built
    bench = Bench(small(kernels=tuple(kernels)), told.append)
    bench.run()
    by = {(r.measure, r.implementation) for r in bench.results}
    ours = {f"causerie {name}" for name in kernels}
    assert {(measure, name) for measure in MEASURES[:5] for name in ours} <= by
    assert ("codec", f"causerie {next(iter(kernels))}") in by
    assert all(0 < r.min <= r.ms <= r.p95 <= r.max for r in bench.results)
    frames = [r for r in bench.results if r.measure in ("frame", "context", "streams")]
    assert all(r.rtf == pytest.approx(r.ms / 80) and r.floor_ms for r in frames)
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
    assert "measuring the codec" in told


def test_peers_are_measured_in_the_same_run() -> None:
    bench = Bench(small(peers=("transformers",), measures=("frame", "prefill", "codec")))
    bench.run()
    names = {(r.measure, r.implementation) for r in bench.results}
    assert {(m, "transformers") for m in ("frame", "prefill", "codec")} <= names
    assert bench.notes == []


def test_who_is_not_installed_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.setitem(sys.modules, name, None)
    bench = Bench(small(peers=("transformers", "moshi"), measures=("frame", "codec")))
    bench.run()
    assert [note.partition(" is absent: ")[0] for note in bench.notes] == ["transformers", "moshi"]
    assert all("pip install" in note and "\n" not in note for note in bench.notes)


class Sent:
    """The end of a pipe."""

    def __init__(self) -> None:
        self.values: list[tuple[str, tuple[str, str], float]] = []

    def send(self, value: tuple[str, tuple[str, str], float]) -> None:
        self.values.append(value)


class Echo(nn.Module):
    """In place of a Llama of torchtune, which is not installed: gives back what it gets."""

    def __init__(self, embed_dim: int, **sizes: object) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(embed_dim, embed_dim))
        self.read = 0

    def setup_caches(
        self, batch_size: int, dtype: torch.dtype, *, decoder_max_seq_len: int
    ) -> None:
        self.max_rows = decoder_max_seq_len

    def reset_caches(self) -> None:
        self.read = 0

    def forward(
        self, x: torch.Tensor, *, input_pos: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        assert input_pos.tolist() == [list(range(self.read, self.read + x.shape[1]))]
        assert mask.sum(-1).tolist() == (input_pos + 1).tolist()  # itself, and what is before it
        self.read += x.shape[1]
        assert self.read <= self.max_rows
        return x


def test_the_reference_is_measured_where_torchtune_is(monkeypatch: pytest.MonkeyPatch) -> None:
    builders = SimpleNamespace(llama3_2=Echo)
    monkeypatch.setitem(sys.modules, "torchtune.models.llama3_2", builders)
    bench = Bench(small(peers=("sesame",), measures=("frame", "prefill")))
    bench.run()
    names = {(r.measure, r.implementation, r.codec_included) for r in bench.results}
    assert {(m, "sesame on torchtune", False) for m in ("frame", "prefill")} <= names
    assert ("frame", "sesame on torchtune", True) in names
    assert bench.notes == []


def test_the_reference_is_told_as_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchtune.models.llama3_2", None)
    bench = Bench(small(peers=("sesame",), measures=("frame",)))
    bench.run()
    (note,) = bench.notes
    assert note.startswith("sesame is absent: the package torchtune is needed")


def test_memory_is_that_of_a_process_with_one_contestant() -> None:
    """Without the process, which takes long to begin."""
    sent = Sent()
    for contestant in (("plain", ONE[0]), "transformers", "moshi"):  # which makes no frames
        hold(small(), contestant, sent)
    assert [value[:2] for value in sent.values] == [
        ("causerie plain", ONE[0]), ("transformers", ONE[0]),
    ]  # fmt: skip
    assert all(0.05 < value[2] < 50 for value in sent.values)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"subject": "large"}, "no subject large"),
        ({"peers": ("nobody",)}, "no peer nobody"),
        ({"measures": ("joy",)}, "no measure joy"),
        ({"measures": ()}, "nothing to measure"),
        ({"frames": 0}, "must be 1 or more"),
        ({"streams": ()}, "must be 1 or more"),
        ({"contexts": (1,)}, "2 rows or more"),
    ],
)
def test_a_plan_that_means_nothing_is_refused(changes: dict[str, object], message: str) -> None:
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
