"""The converter that the documentation shows, installed as a third party's package, converts both ways."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import tp_core
from tests.building import mask_of, randomised, tokens
from tests.text.parity import Record, check_language_model
from tp_core import discovery, load_model

transformers = pytest.importorskip("transformers")

PAGE = Path(__file__).resolve().parents[2] / "docs" / "modules.md"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A distribution with the page's converter, before the installed ones on ``sys.path``."""
    (code,) = re.findall(r"```python\n([^`]*class Qwen2ConverterConfig[^`]*)```", PAGE.read_text(encoding="utf-8"))
    info = tmp_path / "site" / "tp_acme_qwen2-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tp-acme-qwen2\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[tp.v1.converter]\nqwen2 = tp_acme_qwen2:Qwen2ConverterConfig\n")
    (tmp_path / "site" / "tp_acme_qwen2.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    discovery.index.cache_clear()
    yield
    discovery.index.cache_clear()


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("tied", [False, True])
def test_the_documented_converter_converts_both_ways(tmp_path: Path, record_property: Record, tied: bool) -> None:
    sizes = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    config = transformers.Qwen2Config(
        vocab_size=37, intermediate_size=40, tie_word_embeddings=tied, attn_implementation="eager", **sizes
    )
    theirs = randomised(transformers.Qwen2ForCausalLM(config), std=0.15).eval()
    theirs.save_pretrained(tmp_path / "theirs")
    tp_core.convert("huggingface", tmp_path / "theirs", "tp", tmp_path / "ours")
    mask = mask_of([9, 4], 9)
    check_language_model(load_model(tmp_path / "ours", "cpu").model, theirs, mask, record_property)
    tp_core.convert("tp", tmp_path / "ours", "huggingface", tmp_path / "back")
    again, info = transformers.Qwen2ForCausalLM.from_pretrained(tmp_path / "back", output_loading_info=True)
    assert not any(info.values())
    ids = tokens(2, 7, high=37)
    with torch.no_grad():
        torch.testing.assert_close(again.eval()(input_ids=ids).logits, theirs(input_ids=ids).logits)
