"""``tp neighbours``: the tokens whose vectors are nearest to those of a word."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

import tp_core
from tests.building import randomised
from tests.core.runs import SPECIAL
from tp_core.cli.main import cli
from tp_core.errors import TPError
from tp_text.neighbours import neighbours

WORDS = ["play", "##ing", "##er", "good", "great", "bad", "car", "##s", "sea"]
VOCABULARY = [*SPECIAL, *WORDS]
MODELS: dict[str, dict[str, Any]] = {
    "sgns": {"embedding": {"modules": ["word"], "norm": "none"}, "encoder": "identity", "target": ["sgns"]},
    "mlm": {
        "embedding": ["word", {"pos": {"max_length": 8}}],
        "encoder": {"transformer": {"num_heads": 2, "num_layers": 1}},
        "target": [{"mlm": {"tie": False}}],
    },
    "pair": {
        "streams": {
            name: {"embedding": {"modules": ["word"], "norm": "none"}, "encoder": "identity", "pooling": "mean"}
            for name in ("q", "a")
        },
        "target": ["clr"],
    },
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of each kind, trained for a step."""
    root = tmp_path_factory.mktemp("neighbours")
    (root / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    (root / "lines.txt").write_text("\n".join(["good car", "playing seas", "great player", "bad sea"] * 4) + "\n")
    processors: dict[str, Any] = {
        "sgns": {"skipgram": {"window": 2}},
        "mlm": {"mlm": {}},
        "pair": {"pair": {"pairing": "next"}},
    }
    for name, model in MODELS.items():
        spec = {
            "tp": 1,
            "model": {"hidden_size": 12, "vocab_size": len(VOCABULARY) + 3, "init_std": 0.5, **model},
            "data": {
                "tokenizer": {"wordpiece": {"vocab": "vocab.txt"}},
                "processor": processors[name],
                "train": "lines.txt",
                "cache": "cache",
            },
            "train": {"steps": 2, "batch_size": 4, "optimizer": {"adamw": {"lr": 0.1}}, "loggers": [], "device": "cpu"},
        }
        (root / f"{name}.yaml").write_text(yaml.safe_dump(spec, sort_keys=False), encoding="utf-8")
        tp_core.train(tp_core.load_spec(root / f"{name}.yaml"), root / name)
    return root


def tp(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(cli, [str(each) for each in arguments])
    return result.exit_code, result.stderr if result.exit_code else result.stdout


def matrix_of(folder: Path, name: str) -> Any:
    return tp_core.load_model(folder, "cpu").model.weights()[name].numpy().astype(np.float64)


def wanted(table: Any, ids: list[int], by: str) -> list[tuple[str, float]]:
    """All words but those of the ids, by similarity, in float64."""
    query = table[ids].mean(0)
    scores = table @ query
    if by == "cosine":
        scores = scores / np.linalg.norm(table, axis=1) / np.linalg.norm(query)
    others = [n for n in range(len(SPECIAL), len(VOCABULARY)) if n not in ids]
    return [(VOCABULARY[n], scores[n]) for n in sorted(others, key=lambda n: -scores[n])]


@pytest.mark.parametrize("by", ["cosine", "dot"])
@pytest.mark.parametrize(
    ("model", "matrix", "weights"),
    [
        ("sgns", "input", "embedding.parts.word.table.weight"),
        ("sgns", "output", "targets.sgns.output.weight"),
        ("mlm", "input", "embedding.parts.word.table.weight"),
        ("mlm", "output", "targets.mlm.output.weight"),
        ("pair", "input", "streams.q.embedding.parts.word.table.weight"),
    ],
)
def test_the_nearest_words_are_those_of_the_formula(home: Path, model: str, matrix: Any, weights: str, by: Any) -> None:
    loaded = tp_core.load_model(home / model, "cpu")
    randomised(loaded.model)  # the output matrix of words that did not occur is zero
    table = loaded.model.weights()[weights].numpy().astype(np.float64)
    (found,) = neighbours(loaded, ["good"], top=4, by=by, matrix=matrix)
    expected = wanted(table, [VOCABULARY.index("good")], by)[:4]
    assert (found.word, found.tokens) == ("good", ["good"])
    assert [each["name"] for each in found.nearest] == [name for name, _ in expected]
    assert [each["similarity"] for each in found.nearest] == pytest.approx([x for _, x in expected], abs=1e-5)


def test_a_word_of_several_tokens_is_the_mean_of_their_vectors(home: Path) -> None:
    table = matrix_of(home / "mlm", "embedding.parts.word.table.weight")
    (found,) = neighbours(home / "mlm", ["playing"], top=99)
    assert found.tokens == ["play", "##ing"]
    ids = [VOCABULARY.index(token) for token in found.tokens]
    assert [each["name"] for each in found.nearest] == [name for name, _ in wanted(table, ids, "cosine")]
    (piece,) = neighbours(home / "mlm", ["##ing"], top=1)  # a token is spelled as in the vocabulary
    assert piece.tokens == ["##ing"]


def test_each_stream_has_its_own_word_embedding(home: Path) -> None:
    table = matrix_of(home / "pair", "streams.a.embedding.parts.word.table.weight")
    (found,) = neighbours(home / "pair", ["sea"], top=1, stream="a")
    assert found.nearest[0]["name"] == wanted(table, [VOCABULARY.index("sea")], "cosine")[0][0]
    with pytest.raises(TPError, match="the model has no stream 'b'; its streams are q, a"):
        neighbours(home / "pair", ["sea"], stream="b")


def test_the_command_prints_the_words_and_their_similarities(home: Path) -> None:
    status, output = tp("neighbours", home / "sgns", "good", "cars", "--top", "2")
    assert status == 0
    lines = output.splitlines()
    assert (lines[0], lines[3]) == ("good", "cars (mean of car ##s)")
    (found, _) = neighbours(home / "sgns", ["good", "cars"], top=2)
    assert [line.split()[1] for line in lines[1:3]] == [each["name"] for each in found.nearest]
    status, output = tp("neighbours", home / "sgns", "good", "--top", "2", "--json")
    assert json.loads(output) == [{"word": "good", "tokens": ["good"], "nearest": found.nearest}]


@pytest.mark.parametrize(
    ("model", "words", "options", "message"),
    [
        ("sgns", ["goood"], [], "the vocabulary lacks 'goood'; similar tokens: good"),
        ("sgns", ["good", "xyz"], [], "the vocabulary lacks 'xyz'"),
        ("sgns", [" "], [], "the vocabulary lacks ' '"),
        ("pair", ["good"], ["--matrix", "output"], "no target of the model has an output matrix"),
        ("mlm", ["good"], ["--stream", "q"], "the model has no stream 'q'; its streams are none"),
        ("mlm", ["good"], ["--matrix", "output", "--stream", "q"], "the output matrix belongs to a target"),
    ],
)
def test_what_has_no_neighbours_is_said(
    home: Path, model: str, words: list[str], options: list[str], message: str
) -> None:
    status, said = tp("neighbours", home / model, *words, *options)
    assert status == 2
    assert message in said


def test_a_model_without_words_is_refused(home: Path) -> None:
    loaded = tp_core.load_model(home / "mlm", "cpu")
    del loaded.model.embedding.parts["word"]
    with pytest.raises(TPError, match="the model has no word embedding; only a model of texts has neighbours of words"):
        neighbours(loaded, ["good"])
    loaded.tokenizer = None
    with pytest.raises(TPError, match="words need a model with a tokenizer"):
        neighbours(loaded, ["good"], matrix="output")
