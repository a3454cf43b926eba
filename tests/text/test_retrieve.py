"""``tp retrieve`` of texts: recall of pairs, nearest texts of queries, and correlations with labels."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from scipy import stats

import tp_core
from tests.core import runs
from tests.core.runs import SPECIAL
from tp_core.cli.main import cli
from tp_core.errors import DataError, TPError
from tp_core.inference.retrieve import Searcher, retrieve
from tp_core.interfaces import Record

WORDS = [f"w{number}" for number in range(24)]
#: Questions and answers; the question of each answer is the one with the same numbers.
PAIRS = [(f"w{a} w{b}", f"w{a + 12} w{b + 12} w{a}") for a in range(6) for b in range(6) if a != b]


def write(folder: Path, name: str, model: dict[str, Any], processor: dict[str, Any], **more: Any) -> Path:
    spec = {
        "tp": 1,
        "model": {"hidden_size": 32, "dropout": 0.0, **model},
        "data": {
            "tokenizer": {"space": {"vocab": "vocab.txt"}},
            "processor": processor,
            "train": "pairs.tsv",
            "cache": "cache",
        },
        "train": {"steps": 60, "batch_size": 30, "optimizer": {"adamw": {"lr": 0.02}}, "loggers": [], "device": "cpu"},
        **more,
    }
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(spec, sort_keys=False), encoding="utf-8")
    return file


SIDE = {"embedding": {"modules": ["word"], "norm": "none", "dropout": 0.0}, "encoder": "gru", "pooling": "mean"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs (``pairs.tsv``), a contrastive model of two streams (``run``), and a BERT of one stream (``one``)."""
    root = tmp_path_factory.mktemp("retrieve")
    (root / "vocab.txt").write_text("\n".join([*SPECIAL, *WORDS]) + "\n", encoding="utf-8")
    lines = ["text_a\ttext_b\tlabel", *(f"{a}\t{b}\t{n % 5}" for n, (a, b) in enumerate(PAIRS))]
    (root / "pairs.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (root / "answers.txt").write_text("\n".join(b for _, b in PAIRS) + "\n", encoding="utf-8")
    clr = {"clr": {"temperature": 0.1, "learned_temperature": False}}
    file = write(root, "two", {"streams": {"q": SIDE, "a": SIDE}, "target": [clr]}, {"pair": {"max_length": 8}})
    tp_core.train(tp_core.load_spec(file), root / "run")
    body = {"embedding": ["word", {"pos": {"max_length": 12}}], "encoder": {"transformer": {"num_heads": 2}}}
    prompts = {"embed": {"prompts": {"query": "w1 w2 ", "text": "w3 "}}}
    train = {"steps": 1, "batch_size": 4, "loggers": [], "device": "cpu"}
    file = write(root, "bert", {**body, "init_std": 0.3, "target": ["mlm"]}, {"mlm": {"max_length": 12}}, train=train)
    spec = yaml.safe_load(file.read_text())
    spec["data"]["train"], spec["inference"], spec["model"]["num_layers"] = "answers.txt", prompts, 1
    file.write_text(yaml.safe_dump(spec, sort_keys=False))
    tp_core.train(tp_core.load_spec(file), root / "one")
    return root


def tp(*arguments: str | Path) -> tuple[int, str]:
    """Exit status of a command, and what it prints or, if it fails, says."""
    result = CliRunner().invoke(cli, [str(each) for each in arguments])
    return result.exit_code, result.stderr if result.exit_code else result.stdout


def records(pairs: list[tuple[str, str]]) -> list[Record]:
    return [Record({"text_a": a, "text_b": b}, "pairs", n) for n, (a, b) in enumerate(pairs, 1)]


# -- recall ----------------------------------------------------------------------------------------------------------


def test_the_pairs_of_a_trained_model_are_found(home: Path) -> None:
    status, output = tp("retrieve", home / "run", "--data", home / "pairs.tsv", "--json")
    assert status == 0
    found = json.loads(output)
    names = ("recall@1", "recall@5", "recall@10", "mrr")
    assert list(found) == [f"{way}/{name}" for way in ("text_a_to_text_b", "text_b_to_text_a") for name in names]
    assert found["text_a_to_text_b/recall@5"] > 0.9
    assert found["text_a_to_text_b/recall@1"] <= found["text_a_to_text_b/mrr"] <= 1.0
    status, output = tp("retrieve", home / "run", "--data", home / "pairs.tsv")
    assert output.splitlines()[2].split()[0] == "text_a_to_text_b/recall@10"
    assert output.splitlines()[3].split()[0] == "text_a_to_text_b/mrr"


def test_equal_texts_are_one_item_and_each_answer_of_a_question_is_right(home: Path) -> None:
    given = [("w1", "w2"), ("w1", "w3"), ("w4", "w3"), ("w1", "w2"), ("w5", "w6")]
    searcher = Searcher(tp_core.load_model(home / "run", "cpu"))
    found = searcher.collect(records(given))
    assert found.first.names == ["w1", "w4", "w5"]
    assert found.second.names == ["w2", "w3", "w6"]
    assert found.pairs.tolist() == [[0, 0], [0, 1], [1, 1], [2, 2]]


def test_vectors_are_those_of_the_streams_and_their_ranks_are_those_of_sorting(home: Path) -> None:
    loaded = tp_core.load_model(home / "run", "cpu")
    one = tp_core.embed(loaded, [{"text_a": a} for a, _ in PAIRS], stream="q")
    other = tp_core.embed(loaded, [{"text_b": b} for _, b in PAIRS], stream="a")
    found = Searcher(loaded, batch_size=7).collect(records(PAIRS))
    assert np.abs(found.first.vectors - one).max() < 1e-6
    assert np.abs(found.second.vectors - other).max() < 1e-6
    ranks = [(row > row[n]).sum() for n, row in enumerate(one.astype(np.float64) @ other.T.astype(np.float64))]
    measured = retrieve(loaded, records(PAIRS))
    assert isinstance(measured, dict)
    assert measured["text_a_to_text_b/recall@1"] == pytest.approx(np.mean([rank < 1 for rank in ranks]))
    assert measured["text_a_to_text_b/mrr"] == pytest.approx(np.mean([1 / (rank + 1) for rank in ranks]))


def test_one_stream_embeds_both_texts(home: Path) -> None:
    loaded = tp_core.load_model(home / "one", "cpu")
    found = Searcher(loaded).collect(records(PAIRS[:9]))
    assert np.abs(found.second.vectors - tp_core.embed(loaded, [b for _, b in PAIRS[:9]])).max() < 1e-6
    alike = retrieve(loaded, records([(b, b) for _, b in PAIRS]))
    assert set(alike.values()) == {1.0}  # type: ignore[union-attr]


def test_prompts_stand_before_the_queries_and_before_the_texts(home: Path) -> None:
    loaded = tp_core.load_model(home / "one", "cpu")
    found = Searcher(loaded, prompt="text", query_prompt="query").collect(records(PAIRS[:5]))
    assert np.abs(found.first.vectors - tp_core.embed(loaded, [f"w1 w2 {a}" for a, _ in PAIRS[:5]])).max() < 1e-6
    assert np.abs(found.second.vectors - tp_core.embed(loaded, [f"w3 {b}" for _, b in PAIRS[:5]])).max() < 1e-6
    with pytest.raises(TPError, match="there is no prompt 'querry'; did you mean 'query'"):
        Searcher(loaded, query_prompt="querry")


@pytest.mark.parametrize("by", ["cosine", "dot", "euclidean", "manhattan"])
def test_vectors_are_compared_as_asked(home: Path, by: Any) -> None:
    loaded = tp_core.load_model(home / "one", "cpu")
    vectors = tp_core.embed(loaded, [b for _, b in PAIRS]).astype(np.float64)
    query = tp_core.embed(loaded, "w1 w5")[0].astype(np.float64)
    wanted = {
        "cosine": vectors @ query / np.linalg.norm(vectors, axis=1) / np.linalg.norm(query),
        "dot": vectors @ query,
        "euclidean": -np.linalg.norm(vectors - query, axis=1),
        "manhattan": -np.abs(vectors - query).sum(axis=1),
    }[by]
    found = retrieve(loaded, records(PAIRS), "w1 w5", top=3, by=by)
    best = np.argsort(-wanted)[:3]
    assert [each["name"] for each in found] == [PAIRS[n][1] for n in best]  # type: ignore[index]
    assert [each["similarity"] for each in found] == pytest.approx(wanted[best], rel=1e-5)  # type: ignore[index]


def test_the_similarity_of_the_spec_is_the_default(home: Path) -> None:
    loaded = tp_core.load_model(home / "one", "cpu")
    assert Searcher(loaded).by == "cosine"
    inference = loaded.spec.inference
    embed = inference.embed.model_copy(update={"similarity": "dot"})
    spec = replace(loaded.spec, inference=replace(inference, embed=embed))
    assert Searcher(replace(loaded, spec=spec)).by == "dot"
    assert Searcher(replace(loaded, spec=spec), by="cosine").by == "cosine"


# -- queries ---------------------------------------------------------------------------------------------------------


def test_a_query_finds_texts_of_the_other_side_or_of_its_own(home: Path) -> None:
    data = ["retrieve", home / "run", "--data", home / "pairs.tsv", "--query", PAIRS[7][0], "--json"]
    status, output = tp(*data, "--top", "3")
    assert status == 0
    found = json.loads(output)
    assert len(found) == 3
    assert PAIRS[7][1] in [each["name"] for each in found]
    status, output = tp(*data, "--top", "1", "--search", "text_a")
    assert json.loads(output) == [{"name": PAIRS[7][0], "similarity": pytest.approx(1.0, abs=1e-5)}]
    status, said = tp(*data, "--search", "text_c")
    assert status == 2
    assert "there is no side 'text_c' to search in; the sides are text_a and text_b" in said


def test_a_query_searches_in_the_lines_of_a_plain_text(home: Path, tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("w1 w2\n\nw3 w4\nw1 w2\n", encoding="utf-8")
    found = tp("retrieve", home / "run", "--data", tmp_path / "lines.txt", "--query", "w3 w4")[1]
    assert [line.split(maxsplit=1)[1] for line in found.splitlines()] == ["w3 w4", "w1 w2"]


def test_many_queries_are_answered_in_their_order(home: Path, tmp_path: Path) -> None:
    asked = [PAIRS[3][0], "", PAIRS[11][0]]
    (tmp_path / "asked.txt").write_text("\n".join(asked) + "\n", encoding="utf-8")
    command: list[str | Path] = ["retrieve", home / "run", "--data", home / "pairs.tsv", "--top", "2"]
    out = tmp_path / "found.jsonl"
    assert tp(*command, "--queries", tmp_path / "asked.txt", "--output", out, "--keep", "text")[0] == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["row"] for row in rows] == [1, 2, 3]
    assert [row["input_text"] for row in rows] == asked
    assert rows[1]["nearest"] == []
    for number in (0, 2):
        alone = json.loads(tp(*command, "--query", asked[number], "--json")[1])
        assert rows[number]["nearest"] == [
            {"name": each["name"], "similarity": pytest.approx(each["similarity"], abs=1e-6)} for each in alone
        ]
    status, said = tp(*command, "--queries", tmp_path / "asked.txt", "--output", out)
    assert status == 2
    assert "the file exists; --overwrite replaces it" in said


def test_queries_of_text_b_search_in_text_a(home: Path, tmp_path: Path) -> None:
    (tmp_path / "asked.tsv").write_text(f"text_b\n{PAIRS[5][1]}\n", encoding="utf-8")
    queries = ["--queries", tmp_path / "asked.tsv", "--top", "4"]
    status, output = tp("retrieve", home / "run", "--data", home / "pairs.tsv", *queries)
    assert status == 0
    assert PAIRS[5][0] in [each["name"] for each in json.loads(output)["nearest"]]


def test_columns_have_other_names(home: Path, tmp_path: Path) -> None:
    rows = "\n".join(f"{a}\t{b}" for a, b in PAIRS)
    (tmp_path / "faq.tsv").write_text(f"question\tanswer\n{rows}\n", encoding="utf-8")
    (tmp_path / "asked.tsv").write_text(f"question\n{PAIRS[0][0]}\n", encoding="utf-8")
    columns = ["--column", "text_a=question", "--column", "text_b=answer"]
    data = ["retrieve", home / "run", "--data", tmp_path / "faq.tsv", *columns]
    assert json.loads(tp(*data, "--json")[1]) == json.loads(
        tp("retrieve", home / "run", "--data", home / "pairs.tsv", "--json")[1]
    )
    status, output = tp(*data, "--queries", tmp_path / "asked.tsv", "--top", "1")
    assert status == 0
    assert len(json.loads(output)["nearest"]) == 1


# -- correlation -----------------------------------------------------------------------------------------------------


def test_correlations_are_those_of_the_similarities_with_the_labels(home: Path) -> None:
    status, output = tp("retrieve", home / "one", "--data", home / "pairs.tsv", "--correlation", "--json")
    assert status == 0
    one, other = (tp_core.embed(home / "one", [pair[side] for pair in PAIRS]).astype(np.float64) for side in (0, 1))
    cosine = (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    labels = [n % 5 for n in range(len(PAIRS))]
    found = json.loads(output)
    assert found["spearman"] == pytest.approx(stats.spearmanr(cosine, labels).statistic, abs=1e-5)
    assert found["pearson"] == pytest.approx(stats.pearsonr(cosine, labels).statistic, abs=1e-5)


def test_equal_labels_have_no_correlation(home: Path, tmp_path: Path) -> None:
    (tmp_path / "sts.tsv").write_text("text_a\ttext_b\tlabel\nw1\tw2\t3\nw2\tw4\t3\n", encoding="utf-8")
    status, output = tp("retrieve", home / "one", "--data", tmp_path / "sts.tsv", "--correlation", "--json")
    assert status == 0
    assert json.loads(output) == {"pearson": None, "spearman": None}


# -- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("text_a\nw1\n", [], "data.tsv:2: no field 'text_b'; the fields are text_a"),
        ("text_a\ttext_b\nw1\t \n", [], "data.tsv:2: 'text_b' is empty"),
        ("text_a\ttext_b\nw1\tw2\n", ["--correlation"], "data.tsv:2: no field 'label'"),
        (
            "text_a\ttext_b\tlabel\nw1\tw2\tn/a\n",
            ["--correlation"],
            "data.tsv:2: expected a finite number in 'label', got 'n/a'",
        ),
        ("text_a\ttext_b\n", [], "there is nothing to search in: no record"),
        ("text_a\ttext_b\nw1\tw2\n", ["--query", "  "], "the query is empty; expected a text"),
        ("text_a\ttext_b\nw1\tw2\n", ["--query", "w1", "--correlation"], "give either --query or --correlation"),
        ("text_a\ttext_b\nw1\tw2\n", ["--top", "3"], "--top belongs to --query or --queries"),
        ("text_a\ttext_b\nw1\tw2\n", ["--query", "w1", "--keep", "text"], "--keep belongs to --queries"),
        ("text_a\ttext_b\nw1\tw2\n", ["--query", "w1", "--output-form", "jsonl"], "--output-form belongs to --queries"),
        ("text_a\ttext_b\nw1\tw2\n", ["--queries", "lost.txt"], "--queries lost.txt: there is no such file"),
    ],
)
def test_what_cannot_be_searched_is_said_with_its_place(
    home: Path, tmp_path: Path, content: str, options: list[str], message: str
) -> None:
    (tmp_path / "data.tsv").write_text(content, encoding="utf-8")
    status, said = tp("retrieve", home / "run", "--data", tmp_path / "data.tsv", *options)
    assert status == 2
    assert message in said


