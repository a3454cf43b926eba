"""A visual tokenizer of one's own, in a file beside the spec."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

import tp_core
from tests.vision.pictures import write_folders
from tp_core import TPError, load_spec

TOKENIZER = """
from torch.nn import functional as F
from tp_vision import VisualTokenizer, VisualTokenizerConfig
from tp_vision.facts import GridFacts


class BrightnessConfig(VisualTokenizerConfig):
    num_tokens: int = 16
    fault: str = ""

    def token_count(self):
        return self.num_tokens

    def build(self, context):
        return Brightness(self, context.fact(GridFacts).patch_size)


class Brightness(VisualTokenizer):
    def __init__(self, config, patch):
        super().__init__()
        self.config, self.patch = config, patch

    def forward(self, pixels):
        means = F.avg_pool2d(pixels.mean(1, keepdim=True), self.patch).flatten(1)
        tokens = ((means + 1) / 2 * self.config.num_tokens).long().clamp(0, self.config.num_tokens - 1)
        found = {"range": tokens + self.config.num_tokens, "type": tokens.float(), "shape": tokens.flatten()}
        return found.get(self.config.fault, tokens)
"""


def write(folder: Path, fault: str = "") -> Path:
    """A tiny BEiT beside its tokenizer and its pictures."""
    folder.mkdir(exist_ok=True)
    write_folders(folder / "train", each=4)
    (folder / "own_tokens.py").write_text(TOKENIZER)
    tokenizer = {"own_tokens:BrightnessConfig": {"num_tokens": 8, "fault": fault}}
    spec: dict[str, Any] = {
        "model": {
            "hidden_size": 16,
            "image_size": 8,
            "patch_size": 2,
            "embedding": ["masked_patch"],
            "encoder": {"transformer": {"num_layers": 1, "num_heads": 2}},
            "target": [{"visual_tokens": {"tokenizer": tokenizer}}],
        },
        "data": {"processor": {"masked_image": {"min_block": 2}}, "train": "train", "cache": "cache"},
        "train": {"steps": 2, "batch_size": 4, "loggers": [], "device": "cpu"},
    }
    (folder / "spec.yaml").write_text(yaml.safe_dump(spec))
    return folder / "spec.yaml"


def test_a_model_with_a_tokenizer_of_a_file_is_complete_without_that_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = load_spec(write(tmp_path / "here"))
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "there")  # the file is beside the spec, and not where one happens to be
    tp_core.train(spec, tmp_path / "run")
    listed = json.loads((tmp_path / "run" / "model" / "provenance.json").read_text())
    (own,) = (each for each in listed if each["kind"] == "visual_tokenizer")
    assert (own["name"], own["portable"]) == ("own_tokens:BrightnessConfig", False)
    for place in ("run", "run/model"):
        assert (tmp_path / place / "own_tokens.py").read_text() == TOKENIZER
    (tmp_path / "here" / "own_tokens.py").unlink()
    data = str(tmp_path / "here" / "train")
    assert tp_core.load_model(tmp_path / "run", "cpu").model.named_targets()  # which runs no code of the model's folder
    with pytest.raises(TPError, match=r"is not there: 'own_tokens:BrightnessConfig' is Python code that came"):
        tp_core.evaluate(tmp_path / "run", data)
    assert "visual_tokens/accuracy" in tp_core.evaluate(tmp_path / "run", data, trust_code=True)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("range", r"the tokenizer gives tokens from \d+ to \d+; expected 0 to 7"),
        ("type", r"the tokenizer gives \(4, 16\) float32; expected \(pictures, patches\) int64"),
        ("shape", r"the tokenizer gives \(64,\) int64; expected \(pictures, patches\) int64"),
    ],
)
def test_tokens_that_are_none_are_refused_at_the_first_batch(tmp_path: Path, fault: str, message: str) -> None:
    with pytest.raises(TPError, match=message):
        tp_core.train(load_spec(write(tmp_path / "here", fault)), tmp_path / "run")
