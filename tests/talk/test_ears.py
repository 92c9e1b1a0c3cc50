"""Turns are found, encoded and recognized while they are spoken, however their sound is cut."""

from __future__ import annotations

import threading
import time
from concurrent.futures import wait

import numpy as np
import pytest
import torch

from causerie.audio.resample import resample
from causerie.errors import AudioError, ConfigError
from causerie.talk import turn_detector
from causerie.talk.activity import FRAME, RATE, Silero
from causerie.talk.ears import Ears, Heard, Partial, Started, Utterance
from causerie.talk.turn_detector import Settings, TurnDetector
from causerie.tts import TTS
from tests import tiny

SECOND = RATE // FRAME * FRAME / RATE


class Loudness:
    """Hears speech where the sound is loud."""

    def __call__(self, frame: np.ndarray) -> float:
        return float(np.abs(frame).mean() > 0.05)


def loud(seconds: float, rate: int = RATE) -> np.ndarray:
    noise = np.random.default_rng(int(1000 * seconds)).uniform(-0.5, 0.5, round(seconds * rate))
    return noise.astype(np.float32)


def silent(seconds: float, rate: int = RATE) -> np.ndarray:
    return np.zeros(round(seconds * rate), np.float32)


def kinds(detector: TurnDetector, *sounds: np.ndarray) -> list[tuple[str, float]]:
    events = detector.add(np.concatenate(sounds))
    return [(event.kind, event.sample / RATE) for event in events]


# -- turns -----------------------------------------------------------------------------------------


def test_a_turn_begins_with_its_padding_and_ends_with_its_speech() -> None:
    detector = TurnDetector(Loudness())
    found = kinds(detector, silent(1.024), loud(0.96), silent(1.0))
    assert found == [
        ("started", pytest.approx(1.024 - 0.32)),
        ("paused", pytest.approx(1.984)),
        ("stopped", pytest.approx(1.984)),
    ]


def test_a_short_pause_does_not_end_a_turn() -> None:
    detector = TurnDetector(Loudness())
    found = kinds(detector, loud(0.96), silent(0.32), loud(0.96), silent(0.6))
    assert [kind for kind, _ in found] == ["started", "paused", "resumed", "paused", "stopped"]
    assert found[-1][1] == pytest.approx(2.24, abs=0.033)


def test_a_click_is_no_turn() -> None:
    assert kinds(TurnDetector(Loudness()), silent(0.512), loud(0.03), silent(2.0)) == []


def test_the_settings_move_the_end() -> None:
    ends = []
    for silence_ms in (200, 500, 900):
        detector = TurnDetector(Loudness(), Settings(silence_ms=silence_ms))
        detector.add(loud(0.96))
        num_before = detector.num_samples
        while not any(event.kind == "stopped" for event in detector.add(silent(0.032))):
            pass
        ends.append((detector.num_samples - num_before) * 1000 / RATE)
    assert ends == pytest.approx([224, 512, 928], abs=1)


def test_a_model_of_the_end_ends_a_turn_at_a_pause() -> None:
    seen = []

    def is_complete(speech: np.ndarray) -> float:
        seen.append(len(speech) / RATE)
        return 0.8 if len(seen) == 2 else 0.79

    settings = Settings(silence_ms=800, is_complete=is_complete, min_complete=0.8)
    detector = TurnDetector(Loudness(), settings)
    found = kinds(detector, loud(0.96), silent(0.32), loud(0.96), silent(2.0))
    assert found[-1] == ("stopped", pytest.approx(2.24))
    assert seen == pytest.approx([0.96 + 0.192, 2.24 + 0.192])  # once in each pause
    detector.add(loud(0.96))
    num_before = detector.num_samples
    while not any(event.kind == "stopped" for event in detector.add(silent(0.032))):
        pass
    assert detector.num_samples - num_before == pytest.approx(0.8 * RATE, abs=FRAME)  # not sure


