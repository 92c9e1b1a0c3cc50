"""`causerie talk`: a spoken conversation at the microphone."""

from __future__ import annotations

import asyncio
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from causerie.cli.console import note, progress
from causerie.cli.options import Device, Fast, Model, VoiceName, check_voice
from causerie.errors import ConfigError
from causerie.model_files import check_source

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from causerie.talk.mind import Mind
    from causerie.talk.record import Record
    from causerie.talk.turn_detector import TurnDetector

#: Silence that ends a turn in any case, where a model hears whether the speaker has finished.
SMART_SILENCE_MS = 1000
#: Width of the level meter; the level of its left end in dB.
METER, FLOOR_DB = 20, -50


def talk(
    voice: VoiceName = None,
    model: Model = "petit",
    device: Device = "auto",
    fast: Fast = False,
    llm: Annotated[
        str | None,
        typer.Option(
            help="An OpenAI-compatible chat endpoint that answers, such as http://127.0.0.1:11434 "
            "of Ollama. Default: an echo, which says your words back.",
            metavar="URL",
            show_default=False,
        ),
    ] = None,
    llm_model: Annotated[
        str | None, typer.Option(help="Name of its language model.", metavar="NAME")
    ] = None,
    llm_key: Annotated[
        str | None, typer.Option(help="Its key.", envvar="CAUSERIE_LLM_KEY", metavar="KEY")
    ] = None,
    instructions: Annotated[
        str, typer.Option(help="What the language model should know or be.", metavar="TEXT")
    ] = "",
    recognizer: Annotated[
        str,
        typer.Option(
            help="Hears your words: auto (Whisper base), the URL of an OpenAI-compatible "
            "transcription endpoint, a size such as small.en, or a folder in CTranslate2's format.",
            metavar="NAME",
        ),
    ] = "auto",
    recognizer_model: Annotated[
        str, typer.Option(help="Name of the model of --recognizer URL.", metavar="NAME")
    ] = "",
    recognizer_key: Annotated[
        str,
        typer.Option(
            help="Key of --recognizer URL.", envvar="CAUSERIE_RECOGNIZER_KEY", metavar="KEY"
        ),
    ] = "",
    turn_model: Annotated[
        str,
        typer.Option(
            help="File of smart-turn v3 in ONNX, which hears whether you have finished. Default: "
            "that of an installed pipecat-ai, or else your turn ends by silence alone.",
            metavar="FILE",
            show_default=False,
        ),
    ] = "",
    push_to_talk: Annotated[
        bool,
        typer.Option(
            "--push-to-talk",
            help="Hear you only between two presses of Enter. Without it, use headphones: the "
            "microphone must not hear the loudspeaker.",
        ),
    ] = False,
    record: Annotated[
        Path | None,
        typer.Option(
            help="Record both sides to a stereo .wav file, and the words to a .txt file beside it.",
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
    devices: Annotated[
        bool, typer.Option("--devices", help="List microphones and loudspeakers, and end.")
    ] = False,
    microphone: Annotated[
        str | None, typer.Option(help="Name or number of a microphone.", show_default=False)
    ] = None,
    loudspeaker: Annotated[
        str | None, typer.Option(help="Name or number of a loudspeaker.", show_default=False)
    ] = None,
) -> None:
    """Talk with a language model, or with an echo. Ctrl-C ends the conversation.

    causerie talk --llm http://127.0.0.1:11434 --llm-model llama3.2
    """
    from causerie.recognition.choice import check_choice, chosen_recognizer
    from causerie.talk.sound_card import device_list, sounddevice

    if devices:
        print(device_list())
        return
    if (llm is None) != (llm_model is None):
        raise ConfigError("--llm and --llm-model belong together: give both, or neither")
    check_choice(recognizer, recognizer_model, recognizer_key)
    sounddevice()  # before loading, which takes long
    check_source(model)
    check_voice(voice, model)
    with progress(f"loading {model} and the recognizer"):
        from causerie.talk.activity import Silero
        from causerie.talk.mind import Chat, Echo
        from causerie.talk.smart_turn import find_smart_turn
        from causerie.talk.turn_detector import Settings, TurnDetector
        from causerie.tts import TTS

        hears = chosen_recognizer(recognizer, recognizer_model, recognizer_key)
        tts = TTS.from_pretrained(model, device=device, fast=fast, recognizer=hears)
        _ = tts.recognizer  # loads the default one
        smart_turn = None if push_to_talk else find_smart_turn(turn_model)
    mind = Echo() if llm is None or llm_model is None else Chat(llm, llm_model, llm_key)
    number_or_name = [
        int(name) if name is not None and name.isdigit() else name
        for name in (microphone, loudspeaker)
    ]
    if push_to_talk:
        detector = TurnDetector.of_button()
    elif smart_turn is None:
        detector = TurnDetector(Silero())
    else:
        settings = Settings(is_complete=smart_turn, silence_ms=SMART_SILENCE_MS)
        detector = TurnDetector(Silero(), settings)
    work = _talk(tts, voice, mind, instructions, detector, push_to_talk, record, number_or_name)
    try:
        asyncio.run(work)
    except KeyboardInterrupt:
        print()


async def _talk(
    tts: Any,
    voice: str | None,
    mind: Mind,
    instructions: str,
    detector: TurnDetector,
    push_to_talk: bool,
    record: Path | None,
    devices: list[Any],
) -> None:
    from causerie.talk.ears import Ears
    from causerie.talk.record import Record
    from causerie.talk.session import TalkSession
    from causerie.talk.sound_card import SoundCard

    conversation = tts.conversation(voice)
    card = SoundCard(tts.sample_rate, *devices)
    is_held = asyncio.Event() if push_to_talk else None
    ears = Ears(detector, tts.recognizer, conversation.listen, tts.sample_rate)
    saved = None if record is None else Record(record, tts.sample_rate)
    display = Display(saved)
    session = TalkSession(
        conversation, ears, mind, card, display, instructions=instructions, is_held=is_held
    )
    note("press Enter, speak, press Enter" if push_to_talk else "speak; Ctrl-C ends")
    if is_held is not None:
        _watch_enter(is_held)
    try:
        with card:
            await session.run()
    finally:
        if saved is not None:
            saved.close()


def _watch_enter(is_held: asyncio.Event) -> None:
    """Hold and release the button with each press of Enter."""
    loop = asyncio.get_running_loop()

    def change() -> None:
        (is_held.clear if is_held.is_set() else is_held.set)()

    def read() -> None:
        for _ in sys.stdin:
            loop.call_soon_threadsafe(change)

    threading.Thread(target=read, daemon=True).start()


class Display:
    """Prints a conversation; see `causerie.talk.session.Listener`."""

    def __init__(self, record: Record | None = None) -> None:
        self._record = record
        self._level, self._state = 0.0, "…"

    def on_block(self, heard: NDArray[np.float32], played: NDArray[np.float32]) -> None:
        """See `Listener`."""
        if self._record is not None:
            self._record.add(heard, played)
        if sys.stdout.isatty() and len(heard):
            self._level = max(0.9 * self._level, float(abs(heard).max()))
            print(f"\r{meter(self._level)} {self._state[-80:]}\x1b[K", end="", flush=True)

    def on_speech(self) -> None:
        """See `Listener`."""
        self._state = "you …"

    def on_partial(self, text: str) -> None:
        """See `Listener`."""
        self._state = f"you: {text} …"

    def on_user(self, text: str) -> None:
        """See `Listener`."""
        self._state = "…"
        if text:
            self._line("you", text)

    def on_first_sound(self, seconds: float) -> None:
        """See `Listener`."""
        self._state = f"you stopped → first sound {seconds:.2f} s"

    def on_reply(self, text: str, *, is_interrupted: bool) -> None:
        """See `Listener`."""
        self._line("reply", text + (" —" if is_interrupted else ""))

    def on_error(self, message: str) -> None:
        """See `Listener`."""
        self._line("error", message)

    def _line(self, speaker: str, text: str) -> None:
        end = "\x1b[K" if sys.stdout.isatty() else ""
        print(f"\r{speaker}: {text}{end}", flush=True)
        if self._record is not None:
            self._record.write(speaker, text)


def meter(peak: float) -> str:
    """A bar for the peak of a sound, whose full scale is 1."""
    import math

    level_db = 20 * math.log10(max(peak, 1e-6))
    num = round(METER * min(1.0, max(0.0, 1 - level_db / FLOOR_DB)))
    return "█" * num + "·" * (METER - num)