def test_records_that_cannot_be_used_are_left_out_where_the_spec_skips_them(home: Path) -> None:
    loaded = tp_core.load_model(home / "run", "cpu")
    options = loaded.spec.data.options.model_copy(update={"on_bad_record": "skip"})
    skipping = replace(loaded, spec=replace(loaded.spec, data=replace(loaded.spec.data, options=options)))
    given = records([("w1", "w2"), ("w3", ""), ("w4", "w5")])
    given[2].value["text_b"] = ["w5"]
    with pytest.raises(DataError, match="pairs:2: 'text_b' is empty"):
        Searcher(loaded).collect(given)
    errors: list[str] = []
    found = Searcher(skipping).collect(given, errors)
    assert (found.first.names, found.second.names, found.pairs.tolist()) == (["w1"], ["w2"], [[0, 0]])
    assert [error.split(": ")[0] for error in errors] == ["pairs:2", "pairs:3"]
    answers = list(Searcher(skipping).search([Record({"text": ["w1"]}, "asked", 1), *records([("w1", "")])], given))
    assert getattr(answers[0], "error", "").startswith("asked:1: expected a text in 'text'")
    assert [each["name"] for each in answers[1]] == ["w2"]  # type: ignore[union-attr]


def test_streams_of_their_own_need_a_target_that_compares_them(home: Path, tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text((home / "vocab.txt").read_text())
    (tmp_path / "pairs.tsv").write_text((home / "pairs.tsv").read_text())
    processor = {"pair": {"max_length": 8, "labelled": "class"}}
    target: list[Any] = [{"cls": {"num_labels": 5}}]
    for name, other in (("own", SIDE), ("shared", "q")):
        file = write(tmp_path, name, {"streams": {"q": SIDE, "a": other}, "target": target}, processor)
        tp_core.train(tp_core.load_spec(file, overrides=["train.steps=1"]), tmp_path / name)
    status, said = tp("retrieve", tmp_path / "own", "--data", home / "pairs.tsv")
    assert status == 2
    assert "the streams q and a, which have weights of their own, and no target has learned to compare them" in said
    assert tp("retrieve", tmp_path / "shared", "--data", home / "pairs.tsv")[0] == 0


def test_a_processor_without_two_sides_is_refused(home: Path) -> None:
    loaded = tp_core.load_model(home / "one", "cpu")
    with pytest.raises(TPError, match="retrieval needs a processor of texts, or of pictures with texts"):
        Searcher(replace(loaded, processor=None))


@pytest.mark.parametrize("more", [[], ["--correlation"], ["--query", "w1 w2", "--top", "3"]])
def test_processes_that_share_the_texts_answer_as_one_does(home: Path, more: list[str]) -> None:
    command = ["retrieve", "run", "--data", "pairs.tsv", "--batch-size", "4", "--device", "cpu", "--json", *more]
    assert runs.run_group(home, *command) == runs.run_tp(home, *command)


def test_processes_share_many_queries(home: Path, tmp_path: Path) -> None:
    (tmp_path / "asked.txt").write_text("".join(f"{a}\n" for a, _ in PAIRS), encoding="utf-8")
    command = ["retrieve", "run", "--data", "pairs.tsv", "--batch-size", "4", "--device", "cpu", "--top", "2"]
    asked = ["--queries", str(tmp_path / "asked.txt"), "--output"]
    runs.run_group(home, *command, *asked, str(tmp_path / "two.jsonl"))
    runs.run_tp(home, *command, *asked, str(tmp_path / "one.jsonl"))
    assert (tmp_path / "two.jsonl").read_text() == (tmp_path / "one.jsonl").read_text()
