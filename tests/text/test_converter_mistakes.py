"""A model that cannot be converted gets one clear message and exit status 2, and nothing is written."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

import tp_core
from tests.text.checkpoints import find, make, save
from tp_core.artifacts.export import export_model
from tp_core.cli.main import cli

pytest.importorskip("transformers")

BERT = find("BertForPreTraining")


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    save(BERT, tmp_path / "theirs")
    return tmp_path / "theirs"


def refused(source: Path, *more: str, direction: tuple[str, str] = ("huggingface", "tp")) -> str:
    """The message with which a conversion is refused."""
    target = source.parent / "written" / "here"
    arguments = ["convert", "--from", direction[0], str(source), "--to", direction[1], str(target), *more]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 2, result.output or result.exception
    assert "Traceback" not in result.output
    assert not target.exists()
    assert not list(source.parent.rglob(".tmp-*"))
    return result.output


def configured(folder: Path, **changes: Any) -> Path:
    """The folder with other values in its config.json; None removes a key."""
    file = folder / "config.json"
    config = {**json.loads(file.read_text()), **changes}
    file.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))
    return folder


def stored(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> Path:
    """The folder with other tensors."""
    file = folder / "model.safetensors"
    state = load_file(file)
    change(state)
    save_file(state, file)
    return folder


# -- config.json -------------------------------------------------------------------------------------------------


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert "there is no such folder" in refused(tmp_path / "nothing")


def test_a_folder_without_a_config(theirs: Path) -> None:
    (theirs / "config.json").unlink()
    assert "there is no config.json" in refused(theirs)


def test_a_config_that_is_no_json(theirs: Path) -> None:
    (theirs / "config.json").write_text("{")
    assert "config.json: this is no JSON" in refused(theirs)


def test_an_unknown_model_type_is_answered_with_the_nearest(theirs: Path) -> None:
    assert "no converter for the model_type 'roberto'; did you mean 'roberta'?" in refused(
        configured(theirs, model_type="roberto")
    )


def test_a_model_type_like_no_other_is_answered_with_those_that_there_are(theirs: Path) -> None:
    message = refused(configured(theirs, model_type="deepseek"))
    assert "installed: albert, bart, beit, bert, bloom" in message


def test_a_config_without_a_model_type_says_which_option_gives_it(theirs: Path) -> None:
    assert "--model-type" in refused(configured(theirs, model_type=None))


def test_an_unknown_architecture_is_answered_with_the_known_ones_and_the_way_to_the_body(theirs: Path) -> None:
    message = refused(configured(theirs, architectures=["BertForRhymes"]))
    assert "no conversion of the architecture 'BertForRhymes'" in message
    assert "BertForSequenceClassification" in message
    assert "--architecture BertModel takes the model without its head" in message


def test_a_config_without_an_architecture_lists_those_to_choose_from(theirs: Path) -> None:
    message = refused(configured(theirs, architectures=None))
    assert "--architecture: BertForPreTraining, BertForMaskedLM" in message


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"position_embedding_type": "relative_key"}, "'position_embedding_type' is \"relative_key\""),
        ({"is_decoder": True}, "'is_decoder' is true; only false can be converted"),
        ({"hidden_act": "mish"}, "'hidden_act' is 'mish'; specs know 'gelu'"),
        ({"quantization_config": {"bits": 4}}, "the weights are quantised"),
        ({"num_attention_heads": 5}, "5 does not divide hidden_size 24"),
    ],
)
def test_values_that_a_spec_cannot_say(theirs: Path, changes: dict[str, Any], expected: str) -> None:
    assert expected in refused(configured(theirs, **changes))


def test_rescaled_rotary_positions(tmp_path: Path) -> None:
    save(find("LlamaForCausalLM"), tmp_path / "llama")
    scaled = {"rope_type": "yarn", "factor": 8.0, "rope_theta": 10000.0}
    assert "rotary positions of type 'yarn' are rescaled ('rope_parameters')" in refused(
        configured(tmp_path / "llama", rope_parameters=scaled)
    )
    lacking = {"rope_type": "llama3", "factor": 8.0, "rope_theta": 10000.0}
    assert "'rope_parameters.low_freq_factor' is None; expected a number" in refused(
        configured(tmp_path / "llama", rope_parameters=lacking)
    )


# -- tensors -----------------------------------------------------------------------------------------------------


def test_a_missing_tensor(theirs: Path) -> None:
    name = "bert.encoder.layer.1.attention.self.key.weight"
    message = refused(stored(theirs, lambda state: state.pop(name)))
    assert f"missing (1 of 46):\n  '{name}'" in message


def test_an_unexpected_tensor(theirs: Path) -> None:
    message = refused(stored(theirs, lambda state: state.update({"bert.extra.weight": torch.ones(2, 3)})))
    assert "unexpected (1):\n  'bert.extra.weight' (2, 3)" in message


def test_tensors_of_further_layers_are_unexpected(theirs: Path) -> None:
    message = refused(configured(theirs, num_hidden_layers=1))
    assert "unexpected (16):\n  'bert.encoder.layer.1.attention.output.LayerNorm.bias' (24,)" in message
    assert "... and 4 more" in message


def test_a_tensor_of_another_shape(theirs: Path) -> None:
    message = refused(configured(theirs, intermediate_size=80))
    assert "'bert.encoder.layer.0.intermediate.dense.weight' has shape (72, 24); expected (80, 24)" in message
    assert "--resize-vocabulary" not in message


def test_missing_superfluous_and_different_tensors_are_one_message(theirs: Path) -> None:
    def change(state: dict[str, torch.Tensor]) -> None:
        state["more.weight"] = torch.ones(1)
        state["bert.pooler.dense.bias"] = torch.ones(3)
        del state["cls.predictions.bias"]

    message = refused(stored(theirs, change))
    for part in ("missing (1", "unexpected (1", "different (1"):
        assert part in message


def test_a_vocabulary_of_another_size_names_the_option_that_allows_it(theirs: Path) -> None:
    message = refused(configured(theirs, vocab_size=40))
    assert "'bert.embeddings.word_embeddings.weight' has shape (37, 24); expected (40, 24)" in message
    assert "--resize-vocabulary" in message


def test_resizing_the_vocabulary_allows_nothing_else(theirs: Path) -> None:
    message = refused(configured(theirs, vocab_size=40, intermediate_size=80), "--resize-vocabulary")
    assert "intermediate.dense.weight" in message
    assert "word_embeddings" not in message


def test_a_checkpoint_of_another_architecture_is_recognised(theirs: Path, tmp_path: Path) -> None:
    save(find("GPT2LMHeadModel"), tmp_path / "gpt2")
    (tmp_path / "gpt2" / "config.json").write_bytes((theirs / "config.json").read_bytes())
    message = refused(tmp_path / "gpt2")
    assert "missing (46 of 46)" in message
    assert "these look like the tensors of 'gpt2', not of 'bert'" in message


def test_a_tied_weight_of_other_values(tmp_path: Path) -> None:
    save(find("BartForConditionalGeneration"), tmp_path / "bart")
    other = {"model.encoder.embed_tokens.weight": torch.zeros(37, 24)}
    message = refused(stored(tmp_path / "bart", lambda state: state.update(other)))
    assert "'model.encoder.embed_tokens.weight' differs from 'model.shared.weight'" in message


def test_positions_that_are_no_sines(tmp_path: Path) -> None:
    save(find("PegasusForConditionalGeneration"), tmp_path / "pegasus")
    message = refused(stored(tmp_path / "pegasus", lambda state: state["model.encoder.embed_positions.weight"].mul_(2)))
    assert "'model.encoder.embed_positions.weight' differs from the values that the model computes" in message


# -- files -------------------------------------------------------------------------------------------------------


def test_a_folder_without_weights(theirs: Path) -> None:
    (theirs / "model.safetensors").rename(theirs / "tf_model.h5")
    message = refused(theirs)
    assert "there are no weights" in message
    assert "tf_model.h5 is of another format" in message


@pytest.mark.parametrize("kept", [0, 4, 1000, -1])
def test_a_truncated_safetensors_file(theirs: Path, kept: int) -> None:
    file = theirs / "model.safetensors"
    file.write_bytes(file.read_bytes()[:kept])
    assert f"{file}: this is no whole safetensors file" in refused(theirs)


def test_a_pointer_of_git_lfs(theirs: Path) -> None:
    (theirs / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    assert "git lfs pull" in refused(theirs)


def test_a_missing_shard(tmp_path: Path) -> None:
    save(BERT, tmp_path / "shards", max_shard_size="20KB")
    gone = sorted((tmp_path / "shards").glob("*.safetensors"))[1]
    gone.unlink()
    message = refused(tmp_path / "shards")
    assert "shards that model.safetensors.index.json lists are missing" in message
    assert gone.name in message


def test_a_shard_that_lacks_a_tensor(tmp_path: Path) -> None:
    save(BERT, tmp_path / "shards", max_shard_size="20KB")
    file = sorted((tmp_path / "shards").glob("*.safetensors"))[0]
    state = load_file(file)
    name = sorted(state)[0]
    del state[name]
    save_file(state, file)
    message = refused(tmp_path / "shards")
    assert "the shards lack tensors that it lists" in message
    assert name in message


@pytest.mark.parametrize("content", ["{", "[]", '{"weight_map": []}', '{"weight_map": {"a": "../theirs/config.json"}}'])
def test_an_index_that_is_none(theirs: Path, content: str) -> None:
    (theirs / "model.safetensors.index.json").write_text(content)
    refused(theirs)


class Malicious:
    """Unpickling it would write a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.file}",)


