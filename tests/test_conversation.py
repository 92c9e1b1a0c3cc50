"""A conversation is context: what the other speaker said, and what was heard of the replies."""

from __future__ import annotations

import asyncio
import dataclasses
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from causerie.conversation import KEPT, Conversation, Playback
from causerie.errors import AudioError, CauserieError, ConfigError, TextError
from causerie.prompt import Segment
from causerie.tts import TTS
from tests import tiny

RATE, FRAME = 24_000, 1920
QUESTION, ANSWER = "Is it far?", "Ten minutes."
SHORT: dict[str, Any] = {"seed": 3, "max_duration_s": 0.4}
WHOLE: dict[str, Any] = {"seed": 3, "max_duration_s": 1.6}  # long enough for two words


@pytest.fixture
def tts() -> TTS:
    return TTS(tiny.checkpoint(max_frames=1024), watermark=False)


@pytest.fixture(scope="module")
def petit() -> TTS:
    return TTS.from_pretrained()


def sound(num_frames: float, seed: int = 0, rate: int = RATE) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(int(num_frames * FRAME * rate / RATE))
    return (0.1 * noise).astype(np.float32)


def frames(segments: list[Segment]) -> int:
    return sum(segment.codes.shape[1] for segment in segments if segment.codes is not None)


# -- context ---------------------------------------------------------------------------------------


def test_a_reply_has_heard_the_other_speaker(tts: TTS) -> None:
    conversation = tts.conversation()
    conversation.hear(QUESTION, sound(7), sample_rate=RATE)
    first = conversation.generate(ANSWER, **WHOLE)
    conversation.hear("", sound(5, 1), sample_rate=RATE)
    second = conversation.generate("I know.", **WHOLE)
    assert first.codes is not None
    asked = Segment(speaker=1, text=QUESTION, audio=sound(7), sample_rate=RATE)
    own = Segment(speaker=0, text=ANSWER, codes=first.codes)
    asked_again = Segment(speaker=1, text="", audio=sound(5, 1), sample_rate=RATE)
    alone = tts.generate("I know.", context=[asked, own, asked_again], **WHOLE)
    assert np.array_equal(second.samples, alone.samples)
    assert not np.array_equal(second.samples, tts.generate("I know.", **WHOLE).samples)
    said = [(segment.speaker, segment.text) for segment in conversation.context()]
    assert said == [(1, QUESTION), (0, ANSWER), (1, ""), (0, "I know.")]


def test_the_other_speaker_has_a_number_of_its_own(tts: TTS) -> None:
    codes = torch.zeros((tiny.checkpoint().model.config.num_codebooks, 3), dtype=torch.long)
    voice = tts.make_voice("v", [Segment(speaker=0, text="Yes.", codes=codes)], speaker=1)
    conversation = tts.conversation(voice)
    conversation.hear(QUESTION, sound(3), sample_rate=RATE)
    assert [segment.speaker for segment in conversation.context()] == [2]


def test_a_conversation_has_a_voice_with_a_prompt() -> None:
    petit = TTS.from_pretrained(device="cpu")
    assert petit.conversation().voice.name == "heart"
    assert petit.conversation().voice.segments
    assert petit.conversation(0).voice.name == "0"
    assert TTS(tiny.checkpoint()).conversation().voice.name == "0"


def test_replies_in_another_voice_are_not_context(tts: TTS) -> None:
    conversation = tts.conversation(0)
    conversation.hear(QUESTION, sound(3), sample_rate=RATE)
    conversation.generate(ANSWER, **SHORT)
    conversation.voice = tts.conversation(1).voice
    assert [(s.speaker, s.text) for s in conversation.context()] == [(0, QUESTION)]


def test_words_that_cannot_be_spoken_are_unknown_words(tts: TTS) -> None:
    conversation = tts.conversation()
    turn = conversation.hear("...", sound(3), sample_rate=RATE)
    assert turn.text == "..."
    assert [segment.text for segment in conversation.context()] == [""]
    assert conversation.generate(ANSWER, **SHORT).duration_s > 0


