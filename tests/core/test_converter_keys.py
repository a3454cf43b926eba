"""Every key of every config class of transformers that we convert is mapped, required, irrelevant or refused."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tp_core import discovery
from tp_core.errors import TPError
from tp_core.interop.config_json import completed, load_converter
from tp_core.interop.reading import Reading, read_model

transformers = pytest.importorskip("transformers")
transformers.logging.set_verbosity_error()

Config = dict[str, Any]


def converters() -> list[str]:
    return discovery.index().names("converter")


CASES = [(name, each) for name in converters() for each in load_converter(name).architectures]


def defaults(name: str) -> Config:
    """A whole config.json with all keys of the model's class, at transformers' defaults."""
    found: Config = json.loads(transformers.AutoConfig.for_model(name).to_json_string(use_diff=False))
    return found


def read(name: str, architecture: str, config: Config) -> Reading:
    converter = load_converter(name)
    return read_model(converter, completed(converter, config) | {"architectures": [architecture]}, architecture)


def made(reading: Reading) -> str:
    """All that a conversion makes, and says, as one text."""
    table = [[type(rule).__name__, *(str(part) for part in vars_of(rule))] for rule in reading.weights]
    return json.dumps([reading.model, reading.processor, table, reading.account.notes], sort_keys=True)


def vars_of(rule: Any) -> list[Any]:
    values = rule if isinstance(rule, tuple) else [getattr(rule, name) for name in type(rule).__dataclass_fields__]
    return [value for value in values if not callable(value)]


@pytest.mark.parametrize(("name", "architecture"), CASES, ids=[each for _, each in CASES])
def test_a_config_with_all_keys_at_transformers_defaults_is_accepted(name: str, architecture: str) -> None:
    reading = read(name, architecture, defaults(name))
    reading.account.check()
    assert not reading.account.notes


def paths(config: Config, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in config.items():
        if isinstance(value, dict) and key not in ("id2label", "label2id"):
            yield from paths(value, (*path, key))
        else:
            yield (*path, key)


#: Activations that all models know.
NAMES = {"gelu": "relu", "relu": "gelu", "quick_gelu": "gelu", "gelu_new": "relu", "silu": "relu"}


def others(value: Any) -> list[Any]:
    """Other values than this, of its kind."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, 2 * value + 3]
    if isinstance(value, float):
        return [value / 2 + 0.125]
    if isinstance(value, str):
        return [NAMES.get(value, f"{value}-x")]
    if isinstance(value, list):
        return [[*value, value[-1]]] if value else [[1]]
    if isinstance(value, dict):
        return [{**value, "7": "seven"}]
    return [3, "x", {"some": 1}, True, 0.3]


def changed(config: Config, path: tuple[str, ...], value: Any) -> Config:
    found: Config = json.loads(json.dumps(config))
    inside = found
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = value
    return found


def silent(name: str, architecture: str, path: tuple[str, ...], value: Any, usual: Config) -> bool:
    """Tell if a key's value makes no difference and nothing says so."""
    try:
        reading = read(name, architecture, changed(usual, path, value))
    except TPError:
        return False
    verdict = reading.account.verdicts.get(".".join(path))
    if reading.account.refused or (verdict is not None and verdict.kind == "irrelevant"):
        return False
    return made(reading) == made(read(name, architecture, usual))


@pytest.mark.parametrize(("name", "architecture"), CASES, ids=[each for _, each in CASES])
def test_no_key_changes_without_a_difference_or_a_word(name: str, architecture: str) -> None:
    usual = defaults(name)
    found = []
    for path in paths(usual):
        inside: Any = usual
        for key in path:
            inside = inside[key]
        found += [f"{'.'.join(path)}: {v}" for v in others(inside) if silent(name, architecture, path, v, usual)]
    assert not found


# -- keys of published models ------------------------------------------------------------------------------------

