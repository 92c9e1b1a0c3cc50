"""`causerie serve`: every setting of the server as a flag.

The flags are made from `causerie.server.settings.Settings` when the command is called, because the
base installation lacks the packages which that needs.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import typer

from causerie.extras import need


def serve(context: typer.Context) -> None:
    """Serve speech to web browsers, apps and Home Assistant.

    Compatible with the APIs of OpenAI, ElevenLabs and vLLM-Omni. Listens on 127.0.0.1:8000.
    """
    need("pydantic_settings", "server")
    for module in ("fastapi", "uvicorn", "multipart", "prometheus_client", "av", "websockets"):
        need(module, "server")
    command = typer.main.get_command(settings_app())
    command.main(context.args, prog_name=context.command_path, standalone_mode=False)


def settings_app() -> typer.Typer:
    """The command with its flags; needs the packages of the server."""
    app = typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.command(help=inspect.getdoc(serve))(_command())
    return app


def _command() -> Any:
    """A function with an argument for each setting."""
    from causerie.server.settings import Settings

    def run(config: Path | None = None, **flags: Any) -> None:
        settings = Settings.load(config, **flags)
        if settings.ray:
            from causerie.server.ray import deployment as ray

            ray.run(settings)
        else:
            from causerie.server import run as server

            server.run(settings, typer.echo)

    parameters = [
        _parameter("config", Path, typer.Option("--config", help="Settings file, in TOML."))
    ]
    for name, field in Settings.model_fields.items():
        kind, flag = field.annotation, f"--{name.replace('_', '-')}"
        default = "" if field.default in ((), "", None, False) else f" [{field.default}]"
        if kind is bool and field.default is True:
            flag = f"{flag}/--no-{name.replace('_', '-')}"
        if get_origin(kind) is tuple:
            kind, default = list[str], " Repeatable."
        optional = [part for part in get_args(kind) if part is not type(None)]
        if type(None) in get_args(kind):
            (kind,) = optional
        option = typer.Option(flag, help=f"{field.description}{default}", show_default=False)
        parameters.append(_parameter(name, kind, option))
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    return run


def _parameter(name: str, kind: Any, option: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, option],
    )
