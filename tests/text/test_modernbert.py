"""ModernBERT is a spec of the parts that others have, and computes what transformers computes."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.building import batch_of, build, mask_of, tokens, worst
from tests.text.checkpoints import Case, example, make, modernbert_sizes
from tests.text.parity import TOLERANCE, VOCABULARY, Record, check, real, vocabulary_logits
from tests.text.test_converters import compare, outputs, reloaded, to_huggingface, to_tp
from tp_core import build_model, load_spec
from tp_core.artifacts.export import export_model
from tp_core.errors import TPError
from tp_core.interop.comparison import differences
from tp_core.interop.config_json import architecture_for, completed
from tp_core.interop.description import describe
from tp_core.interop.folders import spec_of
from tp_core.interop.reading import read_model
from tp_core.options.slices import numbers
from tp_core.spec.schema import Spec
from tp_text.converters.layer_types import FULL, SLIDING, slices
from tp_text.converters.modernbert import ModernBertConverterConfig

transformers = pytest.importorskip("transformers")

ROTARY = {FULL: {"rope_type": "default", "rope_theta": 300.0}, SLIDING: {"rope_type": "default", "rope_theta": 20.0}}
BIASES = {"attention_bias": True, "mlp_bias": True, "norm_bias": True, "classifier_bias": True, "decoder_bias": False}
LENGTHS = [30, 3, 17]  # padding is longer than the windows


def case(**more: Any) -> Case:
    return Case("ModernBertForMaskedLM", "modernbert", modernbert_sizes, "mlm", more=more)


@pytest.mark.parametrize(
    ("layers", "more"),
    [
        (7, {}),
        (4, {"local_attention": 2, "rope_parameters": ROTARY}),
        (4, {"local_attention": 9, **BIASES}),
        (5, {"layer_types": [SLIDING, FULL, FULL, SLIDING, FULL], "rope_parameters": ROTARY}),
        (2, {"layer_types": [SLIDING, SLIDING], "hidden_activation": "silu", "classifier_activation": "relu"}),
        (2, {"layer_types": [FULL, FULL], "norm_eps": 1e-3, "tie_word_embeddings": False, "decoder_bias": False}),
    ],
)
@pytest.mark.parametrize("kernel", ["eager", "sdpa"])
def test_a_model_is_the_same_after_each_way(
    tmp_path: Path, record_property: Record, layers: int, more: dict[str, Any], kernel: str
) -> None:
    chosen = case(**more)
    theirs = make(chosen, layers=layers)
    theirs.set_attn_implementation(kernel)
    theirs.save_pretrained(tmp_path / "first")
    model = to_tp(tmp_path / "first", tmp_path / "ours")
    again = reloaded(chosen, to_huggingface(tmp_path / "ours", tmp_path / "second"))
    batch = example(chosen, theirs, LENGTHS)
    found = outputs(theirs, batch)
    compare(model, chosen, found, batch, record_property)
    assert worst(found.logits, outputs(again, batch).logits, batch.mask) < TOLERANCE
    before, after = theirs.state_dict(), again.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    sliding = ["sliding_window"] if SLIDING in theirs.config.layer_types else []
    for key in ("layer_types", "rope_parameters", *sliding):
        assert getattr(again.config, key) == getattr(theirs.config, key)


@torch.no_grad()
def test_half_of_local_attention_is_seen_to_each_side(tmp_path: Path) -> None:
    theirs = make(case(layer_types=[SLIDING], local_attention=8), layers=1)
    theirs.save_pretrained(tmp_path / "first")
    model = to_tp(tmp_path / "first", tmp_path / "ours")
    ids = tokens(1, 21, high=VOCABULARY)
    other = ids.clone()
    other[0, 10] = ids[0, 10] % (VOCABULARY - 1) + 1

    def changed(before: Tensor, after: Tensor) -> list[int]:
        return (before - after).abs().amax(-1)[0].nonzero().flatten().tolist()

    assert changed(theirs(ids).logits, theirs(other).logits) == list(range(6, 15))
    both = [vocabulary_logits(model, batch_of(input_ids=each)) for each in (ids, other)]
    assert changed(*both) == list(range(6, 15))


def test_a_model_of_a_spec_is_read_by_transformers(tmp_path: Path, record_property: Record) -> None:
    """Of the preset's shape, with the slices the other way round."""
    spec = spec_of(
        written({"num_layers": 6, "mixer": WHOLE, "layers": {":": {"mixer": LOCAL}, "::3": {"mixer": WHOLE}}})
    )
    model = build_model(spec).eval()
    export_model(spec, model.weights(), {}, tmp_path / "model")
    theirs = reloaded(case(), to_huggingface(tmp_path / "model", tmp_path / "back"))
    assert theirs.config.layer_types == [FULL, SLIDING, SLIDING] * 2
    assert theirs.config.local_attention == 6
    mask = mask_of(LENGTHS, max(LENGTHS))
    ids = tokens(*mask.shape, high=VOCABULARY)
    with torch.no_grad():
        expected = theirs(input_ids=ids, attention_mask=mask).logits
    found = vocabulary_logits(model, batch_of(input_ids=ids, attention_mask=mask))
    check(record_property, logits=(real(found, mask), real(expected, mask)))


