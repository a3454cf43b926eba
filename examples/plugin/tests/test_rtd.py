"""Tests of the target ``acme.rtd``, its processor, the ELECTRA converter and the preset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tp_core
from tp_acme.rtd_processor_options import ReplacedTokensConfig
from tp_acme.rtd_target_options import ReplacedTokenDetectionConfig
from tp_core import Batch, BuildContext, DataContext, Features, Rows, Sequence, Tokenizer, load_model, load_spec
from tp_core.testing import check_module

WORDS = [f"w{number}" for number in range(40)]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]


class Words(Tokenizer):
    """A tokenizer with one token per word."""

    def __init__(self) -> None:
        self.special, self.vocab_size = {"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4}, len(VOCABULARY)

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        return [[VOCABULARY.index(word) for word in text.split()] for text in texts]

    def decode(self, ids: list[int]) -> str:
        return " ".join(VOCABULARY[each] for each in ids)

    def token(self, index: int) -> str:
        return VOCABULARY[index]

    def word_starts(self) -> None:
        return None

    def save(self, folder: Path) -> dict[str, Any]:
        return {}


@pytest.fixture
def vocabulary(tmp_path: Path) -> str:
    file = tmp_path / "vocab.txt"
    file.write_text("\n".join(VOCABULARY) + "\n")
    return str(file)


def texts(count: int) -> list[str]:
    return [" ".join(WORDS[(first + place) % 40] for place in range(12)) for first in range(count)]


class OneRow(Rows):
    """A single row with the first twenty words."""

    def __len__(self) -> int:
        return 1

    def get(self, column: str, index: int) -> Any:
        return np.arange(5, 25)


def test_the_target_and_the_processor_keep_their_contracts() -> None:
    check_module("acme.rtd", "target")
    records = [{"text": text} for text in texts(8)]
    check_module("acme.rtd", "processor", {"max_length": 10, "rate": 0.5}, records=records, tokenizer=Words())


def test_labels_say_which_tokens_are_not_those_of_the_text() -> None:
    processor = ReplacedTokensConfig(rate=0.5).build(DataContext(), Words())
    batch = processor.collate([processor.sample(OneRow(), 0, np.random.default_rng(0))])
    labels = batch.labels["replaced"]["labels"][0].tolist()
    ids = batch.inputs["input_ids"][0].tolist()
    assert (labels[0], labels[-1]) == (-100, -100)
    assert labels[1:-1] == [int(found != was) for found, was in zip(ids[1:-1], range(5, 25))]
    assert 3 < sum(labels[1:-1]) < 17
    assert min(ids[1:-1]) >= 5  # no special token stands for a word


def test_scores_above_zero_count_as_replaced() -> None:
    target: Any = ReplacedTokenDetectionConfig().build(BuildContext(hidden_size=1))
    with torch.no_grad():  # scores are GELU(state) - 1
        for weight, value in zip(target.parameters(), (1.0, 0.0, 1.0, -1.0)):
            weight.fill_(value)
    features = Features(Sequence(torch.tensor([[[3.0], [-3.0], [3.0], [-9.0]]])))
    target.name = "rtd"  # as a model calls it
    output = target(features, Batch({}, 1, labels={"rtd": {"labels": torch.tensor([[1, 0, 0, -100]])}}))
    assert output.denominator == 3
    assert output.metrics["accuracy"] == (2.0, 3.0)
    assert output.metrics["f1"][0].tolist() == [[1, 1], [1, 2], [2, 1]]
    high, low = (torch.nn.functional.gelu(torch.tensor(state)).item() - 1 for state in (3.0, -3.0))
    wanted = np.log1p(np.exp(-high)) + np.log1p(np.exp(low)) + np.log1p(np.exp(high))
    assert output.loss_sum.item() == pytest.approx(wanted, rel=1e-5)


def test_the_preset_trains_and_tells_replaced_tokens_apart(tmp_path: Path, vocabulary: str) -> None:
    check_module("acme-electra-small", "presets")
    for name, count in (("train", 40), ("eval", 8)):
        (tmp_path / f"{name}.txt").write_text("\n".join(texts(count)) + "\n")
    sizes = ["num_layers=1", "num_heads=2", "feed_forward_size=32"]
    spec = load_spec(
        "acme-electra-small",
        [
            *("model.hidden_size=32", "model.embedding_size=16", "model.dropout=0.0"),
            *(f"model.encoder.transformer.{each}" for each in sizes),
            f"data.tokenizer={{wordpiece: {{vocab: {vocabulary}}}}}",
            "data.processor={acme.rtd: {rate: 0.3}}",
            *(f"data.{name}={tmp_path / name}.txt" for name in ("train", "eval")),
            f"data.cache={tmp_path / 'cache'}",
            *("train.steps=3", "train.batch_size=8", "train.device=cpu", "train.loggers=[]"),
        ],
    )
    tp_core.train(spec, tmp_path / "run")
    metrics = tp_core.evaluate(load_model(tmp_path / "run" / "model", "cpu"), str(tmp_path / "eval.txt"))
    assert {"loss", "acme.rtd/accuracy", "acme.rtd/f1"} <= metrics.keys()
    (found,) = tp_core.predict(load_model(tmp_path / "run" / "model", "cpu"), [{"text": "w1 w2 w3"}])
    assert len(found["replaced"]) == 5
    back = tp_core.convert("tp", tmp_path / "run" / "model", "huggingface", tmp_path / "back")
    tp_core.convert("huggingface", back, "tp", tmp_path / "again")
    one, other = (load_model(tmp_path / each, "cpu").model.weights() for each in ("run/model", "again"))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("embedding_size", [12, 24])
def test_electra_computes_what_it_computes_in_transformers(tmp_path: Path, embedding_size: int) -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    sizes = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 40}
    config = transformers.ElectraConfig(vocab_size=37, embedding_size=embedding_size, **sizes)
    theirs = transformers.ElectraForPreTraining(config).eval()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.15)
    theirs.save_pretrained(tmp_path / "theirs")
    check_module("electra", "converter", checkpoint=tmp_path / "theirs")
    tp_core.convert("huggingface", tmp_path / "theirs", "tp", tmp_path / "ours")
    ours = load_model(tmp_path / "ours", "cpu").model
    ids, mask = torch.randint(0, 37, (3, 9)), torch.ones(3, 9, dtype=torch.int64)
    mask[1, 5:] = mask[2, 1:] = 0
    segments = (torch.arange(9) > 3).long().expand(3, 9)
    batch = Batch.of({"input_ids": ids, "attention_mask": mask, "token_type_ids": segments}, 3)
    target: Any = next(iter(ours.targets.values()))
    with torch.no_grad():
        wanted = theirs(input_ids=ids, attention_mask=mask, token_type_ids=segments).logits
        found = target.logits(ours.encode(batch))
    assert (wanted - found)[mask.bool()].abs().max() < 1e-5
