"""wav2vec 2.0: the waveform embedding, the contrastive target against its reference, the processor."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.audio.waveforms import GROUP, LAYER, QUANTISER, converted, encoded, melodies, reference, tone, waves
from tests.building import batch_of, build, worst
from tp_audio.embeddings.waveform_options import frames_of, shortest
from tp_audio.processors.pretraining_options import Wav2Vec2ProcessorConfig
from tp_audio.processors.waveform import time_mask
from tp_audio.targets.quantizer import Quantizer, Temperature
from tp_core import TPError, load_spec
from tp_core.data.cache.rows import ArrowRows, write_rows
from tp_core.data.sampling.order import TRAIN, generator
from tp_core.errors import DataError
from tp_core.interfaces import IGNORE, Record
from tp_core.options.context import DataContext
from tp_core.testing import check_module

TOLERANCE = 1e-5
SMALL = {"channels": [8, 6], "kernels": [3, 1], "strides": [1, 1]}
MASK_VECTOR = ("embedding.parts.waveform.mask_vector",)


# -- embedding -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [{}, {"conv_norm": "layer", "conv_bias": True}, {"projection_norm": False}])
def test_the_waveform_embedding_keeps_its_contracts(more: dict[str, Any]) -> None:
    check_module("waveform", "embedding", {**SMALL, **more}, unused=MASK_VECTOR)


def test_padding_changes_nothing_where_convolutions_make_frames_fewer() -> None:
    options = {"channels": [6, 6], "kernels": [3, 2], "strides": [2, 1], "mask_vector": False}
    check_module("waveform", "embedding", options, length=40)


def test_the_convolutional_positions_keep_their_contracts() -> None:
    check_module("conv_pos", "embedding", {"kernel_size": 4, "groups": 2})


def test_the_number_of_frames_is_that_of_the_convolutions() -> None:
    kernels, strides = [10, 3, 3, 3, 3, 2, 2], [5, 2, 2, 2, 2, 2, 2]
    assert shortest(kernels, strides) == 400
    assert frames_of(16000, kernels, strides) == 49
    for frames in (1, 2, 17):
        fewest = shortest(kernels, strides, frames)
        assert frames_of(fewest, kernels, strides) == frames
        assert frames_of(fewest - 1, kernels, strides) == frames - 1


def test_gradients_of_the_convolutions_are_scaled_or_stopped(tmp_path: Path) -> None:
    found = []
    for scale in (1.0, 0.1, 0.0):
        model = build(tmp_path, {"hidden_size": 8, **parts({**SMALL, "gradient_scale": scale})})
        embedding: Any = model.embedding.parts["waveform"]
        values, _ = waves([60])
        model.embedding(batch_of(input_values=values).inputs).states.square().sum().backward()
        gradient = embedding.layers[0].weight.grad
        found.append(torch.zeros(()) if gradient is None else gradient.norm())
        assert embedding.projection.weight.grad.norm() > 0
    torch.testing.assert_close(found[1], found[0] * 0.1)
    assert found[2] == 0


def test_training_sets_spans_of_channels_to_zero(tmp_path: Path) -> None:
    options = {**SMALL, "mask_feature_prob": 0.25, "mask_feature_length": 4, "mask_feature_min_masks": 1}
    model = build(tmp_path, {"hidden_size": 32, **parts(options)}).train()
    embedding: Any = model.embedding.parts["waveform"]
    states = embedding({"input_values": waves([50] * 40)[0]}, None).states
    zero = (states == 0).all(dim=1)
    assert torch.equal(zero, (states == 0).any(dim=1))
    spans = (zero.int().diff(dim=1, prepend=torch.zeros(40, 1)) == 1).sum(dim=1)
    assert bool((spans >= 1).all())
    assert zero.sum(dim=1).min() >= 4
    assert zero.float().mean() == pytest.approx(0.22, abs=0.06)  # 0.25, less where spans overlap


def parts(waveform: dict[str, Any], target: Any = "tp_core.testing.options:ReadoutConfig") -> dict[str, Any]:
    return {
        "embedding": {"modules": [{"waveform": waveform}], "norm": "none", "dropout": 0.0},
        "encoder": {"transformer": {"num_layers": 1, "num_heads": 2, "dropout": 0.0}},
        "target": [target],
    }


def test_masks_without_a_mask_vector_are_refused(tmp_path: Path) -> None:
    model = build(tmp_path, {"hidden_size": 8, **parts({**SMALL, "mask_vector": False})})
    masked = torch.ones(1, 58, dtype=torch.bool)
    with pytest.raises(TPError, match="mask_vector: false"):
        model.encode(batch_of(input_values=waves([60])[0], mask_time_indices=masked))
    spec = "extends: wav2vec2-base\nmodel: {embedding: [waveform: {mask_vector: false}, conv_pos]}\n"
    (tmp_path / "masks.yaml").write_text(spec, encoding="utf-8")
    with pytest.raises(TPError, match="masks frames, but the waveform embedding has mask_vector: false"):
        load_spec(tmp_path / "masks.yaml")


# -- target --------------------------------------------------------------------------------------------------------


def drawn(frames: int, lengths: list[int], distractors: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Masks and negatives as transformers draws them, and as ours stand."""
    from transformers.models.wav2vec2.modeling_wav2vec2 import _compute_mask_indices, _sample_negative_indices

    np.random.seed(0)
    real = torch.arange(frames) < torch.tensor(lengths)[:, None]
    real_frames: Any = real.long()
    masked = _compute_mask_indices((len(lengths), frames), 0.5, 2, attention_mask=real_frames, min_masks=2)
    negatives = _sample_negative_indices((len(lengths), frames), distractors, masked)
    width = int(masked.sum(axis=1).max())
    positions = np.full((len(lengths), width), IGNORE)
    ours = np.zeros((len(lengths), width, distractors), dtype=np.int64)
    for row, line in enumerate(masked):
        places = np.flatnonzero(line)
        positions[row, : len(places)] = places
        ours[row, : len(places)] = np.searchsorted(places, negatives[row][places] - row * frames)
    return torch.from_numpy(masked), torch.from_numpy(negatives), torch.from_numpy(positions), torch.from_numpy(ours)


