"""The library's main class: text in, speech out.

    tts = TTS.from_pretrained()
    tts.generate("Hello, it is nice to meet you.").save("hello.wav")

It checks the arguments and loads the model; `causerie.reply` and the engine do the rest.
"""

from __future__ import annotations

import asyncio
import logging
import operator
import os
import secrets
import threading
import time
from collections.abc import AsyncIterable, Iterable, Sequence
from pathlib import Path
from typing import Literal, NoReturn, TypeAlias, get_args

import torch

from causerie.audio.audio import Audio
from causerie.checkpoint.load import Checkpoint, load
from causerie.codec.mimi import Mimi
from causerie.conversation import Conversation
from causerie.device import find_device, find_dtype
from causerie.engine.aio import AsyncEngine
from causerie.engine.engine import PREFIX_BYTES, Engine
from causerie.engine.interrupts import register_fork
from causerie.engine.out_of_memory import in_one_line
from causerie.engine.placement import Placement, Wishes, choose_place
from causerie.engine.request import Sampling
from causerie.engine.runners.choose import check_formats, fast_formats, new_runner
from causerie.errors import CheckpointError, ConfigError, TextError
from causerie.model import sampling
from causerie.model.csm import CSM
from causerie.prompt import Segment
from causerie.recognition.whisper import Recognizer
from causerie.reply.async_stream import AsyncStream
from causerie.reply.context import ContextEncoder
from causerie.reply.reply import Verifying
from causerie.reply.stream import Stream
from causerie.reply.turns import Turns, listed
from causerie.reply.verifier import Verifier, whispers
from causerie.text.check import check_text
from causerie.text.front_end import ReadingOptions
from causerie.text.growing import Flush
from causerie.text.lexicon import LexiconSource, read_lexicon
from causerie.text.reading import TextReading, read
from causerie.voices import Voice, find_voice, usual_voice
from causerie.watermark.key import Watermark, usual_key
from causerie.watermark.mark import Marker

log = logging.getLogger("causerie")
log.addHandler(logging.NullHandler())

OnOff: TypeAlias = Literal["on", "off"]
#: Replies that are generated at the same time; more wait.
MAX_STREAMS = 8
#: Replies that may wait: each is a thread, or a stream that is not read.
MAX_QUEUE = 1_000
#: Whether a guard ends speech that goes on after its text; "auto" is the checkpoint's default.
Guard = Literal["auto", "on", "off"]
#: Whether a recognizer checks the pieces of a reply before they are heard. "all": in streams, the
#: first one too.
Verify: TypeAlias = bool | Literal["all"]
#: Memory for voices and contexts that were read.
PREFIX_CACHE_MB = PREFIX_BYTES // 2**20


