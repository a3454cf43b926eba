"""The conformance kit: passes for modules that keep the contracts, and names what is wrong with others."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.building import attention
from tests.core import odd_compositions, odd_config, odd_modules
from tp_core.testing import check_module

SMALL = {"num_layers": 2, "num_heads": 4}
RECORDS = [{"ids": [i, i + 1, i + 2]} for i in range(6)]


@pytest.mark.parametrize("name", ["pos", "sinusoidal"])
def test_first_party_embeddings_conform(name: str) -> None:
    check_module(name)


@pytest.mark.parametrize(
    ("mask", "positions"),
    itertools.product(["fully_visible", "causal"], ["none", "rotary", "relative", "alibi"]),
)
def test_the_transformer_conforms(mask: str, positions: str) -> None:
    check_module("transformer", "encoder", {**SMALL, "mask": mask, **attention(positions=positions, head_size=4)})


@pytest.mark.parametrize(
    "options",
    [
        {"norm_position": "pre", "norm": "rmsnorm", "feed_forward": {"gated": {"activation": "silu"}}},
        {"norm_position": "both", "norm": {"rmsnorm": {"offset": True}}, "first_norm": False},
        {"norm_position": "pre", "parallel": True, **attention(query_key_norm="rmsnorm", soft_cap=2.0, window=3)},
        {"mask": "causal", **attention(residual=True)},
        {"share_layers": True, "hidden_size": 16, "drop_path": 0.2},
        {
            "feed_forward": {"dense": {"bias": False}},
            "norm": {"layernorm": {"bias": False}},
            **attention(num_key_value_heads=2, bias=False),
        },
    ],
)
def test_variants_of_the_transformer_conform(options: dict[str, Any]) -> None:
    check_module("transformer", "encoder", options={**SMALL, **options})


def test_the_classification_target_conforms() -> None:
    check_module("cls", "target", {"pooling": "mean", "label_smoothing": 0.1})


@pytest.mark.parametrize(
    "config",
    [
        odd_modules.GoodEncoderConfig,
        odd_modules.GoodDecoderConfig,
        odd_modules.HalvesLengthConfig,
        odd_modules.WholeImageConfig,
        odd_modules.WholeTextsOnlyConfig,
        odd_modules.OwnPoolingConfig,
        odd_modules.CorrelatedConfig,
        odd_modules.GoodEncoderConfig(hidden_size=24),
        "tests.core.odd_modules:GoodEncoderConfig",
    ],
)
def test_other_modules_that_keep_the_contracts_conform(config: Any) -> None:
    check_module(config)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("MixesBatch", "batch-mates change a sample's features"),
        ("IgnoresMask", "padding changes a sample's features; something ignores the mask"),
        ("UnusedWeight", "spare.weight gets no gradient (and 1 more weights); remove it"),
        ("DetachedWeight", "weight gets no gradient"),
        ("NoReset", "encoder (NoReset) has weights and no reset_parameters()"),
        (
            "HalfReset",
            "encoder.shift has no value after initialisation; HalfReset.reset_parameters() must set it",
        ),
        ("OwnRandomness", "encoder.shift differs between two models of the same seed"),
        ("NotOnMeta", "encoder.table is made on cpu although the model is built on the meta device"),
        ("HiddenState", "features change when the weights are saved and loaded"),
        ("LostTable", "encoder.table has no value after loading weights"),
        ("WrongWidth", "the states are 23 wide; the config's hidden_size is 24"),
        ("Fails", "the forward pass raises RuntimeError: nothing works"),
        ("SeesTheFuture", "provides causal states, but a state depends on later positions"),
        ("ForgetsEarlier", "read in pieces with a cache, a sample's states differ by"),
        ("Undescribed", "has no docstring"),
        ("Grows", "the resolved spec loads to another one"),
        ("Refuses", "hidden_size: is never right"),
        ("KeepsMask", "a module that changes the length must change the mask with it"),
        ("DropsMask", "6 real positions for a sample in a batch and 3 for it alone"),
        ("IgnoresLengths", "has other real positions when the batch has lengths in place of attention_mask; an"),
        ("ForgetsPadding", "has padded_behind, but its mask has a real position after padding"),
        ("IgnoresMemoryMask", "padding changes a sample's features"),
        ("MeanLoss", "loss_sum of 'tests.core.odd_modules:MeanLossConfig' must be a sum, not a mean"),
        ("MeanMetric", "the metric 'size' of single samples has sums that add up to"),
        ("UndeclaredMetric", "forward() gives the metric 'surprise', which measures() of the config does not declare"),
        ("UngivenMetric", "measures() of the config declares the metric 'surprise', which forward() does not give"),
        ("TrainingMetric", "forward() in training gives the metric 'surprise', which measures()"),
        ("NoSumAndCount", "/spread' is no sum and count, two scalars; measures() of its config must"),
        ("UnevenColumns", "the columns of the metric 'spearman' have [3, 4] rows"),
        ("RanksBatches", "its rows must come from the samples, without padding"),
        ("WrongDenominator", "denominator() says 3 and forward() 4"),
        ("ReadsMore", "leaves out positions on which its loss depends"),
        ("ProjectsWrong", "a vector has the shape (3, 3); embeds() says (3, 4)"),
        (
            "NoProjection",
            "making a vector as embeds() declares raises TypeError: NoProjection projects no vectors",
        ),
        ("UnknownStream", "embeds() names the stream 'text'; the model has ['']"),
        ("PredictsTensors", "predictions must be plain JSON values"),
        ("Contrastive", "the losses of single samples add up to"),
    ],
)
def test_a_broken_contract_is_named(name: str, message: str) -> None:
    config = getattr(odd_modules, f"{name}Config")
    with pytest.raises(AssertionError) as caught:
        check_module(config)
    assert str(caught.value).startswith(f"{config.kind} 'tests.core.odd_modules:{name}Config': ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "name", "options"),
    [
        ("mixer", "attention", {"num_heads": 4, "window": 3, "query_key_norm": "rmsnorm"}),
        ("mixer", "attention", {"mask": "causal_with_prefix", "residual": True}),
        ("mixer", "fourier", {}),
        ("mixer", "tests.core.odd_compositions:MeanSoFarConfig", {}),
        *(("positions", name, {}) for name in ("none", "rotary", "rotary_llama3", "alibi")),
        ("positions", "relative", {"buckets": 8, "max_distance": 9}),
        ("feed_forward", "dense", {"bias": False}),
        ("feed_forward", "gated", {"activation": "silu", "activation_dropout": 0.1}),
        ("norm", "layernorm", {"bias": False}),
        ("norm", "rmsnorm", {"offset": True}),
        ("norm", "none", {}),
    ],
)
def test_parts_of_layers_conform(kind: str, name: str, options: dict[str, Any]) -> None:
    check_module(name, kind, options)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("IgnoresMask", "padding changes a sample's features; something ignores the mask"),
        ("SeesTheFuture", "provides causal states, but a state depends on later positions"),
        ("ForgetsEarlier", "read in pieces with a cache, a sample's states differ by"),
        ("Shortens", "the states have the shape (2, 11, 24); expected the shape of the input, (2, 12, 24)"),
        ("OtherPositions", "forward_at() of a mixer must give the states that forward() gives"),
        ("OtherPacked", "forward_packed() of a mixer must give the states of forward()"),
        ("ReadsPositionBefore", "feed-forward layers and norms must map each position separately"),
        ("SpareWeight", "encoder.layers.0.feed_forward.spare.weight gets no gradient"),
        ("SinglePrecision", "the states are torch.float32; expected the type of the input, torch.float64"),
        ("NoContext", "odd_composed:NoContext is built with (options, BuildContext) but takes"),
        ("WrongBias", "bias() gives the shape (2, 1, 1, 13); the scores are (batch, heads, queries, keys)"),
        ("NoTable", "its implementation 'tests.core.odd_composed:NoTable' cannot be imported: AttributeError"),
    ],
)
def test_a_broken_contract_of_a_part_of_a_layer_is_named(name: str, message: str) -> None:
    config = getattr(odd_compositions, f"{name}Config")
    with pytest.raises(AssertionError) as caught:
        check_module(config)
    assert str(caught.value).startswith(f"{config.kind} 'tests.core.odd_compositions:{name}Config': ")
    assert message in str(caught.value)


def test_a_loss_that_compares_samples_passes_when_it_is_declared_so() -> None:
    check_module(odd_modules.ContrastiveConfig, independent=False)


def test_weights_listed_as_unused_need_no_gradient() -> None:
    check_module(odd_modules.UnusedWeightConfig, unused=["encoder.spare"])


def test_a_config_module_that_imports_torch_is_named() -> None:
    with pytest.raises(AssertionError, match=r"importing tests\.core\.odd_config.* imports torch; import it inside"):
        check_module(odd_config.ImportsTorchConfig)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(AssertionError, match="did you mean 'transformer'"):
        check_module("transformr", "encoder")


def test_wrong_options_give_the_specs_own_message() -> None:
    with pytest.raises(AssertionError, match=r"5 does not divide hidden_size 24; did you mean 4\?"):
        check_module("transformer", "encoder", options={"num_heads": 5})


def test_a_processor_that_keeps_the_contracts_conforms() -> None:
    check_module(odd_modules.GoodProcessorConfig, records=RECORDS)
    check_module(odd_modules.ScoresConfig, records=RECORDS, prediction={"ids": [0, 1]})
    check_module(odd_modules.SeveralSequencesConfig, records=[*RECORDS, {"ids": [3, 4]}])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ScoresMore", "score() gives the metric 'surprise', which measures() of the config does not declare"),
        ("ScoresNothing", "measures() of the config declares the metric 'overlap', which score() does not give"),
        ("ScoresLoss", "the metric name 'loss' is reserved"),
    ],
)
def test_metrics_of_a_processor_are_those_that_it_declares(name: str, message: str) -> None:
    with pytest.raises(AssertionError) as caught:
        check_module(getattr(odd_modules, f"{name}Config"), records=RECORDS, prediction={"ids": [0, 1]})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("GlobalRandomness", "sample() draws from numpy's global generator"),
        ("Remembers", "'input_ids' of sample 0 differs when it is drawn again"),
        ("TooLong", "'input_ids' has 6 positions; sequence_length() is 3"),
        ("ExtraField", "the batch has the batch field 'token_type_ids', which the config does not provide"),
        ("RandomRows", "prepare() gives other rows the second time"),
        ("TextsInRows", "prepare() fails: prepared rows: column 'text', row 0 of chunk 0 (from 0) is the text"),
        ("Scores", "it computes metrics (score()); give check_module a prediction="),
        ("HidesSequences", "the batch has sequences, but the config does not declare several_sequences"),
        ("NoSequences", "the config declares several_sequences, but the batch has no sequences"),
        ("SharesSequences", "expected each number from 0 once, and -1"),
        ("GapInSequences", "has -1 before one of its sequences"),
        ("HidesPadding", "the source has 3 real positions for a sample in a batch and 1 for it alone; a batch with"),
    ],
)
def test_a_broken_contract_of_a_processor_is_named(name: str, message: str) -> None:
    with pytest.raises(AssertionError) as caught:
        check_module(getattr(odd_modules, f"{name}Config"), records=RECORDS)
    assert message in str(caught.value)
