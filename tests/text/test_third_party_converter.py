"""The converter that the documentation shows, installed as a third party's package, converts both ways."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import tp_core
from tests.building import mask_of, randomised, tokens
from tests.text.parity import Record, check_language_model
from tp_core import TPError, discovery, load_model

transformers = pytest.importorskip("transformers")

PAGE = Path(__file__).resolve().parents[2] / "docs" / "modules" / "converter.md"


@pytest.fixture
def code() -> str:
    """The page's converter."""
    (found,) = re.findall(r"```python\n([^`]*class Qwen2ConverterConfig[^`]*)```", PAGE.read_text(encoding="utf-8"))
    return str(found)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> Iterator[None]:
    """A distribution with the converter, before the installed ones on ``sys.path``."""
    info = tmp_path / "site" / "tp_acme_qwen2-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tp-acme-qwen2\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[tp.v1.converter]\nqwen2 = tp_acme_qwen2:Qwen2ConverterConfig\n")
    (tmp_path / "site" / "tp_acme_qwen2.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.delitem(sys.modules, "tp_acme_qwen2", raising=False)
    discovery.index.cache_clear()
    yield
    discovery.index.cache_clear()


def checkpoint(folder: Path, **more: Any) -> Any:
    """A small Qwen2 with random weights, saved."""
    sizes = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    config = transformers.Qwen2Config(vocab_size=37, intermediate_size=40, attn_implementation="eager", **sizes, **more)
    theirs = randomised(transformers.Qwen2ForCausalLM(config), std=0.15).eval()
    theirs.save_pretrained(folder)
    return theirs


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("tied", [False, True])
def test_the_documented_converter_converts_both_ways(tmp_path: Path, record_property: Record, tied: bool) -> None:
    theirs = checkpoint(tmp_path / "theirs", tie_word_embeddings=tied)
    tp_core.convert("huggingface", tmp_path / "theirs", "tp", tmp_path / "ours")
    mask = mask_of([9, 4], 9)
    check_language_model(load_model(tmp_path / "ours", "cpu").model, theirs, mask, record_property)
    tp_core.convert("tp", tmp_path / "ours", "huggingface", tmp_path / "back")
    again, info = transformers.Qwen2ForCausalLM.from_pretrained(tmp_path / "back", output_loading_info=True)
    assert not any(info.values())
    ids = tokens(2, 7, high=37)
    with torch.no_grad():
        torch.testing.assert_close(again.eval()(input_ids=ids).logits, theirs(input_ids=ids).logits)


YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768, "rope_theta": 10000.0}
LINEAR = {"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0}
ODD: list[tuple[str, Any]] = [
    ("rope_parameters", YARN),
    ("rope_parameters", LINEAR),
    ("rope_scaling", {"type": "yarn", "factor": 4.0}),
    ("rope_scaling", {"type": "linear", "factor": 2.0}),
    ("rope_scaling", {"type": "dynamic", "factor": 2.0}),
    ("rope_parameters", {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5}),
    ("use_sliding_window", True),
    ("layer_types", ["full_attention", "sliding_attention"]),
    ("hidden_act", "gelu"),
    ("qk_norm", True),
    ("head_dim", 10),
    ("quantization_config", {"bits": 4}),
]


def edited(folder: Path, **changes: Any) -> Path:
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text(encoding="utf-8")), **changes}), encoding="utf-8")
    return folder


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(("key", "value"), ODD, ids=[key for key, _ in ODD])
def test_a_key_that_it_does_not_convert_is_refused(tmp_path: Path, key: str, value: Any) -> None:
    checkpoint(tmp_path / "theirs")
    with pytest.raises(TPError, match=rf"config\.json: .*'{key}|config\.json: not all keys(.|\n)*'{key}"):
        tp_core.convert("huggingface", edited(tmp_path / "theirs", **{key: value}), "tp", tmp_path / "ours")
    assert not (tmp_path / "ours").exists()


@pytest.mark.usefixtures("installed")
def test_a_key_goes_where_the_user_says_that_it_is_to_be_ignored(tmp_path: Path) -> None:
    theirs = checkpoint(tmp_path / "theirs")
    odd = edited(tmp_path / "theirs", qk_norm=True, use_sliding_window=True)
    said: list[str] = []
    with pytest.raises(TPError, match="'use_sliding_window' is true"):
        tp_core.convert("huggingface", odd, "tp", tmp_path / "ours", ignore_keys=["qk_norm"])
    keys = ["qk_norm", "use_sliding_window"]
    tp_core.convert("huggingface", odd, "tp", tmp_path / "ours", ignore_keys=keys, say=said.append)
    assert "config.json: 'qk_norm' is true, and is ignored as you asked" in said
    model = load_model(tmp_path / "ours", "cpu").model
    check_language_model(model, theirs, mask_of([9, 4], 9), lambda name, value: None)
    # What was ignored does not come back with the model.
    back = tp_core.convert("tp", tmp_path / "ours", "huggingface", tmp_path / "back")
    assert not {*keys} & {*json.loads((back / "config.json").read_text(encoding="utf-8"))}


def careless(code: str, *, copied: bool) -> str:
    """The page's converter as one may write it without a thought of other rotary positions."""
    theta = '(config.get("rope_parameters") or config)["rope_theta"]'
    changed = code.replace("parts.rotary_theta(config)", theta).replace("raise TPError", "pass  # ")
    assert theta in changed
    start = "    def to_spec(self, config, architecture):\n"
    return changed.replace(start, f"{start}        config = {{**config}}\n") if copied else changed


class TestACarelessConverter:
    """A key that a converter never asks about is refused, whatever the converter."""

    @pytest.fixture
    def code(self, code: str, request: pytest.FixtureRequest) -> str:
        return careless(code, copied=request.param)

    @pytest.mark.usefixtures("installed")
    @pytest.mark.parametrize("code", [False], indirect=True)
    @pytest.mark.parametrize("value", [YARN, LINEAR])
    def test_the_parts_of_an_object_that_it_does_not_read_are_refused(
        self, tmp_path: Path, value: dict[str, Any]
    ) -> None:
        checkpoint(tmp_path / "theirs")
        with pytest.raises(TPError, match=r"'rope_parameters\.rope_type' is .*\n.*'rope_parameters\.factor' is"):
            tp_core.convert("huggingface", edited(tmp_path / "theirs", rope_parameters=value), "tp", tmp_path / "ours")

    @pytest.mark.usefixtures("installed")
    @pytest.mark.parametrize("code", [True], indirect=True)
    def test_what_it_reads_from_a_plain_copy_does_not_count_and_the_message_says_so(self, tmp_path: Path) -> None:
        checkpoint(tmp_path / "theirs")
        with pytest.raises(TPError, match=r"'hidden_size' is 24(.|\n)*write keys \| "):
            tp_core.convert("huggingface", tmp_path / "theirs", "tp", tmp_path / "ours")
