"""Rows of a conversation, and what happens when they do not fit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from causerie.audio.audio import Audio
from causerie.errors import AudioError, ConfigError, PromptTooLongError
from causerie.prompt import Part, Prompt, Segment, build_prompt

K = 3


def said(num_tokens: int, num_frames: int, first: int = 1) -> Part:
    codes = torch.arange(first, first + K * num_frames).reshape(K, num_frames)
    return Part(tokens=range(100, 100 + num_tokens), codes=codes)


def build(
    *parts: Part, max_frames: int = 100, reply_frames: int = 10, num_voice: int = 0
) -> Prompt:
    return build_prompt(
        parts,
        num_codebooks=K,
        max_frames=max_frames,
        reply_frames=reply_frames,
        num_voice=num_voice,
    )


def test_text_alone() -> None:
    prompt = build(Part(tokens=[7, 8, 9]))
    assert prompt.frames.tolist() == [[[0, 0, 0, 7], [0, 0, 0, 8], [0, 0, 0, 9]]]
    assert prompt.mask.tolist() == [[[False, False, False, True]] * 3]
    assert prompt.frames.dtype == torch.long
    assert prompt.mask.dtype == torch.bool


def test_a_said_segment_is_text_audio_and_a_stop_frame_masked_in_as_audio() -> None:
    prompt = build(said(2, 2), Part(tokens=[50]))
    assert prompt.frames[0].tolist() == [
        [0, 0, 0, 100],
        [0, 0, 0, 101],
        [1, 3, 5, 0],
        [2, 4, 6, 0],
        [0, 0, 0, 0],
        [0, 0, 0, 50],
    ]
    text, audio = [False, False, False, True], [True, True, True, False]
    assert prompt.mask[0].tolist() == [text, text, audio, audio, audio, text]


def test_oldest_whole_segments_are_dropped_first() -> None:
    parts = [said(2, 7, first) for first in (100, 200, 300)]  # 10 rows each
    last = Part(tokens=[1] * 5)
    for max_frames, kept in ((45, 3), (44, 2), (35, 2), (34, 1), (25, 1), (24, 0)):
        prompt = build(*parts, last, max_frames=max_frames)
        assert prompt.num_dropped == 3 - kept
        assert prompt.frames.shape == (1, 10 * kept + 5, K + 1)
        assert prompt.frames.shape[1] + 10 <= max_frames
        if kept:
            assert prompt.frames[0, -7, 0] == 306  # the latest segment is the last to go


def test_voice_is_dropped_after_the_context() -> None:
    voice, old, new = (said(2, 7, first) for first in (100, 200, 300))
    prompt = build(voice, old, new, Part(tokens=[1] * 5), max_frames=35, num_voice=1)
    assert prompt.num_dropped == 1
    assert prompt.frames[0, 2, 0] == 100
    assert prompt.frames[0, 12, 0] == 300
    prompt = build(voice, old, new, Part(tokens=[1] * 5), max_frames=25, num_voice=1)
    assert prompt.frames[0, 2, 0] == 100


def test_text_that_cannot_fit_says_both_numbers() -> None:
    with pytest.raises(PromptTooLongError, match=r"95 positions .* 105 .* has 100") as caught:
        build(said(1, 1), Part(tokens=[1] * 95))
    assert (caught.value.needed, caught.value.available) == (105, 100)


def test_context_segment_that_can_never_fit_says_both_numbers() -> None:
    with pytest.raises(
        PromptTooLongError, match=r"context segment 2 needs 103 positions"
    ) as caught:
        build(said(1, 1), said(2, 100), Part(tokens=[1]))
    assert (caught.value.needed, caught.value.available) == (103, 100)


@pytest.mark.parametrize("speaker", [-1, 1.0, "0", True, None])
def test_bad_speaker(speaker: int) -> None:
    with pytest.raises(ConfigError, match="speaker must be a whole number"):
        Segment(speaker=speaker, text="Hello")


def test_segment_refuses_contradictions() -> None:
    array, codes = np.ones(10, np.float32), torch.ones(K, 2, dtype=torch.long)
    with pytest.raises(AudioError, match="both audio and codes"):
        Segment(speaker=0, text="a", audio="a.wav", codes=codes)
    with pytest.raises(AudioError, match="give its sample_rate"):
        Segment(speaker=0, text="a", audio=array)
    with pytest.raises(AudioError, match="files know their own"):
        Segment(speaker=0, text="a", audio="a.wav", sample_rate=24_000)
    audio = Audio(samples=array, sample_rate=24_000)
    with pytest.raises(AudioError, match="files know their own"):
        Segment(speaker=0, text="a", audio=audio, sample_rate=24_000)
    with pytest.raises(ConfigError, match="text must be a string"):
        Segment(speaker=0, text=None)  # type: ignore[arg-type]
