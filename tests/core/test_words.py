"""An unknown word of a spec is answered with what other toolkits mean by it, before what it looks like."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.core.runs import read_spec, write_project
from tp_core import SpecError, discovery, load_spec
from tp_core.discovery import load
from tp_core.spec import words
from tp_core.spec.load import _TOP, _TRAIN
from tp_core.spec.load_data import DATA
from tp_core.spec.schema import ModelOptions
from tp_core.spec.schema_generate import GenerateOptions
from tp_core.training.config import TABLES

MEANT = {
    "train.learning_rate": "specs call it 'lr', an option of train.optimizer",
    "train.optimizer.adamw.learning_rate": "did you mean 'lr'?",
    "learning_rate": "specs call it 'lr', an option of train.optimizer",
    "train.fp16": "did you mean 'precision: fp16'?",
    "train.bf16": "did you mean 'precision: bf16'?",
    "train.gradient_accumulation_steps": "did you mean 'accumulate'?",
    "train.max_grad_norm": "did you mean 'clip_norm'?",
    "train.per_device_train_batch_size": "did you mean 'batch_size'?",
    "train.warmup_steps": "specs call it 'warmup', an option of train.schedule",
    "train.save-steps": "did you mean 'checkpoint_every'?",
    "gradient_accumulation_steps": "specs call it train.accumulate",
    "seq_length": "specs call it 'max_length', an option of data.processor",
    "model.seq_length": "did you mean 'max_length'?",
    "data.processor.bert.seq_length": "did you mean 'max_length'?",
    "model.hidden_act": "did you mean 'activation'?",
    "model.encoder.transformer.hidden_act": "did you mean 'activation'?",
    "model.encoder.transformer.prenorm": "did you mean 'norm_position: pre'?",
    "model.heads_num": "did you mean 'num_heads'?",
    "model.encoder.transformer.heads_num": "did you mean 'num_heads'?",
    "model.num_hidden_layers": "did you mean 'num_layers'?",
    "model.intermediate_size": "did you mean 'feed_forward_size'?",
    "model.tie_weights": "did you mean 'tie'?",
    "model.tie_word_embeddings": "did you mean 'tie'?",
    "data.dataset": "did you mean 'train'?",
    "pretrained_model_path": "did you mean 'init_from'?",
    "model.hidden_sise": "did you mean 'hidden_size'?",  # of no toolkit: by its spelling
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_project(tmp_path_factory.mktemp("words"))


@pytest.mark.parametrize(("path", "answer"), MEANT.items(), ids=MEANT.keys())
def test_an_unknown_key_is_answered_with_its_meaning(project: Path, tmp_path: Path, path: str, answer: str) -> None:
    spec = read_spec(project)
    spec["model"]["encoder"] = {"transformer": {}}
    *parents, key = path.split(".")
    node = spec
    for parent in parents:
        node = node[parent]
    node[key] = 1
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(spec))
    with pytest.raises(SpecError) as caught:
        load_spec(tmp_path / "spec.yaml")
    (said,) = [each.message for each in caught.value.problems if each.path == path]
    assert said.endswith(answer)


@pytest.mark.parametrize(
    ("setting", "answer"),
    [
        ("train.optimizer=adam", "did you mean 'adamw'?"),
        ("train.schedule=cosine_with_restarts", "did you mean 'cosine_restarts'?"),
        ("train.precision=half", "did you mean 'fp16'?"),
        ("model.activation=gelu_new", "did you mean 'gelu_tanh'?"),
        ("model.mask=autoregressive", "did you mean 'causal'?"),
        ("model.target=masked_lm", "did you mean 'mlm'?"),
    ],
)
def test_an_unknown_value_is_answered_with_its_meaning(project: Path, setting: str, answer: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_spec(project / "spec.yaml", [setting])
    assert answer in str(caught.value)


def test_every_answer_is_an_option_that_there_is_where_it_is_said_to_be() -> None:
    kinds = {place: place.rpartition(".")[2] for place in ("model.encoder", "model.embedding", "model.target")}
    kinds |= {"data.processor": "processor", "data.tokenizer": "tokenizer"}
    known = {place: _options(kind) for place, kind in kinds.items()}
    known["model"] = {*ModelOptions.model_fields, *known["model.encoder"], *known["model.embedding"]}
    known |= {"": set(_TOP), "train": set(_TRAIN), "data": set(DATA)}
    known["inference.generate"] = set(GenerateOptions.model_fields)
    for table in ("optimizer", "schedule"):
        known[f"train.{table}"] = {name for each in TABLES[table].values() for name in each.model_fields}
    for place, options in words._WORDS.items():
        assert set(options) - known[place] == set(), place
        for option, others in options.items():
            assert option not in others.split()


def _options(kind: str) -> set[str]:
    return {name for entry in discovery.index().entries(kind) for name in load(entry).model_fields}


def test_every_value_that_is_answered_is_one_of_ours() -> None:
    names = {name for kind in discovery.KINDS for name in discovery.index().names(kind)}
    names |= {name for table in TABLES.values() for name in table}
    fields = [
        field
        for kind in ("encoder", "embedding", "target", "processor")
        for entry in discovery.index().entries(kind)
        for field in load(entry).model_fields.values()
    ]
    text = " ".join(str(field.annotation) for field in fields) + "'fp16' 'bf16' 'fp32' 'cuda' 'first' 'mean'"
    for value in words._VALUES:
        assert value in names or f"'{value}'" in text, value


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["generate", "m", "--num-beams", "4"], "--beams"),
        (["generate", "m", "--do_sample"], "--sample"),
        (["train", "s", "--learning-rate", "1"], "are written KEY=VALUE: specs call it 'lr', an option"),
        (["train", "s", "--resum"], "--resume"),
    ],
)
def test_an_unknown_option_of_a_command_is_answered_with_its_meaning(arguments: list[str], answer: str) -> None:
    from click.testing import CliRunner

    from tp_core.cli.main import cli

    result = CliRunner().invoke(cli, arguments, prog_name="tp")
    assert result.exit_code == 2
    assert answer in result.output.partition("No such option")[2].replace("--resum'", "", 1)
