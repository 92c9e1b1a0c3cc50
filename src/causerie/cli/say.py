"""`causerie say`: text in, speech out."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from causerie.cli.console import note, progress
from causerie.cli.options import Device, Model, WeightFormat, check_folder
from causerie.errors import AudioError, CauserieError, ConfigError, TextError

if TYPE_CHECKING:
    from causerie.audio.audio import Audio
    from causerie.reply.stream import Stream
    from causerie.tts import TTS

#: Written where there is neither -o nor a sound device.
DEFAULT_FILE = Path("speech.wav")


def say(
    text: Annotated[
        str | None, typer.Argument(help="What to say; - reads standard input.", show_default=False)
    ] = None,
    file: Annotated[
        Path | None, typer.Option("-f", "--file", help="Say what is in this text file.")
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Write a .wav, .flac or .ogg file; - streams wav to standard output. "
            "Without it the speech is played, or written to speech.wav where it cannot be.",
        ),
    ] = None,
    out_dir: Annotated[
        Path | None,
        typer.Option(help="Say each line of the text into a file of its own: 1.wav, 2.wav, …"),
    ] = None,
    play: Annotated[
        bool, typer.Option("--play", help="With -o: play it too, where there is a sound device.")
    ] = False,
    voice: Annotated[
        str | None,
        typer.Option(help="A voice of the model (see `causerie info`), a voice file, or a number."),
    ] = None,
    model: Model = "petit",
    device: Device = "auto",
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")] = "auto",
    backbone_format: WeightFormat = "auto",
    depth_format: WeightFormat = "auto",
    temperature: Annotated[
        float | None, typer.Option(help="Liveliness; 0 always takes the likeliest.")
    ] = None,
    top_k: Annotated[
        int | None, typer.Option(help="Draw among so many codes; 0: among all.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same sound.")] = None,
    max_duration: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Cut the speech there. Without it, long text is spoken to its end, but a piece of "
            "it that does not end by itself is cut at 60 s.",
            show_default=False,
        ),
    ] = None,
    context: Annotated[
        Path | None,
        typer.Option(
            help='Turns said before, as JSON: [{"speaker": 0, "text": "…", "audio": "a.wav"}, …]'
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the facts as one line of JSON.")
    ] = False,
) -> None:
    """Say a text.

    causerie say "Hello, it is nice to meet you." -o hello.wav
    """
    from causerie.audio.extensions import format_of

    if output is not None and out_dir is not None:
        raise ConfigError("-o and --out-dir exclude each other: give one of them")
    if output == "-" and as_json:
        raise ConfigError("-o - and --json both write to standard output: give -o FILE")
    if output == "-" and sys.stdout.isatty():
        raise ConfigError("-o - would write sound to the terminal: pipe it on, or give -o FILE")
    if output not in (None, "-"):
        format_of(output)
        check_folder(output)
    words = _read_text(text, file)
    formats = {"backbone_format": backbone_format, "depth_format": depth_format}
    tts, settings = _load(model, device, dtype, formats, context)
    settings |= {
        "voice": voice, "temperature": temperature, "top_k": top_k, "seed": seed,
        "max_duration_s": max_duration,
    }  # fmt: skip
    if out_dir is not None:
        for path, line, audio in _say_lines(tts, words, out_dir, settings):
            _report(audio, line, model, str(path), as_json=as_json)
        return
    stream = tts.stream(words, **settings)
    audio, where = _emit(stream, output, play)
    _report(audio, words, model, where, as_json=as_json, to_stderr=output == "-")


def _read_text(text: str | None, file: Path | None) -> str:
    if (text is None) == (file is None):
        raise TextError("give one text: causerie say TEXT, or -f FILE, or - for standard input")
    try:
        if file is not None:
            return file.read_text("utf-8")
        assert text is not None
        return sys.stdin.buffer.read().decode("utf-8") if text == "-" else text
    except OSError as error:
        raise TextError(f"text file {file} cannot be opened: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TextError(f"{file or 'standard input'} is not text in UTF-8: {error}") from error


def _load(
    model: str, device: str, dtype: str, formats: dict[str, Any], context: Path | None
) -> tuple[TTS, dict[str, Any]]:
    with progress(f"loading {model}"):
        from causerie.cli.conversation import read_conversation
        from causerie.tts import TTS

        segments = read_conversation(context) if context is not None else []
        tts = TTS.from_pretrained(model, device=device, dtype=dtype, max_streams=1, **formats)
        return tts, {"context": segments}


def _say_lines(
    tts: TTS, text: str, folder: Path, settings: dict[str, Any]
) -> Iterator[tuple[Path, str, Audio]]:
    """Each line's file, text and speech."""
    lines = [(n, line.strip()) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        raise TextError("there is no line to say")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AudioError(f"cannot make the folder {folder}: {error.strerror}") from error
    width = len(str(len(lines)))
    for count, (number, line) in enumerate(lines, 1):
        with progress(f"speaking line {count} of {len(lines)}"):
            try:
                audio = tts.generate(line, **settings)
            except CauserieError as error:
                raise ConfigError(f"line {number}: {error}") from error
        yield audio.save(folder / f"{count:0{width}}.wav"), line, audio


def _emit(stream: Stream, output: str | None, play: bool) -> tuple[Audio, str | None]:
    """Run a stream to its end, playing and writing as asked; the sound, and its file if any."""
    from causerie.audio import play as player
    from causerie.audio.io import StreamingWav

    wants_sound = play or output is None
    device = player.sound_device() if wants_sound else None
    speaker = None if device is None else player.Loudspeaker(device, stream.sample_rate)
    with ExitStack() as stack:
        sinks: list[Any] = []
        if output == "-":
            sinks.append(StreamingWav(sys.stdout.buffer, stream.sample_rate))
        if speaker is not None:
            sinks.append(stack.enter_context(speaker))
        tell = stack.enter_context(progress("speaking"))
        num_samples = 0
        for piece in stream:
            for sink in sinks:
                sink.write(piece)
            num_samples += len(piece)
            tell(f"speaking … {num_samples / stream.sample_rate:.1f} s")
    audio = stream.audio()
    where = output
    if output not in (None, "-"):
        audio.save(output)
    failure = None if speaker is None else speaker.failure
    if wants_sound and speaker is None and len(audio.samples):
        try:
            audio.play()
        except AudioError as error:
            failure = error
    if failure is not None:
        reason = str(failure).split(";")[0]
        if output is None:
            where = str(audio.save(DEFAULT_FILE))
            note(f"nothing to play it on, so it is in {where}: {reason}")
        else:
            note(f"not played: {reason}")
    return audio, where


def _report(
    audio: Audio,
    text: str,
    model: str,
    where: str | None,
    *,
    as_json: bool,
    to_stderr: bool = False,
) -> None:
    """The facts of one reply; what the listener should know goes to stderr in either case."""
    for line in audio.notes:
        note(line)
    if as_json:
        assert audio.codes is not None
        facts = {
            "text": text,
            "seconds": round(audio.duration_s, 3),
            "frames": audio.codes.shape[1],
            "first_sound_ms": _rounded(audio.first_sound_ms, 1),
            "rtf": _rounded(audio.rtf, 4),
            "stopped": audio.stopped,
            "seed": audio.seed,
            "model": model,
            "file": where,
            "notes": audio.notes,
        }
        typer.echo(json.dumps(facts, ensure_ascii=False))
        return
    parts = [f"wrote {where}"] if where not in (None, "-") else []
    parts.append(f"{audio.duration_s:.1f} s of speech")
    if audio.rtf and audio.first_sound_ms is not None:
        parts.append(f"first sound {audio.first_sound_ms:.0f} ms · {1 / audio.rtf:.1f} × real time")
    typer.echo(" · ".join(parts), err=to_stderr)


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
