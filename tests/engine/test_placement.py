"""Where a model runs: the fastest device for it that can run it, and the reason."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from causerie.checkpoint import load
from causerie.cli import app
from causerie.codec.mimi import Mimi
from causerie.config import CSMConfig, MimiConfig, csm_1b, marvis_250m
from causerie.engine import placement
from causerie.engine.frame_cost import calls_ms, frame_launches, native_ms
from causerie.engine.placement import Placement, Wishes, choose_place, cpu_frame_ms
from causerie.engine.runners.choose import fast_formats
from causerie.errors import ConfigError, DeviceMemoryError
from causerie.model.csm import CSM
from causerie.model.sampling import gumbel_noise, sample
from causerie.native import library
from causerie.nn.kv_cache import KVCache
from causerie.tts import TTS
from tests import cards, tiny
from tests.engine.counting import Launches

CPU, ZERO, ONE, MPS = (torch.device(name) for name in ("cpu", "cuda:0", "cuda:1", "mps"))


def on_meta(config: CSMConfig, codec: MimiConfig) -> tuple[CSM, Mimi]:
    with torch.device("meta"):
        return CSM(config), Mimi(codec)


LARGE, MIDDLE = on_meta(csm_1b(), MimiConfig()), on_meta(marvis_250m(), MimiConfig())


@pytest.fixture(scope="module")
def petit() -> tuple[CSM, Mimi]:
    loaded = load("petit")
    return loaded.model, loaded.codec


@pytest.fixture(autouse=True)
def with_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """The native kernels, no cards and no Apple GPU, whatever this machine has."""
    monkeypatch.setattr(library, "problem", lambda: None)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def place(
    models: tuple[CSM, Mimi], stored: torch.dtype = torch.float32, **wishes: object
) -> Placement:
    return choose_place(*models, stored, Wishes(name="csm-1b", **{"num_slots": 8, **wishes}))  # type: ignore[arg-type]


def test_a_small_model_stays_on_the_cpu(
    petit: tuple[CSM, Mimi], monkeypatch: pytest.MonkeyPatch
) -> None:
    cards.install(monkeypatch, cards.H100)
    found = place(petit)
    assert (found.device, found.dtype) == (CPU, torch.float32)
    assert "ms for a frame of 80 ms (estimated), so no card is needed" in found.reason
    assert place(petit, device="cuda").device == torch.device("cuda")  # if it is asked for


@pytest.mark.parametrize("models", [LARGE, MIDDLE], ids=["csm-1b", "marvis"])
def test_a_large_model_takes_the_card(
    models: tuple[CSM, Mimi], monkeypatch: pytest.MonkeyPatch
) -> None:
    cards.install(monkeypatch, cards.RTX_3060)
    found = place(models)
    assert (found.device, found.dtype) == (ZERO, torch.bfloat16)
    assert "the CPU takes about" in found.reason
    assert "estimated" in found.reason


def test_a_card_without_bfloat16_computes_in_float16(monkeypatch: pytest.MonkeyPatch) -> None:
    cards.install(monkeypatch, cards.T4)
    for found in (place(LARGE), place(LARGE, device="cuda:0")):
        assert (found.device, found.dtype) == (ZERO, torch.float16)
        assert found.reason.endswith("in float16, as Tesla T4 has no bfloat16")
    assert place(LARGE, dtype="float32").dtype is torch.float32


def test_cards_that_cannot_run_it_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """One has no kernels, one no memory left; the third one does it, or else the CPU."""
    full = cards.Card("NVIDIA RTX A2000", (8, 6), free=3 * 10**9)
    cards.install(monkeypatch, cards.GTX_1080, full, cards.RTX_4090)
    assert place(LARGE).device == torch.device("cuda:2")
    cards.install(monkeypatch, cards.GTX_1080, full)
    found = place(LARGE)
    assert found.device == CPU
    assert "compute capability 6.1" in found.reason
    assert "csm-1b in bfloat16 and 8 streams need 4." in found.reason
    assert "cuda:1 has 3.0 free" in found.reason


def test_a_full_card_that_is_asked_for_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    cards.install(monkeypatch, cards.Card("NVIDIA RTX A2000", (8, 6), free=5_800_000_000))
    assert place(LARGE, device="cuda:0").device == ZERO
    with pytest.raises(DeviceMemoryError) as caught:
        place(LARGE, device="cuda:0", num_slots=64)
    line = str(caught.value)
    assert line.startswith("csm-1b in bfloat16 and 64 streams need ")
    assert "GB, cuda:0 has 5.8 free: --max-streams " in line
    assert line.endswith(", or --device cpu")
    most = int(line.partition("--max-streams ")[2].partition(",")[0])
    assert place(LARGE, device="cuda:0", num_slots=most).device == ZERO
    with pytest.raises(DeviceMemoryError):
        place(LARGE, device="cuda:0", num_slots=most + 1)


def test_no_cuda_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    found = place(LARGE)
    assert found.device == CPU
    assert "no CUDA: torch" in found.reason
    with pytest.raises(ConfigError, match="was installed without CUDA"):
        place(LARGE, device="cuda")


def test_formats_of_the_native_kernels_need_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    cards.install(monkeypatch, cards.H100)
    found = place(LARGE, torch.bfloat16, backbone_format="int8", depth_format="int4")
    assert (found.device, found.dtype) == (CPU, torch.bfloat16)
    assert "int8 and int4" in found.reason
    assert place(LARGE, depth_format="int8").device == ZERO  # Triton's kernels store it


def test_fast_formats_count_on_the_cpu_and_leave_a_card_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, bf16 = LARGE[0], torch.bfloat16
    slow, fast = (
        cpu_frame_ms(model, bf16, Wishes(name="csm-1b", fast=one)) for one in (False, True)
    )
    assert 0.25 * slow < fast < 0.4 * slow
    cards.install(monkeypatch, cards.H100)
    assert place(LARGE, fast=True).device == ZERO
    assert fast_formats(ZERO) == ("auto", "auto")


def test_without_native_kernels_a_card_is_faster_for_any_model(
    petit: tuple[CSM, Mimi], monkeypatch: pytest.MonkeyPatch
) -> None:
    cards.install(monkeypatch, cards.H100)
    monkeypatch.setattr(library, "problem", lambda: "they were not built")
    assert place(petit).device == ZERO


def test_apples_gpu_where_its_calls_are_faster(
    petit: tuple[CSM, Mimi], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was the default for every model: by calls, a frame of petit takes it far longer."""
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    found = place(LARGE)
    assert (found.device, found.dtype) == (MPS, torch.float32)
    assert "mps about" in found.reason
    assert "estimated" in found.reason
    assert place(petit).device == CPU
    config = petit[0].config
    assert native_ms(config, "float32", "float32") < calls_ms(config, "float32", "mps") / 4
    monkeypatch.setattr(placement, "calls_ms", lambda *_: 10**6)
    refused = place(LARGE)
    assert refused.device == CPU
    assert "mps would take about" in refused.reason
    assert place(LARGE, device="mps").device == MPS  # the setting decides


