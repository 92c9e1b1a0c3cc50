"""The two context tests: their sentences, and their classifier.

A tiny random model cannot read. Likelihoods are compared with those of its own generation, and
whole tests run with a classifier whose answers are known.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter

import pytest
import torch

from causerie.audio.audio import Audio
from causerie.errors import ConfigError
from causerie.evaluate import consistency, homographs, reading
from causerie.evaluate.clip import Clip
from causerie.evaluate.reading import Classified, Word
from causerie.evaluate.speaking import Speaking
from causerie.nn.kv_cache import KVCache
from causerie.prompt import Part, Segment, build_prompt
from causerie.text.front_end import FrontEnd
from causerie.text.pronounce import CONSONANTS, PUNCTUATION, STRESSES, VOWELS, Lexicon
from causerie.tts import TTS
from causerie.voices import Voice
from tests import tiny

LEAD = homographs.HOMOGRAPHS[0]


@pytest.fixture(scope="module")
def tts() -> TTS:
    return TTS(tiny.checkpoint())


def test_every_sentence_holds_its_word_once_and_every_reading_is_another() -> None:
    symbols = set(CONSONANTS + STRESSES + PUNCTUATION) | VOWELS | {" "}
    words = [*homographs.HOMOGRAPHS, *consistency.VARIANTS]
    assert len({word.word for word in words}) == len(words) == 25
    for word in words:
        for sentence in word.sentences:
            assert len(re.findall(rf"\b{word.word}\b", sentence)) == 1, sentence
        one, two = word.readings
        assert one.letters != two.letters
        assert one.phonemes != two.phonemes
        assert set(one.phonemes + two.phonemes) <= symbols, word


def test_plain_text_is_spelled_out_by_letters(tts: TTS) -> None:
    same, text = reading.spelled_out(tts, "The lead, the leader.", LEAD, 1)
    assert same is tts
    assert text == "The led, the leader."
    with pytest.raises(ConfigError, match="must contain the word 'lead' once"):
        reading.spelled_out(tts, "No such word.", LEAD, 1)


def test_phonemes_are_spelled_out_by_the_lexicon(tts: TTS) -> None:
    lexicon = Lexicon({"the": "ðə", "lead": "lˈid", "old": "ˈOld"})
    checkpoint = dataclasses.replace(tts.checkpoint, front_end=FrontEnd("phonemes", lexicon))
    other, text = reading.spelled_out(TTS(checkpoint), "The old Lead.", LEAD, 1)
    assert text == "The old Lead."
    assert other.checkpoint.front_end(text).text == "ði ˈOld lˈɛd."
    assert lexicon.entries["lead"] == "lˈid"
    assert other.checkpoint.model is tts.checkpoint.model


def test_likelihood_is_that_of_generation(tts: TTS) -> None:
    """Frame by frame, as a reply is made, the logits give the same sum."""
    model = tts.checkpoint.model
    parts = [
        Part(tokens=[1, 2, 3], codes=torch.randint(1, 30, (tiny.NUM_CODEBOOKS, 4))),
        Part(tokens=[4, 5], codes=torch.randint(1, 30, (tiny.NUM_CODEBOOKS, 3))),
    ]
    found = reading.log_likelihood(tts, parts)
    last = parts[1].codes
    assert last is not None
    prompt = build_prompt(
        [parts[0], Part(tokens=[4, 5])],
        num_codebooks=tiny.NUM_CODEBOOKS, max_frames=128, reply_frames=8,
    )  # fmt: skip
    cache = KVCache(model.config.backbone, 1, 64)
    depth = KVCache(model.config.depth, 1, tiny.NUM_CODEBOOKS)
    total = 0.0
    with torch.inference_mode():
        hidden = model.prefill(prompt.frames, prompt.mask, cache)
        for frame in [*last.T, torch.zeros(tiny.NUM_CODEBOOKS, dtype=torch.long)]:

            def take(
                logits: torch.Tensor, codebook: int, frame: torch.Tensor = frame
            ) -> torch.Tensor:
                nonlocal total
                total += float(logits.float().log_softmax(-1)[0, frame[codebook]])
                return frame[codebook][None]

            codes = model.depth_decode(hidden, depth, take)
            hidden = model.backbone_step(codes, cache)
    assert found == pytest.approx(total, rel=1e-4)


def test_judge_takes_the_likelier_reading(tts: TTS, monkeypatch: pytest.MonkeyPatch) -> None:
    """A likelihood that is higher the closer the text is to the true one."""
    truth = {"text": ""}

    def likelihood(tts: TTS, parts: list[Part]) -> float:
        wanted = tts.checkpoint.tokenizer.encode(truth["text"], 0)
        return 7.0 * (list(parts[-1].tokens) == wanted)

    monkeypatch.setattr(reading, "log_likelihood", likelihood)
    sound = Audio(samples=torch.rand(9600).numpy(), sample_rate=24_000)
    for number, text in enumerate(("Take the leed.", "Take the led.")):
        truth["text"] = text
        found = reading.classify(tts, sound, "Take the lead.", LEAD, Voice(name="0"))
        assert found == Classified(reading=number, margin=7.0)


def test_silence_has_no_reading(tts: TTS) -> None:
    nothing = Audio(samples=torch.zeros(0).numpy(), sample_rate=24_000)
    found = reading.classify(tts, nothing, LEAD.sentences[0], LEAD, Voice(name="0"))
    assert found.reading is None


class Actor(Speaking):
    """Speaks the readings that it chooses; what was chosen stands in the seed of the sound."""

    def __init__(self, tts: TTS, choose: object) -> None:
        super().__init__(tts)
        self.choose = choose
        self.contexts: list[tuple[str, ...]] = []

    def speak(self, text: str, voice: Voice, *, context=(), tts=None) -> Clip:  # type: ignore[no-untyped-def]
        self.contexts.append(tuple(segment.text for segment in context))
        number = self.choose(text, context)  # type: ignore[operator]
        codes = torch.full((tiny.NUM_CODEBOOKS, 2), number + 1)
        sound = Audio(
            samples=torch.ones(3840).numpy(), sample_rate=24_000, seed=number, codes=codes
        )
        return Clip(text=text, audio=sound)


def by_seed(tts: TTS, audio: Audio, *rest: object) -> Classified:
    return Classified(reading=audio.seed, margin=1.0)


def spelled(text: str, words: tuple[Word, ...]) -> int | None:
    """The reading that a text spells out, if any."""
    for word in words:
        for number, one in enumerate(word.readings):
            if re.search(rf"\b{one.letters}\b", text):
                return number
    return None


WORDS = homographs.HOMOGRAPHS[:3]


@pytest.mark.parametrize(
    ("choose", "right", "both"),
    [
        (lambda text: [text in word.sentences[1] for word in WORDS].count(True), 1.0, 1.0),
        (lambda text: 0, 0.5, 0.0),
        (lambda text: int("lead" in text), 0.5, 0.0),
        (lambda text: 1 - any(text == word.sentences[1] for word in WORDS), 0.0, 0.0),
    ],
)
def test_homographs(
    tts: TTS, monkeypatch: pytest.MonkeyPatch, choose: object, right: float, both: float
) -> None:
    monkeypatch.setattr(homographs, "classify", by_seed)

    def read(text: str, context: object) -> int:
        given = spelled(text, WORDS)
        return choose(text) if given is None else given  # type: ignore[operator,no-any-return]

    found, clips = homographs.measure(Actor(tts, read), WORDS)
    numbers = {"homographs": right, "homographs_both": both, "homographs_judge": 1.0}
    assert found.numbers == numbers
    assert [clip.text for clip in clips] == [text for word in WORDS for text in word.sentences]
    assert Counter(row["right"] for row in found.rows)[True] == 6 * right


def test_homographs_judge_is_checked(tts: TTS, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that always hears the first reading is right in half of what is known."""
    monkeypatch.setattr(homographs, "classify", lambda *_: Classified(reading=0, margin=1.0))
    found, _ = homographs.measure(Actor(tts, lambda *_: 0), WORDS)
    assert found.numbers["homographs_judge"] == 0.5


TURNS = consistency.VARIANTS[:4]


@pytest.mark.parametrize(
    ("listens", "kept", "both"), [(True, 1.0, 1.0), (False, 0.5, 0.0)], ids=["listens", "deaf"]
)
def test_consistency(
    tts: TTS, monkeypatch: pytest.MonkeyPatch, listens: bool, kept: float, both: float
) -> None:
    monkeypatch.setattr(consistency, "classify", by_seed)

    def read(text: str, context: list[Segment]) -> int:
        given = spelled(text, TURNS)
        if given is not None:
            return given
        (before,) = context
        assert before.codes is not None
        return int(before.codes[0, 0]) - 1 if listens else 1

    actor = Actor(tts, read)
    found, clips = consistency.measure(actor, TURNS)
    numbers = {"consistency": kept, "consistency_both": both, "consistency_judge": 1.0}
    assert found.numbers == numbers
    assert len(clips) == 16
    # the context has usual spelling: only its audio differs
    assert actor.contexts[1::2] == [(word.sentences[0],) for word in TURNS for _ in range(2)]
    assert actor.contexts[0::2] == [()] * 8
