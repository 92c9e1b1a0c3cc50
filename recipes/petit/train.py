"""Trains `petit`, phase by phase. Every phase resumes if it was killed.

    python recipes/petit/train.py encoder    SPEECH WORK      # 1. encoder and codebooks
    python recipes/petit/train.py recognizer SPEECH WORK      # 2. phone recognizer
    python recipes/petit/train.py codec      SPEECH WORK      # 3. the whole codec
    python recipes/petit/train.py encode     SPEECH WORK      # 4. speech → codes
    python recipes/petit/train.py lm         SPEECH WORK      # 5. text → codes
    python recipes/petit/train.py decoder    SPEECH WORK      # 6. codes → speech
    python recipes/petit/train.py export     SPEECH WORK OUT  # 7. the model folder

SPEECH is the folder that make_all_speech.sh writes. WORK gets the state files and a log of JSON
lines per phase. Phase 6 learns from WORK/targets, which decoder_targets.py writes with the language
model and the codec of phase 3, exported by `--first-decoder`. Phase 7 refuses unfinished phases
without `--unfinished`.

    python recipes/petit/train.py joint      SPEECH WORK      # encoder and decoder together

is for voices that the encoder has heard too little of: it learns to describe them by the codebooks
as they are. Then phases 4, 5 and 7 use its codec; repeat them.

With ``--base MODEL``, such as the shipped `petit`, phases 5, 6 and `refine` start from its weights,
and phases 4 and 7 use its codec; phase 3 starts from its weights if it has Mimi's decoder.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from codec_training.aligned_speech import SpeechFolder
from codec_training.encoder import EncoderRecipe, first_codebooks, train_encoder
from codec_training.phone_recognizer import (
    PhoneRecognizer,
    RecognizerRecipe,
    train_recognizer,
)
from codec_training.source_filter import SourceFilterRecipe, sharpen, train_source_filter
from codec_training.whole_codec import CodecRecipe, finished_weights, train_codec
from encoded_speech import EncodedSpeech
from rich.progress import track
from torch import Tensor

from causerie.checkpoint.load import Checkpoint, GenerationDefaults, load, load_codec
from causerie.checkpoint.save import save
from causerie.codec.mimi import Mimi
from causerie.codec.source_filter import SourceFilter
from causerie.config import CSMConfig, LlamaConfig, MimiConfig, SourceFilterConfig
from causerie.device import has_fast_bf16
from causerie.evaluate.sentences import read_sentences
from causerie.model.csm import CSM
from causerie.prompt import Segment
from causerie.text.front_end import FrontEnd
from causerie.text.tokenizer import TextTokenizer
from causerie.train.lm.config import LMRecipe, Samples
from causerie.train.lm.corpus import Corpus
from causerie.train.lm.training import LMTraining, new_model
from causerie.train.log import Log
from causerie.voices import Voice

HERE = Path(__file__).parent
ASSETS = HERE.parents[1] / "src/causerie/assets/petit"
HELD_OUT = set(read_sentences())

TRAINED_CODEBOOKS = 6  # codebooks in phase 1
NUM_CODEBOOKS = 4  # codebooks of the codec, the first of those
DEFAULT_VOICE = "heart"  # the voice without a prompt
# Repetitions per epoch of single utterances of the other voices; heart has 70 % of the speech.
REPEATED = {
    "bruno": 2, "clara": 3, "mia": 4, "theo": 3, "oscar": 6, "nadia": 6, "ruth": 5,
}  # fmt: skip
# The prompts of the voices: statements that choose_prompts.py found clear. Other voices, and speech
# without these statements, use NUM_PROMPTS statements of about PROMPT_S seconds.
PROMPTS: dict[str, list[str]] = json.loads((HERE / "prompts.json").read_text("utf-8"))
NUM_PROMPTS, PROMPT_S = 2, 3.6

# Settings of a model from nothing. They were run from DECODER on, from the weights of petit 0.1,
# whose encoder, codebooks and language model were trained in more steps, as its model card says.
# JOINT was run in parts, whose schedules ended at steps 3,000, 5,000 and 8,000. Nadia came at step
# 1,000; oscar and nadia, as they are now, came at steps 7,000 and 6,500. REFINED_AGAIN followed in
# three parts of 750, 1,100 and 1,200 steps, with adversarial weights of 0.04, 0.12 and 0.2. LM was
# run with other repetitions (2 for WORLD's voices, 5 for Kokoro's) and 0.37 hours of oscar, then
# for 600 and 500 steps at rates of 6e-4 and 5e-4, with those above and 0.8 hours of him, 14 times
# an epoch in the last 500. The shipped weights are means of those after the last two parts.
ENCODER = EncoderRecipe(steps=2000)
RECOGNIZER = RecognizerRecipe(steps=1500)
CODEC = CodecRecipe(steps=6000, stretched=0.25)
DECODER = SourceFilterRecipe(steps=4000)
JOINT = SourceFilterRecipe(
    steps=8000,
    speaks=True,
    lr=6e-4,
    warmup=100,
    drawn=0.25,
    encoding=EncoderRecipe(
        steps=8000, quantize_from=0, dropout=0.0, spectrum_weight=0.0, phone_weight=0.4
    ),
)
REFINED = SourceFilterRecipe(
    steps=1000,
    speaks=True,
    lr=4e-4,
    drawn=0.15,
    encodes=True,
    favorite=DEFAULT_VOICE,
    favored=4,
)
# From the shipped weights: the targets have their codes, and the discriminator is a new one.
REFINED_AGAIN = dataclasses.replace(
    REFINED,
    steps=3050,
    lr=3e-4,
    warmup=100,
    drawn=0.25,
    encodes=False,
    favored=8,
    adversarial_weight=0.12,
    feature_weight=0.2,
)
LM = LMRecipe(
    steps=900,
    lr=1e-3,
    optimizer="muon",
    warmup=200,
    weight_decay=0.05,
    codebook_weights=(1.3, 0.9, 0.7),
    samples=Samples(
        batch=20,
        turns=(0.7, 0.3),
        joined=(0.6, 0.3, 0.1),
        default_speaker=DEFAULT_VOICE,
        depth_share=0.5,
        any_speaker=0.4,
        history_noise=0.05,
        spelled_sentences=0.3,
        unpunctuated=0.25,
    ),
)

SAMPLING = GenerationDefaults(
    temperature=0.3,
    top_k=10,
    depth_temperature=0.1,
    depth_top_k=10,
    hears_others=False,
    context_s=8.0,
)


def codec_config(num_codebooks: int) -> MimiConfig:
    return MimiConfig(
        num_filters=16,
        dim=256,
        ratios=(4, 5, 6, 8),
        num_layers=3,
        num_heads=4,
        ffn_dim=1024,
        num_codebooks=num_codebooks,
        codebook_size=1024,
        codebook_dim=96,
    )


def model_config(text_vocab_size: int) -> CSMConfig:
    def llama(num_layers: int) -> LlamaConfig:
        return LlamaConfig(
            num_layers=num_layers, dim=256, num_heads=4, num_kv_heads=2, head_dim=64, ffn_dim=768,
            rope_theta=10_000.0, rope_scaling=None,
        )  # fmt: skip

    return CSMConfig(
        backbone=llama(8),
        depth=llama(3),
        num_codebooks=NUM_CODEBOOKS,
        audio_vocab_size=1024 + 3,
        text_vocab_size=text_vocab_size,
    )


def cpu_checkpoint(source: str) -> Checkpoint:
    """The base model, which must have the recipe's phonemes, tokens and sizes."""
    return load(source, device=torch.device("cpu"), dtype=torch.float32)


