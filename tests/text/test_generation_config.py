"""generation_config.json and ``inference.generate``: read, kept, written, refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import tp_core
from tests.building import randomised
from tests.text.vocabularies import BERT, lines
from tp_core import TPError, build_model, generate, load_model, load_spec
from tp_core.artifacts.export import export_model
from tp_core.data.build import tokenizers_of
from tp_core.interfaces import PromptRoom, Record

transformers = pytest.importorskip("transformers")

WORDS = [f"w{i}" for i in range(30)]
PROMPTS = ["w1 w2 w3", "w4", "w5 w6 w7 w8 w9 w10 w11", "w12 w13"]
SIZES = {
    "hidden_size": 24,
    "vocab_size": None,
    "num_layers": 2,
    "num_heads": 4,
    "feed_forward_size": 32,
    "dropout": 0.0,
}

#: A preset, the class in transformers, the processor, how texts are written.
MODELS: dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]] = {
    "t5": ("t5-small", "T5ForConditionalGeneration", {"mt": {"max_length": 32, "start": "pad"}}, {}),
    "t5 beams": (
        "t5-small",
        "T5ForConditionalGeneration",
        {"mt": {"max_length": 32, "start": "pad"}},
        {"beams": 3, "max_length": 14, "length_penalty": 2.0, "no_repeat_ngram_size": 2, "early_stopping": True},
    ),
    "bart": ("bart-base", "BartForConditionalGeneration", {"bart": {"max_length": 32}}, {"max_new_tokens": 9}),
    "bart beams": (
        "bart-base",
        "BartForConditionalGeneration",
        {"bart": {"max_length": 32}},
        {"beams": 4, "length_penalty": 3.0, "max_new_tokens": 12, "min_new_tokens": 5, "forced_eos_token_id": 5},
    ),
    "translation": (
        "bart-base",
        "BartForConditionalGeneration",
        {"mt": {"max_length": 32}},
        {"repetition_penalty": 1.5, "eos_token_id": [9, 10]},
    ),
    "gpt2": (
        "gpt2",
        "GPT2LMHeadModel",
        {"lm": {"max_length": 16}},
        {"max_new_tokens": 9, "suppress_tokens": [8, 20], "repetition_penalty": 1.5},
    ),
    "llama": ("llama-7b", "LlamaForCausalLM", {"lm": {"max_length": 16}}, {"beams": 2, "bad_words_ids": [[7, 8], [9]]}),
}


def exported(folder: Path, name: str) -> Path:
    """A model with random weights, as it would be after training."""
    preset, _, processor, options = MODELS[name]
    # T5's texts have nothing before them.
    lines(folder / "vocab.txt", [*(BERT[:2] if preset == "t5-small" else BERT), "[EOS]", *WORDS])
    tree = {
        "extends": preset,
        "model": {**SIZES},
        "data": {"tokenizer": {"space": {"vocab": "vocab.txt", "eos_token": "[EOS]"}}, "processor": processor},
        "inference": {"generate": options},
    }
    if preset == "t5-small":
        tree["model"] |= {"head_size": 6}
    if preset != "t5-small":  # the other presets set the sizes of their transformer themselves
        sizes = {name: tree["model"].pop(name) for name in [*SIZES] if name not in ("hidden_size", "vocab_size")}
        tree["model"] |= {"encoder": {"transformer": {**sizes, "feed_forward_size": 32}}}
    (folder / "spec.yaml").write_text(yaml.safe_dump(tree))
    spec = load_spec(folder / "spec.yaml")
    model = randomised(build_model(spec), seed=1, std=0.6)
    return export_model(spec, model.weights(), tokenizers_of(spec), folder / "model")


@pytest.mark.parametrize("name", MODELS)
def test_transformers_writes_the_same_texts_with_what_is_exported(tmp_path: Path, name: str) -> None:
    ours = load_model(exported(tmp_path, name), "cpu")
    kind = "llama" if name == "llama" else None  # of mistral's architecture, too
    tp_core.convert("tp", tmp_path / "model", "huggingface", tmp_path / "theirs", model_type=kind)
    theirs = getattr(transformers, MODELS[name][1]).from_pretrained(tmp_path / "theirs").eval()
    assert ours.processor is not None
    texts = []
    for prompt in PROMPTS:
        (sample,) = ours.processor.prompts([Record({"text": prompt}, "input", 1)], PromptRoom())
        ids = torch.tensor(sample["input_ids"]).long()[None]
        with torch.inference_mode():
            row = theirs.generate(input_ids=ids, attention_mask=torch.ones_like(ids))[0].tolist()
        config, begin = theirs.generation_config, 0 if theirs.config.is_encoder_decoder else ids.shape[1]
        ends = config.eos_token_id if isinstance(config.eos_token_id, list) else [config.eos_token_id]
        if theirs.config.is_encoder_decoder:
            begin = 2 if config.forced_bos_token_id is not None else 1
        row, before = row[begin:], None if theirs.config.is_encoder_decoder else ids[0].tolist()
        ends_at = [place for place, token in enumerate(row) if token in ends]
        texts.append(ours.processor.decode(row[: ends_at[0]] if ends_at else row, before))
    assert [each["text"] for each in generate(ours, PROMPTS, batch_size=2)] == texts
    assert len(set(texts)) > 1
    # And back: the processor starts as ours did, and the same options hold.
    tp_core.convert("huggingface", tmp_path / "theirs", "tp", tmp_path / "back")
    back = load_model(tmp_path / "back", "cpu")
    assert [each["text"] for each in generate(back, PROMPTS)] == texts
    kept = {"max_new_tokens": 64, **MODELS[name][3]}
    if "max_length" in kept:
        kept["max_new_tokens"] = None
    assert {key: getattr(back.spec.inference.generate, key) for key in kept} == kept


def hf_folder(folder: Path, kind: str, generation: dict[str, Any] | None, **config: Any) -> Path:
    """A model of transformers without a tokenizer."""
    torch.manual_seed(0)
    if kind == "t5":
        sizes = {"d_model": 16, "d_kv": 4, "d_ff": 16, "num_layers": 1, "num_heads": 4, "vocab_size": 37}
        made = transformers.T5ForConditionalGeneration(transformers.T5Config(**sizes))
    elif kind == "bert":
        sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
        made = transformers.BertForMaskedLM(transformers.BertConfig(vocab_size=37, **sizes))
    else:
        sizes = {"n_embd": 16, "n_layer": 1, "n_head": 4, "n_positions": 32, "vocab_size": 37}
        made = transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes, eos_token_id=5, bos_token_id=5))
    made.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    if generation is not None:
        (folder / "generation_config.json").write_text(json.dumps(generation))
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**content, **config}))
    return folder


def converted(source: Path, **options: Any) -> tuple[dict[str, Any], list[str]]:
    """The options that a conversion keeps, and what it says."""
    said: list[str] = []
    target = source.with_name(f"{source.name}-tp")
    tp_core.convert("huggingface", source, "tp", target, say=said.append, **options)
    return load_spec(target / "spec.yaml").inference.dump().get("generate", {}), said


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (  # Llama 3's
            {"bos_token_id": 1, "eos_token_id": [5, 9], "do_sample": True, "temperature": 0.6, "top_p": 0.9},
            {"eos_token_id": [5, 9], "sample": True, "temperature": 0.6, "top_p": 0.9, "top_k": 50},
        ),
        ({"do_sample": True, "top_k": 0}, {"sample": True, "top_k": 0}),
        ({"_from_model_config": True, "eos_token_id": 5, "transformers_version": "4.30"}, {"eos_token_id": 5}),
        ({"max_length": 20, "max_new_tokens": 7}, {"max_new_tokens": 7}),
        ({"min_length": 20, "min_new_tokens": 7, "max_length": None}, {"min_new_tokens": 7}),
        ({"temperature": 0.9, "top_k": 5}, {"temperature": 0.9, "top_k": 5}),
        ({"num_beam_groups": 1, "diversity_penalty": 0.0, "use_cache": False, "num_return_sequences": 1}, {}),
        (
            {"decoder_start_token_id": 3, "early_stopping": "never", "num_beams": 2},
            {"early_stopping": "never", "beams": 2},
        ),
    ],
    ids=str,
)
def test_what_the_file_says_is_kept(tmp_path: Path, given: dict[str, Any], kept: dict[str, Any]) -> None:
    options, _ = converted(hf_folder(tmp_path / "theirs", "gpt2", given))
    assert options == kept


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("num_beam_groups", 2),
        ("diversity_penalty", 0.5),
        ("penalty_alpha", 0.6),
        ("guidance_scale", 1.5),
        ("watermarking_config", {"bias": 2.0}),
        ("constraints", []),
        ("num_return_sequences", 3),
        ("stop_strings", ["."]),
        ("renormalize_logits", True),
        ("prompt_lookup_num_tokens", 3),
        ("alignment_heads", [[1, 2]]),  # of one model alone
        ("num_baems", 2),
    ],
)
def test_what_cannot_be_kept_is_refused_and_can_be_ignored(tmp_path: Path, key: str, value: Any) -> None:
    source = hf_folder(tmp_path / "theirs", "gpt2", {"eos_token_id": 5, key: value})
    with pytest.raises(TPError, match=rf"generation_config.json: .*\n.*'{key}' is ") as caught:
        converted(source)
    assert "--ignore-key" in str(caught.value)
    options, said = converted(source, ignore_keys=[key])
    assert options == {"eos_token_id": 5}
    assert any(f"'{key}'" in note for note in said)


def test_samples_of_beams_are_refused(tmp_path: Path) -> None:
    source = hf_folder(tmp_path / "theirs", "gpt2", {"do_sample": True, "num_beams": 4})
    with pytest.raises(TPError, match="'do_sample' is true, and 'num_beams' is above 1"):
        converted(source)
    assert converted(source, ignore_keys=["do_sample"])[0] == {"beams": 4}


@pytest.mark.parametrize(
    ("key", "value"), [("num_beams", "4"), ("top_p", 1.5), ("eos_token_id", [-1]), ("max_length", 0)]
)
def test_a_value_of_a_wrong_kind_is_named(tmp_path: Path, key: str, value: Any) -> None:
    with pytest.raises(TPError, match=rf"generation_config.json: '{key}' is "):
        converted(hf_folder(tmp_path / "theirs", "gpt2", {key: value}))


def test_a_file_that_is_no_json_is_named(tmp_path: Path) -> None:
    source = hf_folder(tmp_path / "theirs", "gpt2", {})
    (source / "generation_config.json").write_text("{")
    with pytest.raises(TPError, match=r"generation_config\.json: this is no JSON"):
        converted(source)


def test_without_the_file_config_json_counts_as_in_transformers(tmp_path: Path) -> None:
    old = {
        "num_beams": 3,
        "max_length": 11,
        "decoder_start_token_id": 0,
        "task_specific_params": {"a": {"num_beams": 9}},
    }
    source = hf_folder(tmp_path / "theirs", "t5", None, **old)
    theirs = transformers.T5ForConditionalGeneration.from_pretrained(source).generation_config
    assert (theirs.num_beams, theirs.max_length) == (3, 11)
    options, said = converted(source)
    note = "config.json: 'task_specific_params' is not kept; use options of tp generate instead (a)"
    assert note in said
    assert options == {"beams": 3, "max_length": 11, "decoder_start_token_id": 0, "eos_token_id": 1}


def test_with_the_file_config_json_does_not_count_as_in_transformers(tmp_path: Path) -> None:
    source = hf_folder(tmp_path / "theirs", "gpt2", {"eos_token_id": 5}, num_beams=3, repetition_penalty=2.0)
    theirs = transformers.GPT2LMHeadModel.from_pretrained(source).generation_config
    assert theirs.num_beams in (None, 1)
    assert converted(source)[0] == {"eos_token_id": 5}


def test_the_first_token_of_old_configs_is_forced_as_in_transformers(tmp_path: Path) -> None:
    more = {"force_bos_token_to_be_generated": True, "bos_token_id": 7, "decoder_start_token_id": 0}
    source = hf_folder(tmp_path / "theirs", "t5", None, **more)
    assert transformers.T5ForConditionalGeneration.from_pretrained(source).generation_config.forced_bos_token_id == 7
    assert converted(source)[0]["forced_bos_token_id"] == 7


def test_a_model_that_writes_nothing_has_no_options(tmp_path: Path) -> None:
    source = hf_folder(tmp_path / "theirs", "bert", {"num_beams": 3, "alignment_heads": []})
    assert converted(source)[0] == {}
    tp_core.convert("tp", tmp_path / "theirs-tp", "huggingface", tmp_path / "back")
    assert not (tmp_path / "back" / "generation_config.json").exists()


def test_a_decoder_without_a_start_begins_with_bos_as_in_transformers(tmp_path: Path) -> None:
    assert converted(hf_folder(tmp_path / "a", "t5", {"bos_token_id": 4}))[0] == {"decoder_start_token_id": 4}
    assert converted(hf_folder(tmp_path / "b", "gpt2", {"bos_token_id": 4}))[0] == {}


def test_a_text_begins_with_any_token_where_none_is_forced(tmp_path: Path) -> None:
    ours = load_model(exported(tmp_path, "bart"), "cpu")
    tp_core.convert("tp", tmp_path / "model", "huggingface", tmp_path / "theirs")
    file = tmp_path / "theirs" / "generation_config.json"
    content = json.loads(file.read_text())
    assert content.pop("forced_bos_token_id") == BERT.index("[CLS]")
    file.write_text(json.dumps(content))
    assert converted(tmp_path / "theirs")[0]["forced_bos_token_id"] == "none"
    free = [each["text"] for each in generate(tmp_path / "theirs-tp", PROMPTS, device="cpu")]
    assert free == [each["text"] for each in generate(ours, PROMPTS, forced_bos_token_id="none")]
    assert free != [each["text"] for each in generate(ours, PROMPTS)]
    tp_core.convert("tp", tmp_path / "theirs-tp", "huggingface", tmp_path / "back")
    assert json.loads((tmp_path / "back" / "generation_config.json").read_text()) == content


def test_an_option_without_a_counterpart_is_named(tmp_path: Path) -> None:
    options, _ = converted(hf_folder(tmp_path / "theirs", "gpt2", {"eos_token_id": 5, "max_length": 9}))
    assert options == {"eos_token_id": 5, "max_length": 9}
    spec = tmp_path / "theirs-tp" / "spec.yaml"
    spec.write_text(spec.read_text().replace("max_length: 9\n", "max_length: 9\n    seed: 3\n"))
    said: list[str] = []
    tp_core.convert("tp", tmp_path / "theirs-tp", "huggingface", tmp_path / "back", say=said.append)
    assert "generation_config.json: 'seed' has no counterpart" in said
    written = json.loads((tmp_path / "back" / "generation_config.json").read_text())
    assert (written["max_length"], "max_new_tokens" in written) == (9, False)
