"""Pieces that a recognizer checks are spoken again with other seeds, and the best is kept."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch

from causerie.audio.audio import Audio
from causerie.engine.engine import Engine
from causerie.engine.request import Sampling
from causerie.engine.runner import Draw
from causerie.engine.runners.batched import BatchedRunner
from causerie.engine.runners.native import NativeRunner
from causerie.engine.runners.plain import PlainRunner
from causerie.errors import ConfigError
from causerie.evaluate.sentences import read_sentences
from causerie.native import library
from causerie.prompt import Segment
from causerie.recognition.whisper import packaged_recognizer
from causerie.recognition.words import compare
from causerie.reply import turns as turns_module
from causerie.reply.async_stream import AsyncStream
from causerie.reply.attempts import CALMER, MAX_CHECKED, MAX_DOUBTFUL
from causerie.text.growing import FLUSH
from causerie.tts import TTS
from causerie.word_times.align import word_times
from tests import tiny

RIGHT = ["One fish swims here.", "Two birds sing there.", "Three cats sleep now."]
PARTS = [RIGHT[0], FLUSH, RIGHT[1], FLUSH, RIGHT[2]]
LIMIT_S = 0.24  # a tiny random model never ends by itself
NUM_FRAMES = 3


class Scripted:
    """A recognizer that hears scripted texts, one after the other, and then the last one.

    It may wait for `may_go` first.
    """

    def __init__(self, *texts: str) -> None:
        self.texts, self.lengths = list(texts), list[int]()
        self.may_go = threading.Event()
        self.may_go.set()
        self.is_busy = threading.Event()

    def __call__(self, samples: np.ndarray) -> str:
        self.lengths.append(len(samples))
        self.is_busy.set()
        assert self.may_go.wait(30)
        return self.texts.pop(0) if len(self.texts) > 1 else self.texts[0]


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns_module, "MAX_DURATION_S", LIMIT_S)


def speaker(recognizer: Callable[[np.ndarray], str], kind: str = "plain", **engine: Any) -> TTS:
    checkpoint = tiny.checkpoint(max_frames=1024)
    parts = checkpoint.model, checkpoint.codec
    runner: Any
    if kind == "native":
        if library.problem() is not None:
            pytest.skip("the native kernels were not built")
        runner = NativeRunner(*parts, 4)
    elif kind == "batched":
        runner = BatchedRunner(*parts, num_slots=4)
    else:
        runner = PlainRunner(*parts, 4)
    # Unmarked: the mark depends on the seed of the reply, so attempts could not be compared.
    engine_ = Engine(runner, **engine)
    return TTS(checkpoint, engine=engine_, recognizer=recognizer, watermark=False)


def samplings_of(tts: TTS, monkeypatch: pytest.MonkeyPatch) -> list[Sampling]:
    """The sampling of all steps to come."""
    step, samplings = tts.engine.runner.step, list[Sampling]()

    def spied(draws: Sequence[Draw]) -> np.ndarray:
        samplings.extend(draw.sampling for draw in draws)
        return step(draws)

    monkeypatch.setattr(tts.engine.runner, "step", spied)
    return samplings


def same(first: Audio, second: Audio) -> bool:
    assert first.codes is not None
    assert second.codes is not None
    return np.array_equal(first.samples, second.samples) and torch.equal(first.codes, second.codes)


async def samples_of(stream: AsyncStream) -> np.ndarray:
    return np.concatenate([np.zeros(0, np.float32), *[piece async for piece in stream]])


# -- recordings -----------------------------------------------------------------------------------


def test_a_recording_that_says_other_words_than_its_text_has_a_note() -> None:
    heard = Scripted("Nothing of the kind.", RIGHT[0])
    tts = speaker(heard)
    sound = np.sin(0.1 * np.arange(2 * 24_000), dtype=np.float32)

    def notes(text: str, **settings: Any) -> list[str]:
        turn = Segment(speaker=0, text=text, audio=sound, sample_rate=24_000)
        return tts.generate(RIGHT[0], context=[turn], seed=5, **settings).notes

    other = "context segment 1 says other words than its transcript: the recognizer heard 'Nothing"
    assert any(note.startswith(other) for note in notes("The house is white now.", verify=True))
    assert heard.lengths[0] == 2 * 16_000
    num_heard = len(heard.lengths)
    assert not any("other words" in note for note in notes("Nothing of that kind!", verify=True))
    assert len(heard.lengths) == num_heard + 1  # the speech; the recording is known
    assert not any("other words" in note for note in notes("The house is white now."))


def faulty(text: str = "The house is white now.") -> Segment:
    sound = np.sin(0.1 * np.arange(2 * 24_000), dtype=np.float32)
    return Segment(speaker=0, text=text, audio=sound, sample_rate=24_000)


def other_words(notes: list[str]) -> list[str]:
    return [note for note in notes if "says other words than its transcript" in note]


@pytest.mark.parametrize("text", [RIGHT[0], PARTS])
def test_a_stream_compares_recordings_while_its_last_piece_is_heard(
    text: str | list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    heard = Scripted(*(RIGHT[1:] if text is PARTS else []), "Nothing of the kind.")
    tts = speaker(heard)
    heard.may_go.clear()
    stream = tts.stream(text, context=[faulty()], seed=5, verify=True)
    chunks = [next(stream)]
    while sum(map(len, chunks)) < NUM_FRAMES * 1920:  # the first piece waits for no recognizer
        chunks.append(next(stream))
    assert other_words(stream.notes) == []
    heard.may_go.set()
    chunks += stream
    assert len(other_words(stream.notes)) == 1
    assert other_words([record.getMessage() for record in caplog.records]) == other_words(
        stream.notes
    )
    assert heard.lengths[-1] == 2 * 16_000  # the recording, after all pieces
    assert heard.lengths.count(2 * 16_000) == 1
    plain = tts.stream(text, context=[faulty()], seed=5).collect()
    np.testing.assert_array_equal(np.concatenate(chunks), plain.samples)
    known = tts.stream(text, context=[faulty()], seed=5, verify=True)
    list(known)
    assert len(other_words(known.notes)) == 1
    assert heard.lengths.count(2 * 16_000) == 1
    right = tts.stream(text, context=[faulty("Nothing of that kind!")], seed=5, verify=True)
    list(right)
    assert other_words(right.notes) == []

    async def main() -> None:
        reply = await tts.astream(text, context=[faulty()], seed=5, verify=True)
        assert other_words(reply.notes) == []
        np.testing.assert_array_equal(await samples_of(reply), plain.samples)
        assert len(other_words(reply.notes)) == 1
        await tts.aclose()

    asyncio.run(main())


def test_closing_a_stream_ends_the_comparison_of_recordings() -> None:
    heard = Scripted("Nothing of the kind.")
    heard.may_go.clear()
    tts = speaker(heard)
    stream = tts.stream(RIGHT[0], context=[faulty(), faulty()], seed=5, verify=True)
    next(stream)
    assert heard.is_busy.wait(30)
    stream.close()
    heard.may_go.set()
    assert list(stream) == []
    assert tts.engine.stats().active == 0
    assert other_words(stream.notes) == []


# -- which attempt is kept -------------------------------------------------------------------------


def test_right_words_change_nothing() -> None:
    heard = Scripted(*RIGHT[:2], "three cats sleep now")
    tts = speaker(heard)
    plain = tts.stream(PARTS, seed=5).collect()
    assert plain.checks == []
    audio = tts.stream(PARTS, seed=5, verify=True).collect()
    assert same(audio, plain)
    assert audio.notes == plain.notes
    assert [(c.attempts, c.words, c.missing, c.invented) for c in audio.checks] == [
        (1, 4, 0, 0)
    ] * 3
    assert heard.lengths == [round(NUM_FRAMES * 0.08 * 16_000)] * 3


def test_the_first_attempt_whose_words_are_right_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    tts = speaker(Scripted("one fish", "One fish swims here."))
    plain = tts.generate("One fish swims here.", seed=5)
    samplings = samplings_of(tts, monkeypatch)
    audio = tts.generate("One fish swims here.", seed=5, verify=True)
    assert len({sampling.seed for sampling in samplings}) == 2
    assert not same(audio, plain)
    (check,) = audio.checks
    assert (check.text, check.attempts, check.missing) == ("One fish swims here.", 2, 0)
    assert "verify: words were wrong until attempt 2: 'One fish swims here.'" in audio.notes
    again = speaker(Scripted("one fish", "One fish swims here."))
    assert same(again.generate("One fish swims here.", seed=5, verify=True), audio)


@pytest.mark.parametrize("best", range(MAX_CHECKED))
def test_the_best_of_wrong_attempts_is_kept(best: int, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = ["Nothing of the kind, my friend"] * MAX_CHECKED
    heard[best] = "One fish swims away"
    tts = speaker(Scripted(*heard))
    samplings = samplings_of(tts, monkeypatch)
    audio = tts.generate("One fish swims here.", seed=5, temperature=1.6, verify=True)
    assert len(samplings) == MAX_CHECKED * NUM_FRAMES
    kept = samplings[best * NUM_FRAMES]
    assert kept.temperature == 1.6 * CALMER**best
    (check,) = audio.checks
    assert (check.attempts, check.missing, check.invented) == (MAX_CHECKED, 1, 1)
    note = f"verify: 1 of 4 words missing, 1 invented, in the best of {MAX_CHECKED} attempts"
    assert f"{note}: 'One fish swims here.'" in audio.notes
    alone = speaker(Scripted("x")).generate(RIGHT[0], seed=kept.seed, temperature=kept.temperature)
    assert same(audio, alone)


def test_words_that_may_be_misheard_are_spoken_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tts = speaker(Scripted("One wish swims here.", RIGHT[0]))
    samplings = samplings_of(tts, monkeypatch)
    audio = tts.generate(RIGHT[0], seed=5, verify=True)
    assert audio.checks[0].attempts == 2
    assert len({sampling.seed for sampling in samplings}) == 2
    assert len({sampling.temperature for sampling in samplings}) == 1
    always = speaker(Scripted("One wish swims here."))
    kept = always.generate(RIGHT[0], seed=5, verify=True)
    assert (kept.checks[0].attempts, kept.checks[0].is_right) == (MAX_DOUBTFUL, True)
    assert not any("verify" in note for note in kept.notes)
    assert same(kept, always.generate(RIGHT[0], seed=5))


def test_a_reply_without_noise_has_one_attempt() -> None:
    for heard in ("Nothing of the kind", "One wish swims here."):
        tts = speaker(Scripted(heard))
        audio = tts.generate("One fish swims here.", temperature=0, verify=True)
        assert audio.checks[0].attempts == 1


def test_rejected_attempts_are_nowhere() -> None:
    wrong = "not at all what they wrote"
    tts = speaker(Scripted(RIGHT[0], wrong, *RIGHT[1:]))
    stream = tts.stream(PARTS, seed=5, verify=True)
    audio = stream.collect()
    assert [check.attempts for check in audio.checks] == [1, 2, 1]
    assert stream.texts == RIGHT
    assert audio.codes is not None
    said = stream.said()
    assert [segment.text for segment in said] == RIGHT
    assert torch.equal(torch.cat([segment.codes for segment in said], dim=1), audio.codes)
    assert audio.codes.shape[1] == 3 * NUM_FRAMES == stream.num_frames
    assert stream.spoken_pieces() == [(text, NUM_FRAMES * 1920) for text in RIGHT]
    # the third piece is what it is after the kept second one, with the context of the first two
    cached = [entry.rows for entry in tts.engine.prefixes._entries]
    assert not any(len(rows) > 1 and (rows[-1, :-1] >= 0).all() for rows in cached)
    fresh = speaker(Scripted(RIGHT[0], wrong, *RIGHT[1:]), prefix_bytes=0)
    assert same(fresh.stream(PARTS, seed=5, verify=True).collect(), audio)


def test_an_empty_attempt_is_one_of_the_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = Scripted("One fish swims here.")
    tts = speaker(heard)
    step, seeds = tts.engine.runner.step, list[int]()

    def empty_at_first(draws: Sequence[Draw]) -> np.ndarray:
        seeds.append(draws[0].sampling.seed)
        return np.zeros_like(step(draws)) if len(seeds) == 1 else step(draws)

    monkeypatch.setattr(tts.engine.runner, "step", empty_at_first)
    audio = tts.generate("One fish swims here.", seed=5, verify=True)
    assert len(heard.lengths) == 1
    assert audio.checks[0].attempts == 2
    assert "empty: the model said nothing at first: spoken with another seed" in audio.notes
    assert not any(note.startswith("verify") for note in audio.notes)


def test_a_piece_that_stays_empty_ends_neither_the_reply_nor_the_next_piece(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for verify in (True, "all"):
        tts = speaker(Scripted("Two birds sing there."))
        step = tts.engine.runner.step
        steps = 2 if verify is True else MAX_CHECKED
        left = [True] * steps

        def empty(draws: Sequence[Draw], step: Any = step, left: list[bool] = left) -> np.ndarray:
            return np.zeros_like(step(draws)) if left and left.pop() else step(draws)

        monkeypatch.setattr(tts.engine.runner, "step", empty)
        stream = tts.stream(PARTS[:3], seed=5, verify=verify)
        assert sum(map(len, stream)) == NUM_FRAMES * 1920
        assert stream.texts == ["One fish swims here.", "Two birds sing there."]
        assert "empty: the model said nothing, also with another seed" in stream.notes


# -- words after the text --------------------------------------------------------------------------

LONG = "Not found, and I will open the window."


def heard_by_length(samples: np.ndarray) -> str:
    """Hears all of `LONG`, or only its first words."""
    return LONG if len(samples) > 1.5 * 16_000 else "Not found."


@pytest.fixture
def rambling(monkeypatch: pytest.MonkeyPatch) -> TTS:
    """petit, which says `LONG` for its first two words."""
    monkeypatch.setattr(turns_module, "MAX_DURATION_S", 30.0)
    monkeypatch.setattr(turns_module, "spoken_words", lambda *_: ["not", "found"])
    checkpoint = TTS.from_pretrained().checkpoint
    return TTS(checkpoint, recognizer=heard_by_length, watermark=False)


def test_words_after_the_text_are_cut_off(rambling: TTS) -> None:
    plain = rambling.generate(LONG, seed=5)
    times = word_times(plain.samples, plain.sample_rate, [(LONG, len(plain.samples))])
    audio = rambling.generate(LONG, seed=5, verify=True)
    (check,) = audio.checks
    assert (check.attempts, check.invented, check.is_right) == (MAX_DOUBTFUL, 0, True)
    note = f"verify: words after the text were cut off, in the best of {MAX_DOUBTFUL} attempts"
    assert f"{note}: '{LONG}'" in audio.notes
    assert audio.codes is not None
    assert plain.codes is not None
    kept = audio.codes.shape[1]
    assert kept < plain.codes.shape[1] / 2
    assert torch.equal(audio.codes, plain.codes[:, :kept])
    assert len(audio.samples) == kept * 1920
    said = round(times[1].end_s * 24_000)
    np.testing.assert_array_equal(audio.samples[:said], plain.samples[:said])
    assert not audio.samples[round(times[2].start_s * 24_000) :].any()
    stream = rambling.stream(LONG, seed=5, verify="all")
    np.testing.assert_array_equal(np.concatenate(list(stream)), audio.samples)


def test_a_reply_goes_on_after_words_that_were_cut_off(
    rambling: TTS, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit_s = rambling.generate(LONG, seed=5).duration_s - 0.16
    monkeypatch.setattr(turns_module, "MAX_DURATION_S", limit_s)  # each piece ends at its limit
    audio = rambling.stream([LONG, FLUSH, LONG], seed=5, verify="all").collect()
    assert [check.is_right for check in audio.checks] == [True, True]
    assert audio.stopped == "end"
    assert audio.duration_s < 2 * limit_s / 2


@pytest.mark.parametrize(
    ("heard", "rest", "is_cut"),
    [
        ("Not sound", ", and I will open the window.", True),
        ("Not round", " a window", True),
        ("Not", "", False),
        ("Not", " away", False),  # perhaps "found"
    ],
)
def test_as_many_words_are_kept_as_the_text_has(
    rambling: TTS, heard: str, rest: str, *, is_cut: bool
) -> None:
    tts = TTS(
        rambling.checkpoint,
        recognizer=lambda samples: heard + rest if len(samples) > 1.5 * 16_000 else heard,
        watermark=False,
    )
    plain = tts.generate(LONG, seed=5, temperature=0)
    audio = tts.generate(LONG, seed=5, temperature=0, verify=True)
    assert (len(audio.samples) < len(plain.samples)) is is_cut


def test_words_of_other_scripts_after_the_text_are_not_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The aligner does not know when they are spoken."""
    monkeypatch.setattr(turns_module, "spoken_words", lambda *_: ["你好", "世界"])
    audio = speaker(Scripted("你好 世界 谢谢 再见")).generate(RIGHT[0], seed=5, verify=True)
    (check,) = audio.checks
    assert (check.attempts, check.invented) == (MAX_CHECKED, 2)
    assert len(audio.samples) == NUM_FRAMES * 1920