class TTS:
    """Speech from text with one checkpoint.

    Any number of threads may call it at the same time; their replies are generated together.

    Args:
        engine: generates the replies; None creates an engine on first use.
        max_streams, max_queue, prefix_cache_mb, backbone_format, depth_format, fast: settings of
            that engine, see `from_pretrained`.
        lexicon, normalize, recognizer, watermark: see `from_pretrained`.

    Attributes:
        watermark: what all speech carries; None if it is off.
        placement: the device and dtype of a model that `from_pretrained` loaded, and why.
    """

    placement: Placement | None = None

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        engine: Engine | None = None,
        max_streams: int = MAX_STREAMS,
        max_queue: int = MAX_QUEUE,
        prefix_cache_mb: int = PREFIX_CACHE_MB,
        backbone_format: str = "auto",
        depth_format: str = "auto",
        fast: bool = False,
        lexicon: LexiconSource = None,
        normalize: OnOff = "on",
        recognizer: Recognizer | None = None,
        watermark: Watermark | bool = True,
    ) -> None:
        _check_limits(max_streams, max_queue, prefix_cache_mb)
        check_formats(backbone_format, depth_format, fast=fast)
        model, codec = checkpoint.model.config, checkpoint.codec.config
        if (
            model.num_codebooks > codec.num_codebooks
            or model.audio_vocab_size < codec.codebook_size
        ):
            raise CheckpointError(
                f"model and codec of {checkpoint.name} do not fit: {model.num_codebooks} codebooks "
                f"of {model.audio_vocab_size} codes, against {codec.num_codebooks} of "
                f"{codec.codebook_size}"
            )
        self.checkpoint = checkpoint
        self._context = ContextEncoder(checkpoint)
        self._engine, self._engine_lock = engine, threading.Lock()
        self._async_engine: AsyncEngine | None = None
        self._max_streams, self._max_queue = max_streams, max_queue
        self._prefix_bytes = prefix_cache_mb * 2**20
        self._formats = (backbone_format, depth_format)
        if fast:
            self._formats = fast_formats(checkpoint.model.projection.weight.device)
        self._lexicon, self._normalize = read_lexicon(lexicon), _is_on(normalize)
        self._recognizer, self._verifier_lock = recognizer, threading.Lock()
        self._verifier: Verifier | None = None
        self.watermark = _chosen_watermark(watermark)
        self._marker = None if self.watermark is None else Marker(self.watermark, self.sample_rate)
        register_fork(self)

    def after_fork(self) -> None:
        """See `Forked`."""
        self._engine_lock, self._verifier_lock = threading.Lock(), threading.Lock()
        self._async_engine = self._verifier = None

    def __reduce__(self) -> NoReturn:
        raise TypeError("a TTS cannot be pickled: call TTS.from_pretrained in each process")

    @classmethod
    def from_pretrained(
        cls,
        source: str | os.PathLike[str] = "petit",
        *,
        device: str | torch.device = "auto",
        dtype: str | torch.dtype = "auto",
        max_streams: int = MAX_STREAMS,
        max_queue: int = MAX_QUEUE,
        prefix_cache_mb: int = PREFIX_CACHE_MB,
        backbone_format: str = "auto",
        depth_format: str = "auto",
        fast: bool = False,
        lexicon: LexiconSource = None,
        normalize: OnOff = "on",
        recognizer: Recognizer | None = None,
        watermark: Watermark | bool = True,
    ) -> TTS:
        """Load a checkpoint.

        Args:
            source: "petit" (part of this package), a folder or file, or a hub id; a low-rank
                adapter is merged into its base.
            device: "auto" takes the CPU for a model that it speaks well faster than real time, as
                petit; for others a card of cuda that can run it and has the memory, else the CPU or
                mps, by an estimate. `TTS.placement` and `causerie info` say why.
            dtype: dtype of the language model; "auto" is bfloat16 on cuda (float16 on cards without
                it), and on a CPU if the weights are stored so and native kernels compute; else
                float32. The codec is always float32.
            max_streams: replies that are generated at the same time; more wait.
            max_queue: replies that may wait; more are refused with `QueueFullError`.
            prefix_cache_mb: memory in MiB for the keys and values of voices and contexts, so that
                each is read once; 0 caches nothing.
            backbone_format, depth_format: format of the weights of the two transformers: "auto"
                (as `dtype`), or, on a CPU, "int8", "int5" or "int4", which are smaller and faster
                at lower quality.
            fast: chooses these formats, where native kernels compute on a CPU: an int5 backbone and
                an int4 depth decoder, with which csm-1b is about twice as fast. On a card, nothing
                changes.
            lexicon: pronunciations for all texts, as for `generate`.
            normalize: "off" gives a model that reads letters, as csm-1b does, each text exactly as
                it is written, with its white space, numbers and markup.
            recognizer: for `verify`: returns the text of samples (N,) at 16 kHz. It is called in a
                thread of its own. None: Whisper base, which is loaded when it is first needed.
            watermark: marks all speech as generated, see `detect`. True: with the key in the file
                that `CAUSERIE_WATERMARK_KEY` names, or else causerie's public one. False: no mark.

        Raises:
            ConfigError: the device, dtype or format is unknown, `fast` and a format are both given,
                or the lexicon is invalid.
            WatermarkError: the file of the key cannot be read, or the model's sample rate is not
                24 kHz.
            CheckpointError: the checkpoint is missing, unreadable, or does not fit the model.
            DeviceMemoryError: the card has too little memory for the model and `max_streams`.
        """
        if device != "auto":
            find_device(device)  # before loading, which takes long
        where = source if isinstance(source, str) else Path(source)
        _check_limits(max_streams, max_queue, prefix_cache_mb)
        check_formats(backbone_format, depth_format, fast=fast)
        lexicon, _ = read_lexicon(lexicon), _is_on(normalize)
        find_dtype(dtype, torch.device("cpu"))
        mark = _chosen_watermark(watermark)
        if mark is None:
            log.warning("watermark: off, so nothing marks the speech as generated")
        wishes = Wishes(
            name=str(source), device=device, dtype=dtype, num_slots=max_streams,
            prefix_bytes=prefix_cache_mb * 2**20, backbone_format=backbone_format,
            depth_format=depth_format, fast=fast,
        )  # fmt: skip
        chosen: list[Placement] = []

        def place(model: CSM, codec: Mimi, stored: torch.dtype) -> tuple[torch.device, torch.dtype]:
            chosen.append(choose_place(model, codec, stored, wishes))
            return chosen[-1].device, chosen[-1].dtype

        started = time.perf_counter()
        with in_one_line():
            checkpoint = load(where, place=place)
        seconds, found = time.perf_counter() - started, chosen[-1]
        log.info(
            "loaded %s on %s in %s, %.1f s; %s: %s",
            checkpoint.name, found.device, found.dtype, seconds, found.device, found.reason,
        )  # fmt: skip
        tts = cls(
            checkpoint,
            max_streams=max_streams,
            max_queue=max_queue,
            prefix_cache_mb=prefix_cache_mb,
            backbone_format=backbone_format,
            depth_format=depth_format,
            fast=fast,
            lexicon=lexicon,
            normalize=normalize,
            recognizer=recognizer,
            watermark=mark or False,
        )
        tts.placement = found
        return tts

    @property
    def engine(self) -> Engine:
        """The engine that generates the replies, created on first use."""
        with self._engine_lock:
            if self._engine is None:
                backbone, depth = self._formats
                with in_one_line():
                    runner = new_runner(
                        self.checkpoint,
                        self._max_streams,
                        backbone_format=backbone,
                        depth_format=depth,
                    )
                kind = type(runner).__name__
                log.info("runner: %s, %d slots", kind, self._max_streams)
                engine = Engine(runner, max_queue=self._max_queue, prefix_bytes=self._prefix_bytes)
                engine.preparing.now(urgent_only=True)
                engine.preparing.in_background()
                self._engine = engine
            return self._engine

    def prepare(self) -> None:
        """Do now what would make first replies slow: create the engine, record its graphs.

        On a CPU there is little to do. On a GPU the engine otherwise records the graphs of batches
        of several replies while nobody speaks.
        """
        self.engine.preparing.now()

    @property
    def sample_rate(self) -> int:
        """Sample rate of all speech, in Hz."""
        return self.checkpoint.codec.config.sample_rate

    @property
    def recognizer(self) -> Recognizer:
        """That of `from_pretrained`, or else Whisper base, which is loaded at first.

        Raises:
            ConfigError: a package of the extra `verify` is missing.
        """
        return self._recognizer or whispers()[0]

    @property
    def voices(self) -> list[str]:
        """Names of the checkpoint's voices."""
        return sorted(self.checkpoint.voices)

    def read(
        self, text: str, *, lexicon: LexiconSource = None, normalize: OnOff | None = None
    ) -> TextReading:
        """How a text is read: its words, phonemes, pieces and pauses, and what is left out.

        Raises:
            TextError: the text is blank, or nothing in it can be spoken.
            ConfigError: the lexicon is invalid.
        """
        reading = self._reading(lexicon, normalize)
        return read(check_text(text), self.checkpoint.front_end, reading)

    def generate(
        self,
        text: str,
        *,
        voice: str | int | os.PathLike[str] | Voice | None = None,
        context: Sequence[Segment] | None = (),
        temperature: float | None = None,
        top_k: int | None = None,
        seed: int | None = None,
        max_duration_s: float | None = None,
        one_prompt: bool = False,
        guard: Guard = "auto",
        verify: Verify = False,
        speed: float = 1.0,
        lexicon: LexiconSource = None,
        normalize: OnOff | None = None,
    ) -> Audio:
        """Speak a text.

        Args:
            text: long text is spoken in pieces that end at the ends of sentences.
            voice: a name in `voices`, a voice file, a `Voice`, or a speaker number; None is the
                model's default voice, as csm-1b has one, else speaker 0.
            context: earlier turns, oldest first; the reply continues their conversation. A turn
                whose words are unknown has the text "". What is wrong with a recording is in
                `Audio.notes`, and an unusable one is an error.
            temperature: sampling temperature; 0 always takes the most likely code. The temperature
                of the acoustic codes changes in proportion. None: the checkpoint's.
            top_k: sample among the k most likely codes; 0: among all. None: the checkpoint's.
            seed: the same seed gives the same samples; None picks one, see `Audio.seed`.
            max_duration_s: cut the speech after this time. None: long text is spoken to its end,
                but a piece is cut after 60 s if the model does not stop by itself.
            one_prompt: give the model the whole text at once, as csm-1b's own code does, and not
                in pieces; a text that is too long for it is an error.
            guard: end speech that goes on much longer than its text, repeats itself or is silent;
                `Audio.notes` says so. "auto": the checkpoint's default, on for csm-1b, whose speech
                often goes on, and off for petit.
            verify: check each piece by a recognizer; where words are missing or invented, speak it
                again with other seeds, up to five times in all, and keep the best. `Audio.checks`
                and `Audio.notes` say what happened, also of recordings in the context that say
                other words than their texts. Needs the extra `verify`.
            speed: 2.0 is twice as fast, at the same pitch; 0.25 to 4. Needs PyAV (extra `server`).
            lexicon: pronunciations, over those of `from_pretrained`: a file, or a dictionary such
                as ``{"GIF": "ʤˈɪf"}``.
            normalize: "on" or "off", see `from_pretrained`; None: as given there.

        Returns:
            The speech, which is empty if the model stops at once.

        Raises:
            TextError: the text is empty or cannot be spoken.
            ConfigError: a setting is out of range.
            AudioError: audio or codes in the context are invalid.
            UnknownVoiceError: no voice has this name.
            PromptTooLongError: one segment does not fit the model by itself.
            QueueFullError: too many replies wait.
        """
        return self.stream(
            text,
            voice=voice,
            context=context,
            temperature=temperature,
            top_k=top_k,
            seed=seed,
            max_duration_s=max_duration_s,
            one_prompt=one_prompt,
            guard=guard,
            verify="all" if verify is True else verify,
            speed=speed,
            lexicon=lexicon,
            normalize=normalize,
        ).collect()

    def stream(
        self,
        text: str | Iterable[str | Flush],
        *,
        voice: str | int | os.PathLike[str] | Voice | None = None,
        context: Sequence[Segment] | None = (),
        temperature: float | None = None,
        top_k: int | None = None,
        seed: int | None = None,
        max_duration_s: float | None = None,
        one_prompt: bool = False,
        guard: Guard = "auto",
        verify: Verify = False,
        speed: float = 1.0,
        lexicon: LexiconSource = None,
        normalize: OnOff | None = None,
    ) -> Stream:
        """Speak a text as a stream of chunks: the first has 80 ms, later ones more.

        Arguments, errors and samples are those of `generate`. Errors in the arguments are raised
        here, before the first chunk.

        The text may also be an iterable of its parts, such as the tokens of a language model. Each
        sentence is spoken as soon as a word or `FLUSH` follows it, with earlier sentences as
        context. Errors in such a text are raised by the iteration.

        With `verify`, each piece is generated and checked while the listener hears the one before
        it, in a thread, which also reads the text. Only the first piece is heard at once and not
        checked; "all" checks it too, so that the samples are those of `generate`.
        """
        engine = self.engine  # creating it is part of loading, not of this reply's time
        verifying = self._verifying(verify)  # likewise
        started = time.perf_counter()
        if isinstance(text, AsyncIterable):
            raise TextError("text is asynchronous: use TTS.astream, or give a plain iterable")
        reading = self._reading(lexicon, normalize)
        turns = self._turns(
            text, voice, context, max_duration_s, one_prompt, guard, reading, verifying
        )
        sampling = self._sampling(temperature, top_k, seed)
        return Stream(engine, turns, sampling, started, self._marker, speed, verifying)

    async def astream(
        self,
        text: str | Iterable[str | Flush] | AsyncIterable[str | Flush],
        *,
        voice: str | int | os.PathLike[str] | Voice | None = None,
        context: Sequence[Segment] | None = (),
        temperature: float | None = None,
        top_k: int | None = None,
        seed: int | None = None,
        max_duration_s: float | None = None,
        one_prompt: bool = False,
        guard: Guard = "auto",
        verify: Verify = False,
        speed: float = 1.0,
        lexicon: LexiconSource = None,
        normalize: OnOff | None = None,
        deadline_s: float | None = None,
        continues: bool = False,
        client: str | None = None,
        allow_silence: bool = False,
    ) -> AsyncStream:
        """`stream` for asyncio: a thread generates, and any number of tasks listen.

            speech = await tts.astream("Hello.")
            async for pcm in speech: ...

        Arguments, errors and samples are those of `stream`; the text may also be an asynchronous
        iterable. If the text is a string, its request is submitted before this returns. Closing the
        stream, or cancelling the task that iterates, frees its slot at once. `TTS.aclose` ends the
        thread.

        Args:
            deadline_s: seconds from the request, or from the first sentence of an iterable, to the
                first sound; after that the iteration raises `DeadlineError`. With verify="all", to
                the first frame, and after it the piece is not spoken again.
            continues: the reply continues audio that the listener already hears: a full queue does
                not refuse it, it has no deadline, and it goes before replies that have not begun.
            client: for whom it is: free slots are shared between clients, and in a full queue the
                client with the most replies loses its latest one, with `QueueFullError`.
            allow_silence: a text in which nothing can be spoken, such as "...", is 0.1 s of silence
                with a note, or its pauses, and not an error.
        """
        started = time.perf_counter()

        def prepare() -> tuple[AsyncEngine, Turns, Verifying | None]:
            running, reading = self._running(), self._reading(lexicon, normalize)
            verifying = self._verifying(verify)
            turns = self._turns(
                text, voice, context, max_duration_s, one_prompt, guard, reading, verifying,
                allow_silence,
            )  # fmt: skip
            return running, turns, verifying

        running, turns, verifying = await asyncio.to_thread(prepare)
        stream = AsyncStream(
            running,
            turns,
            self._sampling(temperature, top_k, seed),
            started,
            self._marker,
            deadline_s=deadline_s,
            continues=continues,
            client=client,
            speed=speed,
            verifying=verifying,
        )
        if isinstance(text, str):
            await stream.begin()
        return stream

    async def aclose(self, *, drain: bool = True) -> None:
        """End the thread of `astream`.

        Args:
            drain: finish the submitted replies first; False cancels them.
        """
        with self._engine_lock:
            running, self._async_engine = self._async_engine, None
        if running is not None:
            await running.aclose(drain=drain)

    @property
    def failure(self) -> BaseException | None:
        """The error that stopped the engine of `astream`, which then refuses replies; else None."""
        running = self._async_engine
        return None if running is None else running.failure

    def _running(self) -> AsyncEngine:
        engine = self.engine
        with self._engine_lock:
            if self._async_engine is None:
                self._async_engine = AsyncEngine(engine)
            return self._async_engine

    def _turns(
        self,
        text: str | Iterable[str | Flush] | AsyncIterable[str | Flush],
        voice: str | int | os.PathLike[str] | Voice | None,
        context: Sequence[Segment] | None,
        max_duration_s: float | None,
        one_prompt: bool,
        guard: Guard,
        reading: ReadingOptions,
        verifying: Verifying | None = None,
        allow_silence: bool = False,
    ) -> Turns:
        if guard not in get_args(Guard):
            raise ConfigError(f"guard must be auto, on or off, not {guard!r}")
        before = listed(context, "context")
        return Turns(
            self._context,
            text,
            voice=self._voice(voice, before),
            context=before,
            max_duration_s=max_duration_s,
            one_prompt=one_prompt,
            guard=self.checkpoint.defaults.guard if guard == "auto" else guard == "on",
            verify=verifying is not None,
            verifier=verifying.verifier if verifying else None,
            compares_first=verifying is not None and verifying.holds_first,
            allow_silence=allow_silence,
            reading=reading,
        )

    def _verifying(self, verify: Verify) -> Verifying | None:
        """How a reply is verified; loads the recognizer at first."""
        if not isinstance(verify, bool) and verify != "all":
            raise ConfigError(f'verify must be True, False or "all", not {verify!r}')
        if not verify:
            return None
        with self._verifier_lock:
            if self._verifier is None:
                self._verifier = Verifier(self._recognizer)
        return Verifying(verifier=self._verifier, holds_first=verify == "all")

    def _reading(self, lexicon: LexiconSource, normalize: OnOff | None) -> ReadingOptions:
        own = read_lexicon(lexicon)
        both = own if own is None or self._lexicon is None else self._lexicon | own
        return ReadingOptions(
            lexicon=both or self._lexicon,
            normalize=self._normalize if normalize is None else _is_on(normalize),
        )

    def _voice(
        self, voice: str | int | os.PathLike[str] | Voice | None, context: Sequence[Segment]
    ) -> Voice:
        """The voice of a reply: without one, the model's default, or that of the context."""
        default = self.checkpoint.default_voice if voice is None else ""
        if any(isinstance(turn, Segment) and turn.speaker == 0 for turn in context):
            default = ""
        return find_voice(voice, self.checkpoint.voices, default)

    def conversation(
        self,
        voice: str | int | os.PathLike[str] | Voice | None = None,
        *,
        context_s: float | None = None,
    ) -> Conversation:
        """A conversation with another speaker, whose sound is context of the replies.

        Args:
            voice: of the replies, as for `generate`. None: the model's default, or the voice that
                the server has without a name: the sound of a prompt keeps the replies in its voice.
            context_s: seconds of the latest turns that are context, besides the voice; None: as
                many as the model can use, 40 of csm-1b and 8 of petit.

        Raises:
            ConfigError: `context_s` is not a number above 0.
            UnknownVoiceError: no voice has this name.
        """
        checkpoint = self.checkpoint
        if voice is None and not checkpoint.default_voice and not checkpoint.base:
            voice = usual_voice(checkpoint.voices)
        return Conversation(self, self._context, self._voice(voice, ()), context_s=context_s)

    def make_voice(
        self,
        name: str,
        segments: Sequence[Segment],
        speaker: int = 0,
        *,
        examine: bool = True,
    ) -> Voice:
        """A voice from recorded turns, whose audio is encoded here; see `Voice.save`.

        Args:
            examine: examine the recordings: what is wrong with them is in `Voice.notes`, and
                unusable ones are an error.

        Raises:
            AudioError, TextError, PromptTooLongError: as in `generate`.
        """
        encoded: list[Segment] = []
        notes: list[str] = []
        for number, segment in enumerate(listed(segments, "segments"), 1):
            title = f"segment {number} of voice {name}"
            part, _ = self._context.segment(segment, title)
            notes += self._context.examine(segment, title) if examine else []
            encoded.append(Segment(speaker=segment.speaker, text=segment.text, codes=part.codes))
        return Voice(name=name, speaker=speaker, segments=tuple(encoded), notes=tuple(notes))

    def _sampling(self, temperature: float | None, top_k: int | None, seed: int | None) -> Sampling:
        defaults = self.checkpoint.defaults
        usual, usual_depth = defaults.temperature, defaults.acoustic_temperature
        depth_top_k = defaults.acoustic_top_k
        if temperature is None:
            temperature, depth_temperature = usual, usual_depth
        else:
            sampling.check(temperature, None)
            depth_temperature = temperature * (usual_depth / usual if usual else 1)
        if top_k is None:
            top_k = defaults.top_k
        else:
            depth_top_k = top_k
        sampling.check(temperature, top_k)
        sampling.check(depth_temperature, depth_top_k)
        return Sampling(
            temperature=temperature,
            top_k=top_k,
            depth_temperature=depth_temperature,
            depth_top_k=depth_top_k,
            seed=_seed(seed),
        )


