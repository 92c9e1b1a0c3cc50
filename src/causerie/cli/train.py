"""`causerie train`: trains a model on prepared speech."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from causerie.cli.console import note
from causerie.cli.options import Changes
from causerie.cli.progress import show_progress

if TYPE_CHECKING:
    from causerie.train.lm.config import LMConfig
    from causerie.train.lm.run import Judge

app = typer.Typer(help="Train a language model.", no_args_is_help=False)


@app.callback()
def _group() -> None:
    """Keep `lm` a subcommand, although it is the only one."""


@app.command()
def lm(
    config_file: Annotated[
        Path, typer.Argument(metavar="CONFIG.toml", help="The configuration; see docs/training.md.")
    ],
    changes: Changes = None,
    allow_changes: Annotated[
        bool,
        typer.Option("--allow-changes", help="Resume a run even if its configuration has changed."),
    ] = False,
) -> None:
    """Train a language model on speech prepared by `causerie data prepare`.

    causerie train lm voice.toml --set recipe.steps=2000

    Run the command again to resume a killed run. On several GPUs, start it as
    torchrun --nproc-per-node 2 -m causerie train lm voice.toml
    """
    from causerie import toml_config
    from causerie.train.lm.config import LMConfig
    from causerie.train.lm.run import train_lm
    from causerie.train.log import losses_text

    config = toml_config.read(LMConfig, config_file, changes or [])
    with show_progress() as on_progress:
        folder = train_lm(
            config,
            judge=_judge(config),
            on_step=lambda step, numbers: on_progress(
                f"training, {losses_text(numbers)}", step + 1, config.recipe.steps
            ),
            on_message=note,
            allow_changes=allow_changes,
        )
    if folder is not None:  # this is the main process
        typer.echo(f"wrote {folder}")


def _judge(config: LMConfig) -> Judge | None:
    """Evaluates checkpoints as `causerie eval` does; None without `watch.metrics`."""
    watch = config.watch
    if not watch.metrics:
        return None
    from causerie.evaluate.run import check_metrics, evaluate
    from causerie.evaluate.sentences import read_sentences
    from causerie.evaluate.tools import Tools
    from causerie.tts import TTS

    check_metrics(watch.metrics, has_recordings=False)
    sentences = read_sentences(Path(watch.sentences)) if watch.sentences else read_sentences()
    tools = Tools()

    def judge(folder: Path) -> Mapping[str, float]:
        report = evaluate(
            TTS.from_pretrained(folder, device=config.device),
            sentences,
            count=watch.count,
            only=watch.metrics,
            out=folder / "evaluation",
            tools=tools,
        )
        return report.numbers

    return judge