def test_a_note_counts_unclear_words() -> None:
    tts = speaker(Scripted("One dish swings here."))
    audio = tts.generate("One fish swims here.", seed=5, verify=True)
    unclear = "0 of 4 words missing, 0 invented, 2 unclear, in the best of"
    assert any(note.startswith(f"verify: {unclear}") for note in audio.notes)


def test_a_cut_that_does_not_help_is_not_made(rambling: TTS) -> None:
    never = TTS(rambling.checkpoint, recognizer=lambda samples: LONG, watermark=False)
    audio = never.generate(LONG, seed=5, temperature=0, verify=True)
    assert not audio.checks[0].is_right
    assert same(audio, never.generate(LONG, seed=5, temperature=0))


# -- streams ---------------------------------------------------------------------------------------


def test_a_stream_of_all_pieces_equals_the_whole_reply() -> None:
    heard = [
        "One fish",
        "One fish swims here.",
        "Two",
        "Two birds",
        "Two birds sing there",
        "Three cats sleep now.",
    ]
    whole = speaker(Scripted(*heard)).stream(PARTS, seed=5, verify=True).collect()
    assert [check.attempts for check in whole.checks] == [2, 3, 1]
    stream = speaker(Scripted(*heard)).stream(PARTS, seed=5, verify="all")
    np.testing.assert_array_equal(np.concatenate(list(stream)), whole.samples)
    assert same(stream.audio(), whole)
    assert stream.audio().checks == whole.checks
    assert stream.audio().notes == whole.notes


