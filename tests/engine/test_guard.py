"""The guard: when it makes a stop likelier or less likely, and when and how it cuts."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from causerie.engine.guard import (
    LONGEST_PAUSE,
    MOST_BIAS,
    MOST_EARLY,
    TAIL_FRAMES,
    TAIL_S,
    Guard,
    fade_out,
)
from causerie.engine.request import Length

LENGTH = Length(mean=30.0, deviation=2.0)
FRAME_S, CALM = 0.08, -18.0
LOUD, QUIET, SILENT = 0.1, 0.005, 0.0001


def audio(level: float) -> NDArray[np.float32]:
    return np.full(1920, level, np.float32)


def frames(count: int) -> list[NDArray[np.int32]]:
    """Different frames."""
    return [np.array([1 + n, 7, 8], np.int32) for n in range(count)]


def speak(
    guard: Guard,
    levels: list[float],
    stops: list[float] | None = None,
    codes: list[NDArray[np.int32]] | None = None,
) -> int:
    """Show frames to a guard until it ends the speech; returns the number of frames."""
    codes = codes or frames(len(levels))
    for n, (frame, level) in enumerate(zip(codes, levels, strict=True)):
        if guard.is_stop(frame, CALM if stops is None else stops[n]):
            return n
        if guard.is_last(frame, audio(level)):
            return n + 1
    return len(levels)


def biases(stops: list[float]) -> list[float]:
    guard, found = Guard(LENGTH, FRAME_S), []
    for stop, frame in zip(stops, frames(len(stops)), strict=True):
        found.append(guard.stop_bias)
        guard.is_stop(frame, stop)
        guard.is_last(frame, audio(LOUD))
    return found


def test_ordinary_speech_has_no_bias() -> None:
    assert not any(biases([CALM] * 32))


def test_the_bias_rises_after_the_usual_length() -> None:
    found = biases([CALM] * 38)
    late = found[33:]
    assert late == sorted(late)
    assert 0 < late[0] < 3
    assert late[-1] == MOST_BIAS


def test_signs_of_the_end_raise_the_bias_earlier() -> None:
    found = biases([CALM] * 26 + [CALM + 7] * 6)
    assert found[:27] == [0.0] * 27
    assert found[29] > 5


def test_a_model_that_is_about_to_stop_needs_no_bias() -> None:
    assert not any(biases([CALM] * 28 + [-1.5] * 3))


def test_a_restless_model_is_held_back_until_the_usual_length() -> None:
    found = biases([-6.0] * 32)
    assert found[:5] == [0.0] * 5
    assert found[6:27] == [-MOST_EARLY] * 21
    assert -MOST_EARLY < found[29] < 0
    assert found[31] == 0


def test_speech_that_never_pauses_is_cut_in_the_end() -> None:
    guard = Guard(LENGTH, FRAME_S)
    assert speak(guard, [LOUD] * 60) == LENGTH.max_frames
    assert guard.reason == "length"
    assert LENGTH.max_frames < 1.4 * LENGTH.mean


def test_a_cut_waits_for_a_pause() -> None:
    guard = Guard(Length(mean=30.0, deviation=4.0), FRAME_S)
    levels = [LOUD] * 36 + [QUIET] + [LOUD] + [QUIET] + [LOUD] * 20
    assert speak(guard, levels) == 40  # when the speech goes on
    assert guard.reason == "length"


def test_a_model_may_stop_by_itself_in_a_late_pause() -> None:
    length = Length(mean=60.0, deviation=10.0)
    levels = [LOUD] * 79 + [QUIET] * (LONGEST_PAUSE + 1)
    guard = Guard(length, FRAME_S)
    assert speak(guard, levels) == len(levels) - 1
    assert guard.reason == "length"
    ended, stops = frames(len(levels)), [CALM] * (len(levels) - 2) + [-0.1, CALM]
    ended[-2] = np.zeros_like(ended[-2])
    guard = Guard(length, FRAME_S)
    assert speak(guard, levels, stops, ended) == len(levels) - 2
    assert guard.reason is None


@pytest.mark.parametrize(("spoken", "ends_after"), [(33, 40), (29, 36), (18, 30)])
def test_silence_is_cut_sooner_after_the_usual_length(spoken: int, ends_after: int) -> None:
    guard = Guard(Length(mean=30.0, deviation=9.0), FRAME_S)
    levels = [LOUD] * spoken + [SILENT] * 60
    assert speak(guard, levels) == ends_after
    assert guard.reason == "silence"


def test_a_pause_in_the_middle_is_not_cut() -> None:
    guard = Guard(LENGTH, FRAME_S)
    assert speak(guard, [LOUD] * 16 + [SILENT] * 12 + [LOUD] * 4) == 32
    assert guard.reason is None


@pytest.mark.parametrize("period", [1, 4, 12])
def test_a_loop_is_cut(period: int) -> None:
    guard = Guard(Length(mean=60.0, deviation=4.0), FRAME_S)
    codes = frames(3) + [np.array([50 + n % period, n, 9], np.int32) for n in range(60)]
    assert speak(guard, [LOUD] * 63, codes=codes) == 3 + max(15, 3 * period)
    assert guard.reason == "loop"


def test_a_stop_that_the_model_did_not_expect_is_the_guards() -> None:
    guard = Guard(LENGTH, FRAME_S)
    assert speak(guard, [LOUD] * 34) == 34
    assert not guard.is_stop(np.array([4, 0, 0], np.int32), CALM)
    assert guard.is_stop(np.array([0, 5, 6], np.int32), CALM), "other codes do not matter"
    assert guard.reason == "stop"


def test_a_late_stop_that_the_model_half_expected_is_its_own() -> None:
    guard = Guard(LENGTH, FRAME_S)
    assert speak(guard, [LOUD] * 34) == 34
    assert guard.stop_bias > 0
    assert guard.is_stop(np.zeros(3, np.int32), -3.0)
    assert guard.reason is None


def test_the_models_own_stop_is_not_the_guards() -> None:
    for stops in ([CALM] * 30 + [-0.1], [CALM] * 34 + [-0.1]):
        guard = Guard(LENGTH, FRAME_S)
        codes = [*frames(len(stops) - 1), np.zeros(3, np.int32)]
        assert speak(guard, [LOUD] * len(stops), stops, codes) == len(stops) - 1
        assert guard.reason is None


def test_code_0_alone_is_sound() -> None:
    guard = Guard(LENGTH, FRAME_S)
    assert not guard.is_stop(np.array([0, 5, 6], np.int32), -0.1)


def test_a_fade_ends_in_silence() -> None:
    faded = audio(LOUD)
    fade_out(faded, 1000, 480)
    assert (faded[:521] == np.float32(LOUD)).all()
    assert (np.diff(faded[520:1000]) <= 0).all()
    assert abs(faded[999]) < 1e-6
    assert not faded[1000:].any()


def cut(levels: list[float], stops: list[float] | None = None) -> float:
    """The frames before endless speech of these levels becomes silent."""
    guard, held = Guard(LENGTH, FRAME_S), []
    for n, (frame, level) in enumerate(zip(frames(len(levels)), levels, strict=True)):
        assert not guard.is_stop(frame, CALM if stops is None else stops[n])
        is_last = guard.is_last(frame, audio(level))
        held = [*held, audio(level)][-guard.num_held :] if guard.num_held else []
        if is_last:
            kept = guard.cut(np.stack(held))
            silent = int((kept.ravel()[::-1] == 0).argmin())
            assert TAIL_FRAMES <= silent / 1920 < TAIL_FRAMES + 1
            return n + 1 - len(held) + len(kept) - silent / 1920
    raise AssertionError("it was not cut")


def test_speech_that_goes_on_is_cut_where_its_last_sound_usually_ends() -> None:
    assert cut([LOUD] * 40) == pytest.approx(LENGTH.mean - TAIL_S / FRAME_S, abs=1)


@pytest.mark.parametrize("pause", [23, 24, 28, 29])
def test_a_cut_falls_into_a_pause(pause: int) -> None:
    levels = [LOUD] * 40
    levels[pause] = QUIET
    assert pause < cut(levels) < pause + 1


@pytest.mark.parametrize("end", [25, 28])
def test_a_cut_falls_where_a_stop_was_likelier(end: int) -> None:
    stops = [CALM] * 40
    stops[end] = CALM + 8
    assert cut([LOUD] * 40, stops) == pytest.approx(end, abs=0.6)


def test_frames_are_held_near_the_usual_end_only() -> None:
    guard, held = Guard(Length(mean=100.0, deviation=7.0), FRAME_S), []
    for frame in frames(115):
        guard.is_last(frame, audio(LOUD))
        held.append(guard.num_held)
    first = held.index(1)
    assert first == pytest.approx(100 - TAIL_S / FRAME_S - 2.5 * 7, abs=1)
    assert held == [0] * first + [*range(1, 20)] + [20] * (115 - first - 19)