@pytest.mark.parametrize("has_button", [False, True])
def test_a_turn_that_is_too_long_ends_and_the_next_one_begins(
    monkeypatch: pytest.MonkeyPatch, has_button: bool
) -> None:
    monkeypatch.setattr(turn_detector, "MAX_TURN_S", 2)
    detector = TurnDetector.of_button() if has_button else TurnDetector(Loudness())
    begin = 0.0
    if not has_button:
        detector.add(silent(0.512))
        begin = 0.512 - 0.32
    found = [event for event in detector.add(loud(5)) if event.kind in ("started", "stopped")]
    found += detector.finish()
    ends = [begin, begin + 2.016, begin + 4.032, 4.992 + 0.512 * (not has_button)]
    assert [event.kind for event in found] == ["started", "stopped"] * 3
    assert [event.sample / RATE for event in found[::2]] == pytest.approx(ends[:3], abs=0.033)
    assert [event.sample / RATE for event in found[1::2]] == pytest.approx(ends[1:], abs=0.033)
    assert all(a.sample == b.sample for a, b in zip(found[1:-1:2], found[2::2], strict=True))


def test_words_are_asked_for_before_the_model_of_the_end(tts: TTS) -> None:
    order = []

    def is_complete(speech: np.ndarray) -> float:
        assert words_asked.wait(10)
        order.append("end")
        return 1.0

    def recognize(samples: np.ndarray) -> str:
        order.append("words")
        words_asked.set()
        return "Yes."

    words_asked = threading.Event()
    detector = TurnDetector(Loudness(), Settings(is_complete=is_complete))
    ears = Ears(detector, recognize, tts.conversation().listen, RATE)
    found = ears.add(np.concatenate([loud(0.96), silent(1.0)]))  # at once
    ears.close()
    assert isinstance(found[-1], Utterance)
    assert order == ["words", "end"]


@pytest.mark.parametrize("size", [100, FRAME, 777, 16_000])
def test_turns_do_not_depend_on_how_the_sound_is_cut(size: int) -> None:
    sound = np.concatenate([silent(0.3), loud(0.7), silent(0.2), loud(0.4), silent(1.0), loud(1)])
    expected = kinds(TurnDetector(Loudness()), sound)
    detector = TurnDetector(Loudness())
    found = []
    for start in range(0, len(sound), size):
        found += kinds(detector, sound[start : start + size])
    assert found == expected
    assert [event.kind for event in detector.finish()] == ["stopped"]
    assert detector.finish() == []


@pytest.mark.parametrize(
    "settings", [{"threshold": 0}, {"threshold": 1.5}, {"silence_ms": 20}, {"padding_ms": -1}]
)
def test_settings_out_of_range(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="must be"):
        Settings(**settings)  # type: ignore[arg-type]


# -- ears ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tts() -> TTS:
    return TTS(tiny.checkpoint(max_frames=1024), watermark=False)


def length_of(samples: np.ndarray) -> str:
    """A recognizer, whose words tell how much it heard."""
    return f"{len(samples) / RATE:.2f} seconds"


def heard(
    tts: TTS, sound: np.ndarray, rate: int, size: int, *, wants_partial: bool = False
) -> list[Heard]:
    listen = tts.conversation().listen
    ears = Ears(TurnDetector(Loudness()), length_of, listen, rate, wants_partial=wants_partial)
    found: list[Heard] = []
    for start in range(0, len(sound), size):
        found += ears.add(sound[start : start + size])
    found += ears.finish()
    for turn in found:
        if isinstance(turn, Utterance):
            turn.words.result(10)
    ears.close()
    return found


