"""What is recorded touches the device's memory only: on the meta device, in place of a GPU.

A copy from the host's memory would fail within a capture of a CUDA graph, or would be repeated with
memory that is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from causerie.config import MimiConfig
from causerie.engine.runners.batched import BatchedRunner
from tests import tiny
from tests.engine.counting import Watch

NUM_SLOTS, MAX_ROWS = 3, 100


class NoHost(Watch):
    """Refuses tensors that are on no device."""

    def see(self, func: Any, args: Any, kwargs: Mapping[str, Any], out: Any) -> None:
        """See `Watch`."""
        for leaf in tree_leaves((args, kwargs, out)):
            where = leaf.device.type if isinstance(leaf, Tensor) else "meta"
            assert where == "meta", f"{func} has a tensor on the {where}"


@contextmanager
def no_host() -> Iterator[None]:
    """Refuse the host's tensors, and `torch.tensor`, which copies numbers from the host."""
    copies = AssertionError("torch.tensor has a tensor on the cpu")
    with NoHost(), mock.patch.object(torch, "tensor", side_effect=copies):
        yield


@pytest.mark.parametrize("codec_config", [tiny.mimi_config, tiny.source_filter_config])
@pytest.mark.parametrize("options", [{}, {"depth_int8": True}, {"speaks_at_once": True}])
@torch.inference_mode()
def test_nothing_is_on_the_host(
    options: dict[str, Any], codec_config: Callable[[], MimiConfig]
) -> None:
    model, codec = tiny.csm().to("meta"), tiny.mimi(config=codec_config()).to("meta")
    runner = BatchedRunner(model, codec, num_slots=NUM_SLOTS, max_rows=MAX_ROWS, **options)
    with no_host():
        runner._read_of(MAX_ROWS)
        runner._hidden_of(NUM_SLOTS, MAX_ROWS)
        runner._drawn(NUM_SLOTS, tiny.CODEBOOK_SIZE)
        runner._drawn(1, 0)
        runner._sound_of(NUM_SLOTS)


def test_what_is_on_the_host_is_found() -> None:
    given = torch.zeros(2, device="meta")
    for compute in (
        lambda: given + torch.ones(2).to("meta"),
        lambda: given + torch.tensor([1.0, 2.0], device="meta"),
        lambda: torch.arange(2),
    ):
        with pytest.raises(AssertionError, match="on the cpu"), no_host():
            compute()
