"""The training loss against that of transformers, and the result of training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import transformers
from torch import Tensor

from causerie.checkpoint import Checkpoint, load, save_transformers
from causerie.train.lm.batches import collate
from causerie.train.lm.config import LMConfig, LMRecipe, Samples
from causerie.train.lm.objective import Objective
from causerie.train.lm.run import train_lm
from causerie.train.lm.samples import Example
from tests.parity.references import AUDIO_EOS_ID, AUDIO_ID
from tests.parity.test_csm import Prompt, assert_same_model
from tests.train.shards import write_shards

CLOSE = {"atol": 1e-5, "rtol": 1e-5}


class Conversation:
    """A conversation as our training has it, and with the labels of transformers.

    Every second frame is left out of the depth loss.
    """

    def __init__(self, ours: Checkpoint, num_frames: tuple[int, int]) -> None:
        self.prompt = prompt = Prompt(ours, num_frames)
        self.labels = torch.full_like(prompt.input_ids, -100)
        self.labels[prompt.is_audio] = AUDIO_ID
        self.labels[prompt.is_stop] = AUDIO_EOS_ID
        left_out = prompt.is_audio.nonzero()[::2]
        self.labels[left_out[:, 0], left_out[:, 1]] = -101
        rows = torch.where(prompt.mask, prompt.frames, -1)[0].numpy()
        learned = rows[:, 0] >= 0
        kept = learned & (self.labels[0] != -101).numpy()
        self.example = Example(rows, rows, learned, kept)
        self.counts = np.array([learned.sum(), kept.sum()])

    def theirs(
        self, reference: transformers.CsmForConditionalGeneration, **options: float
    ) -> Tensor:
        """Their losses of codebook 0 and of the others."""
        out = reference(**self.prompt.for_transformers(), labels=self.labels, **options)
        assert torch.allclose(out.loss, out.backbone_loss + out.depth_decoder_loss)
        return torch.stack((out.backbone_loss, out.depth_decoder_loss))


@torch.no_grad()
def test_parts_of_a_batch_add_up_to_the_mean_of_transformers(
    reference: transformers.CsmForConditionalGeneration, ours: Checkpoint
) -> None:
    batch = [Conversation(ours, (4, 3)), Conversation(ours, (2, 6))]
    counts = sum(conversation.counts for conversation in batch)
    objective = Objective(ours.model, autocast=False)
    found, expected = torch.zeros(3), torch.zeros(2)
    for conversation in batch:
        inputs = vars(collate([conversation.example])).values()
        found += torch.stack(objective(*inputs, *counts.astype(float)))
        weights = torch.from_numpy(conversation.counts / counts).float()
        expected += weights * conversation.theirs(reference)
    torch.testing.assert_close(found[1:], expected, **CLOSE)
    torch.testing.assert_close(found[0], expected.sum(), **CLOSE)


@torch.no_grad()
def test_where_transformers_is_wrong_ours_differs(
    reference: transformers.CsmForConditionalGeneration, ours: Checkpoint
) -> None:
    """Its Trainer gives the number of labelled frames, by which it then divides both sums."""
    conversation = Conversation(ours, (4, 3))
    labelled, kept = conversation.counts.tolist()
    theirs = conversation.theirs(reference, num_items_in_batch=labelled)
    objective = Objective(ours.model, autocast=False)
    inputs = vars(collate([conversation.example])).values()
    total, first, rest = objective(*inputs, float(labelled), float(kept))
    num_acoustic = ours.model.config.num_codebooks - 1
    torch.testing.assert_close(theirs[0], first, **CLOSE)
    torch.testing.assert_close(theirs[1], rest * num_acoustic * kept / labelled, **CLOSE)
    assert theirs.sum() > 1.5 * total


def test_a_trained_model_is_the_same_in_transformers(folder: Path, tmp_path: Path) -> None:
    base = load(folder)
    data = write_shards(tmp_path / "shards", base.codec)
    samples = Samples(batch=3, depth_share=0.5)
    recipe = LMRecipe(steps=3, lr=1e-2, warmup=1, precision="fp32", samples=samples)
    config = LMConfig(
        base=str(folder), data=str(data), out=str(tmp_path / "out"), recipe=recipe, device="cpu"
    )
    written = train_lm(config)
    assert written is not None
    trained = load(written)
    moved = trained.model.codebook0_head.weight - base.model.codebook0_head.weight
    assert moved.abs().max() > 1e-3
    save_transformers(tmp_path / "theirs", trained)
    theirs = transformers.CsmForConditionalGeneration.from_pretrained(tmp_path / "theirs").eval()
    assert_same_model(theirs, trained, Prompt(trained))
