"""Numbers of kernels that a frame launches: on a GPU they set the time of a frame of one stream."""

from __future__ import annotations

import pytest

pytest.importorskip("triton", reason="Triton is for Linux")

from causerie.config import csm_1b
from tests.engine.runners.launches import launches

pytestmark = pytest.mark.slow

PASSES, LAYERS = 31, 4


def test_one_stream_of_csm_1b() -> None:
    """A pass of the depth decoder is 17 kernels: four for each layer, and one that draws."""
    reading, drawing = launches(csm_1b(), 1, kernel_slots=8)
    each = PASSES * LAYERS
    assert drawing.triton == {
        "noise": 1, "sample": 1, "query_key_value": each, "attend_add_product": each,
        "gate_up": each, "add_product": each, "head_sample": PASSES,
    }  # fmt: skip
    assert reading.triton.total() == 16 * 5
    assert reading.torch.total() + drawing.torch.total() <= 20


def test_codes_of_a_large_batch() -> None:
    """They are drawn by 33 kernels in place of 22 operations for each codebook, and more."""
    _, by_torch = launches(csm_1b(), 16, kernel_slots=0)
    _, by_kernels = launches(csm_1b(), 16, kernel_slots=8)
    assert by_kernels.triton == {"noise": 1, "sample": 32}
    assert by_torch.total - by_kernels.total > 600
    assert not {"aten.topk", "aten.argmax", "aten.log"} & by_kernels.torch.keys()
