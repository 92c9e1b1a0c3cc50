"""Peak memory of training a CSM with random weights, as a table.

    python benchmarks/training_memory.py             at csm-1b's size
    python benchmarks/training_memory.py --check     compares counted and real memory on the CPU

With a CUDA device the memory is measured. Without one it is counted: the same training runs on
fake tensors, and the bytes of all live storages are added up. Workspaces of kernels, the CUDA
context and fragmentation come on top. Both run `LMTraining.run` for two steps, so that the
optimizer has states in the second.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import multiprocessing
import resource
import sys
import tempfile
import weakref
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from causerie.config import CSMConfig, csm_1b
from causerie.model.csm import CSM
from causerie.nn.attention import fused_attention
from causerie.text.tokenizer import TextTokenizer
from causerie.train.lm.config import LMRecipe, Lora, Samples
from causerie.train.lm.corpus import Corpus
from causerie.train.lm.lora import add_adapters
from causerie.train.lm.training import LMTraining
from causerie.train.processes import find_processes

ROWS = (512, 2048)
#: Layers of the backbone and words of the text table for --check, so that it fits into memory.
CHECKED_LAYERS, CHECKED_WORDS, CHECKED_ROWS = 2, 1024, 512
GIB = 2**30
_ATEN = torch.ops.aten
_INDEXING = {_ATEN.index, _ATEN.index_put, _ATEN.index_put_, _ATEN._index_put_impl_}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A training of adapters or all weights on one conversation of this number of rows."""

    lora: bool
    rows: int
    recompute: bool = False
    ema: bool = False

    @property
    def recipe(self) -> LMRecipe:
        return LMRecipe(
            steps=2, lr=1e-4, samples=Samples(batch=1), recompute=self.recompute,
            ema=0.999 if self.ema else 0.0,
        )  # fmt: skip


class Counter(TorchDispatchMode):
    """Adds up the bytes of live storages under a `FakeTensorMode`.

    Training depends on few values: masks, which are real tensors, and the gradient norm and the
    losses, which are taken as 1.

    Attributes:
        peak: largest number of live bytes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.peak = self._now = 0
        self._alive: set[int] = set()

    def add(self, tensors: Iterable[Any]) -> None:
        """Count the storages of tensors, each once and while it is alive."""
        for tensor in tensors:
            if not isinstance(tensor, Tensor):
                continue
            storage = tensor.untyped_storage()
            if storage._cdata not in self._alive:
                self._alive.add(storage._cdata)
                self._now += storage.nbytes()
                weakref.finalize(storage, self._forget, storage._cdata, storage.nbytes())
        self.peak = max(self.peak, self._now)

    def _forget(self, key: int, num_bytes: int) -> None:
        self._alive.remove(key)
        self._now -= num_bytes

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if tensors and not any(isinstance(tensor, FakeTensor) for tensor in tensors):
            with unset_fake_temporarily():
                out = func(*args, **kwargs)
        elif func is _ATEN._local_scalar_dense.default:
            return 1.0
        else:
            if func.overloadpacket in _INDEXING:
                args = (args[0], _places(args[1]), *args[2:])
            out = func(*args, **kwargs)
        self.add(tree_leaves(out))
        return out


def new_training(case: Case, sizes: CSMConfig, folder: Path, device: str) -> LMTraining:
    """Create a training that writes no state."""
    model = CSM(sizes)
    if case.lora:
        add_adapters(model, Lora(), seed=0)
    tokenizer = TextTokenizer.load(
        str(resources.files("causerie") / "assets" / "petit" / "tokenizer.json")
    )
    text = "a" * (case.rows // 5)  # English has one token per four or five frames
    num_frames = case.rows - len(tokenizer.encode(text, 0)) - 1
    codes = np.ones((num_frames, sizes.num_codebooks), np.int16)
    corpus = Corpus(
        words=[text], spoken=[text], speakers=["A"], num_frames=np.array([num_frames]),
        conversations=[[0]], codes_of=lambda _: codes,
    )  # fmt: skip
    training = LMTraining(
        model, case.recipe, corpus, tokenizer, folder / "state.pt",
        processes=find_processes(device),
    )  # fmt: skip
    training.loop.writes = False
    return training


def count(case: Case, sizes: CSMConfig, *, on_cpu: bool) -> int:
    """Count the bytes that a training needs.

    Args:
        on_cpu: count for the CPU; else for a CUDA device, whose attention differs.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        FakeTensorMode(allow_non_fake_inputs=True),
        mock.patch.object(nn.Module, "to", lambda module, *_, **__: module),  # fails on fakes
    ):
        training = new_training(case, sizes, Path(folder), "cpu")
        counter = Counter()
        counter.add(training.model.parameters())
        counter.add(training.averages.averages.values() if training.averages else ())
        counter.add(training.exact.values() if on_cpu else ())  # they stay on the CPU
        with counter, _attention(on_cpu):
            training.run()
    return counter.peak


