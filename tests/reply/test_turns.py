"""The turns of a reply: their limits, their white space, and texts that are not cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from causerie import FLUSH, TTS, Audio, Segment
from causerie.audio import io
from causerie.errors import PromptTooLongError, TextError
from causerie.prompt import Part, build_prompt
from causerie.reply import context
from causerie.reply.context import ContextEncoder
from causerie.reply.turns import Turns
from causerie.text.front_end import FrontEnd, ReadingOptions, Spoken
from causerie.text.growing import Flush
from causerie.text.lexicon import Entry, UserLexicon
from causerie.text.reading import read
from causerie.text.split import split
from causerie.voice_file import BUNDLED
from causerie.voices import Voice
from tests import tiny

AS_WRITTEN = ReadingOptions(normalize=False)
LONG = "One sentence is here. " * 20  # 440 characters


@pytest.fixture(scope="module")
def encoder() -> ContextEncoder:
    return ContextEncoder(tiny.checkpoint(max_frames=2048))


def turns_of(
    encoder: ContextEncoder,
    text: str | Iterable[str | Flush] | AsyncIterable[str | Flush],
    max_duration_s: float | None = None,
    **settings: Any,
) -> Turns:
    voice = Voice(name="0", segments=())
    return Turns(encoder, text, voice=voice, context=(), max_duration_s=max_duration_s, **settings)


def texts_of(turns: Turns) -> list[str]:
    """The text of each turn, if every turn gives one frame."""

    async def read() -> list[str]:
        texts: list[str] = []
        frame = torch.ones(tiny.NUM_CODEBOOKS, 1, dtype=torch.long)
        while (turn := await turns.next_turn([frame] * len(texts))) is not None:
            texts.append(turn.text)
        return texts

    return asyncio.run(read())


def test_every_multiple_of_a_frame_is_that_number_of_frames(encoder: ContextEncoder) -> None:
    turns = turns_of(encoder, "Hi.")
    for number in range(1, 1126):
        for seconds in (number * 0.08, number * 80 / 1000, float(f"{number * 0.08:.2f}")):
            assert turns._num_frames(seconds) == number, seconds
    exact = asyncio.run(turns_of(encoder, "Hi.", 2.32).next_turn([]))
    assert exact is not None
    assert exact.max_frames == 29
    less = asyncio.run(turns_of(encoder, "Hi.", 2.3199).next_turn([]))
    assert less is not None
    assert less.max_frames == 28


# -- white space ---------------------------------------------------------------------------------


def test_white_space_at_the_ends(encoder: ContextEncoder) -> None:
    assert texts_of(turns_of(encoder, "  Hello \n")) == ["Hello"]
    assert texts_of(turns_of(encoder, "  Hello \n", reading=AS_WRITTEN)) == ["  Hello \n"]
    kept = texts_of(turns_of(encoder, f" \t{LONG}", reading=AS_WRITTEN))
    assert len(kept) == 2
    assert kept[0].startswith(" \tOne")
    assert kept[1].endswith("here. ")


@pytest.mark.parametrize("size", [1, 2, 5, 100])
@pytest.mark.parametrize("text", ["  Hello \n", "\n Hello there. How are you?  ", "Hi", " a "])
def test_white_space_of_a_text_in_parts(encoder: ContextEncoder, text: str, size: int) -> None:
    parts = [text[start : start + size] for start in range(0, len(text), size)]
    kept = texts_of(turns_of(encoder, parts, reading=AS_WRITTEN))
    assert " ".join(kept) == text
    plain = texts_of(turns_of(encoder, parts))
    assert [piece.strip() for piece in kept] == plain
    assert texts_of(turns_of(encoder, parts, reading=AS_WRITTEN, one_prompt=True)) == [text]


def test_a_flush_ends_the_text_so_far(encoder: ContextEncoder) -> None:
    parts = [" One. ", FLUSH, " Two. "]
    assert texts_of(turns_of(encoder, parts, reading=AS_WRITTEN)) == [" One. ", "Two. "]


# -- pauses ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["[pause 0.5s]", "<speak><break time='500ms'/></speak>"])
def test_a_text_of_pauses_only_is_silence(text: str) -> None:
    tts = TTS(tiny.checkpoint())
    replies = [tts.generate(text), tts.stream(text).collect(), tts.stream([text, FLUSH]).collect()]

    async def written() -> np.ndarray:
        stream = await tts.astream(text)
        return np.concatenate([chunk async for chunk in stream])

    for samples in [*(reply.samples for reply in replies), asyncio.run(written())]:
        np.testing.assert_array_equal(samples, np.zeros(12_000, np.float32))
    assert all(reply.notes == [] for reply in replies)
    found = read(text, tts.checkpoint.front_end)
    assert (found.words, found.pieces) == ("", ())
    assert [(pause.after_piece, pause.seconds) for pause in found.pauses] == [(0, 0.5)]


@pytest.mark.parametrize("text", ["[pause 0s]", "... [pause 0.5s]"])
def test_a_pause_does_not_hide_what_cannot_be_spoken(encoder: ContextEncoder, text: str) -> None:
    with pytest.raises(TextError, match="nothing in"):
        turns_of(encoder, text)
    with pytest.raises(TextError, match="nothing in"):
        read(text, encoder.checkpoint.front_end)


# -- one prompt ----------------------------------------------------------------------------------


def test_one_prompt(encoder: ContextEncoder) -> None:
    assert len(texts_of(turns_of(encoder, LONG))) == 2
    assert texts_of(turns_of(encoder, LONG, one_prompt=True)) == [LONG.strip()]
    parts = LONG.split(" ")
    spaced = [f"{part} " for part in parts]
    assert texts_of(turns_of(encoder, spaced, one_prompt=True)) == [LONG.strip()]
    with pytest.raises(TextError, match="text is empty"):
        turns_of(encoder, "  ", one_prompt=True)


def test_one_prompt_has_the_time_of_slow_speech(encoder: ContextEncoder) -> None:
    def limit_s(**settings: Any) -> float:
        text = "word " * 180  # 900 characters with the stop at its end
        turn = asyncio.run(turns_of(encoder, text, **settings).next_turn([]))
        assert turn is not None
        return turn.limit_s

    assert limit_s() == 60.0
    assert limit_s(one_prompt=True) == pytest.approx(1 + 90.0, abs=0.08)
    assert limit_s(one_prompt=True, max_duration_s=4.0) == 4.0


def test_one_prompt_that_is_too_long() -> None:
    with pytest.raises(PromptTooLongError, match="split the text"):
        TTS(tiny.checkpoint()).generate(LONG, one_prompt=True)


# -- context without text ------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", " \n", "\u00a0"])
def test_a_context_turn_without_text_is_its_audio(encoder: ContextEncoder, text: str) -> None:
    """As the original has it: the speaker between begin and end, then the frames."""
    codes = torch.randint(1, tiny.CODEBOOK_SIZE, (tiny.NUM_CODEBOOKS, 3))
    segment = Segment(speaker=1, text=text, codes=codes)
    part, spoken = encoder.segment(segment, "context segment 1")
    tokenizer = encoder.checkpoint.tokenizer
    assert part.tokens == tokenizer.encode("", 1)
    assert tokenizer.tokenizer.decode(part.tokens) == "[1]"
    assert (spoken.text, spoken.skipped) == ("", "")
    hello = Part(tokens=tokenizer.encode("Hi.", 0))
    prompt = build_prompt(
        [part, hello], num_codebooks=tiny.NUM_CODEBOOKS, max_frames=128, reply_frames=1
    )
    assert prompt.part_ends == (5 + 3 + 1, 5 + 3 + 1 + len(hello.tokens))


@pytest.mark.parametrize("seconds", [1, 5, 61])
def test_a_recording_is_decoded_once(
    seconds: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it is short, cut, or too long to be cut."""
    checkpoint = tiny.checkpoint(max_frames=2048)
    defaults = replace(checkpoint.defaults, context_s=2.0)
    encoder = ContextEncoder(replace(checkpoint, defaults=defaults))
    noise = np.random.default_rng(0).normal(0, 0.6, seconds * 24_000).astype(np.float32)
    file = Audio(samples=noise, sample_rate=24_000).save(tmp_path / "turn.wav")
    decoded, decode = [], io.decode

    def spied(*arguments: Any, **options: Any) -> Any:
        decoded.append(arguments)
        return decode(*arguments, **options)

    monkeypatch.setattr(io, "decode", spied)
    voice, turn = Voice(name="0", segments=()), Segment(speaker=0, text="So it is.", audio=file)
    for _ in range(2):
        turns = Turns(encoder, "Hi.", voice=voice, context=[turn], max_duration_s=None)
        assert any("s long" in note for note in turns.notes) == (seconds > 4)
        assert any("is distorted" in note for note in turns.notes)  # it was examined
    assert len(decoded) == 1


