"""Replies for asyncio, and replies whose text is still being written."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np
import pytest
import torch

from causerie.errors import (
    CancelledError,
    ConfigError,
    QueueFullError,
    TextError,
    UnknownVoiceError,
)
from causerie.prompt import Segment
from causerie.reply.async_stream import AsyncStream, Outcome
from causerie.text.growing import FLUSH, Flush
from causerie.tts import TTS
from tests import tiny

T = TypeVar("T")
LIMIT_S = 0.4  # a tiny random model never ends by itself


@pytest.fixture(scope="module")
def tts() -> Iterator[TTS]:
    made = TTS(tiny.checkpoint(max_frames=2048), max_streams=2, max_queue=0)
    yield made
    asyncio.run(made.aclose())


@pytest.fixture(scope="module")
def petit() -> Iterator[TTS]:
    made = TTS.from_pretrained()
    yield made
    asyncio.run(made.aclose())


def run(task: Callable[[], Awaitable[T]]) -> T:
    async def main() -> T:
        return await asyncio.wait_for(task(), 60)

    return asyncio.run(main())


async def written(parts: Sequence[str | Flush]) -> AsyncIterator[str | Flush]:
    for part in parts:
        await asyncio.sleep(0)
        yield part


async def samples_of(stream: AsyncStream) -> np.ndarray:
    return np.concatenate([np.zeros(0, np.float32), *[piece async for piece in stream]])


def test_samples_equal_those_of_the_stream_of_a_thread(petit: TTS) -> None:
    text = "This is a sentence. " * 7  # two pieces
    asked = {"voice": "clara", "seed": 3}
    expected = petit.generate(text, **asked)

    async def task() -> AsyncStream:
        stream = await petit.astream(text, **asked)
        np.testing.assert_array_equal(await samples_of(stream), expected.samples)
        return stream

    stream = run(task)
    assert stream.stopped == expected.stopped == "end"
    assert stream.seed == 3
    assert stream.notes == expected.notes
    assert stream.num_frames == expected.codes.shape[1]
    assert stream.first_sound_ms is not None
    assert stream.rtf is not None
    assert stream.num_context_frames > 0
    said = stream.said()
    assert stream.texts == [segment.text for segment in said]
    assert [segment.text for segment in said] == [("This is a sentence. " * n)[:-1] for n in (4, 3)]
    assert torch.equal(torch.cat([segment.codes for segment in said], dim=1), expected.codes)


def test_growing_text_sounds_the_same_however_it_comes(petit: TTS) -> None:
    text = "Good morning to you. How are you today? I hope that all goes well with you and yours."
    words = [f"{word} " for word in text.split()]
    sounds = [
        petit.stream(parts, voice="theo", seed=5).collect().samples
        for parts in (words, list(text), [text])
    ]

    async def task() -> np.ndarray:
        return await samples_of(await petit.astream(written(words), voice="theo", seed=5))

    sounds.append(run(task))
    assert len(sounds[0]) > 24_000
    for sound in sounds[1:]:
        np.testing.assert_array_equal(sound, sounds[0])


def test_blocks_that_are_left_out_become_notes(petit: TTS) -> None:
    text = "Run:\n\n```sh\nls\n```\n<think>So…</think>Done 😀 ![](x.png)"
    with_code = petit.stream(text)
    assert with_code.num_pieces == 2
    assert with_code.notes == [
        "skipped: code '```sh\\nls\\n```'",
        "skipped: reasoning '<think>So…</think>'",
        "skipped: image '![](x.png)'",
        "skipped: cannot read '😀'",
    ]
    with pytest.raises(TextError, match="nothing in '```"):
        petit.stream("```\nls\n```")


def test_a_sentence_sounds_while_the_next_is_not_written_yet(tts: TTS) -> None:
    async def task() -> None:
        more = asyncio.Event()

        async def slowly() -> AsyncIterator[str | Flush]:
            yield "Hello there."
            yield FLUSH
            await more.wait()
            yield "Good bye"

        stream = await tts.astream(slowly(), max_duration_s=2 * LIMIT_S, seed=1)
        piece = await anext(stream)
        assert len(piece)
        assert not more.is_set()
        assert [segment.text for segment in stream.said()] != ["Good bye"]
        more.set()
        await samples_of(stream)

    run(task)


def test_a_stream_that_is_closed_by_another_task_ends_and_frees_its_slot(tts: TTS) -> None:
    async def task() -> None:
        stream = await tts.astream("Hello there. " * 30, seed=1)
        first = asyncio.Event()

        async def listen() -> int:
            num_chunks = 0
            async for _ in stream:
                num_chunks += 1
                first.set()
            return num_chunks

        listener = asyncio.create_task(listen())
        await first.wait()
        await stream.aclose()
        assert await listener >= 1
        assert stream.stopped is None
        stats = tts.engine.stats()
        assert (stats.active, stats.waiting) == (0, 0)

    run(task)


def test_a_stream_that_waits_for_text_can_be_closed(tts: TTS) -> None:
    async def never() -> AsyncIterator[str | Flush]:
        await asyncio.Event().wait()
        yield "unreachable"

    async def task() -> None:
        stream = await tts.astream(never())
        listener = asyncio.create_task(samples_of(stream))
        await asyncio.sleep(0.01)
        await stream.aclose()
        assert len(await listener) == 0

    run(task)


def test_a_cancelled_task_frees_its_slot(tts: TTS) -> None:
    async def task() -> None:
        stream = await tts.astream("Hello there. " * 30, seed=1)
        await anext(stream)
        listener = asyncio.create_task(samples_of(stream))
        await asyncio.sleep(0.01)
        listener.cancel()
        with pytest.raises(asyncio.CancelledError):
            await listener
        assert tts.engine.stats().active == 0

    run(task)


def test_errors_come_before_any_sound(tts: TTS) -> None:
    async def task() -> None:
        for kind, asked in [
            (TextError, {"text": ""}),
            (TextError, {"text": 3}),
            (UnknownVoiceError, {"text": "Hello", "voice": "nobody"}),
            (ConfigError, {"text": "Hello", "temperature": -1}),
            (ConfigError, {"text": "Hello", "max_duration_s": 0}),
        ]:
            with pytest.raises(kind):
                await tts.astream(**asked)

    run(task)


def test_a_full_queue_refuses_new_replies_and_keeps_running_ones(tts: TTS) -> None:
    async def task() -> None:
        long = "one two three four five six seven eight. " * 14
        streams = [await tts.astream(long, max_duration_s=20, seed=seed) for seed in range(2)]
        with pytest.raises(QueueFullError):
            await tts.astream("Hello")
        for stream in streams:
            await stream.aclose()

    run(task)


def test_text_that_fails_ends_the_reply_by_its_error(tts: TTS) -> None:
    async def failing() -> AsyncIterator[str | Flush]:
        yield "Hello there. "
        yield FLUSH
        raise RuntimeError("the language model is gone")

    async def task() -> None:
        stream = await tts.astream(failing(), seed=1)
        with pytest.raises(RuntimeError, match="gone"):
            await samples_of(stream)

    async def wrong() -> AsyncIterator[str | Flush]:
        yield 3  # type: ignore[misc]

    async def other_task() -> None:
        with pytest.raises(TextError, match="must be a string, not int"):
            await samples_of(await tts.astream(wrong()))
        with pytest.raises(TextError, match="half a character"):
            await samples_of(await tts.astream(written(["Hello. ", "\ud83d is cut. And so on"])))

    run(task)
    run(other_task)


def test_plain_iterables_are_read_by_both_and_async_ones_only_by_astream(tts: TTS) -> None:
    parts = ["Hello ", "there."]
    expected = tts.stream(parts, seed=1, max_duration_s=LIMIT_S).collect().samples

    async def task() -> np.ndarray:
        return await samples_of(await tts.astream(parts, seed=1, max_duration_s=LIMIT_S))

    np.testing.assert_array_equal(run(task), expected)
    with pytest.raises(TextError, match=r"use TTS\.astream"):
        tts.stream(written(parts))  # type: ignore[arg-type]


@pytest.mark.parametrize("parts", [[], ["", " "], [FLUSH]])
def test_growing_text_without_a_word_is_an_error(tts: TTS, parts: list[str | Flush]) -> None:
    async def task() -> None:
        with pytest.raises(TextError, match=r"nothing to speak|empty"):
            await samples_of(await tts.astream(written(parts)))

    run(task)
    with pytest.raises(TextError):
        tts.stream(parts).collect()


def test_the_played_part_of_a_reply_becomes_context(petit: TTS) -> None:
    async def task() -> None:
        stream = await petit.astream("One two three four five six seven eight nine ten.", seed=2)
        played_s = 0.0
        while played_s < 1.2:  # a chunk holds more sound where the listener is slow
            played_s += len(await anext(stream)) / stream.sample_rate
        (whole,) = stream.said()
        (cut,) = stream.said(played_s / 2)
        await stream.aclose()
        assert cut.codes.shape[1] == round(played_s / 2 / 0.08 - 0.25)
        assert torch.equal(cut.codes, whole.codes[:, : cut.codes.shape[1]])
        assert "One two three four five six seven eight nine ten.".startswith(cut.text)
        assert 0 < len(cut.text) < len(whole.text)
        assert stream.said(0) == []
        answer = await petit.astream("And then?", context=[cut], seed=1)
        assert len(await samples_of(answer))

    run(task)


def test_after_closing_it_can_be_used_again(tts: TTS) -> None:
    async def task() -> np.ndarray:
        sound = await samples_of(await tts.astream("Hello", max_duration_s=LIMIT_S, seed=1))
        await tts.aclose()
        return sound

    np.testing.assert_array_equal(run(task), run(task))


def test_closing_at_once_cancels(tts: TTS) -> None:
    async def task() -> None:
        stream = await tts.astream("Hello there. " * 30, seed=1)
        await tts.aclose(drain=False)
        with pytest.raises(CancelledError):
            await samples_of(stream)

    run(task)


class Recorder:
    """Records the calls of a stream to its observer."""

    def __init__(self) -> None:
        self.calls: list[str | int] = []

    def on_chunk(self, reply: AsyncStream, num_samples: int) -> None:
        assert reply.first_sound_ms is not None
        self.calls.append(num_samples)

    def on_end(self, reply: AsyncStream, outcome: Outcome) -> None:
        self.calls.append(outcome)


def test_an_observer_sees_every_piece_and_one_end(tts: TTS) -> None:
    async def task() -> None:
        stream = await tts.astream("Hello", max_duration_s=LIMIT_S, seed=1)
        stream.observer = seen = Recorder()
        sizes = [len(piece) async for piece in stream]
        await stream.aclose()
        assert seen.calls == [*sizes, "limit"]

    run(task)


def test_an_observer_sees_how_a_reply_was_cut(tts: TTS) -> None:
    async def failing() -> AsyncIterator[str | Flush]:
        yield "Hello there. "
        yield FLUSH
        raise RuntimeError("the language model is gone")

    async def task() -> list[str | int]:
        closed, cancelled, failed, dropped = observers = [Recorder() for _ in range(4)]
        stream = await tts.astream("Hello there. " * 30, seed=1)
        stream.observer = closed
        await anext(stream)
        await stream.aclose()

        stream = await tts.astream("Hello there. " * 30, seed=1)
        stream.observer = cancelled
        listener = asyncio.create_task(samples_of(stream))
        await asyncio.sleep(0)
        listener.cancel()
        with pytest.raises(asyncio.CancelledError):
            await listener

        stream = await tts.astream(failing(), seed=1)
        stream.observer = failed
        with pytest.raises(RuntimeError, match="gone"):
            await samples_of(stream)

        stream = await tts.astream("Hello there. " * 30, seed=1)
        stream.observer = dropped
        del stream, listener
        gc.collect()
        assert all(isinstance(call, int) for one in observers for call in one.calls[:-1])
        return [one.calls[-1] for one in observers]

    assert run(task) == ["cancelled", "cancelled", "error", "cancelled"]


def test_context_of_the_same_conversation_can_be_segments(tts: TTS) -> None:
    async def task() -> None:
        first = await tts.astream("Hello", max_duration_s=4 * LIMIT_S, seed=1)
        await samples_of(first)
        said = first.said()
        assert [type(segment) for segment in said] == [Segment]
        expected = tts.generate("Again", context=said, max_duration_s=4 * LIMIT_S, seed=2)
        again = await tts.astream("Again", context=said, max_duration_s=4 * LIMIT_S, seed=2)
        np.testing.assert_array_equal(await samples_of(again), expected.samples)

    run(task)


@pytest.mark.parametrize("voice", ["heart", "theo"])
def test_pieces_of_a_reply_join_in_silence(petit: TTS, voice: str) -> None:
    """A listener hears the pauses of a reader: no click, no gap, at the joins of pieces."""
    text = (
        "Good morning to all of you. I hope that you slept well. The weather is fine, so we go out."
    )
    stream = petit.stream([f"{word} " for word in text.split()], voice=voice, seed=1)
    sound = stream.collect().samples
    lengths = [segment.codes.shape[1] for segment in stream.said()]
    assert len(lengths) == 2
    join, tick = 1_920 * lengths[0], 240  # samples; 10 ms
    assert abs(sound[join] - sound[join - 1]) < 1e-3
    loud = [
        np.sqrt(np.mean(sound[at : at + tick] ** 2)) > 0.01 for at in range(0, len(sound), tick)
    ]
    before = loud[: join // tick][::-1].index(True)
    after = loud[join // tick :].index(True)
    assert 10 <= before + after <= 80  # tenths of a second


def test_a_reply_does_not_keep_the_model_in_memory() -> None:
    async def task() -> tuple[list[AsyncStream], list[weakref.ref[object]]]:
        made = TTS(tiny.checkpoint(max_frames=2048), max_streams=1)
        whole = await made.astream("Hello.", seed=1, max_duration_s=4 * LIMIT_S)
        cut = await made.astream("Hello.", seed=1, max_duration_s=4 * LIMIT_S)
        await samples_of(whole)
        await anext(cut)
        await cut.aclose()
        await made.aclose()
        return [whole, cut], [weakref.ref(made.engine.runner), weakref.ref(made.checkpoint.model)]

    replies, large = run(task)
    gc.collect()
    assert [one() for one in large] == [None, None]
    assert [segment.text for segment in replies[0].said()] == ["Hello."]
    for reply in replies:
        assert reply.num_text_tokens == replies[0].num_text_tokens > 0
        assert reply.num_frames > 0