def fill(model: CSM, weights: dict[str, Tensor]) -> None:
    """Copy weights, possibly of fewer codebooks; other codebooks keep their weights."""
    own = model.state_dict()
    assert own.keys() == weights.keys()
    for name, tensor in weights.items():
        own[name][: len(tensor)].copy_(tensor)  # each codebook is a block of rows


def encoder(speech: Path, work: Path) -> None:
    train_encoder(
        codec_config(TRAINED_CODEBOOKS),
        ENCODER,
        speech,
        work / "encoder",
        on_step=Log(work / "encoder.log"),
    )


def recognizer(speech: Path, work: Path) -> None:
    rate = codec_config(NUM_CODEBOOKS).sample_rate
    train_recognizer(
        RECOGNIZER, speech, work / "recognizer", rate, on_step=Log(work / "recognizer.log")
    )


def listener(work: Path) -> PhoneRecognizer:
    """The phone recognizer of phase 2."""
    found = PhoneRecognizer(codec_config(NUM_CODEBOOKS).sample_rate)
    state = work / "recognizer/state.pt"
    found.load_state_dict(trained(state, "recognizer", RECOGNIZER.steps, unfinished=False))
    return found


def codec(speech: Path, work: Path, base: str | None = None) -> None:
    if base is None:
        weights = first_codebooks(work / "encoder/state.pt", NUM_CODEBOOKS)
    else:
        found = cpu_checkpoint(base).codec
        if found.config != codec_config(NUM_CODEBOOKS):
            sys.exit(
                f"train.py: the codec of {base} has other sizes, {found.config}: train one without "
                "--base"
            )
        weights = {"codec": found.state_dict()}
    train_codec(
        codec_config(NUM_CODEBOOKS),
        CODEC,
        speech,
        listener(work),
        work / "codec",
        start_from=weights,
        on_step=Log(work / "codec.log"),
    )


