"""CSM's equalities: cached = uncached, stepwise = teacher-forced, batched = alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from causerie.config import LlamaConfig, RopeScaling, csm_1b
from causerie.model.csm import CSM, loss
from causerie.nn.kv_cache import KVCache
from causerie.nn.rope import inverse_frequencies, rotate, rotation
from tests import tiny

CLOSE = {"atol": 2e-5, "rtol": 1e-4}


@pytest.fixture(scope="module")
def model() -> CSM:
    return tiny.csm()


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def caches(model: CSM, batch: int) -> tuple[KVCache, KVCache]:
    config = model.config
    return (
        KVCache(config.backbone, batch, config.max_frames),
        KVCache(config.depth, batch, config.num_codebooks),
    )


@torch.no_grad()
@pytest.mark.parametrize("cuts", [[11], [1] * 11, [4, 1, 6], [3, 3, 5]])
def test_prefill_in_pieces_is_one_forward(model: CSM, cuts: list[int]) -> None:
    frames, mask = tiny.frames(model.config)
    whole = model.backbone(model.embed_frames(frames, mask))
    cache, _ = caches(model, 2)
    done = 0
    for size in cuts:
        end = done + size
        hidden = model.prefill(frames[:, done:end], mask[:, done:end], cache)
        torch.testing.assert_close(hidden, whole[:, end - 1], **CLOSE)
        done = end
    assert cache.length == 11


@torch.no_grad()
def test_steps_are_prefill(model: CSM) -> None:
    frames, mask = tiny.frames(model.config, "tttaaaas")
    one, _ = caches(model, 2)
    hidden = model.prefill(frames, mask, one)
    other, _ = caches(model, 2)
    stepped = model.prefill(frames[:, :3], mask[:, :3], other)
    for row in range(3, 8):
        stepped = model.backbone_step(frames[:, row, :-1], other)
    torch.testing.assert_close(stepped, hidden, **CLOSE)
    torch.testing.assert_close(other.keys, one.keys, **CLOSE)


@torch.no_grad()
def test_depth_steps_are_teacher_forced(model: CSM) -> None:
    hidden = torch.randn(3, model.config.backbone.dim)
    _, cache = caches(model, 3)
    seen: list[Tensor] = []

    def random(logits: Tensor, codebook: int) -> Tensor:
        assert codebook == len(seen)
        seen.append(logits)
        return torch.randint(logits.shape[-1], logits.shape[:1])

    for _ in range(2):  # the second time over a used cache
        seen.clear()
        codes = model.depth_decode(hidden, cache, random)
        assert codes.shape == (3, model.config.num_codebooks)
        forced = model.depth_logits(hidden, codes)
        torch.testing.assert_close(torch.stack(seen[1:], dim=1), forced, **CLOSE)
        torch.testing.assert_close(seen[0], model.codebook0_head(hidden))


@torch.no_grad()
def test_forward_predicts_the_next_row(model: CSM) -> None:
    frames, mask = tiny.frames(model.config)
    predicted = mask[..., 0].clone()
    first, rest = model(frames, mask, predicted)
    whole = model.backbone(model.embed_frames(frames, mask))
    index = 0
    for b, s in predicted.nonzero().tolist():
        torch.testing.assert_close(first[index], model.codebook0_head(whole[b, s - 1]), **CLOSE)
        forced = model.depth_logits(whole[b, s - 1][None], frames[b, s, :-1][None])[0]
        torch.testing.assert_close(rest[index], forced, **CLOSE)
        index += 1
    assert index == len(first) == len(rest)


@torch.no_grad()
def test_padding_on_the_right_changes_nothing(model: CSM) -> None:
    frames, mask = tiny.frames(model.config)
    cut = model.backbone(model.embed_frames(frames[:, :6], mask[:, :6]))
    whole = model.backbone(model.embed_frames(frames, mask))
    torch.testing.assert_close(whole[:, :6], cut, **CLOSE)


@torch.no_grad()
def test_masked_slots_count_for_nothing(model: CSM) -> None:
    frames, mask = tiny.frames(model.config)
    noise = torch.randint_like(frames, tiny.CODEBOOK_SIZE)
    embedded = model.embed_frames(frames, mask)
    assert torch.equal(embedded, model.embed_frames(torch.where(mask, frames, noise), mask))
    # a stop row is the sum of K embeddings, not nothing
    assert embedded[0, 6].abs().sum() > 0


def test_loss_is_the_mean_of_its_rows(model: CSM) -> None:
    frames, mask = tiny.frames(model.config)
    predicted = mask[..., 0].clone()
    kept = predicted & (torch.rand(predicted.shape) < 0.5)
    kept[0, 3] = True
    first, rest = loss(model, frames, mask, predicted, kept)
    logits, _ = model(frames, mask, predicted)
    expected = -logits.log_softmax(-1).gather(1, frames[predicted][:, :1]).mean()
    torch.testing.assert_close(first, expected)
    _, depth_logits = model(frames, mask, kept)
    picked = depth_logits.log_softmax(-1).gather(2, frames[kept][:, 1:-1, None])
    torch.testing.assert_close(rest, -picked.mean())
    (first + rest).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    model.zero_grad()


def test_no_acoustic_rows_cost_nothing(model: CSM) -> None:
    frames, mask = tiny.frames(model.config)
    predicted = mask[..., 0]
    first, rest = loss(
        model,
        frames,
        mask,
        predicted,
        torch.zeros_like(predicted),
        codebook_weights=torch.ones(tiny.NUM_CODEBOOKS - 1),
    )
    assert rest.item() == 0
    (first + rest).backward()
    assert model.audio_heads.grad is not None
    assert not model.audio_heads.grad.any()
    assert model.codebook0_head.weight.grad is not None
    assert model.codebook0_head.weight.grad.isfinite().all()
    model.zero_grad()


def test_size_of_csm_1b() -> None:
    with torch.device("meta"):
        model = CSM(csm_1b())
    assert sum(p.numel() for p in model.parameters()) == 1_552_791_552
    assert sum(p.numel() for p in model.backbone.parameters()) == 973_146_112
    assert sum(p.numel() for p in model.depth.parameters()) == 111_158_272


def test_a_full_cache_is_refused(model: CSM) -> None:
    frames, mask = tiny.frames(model.config)
    cache = KVCache(model.config.backbone, 2, 10)
    with pytest.raises(AssertionError, match="cache of 10 positions is full"):
        model.prefill(frames, mask, cache)


# -- rotary embedding ------------------------------------------------------------------------

# torchtune's Llama3ScaledRoPE for the backbone of csm-1b.
GOLDEN = """
1 .663601279 .440366626 .292227834 .193922758 .128687382 .0853971019 .0566696189 .0376060307
.0249554086 .0165604409 .0109895291 .00729266508 .00483942125 .00321144611 .00129054801
.000429556705 9.70828623e-05 1.94616387e-05 1.29147675e-05 8.57025589e-06 5.68723226e-06
3.77405445e-06 2.50446715e-06 1.66196742e-06 1.10288363e-06 7.31874934e-07 4.85673127e-07
3.22293289e-07 2.1387423e-07 1.41927202e-07 9.41830649e-08
"""


def frequencies(config: LlamaConfig, scaling: RopeScaling | None = None) -> Tensor:
    scaling = scaling or config.rope_scaling
    return inverse_frequencies(config.head_dim, config.rope_theta, scaling)


def test_frequencies_of_csm_1b() -> None:
    golden = torch.tensor([float(value) for value in GOLDEN.split()])
    torch.testing.assert_close(frequencies(csm_1b().backbone), golden, atol=0, rtol=1e-6)


@pytest.mark.parametrize(
    ("part", "low", "high", "length"),
    [("backbone", 0.125, 0.5, 1024), ("depth", 0.001953125, 0.0078125, 16)],
)
def test_the_equivalent_scaling_of_the_hub_is_equal_to_the_bit(
    part: str, low: float, high: float, length: int
) -> None:
    config = getattr(csm_1b(), part)
    published = RopeScaling(
        factor=32.0, low_freq_factor=low, high_freq_factor=high, original_length=length
    )
    assert torch.equal(frequencies(config, published), frequencies(config))


def test_angles_are_fp32_in_a_bf16_model() -> None:
    model = tiny.csm()
    model.backbone(torch.zeros(1, 3, 64))
    half = model.to(torch.bfloat16)
    half.backbone(torch.zeros(1, 3, 64, dtype=torch.bfloat16))
    assert {f.dtype for f in half.backbone._frequencies.values()} == {torch.float32}


def test_rotation_keeps_dot_products_of_equal_distances() -> None:
    cos, sin = rotation(torch.arange(2048), frequencies(csm_1b().backbone))
    q, k = torch.randn(2, 1, 1, 1, 64)
    turned_q, turned_k = (rotate(x.expand(1, 1, 2048, 64), cos, sin) for x in (q, k))
    products = (turned_q[0, 0, 7:] * turned_k[0, 0, :-7]).sum(-1)
    torch.testing.assert_close(products, products[:1].expand_as(products), atol=1e-3, rtol=1e-3)
