"""`causerie codec`: encodes sound to codes, and decodes codes to sound."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from causerie.cli.console import progress
from causerie.cli.options import Device, Model, check_folder, check_sound_file
from causerie.errors import AudioError, ConfigError

if TYPE_CHECKING:
    from causerie.codec.mimi import Mimi

app = typer.Typer(help="Encode sound to codes, and decode codes to sound.", no_args_is_help=False)


@app.command()
def encode(
    sound: Annotated[Path, typer.Argument(help="A sound file of any rate and channel count.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The .safetensors file to write.")],
    codebooks: Annotated[
        int | None,
        typer.Option(help="Use only the first N codebooks.", show_default=False),
    ] = None,
    model: Model = "petit",
    device: Device = "auto",
) -> None:
    """Encode a sound file.

    causerie codec encode speech.wav -o speech.safetensors
    """
    if output.suffix != ".safetensors":
        raise AudioError(f"cannot write {output}: codes go into a .safetensors file")
    check_folder(output)
    with progress(f"encoding {sound}"):
        import torch

        from causerie.audio.audio import Audio
        from causerie.codes import save_codes

        audio = Audio.load(sound)
        codec = _load(model, device)
        available = codec.config.num_codebooks
        if codebooks is not None and not 1 <= codebooks <= available:
            raise ConfigError(f"--codebooks must be 1 … {available}, not {codebooks}")
        with torch.inference_mode():
            pcm = torch.from_numpy(audio.resampled(codec.config.sample_rate))
            pcm = pcm.to(next(codec.parameters()).device)[None, None]
            codes = codec.encode(pcm, codebooks)[0]
        save_codes(output, codes)
    num_codebooks, num_frames = codes.shape
    typer.echo(
        f"wrote {output} · {audio.duration_s:.1f} s of sound · "
        f"{num_codebooks} codebooks × {num_frames} frames"
    )


@app.command()
def decode(
    codes: Annotated[Path, typer.Argument(help="A file that `causerie codec encode` wrote.")],
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", help="The .wav, .flac, .ogg, .mp3, .opus or .m4a file to write."
        ),
    ],
    model: Model = "petit",
    device: Device = "auto",
) -> None:
    """Decode codes to a sound file.

    causerie codec decode speech.safetensors -o again.wav
    """
    check_sound_file(output)
    with progress(f"decoding {codes}"):
        import torch

        from causerie.audio.audio import Audio
        from causerie.codes import load_codes

        codec = _load(model, device)
        loaded = load_codes(codes, codec.config.codebook_size)
        if loaded.shape[0] > codec.config.num_codebooks:
            raise AudioError(
                f"{codes} has {loaded.shape[0]} codebooks; this codec has "
                f"{codec.config.num_codebooks}"
            )
        with torch.inference_mode():
            pcm = codec.decode(loaded[None].to(next(codec.parameters()).device))[0, 0]
        audio = Audio(samples=pcm.cpu().numpy(), sample_rate=codec.config.sample_rate)
        audio.save(output)
    typer.echo(f"wrote {output} · {audio.duration_s:.1f} s of sound")


def _load(model: str, device: str) -> Mimi:
    from causerie.checkpoint import load_codec
    from causerie.device import find_device

    return load_codec(model, device=find_device(device)).eval()