@pytest.mark.parametrize("how", ["torch", "torch, before 1.6", "pickle"])
def test_a_pickle_that_holds_code_is_refused_and_not_executed(theirs: Path, tmp_path: Path, how: str) -> None:
    (theirs / "model.safetensors").unlink()
    file, trace = theirs / "pytorch_model.bin", tmp_path / "executed"
    content = {"bert.embeddings.word_embeddings.weight": Malicious(trace)}
    if how == "pickle":
        file.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, file, _use_new_zipfile_serialization=how == "torch")
    message = refused(theirs)
    assert not trace.exists()
    assert "is refused: it holds more than tensors" in message
    pickle.loads(pickle.dumps(Malicious(trace)))  # it would have been executed
    assert trace.exists()


@pytest.mark.parametrize("kept", [0, 100, -100])
def test_a_truncated_pytorch_file(theirs: Path, kept: int) -> None:
    (theirs / "model.safetensors").unlink()
    file = theirs / "pytorch_model.bin"
    torch.save(make(BERT).state_dict(), file)
    file.write_bytes(file.read_bytes()[:kept])
    assert str(file) in refused(theirs)


@pytest.mark.parametrize("content", [[torch.ones(2)], {"epoch": 3, "weight": torch.ones(2)}])
def test_a_pytorch_file_of_something_else(theirs: Path, content: Any) -> None:
    (theirs / "model.safetensors").unlink()
    torch.save(content, theirs / "pytorch_model.bin")
    assert "expected names and tensors" in refused(theirs)


