"""Mistakes in the specs of prompts are told before anything is trained, with their places."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.text.corpora import TAILS, WORDS, records, tokenizer
from tests.text.prompts import prompts
from tests.text.vocabularies import BERT, lines, wordpieces
from tp_core import SpecError, TPError, load_spec
from tp_core.options.context import DataContext
from tp_core.spec.checks.run import check_run
from tp_text.tokenizers.line_vocabulary_options import WordPieceConfig

TEMPLATE = "{text_a} w9 {mask}"
ONE = {"bad": "w1", "good": "w2"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    lines(tmp_path / "vocab.txt", [*BERT, *(f"w{i}" for i in range(WORDS)), *TAILS, "good", "great"])
    (tmp_path / "data.tsv").write_text("text_a\tlabel\nw3 w4\tgood\n")
    return tmp_path


def said(
    home: Path, prompt: dict[str, Any], target: Any = "prompt_mlm", mask: str = "fully_visible", **data: Any
) -> list[str]:
    """The problems of a spec, each as its path and message."""
    spec = {
        "model": {
            "hidden_size": 16,
            "embedding": ["word", {"pos": {"max_length": 32}}],
            "encoder": {"transformer": {"num_layers": 1, "num_heads": 2, "mask": mask}},
            "target": target,
        },
        "data": {
            "tokenizer": {"wordpiece": {"vocab": str(home / "vocab.txt")}},
            "processor": {"prompt": {"template": TEMPLATE, "verbalizer": ONE, **prompt}},
            "train": str(home / "data.tsv"),
            **data,
        },
        "train": {"steps": 1},
    }
    try:
        check_run(load_spec(spec))
    except SpecError as error:
        return [f"{problem.path}: {problem.message}" for problem in error.problems]
    return []


def test_the_spec_of_these_tests_has_no_problem(home: Path) -> None:
    assert said(home, {}) == []
    assert said(home, {"verbalizer": {"bad": ["w1", "w3ab"], "good": "w2"}}) == []
    assert said(home, {}, "prompt_lm", "causal") == []
    assert said(home, {"verbalizer": None, "labels": ["w1", "w2"]}) == []


PROMPT = "data.processor.prompt"


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ({"template": None}, "template: is required"),
        ({"verbalizer": None}, "verbalizer: is required"),
        ({"template": "{text_a} w9"}, "template: has no {mask}"),
        ({"template": "{text_a} {mask} {mask}"}, "template: has {mask} 2 times"),
        ({"template": "{text_a} {mask"}, "template: has a brace without its other one"),
        ({"template": "w9 {mask}"}, "template: has no field of the record"),
        ({"template": "{label} {mask}"}, "template: has the field 'label', which is the label to predict"),
        ({"verbalizer": {"bad": "w1"}}, "verbalizer: has 1 class"),
        ({"verbalizer": {"bad": "w1", "good": []}}, "verbalizer: the class 'good' has no word"),
        ({"verbalizer": {"bad": "w1", "good": ["w2", " "]}}, "verbalizer: the class 'good' has an empty word"),
        ({"verbalizer": {"bad": "w1", "good": " w1"}}, "verbalizer: the classes 'bad' and 'good' have the same word"),
        ({"verbalizer": {"bad": ["w1", "w1"], "good": "w2"}}, "verbalizer: 'w1' is listed twice for the class 'bad'"),
        (
            {"verbalizer": {"bad": "w1", "good": "W1"}},
            "verbalizer: the words 'w1' of the class 'bad' and 'W1' of the class 'good' have the same tokens",
        ),
        (
            {"verbalizer": {"bad": "w1", "good": "goood"}},
            "verbalizer: the vocabulary does not know the word 'goood' of the class 'good'; did you mean 'good'?",
        ),
        ({"labels": ["bad", "goood"]}, "labels: the verbalizer has no class 'goood'; did you mean 'good'?"),
        ({"labels": ["bad"]}, "verbalizer: labels has no class 'good'; it has bad"),
        ({"template": " ".join(["{text_a}", *["w9"] * 30, "{mask}"])}, "template: has 33 tokens"),
        ({"max_length": 4}, "template: has 4 tokens, with the longest word and special tokens"),
        ({"scoring": "causal"}, "scoring: is causal; model.target.mlm scores words as masked"),
        (
            {"verbalizer": {"bad": "w1", "good": "w2", "so": "w3"}},
            "verbalizer: names 3 classes, but model.target.mlm.num_labels is 2",
        ),
        ({"labels": {"mlm": ["bad", "good"]}}, "labels: names the classes of several targets"),
        ({"pattern": "x"}, "pattern: unknown option 'pattern'; did you mean 'template'?"),
        ({"label_words": {}}, "label_words: unknown option 'label_words'; did you mean 'verbalizer'?"),
    ],
)
def test_an_option_that_cannot_work_is_told_at_its_place(home: Path, prompt: dict[str, Any], message: str) -> None:
    found = said(home, prompt)
    assert any(each.startswith(f"{PROMPT}.{message}") for each in found), found


@pytest.mark.parametrize(
    ("target", "mask", "message"),
    [
        ("cls", "fully_visible", f"{PROMPT}: makes prompts for one target, prompt_mlm or prompt_lm; the model has cls"),
        (["prompt_mlm", "cls"], "fully_visible", f"{PROMPT}: makes prompts for one target"),
        ("prompt_lm", "fully_visible", "model.target.prompt_lm: needs causal states"),
        (["mlm", "prompt_mlm"], "fully_visible", "model.target: 'mlm' and 'prompt_mlm' have the name 'mlm'; give one"),
        ({"prompt_lm": {"z_loss": 0.1}}, "causal", "model.target.prompt_lm.z_loss: is for a loss over the vocabulary"),
        (
            {"prompt_mlm": {"num_labels": 3, "metrics": ["auc"]}},
            "fully_visible",
            "model.target.prompt_mlm.metrics: auc is for two classes",
        ),
    ],
)
def test_a_target_that_does_not_fit_is_told(home: Path, target: Any, mask: str, message: str) -> None:
    found = said(home, {}, target, mask)
    assert any(each.startswith(message) for each in found), found


def test_another_processor_is_told_which_one_makes_prompts(home: Path) -> None:
    found = said(home, {}, processor={"cls": {}})
    assert any("needs the labels 'prompt'" in each and "comes from the processor 'prompt'" in each for each in found)


def test_masked_prompts_need_a_mask_token_and_causal_ones_do_not(home: Path) -> None:
    wordpiece = {"wordpiece": {"vocab": str(home / "vocab.txt"), "mask_token": None}}
    (found,) = said(home, {}, tokenizer=wordpiece)
    assert "the vocabulary lacks special tokens that the processor needs: mask" in found
    assert said(home, {}, "prompt_lm", "causal", tokenizer=wordpiece) == []


def test_a_column_of_labels_may_have_another_name(home: Path) -> None:
    (found,) = said(home, {"template": "{stars} {mask}"}, labels={"mlm": "stars"})
    assert found == f"{PROMPT}.template: has the field 'stars', which is the label to predict"
    assert said(home, {"template": "{label} {mask}"}, labels={"mlm": "stars"}) == []


@pytest.mark.parametrize(
    ("words", "options", "message"),
    [
        ({"bad": "w1", "good": "unknown"}, {}, r"prompt\.verbalizer: the vocabulary does not know the word 'unknown'"),
        (ONE, {"max_length": 5}, r"prompt\.template: has 5 tokens"),
        (ONE, {"max_length": 5, "scoring": "causal", "template": "w9 w9 w9 w9 w9 {mask}"}, "has 5 tokens"),
    ],
)
def test_a_processor_from_python_makes_the_same_checks(
    tmp_path: Path, words: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    given = {"template": "{text_a} w9 w8 {mask}" if "max_length" in options else TEMPLATE, **options}
    with pytest.raises(TPError, match=message):
        prompts(tokenizer(tmp_path), given.pop("template"), words, **given)


def test_a_record_whose_texts_cannot_be_cut_enough_is_reported(tmp_path: Path) -> None:
    """A word that a field and the template make together belongs to the template; here it has more tokens."""
    made_of = WordPieceConfig(vocab=lines(tmp_path / "pieces.txt", wordpieces())).build(DataContext())
    made = prompts(made_of, "{text_a}hello {mask}", {"bad": "cats", "good": "the"}, max_length=5)
    reported: list[str] = []
    given = records([{"text_a": text, "label": "good"} for text in ("the cats!", "un")])
    (chunk,) = made.prepare(given, lambda error: reported.append(str(error)))
    assert reported == ["corpus.txt:2: the template leaves no room for the texts: max_length is 5"]
    assert len(chunk["tokens"]) == 1
