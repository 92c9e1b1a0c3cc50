"""Parity at csm-1b's true size; not a part of the test suite: it needs 4 GB of disk, 8 of memory.

    python -m tests.parity.full_size [FOLDER]

transformers writes a random CSM of csm-1b's shapes in bf16, and its logits in fp32. Ours loads it
in bf16 within 4.5 GB and generates two frames, and in fp32 gives the same logits to 1e-4. Each
step is a process of its own, so that its memory is measured alone. A FOLDER keeps the checkpoint.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

MAX_GB = 4.5
TOLERANCE = 1e-4
EXPECTED = "expected.pickle"


def write(folder: Path) -> None:
    """A random model at true size, by transformers."""
    from transformers import CsmConfig, CsmForConditionalGeneration

    from causerie.checkpoint import configs
    from causerie.config import MimiConfig, csm_1b
    from tests import llama_tokenizer

    exported = configs.csm_to_transformers(csm_1b(), MimiConfig())
    with torch.device("meta"):
        model = CsmForConditionalGeneration(CsmConfig(**exported)).to(torch.bfloat16)
    model.to_empty(device="cpu")
    model.tie_weights()
    torch.manual_seed(0)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name.endswith("initialized"):
                tensor.fill_(1)
            elif name.endswith("cluster_usage"):
                tensor.uniform_(0.2, 3.2)
            elif "norm" in name and name.endswith("weight"):
                tensor.uniform_(0.9, 1.1)
            else:
                tensor.uniform_(-0.05, 0.05)
    model.save_pretrained(folder)
    llama_tokenizer.build().save(str(folder / "tokenizer.json"))


def generate(folder: Path) -> None:
    """Two frames in bf16, within the documented memory."""
    from causerie.checkpoint import load
    from causerie.nn.kv_cache import KVCache

    before, start = _peak_gb(), time.perf_counter()
    checkpoint = load(folder, dtype=torch.bfloat16)
    loaded = _peak_gb()
    print(f"loaded in {time.perf_counter() - start:.1f} s, {before:.2f} → {loaded:.2f} GB")
    model = checkpoint.model
    config = model.config
    ids = checkpoint.tokenizer.encode("This is a test sentence.", 0)
    frames = torch.zeros(1, len(ids), config.num_codebooks + 1, dtype=torch.long)
    frames[0, :, -1] = torch.tensor(ids)
    mask = torch.zeros_like(frames, dtype=torch.bool)
    mask[..., -1] = True
    backbone = KVCache(config.backbone, 1, 64, dtype=torch.bfloat16)
    depth = KVCache(config.depth, 1, config.num_codebooks, dtype=torch.bfloat16)
    with torch.inference_mode():
        hidden, codes = model.prefill(frames, mask, backbone), []
        for _ in range(2):
            codes.append(
                model.depth_decode(hidden, depth, lambda logits, _: logits[:, :2048].argmax(-1))
            )
            hidden = model.backbone_step(codes[-1], backbone)
        pcm = checkpoint.codec.decode(torch.stack(codes, dim=-1))
    assert pcm.shape == (1, 1, 2 * 1920)
    assert pcm.isfinite().all()
    peak = _peak_gb()
    print(f"two frames generated, peak {peak:.2f} GB")
    assert peak < MAX_GB, f"peak of {peak:.2f} GB exceeds {MAX_GB} GB"


def prompt() -> tuple[torch.Tensor, torch.Tensor]:
    """Eight text ids, and the codes of sixteen audio rows, one of them a stop row."""
    torch.manual_seed(1)
    text, codes = torch.randint(128_000, (8,)), torch.randint(2048, (16, 32))
    codes[9] = 0
    return text, codes


def refer(folder: Path) -> None:
    """The logits of transformers for the prompt, in fp32."""
    from transformers import CsmForConditionalGeneration

    model = CsmForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    text, codes = prompt()
    with torch.inference_mode():
        rows = (model.embed_text_tokens(text), model.backbone_model.embed_tokens(codes[None])[0])
        out = model(inputs_embeds=torch.cat(rows)[None], output_hidden_states=True)
        states = out.hidden_states[-1][0, 7:-1]
        depth = model.depth_decoder(
            input_ids=nn.functional.pad(codes[:, :-1], (1, 0)), backbone_last_hidden_state=states
        )
    torch.save({"first": out.logits, "rest": depth.logits}, folder / EXPECTED)


def compare(folder: Path) -> None:
    """Logits of ours in fp32 against those of `refer`."""
    from causerie.checkpoint import load

    model = load(folder).model
    text, codes = prompt()
    frames = torch.zeros(1, 24, 33, dtype=torch.long)
    mask = torch.zeros_like(frames, dtype=torch.bool)
    frames[0, :8, -1], frames[0, 8:, :-1] = text, codes
    mask[0, :8, -1], mask[0, 8:, :-1] = True, True
    expected = torch.load(folder / EXPECTED)
    with torch.inference_mode():
        hidden = model.backbone(model.embed_frames(frames, mask))
        _report("codebook 0", model.codebook0_head(hidden), expected["first"])
        _report("the others", model.depth_logits(hidden[0, 7:-1], codes), expected["rest"])


def _report(what: str, ours: torch.Tensor, theirs: torch.Tensor) -> None:
    difference, scale = (ours - theirs).abs().max().item(), theirs.abs().mean().item()
    print(f"{what}: largest difference {difference:.1e}, mean size {scale:.2f}")
    assert difference < TOLERANCE, f"{what}: {difference} exceeds {TOLERANCE}"


def _peak_gb() -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def _run(step: Callable[[Path], None], folder: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=step, args=(folder,))
    process.start()
    process.join()
    if process.exitcode:
        sys.exit(f"{step.__name__} failed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", nargs="?", type=Path, help="where the checkpoint is kept")
    kept = parser.parse_args().folder
    with tempfile.TemporaryDirectory() as temporary:
        folder = kept or Path(temporary)
        if not (folder / "config.json").is_file():
            _run(write, folder)
        for step in (generate, refer, compare):
            _run(step, folder)


if __name__ == "__main__":
    main()
