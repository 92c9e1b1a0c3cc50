"""`causerie info`: what is installed, and what is in a model."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import typer

from causerie.cli.console import progress
from causerie.cli.options import Device, Model
from causerie.extras import EXTRAS, is_installed
from causerie.model_files import check_source

if TYPE_CHECKING:
    from torch import nn

    from causerie.tts import TTS


def info(model: Model = "petit", device: Device = "auto") -> None:
    """Show what is installed, the device, and the facts of a model."""
    check_source(model)
    with progress("looking around"):
        import torch

        from causerie import __version__, native
        from causerie.audio import play
        from causerie.device import cuda_problem
    _line("causerie", __version__)
    _line("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    _line("torch", f"{torch.__version__}, {torch.get_num_threads()} threads")
    _line("CUDA", cuda_problem() or ", ".join(_cards()))
    _line("native kernels", native.describe())
    player = "sounddevice" if play.sound_device() else play.find_program()
    _line("plays by", player or "nothing found; `pip install sounddevice`, or use -o FILE")
    for extra, (module, purpose) in EXTRAS.items():
        how = "installed" if is_installed(module) else f"pip install 'causerie[{extra}]'"
        _line(f"extra {extra}", f"{how:<33} {purpose}")
    with progress(f"loading {model}"):
        from causerie.tts import TTS

        tts = TTS.from_pretrained(model, device=device)
    _show_place(tts)
    _show_model(tts)


def _cards() -> list[str]:
    """The cards that torch sees, with their memory, or what is wrong with them."""
    import torch

    from causerie.device import card_problem

    found = []
    for index in range(torch.cuda.device_count()):
        card = torch.device("cuda", index)
        free, total = torch.cuda.mem_get_info(card) if card_problem(card) is None else (0, 0)
        memory = (
            f"{torch.cuda.get_device_name(card)}, {free / 1e9:.1f} of {total / 1e9:.1f} GB free"
        )
        found.append(f"{card}: {card_problem(card) or memory}")
    return found


def _show_place(tts: TTS) -> None:
    from causerie.engine.placement import describe_kernels

    place = tts.placement
    assert place is not None
    _line("device", f"{place.device}: {place.reason}")
    if place.device.type != "cpu":
        _line("  kernels", describe_kernels(place.device))


def _show_model(tts: TTS) -> None:
    checkpoint = tts.checkpoint
    sizes, codec = checkpoint.model.config, checkpoint.codec.config
    defaults = checkpoint.defaults
    _line("model", f"{checkpoint.name}, {_count(checkpoint.model)} parameters")
    if checkpoint.base:
        _line("  adapter of", checkpoint.base)
    _line("  weights", str(checkpoint.model.projection.weight.dtype).removeprefix("torch."))
    for name, part in (("backbone", sizes.backbone), ("depth decoder", sizes.depth)):
        _line(f"  {name}", f"{part.num_layers} layers, width {part.dim}, {part.num_heads} heads")
    _line("  context", f"{sizes.max_frames} positions, {sizes.max_frames / codec.frame_rate:.0f} s")
    _line("  tokens", f"{checkpoint.tokenizer.vocab_size}, front end {checkpoint.front_end.kind}")
    _line("  sampling", f"temperature {defaults.temperature}, top_k {defaults.top_k}")
    _line("codec", f"{_count(checkpoint.codec)} parameters")
    _line("  decoder", "SEANet" if codec.decoder is None else "source-filter")
    _line("  codes", f"{sizes.num_codebooks} codebooks of {codec.codebook_size}")
    _line("  rate", f"{codec.sample_rate} Hz, {codec.frame_rate:g} frames a second")
    key = "the public key" if tts.watermark and tts.watermark.is_public else "a key of your own"
    _line("watermark", f"speech is marked with {key}")
    _line("voices", ", ".join(tts.voices) or "none by name; speaker numbers 0, 1, 2, …")


def _count(module: nn.Module) -> str:
    number = sum(parameter.numel() for parameter in module.parameters())
    return f"{number / 1e6:.1f} million" if number >= 100_000 else f"{number:,}"


def _line(name: str, value: str) -> None:
    typer.echo(f"{name:<16} {value}")