def test_the_first_piece_of_a_stream_is_not_held() -> None:
    heard = Scripted(*RIGHT[1:])
    tts = speaker(heard)
    heard.may_go.clear()
    plain = tts.stream(PARTS, seed=5).collect()
    stream = tts.stream(PARTS, seed=5, verify=True)
    chunks = [next(stream)]
    while sum(map(len, chunks)) < NUM_FRAMES * 1920:
        chunks.append(next(stream))
    assert len(chunks[0]) == 1920
    assert heard.is_busy.wait(30)  # the second piece is generated, though none of it was taken
    assert stream.texts == ["One fish swims here."]
    heard.may_go.set()
    chunks += stream
    np.testing.assert_array_equal(np.concatenate(chunks), plain.samples)
    assert [check.text for check in stream.checks] == [
        "Two birds sing there.",
        "Three cats sleep now.",
    ]


def test_the_next_piece_is_checked_before_this_one_is_taken() -> None:
    heard = Scripted(*RIGHT[1:])
    stream = speaker(heard).stream(PARTS, seed=5, verify=True)
    next(stream)
    assert heard.is_busy.wait(30)
    time.sleep(0.05)
    assert len(heard.lengths) == 1  # one piece ahead, not more
    stream.close()


@pytest.mark.parametrize(
    "kind", [pytest.param("plain", marks=pytest.mark.slow), "batched", "native"]
)
def test_all_runners_alone_and_together(kind: str) -> None:
    """Each reply hears of its own first attempt that it is wrong."""

    def short_hears_little(samples: np.ndarray) -> str:
        return "fish swims here" if float(samples[1000]) > 0 else "wrong wrong"

    tts = speaker(short_hears_little, kind)

    def spoken(seed: int) -> Audio:
        return tts.generate("Fish swims here.", seed=seed, verify=True)

    alone = [spoken(seed) for seed in range(5)]
    with ThreadPoolExecutor(5) as pool:
        together = list(
            pool.map(
                lambda seed: tts.generate("Fish swims here.", seed=seed, verify=True), range(5)
            )
        )
    assert len({check.attempts for audio in alone for check in audio.checks}) > 1
    for one, other in zip(alone, together, strict=True):
        assert torch.equal(one.codes, other.codes)
        np.testing.assert_allclose(one.samples, other.samples, atol=1e-4)
        assert one.checks == other.checks