@pytest.mark.parametrize("config", [GROUP, LAYER], ids=["group norm", "layer norm"])
@pytest.mark.parametrize("lengths", [[800, 500, 640], [700]], ids=["padded", "one"])
def test_the_contrastive_loss_is_that_of_transformers(
    tmp_path: Path, config: dict[str, Any], lengths: list[int]
) -> None:
    theirs = reference("Wav2Vec2ForPreTraining", **QUANTISER, **config)
    model = converted(theirs, tmp_path)
    values, mask = waves(lengths)
    sizes = theirs._get_feat_extract_output_lengths(mask.sum(dim=1)).tolist()
    masked, negatives, positions, ours = drawn(max(sizes), sizes, 7)
    with torch.no_grad():
        expected = theirs(values, mask.clone(), masked, negatives)
        batch = batch_of(
            {"wav2vec2": {"positions": positions, "negatives": ours}},
            input_values=values,
            attention_mask=mask,
            mask_time_indices=masked,
        )
        features = model.encode(batch)
        target: Any = model.targets["wav2vec2"]
        quantised = target.project_codes(target.quantizer(features.sequence.published["latents"]).vectors)
        real = features.sequence.real()
        assert worst(target.project_states(features.sequence.states), expected.projected_states, real) < TOLERANCE
        assert worst(quantised, expected.projected_quantized_states, real) < TOLERANCE
        output = target(features, batch)
    count = masked.sum()
    assert output.denominator == count
    found = {name: value / number for name, (value, number) in output.metrics.items()}
    assert worst(found["contrastive"], expected.contrastive_loss / count) < TOLERANCE
    assert worst(found["diversity"], expected.diversity_loss / count) < TOLERANCE
    assert worst(found["perplexity"], expected.codevector_perplexity) < TOLERANCE
    assert worst(output.loss_sum / count, expected.loss / count) < TOLERANCE


