"""An unknown word of a spec is answered with what other toolkits mean by it, before what it looks like."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import yaml

from tests.core.runs import read_spec, write_project
from tests.core.shelf import Shelf
from tests.core.shelf import shelf as shelf
from tp_core import SpecError, discovery, load_spec
from tp_core.discovery import load
from tp_core.spec.hints.places import PARTS
from tp_core.spec.hints.terms.options import WORDS
from tp_core.spec.hints.terms.values import VALUES
from tp_core.spec.sections.embedding import EmbeddingOptions
from tp_core.spec.sections.generate import GenerateOptions
from tp_core.spec.sections.keys import DATA, KEYS, TOP, TRAIN
from tp_core.spec.sections.train import EarlyStopping

LAYER = "model.encoder.transformer"

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
    "model.encoder.transformer.hidden_act": f"specs call it {LAYER}.feed_forward.dense.activation",
    "model.encoder.transformer.mixer.attention.attn_pdrop": "did you mean 'dropout'?",
    "model.encoder.transformer.norm.layernorm.layer_norm_eps": "did you mean 'eps'?",
    "model.encoder.transformer.attention_dropout": f"specs call it {LAYER}.mixer.attention.dropout",
    "model.encoder.transformer.layer_norm_eps": f"specs call it {LAYER}.norm.layernorm.eps",
    "model.encoder.transformer.position_encoding": f"specs call it {LAYER}.mixer.attention.positions",
    "model.encoder.transformer.rope": f"specs call it {LAYER}.mixer.attention.positions: rotary",
    "model.encoder.transformer.rope_theta": "specs call it 'theta', an option of the positions of attention: "
    "{transformer: {mixer: {attention: {positions: ...}}}}",
    "model.attention_probs_dropout_prob": f"specs call it {LAYER}.mixer.attention.dropout",
    "model.num_kv_heads": f"specs call it {LAYER}.mixer.attention.num_key_value_heads",
    "model.norm_eps": f"specs call it model.embedding.norm.layernorm.eps, {LAYER}.norm.layernorm.eps or "
    "model.target.mlm.norm.layernorm.eps",
    "train.qkv_bias": f"specs call it {LAYER}.mixer.attention.bias",
    "attention_window": f"specs call it {LAYER}.mixer.attention.window",
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

#: Options of ours in a wrong section → where they belong.
BELONG = {
    "train.hidden_size": "it belongs at model.hidden_size",
    "model.batch_size": "it belongs at train.batch_size",
    "model.encoder.transformer.batch_size": "it belongs at train.batch_size",
    "data.steps": "it belongs at train.steps",
    "train.tokenizer": "it belongs at data.tokenizer",
    "data.lr": "it belongs at train.optimizer.adamw.lr",
    "lr": "it belongs at train.optimizer.adamw.lr",
    "train.optimizer.adamw.warmup": "it belongs at train.schedule.linear.warmup",
    "train.optimizer.adamw.momentum": "it is an option of the optimizer sgd",
    "train.patience": "it belongs at train.early_stopping.patience",
    "train.early_stopping.eval_every": "it belongs at train.eval_every",
    "data.max_length": "it belongs at data.processor.bert.max_length",
    "data.processor.bert.vocab": "it belongs at data.tokenizer.space.vocab",
    "train.name": "it belongs at the top, as 'name'",
    "model.seed": "it belongs at train.seed",
    "inference.beams": "it belongs at inference.generate.beams",
    "data.share": "it belongs at data.sets.<name>.share",
    "model.encoder.transformer.head_size": f"it belongs at {LAYER}.mixer.attention.head_size",
    "model.encoder.transformer.bias": f"it belongs at {LAYER}.mixer.attention.bias, {LAYER}.feed_forward.dense.bias or "
    f"{LAYER}.norm.layernorm.bias",
    "train.window": f"it belongs at {LAYER}.mixer.attention.window",
    "model.encoder.transformer.theta": "it is an option of the positions rotary and rotary_llama3",
    "model.encoder.transformer.mixer.attention.padding": "it is an option of the mixer fourier",
    "model.encoder.transformer.bidirectional": "it is an option of the encoders gru, lstm and rnn",
    "model.num_labels": "it is an option of the targets cls, deit, multi_label and others",
    "data.rand_augment": "it is augment.rand_augment, an option of the processors image, image_multi_label, "
    "image_regression and others",
}

#: Words that specs have nothing for → a part of the answer.
ABSENT = {
    "train.resume_from_checkpoint": "--resume",
    "train.output_dir": "tp train --run FOLDER",
    "train.hub_revision": "Hugging Face Hub",
    "model.num_experts": "no mixture of experts",
    "train.fsdp": "train.strategy: ddp",
    "train.lora_r": "no adapters",
    "train.shuffle": "shuffled order",
    "train.gpus": "torchrun",
    "data.streaming": "copy remote ones",
    "train.freeze_encoder": "tp_model_built",
    "model.attn_implementation": "scaled_dot_product_attention",
}

#: Keys that look like one of ours and are another word → what they must not be taken for.
UNLIKE = {
    "train.opt_eps": "steps",
    "train.hub_revision": "precision",
    "model.num_experts": "num_segments",
    "train.min_steps": "steps",
    "train.top_q": "top_p",
    "train.gp": "gpu",
    "data.processor.bert.min_length": "max_length",
    "model.encoder.transformer.norm_scale": "eps",
    "train.grade": "on_nan",
    "train.proportion": "precision",
    "dataset": "did you mean 'train'",
}

#: Slips of the hand → what was meant.
SLIPS = {
    "train.lerning_rate": "'lr', an option of train.optimizer",
    "train.hiden_size": "it belongs at model.hidden_size",
    "model.hiden_size": "did you mean 'hidden_size'?",
    "model.num_layer": "did you mean 'num_layers'?",
    "model.encoder.transformer.num_hedas": "did you mean 'num_heads'?",
    "train.batchsize": "did you mean 'batch_size'?",
    "train.gradient_acumulation_steps": "did you mean 'accumulate'?",
    "train.evl_every": "did you mean 'eval_every'?",
    "train.epoch": "did you mean 'epochs'?",
    "data.trian": "did you mean 'train'?",
    "data.procesor": "did you mean 'processor'?",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_project(tmp_path_factory.mktemp("words"))


def answer_to(project: Path, folder: Path, path: str) -> str:
    """The message for a key that is put into a spec at a path."""
    spec = read_spec(project)
    spec["model"]["encoder"] = {"transformer": {}}
    *parents, key = path.split(".")
    node = spec
    for parent in parents:
        node = node.setdefault(parent, {})
    node[key] = 1
    (folder / "spec.yaml").write_text(yaml.safe_dump(spec))
    with pytest.raises(SpecError) as caught:
        load_spec(folder / "spec.yaml")
    (said,) = [each.message for each in caught.value.problems if each.path == path]
    return said


@pytest.mark.parametrize(("path", "answer"), [*MEANT.items(), *BELONG.items(), *SLIPS.items()])
def test_an_unknown_key_is_answered_with_its_meaning(project: Path, tmp_path: Path, path: str, answer: str) -> None:
    assert answer_to(project, tmp_path, path).endswith(answer)


@pytest.mark.parametrize(("path", "answer"), ABSENT.items())
def test_a_word_without_a_counterpart_is_answered_with_what_is_done(
    project: Path, tmp_path: Path, path: str, answer: str
) -> None:
    assert answer in answer_to(project, tmp_path, path)


@pytest.mark.parametrize(("path", "other"), UNLIKE.items())
def test_likeness_of_letters_alone_is_no_answer(project: Path, tmp_path: Path, path: str, other: str) -> None:
    said = answer_to(project, tmp_path, path)
    assert "did you mean" not in said
    assert other not in said.partition("; ")[2].replace("the keys here are", "").split("'")


@pytest.mark.parametrize("norm", [{}, {"norm": "rmsnorm"}])
def test_the_norm_of_an_embedding_has_a_place_of_its_own(project: Path, tmp_path: Path, norm: dict[str, str]) -> None:
    spec = read_spec(project)
    spec["model"]["embedding"] = {"modules": ["word", "pos"], **norm, "norm_eps": 1e-5}
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(spec))
    with pytest.raises(SpecError, match=f"specs call it model.embedding.norm.{norm.get('norm', 'layernorm')}.eps"):
        load_spec(tmp_path / "spec.yaml")


@pytest.mark.slow
def test_every_argument_of_the_hugging_face_trainer_has_an_answer(project: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    names = {field.name for field in dataclasses.fields(transformers.TrainingArguments)} - set(TRAIN)
    unanswered = [name for name in sorted(names) if "the keys here" in answer_to(project, tmp_path, f"train.{name}")]
    assert not unanswered


def test_a_config_class_declares_the_terms_for_its_own_options(tmp_path: Path) -> None:
    """Also in a file beside the spec, in a kind whose options are no terms of the core, and through a base class."""
    write_project(tmp_path)
    (tmp_path / "quiet.py").write_text(
        "from tp_core import Logger, LoggerConfig\n\n"
        "class BaseConfig(LoggerConfig):\n    terms = {'destination': 'log-target sink'}\n    destination: str = ''\n\n"
        "class QuietConfig(BaseConfig):\n    terms = {'every': 'interval'}\n    every: int = 1\n\n"
        "    def build(self, run):\n        return Logger()\n"
    )
    own = read_spec(tmp_path)
    for term, option in {"sink": "destination", "log_target": "destination", "interval": "every"}.items():
        own["train"]["loggers"] = [{"quiet:QuietConfig": {term: 1}}]
        (tmp_path / "spec.yaml").write_text(yaml.safe_dump(own))
        with pytest.raises(SpecError, match=rf"unknown option '{term}'; did you mean '{option}'\?"):
            load_spec(tmp_path / "spec.yaml")


def test_a_plugin_of_others_is_not_imported_for_an_answer(shelf: Shelf, project: Path, tmp_path: Path) -> None:
    shelf.encoder("acme-silent", "raise SystemExit('imported')")
    assert "acme" not in answer_to(project, tmp_path, "train.colour")


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
    kinds |= {f"model.encoder.{kind}": kind for kind in PARTS}
    kinds |= {"data.processor": "processor", "data.tokenizer": "tokenizer"}
    known = {place: _options(kind) for place, kind in kinds.items()}
    known["model"] = {*KEYS["model"], *known["model.encoder"], *known["model.embedding"]}
    known |= {"": set(TOP), "train": set(TRAIN), "data": set(DATA)}
    known["inference.generate"] = set(GenerateOptions.model_fields)
    known["model.embedding"] |= set(EmbeddingOptions.model_fields)
    known["train.early_stopping"] = set(EarlyStopping.model_fields)
    for table in ("optimizer", "schedule", "strategy"):
        known[f"train.{table}"] = _options(table)
    for place, options in WORDS.items():
        assert set(options) - known[place] == set(), place
        for option, others in options.items():
            assert option not in others.split()


def _options(kind: str) -> set[str]:
    return {name for entry in discovery.index().entries(kind) for name in load(entry).model_fields}


def test_every_value_that_is_answered_is_one_of_ours() -> None:
    names = {name for kind in discovery.index().kinds for name in discovery.index().names(kind)}
    fields = [
        field
        for kind in ("encoder", "embedding", "target", "processor")
        for entry in discovery.index().entries(kind)
        for field in load(entry).model_fields.values()
    ]
    text = " ".join(str(field.annotation) for field in fields) + "'fp16' 'bf16' 'fp32' 'cuda' 'first' 'mean'"
    for value in VALUES:
        assert value in names or f"'{value}'" in text, value


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["generate", "m", "--num-beams", "4"], "--beams"),
        (["generate", "m", "--do_sample"], "--sample"),
        (["train", "s", "--learning-rate", "1"], "are written KEY=VALUE: specs call it 'lr', an option"),
        (["train", "s", "--batch-size", "4"], "are written KEY=VALUE: it belongs at train.batch_size"),
        (
            ["train", "s", "--output_dir", "x"],
            "are written KEY=VALUE: the command names the folder of a run: tp train --run",
        ),
        (["train", "s", "--resum"], "--resume"),
    ],
)
def test_an_unknown_option_of_a_command_is_answered_with_its_meaning(arguments: list[str], answer: str) -> None:
    from click.testing import CliRunner

    from tp_core.cli.main import cli

    result = CliRunner().invoke(cli, arguments, prog_name="tp")
    assert result.exit_code == 2
    assert answer in result.output.partition("No such option")[2].replace("--resum'", "", 1)