# -- the way back ------------------------------------------------------------------------------------------------


def exported(folder: Path, model: dict[str, Any]) -> Path:
    """A model of ours, with fresh weights."""
    file = folder / "mine.yaml"
    file.write_text(yaml.safe_dump({"tp": 1, "model": model}, sort_keys=False))
    spec = tp_core.load_spec(file)
    return export_model(spec, tp_core.build_model(spec).weights(), {}, folder / "mine")


def bert(**changes: Any) -> dict[str, Any]:
    layers = {"num_layers": 2, "num_heads": 4, **changes.pop("encoder", {})}
    return {
        "hidden_size": 24,
        "vocab_size": 37,
        "embedding": ["word", {"pos": {"max_length": 32}}, "seg"],
        "encoder": {"transformer": layers},
        "target": ["mlm", "sp"],
        **changes,
    }


BACK = ("tp", "huggingface")


def test_a_model_that_is_no_bert_is_refused_with_the_options_that_differ(tmp_path: Path) -> None:
    rotary = {"mixer": {"attention": {"positions": "rotary"}}, "norm_position": "pre"}
    folder = exported(tmp_path, bert(encoder=rotary))
    message = refused(folder, "--model-type", "bert", direction=BACK)
    assert "the model is no 'bert'" in message
    assert "model.encoder.transformer.mixer.attention.positions is rotary; bert has none" in message
    assert "model.encoder.transformer.norm_position is pre; bert has post" in message
    assert "theta" not in message


