"""Gemma 2 and the text model of Gemma 3: specs that compute what ``transformers`` computes, converted both ways."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from tests.building import batch_of, build, positions_of, tokens, worst
from tests.text import checkpoints
from tests.text.checkpoints import Case, example
from tests.text.parity import VOCABULARY, Record, check, layer_outputs, real, vocabulary_logits
from tests.text.test_converters import outputs, reloaded, to_huggingface, to_tp
from tests.text.test_generate_parity import LENGTHS, NEW, ours_write, prompts, written
from tp_core.errors import TPError
from tp_core.interop.comparison import differences
from tp_core.interop.config_json import completed, load_converter
from tp_core.interop.description import describe
from tp_core.interop.folders import spec_of
from tp_core.interop.reading import Reading, read_model
from tp_core.spec.load import load_spec
from tp_core.spec.schema import Spec

transformers = pytest.importorskip("transformers")

Config = dict[str, Any]


def sizes(hidden: int, heads: int, layers: int) -> Config:
    return {
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": heads // 2,
        "head_dim": 10,
        "intermediate_size": 40,
        "max_position_embeddings": 64,
        "query_pre_attn_scalar": 24,
        "sliding_window": 5,
    }


def gemma2(cls: str = "Gemma2ForCausalLM", **more: Any) -> Case:
    # Caps so low that they matter.
    caps = {"attn_logit_softcapping": 1.5, "final_logit_softcapping": 2.0}
    return Case(cls, "gemma2", sizes, "lm" if "LM" in cls else "states", left=True, more={**caps, **more})


def gemma3(cls: str = "Gemma3ForCausalLM", **more: Any) -> Case:
    return Case(cls, "gemma3_text", sizes, "lm" if "LM" in cls else "states", left=True, more=more)


def ropes(local: Config, whole: Config) -> Config:
    return {"sliding_attention": local, "full_attention": whole}


LINEAR = {"rope_type": "linear", "factor": 4.0, "rope_theta": 500.0}
CASES = [
    gemma2(),
    gemma2("Gemma2Model"),
    gemma2(attn_logit_softcapping=None, final_logit_softcapping=None, query_pre_attn_scalar=10),
    gemma2(tie_word_embeddings=False, attention_bias=True, hidden_activation="silu", rms_norm_eps=1e-4),
    gemma2(rope_parameters=LINEAR, num_key_value_heads=1),
    gemma3(),
    gemma3(sliding_window_pattern=2),
    gemma3("Gemma3TextModel", sliding_window_pattern=2),
    gemma3(sliding_window_pattern=1),
    gemma3(final_logit_softcapping=1.5, tie_word_embeddings=False, attention_bias=True, sliding_window_pattern=2),
    gemma3(
        sliding_window_pattern=2,
        rope_parameters=ropes({"rope_type": "default", "rope_theta": 50.0}, LINEAR),
        num_key_value_heads=1,
    ),
]
#: (real lengths of the samples, hidden size, heads, layers); the window is 5 tokens.
SHAPES = [([9, 4, 1], 24, 4, 2), ([1], 16, 2, 1), ([21, 21, 13, 20], 48, 6, 5)]


def make(case: Case, hidden: int = 24, heads: int = 4, layers: int = 2) -> Any:
    """A model with random weights; those of norms are about zero, as one is added to them."""
    model = checkpoints.make(case, hidden, heads, layers)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter -= 1
    return model


@pytest.mark.parametrize(("lengths", "hidden", "heads", "layers"), SHAPES, ids=["padded", "one token", "long"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_model_is_the_same_after_each_way(
    tmp_path: Path, record_property: Record, case: Case, lengths: list[int], hidden: int, heads: int, layers: int
) -> None:
    theirs = make(case, hidden, heads, layers)
    theirs.save_pretrained(tmp_path / "first")
    model = to_tp(tmp_path / "first", tmp_path / "ours")
    again = reloaded(case, to_huggingface(tmp_path / "ours", tmp_path / "second", model_type=case.model_type))
    for left in (False, True):
        batch = example(case, theirs, lengths, left)
        found, back = outputs(theirs, batch), outputs(again, batch)
        *states, features = layer_outputs(model, batch.ours)
        for one, other in zip(states, found.hidden_states[:-1]):  # which grow from layer to layer
            largest = other.abs().max().clamp(min=1)
            check(record_property, states=(real(one, batch.mask) / largest, real(other, batch.mask) / largest))
        check(record_property, features=(real(features, batch.mask), real(found.hidden_states[-1], batch.mask)))
        check(record_property, again=(back.hidden_states[-1], found.hidden_states[-1]))
        if case.kind == "lm":
            logits = vocabulary_logits(model, batch.ours)
            check(record_property, logits=(real(logits, batch.mask), real(found.logits, batch.mask)))
            check(record_property, again=(back.logits, found.logits))
            if len(lengths) > 1:
                check(record_property, loss=(model(batch.ours).loss, found.loss))


@pytest.mark.parametrize("case", [case for case in CASES if case.kind == "lm"], ids=str)
@torch.inference_mode()
def test_greedy_search_with_a_cache_writes_the_same(tmp_path: Path, record_property: Record, case: Case) -> None:
    theirs = make(case, layers=4)
    theirs.save_pretrained(tmp_path / "first")
    model = to_tp(tmp_path / "first", tmp_path / "ours")
    given: Any = prompts(left=True)
    limits: Config = {"max_new_tokens": NEW, "eos_token_id": VOCABULARY, "pad_token_id": 0, "do_sample": False}
    output = theirs.generate(**given, **limits, output_logits=True, return_dict_in_generate=True)
    expected = written(output.sequences, max(LENGTHS), VOCABULARY)
    for left in (True, False):
        assert ours_write(model, prompts(left), 0, VOCABULARY, {}) == expected
    whole = output.sequences[:, :-1]
    mask = torch.cat([given["attention_mask"], torch.ones(len(LENGTHS), NEW - 1, dtype=torch.long)], dim=1)
    batch = batch_of(input_ids=whole, attention_mask=mask, position_ids=positions_of(mask))
    logits = vocabulary_logits(model, batch)[:, max(LENGTHS) - 1 :]
    check(record_property, logits=(logits, torch.stack(output.logits, dim=1)))


# -- specs ---------------------------------------------------------------------------------------------------------

MODEL: Config = {
    "hidden_size": 24,
    "vocab_size": VOCABULARY,
    "dropout": 0.0,
    "embedding": {"modules": [{"word": {"scale": True}}], "norm": "none"},
    "encoder": {
        "transformer": {
            "num_layers": 4,
            "num_heads": 4,
            "feed_forward_size": 40,
            "mask": "causal",
            "norm": {"rmsnorm": {"offset": True}},
            "norm_position": "both",
            "mixer": {
                "attention": {
                    "num_key_value_heads": 2,
                    "bias": False,
                    "window": 5,
                    "positions": "rotary",
                    "soft_cap": 2.0,
                }
            },
            "feed_forward": {"gated": {"activation": "gelu_tanh", "bias": False}},
            "layers": {"1::2": {"mixer": {"attention": {"window": None}}}},
        }
    },
    "target": {"lm": {"soft_cap": 3.0}},
}


def spec(version: int, **changes: Any) -> Spec:
    """A small Gemma with other options of its transformer, by paths."""
    model = yaml.safe_load(yaml.safe_dump(MODEL))
    transformer = model["encoder"]["transformer"]
    if version == 3:
        attention = transformer["mixer"]["attention"]
        del attention["soft_cap"]
        attention["query_key_norm"] = {"rmsnorm": {"offset": True}}
        transformer["layers"]["1::2"]["mixer"]["attention"]["positions"] = {"rotary": {"theta": 1e6}}
    for path, value in changes.items():
        inside, *keys = transformer, *path.split("__")
        for key in keys[:-1]:
            inside = inside.setdefault(key, {})
        inside[keys[-1]] = value
    return spec_of({"tp": 1, "model": model})


def test_layers_written_in_another_way_are_the_same_model() -> None:
    slices = {"0": {"mixer": {"attention": {"window": 5}}}, "2:4": {"mixer": {"attention": {"window": 5}}}}
    other = spec(2, layers={**slices, "-1": {"mixer": {"attention": {"window": None}}}}, mixer__attention__window=None)
    found = describe(other, None, "gemma2")
    assert found.config["layer_types"] == ["sliding_attention", "full_attention"] * 2
    assert not differences(found.spec, spec(2), "other")


ATTENTION = "model.encoder.transformer.layers.{}.mixer.attention"
UNFIT: list[tuple[int, Config, str]] = [
    (2, {"mixer__attention__scale": 0.3}, ATTENTION.format(0) + ".scale is 0.3; gemma2 has 0.301511"),
    (2, {"mixer__attention__query_key_norm": "rmsnorm"}, "query_key_norm is rmsnorm; gemma2 has unset"),
    (2, {"layers": {"1": {"mixer": {"attention": {"window": 3}}}}}, ATTENTION.format(1) + ".window is 3; gemma2 has 5"),
    (2, {"layers": {"1": {"mixer": {"attention": {"positions": {"rotary": {"theta": 9.0}}}}}}}, "theta is 9"),
    (2, {"layers": {"1": {"feed_forward": "dense"}}}, "feed_forward is dense; gemma2 has gated"),
    (2, {"norm": "rmsnorm"}, "offset is false; gemma2 has true"),
    (2, {"norm_position": "pre"}, "norm_position is pre; gemma2 has both"),
    (2, {"mask": "causal_with_prefix", "mixer__attention__window": None, "layers": None}, "mask is causal_with_prefix"),
    (3, {"mixer__attention__soft_cap": 5.0}, "soft_cap is 5.0; gemma3_text has unset"),
    (3, {"mixer__attention__query_key_norm": "rmsnorm"}, "offset is false; gemma3_text has true"),
    (
        3,
        {"mixer__attention__positions": {"rotary_llama3": {}}},
        "positions is rotary_llama3; gemma3_text has rotary",
    ),
    (3, {"first_norm": False}, "first_norm is false; gemma3_text has true"),
]


@pytest.mark.parametrize(("version", "changes", "message"), UNFIT, ids=[str(changes) for _, changes, _ in UNFIT])
def test_a_spec_that_is_no_gemma_is_refused_with_the_reason(version: int, changes: Config, message: str) -> None:
    with pytest.raises(TPError) as caught:
        describe(spec(version, **changes), None, {2: "gemma2", 3: "gemma3_text"}[version])
    assert message in str(caught.value)


def test_the_scores_and_the_loss_are_of_capped_logits(tmp_path: Path) -> None:
    capped = build(tmp_path, {**MODEL, "init_std": 0.5})
    free = build(tmp_path, {**MODEL, "init_std": 0.5, "target": "lm"})
    labels = tokens(2, 9, high=VOCABULARY, seed=1)
    batch = batch_of({"lm": {"labels": labels}}, input_ids=tokens(2, 9, high=VOCABULARY))
    target: Any = capped.targets["lm"]
    with torch.no_grad():
        features, raw = capped.encode(batch), vocabulary_logits(free, batch)
        assert raw.abs().max() > 4
        expected = 3 * torch.tanh(raw / 3)
        assert worst(target.logits(features, batch)[0], expected.flatten(0, 1)) < 1e-6
        assert worst(target.next_logits(features), expected[:, -1]) < 1e-6
        loss = torch.nn.functional.cross_entropy(expected.flatten(0, 1), labels.flatten())
        assert worst(capped(batch).loss, loss) < 1e-5


# -- config.json ---------------------------------------------------------------------------------------------------

#: What the files of the published models say.
SHARED: Config = {
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 2,
    "cache_implementation": "hybrid",
    "eos_token_id": 1,
    "head_dim": 256,
    "hidden_activation": "gelu_pytorch_tanh",
    "initializer_range": 0.02,
    "pad_token_id": 0,
    "query_pre_attn_scalar": 256,
    "rms_norm_eps": 1e-06,
    "torch_dtype": "float32",
    "transformers_version": "4.42.4",
    "use_cache": True,
}
PUBLISHED_2: Config = {
    **SHARED,
    "architectures": ["Gemma2ForCausalLM"],
    "attn_logit_softcapping": 50.0,
    "final_logit_softcapping": 30.0,
    "hidden_act": "gelu_pytorch_tanh",
    "max_position_embeddings": 8192,
    "model_type": "gemma2",
    "rope_theta": 10000.0,
    "sliding_window": 4096,
    "vocab_size": 256000,
}
PUBLISHED: dict[str, Config] = {
    "gemma-2-2b": {
        **PUBLISHED_2,
        "hidden_size": 2304,
        "intermediate_size": 9216,
        "num_attention_heads": 8,
        "num_hidden_layers": 26,
        "num_key_value_heads": 4,
    },
    "gemma-2-9b": {
        **PUBLISHED_2,
        "hidden_size": 3584,
        "intermediate_size": 14336,
        "num_attention_heads": 16,
        "num_hidden_layers": 42,
        "num_key_value_heads": 8,
        "sliding_window_size": 4096,
    },
    "gemma-3-1b": {
        **SHARED,
        "architectures": ["Gemma3ForCausalLM"],
        "attn_logit_softcapping": None,
        "final_logit_softcapping": None,
        "hidden_size": 1152,
        "intermediate_size": 6912,
        "max_position_embeddings": 32768,
        "model_type": "gemma3_text",
        "num_attention_heads": 4,
        "num_hidden_layers": 26,
        "num_key_value_heads": 1,
        "rope_local_base_freq": 10000,
        "rope_scaling": None,
        "rope_theta": 1000000,
        "sliding_window": 512,
        "sliding_window_pattern": 6,
        "vocab_size": 262144,
    },
}


def read(config: Config, name: str = "", architecture: str = "") -> Reading:
    converter = load_converter(name or config["model_type"])
    architecture = architecture or config["architectures"][0]
    return read_model(converter, completed(converter, config) | {"architectures": [architecture]}, architecture)


@pytest.mark.parametrize("preset", PUBLISHED)
def test_the_file_of_a_published_model_is_the_preset_and_the_other_way_round(preset: str) -> None:
    reading = read(PUBLISHED[preset])
    reading.account.check()
    own = load_spec(preset)
    assert not differences(spec_of({"tp": 1, "model": reading.model}), own, preset)
    made = describe(own, None, PUBLISHED[preset]["model_type"]).config
    published = transformers.AutoConfig.for_model(**PUBLISHED[preset]).to_dict()
    theirs = transformers.AutoConfig.for_model(**made).to_dict()
    given = set(made) - {"architectures", "rope_theta", "rope_scaling", "rope_local_base_freq"}
    assert {key: theirs[key] for key in given} == {key: published[key] for key in given}


GLOBAL = {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6}
SPELLINGS: list[Config] = [
    {"rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "rope_theta": 1e6, "rope_local_base_freq": 1e4},
    {"rope_scaling": {"factor": 8.0, "rope_type": "linear", "type": "linear"}, "sliding_window_pattern": 6},
    {"rope_parameters": ropes({"rope_type": "default", "rope_theta": 1e4}, GLOBAL), "_sliding_window_pattern": 6},
    {"rope_parameters": {"full_attention": GLOBAL}, "sliding_window_pattern": 2, "use_bidirectional_attention": False},
    {
        "rope_parameters": ropes({"rope_type": "default", "rope_theta": 1e4}, {"rope_type": "linear", "factor": 8}),
        "rope_scaling": {"factor": 8, "rope_type": "linear"},
    },
]


@pytest.mark.parametrize("written", SPELLINGS, ids=str)
def test_all_spellings_of_positions_and_windows_mean_the_same(written: Config) -> None:
    types = [("full" if number % 6 == 5 else "sliding") + "_attention" for number in range(14)]
    base: Config = {"num_hidden_layers": 14}
    if written.get("sliding_window_pattern", 6) != 6:  # which the list makes idle
        base["layer_types"] = types
    reading = read({**base, **written}, "gemma3_text", "Gemma3TextModel")
    reading.account.check()
    transformer = reading.model["encoder"]["transformer"]
    rotary = {"positions": {"rotary": {"theta": 1e6, "factor": 8.0}}}
    assert transformer["layers"] == {"5::6": {"mixer": {"attention": {"window": None, **rotary}}}}
    assert transformer["mixer"]["attention"]["positions"] == {"rotary": {"theta": 1e4}}


REFUSED: list[tuple[str, Config, str]] = [
    ("gemma2", {"use_bidirectional_attention": True}, "'use_bidirectional_attention' is true"),
    ("gemma3_text", {"use_bidirectional_attention": True}, "'use_bidirectional_attention' is true"),
    ("gemma3_text", {"attn_logit_softcapping": 30.0}, "'attn_logit_softcapping' is 30.0"),
    (
        "gemma3_text",
        {"rope_scaling": {"rope_type": "yarn", "factor": 2.0}},
        "'rope_scaling.rope_type' is 'yarn'; specs know 'default', 'linear'",
    ),
    (
        "gemma3_text",
        {"rope_parameters": ropes({"rope_type": "dynamic"}, {})},
        "'rope_parameters.sliding_attention.rope_type' is 'dynamic'",
    ),
    ("gemma3_text", {"rope_parameters": {"rope_type": "default", "rope_theta": 5.0}}, "'rope_parameters.rope_theta'"),
    ("gemma2", {"rope_parameters": ropes({"rope_type": "default"}, {})}, "'rope_parameters.sliding_attention"),
    ("gemma3_text", {"rope_scaling": {"type": "linear", "factor": 2.0}}, "'rope_scaling.type' is 'linear'"),
    (
        "gemma3_text",
        {"rope_theta": 5.0, "rope_parameters": {"full_attention": {"rope_theta": 6.0}}},
        "'rope_theta' is 5.0 and 'rope_parameters.full_attention.rope_theta' is 6.0, but they must be equal",
    ),
    ("gemma2", {"rope_scaling": {"rope_type": "default", "factor": 2.0}}, "'rope_scaling.factor' is 2.0"),
    ("gemma2", {"rope_parameters": {"partial_rotary_factor": 0.5}}, "'rope_parameters.partial_rotary_factor' is 0.5"),
    ("gemma2", {"sliding_window": None}, "'sliding_window' is null, and 'layer_types' has layers of sliding_attention"),
    ("gemma2", {"layer_types": ["full_attention"]}, "'layer_types' has 1 layers, but 'num_hidden_layers' is 26"),
    (
        "gemma3_text",
        {"num_hidden_layers": 1, "layer_types": ["chunked_attention"]},
        "'layer_types' has 'chunked_attention'; specs know full_attention and sliding_attention",
    ),
    ("gemma3_text", {"hidden_activation": "mish"}, "'hidden_activation' is 'mish'"),
]


@pytest.mark.parametrize(("name", "config", "message"), REFUSED, ids=[str(config) for _, config, _ in REFUSED])
def test_what_specs_cannot_say_is_refused_with_one_message(name: str, config: Config, message: str) -> None:
    for architecture in load_converter(name).architectures:
        with pytest.raises(TPError) as caught:
            read(config, name, architecture).account.check()
        assert message in str(caught.value)
