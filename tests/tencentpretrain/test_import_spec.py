"""Specs for the configs and command lines of the original."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from click.testing import CliRunner
from torch import Tensor
from torch.nn import functional as F

import tp_core
from tests.tencentpretrain import original
from tests.tencentpretrain.shapes import SHAPES
from tests.tencentpretrain.test_oracles import FOLDER
from tp_core import TPError, load_spec
from tp_core.cli.main import cli
from tp_core.interop.folders import spec_of
from tp_tencentpretrain.mapping.model import converted
from tp_tencentpretrain.original.checkpoint import NoTensors
from tp_tencentpretrain.original.config import OriginalConfig
from tp_tencentpretrain.spec_import.build import import_spec


def imported(folder: Path, config: dict[str, Any], *options: str) -> tuple[dict[str, Any], list[str]]:
    """The spec, read from its text as a user has it, and the notes."""
    file = folder / "config.json"
    file.write_text(json.dumps(config))
    found = import_spec(file, options)
    return yaml.safe_load(found.text()), found.notes


@pytest.mark.parametrize("shape", SHAPES)
def test_the_model_of_a_spec_is_that_of_the_config(shape: str, tmp_path: Path) -> None:
    tree, _ = imported(tmp_path, SHAPES[shape])
    found = spec_of({key: tree[key] for key in ("extends", "model") if key in tree}).dump()["model"]
    expected = spec_of({"model": converted(OriginalConfig(SHAPES[shape], "config"), NoTensors(apart=True)).model})
    for model in (found, wanted := expected.dump()["model"]):
        for part in ("encoder", "decoder"):
            layers = model.get(part, {}).get("transformer", {})
            if layers.get("feed_forward_size") == 4 * layers.get("hidden_size", 0):
                layers["feed_forward_size"] = None
    assert found == wanted


BERT_BASE = {
    **SHAPES["bert"],
    "emb_size": 768,
    "hidden_size": 768,
    "feedforward_size": 3072,
    "heads_num": 12,
    "layers_num": 12,
    "max_seq_length": 512,
}


def test_a_spec_is_short(tmp_path: Path) -> None:
    options = "python3 pretrain.py --corpus_path corpus.txt --vocab_path vocab.txt --data_processor bert "
    options += "--dynamic_masking --span_masking --total_steps 500 --learning_rate 1e-4 --seq_length 64"
    tree, notes = imported(tmp_path, BERT_BASE, *options.split())
    assert notes == []
    assert tree == {
        "extends": "bert-base",
        "model": {"norm": "unbiased_layernorm", "embedding": ["word", "pos", "padded_segments"]},
        "data": {
            "tokenizer": {"wordpiece": {"vocab": "vocab.txt", "max_word_length": 200}},
            "processor": {"bert": {"max_length": 64, "span": True}},
            "train": "corpus.txt",
        },
        "train": {
            "steps": 500,
            "clip_norm": None,
            "optimizer": {"adamw": {"lr": 1e-4, "eps": 1e-6, "bias_correction": False}},
            "schedule": {"linear": {"warmup": 0.1}},
            "seed": 7,
            "checkpoint_every": 10000,
        },
    }


def loss_of(tensors: dict[str, Tensor], config: dict[str, Any], given: dict[str, Tensor]) -> Tensor:
    """The sum of the original's losses of mlm and sp."""
    states = original.features(tensors, config, given["src"], given["seg"])
    inner = F.gelu(original.linear(tensors, "target.mlm.linear_1", states))
    logits = original.linear(tensors, "target.mlm.linear_2", original.norm(tensors, "target.mlm.layer_norm", inner))
    labelled = given["mlm"] > 0
    mlm = F.cross_entropy(logits[labelled], given["mlm"][labelled])
    pooled = torch.tanh(original.linear(tensors, "target.sp.linear_1", states[:, 0]))
    return mlm + F.cross_entropy(original.linear(tensors, "target.sp.linear_2", pooled), given["sp"])


