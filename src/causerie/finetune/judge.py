"""Measures the base and every checkpoint alike: by speech in the new voice, and by held-out loss.

All speak the same sentences with the same seeds after the same prompt, so what differs is what the
training did. Figures that exist already are read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from causerie.audio.audio import Audio
from causerie.checkpoint.load import Checkpoint
from causerie.data.shards import SpeechData, Turn
from causerie.evaluate import similarity
from causerie.evaluate.clip import Clip
from causerie.evaluate.round_trip import round_trip
from causerie.evaluate.run import Tell, evaluate
from causerie.evaluate.sentences import HELD_OUT, read_sentences
from causerie.evaluate.tools import Tools
from causerie.train.lm.config import LMConfig, Samples
from causerie.train.lm.corpus import Corpus
from causerie.train.lm.held_out import held_out_losses
from causerie.train.lm.objective import Objective
from causerie.train.lm.samples import ConversationSampler, Script
from causerie.tts import TTS
from causerie.voices import Voice

#: Where a checkpoint's report and samples are.
EVALUATION = "evaluation"


@dataclass(frozen=True, kw_only=True)
class Judge:
    """What all are measured by.

    Attributes:
        config: of the training; `watch` says what is spoken and which metrics judge.
        voice: the new one.
        like: sound of the held-out sentences.
        prompt, held_out: turns; the loss is that of each of the latter after all of the former.
        data: holds their codes.
        tell: is told how far it is.
    """

    config: LMConfig
    voice: Voice
    like: Sequence[Audio]
    prompt: Sequence[Turn]
    held_out: Sequence[Turn]
    data: SpeechData
    tools: Tools
    tell: Tell

    def __call__(self, folder: Path) -> Mapping[str, float]:
        """Figures of the checkpoint in a folder, to which report and samples are added."""
        return self.measure(TTS.from_pretrained(folder, device=self.config.device), folder)

    def measure(self, tts: TTS, out: Path) -> dict[str, float]:
        """Figures of a model; its report and samples go to a folder in `out`."""
        watch = self.config.watch
        report = evaluate(
            tts,
            read_sentences(Path(watch.sentences) if watch.sentences else HELD_OUT),
            voices=[self.voice],
            count=watch.count,
            only=watch.metrics,
            out=out / EVALUATION,
            like={self.voice.name: self.like},
            tools=self.tools,
            tell=self.tell,
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
        objective = Objective(model, autocast=recipe.precision == "bf16")
        return held_out_losses(objective, examples, recipe.micro_rows)

    def _corpus(self, checkpoint: Checkpoint) -> Corpus:
        """Turns of the prompt, then those that are held out."""
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


def ceilings(
    like: Sequence[Audio], base: Checkpoint, tools: Tools, *, recorded: bool
) -> dict[str, float]:
    """How similar held-out recordings are to each other, as they are and after the codec.

    Each is compared with all others, as generated speech is with all of them. No model with this
    codec, as it is, can be expected to go far beyond the second.

    Args:
        recorded: whether they are recordings; what was decoded from codes is after the codec.
    """
    kinds = {"decoded recordings": list(like)}
    if recorded:
        num_codebooks = base.model.config.num_codebooks
        after = [round_trip(base.codec, audio, num_codebooks) for audio in like]
        kinds = {"recordings": list(like), "recordings after codec": after}
    found = {}
    for name, sounds in kinds.items():
        clips = [
            Clip(text="", audio=sound, voice=str(n), like=(*like[:n], *like[n + 1 :]))
            for n, sound in enumerate(sounds)
        ]
        found[name] = similarity.measure(clips, tools).numbers["similarity"]
    return found
