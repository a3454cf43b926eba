"""A model of ours sees in transformers the ids that it was trained with, and says the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import tp_core
from tests.building import randomised
from tests.text.published import TEXTS, trained
from tests.text.test_same_as_transformers import ours, published
from tests.text.vocabularies import byte_pair_files, lines, tokenizer_json, wordpieces
from tp_core.artifacts.export import export_model
from tp_core.data.build import tokenizers_of

transformers = pytest.importorskip("transformers")

ROBERTA = {"bos": "<s>", "cls": "<s>", "pad": "<pad>", "eos": "</s>", "sep": "</s>", "unk": "<unk>", "mask": "<mask>"}


def bpe(folder: Path, special: dict[str, str]) -> dict[str, Any]:
    files = byte_pair_files(folder, list(dict.fromkeys(special.values())))
    return {"bpe": {**files, **{f"{role}_token": token for role, token in special.items()}}}


def wordpiece(folder: Path, **options: Any) -> dict[str, Any]:
    return {"wordpiece": {"vocab": lines(folder / "pieces.txt", wordpieces()), **options}}


def model_of_ours(folder: Path, extends: str, tokenizer: dict[str, Any], **parts: Any) -> Path:
    """A small model with random weights, as training exports it."""
    model = {"hidden_size": 24, "encoder": {"transformer": {"num_layers": 1, "num_heads": 2}}, **parts.pop("model", {})}
    tree = {"extends": extends, "model": model, "data": {"tokenizer": tokenizer, **parts}}
    file = folder / "mine.yaml"
    file.write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8")
    spec = tp_core.load_spec(file)
    built = randomised(tp_core.build_model(spec), std=0.15)
    return export_model(spec, built.weights(), tokenizers_of(spec), folder / "model")


def exported(model: Path, folder: Path, model_type: str | None = None) -> Any:
    tp_core.convert("tp", model, "huggingface", folder, model_type=model_type)
    return transformers.AutoTokenizer.from_pretrained(folder)


def encoded(model: Path, texts: list[str], second: str | None = None) -> list[list[int]]:
    loaded = tp_core.load_model(model, "cpu")
    assert loaded.processor is not None
    more = {} if second is None else {"text_b": second}
    records = [tp_core.Record({"text_a": text, **more}, "texts", n) for n, text in enumerate(texts)]
    return [sample["input_ids"].tolist() for sample in loaded.processor.encode(records)]


CLASSIFIER = {"processor": {"cls": {"max_length": 64}}, "model": {"target": [{"cls": {"num_labels": 3}}]}}


@pytest.mark.parametrize(
    ("extends", "name", "more"),
    [
        ("bert-tiny", "BertTokenizer", {}),
        ("bert-tiny", "BertTokenizer", {"lowercase": False, "split_chinese": False}),
        ("roberta-base", "RobertaTokenizer", {}),
    ],
)
def test_pairs_of_a_classifier_get_the_same_ids_and_labels(
    tmp_path: Path, extends: str, name: str, more: dict[str, Any]
) -> None:
    roberta = extends == "roberta-base"
    tokenizer = bpe(tmp_path, ROBERTA) if roberta else wordpiece(tmp_path, **more)
    model = model_of_ours(tmp_path, extends, tokenizer, **CLASSIFIER)
    theirs = exported(model, tmp_path / "back", "roberta" if roberta else "bert")
    texts = [text.replace("{mask}", theirs.mask_token) for text in TEXTS[:5]]
    assert type(theirs).__name__ == name
    assert encoded(model, texts) == [theirs(text)["input_ids"] for text in texts]
    assert encoded(model, texts, texts[1]) == [theirs(text, texts[1])["input_ids"] for text in texts]
    assert ("token_type_ids" in theirs(texts[0], texts[1])) is not roberta
    ask = transformers.pipeline("text-classification", model=str(tmp_path / "back"), tokenizer=theirs, top_k=None)
    for text in texts:
        (mine,) = tp_core.predict(str(model), [{"text_a": text, "text_b": texts[1]}])
        scores = {each["label"]: each["score"] for each in ask({"text": text, "text_pair": texts[1]})}
        values = mine["probabilities"]
        values = list(values.values()) if isinstance(values, dict) else values
        np.testing.assert_allclose(values, [scores[f"LABEL_{n}"] for n in range(3)], atol=1e-5)


def test_the_config_of_an_exported_tokenizer_names_class_length_inputs_and_special_tokens(tmp_path: Path) -> None:
    model = model_of_ours(tmp_path, "bert-tiny", wordpiece(tmp_path), **CLASSIFIER)
    exported(model, tmp_path / "back")
    content = json.loads((tmp_path / "back" / "tokenizer_config.json").read_text())
    assert content["tokenizer_class"] == "BertTokenizer"
    assert content["model_max_length"] == 512
    assert content["model_input_names"] == ["input_ids", "token_type_ids", "attention_mask"]
    assert (content["mask_token"], content["do_lower_case"]) == ("[MASK]", True)


@pytest.mark.parametrize("options", [{}, {"add_bos": True}, {"add_bos": True, "add_eos": True}])
def test_a_language_model_reads_in_transformers_what_it_was_trained_on(tmp_path: Path, options: dict[str, Any]) -> None:
    special = {"bos": "<s>", "eos": "</s>", "pad": "<pad>", "unk": "<unk>"}
    tokenizer = {"bpe": {**bpe(tmp_path, special)["bpe"], **options}}
    model = model_of_ours(
        tmp_path, "gpt2", tokenizer, processor={"lm": {"max_length": 64}}, model={"embedding": ["word", "pos"]}
    )
    theirs = exported(model, tmp_path / "back")
    texts = ["the hello", "a", "今天"]
    assert encoded(model, texts) == [theirs(text)["input_ids"] for text in texts]
    begins = theirs("the")["input_ids"][0] == theirs.bos_token_id
    assert begins is bool(options.get("add_bos"))


def test_a_tokenizer_with_other_special_tokens_than_a_class_has_is_a_general_one(tmp_path: Path) -> None:
    # A T5-like model with a BERT vocabulary has an end and no beginning.
    tokenizer = wordpiece(tmp_path, mask_token=None)
    model = model_of_ours(tmp_path, "bert-tiny", tokenizer, **CLASSIFIER)
    theirs = exported(model, tmp_path / "back")
    assert encoded(model, TEXTS[:2]) == [theirs(text)["input_ids"] for text in TEXTS[:2]]
    content = json.loads((tmp_path / "back" / "tokenizer_config.json").read_text())
    assert content["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert "token_type_ids" in content["model_input_names"]


@pytest.mark.parametrize("kind", ["wordpiece", "bpe"])
def test_special_tokens_that_are_plain_text_to_a_model_are_so_in_transformers(tmp_path: Path, kind: str) -> None:
    tokenizer = wordpiece(tmp_path) if kind == "wordpiece" else bpe(tmp_path, ROBERTA)
    tokenizer[kind]["special_in_text"] = False
    model = model_of_ours(tmp_path, "bert-tiny", tokenizer, **CLASSIFIER)
    theirs = exported(model, tmp_path / "back")
    texts = [f"the {theirs.sep_token} hello", f"{theirs.cls_token}a {theirs.pad_token}"]
    assert encoded(model, texts) == [theirs(text)["input_ids"] for text in texts]
    assert encoded(model, texts, texts[0]) == [theirs(text, texts[0])["input_ids"] for text in texts]
    assert all(theirs(text)["input_ids"].count(theirs.sep_token_id) == 1 for text in texts)


def test_a_model_that_fills_masks_finds_them_in_transformers_whatever_special_tokens_are(tmp_path: Path) -> None:
    tokenizer = wordpiece(tmp_path, special_in_text=False)
    model = model_of_ours(tmp_path, "bert-tiny", tokenizer, model={"target": ["mlm"]}, processor={"mlm": {}})
    theirs = exported(model, tmp_path / "back", "bert")
    assert encoded(model, ["the [MASK] hello"]) == [theirs("the [MASK] hello")["input_ids"]]
    assert theirs.mask_token_id in theirs("the [MASK] hello")["input_ids"]


@pytest.mark.parametrize("processor", [None, {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}])
def test_special_tokens_that_a_file_does_not_list_are_found_in_texts_here_and_in_transformers(
    tmp_path: Path, processor: dict[str, Any] | None
) -> None:
    file = tokenizer_json(tmp_path, post_processor=processor)  # with no added tokens
    model = model_of_ours(tmp_path, "bert-tiny", {"huggingface": {"path": str(file)}}, **CLASSIFIER)
    theirs = exported(model, tmp_path / "back")
    texts = ["hello [MASK] a", "a[SEP] hello", "[PAD]"]
    assert encoded(model, texts) == [theirs(text)["input_ids"] for text in texts]
    assert theirs.mask_token_id in encoded(model, texts)[0]


def test_nothing_of_the_original_files_is_lost_by_training_in_between(tmp_path: Path) -> None:
    _, tokenizer = published(tmp_path / "theirs", "llama", "ForCausalLM")
    (tmp_path / "theirs" / "chat_template.jinja").write_text("{{ messages }}")
    (tmp_path / "theirs" / "special_tokens_map.json").write_text(json.dumps({"bos_token": "<s>"}))
    ours(tmp_path / "ours", tmp_path / "theirs")
    (tmp_path / "corpus.txt").write_text("\n".join(["the cat is here", "rose and lie", "a need"] * 20))
    spec = {
        "extends": str(tmp_path / "ours" / "spec.yaml"),
        "init_from": str(tmp_path / "ours"),
        "data": {"train": "corpus.txt", "processor": {"lm": {"max_length": 16}}},
        "train": {"steps": 2, "batch_size": 2, "checkpoint_every": 2},
    }
    (tmp_path / "tune.yaml").write_text(yaml.safe_dump(spec))
    result = tp_core.train(tp_core.load_spec(tmp_path / "tune.yaml"), tmp_path / "run")
    assert result.model is not None
    again = exported(result.model, tmp_path / "back")
    for name in ("tokenizer.model", "tokenizer_config.json", "chat_template.jinja", "special_tokens_map.json"):
        assert (tmp_path / "back" / name).read_bytes() == (tmp_path / "theirs" / name).read_bytes()
    texts = ["the cat", "a needle 今"]
    assert [again(text)["input_ids"] for text in texts] == [tokenizer(text)["input_ids"] for text in texts]
    assert encoded(result.model, texts) == [tokenizer(text)["input_ids"] for text in texts]


def test_each_document_of_a_language_model_begins_as_the_tokenizer_begins_a_text(tmp_path: Path) -> None:
    (tmp_path / "m.model").write_bytes(trained(model_type="bpe"))
    file = tmp_path / "lm.yaml"
    options = {"model": str(tmp_path / "m.model"), "add_bos": True}
    sizes = {"hidden_size": 24, "encoder": {"transformer": {"num_layers": 1, "num_heads": 2}}}
    data = {"tokenizer": {"sentencepiece": options}, "processor": {"lm": {"max_length": 8}}}
    file.write_text(yaml.safe_dump({"extends": "gpt2", "model": sizes, "data": data}))
    spec = tp_core.load_spec(file)
    (tokenizer,) = tokenizers_of(spec).values()
    from tp_core.data.build import build_processor

    processor = build_processor(spec, tokenizer)
    assert processor is not None
    texts = ["rose and lie", "the cat"]
    records = [tp_core.Record({"text": text}, "a.txt", n) for n, text in enumerate(texts, 1)]
    (rows,) = processor.prepare(records, lambda error: pytest.fail(str(error)))
    bos, eos = tokenizer.special["bos"], tokenizer.special["eos"]
    expected = [token for ids in tokenizer.encode_batch(texts) for token in (bos, *ids, eos)]
    found = np.concatenate(rows["tokens"]).tolist()
    assert found == expected[: len(found)]
    assert len(expected) - len(found) <= 1  # a row of one token has nothing to predict
