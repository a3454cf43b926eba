"""``tp embed`` of text models: partners are found as the targets were trained to find them, and options change it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from click.testing import CliRunner, Result

import tp_core
from tests.building import mask_of, tokens, worst
from tests.core.runs import SPECIAL
from tests.text import checkpoints
from tp_core.cli.main import cli
from tp_core.errors import DataError, TPError
from tp_core.inference.vectors import batch_vectors
from tp_core.interfaces import Batch
from tp_core.spec.sections.embed import EmbedOptions
from tp_core.spec.trained.vectors import vector_plan

pytest.importorskip("transformers")

WORDS = [f"w{number}" for number in range(40)]
#: Each line is followed by its partner: the words of the first half, by those of the same numbers of the second.
PAIRS = [[f"w{a} w{b}", f"w{a + 20} w{b + 20}"] for a in range(8) for b in range(8) if a != b]


def write(folder: Path, name: str, spec: dict[str, Any]) -> Path:
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump({"tp": 1, **spec}, sort_keys=False), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A vocabulary, a corpus of pairs, and a small Quick-Thoughts trained on it (``run``)."""
    root = tmp_path_factory.mktemp("embed")
    (root / "vocab.txt").write_text("\n".join([*SPECIAL, *WORDS]) + "\n", encoding="utf-8")
    (root / "corpus.txt").write_text("\n\n".join("\n".join(pair) for pair in PAIRS) + "\n", encoding="utf-8")
    (root / "first.txt").write_text("\n".join(first for first, _ in PAIRS) + "\n", encoding="utf-8")
    (root / "second.txt").write_text("\n".join(second for _, second in PAIRS) + "\n", encoding="utf-8")
    side = {"embedding": {"modules": ["word"], "norm": "none", "dropout": 0.0}, "encoder": "gru", "pooling": "max"}
    spec = {
        "model": {
            "hidden_size": 32,
            "streams": {"sentence": side, "context": side},
            "target": [{"clr": {"normalize": False, "temperature": 1.0, "learned_temperature": False}}],
        },
        "data": {
            "tokenizer": {"space": {"vocab": "vocab.txt"}},
            "processor": {"pair": {"max_length": 8, "pairing": "next"}},
            "train": "corpus.txt",
            "cache": "cache",
        },
        "train": {"steps": 150, "batch_size": 28, "optimizer": {"adamw": {"lr": 0.02}}, "loggers": []},
    }
    tp_core.train(tp_core.load_spec(write(root, "quick", spec)), root / "run")
    return root


def tp(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(each) for each in arguments])


def recall(queries: np.ndarray[Any, Any], answers: np.ndarray[Any, Any]) -> float:
    """The share of queries whose nearest answer, by dot product, is their own."""
    return float(((queries @ answers.T).argmax(axis=1) == np.arange(len(queries))).mean())


def test_partners_are_found_as_often_as_the_target_finds_them(home: Path) -> None:
    loaded = tp_core.load_model(home / "run", "cpu")
    assert loaded.processor is not None
    records = [{"text_a": first, "text_b": second} for first, second in PAIRS]
    vectors = {name: tp_core.embed(loaded, records, stream=name) for name in ("sentence", "context")}
    batch = loaded.processor.collate(loaded.processor.encode([tp_core.interfaces.Record(r, "", 1) for r in records]))
    with torch.no_grad():
        output = loaded.model(batch)
    found = recall(vectors["sentence"], vectors["context"])
    assert found == pytest.approx(output.metrics["clr/accuracy_sentence_to_context"].item())
    assert found > 0.9
    plain = [tp_core.embed(loaded, records, "mean", stream=name, normalize=True) for name in ("sentence", "context")]
    assert recall(*plain) < found


def test_each_side_is_embedded_from_texts_of_its_own_and_the_command_says_how(home: Path, tmp_path: Path) -> None:
    first = tp("embed", home / "run", "--input", home / "first.txt", "--output", tmp_path / "first.npy")
    assert first.exit_code == 0
    assert "vectors: the maximum of the states of the stream sentence (as the target clr was trained)" in first.stderr
    command: list[str | Path] = ["embed", home / "run", "--input", home / "second.txt", "--output"]
    side = ["--column", "text_b=text", "--stream", "context"]
    assert tp(*command, tmp_path / "second.npy", *side).exit_code == 0
    found = recall(np.load(tmp_path / "first.npy"), np.load(tmp_path / "second.npy"))
    assert found > 0.9


def test_the_commands_options_override_what_the_model_says(home: Path, tmp_path: Path) -> None:
    command: list[str | Path] = ["embed", home / "run", "--input", home / "first.txt", "--output"]
    done = tp(*command, tmp_path / "unit.npy", "--normalize", "--pooling", "last")
    assert "vectors: the last state of the stream sentence, of length 1 (the pooling is as asked for)" in done.stderr
    assert np.abs(np.linalg.norm(np.load(tmp_path / "unit.npy"), axis=1) - 1).max() < 1e-6
    refused = tp(*command, tmp_path / "none.npy", "--projection")
    assert refused.exit_code == 2
    assert "no target projects vectors of the stream 'sentence'; one that does is clr" in refused.stderr
    assert not (tmp_path / "none.npy").exists()


