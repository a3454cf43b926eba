"""WavLM: gated relative positions, and recordings that are mixed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import tp_core
from tests.audio.waveforms import GROUP, converted, encoded, reference, tone
from tests.building import CONTENT, batch_of, build, mask_of, randomised, tokens, worst
from tp_audio.processors.pretraining_options import UnitsProcessorConfig
from tp_core import TPError, load_spec
from tp_core.data.cache.rows import ArrowRows, write_rows
from tp_core.data.sampling.order import EVALUATION, TRAIN, generator
from tp_core.interfaces import Record
from tp_core.options.context import DataContext
from tp_core.testing import check_module

POSITIONS = {"gated_relative": {"buckets": 8, "max_distance": 12}}
OPTIONS: dict[str, Any] = {"num_layers": 2, "num_heads": 2, "mixer": {"attention": {"positions": POSITIONS}}}


def test_heads_that_do_not_divide_the_states_have_no_gates() -> None:
    mixer = {"attention": {"num_heads": 3, "head_size": 4, "positions": "gated_relative"}}
    parts = {"embedding": "word", "encoder": {"transformer": {"mixer": mixer}}, "target": "mlm"}
    with pytest.raises(TPError, match="needs a number of heads that divides hidden_size 16, got 3"):
        load_spec({"model": {"hidden_size": 16, "vocab_size": 20, **parts}})


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_the_encoder_keeps_its_contracts(norm: str) -> None:
    check_module("transformer", "encoder", {**OPTIONS, "norm_position": norm})


def test_positions_are_weighted_by_the_gates_of_the_paper(tmp_path: Path) -> None:
    """One layer's attention, element by element, in double precision."""
    model = build(
        tmp_path,
        {
            "hidden_size": 8,
            "vocab_size": 41,
            "dropout": 0.0,
            "embedding": {"modules": [CONTENT], "norm": "none"},
            "encoder": {"transformer": {**OPTIONS, "num_layers": 1}},
            "target": ["tp_core.testing.options:ReadoutConfig"],
        },
    )
    encoder: Any = randomised(model, std=0.4).double().encoder
    mask = mask_of([6, 4], 6)
    attention, bias = encoder.layers[0].mixer, encoder.shared[0]
    states = model.embedding(batch_of(input_ids=tokens(2, 6)).inputs).states.double()
    found: list[Any] = []
    attention.register_forward_hook(lambda _, __, output: found.append(output[0]))
    with torch.no_grad():
        model.encode(batch_of(input_ids=tokens(2, 6), attention_mask=mask))
        queries, keys, values = (each.flatten(-2) for each in attention.qkv(states).unflatten(-1, (2, 3, 4)).unbind(-2))
        for row in range(2):
            for place in range(int(mask[row].sum())):
                mixed = []
                for head in range(2):
                    part = slice(4 * head, 4 * head + 4)
                    sums = attention.positions.projection(states[row, place, part]).view(2, 4).sum(dim=1)
                    update, reset = torch.sigmoid(sums)
                    gate = update * (reset * attention.positions.scale[0, head, 0, 0] - 1) + 2
                    scores = []
                    for other in range(int(mask[row].sum())):
                        bucket = int(bias.bucket(torch.tensor(other - place)))
                        product = queries[row, place, part] @ keys[row, other, part] / 2
                        scores.append(product + gate * bias.bias.weight[bucket, head])
                    weights = torch.stack(scores).softmax(dim=0)
                    mixed.append(weights @ values[row, : len(scores), part])
                assert worst(found[0][row, place], attention.output(torch.cat(mixed))) < 1e-9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"positions": "rotary"}, "mixer.attention.positions is rotary; expected a"),
        ({"mask": "causal"}, "mixer.attention.mask is causal; .* has fully_visible"),
    ],
)
def test_only_relative_positions_and_full_visibility_are_wavlms(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    converted(reference("WavLMModel", **GROUP), tmp_path)
    file = tmp_path / "ours" / "spec.yaml"
    tree = yaml.safe_load(file.read_text(encoding="utf-8"))
    tree["model"]["encoder"]["transformer"]["mixer"]["attention"] |= options
    file.write_text(yaml.safe_dump(tree), encoding="utf-8")
    with pytest.raises(TPError, match=message):
        tp_core.convert("tp", tmp_path / "ours", "huggingface", tmp_path / "back", model_type="wavlm")


def test_gated_positions_are_not_added_to_the_scores_of_the_layer_before(tmp_path: Path) -> None:
    attention = "{attention: {positions: gated_relative, residual: true}}"
    spec = f"extends: wavlm-base\nmodel: {{encoder: {{transformer: {{mixer: {attention}}}}}}}\n"
    (tmp_path / "spec.yaml").write_text(spec, encoding="utf-8")
    with pytest.raises(TPError, match="'gated_relative' would be added again in every layer"):
        load_spec(tmp_path / "spec.yaml")


def mixing(folder: Path, count: int = 3, **options: Any) -> tuple[Any, ArrowRows]:
    config = UnitsProcessorConfig(mask_time_length=2, normalize=False, **options)
    processor = config.build(DataContext(), None)
    values = [{"audio": encoded(tone(300 * (i + 1), 0.5)), "units": [i] * 25} for i in range(count)]
    write_rows(folder / "rows", processor.prepare((Record(v, "", 1) for v in values), lambda error: None))
    return processor, ArrowRows(folder / "rows")


@pytest.mark.parametrize("noise", [0.0, 1.0], ids=["utterances", "noise"])
def test_a_piece_is_added_to_at_most_half_of_a_recording_at_the_energy_asked_for(tmp_path: Path, noise: float) -> None:
    processor, rows = mixing(tmp_path, mixing_prob=1.0, mixing_noise_prob=noise, mixing_energy=5.0)
    shares = []
    for epoch in range(30):
        sample = processor.sample(rows, 0, generator(0, TRAIN, epoch, 0))
        added = sample["input_values"] - processor.rows.stored(rows, 0)
        (places,) = np.nonzero(np.abs(added) > 1e-7)
        piece = added[places[0] : places[-1] + 1]
        assert len(piece) <= len(added) // 2
        shares.append(len(piece) / len(added))
        if len(piece) > 400:
            own = np.square(processor.rows.stored(rows, 0)).mean()
            assert abs(10 * np.log10(np.square(piece).mean() / own)) <= 5.5
        assert set(sample["units"].tolist()) == {0}
    assert max(shares) > 0.4
    assert min(shares) < 0.1


def test_recordings_are_mixed_as_often_as_asked_for_and_never_in_evaluations(tmp_path: Path) -> None:
    processor, rows = mixing(tmp_path, mixing_prob=0.3)
    own = processor.rows.stored(rows, 1)
    changed = [
        not np.array_equal(processor.sample(rows, 1, generator(0, TRAIN, epoch, 1))["input_values"], own)
        for epoch in range(200)
    ]
    assert np.mean(changed) == pytest.approx(0.3, abs=0.1)
    for epoch in range(20):
        sample = processor.evaluation_sample(rows, 1, generator(0, EVALUATION, epoch, 1))
        np.testing.assert_array_equal(sample["input_values"], own)
