"""Classification by prompts from end to end: a pre-trained model, zero-shot evaluations, few-shot training, use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

import tp_core
from tp_core import load_spec, train
from tp_core.cli.main import cli

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[EOS]"]
GOOD, BAD, OTHER = ([f"{letter}{n}" for n in range(5)] for letter in "gbn")
#: Words that a pre-training text has after one that is good, or bad.
ENDS = {"good": ["great", "very fine"], "bad": ["awful", "very poor"]}
WORDS = {"bad": ["awful", "very poor"], "good": "great"}


def texts(count: int, seed: int) -> list[tuple[str, str]]:
    """(text, class): three words, of which two are those of a class."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        name = ("good", "bad")[int(rng.integers(2))]
        own = (GOOD, BAD)[name == "bad"]
        words = [*rng.choice(own, 2), *rng.choice(OTHER, 1)]
        found.append((" ".join(rng.permutation(words)), name))
    return found


def spec_of(target: str, processor: Any, **parts: Any) -> dict[str, Any]:
    causal = not target.endswith("mlm")
    return {
        "model": {
            "hidden_size": 32,
            "embedding": ["word", {"pos": {"max_length": 16}}],
            "encoder": {
                "transformer": {"num_layers": 1, "num_heads": 2, "mask": "causal" if causal else "fully_visible"}
            },
            "target": [target],
            "dropout": 0.0,
            "init_std": 0.15,
        },
        "data": {
            "tokenizer": {"space": {"vocab": "vocab.txt", "eos_token": "[EOS]"}},
            "processor": processor,
            "cache": "cache",
            **parts.pop("data"),
        },
        "train": {"batch_size": 32, "loggers": [], "optimizer": {"adamw": {"lr": 0.01}}, **parts.pop("train")},
        **parts,
    }


