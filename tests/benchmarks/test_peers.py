"""peers.py: other implementations in a run of `causerie bench`, and the floor."""

from __future__ import annotations

import dataclasses
import pickle
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import TypeAlias

import pytest
import torch
from torch import nn

from causerie.bench.run import Bench, load_comparison, send_peak
from tests.bench.test_run import small

pytestmark = pytest.mark.slow

#: Runs a bench with these peers and measures.
Compare: TypeAlias = Callable[..., Bench]


@pytest.fixture
def compare() -> Compare:
    comparison = dataclasses.replace(load_comparison(), bandwidth_gb_s=lambda device: 40.0)

    def compare(peers: tuple[str, ...], *measures: str) -> Bench:
        return Bench(small(peers=peers, measures=measures), comparison=comparison)

    return compare


def test_peers_are_measured_beside_the_floor(compare: Compare) -> None:
    bench = compare(("transformers",), "frame", "prefill", "codec")
    bench.run()
    names = {(r.measure, r.implementation) for r in bench.results}
    assert {(m, "transformers") for m in ("frame", "prefill", "codec")} <= names
    frames = [r for r in bench.results if r.measure == "frame"]
    assert all(r.floor_ms for r in frames)
    assert bench.machine.bandwidth_gb_s == 40
    assert bench.notes == []


def test_missing_packages_are_noted_in_one_line(
    compare: Compare, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("transformers", "moshi"):
        monkeypatch.setitem(sys.modules, name, None)
    bench = compare(("transformers", "moshi"), "frame", "codec")
    bench.run()
    assert [note.partition(" is skipped: ")[0] for note in bench.notes] == ["transformers", "moshi"]
    assert all("pip install" in note and "\n" not in note for note in bench.notes)


class Echo(nn.Module):
    """Stands for a Llama of torchtune, which is not installed; returns its input."""

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
        assert mask.sum(-1).tolist() == (input_pos + 1).tolist()  # itself and all before it
        self.read += x.shape[1]
        assert self.read <= self.max_rows
        return x


def test_the_reference_is_measured_if_torchtune_is_installed(
    compare: Compare, monkeypatch: pytest.MonkeyPatch
) -> None:
    builders = SimpleNamespace(llama3_2=Echo)
    monkeypatch.setitem(sys.modules, "torchtune.models.llama3_2", builders)
    bench = compare(("sesame",), "frame", "prefill")
    bench.run()
    names = {(r.measure, r.implementation, r.codec_included) for r in bench.results}
    assert {(m, "sesame on torchtune", False) for m in ("frame", "prefill")} <= names
    assert ("frame", "sesame on torchtune", True) in names
    assert bench.notes == []


def test_the_reference_is_skipped_without_torchtune(
    compare: Compare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torchtune.models.llama3_2", None)
    bench = compare(("sesame",), "frame")
    bench.run()
    (note,) = bench.notes
    assert note.startswith("sesame is skipped: the package torchtune is needed")


def test_memory_is_measured_for_peers_that_make_frames() -> None:
    """Without the process, which takes long to start."""
    comparison, sent = load_comparison(), []
    build = comparison.models["transformers"]
    send_peak(small(), build, SimpleNamespace(send=sent.append))
    assert [key for key, _ in sent] == [("transformers", ("float32", "float32"))]
    assert pickle.loads(pickle.dumps(build)) is build  # as a new process gets it
