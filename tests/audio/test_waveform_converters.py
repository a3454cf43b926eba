"""wav2vec 2.0, HuBERT and WavLM of Hugging Face, converted to tp and back, compute what they computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import tp_core
from tests.audio.waveforms import BUCKETS, GROUP, LAYER, QUANTISER, converted, reference, waves
from tests.building import batch_of, worst
from tests.meta import on_meta
from tp_core import Model, TPError, build_model, load_model, load_spec
from tp_core.model import meta_model

transformers = pytest.importorskip("transformers")
TOLERANCE = 1e-5
CONFORMER: dict[str, Any] = {"conv_depthwise_kernel_size": 5}

CASES: list[tuple[str, dict[str, Any]]] = [
    ("Wav2Vec2ForPreTraining", {**QUANTISER, **GROUP}),
    ("Wav2Vec2ForPreTraining", {**QUANTISER, **LAYER}),
    ("Wav2Vec2ForCTC", {**GROUP, "hidden_act": "relu", "feat_extract_activation": "relu"}),
    ("Wav2Vec2ForCTC", {**LAYER, "pad_token_id": 3}),
    ("Wav2Vec2Model", {**GROUP, "mask_time_prob": 0.0}),
    ("Wav2Vec2Model", {**GROUP, "do_stable_layer_norm": True, "num_conv_pos_embeddings": 5}),
    ("HubertForCTC", {**GROUP}),
    ("HubertModel", {**LAYER}),
    ("HubertModel", {**GROUP, "feat_proj_layer_norm": False}),
    ("WavLMModel", {**GROUP, **BUCKETS}),
    ("WavLMModel", {**LAYER, **BUCKETS, "hidden_size": 16, "num_hidden_layers": 3}),
    ("WavLMForCTC", {**GROUP, **BUCKETS}),
    ("Wav2Vec2ConformerForPreTraining", {**QUANTISER, **GROUP}),
    ("Wav2Vec2ConformerForCTC", {**CONFORMER, "feat_extract_norm": "layer", "conv_bias": True}),
    ("Wav2Vec2ConformerModel", {**CONFORMER, "position_embeddings_type": None, "hidden_act": "swish"}),
]
LENGTHS = [[400, 300, 120], [60], [900, 61, 500, 899]]


def layer_states(model: Any, layers: Any, run: Any) -> list[Tensor]:
    """The states behind each layer while something runs."""
    found: list[Tensor] = []
    handles = [
        layer.register_forward_hook(lambda _, __, output: found.append(output[0] if type(output) is tuple else output))
        for layer in layers
    ]
    with torch.no_grad():
        run(model)
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")
@pytest.mark.parametrize("padded", [True, False], ids=["padded", "whole"])
@pytest.mark.parametrize(("cls", "config"), CASES, ids=lambda value: value if isinstance(value, str) else "")
def test_states_and_logits_are_the_same_after_each_way(
    tmp_path: Path, cls: str, config: dict[str, Any], padded: bool
) -> None:
    theirs = reference(cls, **config)
    ours = converted(theirs, tmp_path)
    folder = tp_core.convert("tp", tmp_path / "ours", "huggingface", tmp_path / "back")
    kind = getattr(transformers, cls)
    again, info = kind.from_pretrained(folder, attn_implementation="eager", output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    for lengths in LENGTHS:
        values, mask = waves(lengths if padded else [max(lengths)] * len(lengths))
        given = {"attention_mask": mask} if padded else {}
        batch = batch_of(input_values=values, attention_mask=given.get("attention_mask"))
        compare(theirs, again.eval(), ours, batch, {"input_values": values, **given})


def compare(theirs: Any, again: Any, ours: Model, batch: Any, given: dict[str, Tensor]) -> None:
    with torch.no_grad():
        features = ours.encode(batch)
        real = features.sequence.real()
        base, other = (getattr(each, each.base_model_prefix, each) for each in (theirs, again))
        # transformers writes its masks into its inputs
        expected = base(**{name: value.clone() for name, value in given.items()}).last_hidden_state
        back = other(**{name: value.clone() for name, value in given.items()}).last_hidden_state
        assert worst(features.sequence.states, expected, real) < TOLERANCE
        assert worst(back, expected, real) < TOLERANCE
        layers = layer_states(ours, ours.encoder.layers, lambda model: model.encode(batch))
        for mine, their in zip(
            layers, layer_states(base, base.encoder.layers, lambda model: model(**given)), strict=True
        ):
            assert worst(mine, their, real) < TOLERANCE
        if "ctc" in ours.targets:
            target: Any = ours.targets["ctc"]
            assert worst(target.frame_logits(features.sequence), theirs(**given).logits, real) < TOLERANCE


@pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")
@pytest.mark.parametrize("cls", ["WavLMForCTC", "Wav2Vec2ForCTC"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_loss_of_texts_is_reduced_as_in_transformers(tmp_path: Path, cls: str, reduction: str) -> None:
    theirs = reference(cls, **GROUP, ctc_loss_reduction=reduction)
    ours = converted(theirs, tmp_path)
    values, mask = waves([900, 700])
    labels = torch.tensor([[3, 4, 4, 5], [6, 7, -100, -100]])
    batch = batch_of({"ctc": {"labels": labels}}, input_values=values, attention_mask=mask)
    with torch.no_grad():
        # A sum depends on the size of the batch: ours is divided by the tokens.
        expected = theirs(values, attention_mask=mask, labels=labels).loss / (1 if reduction == "mean" else 6)
        assert float(ours(batch).loss) == pytest.approx(float(expected), abs=TOLERANCE)
    folder = tp_core.convert("tp", tmp_path / "ours", "huggingface", tmp_path / "back")
    assert getattr(transformers, cls).from_pretrained(folder).config.ctc_loss_reduction == reduction


@pytest.mark.parametrize("config", [GROUP, LAYER], ids=["group norm", "layer norm"])
def test_masked_frames_have_the_learned_vector(tmp_path: Path, config: dict[str, Any]) -> None:
    theirs = reference("HubertModel", **config)
    ours = converted(theirs, tmp_path)
    values, mask = waves([500, 333])
    frames = ours.embedding(batch_of(input_values=values).inputs).states.shape[1]
    masked = torch.rand(2, frames, generator=torch.Generator().manual_seed(1)) < 0.4
    expected = theirs(values, attention_mask=mask, mask_time_indices=masked).last_hidden_state
    features = ours.encode(batch_of(input_values=values, attention_mask=mask, mask_time_indices=masked))
    assert worst(features.sequence.states, expected, features.sequence.real()) < TOLERANCE


def test_group_norm_sees_padding_as_in_transformers_and_does_not_where_it_is_masked(tmp_path: Path) -> None:
    theirs = reference("HubertModel", **GROUP)
    ours = converted(theirs, tmp_path)
    values, mask = waves([800, 300])
    alone = ours.encode(batch_of(input_values=values[1:, :300])).sequence.states
    leaking = ours.encode(batch_of(input_values=values, attention_mask=mask)).sequence
    assert worst(leaking.states[1][leaking.real()[1]], alone[0]) > 0.01
    spec = tmp_path / "ours" / "spec.yaml"
    text = spec.read_text(encoding="utf-8")
    assert "mask_padding: false" in text
    spec.write_text(text.replace("mask_padding: false", "mask_padding: true"), encoding="utf-8")
    kept = (
        load_model(tmp_path / "ours", "cpu").model.encode(batch_of(input_values=values, attention_mask=mask)).sequence
    )
    assert worst(kept.states[1][kept.real()[1]], alone[0]) < TOLERANCE


def test_weights_saved_by_older_versions_of_pytorch_are_read(tmp_path: Path) -> None:
    theirs = reference("Wav2Vec2Model", **GROUP)
    theirs.save_pretrained(tmp_path / "theirs")
    file = tmp_path / "theirs" / "model.safetensors"
    tensors = load_file(file)
    for new, old in (
        ("parametrizations.weight.original0", "weight_g"),
        ("parametrizations.weight.original1", "weight_v"),
    ):
        name = f"encoder.pos_conv_embed.conv.{new}"
        tensors[name.replace(new, old)] = tensors.pop(name)
    save_file(tensors, file, {"format": "pt"})
    ours = load_model(tp_core.convert("huggingface", tmp_path / "theirs", "tp", tmp_path / "ours"), "cpu").model
    values, _ = waves([300])
    states = ours.encode(batch_of(input_values=values)).sequence.states
    assert worst(states, theirs(values).last_hidden_state) < TOLERANCE


def test_a_model_with_adapters_is_refused(tmp_path: Path) -> None:
    theirs = reference("Wav2Vec2Model", **GROUP, add_adapter=True)
    theirs.save_pretrained(tmp_path / "theirs")
    with pytest.raises(TPError, match="'add_adapter' is true; only false can be converted"):
        tp_core.convert("huggingface", tmp_path / "theirs", "tp", tmp_path / "ours")


def test_a_trained_hubert_becomes_one_of_transformers_without_its_head(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(
        "extends: hubert-base\n"
        "model:\n"
        "  hidden_size: 16\n"
        "  embedding: [waveform: {channels: [8, 8], kernels: [10, 3], strides: [5, 2]}, conv_pos: {groups: 2}]\n"
        "  encoder: {transformer: {num_layers: 2, num_heads: 2}}\n",
        encoding="utf-8",
    )
    model = build_model(load_spec(tmp_path / "spec.yaml")).eval()
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "spec.yaml").write_text((tmp_path / "spec.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    save_file({name: value.contiguous() for name, value in model.weights().items()}, folder / "model.safetensors")
    with pytest.raises(TPError, match="heads for"):
        tp_core.convert("tp", folder, "huggingface", tmp_path / "refused")
    made = tp_core.convert("tp", folder, "huggingface", tmp_path / "made", architecture="HubertModel")
    theirs = transformers.HubertModel.from_pretrained(made).eval()
    values, _ = waves([700])
    states = model.encode(batch_of(input_values=values)).sequence.states
    assert worst(states, theirs(values).last_hidden_state) < TOLERANCE


@pytest.mark.parametrize(
    ("preset", "cls", "config"),
    [
        ("wav2vec2-base", "Wav2Vec2ForPreTraining", {}),
        ("wav2vec2-large", "Wav2Vec2ForPreTraining", {"codevector_dim": 768, "proj_codevector_dim": 768}),
        ("hubert-base", "HubertModel", {}),
        ("hubert-large", "HubertModel", {}),
        ("wavlm-base", "WavLMModel", {}),
    ],
)
def test_a_preset_has_the_sizes_of_the_published_model(preset: str, cls: str, config: dict[str, Any]) -> None:
    kind = getattr(transformers, cls)
    if preset.endswith("large"):
        layers = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}
        config = {**config, **layers, **LAYER}
    theirs = sum(weight.numel() for weight in on_meta(kind, kind.config_class(**config)).parameters())
    weights = meta_model(load_spec(preset)).named_parameters()
    heads = cls == "Wav2Vec2ForPreTraining"
    assert sum(each.numel() for name, each in weights if heads or not name.startswith("targets.")) == theirs
