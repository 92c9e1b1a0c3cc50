"""Measures the base and each checkpoint, by speech in the new voice and by held-out loss.

All speak the same sentences with the same seeds after the same prompt, so differences are due to
training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from causerie.audio.audio import Audio
from causerie.checkpoint.load import Checkpoint
from causerie.data.shards import SpeechData, Turn
from causerie.device import has_fast_bf16
from causerie.evaluate import similarity
from causerie.evaluate.clip import Clip
from causerie.evaluate.round_trip import round_trip
from causerie.evaluate.run import OnProgress, evaluate
from causerie.evaluate.sentences import HELD_OUT, read_sentences
from causerie.evaluate.tools import Tools
from causerie.train.lm.config import LMConfig, Samples
from causerie.train.lm.corpus import Corpus
from causerie.train.lm.held_out import held_out_losses
from causerie.train.lm.objective import Objective
from causerie.train.lm.samples import ConversationSampler, Script
from causerie.tts import TTS
from causerie.voices import Voice

#: Folder of a checkpoint's report and samples.
EVALUATION = "evaluation"


@dataclass(frozen=True, kw_only=True)
class Judge:
    """Measures models in the new voice.

    Attributes:
        config: the training configuration; `watch` has the sentences and the metrics.
        voice: the new voice.
        targets: audio of the held-out sentences, for similarity.
        prompt, held_out: the loss is that of each held-out turn after the prompt's turns.
        data: holds the codes of these turns.
        on_progress: called with the current work, the number of its units done, and their total.
    """

    config: LMConfig
    voice: Voice
    targets: Sequence[Audio]
    prompt: Sequence[Turn]
    held_out: Sequence[Turn]
    data: SpeechData
    tools: Tools
    on_progress: OnProgress

    def __call__(self, folder: Path) -> Mapping[str, float]:
        """Figures of the checkpoint in a folder; writes report and samples there."""
        return self.measure(TTS.from_pretrained(folder, device=self.config.device), folder)

    def measure(self, tts: TTS, out: Path) -> dict[str, float]:
        """Figures of a model; writes report and samples into a folder in `out`."""
        watch = self.config.watch
        report = evaluate(
            tts,
            read_sentences(Path(watch.sentences) if watch.sentences else HELD_OUT),
            voices=[self.voice],
            count=watch.count,
            only=watch.metrics,
            out=out / EVALUATION,
            like={self.voice.name: self.targets},
            tools=self.tools,
            on_progress=self.on_progress,
        )
        return {**report.numbers, **self._losses(tts.checkpoint)}

    def _losses(self, checkpoint: Checkpoint) -> dict[str, float]:
        model = checkpoint.model
        sampler = ConversationSampler(
            self._corpus(checkpoint), checkpoint.tokenizer, Samples(depth_share=1.0),
            max_frames=model.config.max_frames, seed=0,
        )  # fmt: skip
        before = tuple((number,) for number in range(len(self.prompt)))
        examples = [
            sampler.example(Script((*before, (len(before) + number,)), len(before)), number)
            for number in range(len(self.held_out))
        ]
        recipe = self.config.recipe
        autocast = recipe.precision == "bf16" and has_fast_bf16(model.projection.weight.device)
        objective = Objective(model, autocast=autocast)
        return held_out_losses(objective, examples, recipe.micro_rows)

    def _corpus(self, checkpoint: Checkpoint) -> Corpus:
        """The prompt's turns, then the held-out turns."""
        turns = [*self.prompt, *self.held_out]
        num_codebooks = checkpoint.model.config.num_codebooks
        return Corpus(
            words=[turn.text for turn in turns],
            spoken=[checkpoint.front_end(turn.text).text for turn in turns],
            speakers=[turn.speaker for turn in turns],
            num_frames=np.array([turn.num_frames for turn in turns]),
            conversations=[[number] for number in range(len(turns))],
            codes_of=lambda number: self.data.codes_of(turns[number])[:, :num_codebooks],
        )


def recording_similarities(
    targets: Sequence[Audio], base: Checkpoint, tools: Tools, *, recorded: bool
) -> dict[str, float]:
    """Similarity of held-out recordings to each other, as recorded and after the codec.

    Each is compared with all others, as generated speech is with all of them. Unless the codec is
    trained, the second figure is about the most that a model can reach.

    Args:
        recorded: whether the targets are recordings rather than decoded codes.
    """
    kinds = {"decoded recordings": list(targets)}
    if recorded:
        num_codebooks = base.model.config.num_codebooks
        after = [round_trip(base.codec, audio, num_codebooks) for audio in targets]
        kinds = {"recordings": list(targets), "recordings after codec": after}
    found = {}
    for name, sounds in kinds.items():
        clips = [
            Clip(text="", audio=sound, voice=str(n), like=(*targets[:n], *targets[n + 1 :]))
            for n, sound in enumerate(sounds)
        ]
        found[name] = similarity.measure(clips, tools).numbers["similarity"]
    return found