def test_an_async_stream_sounds_the_same() -> None:
    heard = ["Two", "Two birds sing there", "Three cats sleep now."]
    expected = speaker(Scripted(*heard)).stream(PARTS, seed=5, verify=True)
    sound = np.concatenate(list(expected))

    async def written() -> AsyncIterator[Any]:
        for part in PARTS:
            await asyncio.sleep(0)
            yield part

    async def main() -> None:
        for text in (PARTS, written()):
            tts = speaker(Scripted(*heard))
            stream = await tts.astream(text, seed=5, verify=True)
            np.testing.assert_array_equal(await samples_of(stream), sound)
            assert stream.checks == expected.checks
            assert stream.notes == expected.notes
            assert stream.rtf is not None
            await tts.aclose()
        whole = ["One fish", "One fish swims here."]
        tts = speaker(Scripted(*whole))
        reply = speaker(Scripted(*whole)).generate("One fish swims here.", seed=5, verify=True)
        stream = await tts.astream("One fish swims here.", seed=5, verify="all")
        np.testing.assert_array_equal(await samples_of(stream), reply.samples)
        await tts.aclose()

    asyncio.run(main())


def test_pauses_speed_and_tails_stay_where_they_are() -> None:
    pytest.importorskip("av")
    text = "[pause 0.25s] One fish swims here. [pause 0.5s] Two birds sing there."
    heard = ["One fish swims here.", "wrong", "Two birds sing there."]
    tts = speaker(Scripted(*heard))
    audio = tts.generate(text, seed=5, verify=True, speed=0.5)
    stream = speaker(Scripted(*heard)).stream(text, seed=5, verify="all", speed=0.5)
    np.testing.assert_array_equal(np.concatenate(list(stream)), audio.samples)
    lengths = [length for words, length in stream.spoken_pieces() if not words]
    assert lengths == [6_000, 12_000]