def test_a_turn_that_is_longer_than_the_model_hears_well() -> None:
    checkpoint = tiny.checkpoint(max_frames=2048)
    defaults = replace(checkpoint.defaults, context_s=2.0)
    encoder = ContextEncoder(replace(checkpoint, defaults=defaults))
    voice = Voice(name="0", segments=())

    def notes(num_frames: int) -> list[str]:
        codes = torch.ones(tiny.NUM_CODEBOOKS, num_frames, dtype=torch.long)
        turn = Segment(speaker=0, text="As long as it is.", codes=codes)
        return Turns(encoder, "Hi.", voice=voice, context=[turn], max_duration_s=None).notes

    assert notes(50) == []
    (note,) = notes(51)
    assert note.startswith("context segment 1 is 4 s long: only the last ")
    assert note.endswith(
        " s of it are context, since after more than 4 s this model often says other words"
    )
    assert notes(751) == [
        "context segment 1 is 60 s long: after more than 4 s this model often says other words; "
        "give a shorter part of it, with its words"
    ]


def test_petit_speaks_after_a_turn_without_text() -> None:
    tts = TTS.from_pretrained("petit", device="cpu")
    sound = np.random.default_rng(0).normal(0, 0.05, 24_000).astype(np.float32)
    context = [Segment(speaker=0, audio=sound, sample_rate=24_000)]
    with_turn = tts.generate("Hello.", context=context, seed=1, max_duration_s=0.4)
    without = tts.generate("Hello.", seed=1, max_duration_s=0.4)
    assert len(with_turn.samples)
    assert not np.array_equal(with_turn.samples, without.samples)


