"""Every command and snippet in the documents works, and every link leads somewhere.

Blocks of one page run in order in one empty folder. How a block is treated shows in its fence:

    ```bash          run, save for `make` (checked by make -n) and `pip install` (names checked)
    ```python        run
    ```bash hub      needs a gated download: run offline, must come as far as asking for it
    ```python hub    likewise
    ```bash judges   needs packages that judge speech: run without, must come as far as naming them
    ```bash verify   needs a recognizer: run without, must come as far as naming its extra
    ```bash talk     needs a microphone: likewise
    ```bash server   run beside a real server, whose address stands in for 127.0.0.1:8000
    ```python server likewise
    ```js clients    run by tests/clients/test_docs.py, as `python clients` is
    ```text          not code
"""

from __future__ import annotations

import itertools
import os
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest

import causerie
from tests.server.process import served

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
FENCES = {
    "bash", "bash hub", "bash judges", "bash verify", "bash talk", "bash server", "python",
    "python hub", "python server", "js clients", "python clients", "text",
}  # fmt: skip
ADDRESS = "127.0.0.1:8000"
TIMEOUT_S = 300


@dataclass(frozen=True, kw_only=True)
class Block:
    kind: str
    code: str
    line: int


def blocks_of(page: Path) -> list[Block]:
    blocks: list[Block] = []
    kind: str | None = None
    start, code = 0, list[str]()
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if kind is None and line.startswith("```"):
            kind, start, code = line[3:].strip(), number, []
        elif kind is not None and line == "```":
            blocks.append(Block(kind=kind, code="\n".join(code), line=start))
            kind = None
        elif kind is not None:
            code.append(line)
    assert kind is None, f"{page.name}:{start}: the fence is never closed"
    return blocks


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Host and port of a server that runs while it is needed."""
    with served(tmp_path_factory.mktemp("server")) as running:
        yield running.url.removeprefix("http://")


@pytest.fixture
def shell_env(tmp_path: Path) -> dict[str, str]:
    """An environment where `causerie` is this package, nothing is online and nothing sounds."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, module in {"causerie": "causerie", "python": ""}.items():
        program = f"{shlex.quote(sys.executable)} {f'-m {module}' if module else ''}"
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec {program} "$@"\n')
        script.chmod(0o755)
    paths = [str(folder), str(Path(sys.executable).parent), os.environ["PATH"]]
    home = tmp_path / "home"
    return os.environ | {
        "PATH": os.pathsep.join(paths),
        "HF_HOME": str(home),
        "HF_HUB_OFFLINE": "1",
        "PYTHONUTF8": "1",
    }


