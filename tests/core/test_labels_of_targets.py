"""Labels belong to a target by its own name: two classifiers in one model read different columns of one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from tests.core import runs
from tp_core import Batch, Record, build_model, evaluate, load_model, load_spec, predict
from tp_core.data.build import build_processor, build_tokenizer
from tp_core.data.cache.prepared import prepared_rows
from tp_core.data.routing import Route, route_of
from tp_core.data.sampling.order import TRAIN, generator
from tp_core.errors import TPError
from tp_core.spec.errors import SpecError

#: The settings that say which target reads which column, and the names of the classes that have names.
OWN = ["data.labels={parity: first, length: words}", "data.processor.cls.labels={length: [none, one, two]}"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sentences with two labels: whether their first word has an even number, and how many words follow."""
    folder = runs.write_project(tmp_path_factory.mktemp("labels"), log_every=4, eval_every=8)
    lines = ["text\tfirst\twords"]
    for n in range(60):
        words = runs.WORDS[n % 9 : n % 9 + 2 + n % 3]
        names = ("none", "one", "two")
        lines.append(f"{' '.join(words)}\t{runs.WORDS.index(words[0]) % 2}\t{names[len(words) - 2]}")
    (folder / "both.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    spec = runs.read_spec(folder)
    spec["model"]["target"] = [
        {"cls": {"name": "parity", "num_labels": 2, "hidden_layer": False}},
        {"cls": {"name": "length", "num_labels": 3, "hidden_layer": False}},
    ]
    spec["data"] |= {
        "train": "both.tsv",
        "eval": "both.tsv",
        "processor": {"cls": {"max_length": 16}},
    }
    runs.write_spec(folder, spec)
    return folder


def problems(home: Path, *overrides: str) -> str:
    with pytest.raises(SpecError) as caught:
        load_spec(home / "spec.yaml", list(overrides))
    return str(caught.value)


def test_each_target_gets_the_labels_of_its_column(home: Path) -> None:
    spec = load_spec(home / "spec.yaml", OWN)
    processor = build_processor(spec, build_tokenizer(spec))
    assert processor is not None
    rows = prepared_rows(spec, processor, str(home / "both.tsv"))
    samples = [processor.sample(rows, n, generator(0, TRAIN, 0, n)) for n in range(len(rows))]
    batch = route_of(spec)(processor.collate(samples))
    lines = [line.split("\t") for line in (home / "both.tsv").read_text().splitlines()[1:]]
    found = {name: labels["labels"].tolist() for name, labels in batch.labels.items()}
    assert found == {
        "parity": [int(first) for _, first, _ in lines],
        "length": [["none", "one", "two"].index(words) for _, _, words in lines],
    }


def test_both_are_trained_on_the_same_batches_and_predict_their_own_classes(home: Path) -> None:
    runs.train(home, "--run", "run", *OWN, "train.steps=120", "train.optimizer.adamw.lr=3e-3")
    model = load_model(home / "run", "cpu")
    figures = evaluate(model, home / "both.tsv")
    assert figures["parity/accuracy"] > 0.7  # 55 of 100 are even
    assert figures["length/accuracy"] > 0.7  # a third each
    (found,) = predict(model, [{"text": " ".join(runs.WORDS[1:5])}])
    named = found["length"]["probabilities"]
    assert list(named) == ["none", "one", "two"]
    assert found["length"]["label"] == max(named, key=named.__getitem__)
    assert found["parity"]["label"] in (0, 1)


def test_one_label_goes_to_every_target_that_asks_for_its_kind(home: Path) -> None:
    spec = load_spec(home / "spec.yaml", ["data.columns={label: first}", "model.target.length.num_labels=2"])
    route = route_of(spec)
    assert route.labels == {"parity": ("cls",), "length": ("cls",)}
    labels = {"labels": torch.tensor([1])}
    batch = route(Batch.of({"input_ids": torch.zeros(1, 2).long()}, 1, labels={"cls": labels}))
    assert batch.labels == {"parity": labels, "length": labels}


def test_targets_of_one_label_have_the_same_number_of_classes(home: Path) -> None:
    found = problems(home, "data.columns={label: first}")
    assert "model.target.length.num_labels is 3, and that of parity is 2" in found
    assert "give each a column of its own in data.labels" in found


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            ["data.labels={parity: first}"],
            "data.processor.cls provides cls (of parity) only; name its column: data.labels.length",
        ),
        ([OWN[0], "data.processor.cls.labels={length: [a, b, c], parity: odd}"], "or one of these for each target"),
        (["data.labels={parity: first, lengt: words}"], "the model has no target 'lengt'; did you mean 'length'?"),
        ([OWN[0], "data.processor.cls.labels={lenght: [a, b, c]}"], "'lenght' is no target of data.labels"),
        (
            [OWN[0], "data.processor.cls.labels={length: [a, b]}"],
            "names 2 classes, but model.target.length.num_labels is 3",
        ),
        (["data.processor=mlm", "model.target=[mlm]", "data.labels={mlm: first}"], "'mlm' makes no labels for each"),
    ],
)
def test_what_does_not_fit_is_said_at_its_place(home: Path, settings: list[str], said: str) -> None:
    assert said in problems(home, *settings)


