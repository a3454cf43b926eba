"""Models of the original's fine-tuning scripts: their predictions are those of the script's model on its own inputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import tp_core
from tests.tencentpretrain import original
from tests.tencentpretrain.shapes import SHAPES
from tp_core import TPError

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["ba", "be", "bi", "bo", "bu", "da", "de", "di", "do", "du", "fa", "fe", "fi", "fo", "fu", *"aeioubdf"]
VOCABULARY = [*SPECIAL, *WORDS]
BERT = {key: value for key, value in SHAPES["bert"].items() if key != "target"}


class Home:
    """A folder with a fine-tuned model of the original.

    Attributes:
        tensors: its tensors.
        config: its config.
    """

    def __init__(self, folder: Path, heads: dict[str, tuple[int, ...]], config: dict[str, Any] | None = None) -> None:
        self.folder, self.config = folder, dict(config or BERT)
        self.tensors = original.Maker(self.config, len(VOCABULARY)).tensors
        generator = torch.Generator().manual_seed(5)
        for name, shape in heads.items():
            self.tensors[name] = torch.randn(shape, generator=generator)
        torch.save(self.tensors, folder / "model.bin")
        (folder / "config.json").write_text(json.dumps(self.config))
        (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in VOCABULARY))

    def convert(self, **options: Any) -> Any:
        place = tp_core.convert(
            "tencentpretrain",
            self.folder / "model.bin",
            "tp",
            self.folder / "ours",
            vocab=str(self.folder / "vocab.txt"),
            **options,
        )
        return tp_core.load_model(place, device="cpu")

    def returns(self, task: str) -> Path:
        """Convert the converted model back, and compare all tensors and the task."""
        back = tp_core.convert("tp", self.folder / "ours", "tencentpretrain", self.folder / "back", task=task)
        again = torch.load(back / "model.bin", weights_only=True)
        assert again.keys() == self.tensors.keys()
        assert all(torch.equal(again[name], tensor) for name, tensor in self.tensors.items())
        return back

    def states(self, tokens: list[str], seg: list[int]) -> Tensor:
        """The final states of one text, (length, hidden)."""
        ids = torch.tensor([[VOCABULARY.index(token) for token in tokens]])
        with torch.no_grad():
            found: Tensor = original.features(self.tensors, self.config, ids, torch.tensor([seg]))
        return found[0]

    def linear(self, name: str, given: Tensor) -> Tensor:
        return F.linear(given, self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"])


def framed(*texts: str) -> tuple[list[str], list[int]]:
    """The tokens and segments of a text or a pair."""
    tokens, seg = ["[CLS]"], [1]
    for number, text in enumerate(texts, 1):
        own = [*text.split(), "[SEP]"]
        tokens += own
        seg += [number] * len(own)
    return tokens, seg


TWO = {
    "output_layer_1.weight": (32, 32),
    "output_layer_1.bias": (32,),
    "output_layer_2.weight": (3, 32),
    "output_layer_2.bias": (3,),
}
PAIRS = [("ba be bi", "do du"), ("fa", "fe fi fo fu ba"), ("bu", "bu")]


def pooled_logits(
    home: Home, texts: tuple[str, ...], layers: tuple[str, str] = ("output_layer_1", "output_layer_2")
) -> Tensor:
    return home.linear(layers[1], torch.tanh(home.linear(layers[0], home.states(*framed(*texts))[0])))


@pytest.mark.parametrize("pair", [False, True])
def test_a_classifier(pair: bool, tmp_path: Path) -> None:
    home = Home(tmp_path, TWO)
    texts = [given if pair else given[:1] for given in PAIRS]
    found = tp_core.predict(home.convert(), [dict(zip(("text_a", "text_b"), given)) for given in texts])
    for row, given in zip(found, texts, strict=True):
        logits = pooled_logits(home, given)
        assert row["label"] == logits.argmax().item()
        assert list(
            row["probabilities"].values() if isinstance(row["probabilities"], dict) else row["probabilities"]
        ) == (pytest.approx(logits.softmax(-1).tolist(), abs=1e-5))
    home.returns("classifier")


def check_weighted_means(home: Home, texts: list[Any]) -> None:
    """The predictions are those of a mean in which the second text has twice the weight."""
    found = tp_core.predict(home.convert(), [dict(zip(("text_a", "text_b"), given)) for given in texts])
    for row, given in zip(found, texts, strict=True):
        tokens, seg = framed(*given)
        weights = torch.tensor(seg, dtype=torch.float32).unsqueeze(-1)
        pooled = (home.states(tokens, seg) * weights).sum(0) / weights.sum()
        logits = home.linear("output_layer_2", torch.tanh(home.linear("output_layer_1", pooled)))
        assert row["probabilities"] == pytest.approx(logits.softmax(-1).tolist(), abs=1e-5)


def test_a_classifier_of_means_gives_the_second_text_twice_the_weight(tmp_path: Path) -> None:
    home = Home(tmp_path, TWO, {**BERT, "pooling": "mean"})
    texts = [PAIRS[0], PAIRS[1], PAIRS[2][:1]]
    check_weighted_means(home, texts)
    assert json.loads((home.returns("classifier") / "config.json").read_text())["pooling"] == "mean"


@pytest.mark.parametrize("shape", ["gpt2", "llama"])
def test_means_weigh_segments_without_an_embedding_of_segments(shape: str, tmp_path: Path) -> None:
    config = {key: value for key, value in SHAPES[shape].items() if key != "target"}
    home = Home(tmp_path, TWO, {**config, "pooling": "mean"})
    check_weighted_means(home, PAIRS)
    home.returns("classifier")


def test_the_first_text_is_the_prefix_of_the_mask(tmp_path: Path) -> None:
    """In the original, positions of segment 1 are seen by all, and those of segment 2 by later ones."""
    config = {key: value for key, value in SHAPES["unilm"].items() if key != "target"}
    home = Home(tmp_path, TWO, config)
    texts = [PAIRS[0], PAIRS[1][:1], PAIRS[1]]
    found = tp_core.predict(home.convert(), [dict(zip(("text_a", "text_b"), given)) for given in texts])
    for row, given in zip(found, texts, strict=True):
        assert row["probabilities"] == pytest.approx(pooled_logits(home, given).softmax(-1).tolist(), abs=1e-5)
    home.returns("classifier")
    alone = tp_core.convert("tp", tmp_path / "ours", "tencentpretrain", tmp_path / "without a task")
    assert json.loads((alone / "config.json").read_text())["target"] == ["cls"]


@pytest.mark.parametrize("pooling", ["last", "max"])
def test_a_pooling_that_is_wrong_for_pairs_is_noted(pooling: str, tmp_path: Path) -> None:
    home = Home(tmp_path, TWO, {**BERT, "pooling": pooling})
    said: list[str] = []
    model = home.convert(say=said.append)
    assert any(f"pooling '{pooling}' of the original is wrong for pairs of texts" in note for note in said)
    (row,) = tp_core.predict(model, [{"text_a": "ba be bi"}])
    states = home.states(*framed("ba be bi"))
    pooled = states[-1] if pooling == "last" else states.amax(0)
    logits = home.linear("output_layer_2", torch.tanh(home.linear("output_layer_1", pooled)))
    assert row["probabilities"] == pytest.approx(logits.softmax(-1).tolist(), abs=1e-5)


def test_a_multi_label_classifier(tmp_path: Path) -> None:
    home = Home(tmp_path, TWO)
    found = tp_core.predict(home.convert(task="multi_label"), [{"text_a": a} for a, _ in PAIRS])
    for row, (text, _) in zip(found, PAIRS, strict=True):
        expected = pooled_logits(home, (text,)).sigmoid()
        assert sorted(row["labels"]) == [n for n, chance in enumerate(expected.tolist()) if chance > 0.5]
    home.returns("multi_label")


def test_a_regression(tmp_path: Path) -> None:
    home = Home(tmp_path, {**TWO, "output_layer_2.weight": (1, 32), "output_layer_2.bias": (1,)})
    found = tp_core.predict(home.convert(task="regression"), [{"text_a": a, "text_b": b} for a, b in PAIRS])
    for row, given in zip(found, PAIRS, strict=True):
        (value,) = [each for each in row.values() if isinstance(each, float)]
        assert value == pytest.approx(pooled_logits(home, given).item(), abs=1e-4)
    home.returns("regression")


def test_a_multi_task_classifier(tmp_path: Path) -> None:
    heads = {
        f"output_layers_1.{n}.{part}": shape for n in (0, 1) for part, shape in (("weight", (32, 32)), ("bias", (32,)))
    }
    heads |= {"output_layers_2.0.weight": (2, 32), "output_layers_2.0.bias": (2,)}
    heads |= {"output_layers_2.1.weight": (4, 32), "output_layers_2.1.bias": (4,)}
    home = Home(tmp_path, heads)
    found = list(tp_core.predict(home.convert(), [{"text_a": a} for a, _ in PAIRS]))
    for row, (text, _) in zip(found, PAIRS, strict=True):
        for number in (0, 1):
            logits = pooled_logits(home, (text,), (f"output_layers_1.{number}", f"output_layers_2.{number}"))
            assert row[f"task_{number}"]["label"] == logits.argmax().item()
    home.returns("multi_task")


TAGS = {"O": 0, "B-PER": 1, "I-PER": 2, "B-LOC": 3, "I-LOC": 4}


@pytest.mark.parametrize("crf", [False, True])
def test_named_entities(crf: bool, tmp_path: Path) -> None:
    count = len(TAGS) + 1
    heads: dict[str, tuple[int, ...]] = {"output_layer.weight": (count, 32), "output_layer.bias": (count,)}
    if crf:
        heads |= {"crf.start_transitions": (count,), "crf.end_transitions": (count,), "crf.transitions": (count, count)}
    home = Home(tmp_path, heads)
    labels = tmp_path / "label2id.json"
    labels.write_text(json.dumps(TAGS))
    texts = ["ba be bi do du fa fe", "fi", "fo fu ba ba"]
    found = tp_core.predict(home.convert(labels=str(labels)), [{"text_a": text} for text in texts])
    names = [*TAGS, "[PAD]"]
    for row, text in zip(found, texts, strict=True):
        tokens = text.split()
        logits = home.linear("output_layer", home.states(tokens, [1] * len(tokens)))
        best = viterbi(home, logits) if crf else logits.argmax(-1).tolist()
        assert row["tags"] == [names[number] for number in best]
    assert json.loads((home.returns("ner") / "label2id.json").read_text()) == TAGS


def viterbi(home: Home, logits: Tensor) -> list[int]:
    """The best path by trying all."""
    start, end, steps = (
        home.tensors[f"crf.{name}"] for name in ("start_transitions", "end_transitions", "transitions")
    )
    paths = {(n,): (start[n] + logits[0, n]).item() for n in range(logits.shape[1])}
    for row in logits[1:]:
        best: dict[int, tuple[tuple[int, ...], float]] = {}
        for path, score in paths.items():
            for n in range(logits.shape[1]):
                total = score + (steps[path[-1], n] + row[n]).item()
                if n not in best or total > best[n][1]:
                    best[n] = ((*path, n), total)
        paths = dict(best.values())
    return list(max(paths, key=lambda path: paths[path] + end[path[-1]].item()))


def test_choices_of_c3(tmp_path: Path) -> None:
    home = Home(tmp_path, {"output_layer.weight": (1, 32), "output_layer.bias": (1,)})
    records = [
        {"context": "ba be bi bo", "question": "do du", "choices": ["fa fe", "fi", "fo"]},
        {"context": "fu", "question": "ba ba", "choices": ["da", "de di"]},
    ]
    found = tp_core.predict(home.convert(task="c3"), records)
    for row, record in zip(found, records, strict=True):
        scores = []
        for choice in record["choices"]:
            first = ["[CLS]", *choice.split(), "[SEP]", *str(record["question"]).split(), "[SEP]"]
            rest = [*str(record["context"]).split(), "[SEP]"]
            states = home.states([*first, *rest], [1] * len(first) + [2] * len(rest))
            scores.append(home.linear("output_layer", states[0]).item())
        assert row["probabilities"] == pytest.approx(torch.tensor(scores).softmax(-1).tolist(), abs=1e-5)
    home.returns("c3")


def test_choices_of_chid_see_padding_and_have_no_segments(tmp_path: Path) -> None:
    home = Home(tmp_path, {"output_layer.weight": (1, 32), "output_layer.bias": (1,)})
    model = home.convert(task="chid")
    length = model.spec.data.processor.config.max_length
    record = {"context": ["ab#idiom1#ei", "#idiom2#o"], "choices": ["ae", "u", "bio"]}
    (row,) = tp_core.predict(model, [record])
    home.returns("chid")
    # In float32, the original rounds its scores to 0.001, because it adds -10000 to all of them.
    home.tensors = {name: tensor.double() for name, tensor in home.tensors.items()}
    for blank, context in zip(row["blanks"], (["a", "b", "[SEP]", "e", "i"], ["[SEP]", "o"]), strict=True):
        scores = []
        for choice in record["choices"]:
            tokens = ["[CLS]", *choice, "[SEP]", *context, "[SEP]"]
            states = home.states([*tokens, *["[PAD]"] * (length - len(tokens))], [0] * length)
            scores.append(home.linear("output_layer", states[0]).item())
        assert blank["probabilities"] == pytest.approx(torch.tensor(scores).softmax(-1).tolist(), abs=1e-5)


def test_answers_of_cmrc(tmp_path: Path) -> None:
    home = Home(tmp_path, {"output_layer.weight": (2, 32), "output_layer.bias": (2,)})
    record = {"question": "ab", "context": "aeioubdfaeb"}
    (found,) = tp_core.predict(home.convert(), [record])
    states = home.states(*framed(" ".join(record["question"]), " ".join(record["context"])))
    start, end = home.linear("output_layer", states)[4:-1].unbind(-1)
    scores = (start[:, None] + end[None, :]).masked_fill(~torch.ones(len(start), len(end)).triu().bool(), -1e9)
    first, last = divmod(scores.argmax().item(), len(end))
    assert found["answer"] == record["context"][first : last + 1]
    home.returns("cmrc")


def test_a_siamese_classifier(tmp_path: Path) -> None:
    config = {**SHAPES["sbert"], "pooling": "mean"}
    home = Home(tmp_path, {"classifier.weight": (3, 128), "classifier.bias": (3,)}, config)
    found = tp_core.predict(home.convert(), [{"text_a": a, "text_b": b} for a, b in PAIRS])
    for row, texts in zip(found, PAIRS, strict=True):
        ids, segs = [], []
        for text in texts:
            tokens, seg = framed(text)
            ids.append(torch.tensor([[VOCABULARY.index(token) for token in tokens]]))
            segs.append(torch.tensor([seg]))
        with torch.no_grad():
            u, v = (each[0].mean(0) for each in original.features(home.tensors, config, ids, segs))
        logits = home.linear("classifier", torch.cat([u, v, (u - v).abs(), u * v]))
        assert row["label"] == logits.argmax().item()
    home.returns("siamese")


@pytest.mark.parametrize(
    ("heads", "options", "message"),
    [
        (TWO, {"task": "ner"}, "the checkpoint has 'output_layer_1.weight', which models of classifier or multi_label"),
        ({}, {"task": "classifier"}, "the checkpoint has no head of the task classifier"),
        (
            {"output_layer.weight": (1, 32), "output_layer.bias": (1,)},
            {},
            "say whether they are those of C3 or of ChID",
        ),
        ({"output_layer.weight": (6, 32), "output_layer.bias": (6,)}, {}, "give its label2id.json with --labels"),
        (TWO, {"task": "bert"}, "'task'"),
    ],
)
def test_heads_that_do_not_fit_their_task(heads: Any, options: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(TPError, match=message):
        Home(tmp_path, heads).convert(**options)