# -- ends and errors -------------------------------------------------------------------------------


def test_closing_a_stream_ends_what_runs_ahead() -> None:
    heard = Scripted("wrong")
    heard.may_go.clear()
    tts = speaker(heard)
    stream = tts.stream(PARTS, seed=5, verify=True)
    next(stream)
    assert heard.is_busy.wait(30)
    stream.close()
    assert list(stream) == []
    heard.may_go.set()
    time.sleep(0.1)
    assert tts.engine.stats().active == 0
    assert len(heard.lengths) == 1
    assert tts.generate("One fish.", seed=1).codes is not None


def test_a_client_that_goes_while_the_recognizer_works_blocks_nobody() -> None:
    async def main() -> None:
        heard = Scripted("wrong")
        tts = speaker(heard)
        heard.may_go.clear()
        gone = await tts.astream(PARTS, seed=5, verify=True)
        await anext(gone)
        while not heard.is_busy.is_set():
            await asyncio.sleep(0.01)
        waiting = await tts.astream("Two birds sing there.", seed=6, verify="all")
        other = await tts.astream("One fish swims here.", seed=7)
        assert len(await samples_of(other))  # engine and event loop go on
        await asyncio.wait_for(gone.aclose(), 1)
        await asyncio.wait_for(waiting.aclose(), 1)
        assert [chunk async for chunk in gone] == []
        heard.may_go.set()
        await asyncio.sleep(0.1)
        assert tts.engine.stats().active == tts.engine.stats().waiting == 0
        assert len(heard.lengths) == 1  # the other one was not begun
        await tts.aclose()

    asyncio.run(asyncio.wait_for(main(), 60))


