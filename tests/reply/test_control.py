"""Pauses, speed and pronunciations of a reply, whole and streamed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from causerie import TTS
from causerie.audio.pitch import track_pitch
from causerie.errors import ConfigError
from causerie.reply.delivery import Delivery
from tests import tiny

FRAME = 1_920
RATE = 24_000


@pytest.fixture(scope="module")
def tts() -> TTS:
    """Without the watermark, whose filters ring for 21 ms after speech."""
    return TTS(tiny.checkpoint(max_frames=512), watermark=False)


def runs(samples: NDArray[np.float32]) -> list[int]:
    """Lengths of silence, of at least 20 ms."""
    quiet = np.concatenate([[False], samples == 0, [False]])
    edges = np.flatnonzero(quiet[1:] != quiet[:-1]).reshape(-1, 2)
    return [int(end - start) for start, end in edges if end - start >= RATE // 50]


def chunks_of(text: str, seed: int) -> Iterator[str]:
    draw = random.Random(seed)
    while text:
        size = draw.choice((1, 2, 3, 10))
        yield text[:size]
        text = text[size:]


def with_short_turns(tts: TTS, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("causerie.reply.turns.MAX_DURATION_S", 0.16)


PAUSED = (
    '[pause 0.25s]Wait <break time="123ms"/> now. [pause:1.5s] [pause 500ms] So <break strength='
    "'weak'/>. And on [pause]"
)
SILENCE = [6_000, 2_952, 48_000, 12_000, 18_000]


def test_pauses_are_exact_and_the_same_in_streams(
    tts: TTS, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_short_turns(tts, monkeypatch)
    whole = tts.generate(PAUSED, seed=1)
    assert [note for note in whole.notes if "pause" in note] == []
    # The limit of a piece is no end of the model, so there is no silence after the last.
    assert runs(whole.samples) == SILENCE[:4]
    assert whole.codes is not None
    assert len(whole.samples) == whole.codes.shape[1] * FRAME + sum(SILENCE[:4])
    for seed in range(5):
        streamed = tts.stream(chunks_of(PAUSED, seed), seed=1).collect()
        assert np.array_equal(streamed.samples, whole.samples)

    async def listen() -> NDArray[np.float32]:
        stream = await tts.astream(chunks_of(PAUSED, 9), seed=1)
        return np.concatenate([pcm async for pcm in stream])

    async def run() -> NDArray[np.float32]:
        samples = await listen()
        await tts.aclose()
        return samples

    assert np.array_equal(asyncio.run(run()), whole.samples)


def test_pauses_need_no_words_and_are_bounded(tts: TTS, monkeypatch: pytest.MonkeyPatch) -> None:
    with_short_turns(tts, monkeypatch)
    np.testing.assert_array_equal(tts.generate("[pause 1s] <break/>").samples, np.zeros(42_000))
    audio = tts.generate("A [pause 99s] [pause 8s] b", seed=1)
    assert runs(audio.samples) == [240_000]
    assert any("over 10 s" in note for note in audio.notes)


def test_what_was_said_counts_pauses(tts: TTS, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("causerie.reply.turns.MAX_DURATION_S", 1.6)
    stream = tts.stream("One. [pause 1s] Two of them here.", seed=1)
    stream.collect()
    assert [part.text for part in stream.said()] == ["One.", "Two of them here."]
    assert [part.text for part in stream.said(2.5)] == ["One."]
    first, second = stream.said(3.4)
    assert second.text == "Two of"
    assert first.codes is not None
    assert second.codes is not None
    assert (first.codes.shape[1], second.codes.shape[1]) == (20, 10)


@pytest.mark.parametrize("speed", [0.5, 1.25, 3.0])
def test_speed_keeps_pauses_and_is_the_same_in_streams(
    tts: TTS, monkeypatch: pytest.MonkeyPatch, speed: float
) -> None:
    with_short_turns(tts, monkeypatch)
    text = "One. [pause 0.5s] Two."
    whole = tts.generate(text, seed=1, speed=speed)
    assert len(whole.samples) == 2 * round(2 * FRAME / speed) + 12_000
    assert runs(whole.samples)[0] >= 12_000
    streamed = tts.stream(chunks_of(text, 1), seed=1, speed=speed).collect()
    assert np.array_equal(streamed.samples, whole.samples)
    usual = tts.generate(text, seed=1)
    assert usual.codes is not None
    assert whole.codes is not None
    assert (usual.codes == whole.codes).all()


def test_speed_keeps_the_pitch() -> None:
    times = np.arange(2 * RATE) / RATE
    tone = sum(np.sin(2 * np.pi * 150 * k * times) / k for k in (1, 2, 3)).astype(np.float32) / 4
    delivery = Delivery(RATE, 0.08, None, 1.5)
    fast = np.concatenate([delivery.speech(tone), delivery.end_turn()])
    assert len(fast) == round(len(tone) / 1.5)
    assert np.median(track_pitch(fast, RATE).hz) == pytest.approx(150, rel=0.02)


@pytest.mark.parametrize("speed", [0.1, 5, float("nan"), True, "2"])
def test_a_speed_out_of_range_is_refused(tts: TTS, speed: float) -> None:
    with pytest.raises(ConfigError, match="speed must be between"):
        tts.generate("Hello.", speed=speed)


def test_normalize_off_is_the_original_s_prompt(tts: TTS) -> None:
    def tokens(text: str, normalize: str | None) -> list[int]:
        read = tts._turns(  # the prompt is not public
            text,
            None,
            (),
            0.1,
            False,
            "off",
            tts._reading(None, normalize),  # type: ignore[arg-type]
        )._pieces[0]
        return list(read.part.tokens)

    tokenizer = tts.checkpoint.tokenizer
    text = "  It costs $5 *now* [pause 1s] [laughs]\n"
    assert tokens(text, "off") == tokenizer.encode(text, 0)
    assert tokens("It costs $5", None) == tokenizer.encode("It costs five dollars.", 0)
    with pytest.raises(ConfigError, match="normalize must be on or off"):
        tts.generate("a", normalize="maybe")  # type: ignore[arg-type]


def test_a_model_of_letters_notes_phonemes_and_uses_respellings(tts: TTS) -> None:
    lexicon = {"Kokoro": "kˈOkəɹO", "nginx": {"alias": "engine x"}}
    notes = tts.generate("Kokoro", lexicon=lexicon, max_duration_s=0.1).notes
    assert any("pronunciation" in note and "'Kokoro'" in note for note in notes)
    audio = tts.generate("nginx", lexicon=lexicon, max_duration_s=0.1, seed=1)
    same = tts.generate("engine x", max_duration_s=0.1, seed=1)
    assert np.array_equal(audio.samples, same.samples)


def test_a_lexicon_of_the_model_and_of_a_call(tmp_path: Path) -> None:
    path = tmp_path / "words.tsv"
    path.write_text('GIF\t"jiff"\nnginx\t"engine x"\n', encoding="utf-8")
    tts = TTS(tiny.checkpoint(), lexicon=path)
    assert tts.read("GIF nginx").text == "jiff engine x."
    assert tts.read("GIF nginx", lexicon={"GIF": '"gift"'}).text == "gift engine x."