def test_a_model_of_no_architecture_is_told_the_nearest(tmp_path: Path) -> None:
    message = refused(exported(tmp_path, bert(encoder={"mixer": {"attention": {"residual": True}}})), direction=BACK)
    assert "nearest to 'bert'" in message
    assert "mixer.attention.residual is true; bert has false" in message


def test_a_model_of_two_architectures_asks_for_the_option_that_decides(tmp_path: Path) -> None:
    layers = {
        "mask": "causal",
        "mixer": {"attention": {"positions": "rotary", "bias": False}},
        "feed_forward": {"gated": {"activation": "silu", "bias": False}},
        "norm": "rmsnorm",
        "norm_position": "pre",
    }
    model = bert(embedding={"modules": ["word"], "norm": "none"}, encoder=layers, target={"lm": {"tie": False}})
    folder = exported(tmp_path, model)
    assert "--model-type llama or --model-type mistral" in refused(folder, direction=BACK)
    tp_core.convert("tp", folder, "huggingface", tmp_path / "back", model_type="mistral")


def test_an_encoder_of_another_kind(tmp_path: Path) -> None:
    folder = exported(tmp_path, {**bert(), "encoder": {"lstm": {"num_layers": 1}}})
    message = refused(folder, "--model-type", "bert", direction=BACK)
    assert "model.encoder is lstm; expected a transformer encoder" in message


def test_targets_for_which_there_is_no_head(tmp_path: Path) -> None:
    message = refused(exported(tmp_path, bert(target=["mlm", "cls"])), "--model-type", "bert", direction=BACK)
    assert "model.target is [cls, mlm]; 'bert' has heads for [mlm, sp] or [mlm]" in message


def test_an_architecture_whose_head_the_model_lacks(tmp_path: Path) -> None:
    folder = exported(tmp_path, bert(target=["mlm"]))
    message = refused(folder, "--architecture", "BertForPreTraining", direction=BACK)
    assert "model.target has no sp, which BertForPreTraining has a head for" in message


def test_an_unknown_architecture_on_the_way_back_is_answered_with_the_nearest(tmp_path: Path) -> None:
    message = refused(exported(tmp_path, bert()), "--architecture", "BertForMaskedLm", direction=BACK)
    assert "did you mean 'BertForMaskedLM'?" in message


def test_positions_that_do_not_begin_behind_the_padding(tmp_path: Path) -> None:
    model = bert(embedding=["word", {"pos": {"max_length": 32}}], target=["mlm"])
    message = refused(exported(tmp_path, model), "--model-type", "roberta", direction=BACK)
    assert "model.embedding.pos.offset is 0; expected the padding id plus one" in message


def test_weights_that_do_not_fit_the_spec(tmp_path: Path) -> None:
    folder = stored(exported(tmp_path, bert()), lambda state: state.pop("embedding.norm.weight"))
    (folder / "manifest.json").unlink()  # as for a change of the user's own
    assert "'embedding.norm.weight' is missing" in refused(folder, direction=BACK)


def test_a_folder_without_a_model_of_ours(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "there is no model" in refused(tmp_path / "empty", direction=BACK)


# -- the command -------------------------------------------------------------------------------------------------


def test_a_folder_with_something_in_it_is_not_written_to(theirs: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    arguments = ["convert", "--from", "huggingface", str(theirs), "--to", "tp", str(tmp_path / "full")]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 2
    assert "exists already" in result.output
    assert [file.name for file in (tmp_path / "full").iterdir()] == ["mine.txt"]


def test_the_same_format_twice(theirs: Path) -> None:
    assert "cannot convert from tp to tp" in refused(theirs, direction=("tp", "tp"))


@pytest.mark.parametrize("size", ["", "much", "-5MB", "0", "5 parsecs"])
def test_a_size_that_is_none(theirs: Path, size: str) -> None:
    assert "is no size" in refused(theirs, "--max-shard-size", size, direction=BACK)


def test_resizing_on_the_way_back(tmp_path: Path) -> None:
    assert "is for models from huggingface" in refused(
        exported(tmp_path, bert()), "--resize-vocabulary", direction=BACK
    )
