"""Search between pictures and texts, and how well pairs are found."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

import tp_core
from tests.core import runs
from tests.crossmodal.pictures import VOCABULARY, captioned, png
from tp_core.cli.main import cli
from tp_core.errors import DataError, TPError
from tp_core.inference import ranking
from tp_core.inference.collection import Collection, Items
from tp_core.inference.retrieve import Searcher, measured, retrieve
from tp_core.interfaces import Record

PATCH = {"patch": {"image_size": 8, "patch_size": 4, "channels": 1}}
SMALL: dict[str, Any] = {"transformer": {"num_layers": 1, "num_heads": 2}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained model of pictures and texts (``run``), its data (``pairs.jsonl``), and pictures alone (``photos``)."""
    root = tmp_path_factory.mktemp("retrieval")
    (root / "photos").mkdir()
    lines = []
    for number, record in enumerate(captioned(6)):
        file = root / "photos" / f"{number}.png"
        file.write_bytes(record["image"])
        lines.append(json.dumps({"image": f"photos/{number}.png", "text": record["text"]}))
    (root / "pairs.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (root / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    spec = {
        "tp": 1,
        "model": {
            "hidden_size": 16,
            "streams": {
                "text": {"embedding": ["word", {"pos": {"max_length": 16}}], "encoder": SMALL, "pooling": "last"},
                "image": {"embedding": [PATCH, "patch_pos"], "encoder": SMALL},
            },
            "target": [{"clr": {"projection_size": 8}}],
        },
        "data": {
            "tokenizer": {"space": {"vocab": "vocab.txt"}},
            "processor": {"image_text_pair": {"max_length": 16}},
            "train": "pairs.jsonl",
            "cache": "cache",
        },
        "train": {"steps": 3, "batch_size": 6, "optimizer": {"adamw": {"lr": 0.01}}},
    }
    (root / "spec.yaml").write_text(yaml.safe_dump(spec, sort_keys=False), encoding="utf-8")
    tp_core.train(tp_core.load_spec(root / "spec.yaml"), root / "run")
    return root


def tp(*arguments: str | Path) -> tuple[int, str]:
    """Exit status of a command, and what it prints or, if it fails, says."""
    result = CliRunner().invoke(cli, [str(each) for each in arguments])
    return result.exit_code, result.stderr if result.exit_code else result.stdout


def made(similarity: list[list[float]], truth: list[int]) -> Collection:
    """A collection of given similarities of pictures (rows) and texts, with the number of each picture's text or -1."""
    return collection([[*row] for row in similarity], [(n, own) for n, own in enumerate(truth) if own >= 0])


def collection(similarity: list[list[float]], pairs: list[tuple[int, int]]) -> Collection:
    """A collection of given similarities of pictures (rows) and texts."""
    images = np.array(similarity, dtype=np.float32)
    names = [str(n) for n in range(len(images))]
    texts = np.eye(images.shape[1], dtype=np.float32)
    second = Items([str(n) for n in range(len(texts))], texts)
    return Collection(Items(names, images), second, np.array(pairs, int).reshape(-1, 2))


def recall(found: Collection, ranks: Iterable[int] = (1, 5, 10)) -> dict[str, float]:
    """The shares of queries that find a right answer, without the mean reciprocal ranks."""
    values = measured(found, ("image", "text"), ranks)
    return {name: value for name, value in values.items() if not name.endswith("/mrr")}


def test_recall_counts_own_texts_of_pictures_and_any_picture_of_texts() -> None:
    found = recall(made([[0.9, 0.1, 0.0], [0.2, 0.3, 0.8], [0.1, 0.7, 0.2], [0.0, 0.9, 0.5]], [0, 1, 1, 2]), (1, 2, 3))
    assert found == {
        "image_to_text/recall@1": 0.5,
        "image_to_text/recall@2": 1.0,
        "image_to_text/recall@3": 1.0,
        # text 0: picture 0; text 1: picture 3 is before picture 2; text 2: picture 1 is before picture 3
        "text_to_image/recall@1": pytest.approx(1 / 3),
        "text_to_image/recall@2": 1.0,
        "text_to_image/recall@3": 1.0,
    }