#: Keys that older versions of transformers wrote, and those of published checkpoints that nothing reads.
OLDER: Config = {
    "_name_or_path": "somewhere/model",
    "transformers_version": "4.1.0",
    "torch_dtype": "float16",
    "gradient_checkpointing": False,
    "use_cache": False,
    "output_past": True,
    "torchscript": False,
    "pruned_heads": {},
    "finetuning_task": "mnli",
    "task_specific_params": {"summarization": {"num_beams": 4}},
    "tokenizer_class": "SomeTokenizer",
    "chunk_size_feed_forward": 4,
    "output_hidden_states": True,
    "quantization_config": None,
    "tie_encoder_decoder": False,
    "add_cross_attention": False,
    "cross_attention_hidden_size": None,
    "sep_token_id": None,
    "some_new_key": None,
}
PUBLISHED: list[tuple[str, Config]] = [
    (
        "bert",
        {"position_embedding_type": "absolute", "directionality": "bidi", "pooler_type": "first", "vocab_size": 9},
    ),
    ("albert", {"down_scale_factor": 1, "gap_size": 0, "net_structure_type": 0, "num_memory_blocks": 0}),
    ("distilbert", {"tie_weights_": True, "sinusoidal_pos_embds": True, "qa_dropout": 0.2}),
    ("gpt2", {"n_ctx": 1024, "summary_first_dropout": 0.3, "reorder_and_upcast_attn": True}),
    ("gemma2", {"hidden_act": "gelu_pytorch_tanh", "cache_implementation": "hybrid", "sliding_window_size": 4096}),
    ("gemma3_text", {"rope_local_base_freq": 10000, "sliding_window_pattern": 6, "cache_implementation": "hybrid"}),
    ("llama", {"rope_scaling": None, "rope_theta": 10000.0, "pretraining_tp": 2, "max_sequence_length": 2048}),
    ("llama", {"is_llama_config": True, "rope_interleaved": False, "transformers.js_config": {"dtype": "q4"}}),
    ("mistral", {"rope_theta": 10000.0, "sliding_window": None}),
    ("fnet", {"actual_seq_length": 512, "use_fft": True, "use_latest": True}),
    ("vilt", {"tie_word_embeddings": False, "max_image_length": -1, "num_images": -1}),
    (
        "bloom",
        {"n_embed": 64, "num_attention_heads": 8, "offset_alibi": 100, "seq_length": 2048, "skip_bias_add": True},
    ),
    ("t5", {"n_positions": 512, "decoder_start_token_id": 0, "initializer_factor": 0.5}),
    ("bart", {"classif_dropout": 0.1, "add_bias_logits": False, "extra_pos_embeddings": 2, "num_hidden_layers": 12}),
    ("pegasus", {"normalize_before": True, "static_position_embeddings": True, "extra_pos_embeddings": 1}),
    ("beit", {"segmentation_indices": [3, 5, 7, 11], "auxiliary_channels": 3}),
    ("clip", {"text_config": {"dropout": 0.0, "top_k": 50, "eos_token_id": 2, "tie_word_embeddings": True}}),
    ("wav2vec2", {"mask_channel_prob": 0.0, "freeze_feat_extract_train": True, "hidden_dropout_prob": 0.1}),
    ("wavlm", {"replace_prob": 0.5, "no_mask_time_overlap": False, "num_ctc_classes": 80}),
]


@pytest.mark.parametrize("name", converters())
def test_keys_of_older_versions_and_of_published_models_are_accepted(name: str) -> None:
    more = [config for each, config in PUBLISHED if each == name]
    for config in more or [{}]:
        for architecture in load_converter(name).architectures:
            reading = read(name, architecture, {**OLDER, **config})
            reading.account.check()
            assert not reading.account.notes


ODD: list[tuple[str, Any]] = [
    ("quantization_config", {"bits": 4}),
    ("is_decoder", True),
    ("is_encoder_decoder", None),  # the other way round than the model is
    ("add_cross_attention", True),
    ("tie_encoder_decoder", True),
    ("pruned_heads", {"0": [1]}),
    ("per_layer_config", {"0": {"hidden_size": 3}}),
    ("use_sliding_window", True),
    ("use_sliding_window", False),
    ("max_window_layers", 3),
    ("layer_types", ["full_attention"]),
    ("partial_rotary_factor", 0.5),
    ("rope_scaling", {"type": "dynamic", "factor": 2.0}),
    ("rope_scaling", {"rope_type": "yarn", "factor": 2.0}),
    ("rope_scaling", {"rope_type": "default", "factor": 2.0}),
    ("rope_parameters", {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0}),
    ("rope_parameters", {"full_attention": {"rope_type": "default"}}),
    ("logits_soft_cap", 30.0),
    ("final_logit_softcapping", 30.0),
    ("attn_logit_softcapping", 30.0),
    ("qk_norm", True),
    ("logit_scale", 0.5),
    ("embedding_multiplier", 12.0),
    ("hidden_sizes", [3, 4]),
    ("adapters", {"adapters": {}}),
    ("some_new_key", False),
    ("some_new_key", 0),
    ("some_new_key", ""),
]