# -- config.json -------------------------------------------------------------------------------------------------

#: The published config.json of the base model, with the keys of transformers 4.48.
PUBLISHED: dict[str, Any] = {
    "architectures": ["ModernBertForMaskedLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 50281,
    "classifier_activation": "gelu",
    "classifier_bias": False,
    "classifier_dropout": 0.0,
    "classifier_pooling": "mean",
    "cls_token_id": 50281,
    "decoder_bias": True,
    "deterministic_flash_attn": False,
    "embedding_dropout": 0.0,
    "eos_token_id": 50282,
    "global_attn_every_n_layers": 3,
    "global_rope_theta": 160000.0,
    "gradient_checkpointing": False,
    "hidden_activation": "gelu",
    "hidden_size": 768,
    "initializer_cutoff_factor": 2.0,
    "initializer_range": 0.02,
    "intermediate_size": 1152,
    "layer_norm_eps": 1e-05,
    "local_attention": 128,
    "local_rope_theta": 10000.0,
    "max_position_embeddings": 8192,
    "mlp_bias": False,
    "mlp_dropout": 0.0,
    "model_type": "modernbert",
    "norm_bias": False,
    "norm_eps": 1e-05,
    "num_attention_heads": 12,
    "num_hidden_layers": 22,
    "pad_token_id": 50283,
    "position_embedding_type": "absolute",
    "sep_token_id": 50282,
    "tie_word_embeddings": True,
    "torch_dtype": "float32",
    "transformers_version": "4.47.0.dev0",
    "vocab_size": 50368,
}


def parsed(config: dict[str, Any]) -> Spec:
    converter = ModernBertConverterConfig()
    chosen = architecture_for(converter, config, None)
    reading = read_model(converter, completed(converter, config) | {"architectures": [chosen]}, chosen)
    reading.account.check()
    return spec_of({"tp": 1, "model": reading.model})


def test_all_spellings_of_the_published_config_are_the_preset() -> None:
    preset = load_spec("modernbert-base")
    lately = transformers.ModernBertConfig(architectures=["ModernBertForMaskedLM"]).to_dict()
    assert {"layer_types", "rope_parameters"} <= lately.keys()
    for config in (PUBLISHED, lately, {"architectures": ["ModernBertForMaskedLM"]}, PUBLISHED | lately):
        assert differences(parsed(config), preset, "the preset") == {}
    back = describe(preset, None, "modernbert").config
    known = PUBLISHED.keys() & back.keys()
    assert len(known) > 20
    assert {key: back[key] for key in known} == {key: PUBLISHED[key] for key in known}
    assert back["rope_parameters"] == lately["rope_parameters"]
    assert back["layer_types"] == lately["layer_types"]


def test_older_keys_are_read_where_the_new_ones_are_not_there() -> None:
    thetas = {"global_attn_every_n_layers": 2, "global_rope_theta": 500.0, "local_rope_theta": 40.0}
    encoder: Any = parsed(PUBLISHED | thetas).model.streams[""].encoder.config
    attention = [encoder.layer(number).mixer.config for number in range(4)]
    assert [each.window for each in attention] == [None, 65, None, 65]
    assert [each.positions.config.theta for each in attention] == [500.0, 40.0, 500.0, 40.0]


@pytest.mark.parametrize(
    ("types", "keys"),
    [
        ("FSSFSSF", ["::3"]),
        ("SFSFSF", ["1::2"]),
        ("SSF", ["2"]),
        ("FSSS", ["0"]),
        ("SSFF", ["2:"]),
        ("FFSFSSF", ["0:2", "3", "6"]),
    ],
)
def test_layers_of_one_type_are_named_by_few_slices(types: str, keys: list[str]) -> None:
    full = [number for number, each in enumerate(types) if each == "F"]
    assert slices(types, "F") == keys
    assert sorted(n for key in keys for n in numbers(key, len(types))) == full


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"rope_parameters": {FULL: {"rope_type": "yarn", "factor": 2.0}}}, "positions of type 'yarn' are rescaled"),
        ({"rope_scaling": {"rope_type": "linear", "factor": 2.0}}, "'rope_scaling' is"),
        ({"rope_parameters": {"rope_type": "default", "rope_theta": 5.0}}, "'rope_parameters.rope_theta' is 5.0"),
        ({"rope_parameters": {FULL: {"rope_theta": 5.0}}, "global_rope_theta": 6.0}, "differ: 5 and 6"),
        ({"layer_types": [FULL, SLIDING]}, "'layer_types' has 2 layers, but 'num_hidden_layers' is 22"),
        ({"layer_types": ["chunked_attention"] * 22}, "'layer_types' has 'chunked_attention'; specs know full_"),
        ({"global_attn_every_n_layers": 0}, "'global_attn_every_n_layers' is 0"),
        ({"hidden_activation": "mish"}, "'hidden_activation' is 'mish'"),
        ({"some_key": 1}, "'some_key' is 1"),
        (
            {"architectures": ["ModernBertForSequenceClassification"]},
            "--architecture ModernBertModel takes the model without its head",
        ),
    ],
)
def test_a_config_that_a_spec_cannot_say_is_refused(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(TPError) as caught:
        parsed(PUBLISHED | changes)
    assert expected in str(caught.value)


# -- specs of other models ---------------------------------------------------------------------------------------

WHOLE: dict[str, Any] = {"attention": {"bias": False, "window": None, "positions": {"rotary": {"theta": 160000}}}}
LOCAL: dict[str, Any] = {"attention": {"window": 4, "positions": {"rotary": {"theta": 10000}}}}


def written(encoder: dict[str, Any], **model: Any) -> dict[str, Any]:
    """A small spec of the preset's kind."""
    gated = {"gated": {"bias": False}}
    usual = {"num_layers": 3, "num_heads": 4, "feed_forward_size": 40, "norm_position": "pre", "first_norm": False}
    usual |= {"feed_forward": gated, "mixer": copy.deepcopy(WHOLE), "layers": {"1:": {"mixer": LOCAL}}}
    parts: dict[str, Any] = {
        "hidden_size": 24,
        "vocab_size": VOCABULARY,
        "norm": {"layernorm": {"eps": 1e-5, "bias": False}},
        "embedding": "word",
        "encoder": {"transformer": usual | encoder},
        "target": [{"mlm": {"dense_bias": False}}],
    }
    return {"tp": 1, "model": parts | model}


@pytest.mark.parametrize(
    ("slices", "types"),
    [
        ({"1:": {"mixer": LOCAL}}, [FULL, SLIDING, SLIDING]),
        ({":": {"mixer": LOCAL}, "0": {"mixer": WHOLE}}, [FULL, SLIDING, SLIDING]),
        ({":": {"mixer": LOCAL}}, [SLIDING] * 3),
        ({":": {"mixer": LOCAL}, "0": {"dropout": 0.5}}, [SLIDING] * 3),
        (None, [FULL] * 3),
    ],
)
def test_a_spec_of_the_preset_s_kind_is_of_the_architecture(slices: Any, types: list[str]) -> None:
    assert describe(spec_of(written({"layers": slices})), None, "modernbert").config["layer_types"] == types


@pytest.mark.parametrize(
    ("encoder", "model", "expected"),
    [
        ({"first_norm": True}, {}, "encoder.transformer.first_norm is true; modernbert has false"),
        (
            {"feed_forward": "dense"},
            {},
            "model.encoder.transformer.feed_forward is dense; expected a dense layers with",
        ),
        ({"norm": "rmsnorm"}, {}, "model.encoder.transformer.norm is rmsnorm; expected a layer normalisation"),
        ({"layers": {"1": {"mixer": "fourier"}}}, {}, "mixer is fourier; expected a multi-head attention"),
        ({"layers": {"1": {"mixer": {"attention": {"positions": "none"}}}}}, {}, "positions is none; expected a rota"),
        (
            {"layers": {"1": {"mixer": LOCAL}, "2": {"mixer": {"attention": {"window": 6}}}}},
            {},
            "layers.2.mixer.attention.window is 6; modernbert has 4",
        ),
        (
            {
                "layers": {
                    "1:": {"mixer": LOCAL},
                    "2": {"mixer": {"attention": {"positions": {"rotary": {"theta": 5}}}}},
                }
            },
            {},
            "layers.2.mixer.attention.positions.rotary.theta is 5.0; modernbert has 10000.0",
        ),
        (
            {"layers": {"1": {"mixer": LOCAL, "num_heads": 2}}},
            {},
            "layers.1.mixer.attention.num_heads is 2; modernbert has 4",
        ),
        ({}, {"embedding": {"modules": ["word"], "norm": "none"}}, "embedding.norm is none; modernbert has layernorm"),
        ({}, {"embedding": ["word", "pos"]}, "model.embedding is [word, pos]; modernbert has [word]"),
    ],
)
def test_another_spec_is_refused(encoder: dict[str, Any], model: dict[str, Any], expected: str) -> None:
    with pytest.raises(TPError) as caught:
        describe(spec_of(written(encoder, **model)), None, "modernbert")
    assert expected in str(caught.value)


def test_the_first_mixer_reads_the_embeddings_as_they_are(tmp_path: Path) -> None:
    names = build(tmp_path, written({})["model"]).weights()
    befores = [name for name in names if name.endswith("mixer_residual.before.weight")]
    assert befores == [f"encoder.layers.{number}.mixer_residual.before.weight" for number in (1, 2)]
    assert not [name for name in names if name.endswith("bias") and name != "targets.mlm.output.bias"]
