"""A model that comes from transformers sees the same ids, end to end, and says the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tp_core
from tests.building import randomised
from tests.core.runs import run_code
from tests.text.checkpoints import (
    albert_sizes,
    bart_sizes,
    bert_sizes,
    bloom_sizes,
    distilbert_sizes,
    fnet_sizes,
    gpt2_sizes,
    llama_sizes,
    roberta_sizes,
    t5_sizes,
)
from tests.text.published import LAYOUTS, TEXTS
from tp_core import LoadedModel, Record

transformers = pytest.importorskip("transformers")

SIZES: dict[str, Any] = {
    "bert": bert_sizes,
    "distilbert": distilbert_sizes,
    "roberta": roberta_sizes,
    "xlm-roberta": roberta_sizes,
    "albert": albert_sizes,
    "fnet": fnet_sizes,
    "gpt2": gpt2_sizes,
    "llama": llama_sizes,
    "mistral": llama_sizes,
    "bloom": bloom_sizes,
    "t5": t5_sizes,
    "bart": bart_sizes,
    "pegasus": bart_sizes,
}
CLASSIFIERS = ["bert", "bert/cased", "distilbert", "roberta", "xlm-roberta", "albert", "fnet"]
CAUSAL = ["gpt2", "llama", "mistral", "bloom"]
TWO_SIDES = ["t5", "bart", "pegasus"]


def published(folder: Path, layout: str, head: str) -> tuple[Any, Any]:
    """A model of transformers and its tokenizer, in a folder as models are published."""
    folder.mkdir()
    kind = layout.partition("/")[0]
    size = LAYOUTS[layout](folder)
    sizes = SIZES[kind](24, 4, 2)
    # Room for the longest text of the tests.
    sizes |= {key: 2 for key in ("decoder_layers", "num_decoder_layers") if key in sizes}
    sizes |= {key: 96 for key in ("max_position_embeddings", "n_positions") if key in sizes}
    config = transformers.AutoConfig.for_model(kind, vocab_size=size, **sizes)
    config.save_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    config.vocab_size = len(tokenizer)
    for role in ("pad", "bos", "eos"):
        setattr(config, f"{role}_token_id", getattr(tokenizer, f"{role}_token_id"))
    if config.is_encoder_decoder:
        config.decoder_start_token_id = config.eos_token_id if kind == "bart" else config.pad_token_id
        config.forced_eos_token_id = None
    model = randomised(getattr(transformers, f"AutoModel{head}").from_config(config), std=0.15).eval()
    if kind == "pegasus":  # random weights must not stand in for the fixed sines
        for side in (model.model.encoder, model.model.decoder):
            with torch.no_grad():
                side.embed_positions.weight.copy_(side.embed_positions.create_weight())
    model.generation_config = transformers.GenerationConfig.from_model_config(config)
    if kind == "bart":
        model.generation_config.forced_bos_token_id = config.bos_token_id
    model.save_pretrained(folder)
    return model, tokenizer


def ours(folder: Path, source: Path) -> LoadedModel:
    tp_core.convert("huggingface", source, "tp", folder)
    return tp_core.load_model(folder, "cpu")


def texts_for(tokenizer: Any) -> list[str]:
    mask = tokenizer.mask_token
    return [text.replace("{mask}", mask) if mask else text.replace("{mask}", "") for text in TEXTS]


def encoded(model: LoadedModel, texts: list[str], second: str | None = None) -> list[list[int]]:
    assert model.processor is not None
    other = {} if second is None else {"text_b": second}
    records = [Record({"text_a": text, **other}, "texts", number) for number, text in enumerate(texts)]
    return [sample["input_ids"].tolist() for sample in model.processor.encode(records)]


def head_of(layout: str) -> str:
    if layout in CLASSIFIERS:
        return "ForSequenceClassification"
    return "ForSeq2SeqLM" if layout in TWO_SIDES else "ForCausalLM"


@pytest.mark.parametrize(
    ("layout", "form"),
    [
        *((layout, "as published") for layout in LAYOUTS),
        *((layout, "saved by transformers") for layout in ("bert/cased", "roberta", "albert", "llama", "t5")),
    ],
)
def test_texts_and_pairs_have_the_ids_of_transformers_here_and_after_the_way_back(
    tmp_path: Path, layout: str, form: str
) -> None:
    _, tokenizer = published(tmp_path / "theirs", layout, head_of(layout))
    if form == "saved by transformers":
        tokenizer.save_pretrained(tmp_path / "theirs")
        tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "theirs")
    model, texts = ours(tmp_path / "ours", tmp_path / "theirs"), texts_for(tokenizer)
    given = [text for text in texts if text or layout in CLASSIFIERS]  # an empty prompt is the start of a document
    single = [tokenizer(text)["input_ids"] for text in given]
    assert encoded(model, given) == single
    tp_core.convert("tp", tmp_path / "ours", "huggingface", tmp_path / "back")
    again = transformers.AutoTokenizer.from_pretrained(tmp_path / "back")
    assert [again(text)["input_ids"] for text in given] == single
    assert again.special_tokens_map == tokenizer.special_tokens_map
    assert again.model_input_names == tokenizer.model_input_names
    if layout in CLASSIFIERS:
        pairs = [tokenizer(text, texts[0]) for text in texts[:5]]
        assert encoded(model, texts[:5], texts[0]) == [pair["input_ids"] for pair in pairs]
        assert [dict(again(text, texts[0])) for text in texts[:5]] == [dict(pair) for pair in pairs]


@pytest.mark.parametrize("layout", CLASSIFIERS)
def test_a_classifier_says_of_texts_and_pairs_what_the_pipeline_says(tmp_path: Path, layout: str) -> None:
    model, tokenizer = published(tmp_path / "theirs", layout, "ForSequenceClassification")
    texts = texts_for(tokenizer)[:5]
    asked = transformers.pipeline("text-classification", model=model, tokenizer=tokenizer, top_k=None)
    loaded = ours(tmp_path / "ours", tmp_path / "theirs")
    for second in (None, texts[1]):
        inputs = [{"text": text, **({"text_pair": second} if second else {})} for text in texts]
        theirs = [{each["label"]: each["score"] for each in asked(one)} for one in inputs]
        records = [{"text_a": text, **({"text_b": second} if second else {})} for text in texts]
        found = [p["probabilities"] for p in tp_core.predict(loaded, records, batch_size=1)]
        mine = [list(p.values()) if isinstance(p, dict) else p for p in found]
        expected = [[scores[f"LABEL_{n}"] for n in range(2)] for scores in theirs]
        np.testing.assert_allclose(mine, expected, atol=1e-5)


@pytest.mark.parametrize("layout", ["bert", "bert/cased", "distilbert", "roberta", "xlm-roberta", "albert"])
def test_a_question_has_the_choices_that_transformers_makes_of_it(tmp_path: Path, layout: str) -> None:
    """The context is the first text of a pair, the question with a choice is the second, as for SWAG and RACE."""
    model, tokenizer = published(tmp_path / "theirs", layout, "ForMultipleChoice")
    context, question, *choices = [text for text in texts_for(tokenizer)[:7] if text.strip()]
    loaded = ours(tmp_path / "ours", tmp_path / "theirs")
    records = [{"context": context, "question": question, "choices": choices[:count]} for count in (len(choices), 2, 3)]
    found = list(tp_core.predict(loaded, records))
    tp_core.convert("tp", tmp_path / "ours", "huggingface", tmp_path / "back")
    again = transformers.AutoModelForMultipleChoice.from_pretrained(tmp_path / "back").eval()
    for record, mine in zip(records, found):
        seconds = [f"{question} {choice}" for choice in record["choices"]]
        inputs = tokenizer([context] * len(seconds), seconds, padding=True, return_tensors="pt")
        for theirs in (model, again):
            with torch.no_grad():
                logits = theirs(**{name: value[None] for name, value in inputs.items()}).logits
            np.testing.assert_allclose(mine["probabilities"], logits[0].softmax(0), atol=1e-5)
            assert mine["label"] == logits[0].argmax()


@pytest.mark.parametrize("layout", ["bert", "distilbert", "roberta", "xlm-roberta", "albert", "fnet"])
def test_masks_are_filled_as_the_pipeline_fills_them(tmp_path: Path, layout: str) -> None:
    model, tokenizer = published(tmp_path / "theirs", layout, "ForMaskedLM")
    texts = [text for text in texts_for(tokenizer) if tokenizer.mask_token in text]
    ask = transformers.pipeline("fill-mask", model=model, tokenizer=tokenizer, top_k=3)
    loaded = ours(tmp_path / "ours", tmp_path / "theirs")
    for text, prediction in zip(texts, tp_core.predict(loaded, texts, batch_size=1), strict=True):
        (best,), theirs = prediction.get("mlm", prediction)["tokens"], ask(text)
        assert [each["token"] for each in best[:3]] == [tokenizer.convert_ids_to_tokens(t["token"]) for t in theirs]
        np.testing.assert_allclose([b["probability"] for b in best[:3]], [t["score"] for t in theirs], atol=1e-5)


@pytest.mark.parametrize("layout", CAUSAL)
def test_a_causal_model_goes_on_as_the_pipeline_does(tmp_path: Path, layout: str) -> None:
    model, tokenizer = published(tmp_path / "theirs", layout, "ForCausalLM")
    texts = [text for text in texts_for(tokenizer) if text]
    loaded = ours(tmp_path / "ours", tmp_path / "theirs")
    for text, found in zip(texts, tp_core.generate(loaded, texts, batch_size=1, max_new_tokens=8), strict=True):
        inputs = tokenizer(text, return_tensors="pt", return_token_type_ids=False)
        ids = model.generate(**inputs, max_new_tokens=8, do_sample=False)[0]
        prompt = tokenizer.decode(inputs["input_ids"][0], skip_special_tokens=True)
        assert found["text"] == tokenizer.decode(ids, skip_special_tokens=True)[len(prompt) :]


@pytest.mark.parametrize("layout", TWO_SIDES)
def test_a_model_of_two_sides_writes_at_once_what_transformers_writes(tmp_path: Path, layout: str) -> None:
    model, tokenizer = published(tmp_path / "theirs", layout, "ForSeq2SeqLM")
    texts = [text for text in texts_for(tokenizer) if text]
    loaded = ours(tmp_path / "ours", tmp_path / "theirs")
    for text, found in zip(texts, tp_core.generate(loaded, texts, batch_size=1, max_new_tokens=8), strict=True):
        inputs = tokenizer(text, return_tensors="pt", return_token_type_ids=False)
        ids = model.generate(**inputs, max_new_tokens=8, do_sample=False)[0]
        assert found["text"] == tokenizer.decode(ids, skip_special_tokens=True)


@pytest.mark.parametrize("layout", ["bert", "roberta", "albert", "gpt2", "llama", "llama/both ends", "t5"])
def test_vectors_are_the_means_of_the_states_with_the_special_tokens(tmp_path: Path, layout: str) -> None:
    head = {"bert": "ForMaskedLM", "roberta": "ForMaskedLM", "albert": "ForMaskedLM"}.get(layout, head_of(layout))
    model, tokenizer = published(tmp_path / "theirs", layout, head)
    texts = [text for text in texts_for(tokenizer) if text]
    vectors = tp_core.embed(ours(tmp_path / "ours", tmp_path / "theirs"), texts, pooling="mean")
    body = model.get_encoder() if layout == "t5" else model.base_model
    for text, vector in zip(texts, vectors, strict=True):
        inputs = tokenizer(text, return_tensors="pt")
        with torch.no_grad():
            states = body(**{k: v for k, v in inputs.items() if k in ("input_ids", "token_type_ids")}).last_hidden_state
        np.testing.assert_allclose(vector, states[0].mean(dim=0).numpy(), atol=2e-5)


def test_what_a_tokenizers_config_says_is_mapped_or_said(tmp_path: Path) -> None:
    published(tmp_path / "theirs", "bert", "ForMaskedLM")
    config = {
        "tokenizer_class": "BertTokenizer",
        "model_max_length": 20,
        "truncation_side": "left",
        "chat_template": "{{ messages }}",
        "acme_option": 3,
    }
    (tmp_path / "theirs" / "tokenizer_config.json").write_text(json.dumps(config))
    said: list[str] = []
    tp_core.convert("huggingface", tmp_path / "theirs", "tp", tmp_path / "ours", say=said.append)
    model = tp_core.load_model(tmp_path / "ours", "cpu")
    assert max(map(len, encoded(model, ["the hello " * 40]))) == 20
    for words in (
        "'truncation_side' is ignored",
        "'chat_template' is kept",
        "unknown keys, kept for export only: acme_option",
    ):
        assert any(words in line for line in said)


def test_a_text_with_special_tokens_spelled_out_is_read_as_the_files_say(tmp_path: Path) -> None:
    published(tmp_path / "theirs", "bert", "ForMaskedLM")
    config = {"tokenizer_class": "BertTokenizer", "split_special_tokens": True}
    (tmp_path / "theirs" / "tokenizer_config.json").write_text(json.dumps(config))
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "theirs")
    text = "the [SEP] hello"
    assert encoded(ours(tmp_path / "ours", tmp_path / "theirs"), [text]) == [tokenizer(text)["input_ids"]]


def test_a_tokenizer_that_cannot_be_read_is_said_with_what_to_install(tmp_path: Path) -> None:
    published(tmp_path / "theirs", "bert", "ForMaskedLM")
    code = (
        "import sys; sys.modules['transformers'] = None; import tp_core; "
        "tp_core.convert('huggingface', 'theirs', 'tp', 'ours', say=print)"
    )
    said = run_code(tmp_path, code)
    assert "the tokenizer is not read: " in said
    assert "pip install transformers" in said


def test_names_of_classes_that_no_processor_can_keep_are_said(tmp_path: Path) -> None:
    model, _ = published(tmp_path / "theirs", "bert", "ForSequenceClassification")
    model.config.id2label = {0: "bad", 1: "good"}
    model.config.save_pretrained(tmp_path / "theirs")
    (tmp_path / "theirs" / "vocab.txt").unlink()
    said: list[str] = []
    tp_core.convert("huggingface", tmp_path / "theirs", "tp", tmp_path / "ours", say=said.append)
    assert any("the model has no processor, so that config.json's labels are not kept" in line for line in said)