def losses_of_the_original(
    tensors: dict[str, Tensor], config: dict[str, Any], given: dict[str, Tensor], steps: int, peak: float, warmup: float
) -> list[float]:
    """Training with the original's AdamW (no bias correction, decay after the update) and linear schedule."""
    tied = "target.mlm.linear_2.weight"
    weights = {name: tensor.clone().requires_grad_() for name, tensor in tensors.items() if name != tied}
    moments = {name: (torch.zeros_like(tensor), torch.zeros_like(tensor)) for name, tensor in weights.items()}
    found = []
    for step in range(steps):
        loss = loss_of({**weights, tied: weights["embedding.word.embedding.weight"]}, config, given)
        found.append(loss.item())
        grads = dict(zip(weights, torch.autograd.grad(loss, list(weights.values()))))
        start = steps * warmup
        rate = peak * (step / max(1, start) if step < start else max(0.0, (steps - step) / max(1, steps - start)))
        with torch.no_grad():
            for name, weight in weights.items():
                first, second = moments[name]
                first.mul_(0.9).add_(grads[name], alpha=0.1)
                second.mul_(0.999).addcmul_(grads[name], grads[name], value=0.001)
                weight.sub_(rate * first / (second.sqrt() + 1e-6))
                if not any(part in name for part in ("bias", "gamma", "beta")):
                    weight.sub_(rate * 0.01 * weight)
    return found