def test_a_model_that_would_take_over_a_voice_hears_itself_only() -> None:
    checkpoint = tiny.checkpoint(max_frames=1024)
    defaults = dataclasses.replace(checkpoint.defaults, hears_others=False)
    deaf = TTS(dataclasses.replace(checkpoint, defaults=defaults), watermark=False)
    conversation = deaf.conversation()
    conversation.hear(QUESTION, sound(7), sample_rate=RATE)
    first = conversation.generate(ANSWER, **WHOLE)
    conversation.hear("", sound(5, 1), sample_rate=RATE)
    own = conversation.context()
    assert [segment.text for segment in own] == [ANSWER]
    conversation.hear("", sound(499), sample_rate=RATE)  # takes nothing of the context
    reply = conversation.generate("I know.", **WHOLE)
    other = Segment(speaker=1, text=QUESTION, audio=sound(7), sample_rate=RATE)
    alone = deaf.generate("I know.", context=[other, *own], **WHOLE)
    assert np.array_equal(reply.samples, alone.samples)
    assert "conversation: the other speaker is not heard" in " ".join(first.notes)
    assert "not heard" not in " ".join(reply.notes)  # said once
    note = "context: 1 turn of other speakers not heard, since this model would take over the voice"
    assert note in alone.notes
    with pytest.raises(ConfigError, match="context segment 1 must be a Segment"):
        deaf.generate("I know.", context=["Hello."], **WHOLE)  # type: ignore[list-item]


def test_the_model_says_how_much_is_context() -> None:
    checkpoint = tiny.checkpoint(max_frames=1024)
    defaults = dataclasses.replace(checkpoint.defaults, context_s=1.0)
    conversation = TTS(dataclasses.replace(checkpoint, defaults=defaults)).conversation()
    for number in range(3):
        conversation.hear(QUESTION, sound(6, number), sample_rate=RATE)
    context, notes = conversation.next_context()
    assert frames(context) <= 12
    assert notes
    with pytest.raises(ConfigError, match="context_s must be seconds above 0"):
        dataclasses.replace(defaults, context_s=0)


def test_a_removed_turn_is_no_context(tts: TTS) -> None:
    conversation = tts.conversation()
    turn = conversation.hear(QUESTION, sound(3), sample_rate=RATE)
    conversation.remove(turn)
    conversation.remove(turn)
    assert conversation.context() == []


# -- interruption ----------------------------------------------------------------------------------


@pytest.mark.parametrize("played_s", [0.0, 0.1, 0.3, 0.96, 1.5, 9.0])
def test_an_interrupted_reply_counts_as_far_as_it_was_heard(tts: TTS, played_s: float) -> None:
    conversation = tts.conversation()
    whole = conversation.generate("One two three four five six.", seed=3, max_duration_s=2)
    text = conversation.interrupt(played_s)
    assert whole.codes is not None
    heard = frames(conversation.context())
    assert (heard == 0) == (played_s < 0.5) == (text == "")  # "One" ends after 0.45 s
    expected = min(played_s / 0.08, whole.codes.shape[1])
    if heard:
        assert expected - 1 < heard <= expected
        (segment,) = conversation.context()
        assert segment.codes is not None
        assert torch.equal(segment.codes, whole.codes[:, :heard])
        assert segment.text == text
        assert "One two three four five six.".startswith(text)


@pytest.mark.parametrize("text", ["Sorry, I did not hear you.", "Absolutely."])
def test_a_word_that_was_cut_is_not_said_by_the_next_reply(petit: TTS, text: str) -> None:
    conversation = petit.conversation("bruno")
    conversation.generate(text, seed=1)
    assert conversation.interrupt(0.3) == ""
    answer = conversation.generate("No, it is late.", seed=2)
    alone = petit.generate("No, it is late.", voice="bruno", seed=2)
    assert np.array_equal(answer.samples, alone.samples)


def test_the_next_reply_does_not_begin_with_a_short_one(petit: TTS) -> None:
    """Bruno said "Sure, you can walk there in ten minutes." """
    conversation = petit.conversation("bruno")
    for _ in range(5):
        conversation.generate("Sure.", seed=20)
    assert conversation.context() == []
    text = "No, you can walk there in ten minutes."
    answer = conversation.generate(text, seed=5)
    assert np.array_equal(answer.samples, petit.generate(text, voice="bruno", seed=5).samples)
    assert not any("context" in note for note in answer.notes)
    conversation.generate("Sure.", seed=20)
    assert [segment.text for segment in conversation.context()] == [text]


def test_a_stream_counts_as_far_as_it_was_taken(tts: TTS) -> None:
    conversation = tts.conversation()
    stream = conversation.stream("One two three four five six.", seed=3, max_duration_s=4)
    taken = [next(stream) for _ in range(5)]
    stream.close()
    (segment,) = conversation.context()
    assert frames([segment]) == sum(map(len, taken)) // FRAME > 4
    assert segment.text in ("One", "One two", "One two three")


