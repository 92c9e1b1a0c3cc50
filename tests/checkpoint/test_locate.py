"""Sources → files: the bundled model, local files, and a simulated hub."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import errors

from causerie.checkpoint import locate as module
from causerie.checkpoint.locate import locate, locate_codec
from causerie.errors import CheckpointError
from causerie.model_files import weight_files

COMMIT = "0123456789abcdef0123456789abcdef01234567"
PAGE = "https://huggingface.co/anna/voice"


class Hub:
    """Replaces snapshot_download: writes files to a cache folder, and records the calls."""

    def __init__(self, cache: Path, files: dict[str, object]) -> None:
        self.folder, self.files = cache / COMMIT, files
        self.asked: list[tuple[str, str | None, list[str]]] = []

    def __call__(self, repo: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        self.asked.append((repo, revision, allow_patterns))
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.files.items():
            if any(Path(name).match(pattern) for pattern in allow_patterns):
                (self.folder / name).write_text(json.dumps(content))
        return str(self.folder)

    @property
    def fetched(self) -> set[str]:
        return {path.name for path in self.folder.iterdir()}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Hub]:
    def build(files: dict[str, object]) -> Hub:
        built = Hub(tmp_path, files)
        monkeypatch.setattr(huggingface_hub, "snapshot_download", built)
        return built

    return build


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception], None]:
    def install(error: Exception) -> None:
        def fail(*_: Any, **__: Any) -> str:
            raise error

        monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
        monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: None)

    return install


def offline(monkeypatch: pytest.MonkeyPatch, is_offline: bool) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", is_offline)


def test_the_bundled_model() -> None:
    assert (locate("petit") / "lexicon.txt.gz").is_file()


def test_local_files_come_before_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "anna" / "voice").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert locate("anna/voice") == Path("anna/voice")
    assert locate(tmp_path) == tmp_path


@pytest.mark.parametrize(
    "source", ["pettit", "./nowhere", "a/b/c", "anna/voice@", "anna/vo ice", "", Path("no/where")]
)
def test_neither_file_nor_hub_id(source: str | Path) -> None:
    with pytest.raises(CheckpointError, match=r"is not a file, a folder or a hub id .* 'petit'"):
        locate(source)


# -- what is fetched -------------------------------------------------------------------------

SHARDS = {"weight_map": {"a": "transformers-1.safetensors", "b": "transformers-2.safetensors"}}
CSM_1B: dict[str, object] = {
    "config.json": {"transformers_weights": "transformers.safetensors.index.json"},
    "generation_config.json": {},
    "tokenizer.json": {},
    "transformers.safetensors.index.json": SHARDS,
    "transformers-1.safetensors": "",
    "transformers-2.safetensors": "",
    "model.safetensors": "",
    "ckpt.pt": "",
    "prompts.wav": "",
    "README.md": "",
}


def test_one_copy_of_three(hub: Callable[..., Hub]) -> None:
    built = hub(CSM_1B)
    folder = locate("sesame/csm-1b@main")
    assert built.fetched == set(CSM_1B) - {
        "model.safetensors", "ckpt.pt", "prompts.wav", "README.md"
    }  # fmt: skip
    # the second call names the commit, in case that the branch moves on between the two
    assert [(repo, revision) for repo, revision, _ in built.asked] == [
        ("sesame/csm-1b", "main"),
        ("sesame/csm-1b", COMMIT),
    ]
    assert [p.name for p in weight_files(folder)] == sorted(set(SHARDS["weight_map"].values()))


@pytest.mark.parametrize("weights", ["model.safetensors", "pytorch_model.bin", "ckpt.pt"])
def test_the_only_copy(hub: Callable[..., Hub], weights: str) -> None:
    built = hub({"config.json": {}, weights: ""})
    assert weight_files(locate("anna/voice")) == [built.folder / weights]
    assert built.asked[0][1] is None


def test_a_repository_without_weights(hub: Callable[..., Hub]) -> None:
    hub({"config.json": {}})
    with pytest.raises(CheckpointError, match=f"holds none of .* see {PAGE}/tree/{COMMIT}"):
        locate("anna/voice")


@pytest.mark.parametrize("weights", ["adapter_model.safetensors", "adapter_model.bin"])
def test_an_adapter(hub: Callable[..., Hub], weights: str) -> None:
    """Its tokenizer and its weights, and no copy of its base."""
    names = ("adapter_config.json", "tokenizer.json", weights)
    built = hub({name: {} for name in (*names, "README.md", "optimizer.pt")})
    assert locate("anna/voice@main") == built.folder
    assert built.fetched == {*names}
    assert built.asked[1][:2] == ("anna/voice", COMMIT)


def test_a_repository_of_gguf(hub: Callable[..., Hub]) -> None:
    hub({"config.json": {}})
    with pytest.raises(CheckpointError, match=r"anna/csm-1b-GGUF.* format of GGUF.* sesame/csm-1b"):
        locate("anna/csm-1b-GGUF")


def test_codec_from_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cached = {"kyutai/mimi": str(tmp_path / "model.safetensors")}
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda repo, _: cached.get(repo))
    assert locate_codec() == tmp_path / "model.safetensors"


def test_codec_from_the_hub(monkeypatch: pytest.MonkeyPatch, hub: Callable[..., Hub]) -> None:
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: None)
    built = hub({"tokenizer-e351c8d8-checkpoint125.safetensors": "", "model.safetensors": ""})
    assert locate_codec().name == "tokenizer-e351c8d8-checkpoint125.safetensors"
    assert built.fetched == {locate_codec().name}


def test_codec_of_a_hub_id_is_kyutais_file(hub: Callable[..., Hub]) -> None:
    """And not the language model beside it."""
    built = hub({"config.json": {}, "tokenizer-e351.safetensors": "", "model.safetensors": ""})
    found = locate("kyutai/moshiko-pytorch-bf16", codec_alone=True)
    assert found == built.folder / "tokenizer-e351.safetensors"
    assert "model.safetensors" not in built.fetched


def test_codec_of_a_hub_id_without_kyutais_file(hub: Callable[..., Hub]) -> None:
    built = hub({"config.json": {}, "model.safetensors": ""})
    assert locate("kyutai/mimi", codec_alone=True) == built.folder


# -- what can go wrong -----------------------------------------------------------------------


def hub_error(kind: type[Exception]) -> Exception:
    error = kind.__new__(kind)  # the constructors want the answer of whichever http client
    Exception.__init__(error, "401 from the hub\nmore")
    return error


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (
            errors.GatedRepoError,
            rf"anna/voice is gated: accept its terms on {PAGE}, then run `hf auth login`",
        ),
        (errors.RepositoryNotFoundError, rf"or it is private: open {PAGE}; .*`hf auth login`"),
        (errors.RevisionNotFoundError, rf"no revision 'v9': choose one on {PAGE}/commits"),
        (errors.HfHubHTTPError, rf"could not be downloaded from {PAGE}"),
    ],
)
def test_answers_of_the_hub(
    failing: Callable[[Exception], None], kind: type[Exception], message: str
) -> None:
    failing(hub_error(kind))
    with pytest.raises(CheckpointError, match=message) as caught:
        locate("anna/voice@v9")
    assert "\n" not in str(caught.value)


def test_not_cached_and_offline(
    failing: Callable[[Exception], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(errors.LocalEntryNotFoundError("nothing"))
    offline(monkeypatch, True)
    with pytest.raises(CheckpointError, match=rf"not in the cache \({PAGE}\).*`unset HF_HUB_OFF"):
        locate("anna/voice")
    with pytest.raises(CheckpointError, match="kyutai/moshiko-pytorch-bf16 is not in the cache"):
        locate_codec()


def test_not_cached_and_unreachable(
    failing: Callable[[Exception], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(errors.LocalEntryNotFoundError("nothing"))
    offline(monkeypatch, False)
    with pytest.raises(CheckpointError, match=rf"cannot be reached: .* download it from {PAGE}"):
        locate("anna/voice")


def test_a_full_disk(failing: Callable[[Exception], None]) -> None:
    failing(OSError(28, "No space left on device"))
    with pytest.raises(CheckpointError, match=r"could not be downloaded .*No space left on device"):
        locate("anna/voice")


# -- the real client, offline, on a cache of ours -----------------------------------------------


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    offline(monkeypatch, True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    return tmp_path


def fill_cache(cache: Path, *names: str) -> Path:
    repo = cache / "models--anna--voice"
    snapshot = repo / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(COMMIT)
    for name in names:
        (snapshot / name).write_text("{}")
    return snapshot


def test_cached_is_enough(cache: Path) -> None:
    snapshot = fill_cache(cache, "config.json", "model.safetensors")
    assert locate("anna/voice") == snapshot
    assert locate(f"anna/voice@{COMMIT}") == snapshot


def test_half_cached_is_not(cache: Path) -> None:
    fill_cache(cache, "config.json")
    with pytest.raises(CheckpointError, match="is not in the cache, and HF_HUB_OFFLINE is set"):
        locate("anna/voice")


@pytest.mark.parametrize("repo", ["anna/a--b", "anna/a..b", "anna/voice.git", f"anna/{'a' * 99}"])
def test_ids_that_the_hub_refuses(cache: Path, repo: str) -> None:
    with pytest.raises(CheckpointError, match="is neither a local file nor a hub id") as caught:
        locate(repo)
    assert "\n" not in str(caught.value)


def test_nothing_cached(cache: Path) -> None:
    with pytest.raises(CheckpointError, match="unset HF_HUB_OFFLINE"):
        locate("anna/voice")


def test_module_is_the_only_one_with_the_network() -> None:
    package = Path(module.__file__).parents[1]
    users = [p.name for p in package.rglob("*.py") if "import huggingface_hub" in p.read_text()]
    assert users == ["hub.py"]