def test_cancelling_the_task_that_waits_for_the_recognizer() -> None:
    async def main() -> None:
        heard = Scripted("wrong")
        heard.may_go.clear()
        tts = speaker(heard)
        stream = await tts.astream("One fish swims here.", seed=5, verify="all")
        task = asyncio.ensure_future(samples_of(stream))
        while not heard.is_busy.is_set():
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        heard.may_go.set()
        assert tts.engine.stats().active == 0
        await tts.aclose()

    asyncio.run(asyncio.wait_for(main(), 60))


def test_a_recognizer_that_fails_is_an_error_of_the_reply() -> None:
    def broken(samples: np.ndarray) -> str:
        raise RuntimeError("no ears")

    tts = speaker(broken)
    with pytest.raises(RuntimeError, match="no ears"):
        tts.generate("One fish swims here.", verify=True)
    with pytest.raises(RuntimeError, match="no ears"):
        list(tts.stream(PARTS, verify=True))

    async def main() -> None:
        stream = await tts.astream(PARTS, verify=True)
        with pytest.raises(RuntimeError, match="no ears"):
            await samples_of(stream)
        await tts.aclose()

    asyncio.run(main())


def test_after_the_deadline_a_piece_is_not_spoken_again() -> None:
    async def main() -> None:
        def slow(samples: np.ndarray) -> str:
            time.sleep(0.6)
            return "wrong"

        tts = speaker(slow)
        stream = await tts.astream("One fish swims here.", seed=5, verify="all", deadline_s=0.5)
        assert len(await samples_of(stream))
        assert stream.checks[0].attempts == 1
        await tts.aclose()

    asyncio.run(main())