@pytest.mark.parametrize("rate", [16_000, 24_000, 8_000])
def test_a_turn_is_encoded_from_its_padding_to_its_last_word(tts: TTS, rate: int) -> None:
    speech = loud(0.96, rate)
    sound = np.concatenate([silent(2.0, rate), speech, silent(1.5, rate)])
    begin, turn = heard(tts, sound, rate, len(sound))
    assert isinstance(begin, Started)
    assert isinstance(turn, Utterance)
    assert begin.ms == turn.started_ms == pytest.approx(1700, abs=70)
    assert turn.stopped_ms == pytest.approx(2960, abs=70)
    length_s = (turn.stopped_ms - turn.started_ms) / 1000 + 0.2
    assert turn.codes.shape[1] == -(-length_s // 0.08)
    start = round(turn.started_ms * rate / 1000)
    alone = tts.conversation().listen(rate)
    alone.add(sound[start:])
    num_frames = turn.codes.shape[1]
    assert torch.equal(turn.codes[:, 2:], alone.end()[:, 2:num_frames])  # a resampler begins


@pytest.mark.parametrize("rate", [16_000, 24_000])
def test_turns_of_ears_do_not_depend_on_how_the_sound_is_cut(tts: TTS, rate: int) -> None:
    parts = [silent(0.4, rate), loud(0.7, rate), silent(0.9, rate), loud(1.1, rate)]
    sound = np.concatenate([*parts, silent(0.2, rate), loud(0.5, rate)])
    results = [heard(tts, sound, rate, size) for size in (len(sound), rate // 50, 1000)]
    assert [type(what) for what in results[0]] == [Started, Utterance] * 2
    for result in results[1:]:
        assert len(result) == len(results[0])
        for one, other in zip(results[0], result, strict=True):
            if isinstance(one, Utterance):
                assert isinstance(other, Utterance)
                assert torch.equal(one.codes, other.codes)
                assert one.words.result() == other.words.result()
                assert (one.started_ms, one.stopped_ms) == (other.started_ms, other.stopped_ms)
            else:
                assert one == other


def test_words_are_recognized_in_the_silence_that_ends_a_turn(tts: TTS) -> None:
    _, turn = heard(tts, np.concatenate([loud(0.96), silent(1.0)]), RATE, 512)
    assert isinstance(turn, Utterance)
    assert turn.words.result() == "1.12 seconds"  # up to the pause, not to the end of the silence


def test_words_that_were_asked_for_come_after_the_end(tts: TTS) -> None:
    may_go = threading.Event()

    def slow(samples: np.ndarray) -> str:
        assert may_go.wait(30)
        return length_of(samples)

    ears = Ears(TurnDetector(Loudness()), slow, tts.conversation().listen, RATE)
    found = ears.add(np.concatenate([loud(0.96), silent(1.0)] * 2))
    ears.close()  # while the first turn is recognized, and the second one waits
    may_go.set()
    first, second = [what for what in found if isinstance(what, Utterance)]
    assert first.words.result(30) == "1.12 seconds"
    assert second.words.result(30).endswith(" seconds")


class Hearer:
    """Ears whose recognizer tells how much it heard, and takes some time.

    Each block of sound waits for what was asked before, so that the results come in order.
    """

    def __init__(self, tts: TTS, seconds: float = 0.0, silence_ms: int = 500) -> None:
        self.seconds, self.asked_s, self.partial = seconds, list[float](), list[str]()
        self.turns: list[Utterance] = []
        detector = TurnDetector(Loudness(), Settings(silence_ms=silence_ms))
        self.ears = Ears(detector, self.recognize, tts.conversation().listen, RATE)

    def recognize(self, samples: np.ndarray) -> str:
        self.asked_s.append(round(len(samples) / RATE, 2))
        time.sleep(self.seconds)
        return length_of(samples)

    def add(self, sound: np.ndarray) -> None:
        for start in range(0, len(sound), 512):
            for what in self.ears.add(sound[start : start + 512]):
                if isinstance(what, Partial):
                    self.partial.append(what.text)
                elif isinstance(what, Utterance):
                    self.turns.append(what)
            if self.ears._partial is not None:
                wait([self.ears._partial])


def test_the_words_up_to_a_pause_are_a_partial_result(tts: TTS) -> None:
    hearer = Hearer(tts, seconds=0.26)
    hearer.add(np.concatenate([loud(0.96), silent(0.32), loud(4.48), silent(1.0)]))
    hearer.ears.close()
    assert hearer.partial == ["1.12 seconds", "5.92 seconds"]
    assert hearer.asked_s == [1.12, 5.92]  # too slow to be asked within the second sentence
    assert [turn.words.result() for turn in hearer.turns] == ["5.92 seconds"]


@pytest.mark.parametrize(("seconds", "silence_ms"), [(0.0, 200), (0.2, 500), (0.26, 800)])
def test_a_quick_recognizer_gives_partial_results_each_second(
    tts: TTS, seconds: float, silence_ms: int
) -> None:
    hearer = Hearer(tts, seconds, silence_ms)
    hearer.add(np.concatenate([loud(0.96), silent(0.192), loud(2.56), silent(1.0)]))
    hearer.ears.close()
    assert hearer.asked_s == [1.12, 2.14, 3.17, 3.87]
    assert hearer.partial == [f"{s:.2f} seconds" for s in hearer.asked_s]
    assert [turn.words.result() for turn in hearer.turns] == ["3.87 seconds"]


def test_words_at_the_end_do_not_wait_for_partial_results(tts: TTS) -> None:
    """The words of a turn are there as early as without partial results, to a tenth of a second."""
    took = []
    for wants_partial in (False, True):
        hearer = Hearer(tts, seconds=0.2)
        hearer.ears.wants_partial = wants_partial
        hearer.add(np.concatenate([loud(0.96), silent(0.192)]))
        for sound in (loud(0.992 + 0.032), silent(0.512)):  # ends as a partial result is asked for
            for start in range(0, len(sound), 512):
                for what in hearer.ears.add(sound[start : start + 512]):
                    if isinstance(what, Utterance):
                        hearer.turns.append(what)
                time.sleep(512 / RATE)
        started = time.monotonic()
        assert hearer.turns[0].words.result(10) == "2.34 seconds"
        took.append(time.monotonic() - started)
        assert len(hearer.asked_s) == 2 + wants_partial
        hearer.ears.close()
    assert took[1] < took[0] + 0.1


def test_a_partial_result_that_fails_loses_nothing(tts: TTS) -> None:
    hearer = Hearer(tts)

    def fails(samples: np.ndarray) -> str:
        raise AudioError("no words today")

    hearer.ears._recognizer, works = fails, hearer.ears._recognizer
    hearer.add(np.concatenate([loud(0.96), silent(0.32), loud(0.96)]))
    hearer.ears._recognizer = works
    hearer.add(silent(1.0))
    hearer.ears.close()
    assert [turn.words.result() for turn in hearer.turns] == ["2.40 seconds"]
    assert hearer.partial == ["2.40 seconds"]


@pytest.mark.parametrize(("wants_partial", "num_copies"), [(False, 1), (True, 2)])
def test_a_turn_is_not_copied_with_each_block(
    tts: TTS, wants_partial: bool, num_copies: int
) -> None:
    copied, may_go = [], threading.Event()

    class Copied(TurnDetector):
        @property
        def speech(self) -> np.ndarray:
            copied.append(self.num_speech)
            return super().speech

    def slow(samples: np.ndarray) -> str:
        assert may_go.wait(30)
        return length_of(samples)

    listen = tts.conversation().listen
    ears = Ears(Copied(Loudness()), slow, listen, RATE, wants_partial=wants_partial)
    ears._recognizer_s = 0.0  # quick, as far as it knows
    for _ in range(100):
        ears.add(loud(0.032))
    assert len(copied) == num_copies  # as it begins; and for a partial result, which is pending
    may_go.set()
    ears.close()


def test_silence_is_not_kept(tts: TTS) -> None:
    ears = Ears(TurnDetector(Loudness()), length_of, tts.conversation().listen, RATE)
    for _ in range(300):
        ears.add(silent(0.1))
    assert len(ears._sound) < RATE
    with pytest.raises(AudioError, match="not finite"):
        ears.add(np.array([np.nan]))
    ears.close()


# -- real speech -----------------------------------------------------------------------------------


def test_silero_hears_where_petit_speaks() -> None:
    tts = TTS.from_pretrained()
    question = tts.generate("Is it far to the station?", seed=1)
    speech = resample(question.samples, question.sample_rate, RATE)
    noise = 0.002 * np.random.default_rng(0).standard_normal(3 * RATE).astype(np.float32)
    sound = np.concatenate([noise[:RATE], speech, noise])
    detector = TurnDetector(Silero())
    events = detector.add(sound)
    assert [event.kind for event in events if event.kind in ("started", "stopped")] == [
        "started",
        "stopped",
    ]
    assert events[0].sample / RATE == pytest.approx(0.8, abs=0.3)
    assert events[-1].sample / RATE == pytest.approx(1 + len(speech) / RATE, abs=0.3)
