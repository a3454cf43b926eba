"""The forms of the original's checkpoints, and mistakes with them."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

import tp_core
from tests.tencentpretrain import original
from tests.tencentpretrain.shapes import SHAPES, TOKENS
from tests.tencentpretrain.test_shapes import convert, write
from tp_core.cli.main import cli

OLD_NAMES = {
    "embedding.word.embedding.weight": "embedding.word_embedding.weight",
    "embedding.pos.embedding.weight": "embedding.position_embedding.weight",
    "embedding.seg.embedding.weight": "embedding.segment_embedding.weight",
    "target.mlm.linear_1.weight": "target.mlm_linear_1.weight",
    "target.mlm.linear_1.bias": "target.mlm_linear_1.bias",
    "target.mlm.layer_norm.gamma": "target.layer_norm.gamma",
    "target.mlm.layer_norm.beta": "target.layer_norm.beta",
    "target.mlm.linear_2.weight": "target.mlm_linear_2.weight",
    "target.mlm.linear_2.bias": "target.mlm_linear_2.bias",
}


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def same(one: Path, other: Path) -> bool:
    first, second = weights(one), weights(other)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("task", ["sp", "nsp", "sop"])
def test_names_of_uer(task: str, tmp_path: Path) -> None:
    tensors = write(tmp_path, SHAPES["bert"])
    expected, said = convert(tmp_path, "new")
    assert said == []
    names = OLD_NAMES | {
        f"target.sp.linear_{n}.{part}": f"target.{task}_linear_{n}.{part}"
        for n in (1, 2)
        for part in ("weight", "bias")
    }
    torch.save({names.get(name, name): tensor for name, tensor in tensors.items()}, tmp_path / "model.bin")
    found, said = convert(tmp_path, "old")
    assert same(found, expected)
    assert said == [f"{len(names)} tensors have the names of an older version of the original"]


def test_names_of_uer_with_a_decoder_and_stored_positions(tmp_path: Path) -> None:
    config = SHAPES["transformer"]
    tensors = write(tmp_path, config)
    expected, _ = convert(tmp_path, "new")
    names = {name: name for name in tensors}
    for name in tensors:
        if name.startswith("decoder."):
            names[name] = f"target.{name}"
        if name.startswith("tgt_embedding."):
            names[name] = name.replace("tgt_embedding.", "target.embedding.").replace(
                "word.embedding", "word_embedding"
            )
    names["embedding.word.embedding.weight"] = "embedding.word_embedding.weight"
    names["target.lm.output_layer.weight"] = "target.output_layer.weight"
    renamed = {names[name]: tensor for name, tensor in tensors.items()}
    stored = torch.zeros(40, 1, 32)
    torch.save({**renamed, "embedding.pe": stored, "target.embedding.pe": stored}, tmp_path / "model.bin")
    found, _ = convert(tmp_path, "old")
    assert same(found, expected)
    text = (found / "spec.yaml").read_text()
    assert "offset: 0" in text
    assert "frequencies: paper" in text


def test_a_model_of_data_parallel_training(tmp_path: Path) -> None:
    tensors = write(tmp_path, SHAPES["gpt2"])
    expected, _ = convert(tmp_path, "plain")
    torch.save({f"module.{name}": tensor for name, tensor in tensors.items()}, tmp_path / "model.bin")
    assert same(convert(tmp_path, "wrapped")[0], expected)


def test_blocks_and_safetensors(tmp_path: Path) -> None:
    tensors = {name: tensor.contiguous().clone() for name, tensor in write(tmp_path, SHAPES["llama"]).items()}
    expected, _ = convert(tmp_path, "whole")
    blocks = tmp_path / "blocks"
    blocks.mkdir()
    files = {name: f"tencentpretrain_model-{number % 3}.bin" for number, name in enumerate(tensors)}
    for file in set(files.values()):
        torch.save({name: tensors[name] for name in tensors if files[name] == file}, blocks / file)
    (blocks / "tencentpretrain_model.bin.index.json").write_text(json.dumps({"weight_map": files}))
    save_file(tensors, tmp_path / "model.safetensors")
    config = str(tmp_path / "config.json")
    for name in ("blocks", "model.safetensors"):
        found = tp_core.convert("tencentpretrain", tmp_path / name, "tp", tmp_path / f"of {name}", config=config)
        assert same(found, expected)
    (blocks / files["embedding.word.embedding.weight"]).unlink()
    assert "are missing" in refused(blocks, "--config", config)


def refused(source: Path, *more: str) -> str:
    """The message with which a conversion is refused."""
    target = source.parent / "refused"
    result = CliRunner().invoke(
        cli, ["convert", "--from", "tencentpretrain", str(source), "--to", "tp", str(target), *more]
    )
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    assert not target.exists()
    return result.output


CHANGES: list[tuple[str, dict[str, Any], str]] = [
    ("bert", {"layers_num": 3}, "'layers_num' is 3, the checkpoint has 2"),
    ("bert", {"hidden_size": 64, "emb_size": 64}, "'hidden_size' is 64, the checkpoint has 32"),
    ("bert", {"feedforward_size": 49}, "'feedforward_size' is 49, the checkpoint has 48"),
    ("bert", {"max_seq_length": 512}, "'max_seq_length' is 512, the checkpoint has 40"),
    ("bert", {"layernorm_positioning": "pre"}, '\'layernorm_positioning\' is "pre", the checkpoint has "post"'),
    ("bert", {"remove_transformer_bias": True}, "'remove_transformer_bias' is true, the checkpoint has false"),
    ("albert", {"parameter_sharing": False}, "'parameter_sharing' is false, the checkpoint has true"),
    ("llama", {"feed_forward": "dense"}, '\'feed_forward\' is "dense", the checkpoint has "gated"'),
    ("t5", {"relative_position_embedding": False}, "'relative_position_embedding' is false, the checkpoint has true"),
    ("t5", {"decoder_layers_num": 5}, "'decoder_layers_num' is 5, the checkpoint has 2"),
    ("t5", {"decoder": None}, "'decoder' is null, the checkpoint has a transformer decoder"),
    ("lstm", {"layers_num": 1}, "'layers_num' is 1, the checkpoint has 2"),
    ("lstm", {"hidden_size": 32}, "'hidden_size' is 32, the checkpoint has 16"),
    ("lstm", {"bidirectional": True}, "'bidirectional' is true, the checkpoint has false"),
    ("gatedcnn", {"kernel_size": 4}, "'kernel_size' is 4, the checkpoint has 3"),
    ("vit", {"patch_size": 8}, "'patch_size' is 8, the checkpoint has 4"),
    (
        "bert",
        {"embedding": ["word", "pos", "sinusoidalpo"]},
        "unknown embedding 'sinusoidalpo'; did you mean 'sinusoidalpos'?",
    ),
    ("bert", {"target": ["mlm", "nsp"]}, "unknown target 'nsp'"),
    ("bert", {"hidden_act": "gelu_new"}, "'hidden_act' is \"gelu_new\""),
    ("bert", {"encoder": "transformers"}, "did you mean 'transformer'?"),
    ("bert", {"heads_num": None}, "'heads_num' is missing"),
    ("bert", {"heads_num": 0}, "'heads_num' is 0; expected an integer above 0"),
    ("bert", {"heads_num": 33}, "'heads_num' is 33, more than 'hidden_size', 32"),
    ("bert", {"dropout": "0.1"}, "'dropout' is \"0.1\"; expected a number from 0, below 1"),
    ("bert", {"dropout": None}, "'dropout' is null; expected a number from 0, below 1"),
    ("bert", {"tie_weights": "true"}, "'tie_weights' is \"true\"; expected true or false"),
    ("bert", {"max_seq_length": "512"}, "'max_seq_length' is \"512\"; expected an integer above 0"),
    ("bert", {"data_processor": "brt"}, "'data_processor' is \"brt\"; expected one of bert, lm, mlm"),
    ("vit", {"patch_size": 0}, "'patch_size' is 0; expected an integer above 0"),
    ("s2t", {"conv_channels": ["a", "b"]}, "must have integers above 0"),
    ("bert", {"hidden_siz": 32}, "unknown key 'hidden_siz'; did you mean 'hidden_size'?"),
    ("bert", {"emb_size": "32"}, "'emb_size' is \"32\""),
    ("s2t", {"conv_channels": 1024}, "'conv_channels' and 'conv_kernel_sizes' must be lists of the same length"),
]


@pytest.mark.parametrize(("shape", "change", "message"), CHANGES, ids=[f"{s} {'-'.join(c)}" for s, c, _ in CHANGES])
def test_a_config_of_another_model_is_refused_with_the_key(
    shape: str, change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    config = SHAPES[shape]
    write(tmp_path, config)
    (tmp_path / "config.json").write_text(json.dumps({**config, **change}))
    assert message in " ".join(refused(tmp_path / "model.bin").split())


def test_keys_that_the_original_ignores_are_said(tmp_path: Path) -> None:
    config = SHAPES["bloom"]
    write(tmp_path, {**config, "my_remark": "x"})
    _, said = convert(tmp_path)
    where = tmp_path / "config.json"
    assert f"{where}: the original ignores 'alibi_position_embedding', and so does the converted model" in said
    assert f"{where}: 'my_remark' is no option of the original and is ignored" in said


def test_a_vocabulary_of_another_size(tmp_path: Path) -> None:
    write(tmp_path, SHAPES["bert"])
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    for count in (TOKENS - 1, TOKENS + 3):
        vocab = tmp_path / f"{count}.txt"
        vocab.write_text("".join(f"{token}\n" for token in [*special, *(f"w{n}" for n in range(count - 5))]))
        said = " ".join(refused(tmp_path / "model.bin", "--vocab", str(vocab)).split())
        assert f"{vocab} has {count} tokens, the checkpoint {TOKENS}" in said
        folder, _ = convert(tmp_path, f"of {count}", vocab=str(vocab), resize_vocabulary=True)
        assert weights(folder)["embedding.parts.word.table.weight"].shape[0] == count


def test_files_that_are_no_checkpoints(tmp_path: Path) -> None:
    write(tmp_path, SHAPES["bert"])
    file = tmp_path / "model.bin"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert "no whole PyTorch file" in refused(file)
    file.write_bytes(b"")
    assert "PyTorch file" in refused(file)
    assert "there is no such file" in refused(tmp_path / "other.bin")
    torch.save([1, 2], file)
    assert "expected names and tensors" in refused(file)


class Harmful:
    """A pickle that would write a file."""

    def __reduce__(self) -> Any:
        return open, ("harm.txt", "w")


def test_a_pickle_with_code_is_refused_and_nothing_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, SHAPES["bert"])
    torch.save({"embedding.word.embedding.weight": Harmful()}, tmp_path / "model.bin")
    assert "loading it would run code" in refused(tmp_path / "model.bin")
    (tmp_path / "model.bin").write_bytes(pickle.dumps(Harmful()))
    assert "refused" in refused(tmp_path / "model.bin")
    assert not (tmp_path / "harm.txt").exists()


def test_a_folder_of_deepspeed_is_answered_with_its_own_command(tmp_path: Path) -> None:
    write(tmp_path, SHAPES["bert"])
    folder = tmp_path / "model.bin-1000"
    (folder / "1000").mkdir(parents=True)
    (folder / "zero_to_fp32.py").touch()
    (folder / "1000" / "mp_rank_00_model_states.pt").touch()
    for place in (folder, folder / "1000"):
        said = " ".join(refused(place, "--config", str(tmp_path / "config.json")).split())
        assert f"python {folder / 'zero_to_fp32.py'} {folder} model.bin" in said


def test_configs_that_are_none(tmp_path: Path) -> None:
    write(tmp_path, SHAPES["bert"])
    file, config = tmp_path / "model.bin", tmp_path / "config.json"
    config.write_text("{")
    assert "this is no JSON file" in refused(file)
    config.write_text("[]")
    assert "expected a JSON object" in refused(file)
    config.write_text('{"model_type": "bert"}')
    assert "this is a config of Hugging Face" in refused(file)
    config.unlink()
    assert "name it with --config" in refused(file)
    assert "there is no such file" in refused(file, "--config", str(config))


def test_tensors_without_a_place_are_listed(tmp_path: Path) -> None:
    tensors = write(tmp_path, SHAPES["bert"])
    torch.save({**tensors, "encoder.extra.weight": torch.zeros(2)}, tmp_path / "model.bin")
    assert "'encoder.extra.weight' (2,)" in refused(tmp_path / "model.bin")
    del tensors["target.mlm.linear_1.bias"]
    torch.save(tensors, tmp_path / "model.bin")
    assert "'target.mlm.linear_1.bias'" in refused(tmp_path / "model.bin")


def test_t5_from_the_originals_own_converter_has_its_positions_elsewhere(tmp_path: Path) -> None:
    tensors = original.Maker(SHAPES["t5"], TOKENS).tensors
    table = "relative_pos_emb.relative_attention_bias.weight"
    kept = {name: tensor for name, tensor in tensors.items() if ".transformer." not in name or table not in name}
    torch.save(kept, tmp_path / "model.bin")
    (tmp_path / "config.json").write_text(json.dumps(SHAPES["t5"]))
    folder, said = convert(tmp_path)
    assert torch.equal(weights(folder)["encoder.shared.0.bias.weight"], tensors[f"encoder.{table}"])
    assert any("was made by the original's own converter" in note for note in said)


def test_output_matrices_that_the_original_leaves_untied_are_said(tmp_path: Path) -> None:
    write(tmp_path, SHAPES["bart"])
    _, said = convert(tmp_path)
    assert any("'target.lm.output_layer.weight' is not tied although" in note for note in said)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"has_residual_attention": True}, "'has_residual_attention' together with 'relative_position_embedding'"),
        ({"rotary_position_embedding": True}, "'rotary_position_embedding' together with"),
    ],
)
def test_relative_positions_that_would_be_others_are_refused(options: Any, message: str, tmp_path: Path) -> None:
    write(tmp_path, {**SHAPES["bert"], "relative_position_embedding": True, **options})
    with pytest.raises(tp_core.TPError, match=message):
        convert(tmp_path)
