"""Measures the quality cost of weight formats and of fewer codebooks.

    python benchmarks/quality.py                        petit, all settings, 50 sentences
    python benchmarks/quality.py --count 5 --only fp32,int4 --no-words

Each setting of the native kernels is compared with the plain model in fp32 in two ways. First,
both get the frames of the plain model, one by one, and their distributions of the next codes are
compared: the divergence (KL, in nats) of codebook 0 and of the acoustic codebooks, and how often
the top code is the same. Second, each setting speaks, and `causerie eval` measures its word error
rate, similarity to the voice's prompt, and endings.

Prints one JSON object per setting, then a table. A setting is a format, or backbone+depth, with /n
for n sampled codebooks: bf16, bf16+int4, fp32/2; or gpu-int8, the 8-bit depth decoder of a GPU,
computed by the plain model in fp32.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import json
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causerie.bench.plan import FORMATS, parse_formats
from causerie.checkpoint import Checkpoint, load
from causerie.engine.engine import Engine
from causerie.engine.handle import Handle
from causerie.engine.request import Request
from causerie.engine.runner import Draw
from causerie.engine.runners.native import NativeRunner
from causerie.engine.runners.plain import PlainRunner
from causerie.errors import CauserieError, ConfigError
from causerie.evaluate.run import evaluate
from causerie.evaluate.sentences import read_sentences
from causerie.evaluate.tools import Tools
from causerie.model.csm import CSM
from causerie.native.products import Format
from causerie.nn.int8 import Int8
from causerie.tts import TTS

#: Default settings.
COMPARED = (
    "fp32", "bf16", "int8", "int5", "bf16+int4", "int8+int4", "int5+int4", "int4+int8", "int4",
)  # fmt: skip
#: The setting of a GPU: one scale per row, where native kernels have one per 64 weights.
GPU_INT8 = "gpu-int8"
#: Sentences of the plain model whose frames all settings get.
NUM_GIVEN = 10
COLUMNS = {
    "setting": "",
    "kl_semantic": "KL, codebook 0",
    "kl_acoustic": "KL, others",
    "agreement": "same top code",
    "wer": "WER",
    "similarity": "similarity",
    "stopped": "ended",
    "rtf": "RTF",
}


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Formats of the two transformers, and the number of sampled codebooks, for native kernels."""

    name: str
    formats: tuple[str, str]
    num_codebooks: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Utterance:
    """An utterance of the plain model: the request and its codes (T, K)."""

    request: Request
    codes: NDArray[np.int32]


class RecordingEngine(Engine):
    """An engine that stores its requests."""

    def __init__(self, runner: PlainRunner) -> None:
        super().__init__(runner)
        self.requests: list[Request] = []

    def submit(self, request: Request) -> Handle:
        self.requests.append(request)
        return super().submit(request)


def parse(name: str, num_codebooks: int) -> Setting:
    """Parse the name of a setting, such as bf16+int4/16.

    Raises:
        ConfigError: it is not a setting.
    """
    formats, _, count = name.partition("/")
    try:
        drawn = int(count) if count else num_codebooks
    except ValueError as error:
        raise ConfigError(f"no setting {name!r}: give one such as bf16+int4/16") from error
    if not 2 <= drawn <= num_codebooks:
        raise ConfigError(f"{name}: the number of codebooks must be 2 to {num_codebooks}")
    (pair,) = parse_formats(formats)
    return Setting(name=name, formats=pair, num_codebooks=drawn)