def test_launches_are_those_counted(petit: tuple[CSM, Mimi]) -> None:
    """Of the plain model: within a tenth, for models of two sizes."""
    for model, codec in (LARGE, petit):
        with torch.device("meta"):
            model, codec = CSM(model.config), Mimi(codec.config)
        config = model.config
        meta = torch.device("meta")
        codes = torch.zeros(1, config.num_codebooks, dtype=torch.int64, device="meta")
        state, size = codec.new_decoder_state(), codec.config.codebook_size
        for _ in range(2):  # the first frame makes tables, too
            parts = (config.backbone, config.depth)
            cache, inner = (KVCache(part, 1, 200, device=meta) for part in parts)
            cache.length = 100
            counted = Launches()
            with torch.inference_mode(), counted:
                hidden = model.backbone_step(codes, cache)
                noise = gumbel_noise(codes[:, 0], 0, config.num_codebooks, size)

                def draw(logits: Tensor, i: int, noise: Tensor = noise, size: int = size) -> Tensor:
                    return sample(logits[:, :size], 0.9, 50, noise[:, i])

                model.depth_decode(hidden, inner, draw)
                codec.decode_step(codes[..., None], state)
        assert frame_launches(config) == pytest.approx(counted.count, rel=0.1)


def test_a_loaded_model_knows_its_place(tmp_path: Path) -> None:
    tts = TTS.from_pretrained("petit", device="auto")
    assert tts.placement is not None
    assert tts.placement.device == CPU
    assert tts.checkpoint.model.projection.weight.device == CPU
    assert TTS(tiny.checkpoint()).placement is None


def test_info_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    cards.install(monkeypatch, cards.GTX_1080, cards.RTX_4090)
    done = CliRunner().invoke(app, ["info"])
    assert done.exit_code == 0, done.output
    lines = {line[:16].strip(): line[16:].strip() for line in done.stdout.splitlines()}
    assert "cuda:0: NVIDIA GeForce GTX 1080 has compute capability 6.1" in lines["CUDA"]
    assert "cuda:1: NVIDIA GeForce RTX 4090, 24.0 of 48.0 GB free" in lines["CUDA"]
    assert lines["device"].startswith("cpu: the CPU takes about 2.3 ms for a frame of 80 ms")