def test_a_record_without_one_of_its_labels_is_named(home: Path) -> None:
    (home / "lacks.tsv").write_text("text\tfirst\nw1 w2\t1\n", encoding="utf-8")
    spec = load_spec(home / "spec.yaml", [*OWN, "data.train=lacks.tsv"])
    processor = build_processor(spec, build_tokenizer(spec))
    assert processor is not None
    with pytest.raises(TPError, match="no field 'words'; the fields are"):
        prepared_rows(spec, processor, str(home / "lacks.tsv"))


def test_a_target_without_labels_in_a_batch_says_so(home: Path) -> None:
    model = build_model(load_spec(home / "spec.yaml", OWN))
    batch = Batch.of({name: torch.zeros(1, 4).long() for name in ("input_ids", "token_type_ids")}, 1)
    with pytest.raises(TPError, match="the batch has no labels for the target 'parity'; it has those of: none"):
        model(batch)


def test_two_kinds_of_labels_of_one_target_are_joined_and_have_tensors_of_their_own() -> None:
    one, other = {"positions": torch.tensor([1])}, {"labels": torch.tensor([2])}
    inputs: Any = {"input_ids": torch.zeros(1, 2).long()}
    route = Route({"both": ("a", "b")})
    assert route(Batch.of(inputs, 1, labels={"a": one, "b": other})).labels == {"both": one | other}
    assert route(Batch.of(inputs, 1, labels={"a": one})).labels == {}
    with pytest.raises(TPError, match="two kinds of labels of the target 'both' have a tensor 'positions'"):
        route(Batch.of(inputs, 1, labels={"a": one, "b": one}))


def test_a_model_of_one_named_stream_is_fed_by_a_processor_of_one(home: Path) -> None:
    spec = runs.read_spec(home)
    only = {key: spec["model"].pop(key) for key in ("embedding", "encoder")}
    spec["model"] |= {"streams": {"only": only}, "target": [{"cls": {"stream": "only", "num_labels": 2}}]}
    spec["data"]["columns"] = {"label": "first"}
    (home / "named.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")
    loaded = load_spec(home / "named.yaml", ["train.steps=2", "train.eval_every=null", "data.eval=null"])
    processor = build_processor(loaded, build_tokenizer(loaded))
    assert processor is not None
    batch = route_of(loaded)(processor.collate(processor.encode([Record({"text": "ba be"}, "input", 1)])))
    assert list(batch.source) == ["only"]
    assert len(build_model(loaded).predict(batch)) == 1


def _two_sets(folder: Path, labels: dict[str, str], sets: dict[str, Any]) -> Path:
    cls = [{"cls": {"name": name, "num_labels": 2, "pooling": "mean"}} for name in ("topic", "tone")]
    model = {"hidden_size": 8, "embedding": ["word", "seg"], "encoder": "gru", "target": [*cls, "mlm", "sp"]}
    path = folder / "sets.yaml"
    path.write_text(yaml.safe_dump({"model": model, "data": {"labels": labels, "sets": sets}}))
    return path


def test_labels_beside_sets_are_those_of_each_sets_targets(tmp_path: Path) -> None:
    sets = {
        "reviews": {"processor": "cls", "targets": ["topic", "tone"]},
        "text": {"processor": "bert", "targets": ["mlm", "sp"]},
    }
    both = {"topic": "a", "tone": "b"}
    spec = load_spec(_two_sets(tmp_path, both, sets))
    assert {name: part.options.labels for name, part in spec.data.sets.items()} == {"reviews": both, "text": {}}
    with pytest.raises(SpecError, match=r"data\.labels\.topik: the model has no target 'topik'; did you mean 'topic'"):
        load_spec(_two_sets(tmp_path, {"topik": "a"}, sets))


def test_null_takes_an_inherited_label_out(tmp_path: Path) -> None:
    cls = [{"cls": {"name": name, "num_labels": 2, "pooling": "mean"}} for name in ("topic", "tone")]
    model = {"hidden_size": 8, "embedding": ["word", "seg"], "encoder": "gru", "target": cls}
    parent = {"model": model, "data": {"processor": "cls", "labels": {"topic": "a", "tone": "b"}}}
    child = {"extends": "parent.yaml", "model": {"target": cls[:1]}, "data": {"labels": {"tone": None}}}
    for name, content in {"parent": parent, "child": child}.items():
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(content))
    assert load_spec(tmp_path / "child.yaml").data.options.labels == {"topic": "a"}
    assert load_spec(tmp_path / "child.yaml", ["data.labels=null"]).data.options.labels == {}