def test_a_spec_trains_as_the_command_line_did(tmp_path: Path) -> None:
    steps = 12
    config = json.loads((FOLDER / "bert.json").read_text())
    tree, _ = imported(
        tmp_path, config, *f"--total_steps {steps} --learning_rate 1e-2 --warmup 0.25 --dropout 0".split()
    )
    given = torch.load(FOLDER / "bert.expected.pt", weights_only=True)["inputs"]
    tensors = torch.load(FOLDER / "bert.bin", weights_only=True)
    expected = losses_of_the_original(tensors, config, given, steps, 1e-2, 0.25)

    place = tp_core.convert(
        "tencentpretrain", FOLDER / "bert.bin", "tp", tmp_path / "ours", config=str(FOLDER / "bert.json")
    )
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("a b\nb a\n\n" * 40)
    (tmp_path / "vocab.txt").write_text(
        "".join(f"{t}\n" for t in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b"))
    )
    tree["data"] = {
        "tokenizer": {"space": {"vocab": str(tmp_path / "vocab.txt")}},
        "processor": {"bert": {"max_length": 16}},
        "train": str(corpus),
        "cache": str(tmp_path / "cache"),
    }
    tree["model"]["vocab_size"] = 211
    tree["train"] |= {"loggers": [], "device": "cpu", "hooks": ["oracle:OracleConfig"]}
    tree["init_from"] = str(place)
    (tmp_path / "oracle.py").write_text(HOOK.replace("LOSSES", repr(str(tmp_path / "losses.txt"))))
    (tmp_path / "spec.yaml").write_text(yaml.dump(tree))
    tp_core.train(load_spec(tmp_path / "spec.yaml"), run=tmp_path / "run")
    found = [float(line) for line in (tmp_path / "losses.txt").read_text().split()]
    assert found == pytest.approx(expected, rel=2e-4)  # the decay is applied after the update there
    assert expected[-1] < expected[0] / 2


#: A hook beside the spec: every step trains on the inputs of the oracle, and its loss is written down.
HOOK = """
from typing import ClassVar

import torch
from tp_core import HooksConfig, hookimpl

from tests.tencentpretrain.test_oracles import FOLDER, batch_of


class OracleConfig(HooksConfig):
    "The inputs of an oracle instead of the data's."

    implementation: ClassVar[str] = "Oracle"


class Oracle:
    def __init__(self, config):
        self.batch = batch_of(torch.load(FOLDER / "bert.expected.pt", weights_only=True)["inputs"])

    @hookimpl
    def tp_forward(self, model, batch, denominators):
        output = model(self.batch)
        with open(LOSSES, "a") as file:
            print(output.loss.item(), file=file)
        return output
"""


def test_accumulation_keeps_the_originals_learning_rates(tmp_path: Path) -> None:
    options = "--total_steps 100 --accumulation_steps 4 --batch_size 8 --world_size 2 --warmup 0.1 --corpus_path c"
    tree, notes = imported(tmp_path, SHAPES["bert"], *options.split())
    assert (tree["train"]["steps"], tree["train"]["batch_size"], tree["train"]["accumulate"]) == (25, 64, 4)
    ours = spec_of(
        {
            "model": {"hidden_size": 8, "embedding": "word", "encoder": "lstm"},
            "train": {"steps": 25, "schedule": tree["train"]["schedule"]},
        }
    )
    assert ours.train is not None
    schedule = ours.train.schedule.config.build(25)
    theirs = [step / 10 if step < 10 else (100 - step) / 90 for step in range(25)]
    assert [schedule.factor(step) for step in range(25)] == pytest.approx(theirs, abs=1e-5)
    assert any("only falls to 83% of its peak" in note for note in notes)
    assert any("tp train SPEC --nproc 2" in note for note in notes)


@pytest.mark.parametrize(
    ("name", "line", "expected"),
    [
        ("cls", "1\tba be", ["label", "text_a"]),
        ("cls", "1\tba be\tbi", ["label", "text_a", "text_b"]),
        ("cls_mlm", "1\tba be", ["label", "text_a"]),
        ("vit", "3\ta.png", ["label", "image"]),
        ("clip", "a cat\ta.png", ["text", "image"]),
        ("vilt", "text\timage", None),
        ("s2t", "hello\ta.wav", ["text", "audio"]),
        ("bert", "a sentence", None),
    ],
)
def test_corpora_are_read_as_they_are(name: str, line: str, expected: list[str] | None, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_text(f"{line}\n")
    options = ["--data_processor", name, "--corpus_path", str(corpus), "--target", "mlm"]
    tree, _ = imported(tmp_path, {**SHAPES["bert"], "tie_weights": True}, *options)
    found = tree["data"]["train"]
    if expected is not None:
        assert found == {"tsv": {"path": str(corpus), "names": expected}}
    else:
        assert found == (str(corpus) if name == "bert" else {"tsv": {"path": str(corpus)}})


@pytest.mark.parametrize(
    ("options", "note"),
    [
        ("--deepspeed", "--deepspeed is the strategy deepspeed with stage 1: pip install 'tp-core[deepspeed]'"),
        ("--use_lora", "--use_lora: low-rank adapters are not there"),
        ("--dataset_path dataset.pt", "dataset.pt is a pickle of prepared instances, which is not read"),
        ("--train_path a.tsv --batch_size_list 32 64", "a grid is tp sweep"),
        ("--pretrained_model_path m/google.bin", "tp convert --from tencentpretrain m/google.bin"),
        ("--data_processor beit", "the data processor 'beit' has no counterpart"),
    ],
)
def test_options_without_a_counterpart_are_named(options: str, note: str, tmp_path: Path) -> None:
    _, notes = imported(tmp_path, SHAPES["bert"], *options.split())
    assert any(note in each for each in notes), notes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--learning_rat 1", "'--learning_rat' is no option of the original; did you mean 'learning_rate'?"),
        ("--batch_size x", "--batch_size is 'x'; expected an integer"),
        ("--batch_size", "--batch_size has no value"),
        ("--warmup --seed 1", "--warmup has no value"),
        ("--train_path a --corpus_path b", "are two specs"),
        ("--encoder transfomer", "did you mean 'transformer'?"),
        ("--tokenizer bpe --vocab_path v", "the tokenizer bpe needs --merges_path"),
        ("--tokenizer xlmroberta --vocab_path v", "the tokenizer xlmroberta needs --spm_model_path"),
        ("--tokenizer space --spm_model_path m", "the tokenizer space needs --vocab_path"),
        ("--tokenizer char --vocab_path v --merges_path m", "the tokenizer char reads no such file"),
        ("--tokenizer xlmrobert --spm_model_path m", "did you mean 'xlmroberta'?"),
        ("--scheduler foo", "--scheduler is 'foo'; expected linear, cosine,"),
        ("--optimizer adam", "did you mean 'adamw'?"),
        ("--adv_type x", "--adv_type is 'x'; expected fgm, pgd"),
        ("--do_lower_case True", "did you mean 'true'?"),
        ("--pooling first_last", "--pooling is 'first_last'; did you mean 'first'?"),
        ("--data_processor bret", "did you mean 'bert'?"),
        ("--accumulation_steps 0", "--accumulation_steps is 0; expected 1 or more"),
        ("--batch_size -3", "--batch_size is -3; expected 1 or more"),
        ("--fp16=true", "--fp16 has the value 'true'; expected none"),
        ("--fp16 O1", "--fp16 has the value 'O1'; expected none"),
        (
            "pretrian.py --corpus_path a",
            "is no training script of the original; did you mean 'pretrain'?",
        ),
        ("inference/run_ner_infer.py --test_path a", "trains nothing and needs no spec; its counterpart is tp predict"),
        ("scripts/generate_lm.py --test_path a", "its counterpart is tp generate"),
        ("run_ner.py --train_path a ; run_cmrc.py --train_path a", "several trainings; import one at a time"),
    ],
)
def test_command_lines_that_the_original_would_refuse(options: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(TPError) as caught:
        imported(tmp_path, SHAPES["bert"], *options.split())
    assert message in str(caught.value)


def test_the_command_writes_a_file_once(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(SHAPES["gpt2"]))
    command = ["import-spec", str(tmp_path / "config.json"), "--output", str(tmp_path / "spec.yaml")]
    more = ["--", "--corpus_path", "corpus.txt", "--learning_rate=3e-4", "--target", "lm"]
    result = CliRunner().invoke(cli, [*command, *more])
    assert result.exit_code == 0, result.output
    before = (tmp_path / "spec.yaml").read_text()
    assert "lr: 0.0003" in before
    result = CliRunner().invoke(cli, command)
    assert result.exit_code == 2
    assert "the file exists; --overwrite replaces it" in result.output
    assert (tmp_path / "spec.yaml").read_text() == before
    assert CliRunner().invoke(cli, [*command, "--overwrite"]).exit_code == 0
    printed = CliRunner().invoke(cli, command[:2])
    assert printed.exit_code == 0
    assert "norm_position: pre" in printed.output


ROWS = "label\ttext_a\ttext_b\n0\tba\tbe\n2\tbi\tbo\n1\tba\tba\n"
SCRIPTS: list[tuple[str, str, Any, Any]] = [
    ("run_classifier", "", {"cls": {"num_labels": 3, "dropout": 0.0}}, {"cls": {"max_length": 128}}),
    (
        "run_classifier_multi_label",
        "",
        {"multi_label": {"num_labels": 3, "dropout": 0.0}},
        {"multi_label": {"max_length": 128}},
    ),
    ("run_regression", "--seq_length 64", {"regression": {"dropout": 0.0}}, {"regression": {"max_length": 64}}),
    ("run_dbqa", "", {"cls": {"dropout": 0.0}}, {"ranking": {"max_length": 128}}),
    (
        "run_cmrc",
        "--seq_length 384 --doc_stride 128",
        {"qa": {"max_answer_length": 512}},
        {"qa": {"scoring": "cmrc", "step": 128, "max_length": 384, "question_max_length": 380}},
    ),
]


@pytest.mark.parametrize(("script", "more", "target", "processor"), SCRIPTS, ids=[each[0] for each in SCRIPTS])
def test_a_fine_tuning_script_has_its_target_and_processor(
    script: str, more: str, target: Any, processor: Any, tmp_path: Path
) -> None:
    (tmp_path / "train.tsv").write_text(ROWS)
    options = (
        f"python3 finetune/{script}.py --train_path {tmp_path / 'train.tsv'} --dev_path dev.tsv --vocab_path v {more}"
    )
    tree, notes = imported(tmp_path, BERT_BASE, *options.split())
    assert tree["model"]["target"] == [target]
    assert tree["data"]["processor"] == processor
    assert tree["train"]["epochs"] == 3
    if script == "run_cmrc":  # how many windows its texts have is not known
        assert notes == [
            "the original evaluates after each epoch: set train.eval_every to the number of steps of an epoch"
        ]
    else:
        assert notes == []
        assert tree["train"]["eval_every"] == 1
    assert tree["train"]["early_stopping"]["patience"] == 3


def test_the_tags_of_ner_are_in_the_spec(tmp_path: Path) -> None:
    (tmp_path / "label2id.json").write_text('{"O": 0, "B-PER": 1, "I-PER": 2}')
    options = (
        f"run_ner.py --train_path a.tsv --label2id_path {tmp_path / 'label2id.json'} --crf_target --vocab_path v.txt"
    )
    tree, _ = imported(tmp_path, BERT_BASE, *options.split())
    assert tree["model"]["target"] == [{"token_cls": {"num_labels": 4, "dropout": 0.0, "crf": True}}]
    assert tree["data"]["processor"]["token_cls"]["labels"] == {"O": 0, "B-PER": 1, "I-PER": 2, "[PAD]": 3}
    assert list(tree["data"]["tokenizer"]) == ["space"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("run_classifier.py --train_path none.tsv", "none.tsv: the file is needed for the spec and cannot be read"),
        ("run_classifier.py", "the command line has no --train_path"),
        ("run_ner.py --train_path a", "give its label2id.json with --label2id_path"),
        ("run_classifier_siamese.py --train_path a", "needs a model of two streams: 'encoder': 'dual'"),
        ("run_text2text.py --train_path a", "needs a model with a decoder"),
        ("run_classifier_mt.py", "no --dataset_path_list"),
        ("run_classifier_prompt.py --train_path a --prompt_path none.json", "none.json: this is no file of prompts"),
    ],
)
def test_fine_tunings_that_cannot_be_imported(options: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(TPError, match=message):
        imported(tmp_path, BERT_BASE, *options.split())


def test_a_language_model_frames_texts_with_the_tokens_of_bert(tmp_path: Path) -> None:
    tree, _ = imported(tmp_path, SHAPES["gpt2"], "--vocab_path", "vocab.txt", "--data_processor", "lm")
    tokenizer = tree["data"]["tokenizer"]["wordpiece"]
    assert (tokenizer["bos_token"], tokenizer["eos_token"]) == ("[CLS]", "[SEP]")


def test_paths_are_relative_to_the_file_of_the_spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(SHAPES["bert"]))
    (tmp_path / "data").mkdir()
    for name in ("train", "dev"):
        (tmp_path / "data" / f"{name}.tsv").write_text("label\ttext_a\n0\tba\n1\tbe\n")
    tokens = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "ba", "be")
    (tmp_path / "vocab.txt").write_text("".join(f"{token}\n" for token in tokens))
    (tmp_path / "specs").mkdir()
    line = (
        "run_classifier.py --train_path data/train.tsv --dev_path data/dev.tsv --vocab_path vocab.txt --seq_length 16"
    )
    more = ["--pretrained_model_path", "my models/bert.bin"]
    command = ["import-spec", "config.json", "--output", "specs/a.yaml", "--", *line.split(), *more]
    result = CliRunner().invoke(cli, command)
    assert result.exit_code == 0, result.output
    assert "--from tencentpretrain 'my models/bert.bin' --config config.json --vocab vocab.txt" in result.output
    tree = yaml.safe_load((tmp_path / "specs" / "a.yaml").read_text())
    assert tree["data"]["train"] == "../data/train.tsv"
    assert tree["init_from"] == "../models/bert"
    del tree["init_from"]
    (tmp_path / "specs" / "a.yaml").write_text(yaml.dump(tree))
    result = CliRunner().invoke(cli, ["check", "specs/a.yaml"])
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(("micro", "warmup"), [(4, 0.1), (4, 0.5), (16, 0.1), (8, 0.2), (4, 1)])
def test_learning_rates_of_an_accumulation(micro: int, warmup: float, tmp_path: Path) -> None:
    line = f"--corpus_path c --vocab_path v --total_steps 1600 --accumulation_steps {micro} --warmup {warmup}"
    tree, _ = imported(tmp_path, SHAPES["bert"], *line.split())
    spec = {"model": {"hidden_size": 8, "embedding": "word", "encoder": "lstm"}}
    train = {key: tree["train"][key] for key in ("steps", "schedule")}
    ours = spec_of({**spec, "train": train}).train
    assert ours is not None
    schedule, updates, peak = ours.schedule.config.build(1600 // micro), 1600 // micro, int(1600 * warmup)
    theirs = [step / peak if step < peak else (1600 - step) / (1600 - peak) for step in range(updates)]
    assert [schedule.factor(step) for step in range(updates)] == pytest.approx(theirs, abs=1e-4)


def test_steps_of_an_accumulation_are_updates(tmp_path: Path) -> None:
    line = "--corpus_path c --total_steps 10000 --save_checkpoint_steps 5000 --report_steps 100 --accumulation_steps 4"
    tree, _ = imported(tmp_path, SHAPES["bert"], *line.split())
    train = tree["train"]
    assert (train["steps"], train["checkpoint_every"], train["log_every"]) == (2500, 1250, 25)


def test_options_of_a_training_may_be_in_the_config(tmp_path: Path) -> None:
    config = {**SHAPES["bert"], "accumulation_steps": 4, "total_steps": 1000, "fp16": True, "world_size": 2}
    tree, notes = imported(tmp_path, config, "--corpus_path", "c", "--total_steps", "2000")
    assert (tree["train"]["steps"], tree["train"]["batch_size"], tree["train"]["precision"]) == (500, 256, "fp16")
    assert not any("is no option" in note for note in notes)
    for key, value, message in (
        ("fp16", "false", "'fp16' is \"false\"; expected true or false"),
        ("batch_size", 2.5, "'batch_size' is 2.5; expected an integer"),
        ("scheduler", "foo", "'scheduler' is 'foo'; expected linear"),
    ):
        with pytest.raises(TPError, match=message):
            imported(tmp_path, {**SHAPES["bert"], key: value}, "--corpus_path", "c")


def test_a_head_leaves_out_the_decoder(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("label\ttext_a\n0\tba\n1\tbe\n")
    tree, _ = imported(tmp_path, SHAPES["t5"], "run_classifier.py", "--train_path", str(tmp_path / "train.tsv"))
    assert "decoder" not in tree["model"]
    assert list(tree["model"]["target"][0]) == ["cls"]


def test_the_config_of_beit_is_read(tmp_path: Path) -> None:
    config = {**SHAPES["beit"], "tokenizer": "vqgan"}
    tree, notes = imported(tmp_path, config, "--corpus_path", "c", "--tokenizer", "virtual")
    assert any("the data processor 'beit' has no counterpart" in note for note in notes)
    assert tree["model"]["target"]


def test_adversarial_training_moves_all_embeddings(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("label\ttext_a\n0\tba\n1\tbe\n")
    line = f"run_classifier.py --train_path {tmp_path / 'train.tsv'} --use_adv --fgm_epsilon 1"
    tree, _ = imported(tmp_path, SHAPES["bert"], *line.split())
    assert tree["train"]["hooks"] == [{"fgm": {"epsilon": 1.0, "parts": ["word", "pos", "padded_segments"]}}]


def test_networks_in_both_directions_have_rows_of_one_length(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("label\ttext_a\ttext_b\n0\tba\tbe\n1\tbe\tba\n")
    train = ["--train_path", str(tmp_path / "train.tsv"), "--vocab_path", "v"]
    tree, _ = imported(tmp_path, SHAPES["bilstm"], "run_classifier.py", *train)
    assert tree["data"]["processor"]["cls"]["pad"] == "max_length"
    both = {"encoder": "bilstm"}
    shape = SHAPES["siamese lstm"]
    siamese = {**shape, **{key: {**shape[key], **both} for key in ("stream_0", "stream_1")}}
    tree, _ = imported(tmp_path, siamese, "run_classifier_siamese.py", *train)
    assert tree["data"]["processor"]["pair"]["pad"] == "max_length"
    tree, notes = imported(tmp_path, SHAPES["bert"], "run_classifier.py", *train, "--bidirectional")
    assert "pad" not in tree["data"]["processor"]["cls"]
    assert any("--bidirectional" in note for note in notes)


def test_steps_without_an_update(tmp_path: Path) -> None:
    line = "--corpus_path c --total_steps 10 --accumulation_steps 16 --warmup 0"
    tree, _ = imported(tmp_path, SHAPES["bert"], *line.split())
    assert tree["train"]["steps"] == 1


@pytest.mark.parametrize(("steps", "warmup", "expected"), [(15, 0.1, 1), (10, 0.01, 0), (100, 0.1, 0.1)])
def test_a_warmup_is_rounded_down(steps: int, warmup: float, expected: float, tmp_path: Path) -> None:
    line = f"--corpus_path c --total_steps {steps} --warmup {warmup}"
    tree, _ = imported(tmp_path, SHAPES["bert"], *line.split())
    assert tree["train"]["schedule"] == {"linear": {"warmup": expected}}


def test_a_vocabulary_with_further_columns_is_named(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("[PAD]\t3\n[UNK]\t2\n")
    _, notes = imported(tmp_path, SHAPES["bert"], "--corpus_path", "c", "--vocab_path", str(tmp_path / "vocab.txt"))
    assert any("vocab.txt has further columns" in note for note in notes)


@pytest.mark.parametrize(
    ("options", "strategy"),
    [
        ("--deepspeed", {"deepspeed": {"stage": 1}}),
        ("--deepspeed --enable_zero3", {"deepspeed": {"stage": 3}}),
        ("--deepspeed --deepspeed_config zero.json", {"deepspeed": {"stage": 2}}),
        ("--deepspeed --fp16", "fsdp"),
        ("--use_mp --tensor_model_parallel_size 4", {"fsdp": {"tensor_parallel": 4}}),
    ],
)
def test_deepspeed_and_tensor_parallelism_are_strategies(
    options: str, strategy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "zero.json").write_text('{"zero_optimization": {"stage": 2}}')
    spec, _ = imported(tmp_path, SHAPES["bert"], *options.split())
    assert spec["train"]["strategy"] == strategy
