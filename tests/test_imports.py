"""The public names, and what importing costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import causerie
from causerie import errors


def in_a_fresh_python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_public_names() -> None:
    assert causerie.__all__ == [
        "FLUSH",
        "TTS",
        "AsyncStream",
        "Audio",
        "AudioError",
        "CancelledError",
        "CauserieError",
        "ChatError",
        "CheckpointError",
        "ConfigError",
        "Conversation",
        "DeadlineError",
        "Detection",
        "DeviceMemoryError",
        "EngineError",
        "PromptTooLongError",
        "QueueFullError",
        "RecognitionError",
        "Segment",
        "StoreError",
        "Stream",
        "TextError",
        "UnknownVoiceError",
        "Voice",
        "Watermark",
        "WatermarkError",
        "__version__",
        "detect",
    ]
    assert dir(causerie) == sorted(causerie.__all__)


@pytest.mark.parametrize("name", causerie.__all__)
def test_each_public_name_is_there(name: str) -> None:
    assert getattr(causerie, name).__class__.__module__ != "types"


def test_star_import() -> None:
    names: dict[str, object] = {}
    exec("from causerie import *", names)
    assert set(causerie.__all__) <= set(names)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Speech'"):
        _ = causerie.Speech


def test_every_error_is_public() -> None:
    tree = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.CauserieError)
    }
    assert tree <= set(causerie.__all__)


def test_importing_the_package_imports_no_library() -> None:
    code = (
        "import sys; before = set(sys.modules); import causerie;"
        "print(sorted({m.split('.')[0] for m in set(sys.modules) - before} "
        "& {'torch', 'numpy', 'huggingface_hub', 'soundfile', 'typer', 'rich', 'safetensors'}))"
    )
    assert in_a_fresh_python(code) == "[]"


def test_help_does_not_wait_for_torch() -> None:
    code = (
        "import sys; sys.argv = ['causerie', 'say', '--help']\n"
        "from causerie.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "print('torch' in sys.modules)"
    )
    assert in_a_fresh_python(code).endswith("False")


def test_types_and_model_are_part_of_the_package() -> None:
    package = Path(causerie.__file__).parent
    assert (package / "py.typed").is_file()
    bundled = {path.name for path in (package / "assets" / "petit").iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "lexicon.txt.gz"} <= bundled
    size = sum(path.stat().st_size for path in (package / "assets").rglob("*") if path.is_file())
    assert size <= 40_000_000