# -- the budget ------------------------------------------------------------------------------------


def test_the_oldest_turns_are_dropped(tts: TTS) -> None:
    limit_s = 4.0
    conversation = tts.conversation(context_s=limit_s)
    notes: list[bool] = []
    contexts: list[list[Segment]] = []
    for number in range(20):
        conversation.hear(QUESTION, sound(6, number), sample_rate=RATE)
        reply = conversation.generate(ANSWER, **SHORT)
        notes.append(any(note.startswith("conversation: ") for note in reply.notes))
        contexts.append(conversation.context())
    assert all(frames(context) <= limit_s / 0.08 + 5 for context in contexts)  # with the reply
    assert not notes[0]
    assert 2 <= sum(notes) <= 10  # several turns go at once
    for before, after in pairwise(contexts):
        sizes = [frames([segment]) for segment in after]
        assert set(sizes) <= {6, 5}  # whole turns
        assert frames(after) >= KEPT * limit_s / 0.08 - 6 or len(after) >= len(before)


def test_a_turn_costs_its_own_rows(tts: TTS) -> None:
    conversation = tts.conversation()
    num_read = []
    for number in range(5):
        conversation.hear(QUESTION, sound(10, number), sample_rate=RATE)
        saved = tts.engine.prefixes.num_rows_saved
        conversation.generate(ANSWER, **SHORT)
        num_rows = frames(conversation.context())
        num_read.append(num_rows - (tts.engine.prefixes.num_rows_saved - saved))
    assert max(num_read[1:]) <= 40  # rows of text count as saved, too


@pytest.mark.parametrize("is_prepared", [True, False])
def test_turns_are_dropped_while_the_other_one_speaks(tts: TTS, is_prepared: bool) -> None:
    """Then a reply after that has to read its own rows only, as any other."""
    conversation = tts.conversation(context_s=4.0)
    num_read, dropped = list[int](), list[bool]()

    async def talk() -> None:
        for number in range(15):
            if is_prepared:
                await conversation.prepare()
            conversation.hear(QUESTION, sound(6, number), sample_rate=RATE)
            before = tts.engine.stats().num_rows
            reply = await conversation.astream(ANSWER, **SHORT)
            async for _ in reply:
                pass
            num_read.append(tts.engine.stats().num_rows - before)
            dropped.append(any(note.startswith("conversation: ") for note in reply.notes))
            assert frames(conversation.context()) <= 4.0 / 0.08 + 5
        await tts.aclose()

    asyncio.run(talk())
    assert 2 <= sum(dropped) <= 7
    usual = max(
        rows for rows, is_first in zip(num_read[1:], dropped[1:], strict=True) if not is_first
    )
    after_drops = [rows for rows, is_after in zip(num_read, dropped, strict=True) if is_after]
    assert all((rows <= usual) == is_prepared for rows in after_drops)


def test_a_long_reply_is_dropped_in_whole_pieces(tts: TTS) -> None:
    conversation = tts.conversation(context_s=1.0)
    text = "One fish swims here in the sea. Two birds sing there in the old tree. Three cats sleep."
    conversation.generate(text, seed=3, max_duration_s=3)
    whole = [segment.text for segment in conversation.context()]
    context, notes = conversation.next_context()
    assert [segment.text for segment in context] == whole[len(whole) - len(context) :]
    assert len(context) < len(whole)
    assert frames(context) <= 12
    assert len(notes) == 1


# -- sound that arrives in pieces ------------------------------------------------------------------


