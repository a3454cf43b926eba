"""Initial weights: a function of the seed alone, with the distribution that the options say."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.building import CONTENT, READOUT, build
from tp_core import Model

DECODER = "tests.core.odd_modules:GoodDecoderConfig"


def bert(folder: Path, seed: int = 0, encoder: dict[str, Any] | None = None, **model: Any) -> Model:
    parts = {
        "hidden_size": 96,
        "vocab_size": 211,
        "embedding": [CONTENT, {"pos": {"max_length": 150, "init_std": 0.5}}],
        "encoder": {"transformer": {"num_layers": 3, "num_heads": 4, **(encoder or {})}},
        "target": "cls",
    }
    return build(folder, parts | model, seed)


def test_one_seed_gives_one_model_and_another_seed_another(tmp_path: Path) -> None:
    first, second, other = (bert(tmp_path, seed).weights() for seed in (3, 3, 4))
    assert first.keys() == second.keys()
    for name, values in first.items():
        assert torch.equal(values, second[name]), name
    assert not torch.equal(first["encoder.layers.0.mixer.qkv.weight"], other["encoder.layers.0.mixer.qkv.weight"])


def test_building_does_not_depend_on_or_move_the_callers_random_state(tmp_path: Path) -> None:
    torch.manual_seed(1)
    first = bert(tmp_path).weights()
    torch.manual_seed(2)
    before = torch.random.get_rng_state()
    second = bert(tmp_path).weights()
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(values, second[name]) for name, values in first.items())


@pytest.mark.parametrize("std", [0.02, 0.3])
def test_matrices_have_the_standard_deviation_of_the_options(tmp_path: Path, std: float) -> None:
    model = bert(tmp_path, encoder={"init_std": std, "feed_forward": "gated"}, target={"cls": {"init_std": std}})
    checked = 0
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            bound = 5 * std / math.sqrt(2 * module.weight.numel())  # the sample's own uncertainty, five times
            assert module.weight.std().item() == pytest.approx(std, abs=bound), name
            assert abs(module.weight.mean().item()) < 5 * std / math.sqrt(module.weight.numel()), name
            assert module.bias is not None
            assert not module.bias.any(), name
            checked += 1
        elif isinstance(module, nn.LayerNorm):
            assert bool((module.weight == 1).all()), name
            assert module.bias is not None
            assert not module.bias.any(), name
            checked += 1
    assert checked == 3 * (5 + 2) + 1 + 2  # layers, the norm of the embeddings, the classifier's two
    positions: Any = model.embedding.parts["pos"]
    assert positions.table.weight.std().item() == pytest.approx(0.5, abs=0.02)


def test_layers_start_with_different_weights(tmp_path: Path) -> None:
    weights = bert(tmp_path).weights()
    drawn = [weights[f"encoder.layers.{i}.feed_forward.input.weight"] for i in range(3)]
    assert not torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[1], drawn[2])


@pytest.mark.parametrize("share_layers", [False, True])
def test_scaled_residual_weights_are_smaller_by_the_root_of_twice_the_layers(
    tmp_path: Path, share_layers: bool
) -> None:
    plain = bert(tmp_path, encoder={"share_layers": share_layers}).weights()
    scaled = bert(tmp_path, encoder={"share_layers": share_layers, "scale_residual_init": True}).weights()
    changed = set()
    for name, values in plain.items():
        if name.startswith("encoder.") and name.endswith("output.weight"):
            torch.testing.assert_close(scaled[name], values / math.sqrt(2 * 3))
            changed.add(name)
        else:
            assert torch.equal(scaled[name], values), name
    assert len(changed) == (2 if share_layers else 6)


def shared(folder: Path, share: bool) -> Model:
    return build(
        folder,
        {
            "hidden_size": 16,
            "vocab_size": 41,
            "embedding": [CONTENT, "pos"],
            "encoder": {"transformer": {"num_layers": 1, "num_heads": 2}},
            "target_embedding": [CONTENT, "sinusoidal"],
            "decoder": DECODER,
            "target": [READOUT],
            "share_embeddings": share,
        },
    )


def test_shared_embeddings_are_one_weight_that_is_drawn_saved_and_trained_once(tmp_path: Path) -> None:
    apart, together = shared(tmp_path, False), shared(tmp_path, True)
    name = "parts.tp_core:testing:options::ContentConfig.table.weight"
    assert {f"embedding.{name}", f"target_embedding.{name}"} <= apart.weights().keys()
    assert f"target_embedding.{name}" not in together.weights()
    assert together.target_embedding is not None
    assert together.get_parameter(f"embedding.{name}") is together.get_parameter(f"target_embedding.{name}")
    assert torch.equal(together.weights()[f"embedding.{name}"], apart.weights()[f"embedding.{name}"])
    restored = shared(tmp_path, True)
    restored.load_weights({key: value + 1 for key, value in together.weights().items()})
    assert restored.get_parameter(f"embedding.{name}") is restored.get_parameter(f"target_embedding.{name}")


def test_weights_that_do_not_fit_are_named(tmp_path: Path) -> None:
    from tp_core import CheckpointError

    model = bert(tmp_path)
    weights = {k: v for k, v in model.weights().items() if k != "targets.cls.classifier.bias"}
    weights["targets.cls.classifier.weight"] = torch.zeros(3, 96)
    with pytest.raises(CheckpointError) as caught:
        model.load_weights(weights)
    assert "the weight 'targets.cls.classifier.weight' has shape (3, 96); this model's has (2, 96)" in str(caught.value)
    assert "the weight 'targets.cls.classifier.bias' is missing" in str(caught.value)
