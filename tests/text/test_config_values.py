"""Values of a config.json that no model has are one message each, before anything is made of them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.text.checkpoints import find, save
from tp_core.cli.main import cli
from tp_core.discovery import index
from tp_core.errors import TPError
from tp_core.interop.config_json import load_converter
from tp_core.interop.config_values import misfits
from tp_core.options.context import DataContext
from tp_text.tokenizers.byte_pair_options import BytePairConfig
from tp_text.tokenizers.huggingface_options import HuggingFaceConfig

pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("values") / "theirs"
    save(find("BertForPreTraining"), folder)
    return folder


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("hidden_size", "24", "'hidden_size' is \"24\"; expected an integer"),
        ("hidden_size", 24.0, "'hidden_size' is 24.0; expected an integer"),
        ("hidden_size", True, "'hidden_size' is true; expected an integer"),
        ("hidden_size", [24], "'hidden_size' is [24]; expected an integer"),
        ("layer_norm_eps", "small", "'layer_norm_eps' is \"small\"; expected a number"),
        ("hidden_act", ["gelu"], "'hidden_act' is [\"gelu\"]; expected a text"),
        ("tie_word_embeddings", 1.5, "'tie_word_embeddings' is 1.5; expected true or false"),
        ("architectures", [["BertModel"]], "'architectures' is [[\"BertModel\"]]; expected a list of names"),
        ("num_hidden_layers", 10**9, "'num_hidden_layers' must be at most 10000, got 1000000000"),
        ("num_attention_heads", 10**9, "'num_attention_heads' must be at most 16384, got 1000000000"),
        ("vocab_size", 2**60, "'vocab_size' must be at most 1073741824, got 1152921504606846976"),
        ("intermediate_size", 10**40, "'intermediate_size' must be at most 4194304, got a number of 133 bits"),
    ],
)
def test_a_value_of_another_kind_or_beyond_all_models_is_one_message(
    bert: Path, tmp_path: Path, key: str, value: Any, said: str
) -> None:
    config = json.loads((bert / "config.json").read_text())
    (tmp_path / "theirs").mkdir()
    for file in bert.iterdir():
        (tmp_path / "theirs" / file.name).symlink_to(file)
    (tmp_path / "theirs" / "config.json").unlink()
    (tmp_path / "theirs" / "config.json").write_text(json.dumps({**config, key: value}))
    arguments = ["convert", "--from", "huggingface", str(tmp_path / "theirs"), "--to", "tp", str(tmp_path / "ours")]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 2, (result.output, result.exception)
    assert said in result.output
    assert not (tmp_path / "ours").exists()


def test_the_configs_of_transformers_have_no_such_values() -> None:
    """Of each model type that has a converter, with the values that transformers has for it."""
    import transformers

    seen = 0
    for name in index().names("converter"):
        if name in transformers.CONFIG_MAPPING:
            config = transformers.CONFIG_MAPPING[name]().to_dict()
            assert list(misfits(load_converter(name).defaults, json.loads(json.dumps(config)))) == [], name
            seen += 1
    assert seen >= 10


@pytest.mark.parametrize("number", [2**24, 2**31, 2**60, 10**400])
def test_an_id_beyond_all_vocabularies_is_a_message(tmp_path: Path, number: int) -> None:
    from tokenizers import Tokenizer, models

    (tmp_path / "vocab.json").write_text(
        '{"a": 0, "b": ' + f"1{'0' * 400}" + "}" if number > 2**70 else json.dumps({"a": 0, "b": number})
    )
    (tmp_path / "merges.txt").write_text("")
    with pytest.raises(TPError, match=r"'b' has the id .*; ids must be below 16777216"):
        BytePairConfig(vocab=str(tmp_path / "vocab.json"), merges=str(tmp_path / "merges.txt")).facts(DataContext())
    content = json.loads(Tokenizer(models.WordLevel({"a": 0, "u": 1}, unk_token="u")).to_str())
    content["model"]["vocab"]["b"] = min(number, 2**60)
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(TPError, match=r"ids must be below 16777216|is not a tokenizer\.json that the tokenizers"):
        HuggingFaceConfig(path=str(tmp_path)).build(DataContext())


@pytest.mark.parametrize("vocab", ["/dev/zero", "large.txt", "pipe.txt", "digits.json"])
def test_a_vocabulary_that_cannot_be_one_is_a_message_at_once(tmp_path: Path, vocab: str) -> None:
    with open(tmp_path / "large.txt", "wb") as file:
        file.truncate(2**28 + 1)
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "digits.json").write_text('{"a": 0, "b": ' + "1" * 10_000 + "}")
    (tmp_path / "merges.txt").write_text("")
    config = BytePairConfig(vocab=str(tmp_path / vocab), merges=str(tmp_path / "merges.txt"))
    with pytest.raises(TPError, match=r"expected a file|at most 268,435,456 are read|no usable JSON: .* digits"):
        config.facts(DataContext())