def recall_of_pairs(scores: Any, pairs: set[tuple[int, int]], k: int) -> tuple[float, float]:
    """Recall@k as LAION's clip_benchmark counts it: rows are texts there."""
    images, texts = scores.shape
    positive = np.zeros((texts, images), bool)
    for image, text in pairs:
        positive[text, image] = True

    def some(similarity: Any, right: Any) -> float:
        best = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
        return float(np.mean(np.take_along_axis(right, best, axis=1).any(axis=1)))

    return some(scores, positive.T), some(scores.T, positive)


@pytest.mark.parametrize("block", [1, 60, 1 << 24])
def test_recall_of_several_texts_of_pictures_and_pictures_of_texts(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(ranking, "_BLOCK", block)
    draws = np.random.default_rng(3)
    scores = draws.permutation(20 * 50).reshape(20, 50) / 1000
    pairs = {(image, 2 * image + more) for image in range(20) for more in range(5)}  # texts of two or three pictures
    pairs = {(image, text % 50) for image, text in pairs} | {(19, text) for text in range(44, 50)}
    found = recall(collection(scores.tolist(), sorted(pairs, key=lambda pair: (pair[1], -pair[0]))))
    for k in (1, 5, 10):
        ours = found[f"image_to_text/recall@{k}"], found[f"text_to_image/recall@{k}"]
        assert ours == pytest.approx(recall_of_pairs(scores.astype(np.float32), pairs, k))


def test_a_model_that_tells_nothing_apart_recalls_nothing() -> None:
    found = recall(made([[0.5] * 4] * 4, [0, 1, 2, 3]), (1, 3))
    assert set(found.values()) == {0.0}


def test_recall_leaves_pictures_without_a_text_out_and_needs_some_with_one() -> None:
    assert recall(made([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]], [0, -1, 1]), (1,))["text_to_image/recall@1"] == 1.0
    with pytest.raises(DataError, match="recall needs pairs, and no record has items on both sides"):
        recall(made([[1.0]], [-1]))


def test_recall_is_the_same_however_few_similarities_fit_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = np.random.default_rng(0)
    similarity, truth = draws.normal(size=(40, 9)).round(1), draws.integers(9, size=40)
    collection = made(similarity.tolist(), truth.tolist())
    whole = recall(collection)
    places = [sum(row >= row[own]) - 1 for row, own in zip(similarity, truth)]
    assert whole["image_to_text/recall@5"] == pytest.approx(np.mean([place < 5 for place in places]))
    monkeypatch.setattr(ranking, "_BLOCK", 20)
    assert recall(collection) == whole


def test_vectors_that_are_no_numbers_recall_nothing() -> None:
    assert set(recall(made([[float("nan")] * 3] * 3, [0, 1, 2]), (1, 2)).values()) == {0.0}


def test_vectors_are_those_that_the_model_was_trained_with(folder: Path) -> None:
    loaded = tp_core.load_model(folder / "run", "cpu")
    records = [Record(record, "records", n) for n, record in enumerate(captioned(4), 1)]
    searcher = Searcher(loaded, batch_size=3)
    collection = searcher.collect(records)
    assert loaded.processor is not None
    batch = loaded.processor.collate(loaded.processor.encode(records))
    target: Any = loaded.model.targets["clr"]
    text, image = (v.detach().numpy() for v in target.vectors(loaded.model.encode(batch)))
    assert np.abs(collection.first.vectors - image).max() < 1e-6
    assert np.abs(collection.second.vectors - text).max() < 1e-6
    assert collection.pairs.tolist() == [[0, 0], [1, 1], [2, 2], [3, 3]]