def first_codec(work: Path, base: str | None = None) -> Mimi:
    """The codec of phase 3, of a codec folder at its place, or of a model."""
    if base is not None:
        return cpu_checkpoint(base).codec
    state = work / "codec/state.pt"
    if not state.exists():
        return load_codec(work / "codec")
    codec = Mimi(codec_config(NUM_CODEBOOKS))
    codec.load_state_dict(finished_weights(state))
    return codec


def with_source_filter(config: MimiConfig) -> MimiConfig:
    return dataclasses.replace(config, decoder=SourceFilterConfig())


def decoder(speech: Path, work: Path, base: str | None = None) -> None:
    first = first_codec(work, base)
    is_new = not isinstance(first.decoder, SourceFilter)
    codec = Mimi(with_source_filter(first.config)) if is_new else first
    if is_new:
        own, trained = codec.state_dict(), first.state_dict()
        codec.load_state_dict({name: trained.get(name, own[name]) for name in own})
    else:
        sharpen(codec.decoder, undo=True)
    train_source_filter(
        codec,
        DECODER,
        work / "targets",
        work / "decoder",
        is_new=is_new,
        on_step=Log(work / "decoder.log"),
    )


def joint(speech: Path, work: Path, base: str | None = None) -> None:
    state = work / "decoder/state.pt"
    codec = Mimi(with_source_filter(codec_config(NUM_CODEBOOKS)))
    codec.load_state_dict(trained(state, "codec", DECODER.steps, unfinished=False))
    train_source_filter(
        codec,
        JOINT,
        work / "targets",
        work / "joint",
        is_new=False,
        recognizer=listener(work),
        on_step=Log(work / "joint.log"),
    )


def refine(speech: Path, work: Path, base: str | None = None) -> None:
    if base is None:
        codec, recipe = encoding_codec(work), REFINED
        state = work / "joint/state.pt"
        discriminator = trained(state, "discriminator", JOINT.steps, unfinished=False)
    else:
        codec, recipe, discriminator = cpu_checkpoint(base).codec, REFINED_AGAIN, None
        sharpen(codec.decoder, undo=True)
    train_source_filter(
        codec,
        recipe,
        work / "targets",
        work / "refined",
        is_new=False,
        discriminator=discriminator,
        recognizer=listener(work),
        on_step=Log(work / "refined.log"),
    )