@pytest.mark.parametrize(("seconds", "is_heard"), [(0.2, False), (0.88, False), (0.96, True)])
def test_a_turn_of_less_than_a_second_is_left_out(seconds: float, is_heard: bool) -> None:
    petit = TTS.from_pretrained("petit", device="cpu")
    said = petit.generate("Sorry, I did not hear you.", voice="bruno", seed=1)
    assert said.codes is not None
    turn = Segment(speaker=0, text="Sorry,", codes=said.codes[:, : round(seconds * 12.5)])
    reply = petit.generate("No, it is late.", voice="bruno", context=[turn], seed=2)
    alone = petit.generate("No, it is late.", voice="bruno", seed=2)
    note = (
        "context: 1 turn of less than 0.9 s not heard, since this model would begin with such words"
    )
    assert (note in reply.notes) != is_heard
    assert np.array_equal(reply.samples, alone.samples) != is_heard


@pytest.mark.parametrize(("first", "is_heard"), [("I see.", False), ("I see it there.", True)])
def test_a_piece_does_not_begin_with_a_short_one_before_it(first: str, is_heard: bool) -> None:
    """Bruno said "I see. I see, you can walk there in ten minutes." """
    petit = TTS.from_pretrained("petit", device="cpu")
    said = petit.generate(first, voice="bruno", seed=7).codes
    assert said is not None
    text = "No, you can walk there in ten minutes."
    voice = petit.conversation("bruno").voice
    prompts = list[np.ndarray]()
    for parts, spoken in ([f"{first} ", text], [said]), ([text], []):
        turns = Turns(petit._context, parts, voice=voice, context=(), max_duration_s=None)
        for number in range(len(spoken) + 1):
            turn = asyncio.run(turns.next_turn(spoken[:number]))
        assert turn is not None
        assert turn.text == text
        prompts.append(turn.prompt.rows)
    assert np.array_equal(*prompts) != is_heard


