"""Speech2Text of transformers, converted to tp and back, computes what it computed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import tp_core
from tests.building import mask_of, randomised, tokens, worst
from tests.meta import on_meta
from tp_core import Model, load_model, load_spec
from tp_core.errors import TPError
from tp_core.interfaces import IGNORE, Batch

transformers = pytest.importorskip("transformers")

BINS, VOCABULARY = 12, 37
Record = Callable[[str, Any], None]
CASES = [
    # frames, tokens of each sample; hidden size, heads, layers; more of the config
    ([37, 20, 5], [6, 3, 5], 24, 4, 2, {}),
    ([1], [1], 16, 2, 1, {"conv_kernel_sizes": [3], "num_conv_layers": 1, "scale_embedding": False}),
    ([64, 64, 33, 60], [9, 2, 9, 4], 48, 6, 2, {"conv_kernel_sizes": [5, 3, 7], "num_conv_layers": 3}),
    ([21, 40], [4, 7], 24, 4, 1, {"tie_word_embeddings": False, "activation_function": "gelu", "pad_token_id": 2}),
]


def make(cls: str, hidden: int, heads: int, layers: int, more: dict[str, Any]) -> Any:
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    sizes = {
        "d_model": hidden,
        "encoder_layers": layers,
        "decoder_layers": layers + 1,
        "encoder_attention_heads": heads,
        "decoder_attention_heads": heads // 2,
        "encoder_ffn_dim": 40,
        "decoder_ffn_dim": 56,
        "conv_channels": 20,
        "input_feat_per_channel": BINS,
        "vocab_size": VOCABULARY,
    }
    config = transformers.Speech2TextConfig(attn_implementation="eager", **{**sizes, **more})
    return randomised(getattr(transformers, cls)(config), std=0.15).eval()


def example(frames: list[int], lengths: list[int], pad: int) -> tuple[dict[str, Tensor], Batch]:
    """A padded batch, as each side wants it."""
    mask, target_mask = mask_of(frames, max(frames)), mask_of(lengths, max(lengths))
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(len(frames), max(frames), BINS, generator=generator) * mask.unsqueeze(-1)
    # At a padding token's id, wherever it stands, transformers has no position.
    ids = (tokens(*target_mask.shape, high=VOCABULARY - 2) + 2).masked_fill(target_mask == 0, pad)
    labels = tokens(*target_mask.shape, high=VOCABULARY, seed=4).masked_fill(target_mask == 0, IGNORE)
    theirs = {
        "input_features": features,
        "attention_mask": mask,
        "decoder_input_ids": ids,
        "decoder_attention_mask": target_mask,
        "labels": labels,
    }
    source = {"input_features": features, "attention_mask": mask}
    target = {"input_ids": ids, "attention_mask": target_mask}
    return theirs, Batch.of(source, len(frames), target, {"lm": {"labels": labels}})


def to_tp(source: Path, target: Path) -> Model:
    return load_model(tp_core.convert("huggingface", source, "tp", target), "cpu").model


@pytest.mark.parametrize(("frames", "lengths", "hidden", "heads", "layers", "more"), CASES)
def test_a_model_is_the_same_after_each_way(
    tmp_path: Path,
    record_property: Record,
    frames: list[int],
    lengths: list[int],
    hidden: int,
    heads: int,
    layers: int,
    more: dict[str, Any],
) -> None:
    theirs = make("Speech2TextForConditionalGeneration", hidden, heads, layers, more)
    theirs.save_pretrained(tmp_path / "first")
    model = to_tp(tmp_path / "first", tmp_path / "ours")
    back = tp_core.convert("tp", tmp_path / "ours", "huggingface", tmp_path / "second")
    again, info = type(theirs).from_pretrained(back, attn_implementation="eager", output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    given, batch = example(frames, lengths, theirs.config.pad_token_id)
    with torch.no_grad():
        found, repeated = theirs(**given), again.eval()(**given)
        features, output = model.encode(batch), model(batch)
        target: Any = model.targets["lm"]
        logits = target.token_logits(features.sequence.states)
    assert features.memory is not None
    real, written = features.memory.real(), batch.target["attention_mask"].bool()  # type: ignore[index]
    gaps = {
        "encoder": worst(features.memory.states[real], found.encoder_last_hidden_state[real]),
        "logits": worst(logits[written], found.logits[written]),
        "loss": worst(output.loss, found.loss),
        "again": worst(repeated.logits[written], found.logits[written]),
    }
    for name, gap in gaps.items():
        record_property(name, gap)
    assert max(gaps.values()) < 1e-5, gaps


def test_a_padding_token_of_id_0_is_refused(tmp_path: Path) -> None:
    make("Speech2TextForConditionalGeneration", 16, 2, 1, {"pad_token_id": 0}).save_pretrained(tmp_path / "first")
    with pytest.raises(TPError, match="'pad_token_id' is 0"):
        to_tp(tmp_path / "first", tmp_path / "ours")


def test_the_bare_model_is_converted(tmp_path: Path) -> None:
    make("Speech2TextModel", 16, 2, 1, {}).save_pretrained(tmp_path / "first")
    assert not to_tp(tmp_path / "first", tmp_path / "ours").targets
    tp_core.convert("tp", tmp_path / "ours", "huggingface", tmp_path / "second")


def test_padding_changes_nothing_but_where_the_option_says_so(tmp_path: Path) -> None:
    make("Speech2TextForConditionalGeneration", 24, 4, 1, {}).save_pretrained(tmp_path / "first")
    model = to_tp(tmp_path / "first", tmp_path / "ours")
    _, batch = example([40, 13], [3, 3], 1)
    alone = Batch.of({"input_features": batch.inputs["input_features"][1:, :13]}, 1)
    speech: Any = model.embedding.parts["speech"]
    gaps = []
    for masked in (False, True):
        speech.mask_padding = masked
        with torch.no_grad():
            together = model.encode_source(batch).sequence
            gaps.append(worst(together.states[1:, :4], model.encode_source(alone).sequence.states))
        assert together.real().sum(dim=1).tolist() == [10, 4]
    assert gaps[0] > 1e-3
    assert gaps[1] < 1e-5


def test_a_model_that_masks_padding_is_told_why_it_is_no_speech2text(tmp_path: Path) -> None:
    make("Speech2TextForConditionalGeneration", 16, 2, 1, {}).save_pretrained(tmp_path / "first")
    tp_core.convert("huggingface", tmp_path / "first", "tp", tmp_path / "ours")
    file = tmp_path / "ours" / "spec.yaml"
    file.write_text(file.read_text().replace("mask_padding: false", "mask_padding: true"))
    with pytest.raises(TPError, match=r"mask_padding is true; .* has false"):
        tp_core.convert("tp", tmp_path / "ours", "huggingface", tmp_path / "second")


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("s2t-small", {}),
        ("s2t-medium", {"d_model": 512, "encoder_attention_heads": 8, "decoder_attention_heads": 8}),
        (
            "s2t-large",
            {
                "d_model": 1024,
                "encoder_attention_heads": 16,
                "decoder_attention_heads": 16,
                "encoder_ffn_dim": 4096,
                "decoder_ffn_dim": 4096,
            },
        ),
    ],
)
def test_a_preset_has_as_many_parameters_as_the_published_model(name: str, sizes: dict[str, Any]) -> None:
    theirs = on_meta(transformers.Speech2TextForConditionalGeneration, transformers.Speech2TextConfig(**sizes))
    theirs.tie_weights()
    ours = tp_core.model.meta_model(load_spec(name, ["model.vocab_size=10000"]))
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters())
