"""`causerie train`: a model from prepared speech."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from causerie.cli.console import note
from causerie.cli.options import Changes

if TYPE_CHECKING:
    from causerie.train.lm.config import LMConfig
    from causerie.train.lm.run import Judge
    from causerie.train.loop import OnStep

app = typer.Typer(help="Train a language model.", no_args_is_help=False)

Config = Annotated[Path, typer.Argument(metavar="CONFIG.toml", help="What to train, and how.")]
AllowChanges = Annotated[
    bool, typer.Option("--allow-changes", help="Go on with a run though its recipe has changed.")
]


@app.callback()
def _group() -> None:
    """Keep `lm` a subcommand, although it is the only one."""


@app.command()
def lm(config: Config, changes: Changes = None, allow_changes: AllowChanges = False) -> None:
    """Train a language model on speech that `causerie data prepare` made.

    causerie train lm voice.toml --set recipe.steps=2000

    What was killed goes on where it was. Several GPUs: torchrun --nproc-per-node 2 -m causerie …
    """
    from causerie import toml_config
    from causerie.train.lm.config import LMConfig
    from causerie.train.lm.run import train_lm

    settled = toml_config.read(LMConfig, config, changes or [])
    with steps(settled.recipe.steps) as on_step:
        folder = train_lm(
            settled,
            judge=_judge(settled),
            on_step=on_step,
            on_message=note,
            allow_changes=allow_changes,
        )
    if folder is not None:  # this is the main process
        typer.echo(f"wrote {folder}")


def _judge(config: LMConfig) -> Judge | None:
    """What `causerie eval` says of a checkpoint, if the configuration asks for it."""
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


@contextmanager
def steps(total: int) -> Iterator[OnStep | None]:
    """Show steps and losses, where stderr is a terminal."""
    from rich.console import Console
    from rich.progress import Progress, TextColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    columns = (*Progress.get_default_columns(), TextColumn("{task.fields[losses]}"))
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("training", total=total, losses="")

        def show(step: int, numbers: dict[str, float]) -> None:
            losses = " · ".join(f"{name} {value:.3g}" for name, value in numbers.items())
            progress.update(task, completed=step + 1, losses=losses)

        yield show