#: Keys of these that some converters' specs can say.
SAID = {
    *(("qwen3", key) for key in ("use_sliding_window", "max_window_layers", "layer_types")),
    *(("gemma2", key) for key in ("attn_logit_softcapping", "final_logit_softcapping")),
    *(("gemma3_text", key) for key in ("rope_parameters", "final_logit_softcapping")),
}


@pytest.mark.parametrize(("key", "value"), ODD, ids=lambda value: value if isinstance(value, str) else "")
@pytest.mark.parametrize("name", converters())
def test_keys_that_change_a_model_are_refused_in_one_message(name: str, key: str, value: Any) -> None:
    converter = load_converter(name)
    if key == "is_encoder_decoder":
        value = not converter.required.get(key, (False,))[0]
    if key == "is_decoder" and key in converter.irrelevant:
        return  # a decoder whatever it says
    if key == "rope_parameters" and "full_attention" in value and "global_attn_every_n_layers" in converter.defaults:
        return  # its layers have rotary positions by their types
    if (name, key) in SAID:
        return
    for architecture in converter.architectures:
        with pytest.raises(TPError) as caught:
            read(name, architecture, {key: value, "another_key": 1}).account.check()
        assert f"'{key}" in str(caught.value)
        assert "'another_key' is 1" in str(caught.value)


def targets_of(reading: Reading) -> Config:
    (target,) = reading.model["target"]
    found: Config = target
    return found


@pytest.mark.parametrize(
    ("value", "target"), [("multi_label_classification", "multi_label"), ("regression", "regression")]
)
def test_classifiers_of_several_labels_or_of_numbers_have_targets_of_their_own_or_are_refused(
    value: str, target: str
) -> None:
    refused, made = 0, 0
    for name, architecture in CASES:
        heads = load_converter(name).architectures[architecture]
        reading = read(name, architecture, {"problem_type": value})
        if "cls" in heads:
            made += 1
            reading.account.check()
            assert [*targets_of(reading)] == [target]
            (processor,) = reading.processor or {"": ""}
            assert processor in (target, f"image_{target}")
            continue
        assert bool(heads) == ("problem_type" in reading.account.refused)
        if heads:
            refused += 1
            assert "softmax" in reading.account.refused["problem_type"]
    assert refused > 20
    assert made == 8


@pytest.mark.parametrize("labels", [{"num_labels": 1}, {"id2label": {"0": "score"}}])
def test_one_label_is_a_regression_or_is_refused(labels: Config) -> None:
    for name, architecture in CASES:
        heads = {*load_converter(name).architectures[architecture]}
        if "cls" in heads:
            reading = read(name, architecture, labels)
            assert targets_of(reading)["regression"]["outputs"] == 1
            names = {"names": ["score"]} if "id2label" in labels else {}
            assert reading.processor is not None
            (options,) = reading.processor.values()
            assert {key: value for key, value in options.items() if key != "max_length"} == names
            with pytest.raises(TPError, match="'problem_type' is 'single_label_classification', but the number of"):
                read(name, architecture, labels | {"problem_type": "single_label_classification"})
        elif {"deit", "patch_cls"} & heads:
            with pytest.raises(TPError, match="regression"):
                read(name, architecture, labels).account.check()


def test_an_unknown_problem_is_named_with_those_that_are_known() -> None:
    with pytest.raises(TPError, match="'problem_type' is 'ranking'; expected single_label_classification, multi_"):
        read("bert", "BertForSequenceClassification", {"problem_type": "ranking"})


@pytest.mark.parametrize("name", converters())
def test_a_value_of_a_wrong_kind_is_a_message_and_no_traceback(name: str) -> None:
    usual = defaults(name)
    architecture = next(iter(load_converter(name).architectures))
    for path in [*paths(usual), ("text_config",), ("text_config_dict",), ("rope_scaling",), ("id2label",)]:
        for value in (None, "x", -1, [], [["a"]], {}, {"a": 1}, True):
            with contextlib.suppress(TPError):
                read(name, architecture, changed(usual, path, value)).account.check()
