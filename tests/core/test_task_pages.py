"""The specs of the pages about tasks pass the checks of tp check, with files of the names that they use."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.text.vocabularies import BERT, lines
from tp_core import load_spec

PAGES = sorted((Path(__file__).resolve().parents[2] / "docs" / "tasks").glob("*.md"))
_FILE = re.compile(r"[\w./-]+\.(?:tsv|jsonl|json|conll|csv|txt|parquet)\b")

#: Data that my_bert.yaml evaluates on, which no other task can read.
_OF_BERT = "held_out.txt"

_README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")

#: The pre-trained models that pages extend.
PARENTS = {
    "my_bert.yaml": next(block for block in re.findall(r"```yaml\n(.*?)```", _README, flags=re.S) if _OF_BERT in block),
    "my_gpt.yaml": """
extends: gpt2
data:
  tokenizer: {wordpiece: {vocab: vocab.txt, bos_token: "[CLS]", eos_token: "[SEP]"}}
  processor: lm
  train: corpus.txt
""",
    "my_t5.yaml": """
extends: t5-small
data: {tokenizer: {wordpiece: {vocab: vocab.txt}}, processor: mt, train: corpus.txt}
""",
}


def specs() -> list[object]:
    found: list[object] = []
    for page in PAGES:
        blocks = re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.S)
        whole = [block for block in blocks if "model:" in block or "data:" in block]
        found += [pytest.param(block, id=f"{page.stem}-{number}") for number, block in enumerate(whole, 1)]
    return found


@pytest.mark.parametrize("block", specs())
def test_a_spec_of_a_page_passes_the_checks(block: str, tmp_path: Path) -> None:
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    words = [*BERT, *letters, *(f"##{letter}" for letter in letters), "good", "bad", "great", "terrible", *".,:!?"]
    lines(tmp_path / "vocab.txt", words)
    for name, parent in PARENTS.items():
        (tmp_path / name).write_text(parent)
    for name in {"corpus.txt", _OF_BERT, *_FILE.findall(block)} - {"vocab.txt"}:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("text\n")
    (tmp_path / "spec.yaml").write_text(block)
    spec = load_spec(tmp_path / "spec.yaml")
    if "extends: my_bert.yaml" in block:
        given = [each for part in spec.sets().values() for each in part.data.options.given("eval")]
        assert not any(str(each).endswith(_OF_BERT) for each in given), "the evaluation data are those of my_bert.yaml"
