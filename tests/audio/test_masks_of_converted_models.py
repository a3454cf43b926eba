"""Masks and attention masks of speech models travel with them, both ways."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tp_core
from tests.audio.test_preprocessing import WAVES, trained
from tests.audio.tones import tone
from tests.audio.waveforms import GROUP, QUANTISER, reference, waves
from tests.building import batch_of, worst
from tp_core import Record, load_model, load_spec
from tp_core.errors import TPError

transformers = pytest.importorskip("transformers")
transformers.logging.set_verbosity_error()

TIME = ("mask_time_prob", "mask_time_length", "mask_time_min_masks")


def config_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return found


def converted(folder: Path, cls: str, **config: Any) -> tuple[Any, Any]:
    """The options of the embedding and of the processor of a converted model."""
    reference(cls, **{**GROUP, **config}).save_pretrained(folder / "theirs")
    spec = load_spec(tp_core.convert("huggingface", folder / "theirs", "tp", folder / "ours") / "spec.yaml")
    assert spec.data.processor is not None
    return spec.model.streams[""].embedding.modules[0].config, spec.data.processor.config


def back(folder: Path) -> dict[str, Any]:
    """The config.json that the converted model is written with, without the one that it came with."""
    (folder / "ours" / "huggingface.json").unlink()
    name = config_of(folder / "theirs")["model_type"]
    return config_of(tp_core.convert("tp", folder / "ours", "huggingface", folder / "back", model_type=name))


@pytest.mark.parametrize(
    ("cls", "more"), [("Wav2Vec2Model", {}), ("HubertModel", {}), ("Wav2Vec2ForPreTraining", QUANTISER)]
)
def test_masks_over_time_are_the_processors_and_come_back(tmp_path: Path, cls: str, more: dict[str, Any]) -> None:
    masks = {"mask_time_prob": 0.3, "mask_time_length": 4, "mask_time_min_masks": 1}
    features = {"mask_feature_prob": 0.2, "mask_feature_length": 3, "mask_feature_min_masks": 2}
    embedding, processor = converted(tmp_path, cls, **more, **masks, **features)
    assert {name: getattr(processor, name) for name in masks} == masks
    assert {name: getattr(embedding, name) for name in features} == features
    written = back(tmp_path)
    assert {name: written[name] for name in (*masks, *features)} == {**masks, **features}
    assert written["apply_spec_augment"] is True


def test_distractors_of_pre_training_are_kept(tmp_path: Path) -> None:
    _, processor = converted(tmp_path, "Wav2Vec2ForPreTraining", **QUANTISER, num_negatives=7)
    assert processor.num_negatives == 7
    assert back(tmp_path)["num_negatives"] == 7


def test_a_model_that_is_not_to_be_masked_keeps_its_vector_and_is_not_masked(tmp_path: Path) -> None:
    more = {"apply_spec_augment": False, "mask_time_prob": 0.3, "mask_feature_prob": 0.2}
    embedding, processor = converted(tmp_path, "HubertModel", **more)
    assert (embedding.mask_vector, embedding.mask_feature_prob) == (True, 0.0)
    assert (processor.mask_time_prob, processor.mask_time_min_masks) == (0.0, 0)
    written = back(tmp_path)
    assert written["apply_spec_augment"] is False
    again, info = transformers.HubertModel.from_pretrained(tmp_path / "back", output_loading_info=True)
    assert not info["unexpected_keys"]
    assert hasattr(again, "masked_spec_embed")


def test_a_model_without_chances_of_masks_has_no_vector(tmp_path: Path) -> None:
    embedding, processor = converted(tmp_path, "HubertModel", mask_time_prob=0.0, mask_feature_prob=0.0)
    assert embedding.mask_vector is False
    assert processor.mask_time_prob == 0.0
    assert back(tmp_path)["mask_time_prob"] == 0.0


@pytest.mark.parametrize(
    ("cls", "key", "value"),
    [
        ("Wav2Vec2Model", "num_feat_extract_layers", 5),
        ("HubertModel", "add_adapter", True),
        ("HubertModel", "conv_pos_batch_norm", True),
        ("Wav2Vec2Model", "adapter_attn_dim", 4),
    ],
)
def test_other_convolutions_and_adapters_are_refused(tmp_path: Path, cls: str, key: str, value: Any) -> None:
    reference(cls, **GROUP).save_pretrained(tmp_path / "theirs")
    file = tmp_path / "theirs" / "config.json"
    file.write_text(json.dumps({**config_of(tmp_path / "theirs"), key: value}), encoding="utf-8")
    with pytest.raises(TPError, match=f"'{key}' is"):
        tp_core.convert("huggingface", tmp_path / "theirs", "tp", tmp_path / "ours")


# -- the attention mask ------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")
@pytest.mark.parametrize("told", [True, False], ids=["told", "not told"])
def test_padded_recordings_have_the_states_that_transformers_gives_them(tmp_path: Path, told: bool) -> None:
    theirs = reference("Wav2Vec2Model", **GROUP)
    theirs.save_pretrained(tmp_path / "theirs")
    extractor = transformers.Wav2Vec2FeatureExtractor(return_attention_mask=told, do_normalize=False)
    extractor.save_pretrained(tmp_path / "theirs")
    ours = tp_core.convert("huggingface", tmp_path / "theirs", "tp", tmp_path / "ours")
    loaded = load_model(ours, "cpu")
    processor: Any = loaded.processor
    assert processor.config.attention_mask is told
    sounds = [tone("low high", 16000)[:900], tone("high", 16000)[:400]]
    inputs = processor.inputs([{"input_values": each} for each in sounds])
    made = extractor(sounds, padding=True, sampling_rate=16000, return_tensors="pt")
    assert ("attention_mask" in inputs) is told
    assert ("attention_mask" in made) is told
    with torch.no_grad():
        features = loaded.model.encode(batch_of(**inputs)).sequence
        expected = theirs(**made).last_hidden_state
    assert worst(features.states, expected, features.real()) < 1e-5
    written = tp_core.convert("tp", ours, "huggingface", tmp_path / "back")
    content = json.loads((written / "preprocessor_config.json").read_text(encoding="utf-8"))
    assert content["return_attention_mask"] is told


def test_a_file_that_says_nothing_of_the_mask_means_transformers_default(tmp_path: Path) -> None:
    reference("Wav2Vec2Model", **GROUP).save_pretrained(tmp_path / "theirs")
    content = {"feature_extractor_type": "Wav2Vec2FeatureExtractor"}
    (tmp_path / "theirs" / "preprocessor_config.json").write_text(json.dumps(content), encoding="utf-8")
    ours = tp_core.convert("huggingface", tmp_path / "theirs", "tp", tmp_path / "ours")
    chosen: Any = load_spec(ours / "spec.yaml").data.processor
    assert chosen.config.attention_mask is transformers.Wav2Vec2FeatureExtractor().return_attention_mask


def test_padding_on_the_left_is_refused_and_can_be_ignored(tmp_path: Path) -> None:
    reference("Wav2Vec2Model", **GROUP).save_pretrained(tmp_path / "theirs")
    transformers.Wav2Vec2FeatureExtractor(padding_side="left").save_pretrained(tmp_path / "theirs")
    with pytest.raises(TPError, match=r"preprocessor_config\.json: not all keys.*\n.*'padding_side' is \"left\"; only"):
        tp_core.convert("huggingface", tmp_path / "theirs", "tp", tmp_path / "ours")
    tp_core.convert("huggingface", tmp_path / "theirs", "tp", tmp_path / "ours", ignore_keys=["padding_side"])


def test_a_trained_model_that_tells_of_padding_says_so(tmp_path: Path) -> None:
    model = trained(tmp_path, {**WAVES, "target": ["ctc"]}, {"waveform_ctc": {"attention_mask": False}})
    written = tp_core.convert("tp", model, "huggingface", tmp_path / "there", model_type="wav2vec2")
    extractor = transformers.AutoFeatureExtractor.from_pretrained(written)
    assert extractor.return_attention_mask is False
    made: Any = load_model(model, "cpu").processor
    samples = made.encode([Record({"audio": wav}, "x", 1) for wav in (waved(900), waved(500))])
    assert "attention_mask" not in made.inputs(samples)


def waved(count: int) -> bytes:
    from tests.audio.test_preprocessing import wav

    values, _ = waves([count])
    return wav(values[0].numpy().astype(np.float32))