def usual_settings(num_codebooks: int) -> list[str]:
    """All formats, and fp32 with three quarters, a half and a quarter of the codebooks."""
    fewer = {max(2, num_codebooks * part // 4) for part in (1, 2, 3)} - {num_codebooks}
    return [*COMPARED, GPU_INT8, *(f"fp32/{count}" for count in sorted(fewer, reverse=True))]


def new_runner(checkpoint: Checkpoint, setting: Setting, threads: int) -> NativeRunner:
    """The native runner of a setting."""
    return NativeRunner(
        checkpoint.model,
        checkpoint.codec,
        1,
        backbone_format=cast(Format, setting.formats[0]),
        depth_format=cast(Format, setting.formats[1]),
        num_codebooks=setting.num_codebooks,
        num_threads=threads,
    )


@torch.no_grad()
def rounded(checkpoint: Checkpoint) -> Checkpoint:
    """A copy whose depth decoder has weights rounded to 8 bits."""
    model: CSM = copy.deepcopy(checkpoint.model)
    for name, weights in model.depth.named_parameters():
        if name.endswith("proj.weight"):
            weights.copy_(Int8.of(weights).to(weights.dtype))
    heads = model.audio_heads.transpose(1, 2)  # one row per code
    heads.copy_(Int8.of(heads).to(heads.dtype))
    return dataclasses.replace(checkpoint, model=model)


def speak(checkpoint: Checkpoint, sentences: Sequence[str]) -> list[Utterance]:
    """Speak sentences by the plain model; its voices take turns."""
    engine = RecordingEngine(PlainRunner(checkpoint.model, checkpoint.codec, 1))
    tts = TTS(checkpoint, engine=engine)
    voices: list[str | None] = [*tts.voices] or [None]
    utterances = []
    for number, sentence in enumerate(sentences):
        audio = tts.generate(
            sentence, voice=voices[number % len(voices)], seed=number, max_duration_s=10
        )
        codes = np.ascontiguousarray(audio.codes.numpy().T, np.int32)
        if len(codes):
            utterances.append(Utterance(request=engine.requests[-1], codes=codes))
    return utterances


@torch.inference_mode()
def plain_logits(checkpoint: Checkpoint, utterance: Utterance) -> Tensor:
    """Logits (T, K, V) of an utterance's frames by the plain model."""
    num_frames, num_prompt = len(utterance.codes), len(utterance.request.rows)
    text = np.full((num_frames, 1), -1, np.int32)
    rows = np.concatenate((utterance.request.rows, np.concatenate((utterance.codes, text), axis=1)))
    frames = torch.from_numpy(rows).long()[None]
    predicted = torch.arange(len(rows))[None] >= num_prompt
    first, others = checkpoint.model(frames.clamp(min=0), frames >= 0, predicted)
    logits = torch.cat((first[:, None], others), dim=1).float()
    return logits[..., : checkpoint.codec.config.codebook_size]


def native_logits(runner: NativeRunner, utterance: Utterance) -> Tensor:
    """Logits (T, n, V) of an utterance's frames by native kernels."""
    runner.reset(0)
    runner.prefill(0, utterance.request.rows)
    sampling = utterance.request.sampling
    out = [
        runner.logits(
            [Draw(slot=0, sampling=sampling, frame=frame)], codes[None, : runner.num_codebooks]
        )[0]
        for frame, codes in enumerate(utterance.codes)
    ]
    runner.reset(0)
    return torch.from_numpy(np.stack(out))


def compare(expected: Sequence[Tensor], found: Sequence[Tensor]) -> dict[str, float]:
    """Compare logits (T, n, V) with the expected ones (T, K, V), over all frames."""
    divergence, same = [], []
    for theirs, ours in zip(expected, found, strict=True):
        kept = theirs[:, : ours.shape[1]]
        log_p, log_q = kept.log_softmax(-1), ours.log_softmax(-1)
        divergence.append((log_p.exp() * (log_p - log_q)).sum(-1))  # (T, n)
        same.append((kept.argmax(-1) == ours.argmax(-1)).float())
    all_ = torch.cat(divergence)
    return {
        "kl_semantic": max(0.0, all_[:, 0].mean().item()),  # rounding may make it negative
        "kl_acoustic": max(0.0, all_[:, 1:].mean().item()),
        "agreement": torch.cat(same).mean().item(),
    }


def score(
    checkpoint: Checkpoint, engine: Engine, sentences: Sequence[str], tools: Tools
) -> dict[str, float]:
    """Evaluate the speech of an engine."""
    report = evaluate(
        TTS(checkpoint, engine=engine),
        sentences,
        only=["wer", "similarity", "stopping", "speed"],
        tools=tools,
    )
    return {name: value for name, value in report.numbers.items() if name in COLUMNS}


def to_markdown(found: Sequence[dict[str, Any]]) -> str:
    """The results as a table."""
    columns = [name for name in COLUMNS if any(name in one for one in found)]
    lines = [
        "| " + " | ".join(COLUMNS[name] for name in columns) + " |",
        "|---|" + "---:|" * (len(columns) - 1),
    ]
    for one in found:
        cells = [_cell(name, one.get(name)) for name in columns]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(name: str, value: Any) -> str:
    if value is None:
        return "–"
    if name in ("agreement", "wer", "stopped"):
        return f"{value:.1%}".replace("%", " %")
    return f"{value:.2g}" if isinstance(value, float) else str(value)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print all comparisons; return 2 if an argument is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", nargs="?", default="petit")
    parser.add_argument("--only", help=f"settings, separated by commas: {', '.join(FORMATS)}, …")
    parser.add_argument("--count", type=int, default=50, help="sentences per setting")
    parser.add_argument(
        "--given",
        type=int,
        default=NUM_GIVEN,
        help="sentences whose frames all get",
    )
    parser.add_argument("--no-words", action="store_true", help="compare distributions only")
    parser.add_argument("--threads", type=int, default=0, help="of native kernels; 0 for all")
    options = parser.parse_args(arguments)
    try:
        for line in run(load(options.model), options):
            print(line, flush=True)
    except CauserieError as error:
        print(f"quality: {error}", file=sys.stderr)
        return 2
    return 0


def run(checkpoint: Checkpoint, options: argparse.Namespace) -> Any:
    """Lines of JSON, then the table."""
    num_codebooks = checkpoint.model.config.num_codebooks
    names = options.only.split(",") if options.only else usual_settings(num_codebooks)
    settings = {name: parse(name, num_codebooks) for name in names if name != GPU_INT8}
    sentences, tools = read_sentences()[: options.count], Tools()
    utterances = speak(checkpoint, sentences[: options.given])
    expected = [plain_logits(checkpoint, one) for one in utterances]
    found: list[dict[str, Any]] = []
    if not options.no_words:
        plain = Engine(PlainRunner(checkpoint.model, checkpoint.codec, 1))
        found.append({"setting": "plain fp32"} | score(checkpoint, plain, sentences, tools))
        yield json.dumps(found[-1])
    for name in names:
        one: dict[str, Any] = {"setting": name}
        if name == GPU_INT8:
            coarse = rounded(checkpoint)
            engine = Engine(PlainRunner(coarse.model, coarse.codec, 1))
            one |= {"depth_format": "int8", "num_codebooks": num_codebooks}
            one |= compare(expected, [plain_logits(coarse, each) for each in utterances])
        else:
            setting = settings[name]
            runner = new_runner(checkpoint, setting, options.threads)
            engine = Engine(runner)
            one |= {
                "backbone_format": setting.formats[0], "depth_format": setting.formats[1],
                "num_codebooks": setting.num_codebooks,
            }  # fmt: skip
            one |= compare(expected, [native_logits(runner, each) for each in utterances])
        if not options.no_words:
            one |= score(checkpoint, engine, sentences, tools)
        found.append(one)
        yield json.dumps(one)
    frames = sum(len(one.codes) for one in utterances)
    mean = statistics.mean(len(one.codes) for one in utterances)
    yield to_markdown(found)
    yield (
        f"{checkpoint.name}: {len(sentences)} sentences per setting; divergences over {frames} "
        f"frames of {len(utterances)} sentences, {mean:.0f} each."
    )


if __name__ == "__main__":
    sys.exit(main())