@pytest.mark.parametrize("rate", [24_000, 16_000, 8_000])
def test_sound_is_encoded_while_it_is_spoken(tts: TTS, rate: int) -> None:
    samples = sound(6.4, rate=rate)
    expected: torch.Tensor | None = None
    for size in (len(samples), rate // 50, 1777, 333):
        turn = tts.conversation().listen(rate)
        for start in range(0, len(samples), size):
            turn.add(samples[start : start + size])
        num_before = turn.num_frames
        codes = turn.end()
        assert codes.shape[1] == 7
        assert num_before >= 5
        expected = codes if expected is None else expected
        assert torch.equal(codes, expected)
    conversation = tts.conversation()
    heard = conversation.hear("", samples, sample_rate=rate).segment.codes
    assert heard is not None
    assert expected is not None
    assert (heard == expected).float().mean() > 0.99  # offline, products are rounded otherwise


def test_sound_is_encoded_by_one_thread(tts: TTS, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several wait for each other at each small operation, which is slow on busy cores."""
    codec, num_threads = tts.checkpoint.codec, list[int]()
    step = codec.encode_step

    def counted(*args: Any) -> torch.Tensor:
        num_threads.append(torch.get_num_threads())
        return step(*args)

    monkeypatch.setattr(codec, "encode_step", counted)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        turn = tts.conversation().listen(RATE)
        turn.add(sound(1.0))
        turn.end()
        assert num_threads == [1] * turn.num_frames
        assert torch.get_num_threads() == 3
        with ThreadPoolExecutor(4) as pool:  # speakers at once, in threads that are new to torch
            turns = [tts.conversation().listen(RATE) for _ in range(4)]
            list(pool.map(lambda one: one.add(sound(5)), turns))
            assert set(num_threads) == {1}
            assert list(pool.map(lambda _: torch.get_num_threads(), range(4))) == [3] * 4
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_an_empty_turn_has_no_codes(tts: TTS) -> None:
    conversation = tts.conversation()
    codes = conversation.listen(16_000).end()
    assert codes.shape[1] == 0
    with pytest.raises(AudioError, match="empty"):
        conversation.hear("", codes=codes)


# -- asyncio, and errors ---------------------------------------------------------------------------


def test_asyncio(tts: TTS) -> None:
    async def talk() -> tuple[np.ndarray, Conversation]:
        conversation = tts.conversation()
        conversation.hear(QUESTION, sound(7), sample_rate=RATE)
        stream = await conversation.astream(ANSWER, **WHOLE)
        pcm = np.concatenate([chunk async for chunk in stream])
        await tts.aclose()
        return pcm, conversation

    pcm, conversation = asyncio.run(talk())
    again = tts.conversation()
    again.hear(QUESTION, sound(7), sample_rate=RATE)
    assert np.array_equal(again.generate(ANSWER, **WHOLE).samples, pcm)
    assert [segment.text for segment in conversation.context()] == [QUESTION, ANSWER]


@pytest.mark.parametrize(
    ("action", "error", "message"),
    [
        (lambda c, t: t.conversation(context_s=0), ConfigError, "context_s must be a number"),
        (lambda c, t: t.conversation(context_s=float("nan")), ConfigError, "context_s must be"),
        (lambda c, t: t.conversation("nobody"), CauserieError, "nobody"),
        (lambda c, t: c.hear(QUESTION), AudioError, "the turn has neither audio nor codes"),
        (lambda c, t: c.hear("\udc80", sound(3), sample_rate=RATE), TextError, "half"),
        (lambda c, t: c.interrupt(1.0), ConfigError, "there is no reply to interrupt"),
        (lambda c, t: c.listen(24), AudioError, "give it in Hz"),
        (lambda c, t: c.listen(RATE).add(np.array([np.nan])), AudioError, "not finite"),
    ],
)
def test_bad_input(tts: TTS, action: Any, error: type[CauserieError], message: str) -> None:
    with pytest.raises(error, match=message):
        action(tts.conversation(), tts)


def test_a_negative_time_is_no_time(tts: TTS) -> None:
    conversation = tts.conversation()
    conversation.generate(ANSWER, **SHORT)
    with pytest.raises(ConfigError, match="from 0 upwards"):
        conversation.interrupt(-1)


def test_a_reply_that_reached_its_limit_counts_as_far_as_it_came(petit: TTS) -> None:
    conversation = petit.conversation("bruno")
    text = "Tomorrow it will rain all day, but it will be warm."
    reply = conversation.generate(text, seed=12, max_duration_s=1.2)
    assert reply.stopped == "limit"
    (segment,) = conversation.context()
    assert segment.codes is not None
    assert segment.codes.shape[1] == 15
    assert text.startswith(segment.text)
    assert 3 <= len(segment.text.split()) <= 5


def test_playback_counts_what_was_sent(tts: TTS) -> None:
    playback = Playback(tts.stream(ANSWER, **SHORT), "0")
    for chunk in playback.reply:  # type: ignore[attr-defined]
        playback.add(chunk)
    assert playback.sent_ms == playback.played_ms == 400
    playback.stop(150)
    assert playback.played_ms == 150