def test_settings_are_checked() -> None:
    tts = speaker(Scripted("x"))
    for verify in ("on", 1, None):
        with pytest.raises(ConfigError, match="verify must be True, False or"):
            tts.generate("One fish.", verify=verify)


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "jiwer", None)
    with pytest.raises(ConfigError, match=r'pip install "causerie\[verify\]"'):
        speaker(Scripted("x")).generate("One fish.", verify=True)


# -- a real recognizer -----------------------------------------------------------------------------


@pytest.mark.slow
def test_hot_petit_says_right_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """At temperature 2.0, petit says many other words; with `verify`, it says fewer of them."""
    monkeypatch.undo()  # of the limit of tiny models
    whisper = packaged_recognizer()
    if whisper is None:
        pytest.skip("Whisper is not installed")
    tts = TTS.from_pretrained("petit", recognizer=whisper)
    texts = read_sentences()[:4]
    hot = {"seed": 3, "temperature": 2.0, "top_k": 0, "max_duration_s": 10}
    errors = []
    for verify in (False, True):
        clips = [tts.generate(text, verify=verify, **hot) for text in texts]
        heard = [whisper(clip.resampled(16_000)) for clip in clips]
        errors.append(compare(texts, heard).errors)
    assert errors[1] <= errors[0] / 3
