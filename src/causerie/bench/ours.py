"""causerie's runners as implementations to time: one model in one weight format."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from causerie.bench.machine import synchronize
from causerie.bench.subjects import voice_of
from causerie.checkpoint.load import Checkpoint
from causerie.engine.engine import Engine
from causerie.engine.runner import Draw, Rows, Runner, Sampling, SavedRows
from causerie.tts import TTS

#: The text of the first-sound measurement, about two seconds of speech.
SENTENCE = "Hello, it is nice to meet you."


class Ours:
    """A runner to time.

    Args:
        name: name of the implementation.
        formats: weight formats of the backbone and the depth decoder.
    """

    has_codec = True

    def __init__(
        self, name: str, checkpoint: Checkpoint, runner: Runner, formats: tuple[str, str]
    ) -> None:
        self.name, self.formats = name, formats
        self.checkpoint, self.runner = checkpoint, runner
        self._voice = voice_of(checkpoint)
        self._saved: dict[int, SavedRows] = {}  # by their number
        self.max_streams, self.max_rows = runner.num_slots, runner.max_rows
        defaults = checkpoint.defaults
        self._sampling = Sampling(
            temperature=defaults.temperature, top_k=defaults.top_k,
            depth_temperature=defaults.acoustic_temperature,
            depth_top_k=defaults.acoustic_top_k, seed=0,
        )  # fmt: skip

    def frames(self, count: int, *, rows: int, streams: int) -> tuple[list[float], list[float]]:
        """Milliseconds for the codes, and for the audio, of each frame of all streams."""
        runner, codes_ms, sound_ms = self.runner, list[float](), list[float]()
        slots = range(streams)
        for slot in slots:
            runner.reset(slot)
        self._begin(slots, rows)
        for frame in range(count + 1):
            start = time.perf_counter()
            codes = runner.step(
                [Draw(slot=slot, sampling=self._sampling, frame=frame) for slot in slots]
            )
            between = time.perf_counter()
            runner.decode(slots, codes)
            end = time.perf_counter()
            if frame:  # some runners prefill only in the first step
                codes_ms.append(1000 * (between - start))
                sound_ms.append(1000 * (end - between))
        for slot in slots:
            runner.reset(slot)
        return codes_ms, sound_ms

    def prefill(self, rows: int) -> float:
        """Milliseconds to prefill this number of rows."""
        self.runner.reset(0)
        given, device = self._rows(rows), self.checkpoint.model.projection.weight.device
        synchronize(device)
        start = time.perf_counter()
        self.runner.prefill(0, given)
        synchronize(device)
        taken = 1000 * (time.perf_counter() - start)
        self.runner.reset(0)
        return taken

    def first_sound(self, voice: str) -> float:
        """Milliseconds from the text to the first samples.

        Args:
            voice: "none", "new" or "kept"; see `Result`.
        """
        engine = Engine(self.runner)
        tts = TTS(self.checkpoint, engine=engine)
        chosen = None if voice == "none" else self._voice
        for _ in range(1 + (voice == "kept")):
            stream = tts.stream(SENTENCE, voice=chosen, seed=0, max_duration_s=1)
            next(stream)
            first_ms = stream.first_sound_ms
            stream.close()
        assert first_ms is not None
        return first_ms

    def prompt_rows(self, voice: str) -> int:
        """Approximate rows of the prompt for a first sound: those of the voice."""
        if voice == "none":
            return 0
        return sum(s.codes.shape[1] for s in self._voice.segments if s.codes is not None)

    def sound(self, count: int) -> list[float]:
        """Milliseconds to decode each of the next `count` frames of slot 0."""
        times: list[float] = []
        codes = np.ones((1, self.runner.num_codebooks), np.int32)
        for _ in range(count):
            start = time.perf_counter()
            self.runner.decode([0], codes)
            times.append(1000 * (time.perf_counter() - start))
        return times

    def _begin(self, slots: Sequence[int], rows: int) -> None:
        """Load the same two or more rows into all slots, computed once."""
        given, head = self._rows(rows), rows - 1
        if rows not in self._saved:
            self.runner.prefill(slots[0], given[:head])
            self._saved[rows] = self.runner.save(slots[0], head)
            self.runner.reset(slots[0])
        for slot in slots:
            self.runner.load(slot, self._saved[rows], head)
            self.runner.prefill(slot, given[head:])

    def _rows(self, count: int) -> Rows:
        """Rows of random codes, with text rows before and after them."""
        config, codec = self.checkpoint.model.config, self.checkpoint.codec.config
        drawn = np.random.default_rng(0)
        rows = np.full((count, config.num_codebooks + 1), -1, np.int32)
        rows[:, :-1] = drawn.integers(1, codec.codebook_size, (count, config.num_codebooks))
        for row in (*range(min(count, 20)), count - 1):
            rows[row, :-1], rows[row, -1] = -1, drawn.integers(1, 300)
        return rows