def run(home: Path, name: str, spec: dict[str, Any]) -> dict[str, float]:
    """Train a spec; the figures of its last evaluation."""
    file = home / f"{name}.yaml"
    file.write_text(yaml.safe_dump(spec, sort_keys=False))
    return train(load_spec(file), home / name).metrics


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the pre-trained models ``mlm`` and ``lm``."""
    folder = tmp_path_factory.mktemp("prompts")
    ends = [word for own in ENDS.values() for end in own for word in end.split()]
    words = [*GOOD, *BAD, *OTHER, "it", "was", *dict.fromkeys(ends)]
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in [*SPECIAL, *words]))
    rng = np.random.default_rng(0)
    lines = [f"{text} it was {rng.choice(ENDS[name])}" for text, name in texts(600, 1)]
    (folder / "corpus.txt").write_text("\n".join(lines))
    for name, count, seed in (("few", 32, 2), ("test", 200, 3)):
        rows = [f"{text}\t{label}" for text, label in texts(count, seed)]
        (folder / f"{name}.tsv").write_text("\n".join(["text_a\tlabel", *rows]) + "\n")
    own = {"max_length": 16}
    for target, options in (("mlm", {**own, "pack": False, "mask_rate": 0.25}), ("lm", own)):
        spec = spec_of(target, {target: options}, data={"train": "corpus.txt"}, train={"steps": 150})
        run(folder, target, spec)
    return folder


def prompt_spec(base: str, words: dict[str, Any], **train: Any) -> dict[str, Any]:
    prompt = {"prompt": {"template": "{text_a} it was {mask}", "verbalizer": words, "max_length": 16}}
    data = {"train": "few.tsv", "eval": "test.tsv"}
    own = {"init_from": base, "require_init": ["weights", "vocabulary"]}
    return spec_of(f"prompt_{base}", prompt, data=data, train={"eval_batch_size": 64, **train}, **own)


@pytest.mark.parametrize("base", ["mlm", "lm"])
def test_a_pretrained_model_classifies_without_training(home: Path, base: str) -> None:
    spec = prompt_spec(base, WORDS, steps=0)
    del spec["data"]["train"]
    figures = run(home, f"zero-{base}", spec)
    assert figures["step"] == 0
    assert figures[f"eval/{base}/accuracy"] > 0.95
    loaded = tp_core.load_model(home / f"zero-{base}")
    again = tp_core.evaluate(loaded, str(home / "test.tsv"), batch_size=7)
    assert again[f"{base}/accuracy"] == figures[f"eval/{base}/accuracy"]
    assert again["loss"] == pytest.approx(figures["eval/loss"], abs=1e-5)


@pytest.mark.parametrize("base", ["mlm", "lm"])
def test_a_few_records_teach_other_words(home: Path, base: str) -> None:
    """The words of the classes are exchanged, so that the model is wrong before it is trained."""
    words = {"bad": "great", "good": ["awful", "very poor"]}
    before = run(home, f"wrong-{base}", prompt_spec(base, words, steps=0))
    after = run(home, f"few-{base}", prompt_spec(base, words, steps=60, workers=1))
    assert before[f"eval/{base}/accuracy"] < 0.05
    assert after[f"eval/{base}/accuracy"] > 0.95
    assert after["eval/loss"] < before["eval/loss"] / 4


def tp(*arguments: str | Path) -> str:
    done = CliRunner().invoke(cli, [str(each) for each in arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_predictions_name_the_classes(home: Path) -> None:
    run(home, "named", prompt_spec("mlm", WORDS, steps=0))
    (line,) = tp("predict", home / "named", "--text", "n1 g2", "--device", "cpu").splitlines()
    found = json.loads(line)
    assert found["label"] == "good"
    assert list(found["probabilities"]) == ["bad", "good"]
    assert sum(found["probabilities"].values()) == pytest.approx(1)
    tp("predict", home / "named", "--input", home / "test.tsv", "--output", home / "found.tsv", "--device", "cpu")
    rows = [row.split("\t") for row in (home / "found.tsv").read_text().splitlines()]
    labels = [row[rows[0].index("label")] for row in rows[1:]]
    expected = [label for _, label in texts(200, 3)]
    right = sum(found == label for found, label in zip(labels, expected)) / len(expected)
    assert right == tp_core.evaluate(home / "named", str(home / "test.tsv"))["mlm/accuracy"]


def test_a_head_of_another_name_is_not_found(home: Path) -> None:
    spec = prompt_spec("mlm", WORDS, steps=0)
    spec["model"]["target"] = [{"prompt_mlm": {"name": "other"}}]
    with pytest.raises(
        tp_core.TPError, match=r"require_init asks for all weights, and there are none for targets\.other"
    ):
        run(home, "other", spec)


def test_metrics_of_classifiers_are_measured_and_stop_the_training(home: Path) -> None:
    stop = {"early_stopping": {"metric": "mlm/f1", "patience": 1}, "eval_every": 10}
    spec = prompt_spec("mlm", WORDS, steps=40, **stop)
    spec["model"]["target"] = [{"prompt_mlm": {"metrics": ["f1", "auc", "matthews"], "label_smoothing": 0.1}}]
    figures = run(home, "metrics", spec)
    assert {"eval/mlm/f1", "eval/mlm/auc", "eval/mlm/matthews"} <= figures.keys()
    assert figures["eval/mlm/auc"] > 0.98


def test_a_model_of_prompts_has_no_vectors_and_generates_no_text(home: Path) -> None:
    run(home, "useless", prompt_spec("lm", WORDS, steps=0))
    with pytest.raises(tp_core.TPError, match="has no single vector"):
        tp_core.embed(home / "useless", ["g1"])
    with pytest.raises(tp_core.TPError, match="is not for generation"):
        list(tp_core.generate(home / "useless", ["g1"]))


def test_options_of_the_head_that_differ_from_those_of_its_training_are_told(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = prompt_spec("mlm", WORDS, steps=0)
    spec["model"]["target"] = [{"prompt_mlm": {"activation": "relu", "normalize_length": True}}]
    run(home, "relu", spec)
    (told,) = [line for line in capsys.readouterr().err.splitlines() if "were trained with" in line]
    assert told == (
        "model.target.mlm: the weights were trained with activation gelu in the model of init_from, and relu here"
    )


def test_the_model_is_converted_as_its_language_model(tmp_path: Path) -> None:
    """Without the classes, a model of prompts is that of its head."""
    lines = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "ab", "cd", "ef"]
    (tmp_path / "vocab.txt").write_text("".join(f"{line}\n" for line in lines))
    (tmp_path / "data.tsv").write_text("text_a\tlabel\nab\tno\nef\tyes\n")
    spec = {
        "model": {
            "hidden_size": 16,
            "embedding": ["word", {"pos": {"max_length": 16}}, "seg"],
            "encoder": {"transformer": {"num_layers": 1, "num_heads": 2}},
            "target": "prompt_mlm",
        },
        "data": {
            "tokenizer": {"wordpiece": {"vocab": "vocab.txt"}},
            "processor": {"prompt": {"template": "{text_a} {mask}", "verbalizer": {"no": "ab", "yes": "cd"}}},
            "train": "data.tsv",
            "cache": "cache",
        },
        "train": {"steps": 1, "batch_size": 2, "loggers": []},
    }
    run(tmp_path, "run", spec)
    tp_core.convert("tp", tmp_path / "run", "huggingface", tmp_path / "theirs")
    config = json.loads((tmp_path / "theirs" / "config.json").read_text())
    assert config["architectures"] == ["BertForMaskedLM"]
    tp_core.convert("huggingface", tmp_path / "theirs", "tp", tmp_path / "back")
    back = tp_core.load_model(tmp_path / "back").model.weights()
    own = tp_core.load_model(tmp_path / "run").model.weights()
    assert own.keys() == back.keys()
    assert all(bool((own[name] == back[name]).all()) for name in own)