def test_padding_and_the_other_texts_of_a_batch_change_nothing(home: Path) -> None:
    loaded = tp_core.load_model(home / "run", "cpu")
    texts = ["w1 w2 w3 w4 w5 w6", "w7", "w1 w2", "", "w9 w9 w9 w9"]
    together = tp_core.embed(loaded, texts)
    alone = np.concatenate([tp_core.embed(loaded, [text]) for text in texts])
    assert np.abs(together - alone).max() < 1e-6
    assert tp_core.embed(loaded, []).shape == (0, 32)


@pytest.mark.parametrize("cls", ["GPT2Model", "BertModel"])
def test_the_last_state_of_a_model_is_that_of_transformers(tmp_path: Path, cls: str) -> None:
    case = checkpoints.find(cls)
    theirs = checkpoints.save(case, tmp_path / "theirs")
    ours = tp_core.load_model(tp_core.convert("huggingface", tmp_path / "theirs", "tp", tmp_path / "ours"), "cpu")
    mask = mask_of([6, 2, 5], 6)
    ids = tokens(3, 6, high=30)
    segments = {"token_type_ids": torch.zeros_like(ids)} if case.segments else {}
    with torch.no_grad():
        states = theirs(input_ids=ids, attention_mask=mask).last_hidden_state
        plan = vector_plan(ours.spec, EmbedOptions(pooling="last"))
        found = batch_vectors(ours.model, Batch.of({"input_ids": ids, "attention_mask": mask, **segments}, 3), plan)
    assert worst(found, states[torch.arange(3), mask.sum(1) - 1]) < 1e-5


# -- what the spec says -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def prompted(home: Path) -> Path:
    """A small BERT whose spec has prompts and a pooling."""
    spec = {
        "model": {
            "embedding": ["word", {"pos": {"max_length": 16}}, "seg"],
            "encoder": {"transformer": {"hidden_size": 16, "num_layers": 1, "num_heads": 2}},
            "init_std": 0.3,
            "target": ["mlm", "sp"],
        },
        "data": {
            "tokenizer": {"space": {"vocab": "vocab.txt"}},
            "processor": {"bert": {"max_length": 16}},
            "train": "corpus.txt",
            "cache": "cache",
        },
        "train": {"steps": 1, "batch_size": 4, "loggers": []},
        "inference": {
            "embed": {"pooling": "max", "prompts": {"query": "w1 w2 ", "passage": ""}, "prompt": "query"},
        },
    }
    return Path(tp_core.train(tp_core.load_spec(write(home, "bert", spec)), home / "prompted").model)


def test_a_prompt_stands_before_each_text_and_pooling_is_as_the_spec_says(prompted: Path) -> None:
    loaded = tp_core.load_model(prompted, "cpu")
    said: list[str] = []
    found = tp_core.embed(loaded, ["w3 w4", {"text_a": "w5"}], say=said.append)
    assert said == ["vectors: the maximum of the states (the pooling is as asked for), with 'w1 w2 ' before each text"]
    spelled = tp_core.embed(loaded, ["w1 w2 w3 w4", "w1 w2 w5"], prompt="")
    assert np.array_equal(found, spelled)
    plain = tp_core.embed(loaded, ["w3 w4"], prompt="")
    assert np.array_equal(tp_core.embed(loaded, ["w3 w4"], prompt="passage"), plain)
    assert not np.allclose(plain, found[:1])
    assert not np.allclose(tp_core.embed(loaded, ["w3 w4"], pooling="mean"), found[:1])


def test_an_unknown_prompt_or_pooling_and_a_record_without_a_text_are_refused(prompted: Path) -> None:
    loaded = tp_core.load_model(prompted, "cpu")
    with pytest.raises(TPError, match=r"there is no prompt 'queri'; did you mean 'query'\?"):
        tp_core.embed(loaded, ["w1"], prompt="queri")
    with pytest.raises(TPError, match="unknown pooling 'sum'; expected mean, first, max or last"):
        tp_core.embed(loaded, ["w1"], pooling="sum")
    with pytest.raises(DataError, match="input:1: no field 'text_a' or 'text' or 'text_b'; the fields are other"):
        tp_core.embed(loaded, [{"other": "w1"}])


def test_the_command_takes_the_name_of_a_prompt(prompted: Path, home: Path, tmp_path: Path) -> None:
    command: list[str | Path] = ["embed", prompted, "--input", home / "first.txt", "--output"]
    assert "with 'w1 w2 ' before each text" in tp(*command, tmp_path / "query.npy").stderr
    assert "before each text" not in tp(*command, tmp_path / "none.npy", "--prompt", "").stderr
    assert not np.allclose(np.load(tmp_path / "query.npy"), np.load(tmp_path / "none.npy"))
    refused = tp(*command, tmp_path / "other.npy", "--prompt", "passag")
    assert refused.exit_code == 2
    assert "there is no prompt 'passag'; did you mean 'passage'?" in refused.stderr


@pytest.mark.parametrize("values", [("1", '"b"'), ('"a\\udc00"', '"b"')])
def test_a_field_that_no_table_can_hold_is_named_before_anything_is_computed(
    home: Path, tmp_path: Path, values: tuple[str, str]
) -> None:
    lines = "".join(f'{{"text": "w1 w2", "x": {value}}}\n' for value in values)
    (tmp_path / "mixed.jsonl").write_text(lines, encoding="utf-8")
    table = tmp_path / "vectors.parquet"
    done = tp("embed", home / "run", "--input", tmp_path / "mixed.jsonl", "--output", table, "--stream", "sentence")
    assert done.exit_code == 2, done.output
    assert "mixed.jsonl: the field 'x' cannot be a column of a Parquet file" in done.output
    assert not table.exists()