def encoding_codec(work: Path, base: str | None = None) -> Mimi:
    """The codec of the phase `joint`, if there was one, or the first codec."""
    state = work / "joint/state.pt"
    if not state.exists():
        return first_codec(work, base)
    codec = Mimi(with_source_filter(codec_config(NUM_CODEBOOKS)))
    codec.load_state_dict(trained(state, "codec", JOINT.steps, unfinished=False))
    return codec


class EncodingWorker:
    """Encodes groups of utterances in its own process, on one thread."""

    def __init__(self, speech: Path, work: Path, base: str | None) -> None:
        torch.set_num_threads(1)
        self.codec = encoding_codec(work, base)
        self.folder = SpeechFolder(speech, self.codec.config.sample_rate)

    def __call__(self, group: list[int]) -> list[np.ndarray]:
        """Codes (T, K) of utterances, given by their indexes in the folder."""
        utterances = [self.folder.utterances[index] for index in group]
        frame = self.codec.config.frame_size
        frames = [-(-u.num_samples // frame) for u in utterances]
        pcm = np.stack([self.folder.waveform(u, 0, max(frames) * frame) for u in utterances])
        with torch.autocast("cpu", torch.bfloat16, enabled=has_fast_bf16(torch.device("cpu"))):
            batch = self.codec.encode(torch.from_numpy(pcm)[:, None])
        return [row[:, :n].T.numpy().astype(np.int16) for row, n in zip(batch, frames, strict=True)]


worker: EncodingWorker  # of this process


def start_worker(speech: Path, work: Path, base: str | None) -> None:
    global worker
    worker = EncodingWorker(speech, work, base)


def encode_group(group: list[int]) -> list[np.ndarray]:
    return worker(group)


def encode(speech: Path, work: Path, base: str | None = None) -> None:
    rate = codec_config(NUM_CODEBOOKS).sample_rate
    utterances = SpeechFolder(speech, rate).utterances
    chosen = [index for index, u in enumerate(utterances) if u.text not in HELD_OUT]
    chosen.sort(key=lambda index: utterances[index].num_samples)  # for little padding
    groups = [chosen[start : start + 8] for start in range(0, len(chosen), 8)]
    with ProcessPoolExecutor(
        torch.get_num_threads(),
        multiprocessing.get_context("spawn"),
        start_worker,
        (speech, work, base),
    ) as pool:
        done = track(pool.map(encode_group, groups), "encoding", total=len(groups))
        codes = [code for group in done for code in group]
    encoded = EncodedSpeech.of([utterances[index] for index in chosen], codes)
    encoded.save(work / "codes.npz")
    zero = (encoded.codes == 0).all(1).sum()
    print(f"{len(encoded)} utterances, {len(encoded.codes)} frames, {zero} of them all zero")


def balanced(corpus: Corpus) -> Corpus:
    """The corpus with single utterances of rare voices repeated as in `REPEATED`."""
    conversations = [
        conversation
        for conversation in corpus.conversations
        for _ in range(
            REPEATED.get(corpus.speakers[conversation[0]], 1) if len(conversation) == 1 else 1
        )
    ]
    return dataclasses.replace(corpus, conversations=conversations)


def lm(speech: Path, work: Path, base: str | None = None) -> None:
    tokenizer = TextTokenizer.load(ASSETS / "tokenizer.json")
    model = new_model(model_config(tokenizer.vocab_size), LM.seed)
    if base is not None:
        fill(model, cpu_checkpoint(base).model.state_dict())
    training = LMTraining(
        model,
        LM,
        balanced(EncodedSpeech.load(work / "codes.npz").corpus()),
        tokenizer,
        work / "lm/state.pt",
        save_every=200,
    )
    training.run(Log(work / "lm.log"))


def trained(path: Path, name: str, steps: int, unfinished: bool) -> dict[str, Tensor]:
    """Weights of a module in a state file; exits if the phase is unfinished."""
    state = torch.load(path, weights_only=True)
    if state["step"] < steps and not unfinished:
        sys.exit(
            f"train.py: {path} is at step {state['step']} of {steps}: "
            "finish it, or use --unfinished"
        )
    weights: dict[str, Tensor] = state["modules"][name]
    return weights


def prompt(speech: EncodedSpeech, name: str) -> list[int]:
    """Indexes of the utterances that are a voice's prompt."""
    own = [
        index
        for index, (voice, text) in enumerate(zip(speech.voices, speech.texts, strict=True))
        if voice == name and text.endswith(".")
    ]
    spoken = {speech.texts[index]: index for index in own}
    wanted = PROMPTS.get(name, [])
    if wanted and all(text in spoken for text in wanted):
        return [spoken[text] for text in wanted]
    seconds = np.diff(speech.starts) / codec_config(NUM_CODEBOOKS).frame_rate
    return sorted(own, key=lambda index: abs(seconds[index] - PROMPT_S))[:NUM_PROMPTS]


def make_voices(speech: EncodedSpeech, out: Path) -> None:
    """Write a file for each voice, with some of its utterances as context.

    They form one turn: the language model was trained with turns of one to three utterances.
    """
    out.mkdir(parents=True, exist_ok=True)
    for name in sorted({*speech.voices} - {""}):
        indexes = prompt(speech, name)
        if not indexes:
            continue
        codes = np.concatenate([speech.codes_of(index) for index in indexes])
        segment = Segment(
            speaker=0,
            text=" ".join(speech.texts[index] for index in indexes),
            codes=torch.from_numpy(codes.T.astype(np.int64)),
        )
        Voice(name=name, segments=(segment,)).save(out / f"{name}.safetensors")


def export(
    speech: Path,
    work: Path,
    out: Path,
    base: str | None = None,
    *,
    unfinished: bool = False,
    first_decoder: bool = False,
) -> None:
    tokenizer = TextTokenizer.load(ASSETS / "tokenizer.json")
    joined, refined = work / "joint/state.pt", work / "refined/state.pt"
    if first_decoder or (base is not None and not (joined.exists() or refined.exists())):
        codec = first_codec(work, base)
    else:
        codec = Mimi(with_source_filter(codec_config(NUM_CODEBOOKS)))
        state, steps = work / "decoder/state.pt", DECODER.steps
        if joined.exists():
            state, steps = refined, REFINED.steps
        elif refined.exists():
            state, steps = refined, REFINED_AGAIN.steps
        codec.load_state_dict(trained(state, "codec", steps, unfinished))
        sharpen(codec.decoder)
    model = CSM(model_config(tokenizer.vocab_size))
    model.load_state_dict(trained(work / "lm/state.pt", "model", LM.steps, unfinished))
    checkpoint = Checkpoint(
        name="petit",
        model=model,
        codec=codec,
        tokenizer=tokenizer,
        front_end=FrontEnd.load("phonemes", ASSETS),
        folder=ASSETS,
        defaults=SAMPLING,
    )
    make_voices(EncodedSpeech.load(work / "codes.npz"), work / "voices")
    voices = {path.stem: path for path in sorted((work / "voices").glob("*.safetensors"))}
    save(out, dataclasses.replace(checkpoint, voices=voices), dtype=torch.float16)


PHASES = ("encoder", "recognizer", "codec", "encode", "lm", "decoder", "joint", "refine", "export")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("phase", choices=PHASES)
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--base", metavar="MODEL", help="start from its weights, or use its codec")
    parser.add_argument("--unfinished", action="store_true", help="export before the last step")
    parser.add_argument(
        "--first-decoder", action="store_true", help="export with the decoder of phase 3"
    )
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    more = {}
    if args.phase == "export":
        more = {"unfinished": args.unfinished, "first_decoder": args.first_decoder}
    if args.base is not None:
        if args.phase in ("encoder", "recognizer"):
            parser.error(f"--base is for the later phases: {args.phase} starts without a model")
        globals()[args.phase](*args.paths, args.base, **more)
    else:
        globals()[args.phase](*args.paths, **more)


if __name__ == "__main__":
    main()