@pytest.mark.parametrize("form", ["records", "lists", "bytes"])
def test_the_captions_of_a_picture_are_texts_of_one_picture(folder: Path, tmp_path: Path, form: str) -> None:
    records: list[dict[str, Any]]
    words = ["a one", "a two", "a three", "one", "two", "three"]
    rows = [(number, f"{words[number % 6]} {words[more]}") for number in range(6) for more in range(5)]
    files = [folder / "photos" / f"{number}.png" for number in range(6)]
    if form == "records":
        # Each second time the file has another name.
        (tmp_path / "link").symlink_to(folder / "photos")
        own = [str(tmp_path / "link" / f"{n}.png" if i % 2 else files[n]) for i, (n, _) in enumerate(rows)]
        records = [{"image": name, "text": text} for name, (_, text) in zip(own, rows)]
    elif form == "bytes":
        records = [{"image": files[number].read_bytes(), "text": text} for number, text in rows]
    else:
        records = [
            {"image": str(file), "text": [text for n, text in rows if n == number]} for number, file in enumerate(files)
        ]
    loaded = tp_core.load_model(folder / "run", "cpu")
    found = Searcher(loaded).collect([Record(record, "pairs", 1) for record in records])
    assert (len(found.first.names), len(found.second.names)) == (6, 30)
    assert found.pairs.tolist() == [[number // 5, number] for number in range(30)]
    assert recall(found, (30,))["image_to_text/recall@30"] == 1.0


def test_one_text_may_belong_to_several_pictures(folder: Path) -> None:
    records = [Record({"image": str(folder / "photos" / f"{n}.png"), "text": "a one"}, "pairs", n) for n in range(6)]
    found = Searcher(tp_core.load_model(folder / "run", "cpu")).collect(records)
    assert found.pairs.tolist() == [[number, 0] for number in range(6)]
    assert set(recall(found, (1,)).values()) == {1.0}


def test_the_command_prints_recall_of_the_pairs_of_a_file(folder: Path) -> None:
    status, output = tp("retrieve", folder / "run", "--data", folder / "pairs.jsonl", "--json")
    assert status == 0
    found = json.loads(output)
    names = ("recall@1", "recall@5", "recall@10", "mrr")
    assert list(found) == [f"{d}/{name}" for d in ("image_to_text", "text_to_image") for name in names]
    assert found["image_to_text/recall@10"] == 1.0
    status, output = tp("retrieve", folder / "run", "--data", folder / "pairs.jsonl")
    assert output.splitlines()[2].split() == ["image_to_text/recall@10", "100.0%"]


def test_a_text_finds_pictures_of_a_folder_and_a_picture_finds_texts(folder: Path) -> None:
    data = ["--data", folder / "photos"]
    status, output = tp("retrieve", folder / "run", *data, "--query", "a three", "--top", "2", "--json")
    assert status == 0
    answers = json.loads(output)
    assert [Path(answer["name"]).parent for answer in answers] == [folder / "photos"] * 2
    assert answers[0]["similarity"] >= answers[1]["similarity"]
    query = ["--query", folder / "photos" / "3.png", "--top", "1"]
    status, output = tp("retrieve", folder / "run", "--data", folder / "pairs.jsonl", *query)
    assert status == 0
    assert output.split(maxsplit=1)[1].strip() in {record["text"] for record in captioned(6)}


def test_a_picture_finds_texts_of_data_without_pictures(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "captions.tsv").write_text("text\na one\na three\na one\n", encoding="utf-8")
    query: list[str | Path] = ["--query", folder / "photos" / "3.png", "--json"]
    status, output = tp("retrieve", folder / "run", "--data", tmp_path / "captions.tsv", *query)
    assert status == 0
    assert sorted(answer["name"] for answer in json.loads(output)) == ["a one", "a three"]


def test_a_query_may_be_longer_than_the_name_of_a_file(folder: Path) -> None:
    long: list[str | Path] = ["--query", "a three " * 100, "--top", "1"]
    assert tp("retrieve", folder / "run", "--data", folder / "photos", *long)[0] == 0


def test_pictures_that_cannot_be_used_are_named_and_left_out_where_the_spec_skips_them(
    folder: Path,
) -> None:
    loaded = tp_core.load_model(folder / "run", "cpu")
    records = [Record(record, "pairs", n) for n, record in enumerate(captioned(4), 1)]
    records[1].value["image"] = b"no picture"
    with pytest.raises(DataError, match=r"pairs:2: .* it is not a picture"):
        Searcher(loaded).collect(records)
    del records[2].value["image"]
    data = loaded.spec.data
    options = data.options.model_copy(update={"on_bad_record": "skip"})
    skipping = replace(loaded.spec, data=replace(data, options=options))
    skipped: list[str] = []
    collection = Searcher(replace(loaded, spec=skipping)).collect(records, skipped)
    assert collection.second.names == [records[0].value["text"], records[3].value["text"]]
    assert [line.split(": ")[0] for line in skipped] == ["pairs:2", "pairs:3"]


def test_embedding_records_without_the_stream_says_which_there_is(folder: Path, tmp_path: Path) -> None:
    command: list[str | Path] = ["embed", folder / "run", "--input", folder / "photos", "--output"]
    status, said = tp(*command, tmp_path / "vectors.npy")
    assert status == 2
    assert "0.png:1: the record has nothing for the stream 'text', only for image (--stream)" in said
    assert tp(*command, tmp_path / "vectors.npy", "--stream", "image")[0] == 0
    assert np.load(tmp_path / "vectors.npy").shape == (6, 8)


def test_what_cannot_be_searched_is_said_in_one_line(folder: Path, tmp_path: Path) -> None:
    query = ["--query", folder / "photos" / "1.png"]
    status, said = tp("retrieve", folder / "run", "--data", folder / "photos", *query)
    assert status == 2
    assert "the query is a picture, which needs texts to search in, but the data has no texts (the field text)" in said
    status, said = tp("retrieve", folder / "run", "--data", folder / "photos", "--query", "lost.png")
    assert status == 2
    assert "--query lost.png: there is no such file" in said
    (tmp_path / "pairs.jsonl").write_text('{"text": "a one"}\n', encoding="utf-8")
    status, said = tp("retrieve", folder / "run", "--data", tmp_path / "pairs.jsonl", "--query", " ")
    assert status == 2
    assert "the query is empty; expected a text, or the file of a picture" in said
    status, said = tp("retrieve", folder / "run", "--data", tmp_path / "pairs.jsonl")
    assert status == 2
    assert f"{tmp_path / 'pairs.jsonl'}:1: no field 'image'; the fields are text" in said


def test_a_model_that_is_being_trained_finds_the_same_and_is_left_so(folder: Path) -> None:
    loaded = tp_core.load_model(folder / "run", "cpu")
    records = [Record(record, "pairs", n) for n, record in enumerate(captioned(4), 1)]
    expected = Searcher(loaded).collect(records)
    loaded.model.train()
    found = Searcher(loaded).collect(records)
    assert np.array_equal(found.first.vectors, expected.first.vectors)
    assert np.array_equal(found.second.vectors, expected.second.vectors)
    assert all(module.training for module in loaded.model.modules())


def test_a_model_that_compares_no_vectors_is_refused(folder: Path) -> None:
    loaded = tp_core.load_model(folder / "run", "cpu")
    bare = replace(loaded.spec, model=loaded.spec.model._replace(targets=()))
    message = r"streams image and text, .* no target has learned to compare them \(clr does\); .* targets are none"
    with pytest.raises(TPError, match=message):
        retrieve(replace(loaded, spec=bare), [Record({"image": png(0)}, "records", 1)])


@pytest.mark.parametrize(
    "query", [[], pytest.param(["--query", "a one"], marks=pytest.mark.slow), ["--query", "photos/1.png", "--top", "3"]]
)
def test_processes_that_share_the_pictures_answer_as_one_does(folder: Path, query: list[str]) -> None:
    command = ["retrieve", "run", "--data", "pairs.jsonl", "--batch-size", "2", "--device", "cpu", "--json", *query]
    assert runs.run_group(folder, *command) == runs.run_tp(folder, *command)