def without_make() -> dict[str, str]:
    """This environment, without what a `make` that runs these tests hands to its children."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MF"))
    }


def run(command: list[str], folder: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def check_make(line: str) -> None:
    done = run([*shlex.split(line), "--dry-run"], ROOT, without_make())
    assert done.returncode == 0, f"{line}: {done.stderr}"


def check_pip(line: str) -> None:
    """`pip install .`, `pip install "causerie[extra]"`: the extras exist. And torch for the CPU."""
    wanted = shlex.split(line)
    assert wanted[:2] == ["pip", "install"], line
    if wanted[2] == "torch":
        assert wanted[3:] == ["--index-url", "https://download.pytorch.org/whl/cpu"], line
        return
    assert len(wanted) == 3, line
    found = re.fullmatch(r"(?:\.|causerie)(?:\[([\w,-]+)\])?", wanted[2])
    assert found, line
    extras = set(found[1].split(",")) if found[1] else set()
    assert extras <= set(metadata.metadata("causerie").get_all("Provides-Extra") or []), line


def split_bash(code: str) -> tuple[list[str], list[str], list[str]]:
    """Lines that call make, that call pip, and all others."""
    lines = [line for line in code.replace("\\\n", " ").splitlines() if line.strip()]
    makes = [line for line in lines if line.startswith("make ") or line == "make"]
    pips = [line for line in lines if line.startswith("pip ")]
    others = [line for line in lines if line not in makes + pips]
    # uvx and pipx run the script `causerie` of a package that they install first.
    return makes, pips, [re.sub(r"^(uvx|pipx run) causerie ", "causerie ", line) for line in others]


def check_bash(block: Block, folder: Path, env: dict[str, str]) -> None:
    makes, pips, others = split_bash(block.code)
    for line in makes:
        check_make(line)
    for line in pips:
        check_pip(line)
    if others:
        done = run(["bash", "-euo", "pipefail", "-c", "\n".join(others)], folder, env)
        assert done.returncode == 0, f"{block.code}\n{done.stdout}\n{done.stderr}"


def check_bash_hub(block: Block, folder: Path, env: dict[str, str]) -> None:
    """Each line is understood, and fails for want of the download alone."""
    for line in block.code.splitlines():
        if line.startswith("hf "):  # the hub's own command: is it still called that?
            done = run(["bash", "-c", f"{line} --help"], folder, env)
            assert done.returncode == 0, f"{line}: {done.stderr}"
            continue
        assert line.startswith("causerie "), f"what is {line!r}?"
        done = run(["bash", "-c", line], folder, env)
        assert done.returncode == 2, f"{line}: exit {done.returncode}\n{done.stderr}"
        assert "Usage" not in done.stderr, done.stderr
        assert model_in(line) in done.stderr, done.stderr


def check_bash_judges(block: Block, folder: Path, env: dict[str, str]) -> None:
    """The first line is understood and asks for what is not installed; others lack its outcome."""
    away = folder.parent / "away"
    away.mkdir()
    (away / "resemblyzer.py").write_text("raise ImportError(name='resemblyzer')\n")
    paths = [str(away), *filter(None, [env.get("PYTHONPATH")])]
    for number, line in enumerate(block.code.splitlines()):
        done = run(["bash", "-c", line], folder, env | {"PYTHONPATH": os.pathsep.join(paths)})
        assert done.returncode == 2, f"{line}: exit {done.returncode}\n{done.stderr}"
        assert "Usage" not in done.stderr, done.stderr
        assert ("pip install --no-deps Resemblyzer" in done.stderr) == (number == 0), done.stderr
        assert number == 0 or model_in(line) in done.stderr, done.stderr


def check_bash_without(block: Block, folder: Path, env: dict[str, str]) -> None:
    """Each line is understood, and asks for the extra that is not installed."""
    (folder / "book.md").write_text("A book.")
    away, extra = folder.parent / "away", block.kind.removeprefix("bash ")
    away.mkdir(exist_ok=True)
    module = {"verify": "jiwer", "talk": "sounddevice"}[extra]
    (away / f"{module}.py").write_text(f"raise ImportError(name={module!r})\n")
    paths = [str(away), *filter(None, [env.get("PYTHONPATH")])]
    for line in block.code.splitlines():
        done = run(["bash", "-c", line], folder, env | {"PYTHONPATH": os.pathsep.join(paths)})
        assert done.returncode == 2, f"{line}: exit {done.returncode}\n{done.stderr}"
        assert f'pip install "causerie[{extra}]"' in done.stderr, done.stderr


def ready(block: Block, request: pytest.FixtureRequest) -> Block:
    """The block with the address of a running server, where it needs one."""
    if not block.kind.endswith(" server"):
        return block
    assert ADDRESS in block.code
    code = block.code.replace(ADDRESS, request.getfixturevalue("server"))
    code = code.replace("curl -s ", "curl -sS --fail ")
    return Block(kind=block.kind.removesuffix(" server"), code=code, line=block.line)


def check_python(page: Path, blocks: list[Block], folder: Path, env: dict[str, str]) -> None:
    """Run adjacent blocks in one process, each with a namespace of its own."""
    code = "\n".join(
        f"exec(compile({block.code!r}, '{page.name}:{block.line}', 'exec'), "
        "{'__name__': '__main__'})"
        for block in blocks
    )
    done = run([sys.executable, "-W", "error", "-c", code], folder, env)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def check_python_hub(block: Block, folder: Path, env: dict[str, str]) -> None:
    # no CUDA card is needed to come as far as the download
    code = block.code.replace('device="cuda"', 'device="cpu"')
    done = run([sys.executable, "-c", code], folder, env)
    last = done.stderr.strip().splitlines()[-1:]
    assert done.returncode == 1, f"{code}\n{done.stderr}"
    assert last, code
    assert "CheckpointError" in last[0], done.stderr
    assert model_in(code) in last[0], done.stderr


def model_in(code: str) -> str:
    found = re.search(r"[\w.-]+/[\w.-]+", code)
    assert found, f"no hub id in {code!r}"
    return found[0]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_fence_says_how_it_is_tested(page: Path) -> None:
    assert {block.kind for block in blocks_of(page)} <= FENCES


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if blocks_of(page)], ids=name_of)
def test_examples_run(
    page: Path, tmp_path: Path, shell_env: dict[str, str], request: pytest.FixtureRequest
) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    blocks = [ready(block, request) for block in blocks_of(page)]
    for kind, group in itertools.groupby(blocks, key=lambda block: block.kind):
        if kind == "python":
            check_python(page, list(group), folder, shell_env)
            continue
        for block in group:
            print(f"{page.name}:{block.line}")  # pytest shows it where the block fails
            if kind == "bash":
                check_bash(block, folder, shell_env)
            elif kind == "bash hub":
                check_bash_hub(block, folder, shell_env)
            elif kind == "bash judges":
                check_bash_judges(block, folder, shell_env)
            elif kind in ("bash verify", "bash talk"):
                check_bash_without(block, folder, shell_env)
            elif kind == "python hub":
                check_python_hub(block, folder, shell_env)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    local = [link.partition("#")[0] for link in links if "://" not in link]
    assert [link for link in local if not (page.parent / link).exists()] == []


def test_the_page_of_commands_is_current() -> None:
    commands = runpy.run_path(str(ROOT / "docs" / "generate.py"))["commands"]()
    page = ROOT / "docs" / "reference" / "cli.md"
    assert page.read_text(encoding="utf-8") == commands, "run python docs/generate.py"


def test_every_public_name_is_in_the_reference() -> None:
    pages = (ROOT / "docs" / "reference").rglob("*.md")
    documented = {
        name
        for page in pages
        for name in re.findall(r"^::: (\S+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    }
    for name in sorted({*causerie.__all__} - {"__version__"}):
        module = getattr(causerie, name).__module__
        assert documented & {f"causerie.{name}", module, f"{module}.{name}"}, name


def test_make_serve_takes_a_port() -> None:
    """SillyTavern uses port 8000 too."""
    for given, flag in {"PORT=8001": '--port "8001"', "PORT=": ""}.items():
        done = run(["make", "serve", "--dry-run", given], ROOT, without_make())
        assert done.returncode == 0, done.stderr
        assert done.stdout.rstrip("\n").endswith(f"causerie serve {flag}")


def test_every_make_target_is_listed() -> None:
    """`make` alone prints all targets, each with what it does."""
    listed = run(["make"], ROOT, without_make()).stdout
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony
    for target in phony[1].split():
        assert re.search(rf"^  {target} +\S", listed, re.MULTILINE), target


@pytest.mark.parametrize(
    "text",
    ['it\'s $5 "off"', "$(shell touch pwned) `touch pwned`", "a # b \\ c", "-o", "two\nlines"],
)
def test_make_say_speaks_the_text_as_it_is(text: str, tmp_path: Path) -> None:
    """No quote, dollar sign or dash of TEXT is obeyed."""
    folder = tmp_path / "env"
    (folder / "bin").mkdir(parents=True)
    program = folder / "bin" / "causerie"
    program.write_text(f"#!{sys.executable}\nimport sys\nprint(ascii(sys.argv[1:]))\n")
    program.chmod(0o755)
    (folder / ".made").touch()
    (folder / ".base").touch()
    command = ["make", "--no-print-directory", "-f", str(ROOT / "Makefile"), "-C", str(ROOT)]
    done = run([*command, f"VENV={folder}", "say", f"TEXT={text}"], tmp_path, without_make())
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith(f"'--', {text!a}]"), done.stdout
    assert not (ROOT / "pwned").exists()