def _is_on(normalize: OnOff) -> bool:
    if normalize not in ("on", "off"):
        raise ConfigError(f"normalize must be on or off, not {normalize!r}")
    return normalize == "on"


def _check_limits(max_streams: int, max_queue: int, prefix_cache_mb: int) -> None:
    for name, number, least in (
        ("max_streams", max_streams, 1),
        ("max_queue", max_queue, 0),
        ("prefix_cache_mb", prefix_cache_mb, 0),
    ):
        if not isinstance(number, int) or isinstance(number, bool) or number < least:
            raise ConfigError(f"{name} must be a whole number above {least - 1}, not {number!r}")


def _chosen_watermark(watermark: Watermark | bool) -> Watermark | None:
    if isinstance(watermark, Watermark):
        return watermark
    if not isinstance(watermark, bool):
        raise ConfigError(f"watermark must be a Watermark, True or False, not {watermark!r}")
    return Watermark(key=usual_key()) if watermark else None


def _seed(seed: int | None) -> int:
    if seed is None:
        return secrets.randbelow(2**32)
    try:
        number = operator.index(seed)
    except TypeError:
        number = -1
    if isinstance(seed, bool) or not 0 <= number <= sampling.MAX_SEED:
        raise ConfigError(f"seed must be a whole number from 0 to 2^63 - 1, not {seed!r}")
    return number
