"""Reading speech folders and drawing windows."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from codec_training.aligned_speech import ALIGNMENT_LAG_S, SYMBOLS, SpeechFolder, WindowSampler

from causerie.errors import ConfigError
from tests.recipes.speech import write_speech_folder


def test_reads_utterances_and_pads_past_the_end(tmp_path: Path) -> None:
    folder = SpeechFolder(write_speech_folder(tmp_path / "speech"), 24_000)
    assert len(folder) == 6
    last = folder.utterances[-1]
    wave = folder.waveform(last, 0, last.num_samples + 500)
    assert np.abs(wave[: last.num_samples]).max() > 0.2
    assert not wave[last.num_samples :].any()


def test_voice_and_dialogue_are_read(tmp_path: Path) -> None:
    path = write_speech_folder(tmp_path / "speech")
    index = path / "part0.jsonl"
    rows = [json.loads(line) for line in index.read_text("utf-8").splitlines()]
    rows[1] |= {"voice": "heart", "conversation": "d7", "turn": 3}
    index.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    plain, annotated = SpeechFolder(path, 24_000).utterances[:2]
    assert (plain.voice, plain.conversation, plain.turn) == ("", "", 0)
    assert (annotated.voice, annotated.conversation, annotated.turn) == ("heart", "d7", 3)


def test_labels_follow_the_alignment_and_skip_stress_marks(tmp_path: Path) -> None:
    folder = SpeechFolder(write_speech_folder(tmp_path / "speech"), 24_000)
    utterance = folder.utterances[0]
    labels = folder.labels(utterance, 0, 80, 50)
    spoken = [SYMBOLS[label - 1] for label in labels if label]
    in_order = [s for i, s in enumerate(spoken) if i == 0 or s != spoken[i - 1]]
    assert "".join(in_order) == "ðə kæt sæt."


def test_labels_correct_the_alignment_lag(tmp_path: Path) -> None:
    folder = SpeechFolder(write_speech_folder(tmp_path / "speech"), 24_000)
    utterance = dataclasses.replace(folder.utterances[0], durations=(0,) * 12 + (1,) * 20)
    labels = folder.labels(utterance, 0, 40, 40)  # ð begins at step 12, 0.3 s: its sound at 0.25 s
    assert np.flatnonzero(labels).tolist() == list(range(10, 30))


def test_labels_and_windows_count_in_the_folder_s_rate(tmp_path: Path) -> None:
    path = write_speech_folder(tmp_path / "speech")
    fast, slow = SpeechFolder(path, 24_000), SpeechFolder(path, 12_000)
    early = fast.labels(fast.utterances[0], 6_000, 20, 50)
    late = slow.labels(slow.utterances[0], 3_000, 20, 50)  # 0.25 s in, both
    assert early.tolist() == late.tolist()
    sampler = WindowSampler(slow, batch=1, num_samples=6_000, label_rate=50, seed=0)
    assert [part.shape for part in sampler(0)] == [(1, 1, 6_000), (1, 25)]


def voices(folder: Path, samples: dict[str, int]) -> SpeechFolder:
    """One utterance per voice: silence, then noise that is labelled as speech."""
    for voice, count in samples.items():
        pcm = np.zeros(count, "<i2")
        pcm[count // 2 :] = 10_000 + 1_000 * np.random.default_rng(0).standard_normal(count // 2)
        pcm.tofile(folder / f"{voice}.i16")
        steps = int(count / 24_000 * 40)
        late = round(ALIGNMENT_LAG_S * 40)
        row = {
            "text": "a", "phonemes": "A", "voice": voice, "start": 0, "num_samples": count,
            "durations": [0] * (steps // 2 + late) + [1] * (steps - steps // 2),
        }  # fmt: skip
        (folder / f"{voice}.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    return SpeechFolder(folder, 24_000)


def test_voices_are_drawn_by_the_fourth_root_of_their_amount(tmp_path: Path) -> None:
    folder = voices(tmp_path, {"much": 384_000, "little": 24_000})
    sampler = WindowSampler(folder, batch=600, num_samples=24_000, label_rate=50, seed=0)
    pcm, _ = sampler(0)
    whole = torch.from_numpy(folder.waveform(folder.utterances[0], 0, 24_000))[None]
    share = (pcm[:, 0] == whole).all(1).float().mean()  # of what speaks a 17th
    assert 0.28 < share < 0.39


def test_labels_follow_stretched_windows(tmp_path: Path) -> None:
    folder = voices(tmp_path, {"one": 48_000})
    sampler = WindowSampler(
        folder, batch=40, num_samples=60_000, label_rate=50, seed=0, stretched=1.0
    )
    pcm, labels = sampler(0)
    loud = pcm[:, 0].unflatten(1, (-1, 480)).mean(2) > 0.15
    labelled = labels > 0
    begins = loud.float().argmax(1)
    assert begins.min() < 43  # 50 unstretched
    assert begins.max() > 57
    assert (begins - labelled.float().argmax(1)).abs().max() <= 1
    assert (loud != labelled).sum(1).max() <= 2


def test_the_order_of_symbols_is_fixed() -> None:
    assert SYMBOLS == " ,.!?;:—…AIOWYTQSbdfhijklmnpstuvwzæðŋɐɑɔəɛɜɡɪɹʃʊʌʒʤʧθᵊᵻ"


def test_a_folder_without_index_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="make_speech"):
        SpeechFolder(tmp_path, 24_000)


def test_a_batch_depends_on_seed_and_step_alone(tmp_path: Path) -> None:
    folder = SpeechFolder(write_speech_folder(tmp_path / "speech"), 24_000)

    def draw(seed: int, step: int) -> torch.Tensor:
        sampler = WindowSampler(folder, batch=4, num_samples=9600, label_rate=50, seed=seed)
        sampler(step + 1)
        return sampler(step)[0]

    assert torch.equal(draw(1, 5), draw(1, 5))
    assert not torch.equal(draw(1, 5), draw(1, 6))
    assert not torch.equal(draw(1, 5), draw(2, 5))