def test_a_model_that_hears_others_hears_short_turns(encoder: ContextEncoder) -> None:
    codes = torch.ones((encoder.checkpoint.model.config.num_codebooks, 2), dtype=torch.long)
    said = Segment(speaker=1, text="Yes.", codes=codes)
    voice = Voice(name="0", segments=())
    turns = Turns(encoder, "Hello.", voice=voice, context=[said], max_duration_s=None)
    assert turns.num_context_frames == 2
    assert turns.notes == []


def test_a_text_may_have_any_length(encoder: ContextEncoder) -> None:
    text = "One sentence is here. " * 1_200  # 26,400 characters
    turns = turns_of(encoder, text)
    assert turns.num_pieces == 1_200 // 11 + 1
    assert asyncio.run(turns.next_turn([])) is not None


# -- texts that are read again ---------------------------------------------------------------------


def test_pieces_are_as_long_as_the_model_says_well() -> None:
    text = "we went to the sea " * 30
    for source, longest in (("phonemes", 140), ("plain", 250)):
        front_end = FrontEnd.load(source, BUNDLED)
        checkpoint = replace(tiny.checkpoint(max_frames=2048), front_end=front_end)
        pieces = texts_of(turns_of(ContextEncoder(checkpoint), text))
        assert longest - 30 < max(map(len, pieces)) <= longest
        assert list(read(text, front_end).pieces) == pieces
        (whole,) = texts_of(turns_of(ContextEncoder(checkpoint), text, one_prompt=True))
        assert whole.split() == text.split()


def test_a_text_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = ContextEncoder(tiny.checkpoint())
    front_end, read = encoder.checkpoint.front_end, list[str]()

    def counted(text: str, reading: ReadingOptions) -> Spoken:
        read.append(text)
        return front_end(text, reading)

    monkeypatch.setattr(encoder, "checkpoint", replace(encoder.checkpoint, front_end=counted))
    monkeypatch.setattr(context, "MAX_TEXTS", 2)
    first = [encoder.text("One fish.", speaker) for speaker in (0, 1)]
    again = [encoder.text("One fish.", speaker) for speaker in (0, 1)]
    for (part, spoken), (same_part, same_spoken) in zip(first, again, strict=True):
        assert part.tokens == same_part.tokens
        assert spoken is same_spoken
    assert first[0][0].tokens != first[1][0].tokens
    assert read == ["One fish."]
    own = ReadingOptions(lexicon=UserLexicon({"fish": Entry(alias="two birds")}))
    assert encoder.text("One fish.", 0, own)[1].text != first[0][1].text
    encoder.text("Three cats.", 0)
    encoder.text("One fish.", 0)  # it was the oldest of two
    assert read == ["One fish.", "One fish.", "Three cats.", "One fish."]


def test_a_reading_does_not_depend_on_what_was_read_before() -> None:
    front_end = FrontEnd.load("phonemes", BUNDLED)
    checkpoint = replace(tiny.checkpoint(max_frames=2048), front_end=front_end)
    encoder = ContextEncoder(checkpoint)
    piece, pause, _ = split("Wait [pause 1s] now.", 140)
    assert pause.pause_s
    assert encoder.text(piece, 0)[1].text == "wˈAt,"
    assert encoder.text("Wait", 0)[1].text == "wˈAt."
    assert encoder.text(piece, 0)[1].text == "wˈAt,"
