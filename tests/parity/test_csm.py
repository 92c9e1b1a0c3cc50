"""CSM against transformers, with weights through the production converters."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import huggingface_hub
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor

from causerie.checkpoint import Checkpoint, configs, load, save, save_transformers
from causerie.checkpoint.locate import CODECS
from causerie.config import LlamaConfig, MimiConfig, csm_1b
from causerie.errors import CheckpointError
from causerie.model.csm import loss
from causerie.nn.kv_cache import KVCache
from causerie.nn.rope import inverse_frequencies
from tests import tiny
from tests.parity import references
from tests.parity.references import AUDIO_EOS_ID, AUDIO_ID, BOS_ID, EOS_ID, FRAME

CLOSE = {"atol": 1e-4, "rtol": 1e-4}


class Prompt:
    """Two turns with audio and the text of a third, as input for transformers and for us."""

    def __init__(self, ours: Checkpoint, num_frames: tuple[int, int] = (4, 3)) -> None:
        torch.manual_seed(3)
        lengths = [FRAME * n - cut for n, cut in zip(num_frames, (0, 700), strict=True)]
        waveforms = [torch.randn(1, 1, length) for length in lengths]
        ids: list[int] = []
        for count in (*num_frames, None):
            ids += [BOS_ID, *torch.randint(256, (5,)).tolist(), EOS_ID]
            if count is not None:
                ids += [AUDIO_ID] * count + [AUDIO_EOS_ID]
        self.input_ids = torch.tensor([ids])
        self.input_values = torch.cat(waveforms, dim=-1)
        self.cutoffs = torch.tensor([lengths]).cumsum(-1)
        self.is_audio = self.input_ids == AUDIO_ID
        self.is_stop = self.input_ids == AUDIO_EOS_ID

        num_codebooks = ours.model.config.num_codebooks
        self.frames = torch.zeros(1, len(ids), num_codebooks + 1, dtype=torch.long)
        self.mask = torch.zeros_like(self.frames, dtype=torch.bool)
        sounding = self.is_audio | self.is_stop
        self.mask[..., :-1] = sounding[..., None]
        self.mask[..., -1] = ~sounding
        self.frames[..., -1] = torch.where(sounding, 0, self.input_ids)
        codes = torch.cat([ours.codec.encode(wave) for wave in waveforms], dim=-1)
        self.frames[:, :, :-1][self.is_audio] = codes[0].T

    def for_transformers(self) -> dict[str, Tensor]:
        return {
            "input_ids": self.input_ids,
            "input_values": self.input_values,
            "input_values_cutoffs": self.cutoffs,
        }


@pytest.fixture(scope="module")
def prompt(ours: Checkpoint) -> Prompt:
    return Prompt(ours)


@torch.no_grad()
def assert_same_model(
    reference: transformers.CsmForConditionalGeneration, ours: Checkpoint, prompt: Prompt
) -> None:
    theirs = reference(**prompt.for_transformers(), output_hidden_states=True)
    hidden = ours.model.backbone(ours.model.embed_frames(prompt.frames, prompt.mask))
    torch.testing.assert_close(hidden, theirs.hidden_states[-1], **CLOSE)
    logits = ours.model.codebook0_head(hidden)
    assert logits.std() > 0.3
    torch.testing.assert_close(logits, theirs.logits, **CLOSE)
    codes = prompt.frames[0, prompt.is_audio[0], :-1]
    states = torch.randn(len(codes), hidden.shape[-1])
    depth = reference.depth_decoder(
        input_ids=torch.nn.functional.pad(codes[:, :-1], (1, 0)), backbone_last_hidden_state=states
    )
    depth_logits = ours.model.depth_logits(states, codes)
    assert depth_logits.std() > 0.3
    torch.testing.assert_close(depth_logits, depth.logits, **CLOSE)


def test_sizes(ours: Checkpoint) -> None:
    expected = tiny.csm_config()
    assert ours.codec.config == tiny.mimi_config()
    assert ours.model.config.backbone == expected.backbone
    for part in ("backbone", "depth"):
        theirs, own = getattr(ours.model.config, part), getattr(expected, part)
        assert torch.equal(_frequencies(theirs), _frequencies(own))


def _frequencies(config: LlamaConfig) -> Tensor:
    return inverse_frequencies(config.head_dim, config.rope_theta, config.rope_scaling)


def test_text_audio_and_stop_rows(
    reference: transformers.CsmForConditionalGeneration, ours: Checkpoint, prompt: Prompt
) -> None:
    assert_same_model(reference, ours, prompt)


@torch.no_grad()
def test_cached_steps(
    reference: transformers.CsmForConditionalGeneration, ours: Checkpoint, prompt: Prompt
) -> None:
    theirs = reference(**prompt.for_transformers(), use_cache=True, logits_to_keep=1)
    cache = KVCache(ours.model.config.backbone, 1, 64)
    hidden = ours.model.prefill(prompt.frames, prompt.mask, cache)
    head = ours.model.codebook0_head
    torch.testing.assert_close(head(hidden), theirs.logits[:, -1], **CLOSE)
    for _ in range(5):
        codes = torch.randint(tiny.CODEBOOK_SIZE, (1, tiny.NUM_CODEBOOKS))
        theirs = reference(
            input_ids=codes[:, None], past_key_values=theirs.past_key_values, use_cache=True
        )
        logits = head(ours.model.backbone_step(codes, cache))
        torch.testing.assert_close(logits, theirs.logits[:, -1], **CLOSE)


@torch.no_grad()
def test_greedy_frames(
    reference: transformers.CsmForConditionalGeneration, ours: Checkpoint, prompt: Prompt
) -> None:
    theirs = reference.generate(
        **prompt.for_transformers(),
        # else made from pad_token_id, which is the audio token in sesame/csm-1b: no audio is seen
        attention_mask=torch.ones_like(prompt.input_ids),
        do_sample=False,
        depth_decoder_do_sample=False,
        max_new_tokens=8,
        use_cache=True,
    )
    model = ours.model
    backbone = KVCache(model.config.backbone, 1, 64)
    depth = KVCache(model.config.depth, 1, model.config.num_codebooks)
    hidden, frames = model.prefill(prompt.frames, prompt.mask, backbone), []
    for _ in range(theirs.shape[1]):
        frames.append(model.depth_decode(hidden, depth, lambda logits, _: logits.argmax(-1)))
        hidden = model.backbone_step(frames[-1], backbone)
    assert theirs.shape[1] == 8
    assert torch.equal(torch.stack(frames, dim=1), theirs)


@pytest.mark.parametrize("amortized", [False, True])
@torch.no_grad()
def test_loss(
    reference: transformers.CsmForConditionalGeneration,
    ours: Checkpoint,
    prompt: Prompt,
    amortized: bool,
) -> None:
    labels = torch.full_like(prompt.input_ids, -100)
    labels[prompt.is_audio] = AUDIO_ID
    labels[prompt.is_stop] = AUDIO_EOS_ID
    kept = prompt.is_audio | prompt.is_stop
    if amortized:
        left_out = prompt.is_audio.nonzero()[::2]
        labels[left_out[:, 0], left_out[:, 1]] = -101
        kept = kept.clone()
        kept[left_out[:, 0], left_out[:, 1]] = False
    theirs = reference(**prompt.for_transformers(), labels=labels)
    predicted = prompt.is_audio | prompt.is_stop
    first, rest = loss(ours.model, prompt.frames, prompt.mask, predicted, kept)
    close = {"atol": 1e-5, "rtol": 1e-5}
    torch.testing.assert_close(first, theirs.backbone_loss, **close)
    torch.testing.assert_close(rest, theirs.depth_decoder_loss, **close)
    torch.testing.assert_close(first + rest, theirs.loss, **close)


# -- the layout of transformers --------------------------------------------------------------

BACKBONE_TABLE = "backbone_model.embed_tokens.embed_audio_tokens.weight"
DEPTH_TABLE = "depth_decoder.model.embed_tokens.weight"


def with_tables(folder: Path, target: Path, *names: str, change: float = 0.0) -> Path:
    shutil.copytree(folder, target)
    tensors = load_file(folder / "model.safetensors")
    found = [tensors.pop(n) for n in (BACKBONE_TABLE, DEPTH_TABLE) if n in tensors]
    for index, name in enumerate(names):
        tensors[name] = found[0] + change * index
    save_file(tensors, target / "model.safetensors")
    return target


@pytest.mark.parametrize(
    "names", [(BACKBONE_TABLE,), (DEPTH_TABLE,), (BACKBONE_TABLE, DEPTH_TABLE)]
)
def test_audio_table_by_either_name_or_both(
    folder: Path, ours: Checkpoint, tmp_path: Path, names: tuple[str, ...]
) -> None:
    loaded = load(with_tables(folder, tmp_path / "copy", *names))
    table = loaded.model.audio_embedding.weight
    assert torch.equal(table, ours.model.audio_embedding.weight)


def test_audio_tables_that_differ(folder: Path, tmp_path: Path) -> None:
    path = with_tables(folder, tmp_path / "copy", BACKBONE_TABLE, DEPTH_TABLE, change=0.1)
    with pytest.raises(CheckpointError, match="names of one tensor, but their values differ"):
        load(path)


def test_no_audio_table(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=f"1 missing: {DEPTH_TABLE}"):
        load(with_tables(folder, tmp_path / "copy"))


def test_shards_and_the_original_beside_them(
    reference: transformers.CsmForConditionalGeneration, tmp_path: Path, prompt: Prompt
) -> None:
    """As in sesame/csm-1b, whose model.safetensors is the original one."""
    references.save(reference, tmp_path, max_shard_size="100KB")
    shards = sorted(tmp_path.glob("model-*.safetensors"))
    assert len(shards) > 2
    index = tmp_path / "model.safetensors.index.json"
    renamed = index.read_text().replace('"model-', '"transformers-')
    (tmp_path / "transformers.safetensors.index.json").write_text(renamed)
    index.unlink()
    for shard in shards:
        shard.rename(shard.with_name(shard.name.replace("model-", "transformers-")))
    config = json.loads((tmp_path / "config.json").read_text())
    config["transformers_weights"] = "transformers.safetensors.index.json"
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_file({"audio_head": torch.zeros(1)}, tmp_path / "model.safetensors")
    assert_same_model(reference, load(tmp_path), prompt)
    min(tmp_path.glob("transformers-*")).unlink()
    with pytest.raises(
        CheckpointError, match=r"lacks 1 of \d+ weight files, .* transformers-00001"
    ):
        load(tmp_path)


def test_configuration_of_version_4(folder: Path, ours: Checkpoint, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    path = tmp_path / "copy" / "config.json"
    config = json.loads(path.read_text())
    for part in (config, config["depth_decoder_config"]):
        part["rope_scaling"] = part.pop("rope_parameters")
        part["rope_theta"] = part["rope_scaling"].pop("rope_theta")
    path.write_text(json.dumps(config))
    assert load(tmp_path / "copy").model.config == ours.model.config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_act": "gelu"}, "hidden_act is 'gelu', not 'silu'"),
        ({"attention_bias": True}, "attention_bias is True"),
        ({"codebook_eos_token_id": 3}, "codebook_eos_token_id is 3, not 0"),
        ({"num_codebooks": 6}, "num_codebooks is 5, not 6"),
        ({"rope_parameters": {"rope_type": "yarn"}}, "rope_type 'yarn' is unknown"),
        ({"rope_parameters": {"rope_type": "llama3"}}, "malformed"),
        ({"num_key_value_heads": 3}, "multiple of num_kv_heads"),
        ({"text_vocab_size": 300}, r"embed_text_tokens.weight \(260, 64\) where \(300, 64\)"),
    ],
)
def test_settings_that_we_do_not_have(
    folder: Path, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    path = tmp_path / "copy" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CheckpointError, match=message):
        load(tmp_path / "copy")


# -- the layout of SesameAILabs/csm ----------------------------------------------------------

_TO_ORIGINAL = (
    (r"^embed_text_tokens\.", "text_embeddings."),
    (r"^depth_decoder\.model\.embed_tokens\.", "audio_embeddings."),
    (r"^lm_head\.", "codebook0_head."),
    (r"^depth_decoder\.codebooks_head\.weight$", "audio_head"),
    (r"^depth_decoder\.model\.inputs_embeds_projector\.", "projection."),
    (r"^backbone_model\.", "backbone."),
    (r"^depth_decoder\.model\.", "decoder."),
    (r"\.self_attn\.", ".attn."),
    (r"\.o_proj\.", ".output_proj."),
    (r"\.gate_proj\.", ".w1."),
    (r"\.down_proj\.", ".w2."),
    (r"\.up_proj\.", ".w3."),
    (r"\.input_layernorm\.weight$", ".sa_norm.scale"),
    (r"\.post_attention_layernorm\.weight$", ".mlp_norm.scale"),
    (r"\.norm\.weight$", ".norm.scale"),
)


def to_original(tensors: dict[str, Tensor], head_dims: dict[str, int]) -> dict[str, Tensor]:
    """Tensors as SesameAILabs/csm saves them, from those of transformers."""
    original = {}
    for name, tensor in tensors.items():
        if name.startswith("codec_model."):
            continue
        for pattern, new in _TO_ORIGINAL:
            name = re.sub(pattern, new, name)
        if ".q_proj." in name or ".k_proj." in name:
            head_dim = head_dims[name.split(".")[0]]
            rows = [
                head + half * (head_dim // 2) + pair  # 0, d/2, 1, d/2 + 1, …
                for head in range(0, len(tensor), head_dim)
                for pair in range(head_dim // 2)
                for half in (0, 1)
            ]
            tensor = tensor[rows]
        original[name] = tensor.contiguous()
    return original


@pytest.mark.parametrize("filename", ["model.safetensors", "ckpt.pt"])
def test_original_layout(
    reference: transformers.CsmForConditionalGeneration,
    folder: Path,
    ours: Checkpoint,
    prompt: Prompt,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    filename: str,
) -> None:
    sizes = ours.model.config
    monkeypatch.setattr(configs, "KYUTAI_MIMI", ours.codec.config)
    monkeypatch.setattr(configs, "FLAVORS", {"llama-S": sizes.backbone, "llama-XS": sizes.depth})
    config = {
        "audio_num_codebooks": sizes.num_codebooks,
        "audio_vocab_size": sizes.audio_vocab_size,
        "backbone_flavor": "llama-S",
        "decoder_flavor": "llama-XS",
        "text_vocab_size": sizes.text_vocab_size,
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    head_dims = {"backbone": 16, "decoder": 8}
    tensors = to_original(load_file(folder / "model.safetensors"), head_dims)
    assert len(tensors) == 7 + 9 * (3 + 2)
    path = tmp_path / filename
    if path.suffix == ".pt":
        torch.save(tensors, path)
    else:
        save_file(tensors, path)
    shutil.copyfile(folder / "tokenizer.json", tmp_path / "tokenizer.json")
    moshi = references.mimi_of_moshi()
    save_file(moshi.state_dict(), tmp_path / CODECS[0][1])
    for source in (tmp_path, path):
        assert_same_model(reference, load(source), prompt)
    codec_file = tmp_path / CODECS[0][1]
    codec_file.unlink()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(CheckpointError, match=rf"no codec beside .* put {codec_file.name} of"):
        load(tmp_path)


def test_unknown_flavor(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"backbone_flavor": "llama-9B"}))
    save_file({"text_embeddings.weight": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="'llama-9B' is not a known flavor"):
        load(tmp_path)


def test_a_pickle_of_more_than_tensors(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    torch.save({"model": tiny.csm()}, tmp_path / "ckpt.pt")
    with pytest.raises(CheckpointError, match=r"ckpt.pt cannot be read \(Weights only load failed"):
        load(tmp_path)
    torch.save({"state": {"a": torch.zeros(1)}}, tmp_path / "ckpt.pt")
    with pytest.raises(CheckpointError, match="is not a plain state dict"):
        load(tmp_path)


# -- written by us, read by transformers -----------------------------------------------------


@pytest.mark.parametrize("spare_tokens", [True, False])
@torch.no_grad()
def test_transformers_loads_our_checkpoints(
    folder: Path, ours: Checkpoint, prompt: Prompt, tmp_path: Path, spare_tokens: bool
) -> None:
    if not spare_tokens:  # a vocabulary with no tokens to stand for audio
        text = (folder / "tokenizer.json").read_text()
        text = text.replace("<|AUDIO|>", "<|x|>").replace("<|audio_eos|>", "<|y|>")
        shutil.copytree(folder, tmp_path / "other")
        (tmp_path / "other" / "tokenizer.json").write_text(text)
        ours = load(tmp_path / "other")
    save_transformers(tmp_path / "export", ours)
    theirs, report = transformers.CsmForConditionalGeneration.from_pretrained(
        tmp_path / "export", output_loading_info=True
    )
    assert not any(report.values()), report
    config = theirs.config
    assert (config.audio_token_id, config.text_vocab_size) == (
        (AUDIO_ID, 260) if spare_tokens else (260, 262)
    )
    inputs = prompt.for_transformers()
    inputs["input_ids"] = torch.where(
        prompt.is_audio,
        config.audio_token_id,
        torch.where(prompt.is_stop, config.audio_eos_token_id, prompt.input_ids),
    )
    prompt_of_export = object.__new__(Prompt)
    vars(prompt_of_export).update(vars(prompt), input_ids=inputs["input_ids"])
    assert_same_model(theirs.eval(), ours, prompt_of_export)
    audio = torch.randint(tiny.CODEBOOK_SIZE, (1, tiny.NUM_CODEBOOKS, 4))
    theirs_pcm = theirs.codec_model.decode(audio).audio_values
    torch.testing.assert_close(ours.codec.decode(audio), theirs_pcm, **CLOSE)
    assert theirs.generation_config.temperature == ours.defaults.temperature
    assert theirs.depth_decoder.generation_config.max_new_tokens == tiny.NUM_CODEBOOKS - 1


def test_there_and_back(ours: Checkpoint, tmp_path: Path) -> None:
    save(tmp_path / "own", ours)
    save_transformers(tmp_path / "theirs", load(tmp_path / "own"))
    again = load(tmp_path / "theirs")
    for part in ("model", "codec"):
        one, other = (getattr(c, part).state_dict() for c in (ours, again))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one), part


def test_configuration_of_csm_1b_in_transformers() -> None:
    exported = configs.csm_to_transformers(csm_1b(), MimiConfig())
    config = transformers.CsmConfig(**{k: v for k, v in exported.items() if k != "model_type"})
    for part in (config, config.depth_decoder_config):
        rope = part.rope_parameters
        assert rope["original_max_position_embeddings"] < part.max_position_embeddings
        assert rope["rope_theta"] == 500_000.0
    backbone = config.rope_parameters  # the values that sesame/csm-1b itself has
    assert backbone["original_max_position_embeddings"] == 1024
    assert (backbone["low_freq_factor"], backbone["high_freq_factor"]) == (0.125, 0.5)
    back = configs.csm_from_transformers(exported)
    for part in ("backbone", "depth"):
        theirs, ours = getattr(back, part), getattr(csm_1b(), part)
        assert torch.equal(_frequencies(theirs), _frequencies(ours))
    assert configs.mimi_from_transformers(exported["codec_config"]) == MimiConfig()
