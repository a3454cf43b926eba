"""The tokenizers and converters of texts keep the contracts that the conformance kit checks."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.text import checkpoints
from tests.text.test_tokenizers import any_config as any_config
from tp_core.options.tokenizer import TokenizerConfig
from tp_core.testing import check_module


def test_the_tokenizers_conform(any_config: TokenizerConfig) -> None:
    check_module(any_config)


@pytest.mark.parametrize("cls", ["BertForMaskedLM", "LlamaForCausalLM", "T5ForConditionalGeneration"])
def test_converters_conform(tmp_path: Path, cls: str) -> None:
    pytest.importorskip("transformers")
    case = checkpoints.find(cls)
    checkpoints.save(case, tmp_path)
    check_module(case.model_type, "converter", checkpoint=tmp_path)


LOSSY = '''\
from tp_text.converters.bert import BertConverterConfig


class LossyConfig(BertConverterConfig):
    """Loses something."""

    def weights(self, config):
        return {rules}

    def to_config(self, spec, architecture):
        return {{**super().to_config(spec, architecture), **{values}}}
'''


@pytest.mark.parametrize(
    ("rules", "values", "message"),
    [
        ("[*super().weights(config)][1:]", "{}", "is not converted both ways: (.|\n)*embedding\\.parts\\.word"),
        ("super().weights(config)", "{'intermediate_size': 7}", "is not converted both ways: (.|\n)*feed_forward_size"),
        ("super().weights(config)", "{'pad_token_id': 3}", "'pad_token_id' in config.json is 0, but 3"),
    ],
)
def test_a_converter_that_loses_something_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rules: str, values: str, message: str
) -> None:
    pytest.importorskip("transformers")
    checkpoints.save(checkpoints.find("BertForMaskedLM"), tmp_path / "theirs")
    (tmp_path / "lossy.py").write_text(LOSSY.format(rules=rules, values=values), encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "lossy", raising=False)
    with pytest.raises(AssertionError, match=message):
        check_module("lossy:LossyConfig", checkpoint=tmp_path / "theirs")
