"""`causerie say`: text in, speech out."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from causerie.audio.extensions import format_of
from causerie.cli.console import note, progress
from causerie.cli.options import (
    AsJson,
    Device,
    Dtype,
    Fast,
    Guard,
    LexiconFile,
    Model,
    Normalize,
    NoWatermark,
    SilentCipherFolder,
    Speed,
    Temperature,
    TopK,
    Verify,
    VoiceName,
    WatermarkKey,
    WeightFormat,
    check_normalize,
    check_sound_file,
    check_verify,
    check_voice,
    chosen_watermark,
    load_lexicon,
)
from causerie.cli.text import Text, TextFile, read_text
from causerie.errors import AudioError, ConfigError, PromptTooLongError, TextError
from causerie.files import write_bytes
from causerie.model_files import check_source

if TYPE_CHECKING:
    from causerie.audio.audio import Audio
    from causerie.audio.c2pa import Signer
    from causerie.reply.stream import Stream
    from causerie.tts import TTS

#: Written if there is neither -o nor a sound device.
DEFAULT_FILE = Path("speech.wav")


def say(
    text: Text = None,
    file: TextFile = None,
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Write a .wav, .flac, .ogg, .mp3, .opus or .m4a file; - streams wav to standard "
            "output. Without -o the speech is played, or written to speech.wav if it cannot be.",
        ),
    ] = None,
    out_dir: Annotated[
        Path | None,
        typer.Option(
            help="Speak each line of the text into a file in this folder: 1.wav, 2.wav, … "
            "Lines that cannot be spoken are reported at the end, with exit code 1.",
            metavar="FOLDER",
        ),
    ] = None,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="With --out-dir: skip lines whose file exists.")
    ] = False,
    play: Annotated[
        bool, typer.Option("--play", help="With -o: also play it, if there is a sound device.")
    ] = False,
    voice: VoiceName = None,
    model: Model = "petit",
    device: Device = "auto",
    dtype: Dtype = "auto",
    backbone_format: WeightFormat = "auto",
    depth_format: WeightFormat = "auto",
    fast: Fast = False,
    temperature: Temperature = None,
    top_k: TopK = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same samples.")] = None,
    max_duration: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Cut the speech after this time. By default, each piece of a long text is cut "
            "after 60 s if the model does not stop by itself.",
            show_default=False,
        ),
    ] = None,
    one_prompt: Annotated[
        bool,
        typer.Option(
            "--one-prompt",
            help="Give the model the whole text at once, not in pieces of a few sentences.",
        ),
    ] = False,
    guard: Guard = "auto",
    verify: Verify = False,
    speed: Speed = 1.0,
    lexicon: LexiconFile = None,
    normalize: Normalize = "on",
    context: Annotated[
        Path | None,
        typer.Option(
            help='Earlier turns, as JSON: [{"speaker": 0, "text": "…", "audio": "a.wav"}, …]; text '
            "may be missing.",
            metavar="FILE",
        ),
    ] = None,
    c2pa_cert: Annotated[
        Path | None,
        typer.Option(
            help="Sign wav, mp3, flac and m4a files with a C2PA manifest, by these certificates "
            "in PEM. Needs the extra c2pa.",
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
    c2pa_key: Annotated[
        Path | None,
        typer.Option(
            help="The private key of --c2pa-cert, in PEM.",
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
    no_watermark: NoWatermark = False,
    watermark_key: WatermarkKey = None,
    silentcipher: SilentCipherFolder = None,
    as_json: AsJson = False,
) -> None:
    """Speak a text.

    causerie say "Hello, it is nice to meet you." -o hello.wav
    """
    if output is not None and out_dir is not None:
        raise ConfigError("-o and --out-dir exclude each other: give one of them")
    if skip_existing and out_dir is None:
        raise ConfigError("--skip-existing belongs to --out-dir: give --out-dir FOLDER too")
    if speed != 1:
        from causerie.audio.formats import check_speed

        check_speed(speed)
    if output == "-" and as_json:
        raise ConfigError("-o - and --json both write to standard output: give -o FILE")
    if output == "-" and sys.stdout.isatty():
        raise ConfigError("-o - would write sound to the terminal: pipe it on, or give -o FILE")
    if output not in (None, "-"):
        check_sound_file(output)
    signer = _signer(c2pa_cert, c2pa_key, output)
    finish = _finish(silentcipher, play or (output in (None, "-") and out_dir is None))
    check_normalize(normalize)
    check_verify(verify)
    check_source(model)
    check_voice(voice, model)
    pronunciations = load_lexicon(lexicon)
    words = read_text(text, file, "say")
    options = {
        "device": device, "dtype": dtype, "backbone_format": backbone_format,
        "depth_format": depth_format, "fast": fast,
        "watermark": chosen_watermark(no_watermark, watermark_key),
    }  # fmt: skip
    tts, settings = _load(model, options, context)
    settings |= {
        "voice": voice, "temperature": temperature, "top_k": top_k, "seed": seed,
        "max_duration_s": max_duration, "one_prompt": one_prompt, "guard": guard,
        "verify": verify, "speed": speed, "lexicon": pronunciations, "normalize": normalize,
    }  # fmt: skip
    if out_dir is not None:
        _say_lines(tts, words, out_dir, settings, model, skip_existing, as_json, signer, finish)
        return
    if verify and not _is_live(output, play):
        settings["verify"] = "all"
    stream = tts.stream(words, **settings)
    audio, where = _emit(stream, output, play, signer, finish)
    _report(audio, words, model, where, as_json=as_json, to_stderr=output == "-")


def _finish(weights: Path | None, is_heard: bool) -> Callable[[Audio], Audio]:
    """What is done to a whole reply before it is written: nothing, or silentcipher's mark.

    Raises:
        ConfigError: the reply is heard while it is generated.
        WatermarkError: weights are missing.
    """
    if weights is None:
        return lambda audio: audio
    if is_heard:
        raise ConfigError(
            "--silentcipher marks whole files, not speech that is heard while it is generated: "
            "give -o FILE or --out-dir FOLDER, without --play"
        )
    from causerie.watermark.silentcipher import SilentCipher

    return SilentCipher.load(weights).mark


def _is_live(output: str | None, play: bool) -> bool:
    """Whether the speech is heard, or piped on, while it is generated."""
    from causerie.audio.play import sound_device

    return output == "-" or ((play or output is None) and sound_device() is not None)


def _load(model: str, options: dict[str, Any], context: Path | None) -> tuple[TTS, dict[str, Any]]:
    with progress(f"loading {model}"):
        from causerie.cli.conversation import read_conversation
        from causerie.tts import TTS

        segments = read_conversation(context) if context is not None else []
        tts = TTS.from_pretrained(model, max_streams=1, **options)
        return tts, {"context": segments}


def _say_lines(
    tts: TTS,
    text: str,
    folder: Path,
    settings: dict[str, Any],
    model: str,
    skip_existing: bool,
    as_json: bool,
    signer: Signer | None,
    finish: Callable[[Audio], Audio],
) -> None:
    """Speak each line into a file of its own, and report it.

    Raises:
        typer.Exit: with code 1 if a line cannot be spoken.
    """
    lines = [(n, line.strip()) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        raise TextError("there is no line to speak")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AudioError(f"cannot make the folder {folder}: {error.strerror}") from error
    width = len(str(len(lines)))
    failures: list[str] = []
    num_skipped = 0
    for count, (number, line) in enumerate(lines, 1):
        path = folder / f"{count:0{width}}.wav"
        if skip_existing and path.exists():
            num_skipped += 1
            continue
        try:
            with progress(f"speaking line {count} of {len(lines)}"):
                audio = tts.generate(line, **settings)
        except (TextError, PromptTooLongError) as error:
            failures.append(f"line {number}: {error}")
            continue
        if not len(audio.samples):
            failures.append(f"line {number}: {_said_nothing(audio)}")
            continue
        _write(finish(audio), path, signer)
        _report(audio, line, model, str(path), as_json=as_json)
    if num_skipped:
        note(f"skipped {num_skipped} of {len(lines)} lines, whose files exist")
    for failure in failures:
        note(failure)
    if failures:
        note(f"causerie: {len(failures)} of {len(lines)} lines could not be spoken, see above")
        raise typer.Exit(1)


def _emit(
    stream: Stream,
    output: str | None,
    play: bool,
    signer: Signer | None,
    finish: Callable[[Audio], Audio],
) -> tuple[Audio, str | None]:
    """Generate a stream to its end, play and write it; returns the audio and its file, if any."""
    from causerie.audio import play as player
    from causerie.audio.io import StreamingWav

    wants_sound = play or output is None
    device = player.sound_device() if wants_sound else None
    loudspeaker = None if device is None else player.Loudspeaker(device, stream.sample_rate)
    with ExitStack() as stack:
        sinks: list[Any] = []
        if output == "-":
            sinks.append(StreamingWav(sys.stdout.buffer, stream.sample_rate))
        if loudspeaker is not None:
            sinks.append(stack.enter_context(loudspeaker))
        show = stack.enter_context(progress("speaking"))
        num_samples = 0
        for chunk in stream:
            for sink in sinks:
                sink.write(chunk)
            num_samples += len(chunk)
            where = f"piece {len(stream.texts)} of {stream.num_pieces}"
            show(f"speaking {where} · {num_samples / stream.sample_rate:.1f} s of speech so far")
    audio = stream.audio()
    if not len(audio.samples):
        raise AudioError(_said_nothing(audio))
    if output not in (None, "-"):
        _write(finish(audio), Path(output), signer)
    failure = None if loudspeaker is None else loudspeaker.failure
    if wants_sound and loudspeaker is None:
        try:
            audio.play()
        except AudioError as error:
            failure = error
    if failure is None:
        return audio, output
    reason = str(failure).split(";")[0]
    if output is not None:
        note(f"not played: {reason}")
        return audio, output
    written = str(_write(audio, DEFAULT_FILE, signer))
    note(f"could not play it, so it is in {written}: {reason}")
    return audio, written


def _signer(cert: Path | None, key: Path | None, output: str | None) -> Signer | None:
    """What signs the files, if anything does.

    Raises:
        ConfigError: an option is missing, or the file or the certificate cannot be used.
    """
    if cert is None and key is None:
        return None
    if cert is None or key is None:
        raise ConfigError("--c2pa-cert and --c2pa-key belong together: give both, or neither")
    from causerie.audio.c2pa import MEDIA_TYPES, Signer

    if output == "-" or (output is not None and format_of(output) not in MEDIA_TYPES):
        raise ConfigError(
            f"{output} cannot be signed with C2PA: write a .{', .'.join(MEDIA_TYPES)} file"
        )
    return Signer(cert, key)


def _write(audio: Audio, path: Path, signer: Signer | None) -> Path:
    """Write a file, signed if there is a signer."""
    if signer is None:
        return audio.save(path)
    from causerie.audio.c2pa import MEDIA_TYPES

    name = format_of(path)
    try:
        return write_bytes(path, signer.sign(audio.to_bytes(format=name), MEDIA_TYPES[name]))
    except OSError as error:
        raise AudioError(f"cannot write {path}: {error.strerror}") from error


def _said_nothing(audio: Audio) -> str:
    """The error for a reply without sound, with what may be the cause."""
    causes = [cause for cause in audio.notes if not cause.startswith("empty: ")]
    return "; ".join(
        [
            f"the model said nothing, with seed {audio.seed} and with another one",
            *causes,
            "give another --seed, or more words",
        ]
    )


def _report(
    audio: Audio,
    text: str,
    model: str,
    where: str | None,
    *,
    as_json: bool,
    to_stderr: bool = False,
) -> None:
    """Print the facts of one reply; notes for the listener go to stderr."""
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
        if audio.checks:
            facts["checks"] = [asdict(check) for check in audio.checks]
        typer.echo(json.dumps(facts, ensure_ascii=False))
        return
    parts = [f"wrote {where}"] if where not in (None, "-") else []
    parts.append(f"{audio.duration_s:.1f} s of speech")
    if audio.rtf and audio.first_sound_ms is not None:
        parts.append(f"first sound {audio.first_sound_ms:.0f} ms · {_speed(audio.rtf)}")
    typer.echo(" · ".join(parts), err=to_stderr)


def _speed(rtf: float) -> str:
    speed = 1 / rtf
    return f"{speed:.1f} × real time" if speed >= 1 else f"{speed:.2g} × real time"


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
