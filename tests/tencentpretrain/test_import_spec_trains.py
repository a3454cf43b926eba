"""Imported specs are accepted by ``tp check`` and train, with corpora as the original has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from PIL import Image

from tests.tencentpretrain.shapes import SHAPES
from tests.tencentpretrain.test_import_spec import imported
from tp_core.cli.main import cli

_WORDS = ("ba", "be", "bi", "bo", "bu", "da", "de", "di", "do", "du")
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    tokens = (*_SPECIAL, *(f"[unused{number}]" for number in range(40)), *_WORDS, *"0123456789")
    (tmp_path / "vocab.txt").write_text("".join(f"{token}\n" for token in tokens))
    random = np.random.default_rng(0)
    for number in range(4):
        Image.fromarray(random.integers(0, 255, (20, 20, 3), dtype=np.uint8)).save(tmp_path / f"{number}.png")
        soundfile.write(tmp_path / f"{number}.wav", random.normal(size=4000) / 10, 16000)
    return tmp_path


def check_and_train(folder: Path, config: dict[str, Any], options: str) -> list[str]:
    """Import a command line, check its spec, and train two steps; returns the notes."""
    tree, notes = imported(folder, config, *options.split())
    del tree["train"]["epochs" if "epochs" in tree["train"] else "steps"]
    tree["train"] |= {"steps": 2, "loggers": [], "device": "cpu", "batch_size": 4}
    if "eval" in tree["data"]:
        tree["train"]["eval_every"] = 1
    (folder / "spec.yaml").write_text(json.dumps(tree))
    for command in (["check", "spec.yaml"], ["train", "spec.yaml", "--run", "run"]):
        result = CliRunner().invoke(cli, command)
        assert result.exit_code == 0, result.output + json.dumps(tree)
    return notes


_TEXTS = "ba be bi bo bu\nda de di do du\n\nbu bo bi be ba\ndu do di de da\n\nba da be\n\n" * 12
_PAIRS = "".join(f"ba be bi {number}\tda de {number}\n" for number in range(10))
_PRE_TRAININGS: dict[str, tuple[str, str, str]] = {
    "bert": ("bert", _TEXTS, ""),
    "albert": ("albert", _TEXTS, "--whole_word_masking"),
    "mlm": ("roberta", _TEXTS, "--span_masking --full_sentences"),
    "lm": ("gpt2", _TEXTS, ""),
    "llm_pretrain": ("gpt2", '{"text": "ba be bi bo ba be bi bo ba be bi bo ba be bi bo"}\n' * 20, ""),
    "llm_sft": ("gpt2", '{"instruction": "ba be", "input": "bi", "output": "bo bu"}\n' * 8, ""),
    "prefixlm": ("unilm", _PAIRS, ""),
    "mt": ("transformer", _PAIRS, "--tgt_vocab_path vocab.txt --tgt_seq_length 8"),
    "t5": ("t5", _TEXTS, "--dynamic_masking"),
    "gsg": ("pegasus", _TEXTS, ""),
    "bart": ("bart", _TEXTS, "--span_masking"),
    "cls": ("bert", "0\tba be\n1\tbi bo\n" * 4, "--target cls --labels_num 2"),
    "cls_mlm": ("bert", "0\tba be\tbi\n1\tbi bo\tbe\n" * 4, "--target mlm cls --labels_num 2"),
    "vit": ("vit", "".join(f"{number}\t{number}.png\n" for number in range(4)) * 2, ""),
    "vilt": ("vilt", "text\timage_path\n" + "".join(f"ba {number}\t{number}.png\n" for number in range(4)) * 2, ""),
    "clip": ("clip", "".join(f"ba be {number}\t{number}.png\n" for number in range(4)) * 2, ""),
    "s2t": ("s2t", "text\twav_path\n" + "".join(f"ba be {number}\t{number}.wav\n" for number in range(4)) * 2, ""),
}


@pytest.mark.parametrize("name", _PRE_TRAININGS)
def test_a_pre_training_is_imported_and_trains(name: str, folder: Path) -> None:
    shape, corpus, more = _PRE_TRAININGS[name]
    (folder / "corpus.txt").write_text(corpus)
    options = f"--corpus_path corpus.txt --vocab_path vocab.txt --data_processor {name} --seq_length 12 {more}"
    check_and_train(folder, SHAPES[shape], options)


_CLASSES = "label\ttext_a\n0\tba be\n2\tbi bo\n" * 1 + "2\tba bu\n0\tda\n"
_FINE_TUNINGS: dict[str, tuple[str, str, str]] = {
    "run_classifier": ("bert", _CLASSES, ""),
    "run_classifier_multi_label": ("bert", "label\ttext_a\n0,2\tba be\n1\tbi bo\n", ""),
    "run_regression": ("bert", "label\ttext_a\ttext_b\n0.5\tba\tbe\n1.5\tbi\tbo\n", ""),
    "run_dbqa": ("bert", "qid\tlabel\ttext_a\ttext_b\n0\t1\tba\tbe\n0\t0\tba\tbo\n", ""),
    "run_ner": ("bert", "text_a\tlabel\nba be\tO B-X\n", "--label2id_path tags.json --crf_target"),
    "run_classifier_siamese": ("sbert", "label\ttext_a\ttext_b\n0\tba\tbe\n1\tbi\tbo\n", ""),
    "run_simcse": ("bert", "text_a\nba be\nbi bo\nda de\ndi do\n", "--temperature 0.1"),
    "run_text2text": ("t5", "text_a\tlabel\nba be\tbi\nbi bo\tba\n", ""),
    "run_speech2text": ("s2t", "text\twav_path\nba be\t0.wav\nbi\t1.wav\n", ""),
    "run_image_classifier": ("vit", "label\tpath\n0\t0.png\n1\t1.png\n", ""),
    "run_classifier_prompt": ("bert", _CLASSES, "--prompt_path prompts.json --prompt_id weather"),
}


@pytest.mark.parametrize("script", _FINE_TUNINGS)
def test_a_fine_tuning_is_imported_and_trains(script: str, folder: Path) -> None:
    shape, table, more = _FINE_TUNINGS[script]
    for name in ("train.tsv", "dev.tsv"):
        (folder / name).write_text(table)
    (folder / "tags.json").write_text('{"O": 0, "B-X": 1}')
    prompts = {"weather": {"template": "[TEXT_A]ba[ANS]be", "answer_words": {"2": "bi", "0": "bo"}}}
    (folder / "prompts.json").write_text(json.dumps(prompts))
    options = f"finetune/{script}.py --train_path train.tsv --dev_path dev.tsv --vocab_path vocab.txt --seq_length 16"
    check_and_train(folder, SHAPES[shape], f"{options} {more}")


def test_several_tasks_are_imported_and_train(folder: Path) -> None:
    for name, labels in (("moods", "01"), ("topics", "0123")):
        (folder / name).mkdir()
        rows = "".join(f"{label}\tba be\n" for label in labels)
        (folder / name / "train.tsv").write_text(f"label\ttext_a\n{rows}")
        (folder / name / "dev.tsv").write_text(f"label\ttext_a\n{rows}")
    options = (
        "python3 finetune/run_classifier_mt.py --dataset_path_list moods topics --vocab_path vocab.txt --seq_length 16"
    )
    tree, _ = imported(folder, SHAPES["bert"], *options.split())
    assert [target["cls"].get("num_labels", 2) for target in tree["model"]["target"]] == [2, 4]
    assert {name: each["share"] for name, each in tree["data"]["sets"].items()} == {"moods": 2, "topics": 4}
    check_and_train(folder, SHAPES["bert"], options)