def test_the_target_keeps_its_contracts() -> None:
    same = {"channels": [6], "kernels": [1], "strides": [1]}
    options = {"latent_size": 6, "codebook_size": 5, "code_size": 4, "projection_size": 6}
    surroundings = {"embedding": [{"waveform": same}]}
    # The diversity loss looks at a batch as a whole.
    check_module("wav2vec2", "target", options, model=surroundings, independent=False, unused=MASK_VECTOR)


def test_latents_of_another_width_are_found_before_training(tmp_path: Path) -> None:
    spec = "extends: wav2vec2-base\nmodel: {target: {wav2vec2: {latent_size: 256}}}\n"
    (tmp_path / "spec.yaml").write_text(spec, encoding="utf-8")
    message = r"published value 'latents' of shape \(batch, length, 256\); .*waveform gives \(batch, length, 512\)"
    with pytest.raises(TPError, match=message):
        load_spec(tmp_path / "spec.yaml")


def quantizer(entries: int = 5, temperature: float = 2.0) -> Quantizer:
    made = Quantizer(6, 2, entries, 4, temperature)
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(0)
        for module in made.modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()  # type: ignore[operator]
    return made


def test_training_chooses_entries_as_often_as_the_gumbel_distribution_says() -> None:
    made = quantizer().train()
    latents = torch.randn(6, generator=torch.Generator().manual_seed(1)) * 0.3
    with torch.random.fork_rng():
        torch.manual_seed(2)
        found = made(latents.expand(40_000, 6))
    chosen = torch.stack([found.codes % 5, found.codes // 5], dim=1)
    share = torch.stack([torch.bincount(chosen[:, g], minlength=5) / 40_000 for g in range(2)])
    expected = made.scores(latents).view(2, 5).softmax(dim=-1)
    assert worst(share, expected) < 0.01
    assert worst(found.usage[0], expected) < 1e-6
    vectors = made.vectors.view(2, 5, 2)
    joined = torch.cat([vectors[0, chosen[:, 0]], vectors[1, chosen[:, 1]]], dim=1)
    assert worst(found.vectors, joined) < 1e-5


def test_the_gradient_of_a_hard_choice_is_that_of_the_softmax() -> None:
    made = quantizer().train()
    latents = torch.randn(3, 6, generator=torch.Generator().manual_seed(1), requires_grad=True)
    made(latents).vectors.sum().backward()
    assert latents.grad is not None
    assert latents.grad.abs().sum() > 0


def test_perplexity_counts_entries_in_use() -> None:
    made = quantizer(8)
    counted = torch.tensor([True] * 4 + [False] * 3)
    even = torch.nn.functional.one_hot(torch.tensor([0, 1, 2, 3, 0, 0, 0]), 8).float()
    usage = torch.stack([even, torch.nn.functional.one_hot(torch.zeros(7, dtype=torch.long), 8).float()], dim=1)
    assert made.perplexity(usage, counted).item() == pytest.approx(4 + 1)


def test_a_distractor_with_the_code_of_the_frame_is_none(tmp_path: Path) -> None:
    same = {"channels": [6], "kernels": [1], "strides": [1]}
    options = {"latent_size": 6, "codebook_size": 5, "code_size": 4, "projection_size": 6, "diversity_weight": 0.0}
    model = build(tmp_path, {"hidden_size": 8, **parts(same, {"wav2vec2": options})})
    labels = {"positions": torch.tensor([[0, 1, 2]]), "negatives": torch.tensor([[[1], [0], [0]]])}
    batch = batch_of({"wav2vec2": labels}, input_values=torch.tensor([[0.5, 0.5, 0.5]]))
    output = model(batch).outputs["wav2vec2"]
    assert output.loss_sum == 0
    assert output.metrics["accuracy"][0] == 0


# -- processor -----------------------------------------------------------------------------------------------------


def records(count: int = 6) -> list[dict[str, Any]]:
    return [{"audio": encoded(tone(200 + 40 * i, 0.5 + i / 20))} for i in range(count)]


def test_the_processor_keeps_its_contracts() -> None:
    options = {"num_negatives": 5, "crop_seconds": 0.6, "mask_time_length": 3}
    check_module("wav2vec2", "processor", options, records=records())


def made_rows(folder: Path, processor: Any, values: list[dict[str, Any]]) -> ArrowRows:
    def refuse(error: DataError) -> None:
        raise error

    source = (Record(value, "some.jsonl", line) for line, value in enumerate(values, 1))
    write_rows(folder / "rows", processor.prepare(source, refuse))
    return ArrowRows(folder / "rows")


def test_distractors_are_other_masked_frames_of_the_same_recording(tmp_path: Path) -> None:
    processor = Wav2Vec2ProcessorConfig(num_negatives=50, mask_time_length=3).build(DataContext(), None)
    rows = made_rows(tmp_path, processor, records())
    samples = [processor.sample(rows, i, generator(0, TRAIN, 0, i)) for i in range(len(rows))]
    batch = processor.collate(samples)
    labels, masked = batch.labels["wav2vec2"], batch.inputs["mask_time_indices"]
    for row, sample in enumerate(samples):
        places = labels["positions"][row]
        places = places[places != IGNORE]
        assert torch.equal(places, masked[row].nonzero().flatten())
        chosen = labels["negatives"][row, : len(places)]
        assert bool((chosen != torch.arange(len(places))[:, None]).all())
        assert set(chosen.flatten().tolist()) == set(range(len(places)))
        values = sample["input_values"]
        assert values.mean() == pytest.approx(0, abs=1e-4)
        assert values.std() == pytest.approx(1, abs=1e-3)
    real = batch.inputs["attention_mask"].sum(dim=1)
    assert real.tolist() == [len(sample["input_values"]) for sample in samples]


def test_the_share_of_masked_frames_is_that_of_the_reference() -> None:
    from transformers.models.wav2vec2.modeling_wav2vec2 import _compute_mask_indices

    draw = np.random.default_rng(0)
    np.random.seed(0)
    for frames, probability, length in ((300, 0.65, 10), (49, 0.5, 3), (10, 0.65, 10)):
        ours = np.mean([time_mask(frames, probability, length, 1, draw).mean() for _ in range(400)])
        theirs = np.mean([_compute_mask_indices((1, frames), probability, length, min_masks=1) for _ in range(400)])
        assert ours == pytest.approx(theirs, abs=0.02)
    assert not time_mask(9, 0.65, 10, 2, draw).any()


def test_long_recordings_are_cut_anew_at_each_visit(tmp_path: Path) -> None:
    processor = Wav2Vec2ProcessorConfig(crop_seconds=0.4, num_negatives=3).build(DataContext(), None)
    rows = made_rows(tmp_path, processor, [{"audio": encoded(samples)} for samples, _ in melodies(2)])
    visits = [processor.sample(rows, 0, generator(0, TRAIN, epoch, 0))["input_values"] for epoch in range(6)]
    assert {len(each) for each in visits} == {6400}
    assert len({each.tobytes() for each in visits}) > 3


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        (encoded(np.zeros(900)), "900 samples, but one span of mask_time_length 10 needs 3280"),
        (b"RIFF", "cannot be decoded"),
        (encoded(np.zeros((20000, 1)))[:2000], "truncated"),
    ],
)
def test_recordings_that_cannot_be_used_are_reported(audio: bytes, message: str) -> None:
    processor = Wav2Vec2ProcessorConfig().build(DataContext(), None)
    found: list[DataError] = []
    rows = list(processor.prepare(iter([Record({"audio": audio}, "list.tsv", 7)]), found.append))
    assert not any(chunk["audio"] for chunk in rows)
    (error,) = found
    assert str(error).startswith("list.tsv:7: ")
    assert message in str(error)


# -- temperature ---------------------------------------------------------------------------------------------------


def test_the_gumbel_temperature_is_a_function_of_the_step() -> None:
    from tp_audio.hooks.gumbel_decay_options import GumbelDecayConfig

    class Run:
        model, step = quantizer(), 30

    hook: Any = GumbelDecayConfig(decay=0.9, end=0.5).build()
    (temperature,) = [m for m in Run.model.modules() if isinstance(m, Temperature)]
    hook.tp_train_start(Run)
    assert temperature.value.item() == pytest.approx(0.5)
    for step in (1, 5):
        hook.tp_step_end(Run, step)
        assert temperature.value.item() == pytest.approx(2 * math.pow(0.9, step))
