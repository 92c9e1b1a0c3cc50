"""`causerie voice`: makes a voice from a recording."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from causerie.cli.console import note, progress
from causerie.cli.options import Consent, Device, Model, ask_consent, check_folder
from causerie.errors import AudioError

app = typer.Typer(help="Make a voice from a recording.", no_args_is_help=False)


@app.callback()
def _group() -> None:
    """Keep `make` a command of its own, though it is the only one."""


@app.command()
def make(
    recording: Annotated[
        Path,
        typer.Argument(help="1.5 to 30 s of one person's speech, without noise: 10 s work well."),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The voice file to write, NAME.safetensors.")
    ],
    text: Annotated[
        str | None,
        typer.Option(
            help="The words of the recording. Without them a recognizer writes them, if "
            "causerie[evaluate] is installed.",
            show_default=False,
        ),
    ] = None,
    model: Model = "petit",
    device: Device = "auto",
    consent: Consent = None,
    licence: Annotated[
        str, typer.Option(help="Licence of the voice, such as CC0-1.0; kept in the file.")
    ] = "",
    force: Annotated[
        bool, typer.Option("--force", help="Write the voice in spite of what is wrong.")
    ] = False,
) -> None:
    """Make a voice file, which --voice and the server speak with.

    causerie voice make ann.wav --text "The words that Ann says." -o ann.safetensors
    """
    if output.suffix != ".safetensors":
        raise AudioError(f"cannot write {output}: a voice is a .safetensors file")
    check_folder(output)
    line = ask_consent(recording, consent, _is_own)
    with progress(f"examining {recording}"):
        from causerie.evaluate.speaker import installed_encoder
        from causerie.new_voice import check_recording, make_voice
        from causerie.recognition.whisper import packaged_recognizer
        from causerie.tts import TTS

        tts = TTS.from_pretrained(model, device=device)
        checked = check_recording(
            recording,
            text,
            tts.sample_rate,
            recognizer=packaged_recognizer(),
            encoder=installed_encoder(),
        )
        faults = "; it ".join(fault.message for fault in checked.faults)
        if faults and not force:
            raise AudioError(f"{recording} {faults}; --force makes the voice all the same")
        voice = make_voice(tts, output.stem, checked, licence=licence, consent=line)
        voice.save(output)
    if faults:
        note(f"warning: {recording} {faults}")
    if text is None:
        note(f"recognized: {checked.text}")
    typer.echo(
        f"wrote {output} · {checked.audio.duration_s:.1f} s of speech · "
        f'hear it: causerie say --voice {output} "Hello."'
    )


def _is_own(recording: Path) -> bool:
    from causerie.audio.recording import MAX_RAW_S
    from causerie.own_mark import has_own_mark

    return has_own_mark(recording, max_s=MAX_RAW_S)