def measure(case: Case, sizes: CSMConfig) -> int:
    """Measure the bytes that a training needs on the CUDA device."""
    gc.collect()  # free the previous training
    with tempfile.TemporaryDirectory() as folder:
        training = new_training(case, sizes, Path(folder), "cuda")
        torch.cuda.reset_peak_memory_stats()
        training.run()
    return torch.cuda.max_memory_allocated()


def check(case: Case, sizes: CSMConfig) -> tuple[int, int]:
    """The counted bytes of a training on the CPU, and the growth of a real process."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_grow, args=(case, sizes, sender))
    process.start()
    sender.close()
    grown: int = receiver.recv()
    process.join()
    return count(case, sizes, on_cpu=True), grown


def table(cases: Mapping[str, list[Case]], sizes: CSMConfig) -> list[str]:
    """Lines of a Markdown table: one row per kind of training, one column per case."""
    has_cuda = torch.cuda.is_available()
    lines = []
    for name, row in cases.items():
        found = [
            measure(case, sizes) if has_cuda else count(case, sizes, on_cpu=False) for case in row
        ]
        lines.append(f"| {name} | " + " | ".join(f"{size / GIB:.1f}" for size in found) + " |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare counted and real memory")
    wants_check = parser.parse_args().check
    sizes = csm_1b()
    if wants_check:
        backbone = dataclasses.replace(sizes.backbone, num_layers=CHECKED_LAYERS)
        sizes = dataclasses.replace(sizes, backbone=backbone, text_vocab_size=CHECKED_WORDS)
        for lora in (True, False):
            counted, grown = check(Case(lora=lora, rows=CHECKED_ROWS), sizes)
            print(
                f"{'LoRA' if lora else 'all weights'}: counted {counted / GIB:.2f} GiB, "
                f"process {grown / GIB:.2f} GiB, ratio {grown / counted:.2f}"
            )
        return
    options = [(rows, recompute) for rows in ROWS for recompute in (False, True)]
    columns = [f"{rows:,} rows{', recompute' if again else ''}" for rows, again in options]
    print(f"| GiB | {' | '.join(columns)} |")
    print("|---|" + "---:|" * len(columns))
    kinds = {
        "LoRA": {"lora": True},
        "all weights": {"lora": False},
        "all weights, with averages": {"lora": False, "ema": True},
    }
    cases = {
        name: [Case(rows=rows, recompute=again, **kind) for rows, again in options]
        for name, kind in kinds.items()
    }
    for line in table(cases, sizes):
        print(line)


def _attention(on_cpu: bool) -> Any:
    if on_cpu:
        return nullcontext()
    return mock.patch("causerie.model.llama.causal_attention", fused_attention)


def _places(indices: Iterable[Any]) -> list[Any]:
    """Replace masks among indices by row numbers, whose count is known."""
    out: list[Any] = []
    for index in indices:
        is_mask = isinstance(index, Tensor) and index.dtype == torch.bool
        with unset_fake_temporarily():
            out.extend(index.nonzero().unbind(1) if is_mask else [index])
    return out


def _grow(case: Case, sizes: CSMConfig, sender: Any) -> None:
    """Train with real tensors, and send the growth of this process in bytes."""
    with tempfile.TemporaryDirectory() as folder:
        find_processes("cpu")
        before = _peak()
        training = new_training(case, sizes, Path(folder), "cpu")
        training.run()
    sender.send(_peak() - before)


def _peak() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    main()
