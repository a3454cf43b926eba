"""The files that a conversion reads and writes: shards, precisions, names, tokenizers, keys of config.json."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import tp_core
from tests.building import worst
from tests.text.checkpoints import VOCABULARY, example, find, make, save
from tp_core import load_model
from tp_core.artifacts.export import export_model
from tp_core.cli.main import cli

transformers = pytest.importorskip("transformers")

BERT = find("BertForPreTraining")
GPT2 = find("GPT2LMHeadModel")


def ours(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def convert(source: Path, target: Path, **options: Any) -> list[str]:
    """Convert from Hugging Face; gives back what was said."""
    said: list[str] = []
    tp_core.convert("huggingface", source, "tp", target, say=said.append, **options)
    return said


def equal(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """The weights of a small BERT, converted from one file."""
    save(BERT, tmp_path / "theirs")
    convert(tmp_path / "theirs", tmp_path / "whole")
    return tmp_path / "whole"


# -- weights -----------------------------------------------------------------------------------------------------


def test_shards_are_read_like_one_file(tmp_path: Path, whole: Path) -> None:
    save(BERT, tmp_path / "shards", max_shard_size="20KB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 3
    convert(tmp_path / "shards", tmp_path / "ours")
    assert equal(ours(tmp_path / "ours"), ours(whole))


def test_shards_are_written_up_to_the_size_that_is_asked_for(tmp_path: Path, whole: Path) -> None:
    tp_core.convert("tp", whole, "huggingface", tmp_path / "back", max_shard_size="20KB")
    files = sorted((tmp_path / "back").glob("*.safetensors"))
    assert len(files) > 3
    for file in files:
        with safe_open(file, "pt") as opened:
            assert sum(opened.get_tensor(name).nbytes for name in opened.keys()) <= 20_000  # noqa: SIM118
    index = json.loads((tmp_path / "back" / "model.safetensors.index.json").read_text())
    assert set(index["weight_map"].values()) == {file.name for file in files}
    _, info = transformers.BertForPreTraining.from_pretrained(tmp_path / "back", output_loading_info=True)
    assert not any(info.values())


def test_a_tensor_larger_than_a_shard_has_one_to_itself(tmp_path: Path, whole: Path) -> None:
    tp_core.convert("tp", whole, "huggingface", tmp_path / "back", max_shard_size="1")
    count = len(list((tmp_path / "back").glob("*.safetensors")))
    index = json.loads((tmp_path / "back" / "model.safetensors.index.json").read_text())
    assert count == len(index["weight_map"])


@pytest.mark.parametrize("zipped", [True, False])
def test_pytorch_files_are_read_like_safetensors(tmp_path: Path, whole: Path, zipped: bool) -> None:
    model = make(BERT)
    folder = tmp_path / "pickled"
    model.config.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": ["BertForPreTraining"]}))
    # With all the copies of tied weights, as such files have them.
    torch.save(model.state_dict(), folder / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
    convert(folder, tmp_path / "ours")
    assert equal(ours(tmp_path / "ours"), ours(whole))


def test_pytorch_shards_are_read(tmp_path: Path, whole: Path) -> None:
    folder = tmp_path / "theirs"
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(state)
    weight_map = {}
    for number, part in enumerate((names[::2], names[1::2])):
        torch.save({name: state[name] for name in part}, folder / f"part-{number}.bin")
        weight_map |= dict.fromkeys(part, f"part-{number}.bin")
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": weight_map}))
    convert(folder, tmp_path / "ours")
    assert equal(ours(tmp_path / "ours"), ours(whole))


@pytest.mark.parametrize("name", ["bfloat16", "float16"])
def test_half_precision_stays_half_precision_both_ways(tmp_path: Path, name: str) -> None:
    dtype = getattr(torch, name)
    make(GPT2).to(dtype).save_pretrained(tmp_path / "theirs")
    convert(tmp_path / "theirs", tmp_path / "ours")
    assert {tensor.dtype for tensor in ours(tmp_path / "ours").values()} == {dtype}
    tp_core.convert("tp", tmp_path / "ours", "huggingface", tmp_path / "back")
    assert equal(load_file(tmp_path / "back" / "model.safetensors"), load_file(tmp_path / "theirs/model.safetensors"))
    assert transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "back").dtype == dtype


def renamed(folder: Path, new: Any) -> None:
    state = load_file(folder / "model.safetensors")
    save_file({new(name): tensor for name, tensor in state.items()}, folder / "model.safetensors")


def test_a_body_without_its_prefix_is_read_beneath_a_head(tmp_path: Path) -> None:
    save(GPT2, tmp_path / "theirs")
    convert(tmp_path / "theirs", tmp_path / "named")
    renamed(tmp_path / "theirs", lambda name: name.removeprefix("transformer."))
    convert(tmp_path / "theirs", tmp_path / "bare")
    assert equal(ours(tmp_path / "bare"), ours(tmp_path / "named"))


def test_buffers_that_old_checkpoints_hold_are_ignored(tmp_path: Path) -> None:
    save(GPT2, tmp_path / "theirs")
    convert(tmp_path / "theirs", tmp_path / "new")
    state = load_file(tmp_path / "theirs" / "model.safetensors")
    state |= {f"transformer.h.{n}.attn.bias": torch.ones(1, 1, 32, 32).tril().bool() for n in range(2)}
    save_file(state, tmp_path / "theirs" / "model.safetensors")
    convert(tmp_path / "theirs", tmp_path / "old")
    assert equal(ours(tmp_path / "old"), ours(tmp_path / "new"))


def test_the_old_names_of_a_norms_weights_are_read(tmp_path: Path, whole: Path) -> None:
    old = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}

    def name_of(name: str) -> str:
        for new, before in old.items():
            name = name.replace(new, before)
        return name

    renamed(tmp_path / "theirs", name_of)
    convert(tmp_path / "theirs", tmp_path / "ours")
    assert equal(ours(tmp_path / "ours"), ours(whole))


# -- heads -------------------------------------------------------------------------------------------------------


def test_heads_that_the_architecture_does_not_have_are_left_out_and_named(tmp_path: Path) -> None:
    save(BERT, tmp_path / "theirs")
    said = convert(tmp_path / "theirs", tmp_path / "ours", architecture="BertForMaskedLM")
    assert any("cls.seq_relationship.weight" in line and "BertForMaskedLM" in line for line in said)
    assert [t.name for t in tp_core.load_spec(tmp_path / "ours" / "spec.yaml").model.targets] == ["mlm"]


def test_the_body_of_a_model_with_an_unknown_head_can_be_taken(tmp_path: Path) -> None:
    config = make(BERT).config
    model = transformers.BertForQuestionAnswering(config)
    model.save_pretrained(tmp_path / "theirs")
    renamed(tmp_path / "theirs", lambda name: name.replace("qa_outputs", "spans"))
    file = tmp_path / "theirs" / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "architectures": ["BertForSpans"]}))
    said = convert(tmp_path / "theirs", tmp_path / "ours", architecture="BertModel")
    assert any("spans.weight" in line for line in said)
    states = load_model(tmp_path / "ours", "cpu").model.encode(example(BERT, model, [5, 3]).ours).sequence.states
    batch = example(BERT, model, [5, 3])
    inputs = {name: batch.theirs[name] for name in ("input_ids", "attention_mask", "token_type_ids")}
    with torch.no_grad():
        expected = model.bert.eval()(**inputs).last_hidden_state
    assert worst(states, expected, batch.mask) < 1e-5


def test_a_model_with_further_targets_is_written_without_them_when_an_architecture_is_named(
    tmp_path: Path, whole: Path
) -> None:
    tp_core.convert("tp", whole, "huggingface", tmp_path / "back", architecture="BertForMaskedLM")
    _, info = transformers.BertForMaskedLM.from_pretrained(tmp_path / "back", output_loading_info=True)
    assert not any(info.values())


# -- vocabulary --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [30, 50])
def test_the_vocabulary_gets_the_size_of_the_config_when_that_is_asked_for(
    tmp_path: Path, whole: Path, rows: int
) -> None:
    file = tmp_path / "theirs" / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "vocab_size": rows}))
    said = convert(tmp_path / "theirs", tmp_path / "ours", resize_vocabulary=True)
    assert any(f"had 37 rows and has {rows} now" in line for line in said)
    old, new = (ours(folder)["embedding.parts.word.table.weight"] for folder in (whole, tmp_path / "ours"))
    kept = min(rows, 37)
    assert torch.equal(new[:kept], old[:kept])
    assert new.shape[0] == rows
    if rows > 37:  # drawn like the old, not left at zero
        assert 0.3 < float(new[37:].std() / old.std()) < 3
    convert(tmp_path / "theirs", tmp_path / "again", resize_vocabulary=True)
    assert equal(ours(tmp_path / "again"), ours(tmp_path / "ours"))


# -- tokenizers and config.json ----------------------------------------------------------------------------------


def tokenizer_in(folder: Path) -> None:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "sat", "##s"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "words.txt").write_text("".join(f"{word}\n" for word in words))
    transformers.BertTokenizerFast(vocab={word: n for n, word in enumerate(words)}).save_pretrained(folder)
    (folder / "words.txt").unlink()


def test_the_tokenizer_comes_along_and_the_model_can_be_used_at_once(tmp_path: Path) -> None:
    save(BERT, tmp_path / "theirs")
    tokenizer_in(tmp_path / "theirs")
    convert(tmp_path / "theirs", tmp_path / "ours")
    moved = (tmp_path / "ours").rename(tmp_path / "moved")
    vectors = tp_core.embed(load_model(moved, "cpu"), ["the cats sat"], pooling="first")
    model = transformers.BertModel.from_pretrained(tmp_path / "theirs").eval()
    inputs = transformers.AutoTokenizer.from_pretrained(tmp_path / "theirs")("the cats sat", return_tensors="pt")
    with torch.no_grad():
        expected = model(**inputs).last_hidden_state[:, 0]
    assert worst(torch.as_tensor(vectors), expected) < 1e-5


def test_the_tokenizer_comes_back(tmp_path: Path) -> None:
    save(BERT, tmp_path / "theirs")
    tokenizer_in(tmp_path / "theirs")
    convert(tmp_path / "theirs", tmp_path / "ours")
    tp_core.convert("tp", tmp_path / "ours", "huggingface", tmp_path / "back")
    both = [transformers.AutoTokenizer.from_pretrained(tmp_path / name) for name in ("theirs", "back")]
    assert both[0]("the cats sat")["input_ids"] == both[1]("the cats sat")["input_ids"]


def test_keys_that_say_nothing_of_the_model_survive(tmp_path: Path) -> None:
    save(GPT2, tmp_path / "theirs")
    file = tmp_path / "theirs" / "config.json"
    more = {"task_specific_params": {"text-generation": {"max_length": 50}}, "eos_token_id": 7}
    file.write_text(json.dumps({**json.loads(file.read_text()), **more}))
    convert(tmp_path / "theirs", tmp_path / "ours")
    tp_core.convert("tp", tmp_path / "ours", "huggingface", tmp_path / "back")
    config = json.loads((tmp_path / "back" / "config.json").read_text())
    assert config["task_specific_params"] == more["task_specific_params"]
    assert config["eos_token_id"] == 7


def test_the_names_of_classes_survive(tmp_path: Path) -> None:
    case = find("BertForSequenceClassification")
    model = make(case)
    model.config.id2label = {0: "bad", 1: "mixed", 2: "good"}
    model.config.label2id = {"bad": 0, "mixed": 1, "good": 2}
    model.save_pretrained(tmp_path / "theirs")
    tokenizer_in(tmp_path / "theirs")
    convert(tmp_path / "theirs", tmp_path / "ours")
    tp_core.convert("tp", tmp_path / "ours", "huggingface", tmp_path / "back")
    config = json.loads((tmp_path / "back" / "config.json").read_text())
    assert config["id2label"] == {"0": "bad", "1": "mixed", "2": "good"}


def test_a_model_that_was_made_here_goes_to_transformers(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    sizes = "model: {hidden_size: 24, vocab_size: 37, encoder: {transformer: {num_layers: 2, num_heads: 4}}}"
    file.write_text(f"extends: bert-tiny\n{sizes}\n")
    spec = tp_core.load_spec(file)
    model = tp_core.build_model(spec)
    export_model(spec, model.weights(), {}, tmp_path / "model")
    tp_core.convert("tp", tmp_path / "model", "huggingface", tmp_path / "back")
    theirs, info = transformers.BertForPreTraining.from_pretrained(tmp_path / "back", output_loading_info=True)
    assert not any(info.values())
    batch = example(BERT, theirs, [6, 2])
    with torch.no_grad():
        loss = theirs.eval()(**batch.theirs).loss
    assert worst(model.eval()(batch.ours).loss, loss) < 1e-5


PRESETS = {
    "bert-base": "bert",
    "roberta-base": "roberta",
    "xlm-roberta-base": "xlm-roberta",
    "modernbert-base": "modernbert",
    "albert-base": "albert",
    "distilbert-base": "distilbert",
    "gpt2": "gpt2",
    "llama-7b": "llama",
    "mistral-7b": "mistral",
    "bloom-560m": "bloom",
    "t5-base": "t5",
    "t5-v1.1-base": "t5",
    "bart-base": "bart",
    "pegasus-large": "pegasus",
}


@pytest.mark.parametrize(("preset", "model_type"), PRESETS.items())
def test_a_preset_is_of_the_architecture_that_it_is_named_after(preset: str, model_type: str) -> None:
    from tp_core.interop.description import describe

    assert describe(tp_core.load_spec(preset), None, model_type).name == model_type


@pytest.mark.parametrize("name", sorted(set(PRESETS.values()) | {"fnet"}))
def test_the_defaults_of_a_converter_are_those_of_transformers(name: str) -> None:
    from tp_core.interop.config_json import load_converter

    theirs = transformers.AutoConfig.for_model(name).to_dict()
    mine = {key: value for key, value in load_converter(name).defaults.items() if key in theirs}
    expected = {key: theirs[key] for key in mine}
    for derived in (
        "num_key_value_heads",
        "head_dim",
        "num_decoder_layers",
        "layer_types",
        "rope_parameters",
    ):  # unset: follow from others
        if mine.get(derived, 0) is None:
            expected[derived] = None
    assert mine == expected


# -- the command -------------------------------------------------------------------------------------------------


def test_the_command_converts_both_ways(tmp_path: Path) -> None:
    save(BERT, tmp_path / "theirs")
    there = ["convert", "--from", "huggingface", str(tmp_path / "theirs"), "--to", "tp", str(tmp_path / "ours")]
    back = ["convert", "--from", "tp", str(tmp_path / "ours"), "--to", "huggingface", str(tmp_path / "back")]
    for arguments in (there, back):
        result = CliRunner().invoke(cli, arguments)
        assert result.exit_code == 0, result.output
    left, right = (load_file(tmp_path / name / "model.safetensors") for name in ("theirs", "back"))
    assert equal(left, right)


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    save(BERT, tmp_path / "theirs")
    (tmp_path / "ours").mkdir()
    convert(tmp_path / "theirs", tmp_path / "ours")
    assert (tmp_path / "ours" / "model.safetensors").is_file()


MEASURED = """
import sys, threading
import tp_core, torch
from tp_core.interop import from_huggingface, to_huggingface

def memory():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssAnon")) * 1024

before, highest, done = memory(), 0, threading.Event()

def watch():
    global highest
    while not done.wait(0.002):
        highest = max(highest, memory())

watcher = threading.Thread(target=watch, daemon=True)
watcher.start()
tp_core.convert(*sys.argv[1:])
done.set()
watcher.join()
print(highest - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the kernel's account of memory")
def test_a_large_model_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    config = transformers.GPT2Config(n_embd=384, n_layer=24, n_head=4, n_positions=32, vocab_size=VOCABULARY)
    transformers.GPT2LMHeadModel(config).save_pretrained(tmp_path / "theirs", max_shard_size="40MB")
    size = sum(file.stat().st_size for file in (tmp_path / "theirs").glob("*.safetensors"))
    for way in (("huggingface", "theirs", "tp", "ours"), ("tp", "ours", "huggingface", "back")):
        done = subprocess.run(
            [sys.executable, "-c", MEASURED, *way], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert int(done.stdout) < size / 3
