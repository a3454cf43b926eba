"""Keys and files of a Hugging Face folder that a conversion does not use are refused, noted, or known to be idle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save_file

import tp_core
from tests.text.checkpoints import find, save
from tp_core import TPError, load_spec
from tp_core.cli.main import cli

transformers = pytest.importorskip("transformers")


def edited(folder: Path, **changes: Any) -> Path:
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text(encoding="utf-8")), **changes}), encoding="utf-8")
    return folder


def converted(source: Path, **options: Any) -> list[str]:
    """The notes on a conversion."""
    said: list[str] = []
    tp_core.convert("huggingface", source, "tp", source.parent / "ours", say=said.append, **options)
    return said


def written(source: Path, **options: Any) -> dict[str, Any]:
    """The config.json of a model of ours."""
    folder = tp_core.convert("tp", source, "huggingface", source.parent / "back", **options)
    found: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture
def bert(tmp_path: Path) -> Path:
    save(find("BertForSequenceClassification"), tmp_path / "theirs")
    return tmp_path / "theirs"


# -- keys --------------------------------------------------------------------------------------------------------


def test_all_refused_keys_are_one_message_with_the_option_that_goes_on(bert: Path) -> None:
    source = edited(bert, is_decoder=True, tie_encoder_decoder=True, logits_soft_cap=30.0)
    result = CliRunner().invoke(cli, ["convert", "--from", "huggingface", str(source), "--to", "tp", f"{source}-ours"])
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    for part in (
        "'is_decoder' is true; only false can be converted",
        "'tie_encoder_decoder' is true; only false can be converted",
        "'logits_soft_cap' is 30.0",
        "--ignore-key KEY ignores a key",
    ):
        assert part in result.output


def test_the_command_ignores_keys_that_are_named(bert: Path) -> None:
    source = edited(bert, logits_soft_cap=30.0, more={"inside": 1})
    arguments = ["convert", "--from", "huggingface", str(source), "--to", "tp", f"{source}-ours"]
    result = CliRunner().invoke(cli, [*arguments, "--ignore-key", "logits_soft_cap", "--ignore-key", "more"])
    assert result.exit_code == 0, result.output
    assert "config.json: 'logits_soft_cap' is 30.0, and is ignored as you asked" in result.output


@pytest.mark.parametrize(("key", "near"), [("logit_soft_cap", "did you mean 'logits_soft_cap'?"), ("zzz", "")])
def test_an_ignored_key_that_is_nowhere_is_an_error_with_the_nearest(bert: Path, key: str, near: str) -> None:
    source = edited(bert, logits_soft_cap=30.0)
    with pytest.raises(TPError, match="no file that is read has this key") as caught:
        converted(source, ignore_keys=["logits_soft_cap", key])
    assert near in str(caught.value)
    assert not (bert.parent / "ours").exists()


def test_a_misspelled_key_is_named_beside_the_keys_that_are_refused(bert: Path) -> None:
    with pytest.raises(TPError, match="'logits_soft_cap' is 30") as caught:
        converted(edited(bert, logits_soft_cap=30.0), ignore_keys=["logit_soft_cap", "zzz"])
    assert "--ignore-key logit_soft_cap is no key of config.json; did you mean 'logits_soft_cap'?" in str(caught.value)
    assert "zzz" not in str(caught.value)


def test_one_text_is_no_list_of_ignored_keys(bert: Path) -> None:
    with pytest.raises(TPError, match="'ignore_keys' must be a list, such as \\['foo'\\]"):
        converted(edited(bert, foo=1), ignore_keys="foo")


def test_the_way_back_has_no_keys_to_ignore(bert: Path) -> None:
    converted(bert)
    with pytest.raises(TPError, match="--ignore-key is for models from huggingface"):
        tp_core.convert("tp", bert.parent / "ours", "huggingface", bert.parent / "back", ignore_keys=["x"])


def test_two_spellings_of_a_key_with_different_values_are_refused(tmp_path: Path) -> None:
    save(find("GPT2LMHeadModel"), tmp_path / "theirs")
    with pytest.raises(TPError, match="another name for the same") as caught:
        converted(edited(tmp_path / "theirs", num_hidden_layers=3))
    assert "'n_layer' is 2" in str(caught.value)
    assert not converted(edited(tmp_path / "theirs", num_hidden_layers=2))


def test_what_only_training_depends_on_is_a_note(tmp_path: Path) -> None:
    save(find("BartForConditionalGeneration"), tmp_path / "theirs")
    said = converted(edited(tmp_path / "theirs", encoder_layerdrop=0.25, decoder_layerdrop=0.0))
    assert "config.json: not kept, since only training depends on it: 'encoder_layerdrop' is 0.25" in said


def test_code_of_a_checkpoints_own_is_noted_and_never_run(bert: Path) -> None:
    (bert / "modeling_mine.py").write_text("raise SystemExit('run')")
    said = converted(edited(bert, auto_map={"AutoModel": "modeling_mine.MyModel"}))
    assert any("'auto_map' names code" in line for line in said)
    assert "code that comes with a checkpoint is never run: modeling_mine.py" in said


def test_the_dropout_of_a_classifier_is_kept_both_ways(bert: Path) -> None:
    converted(edited(bert, classifier_dropout=0.3))
    (target,) = load_spec(bert.parent / "ours" / "spec.yaml").model.targets
    assert target.config.dropout == 0.3  # type: ignore[attr-defined]
    assert written(bert.parent / "ours")["classifier_dropout"] == 0.3


def test_a_body_taken_from_a_classifier_of_several_labels_does_not_give_its_keys_to_a_new_classifier(
    bert: Path, tmp_path: Path
) -> None:
    source = edited(bert, problem_type="multi_label_classification")
    converted(source, architecture="BertModel")
    file = tmp_path / "ours" / "spec.yaml"
    spec = file.read_text(encoding="utf-8")
    assert "target: []" in spec
    (tmp_path / "more.yaml").write_text(
        spec.replace("target: []", "target: [cls: {pooling: first}]") + "init_from: ours\n", encoding="utf-8"
    )
    model = tp_core.load_spec(tmp_path / "more.yaml")
    from tp_core.interop.description import describe

    origin = json.loads((tmp_path / "ours" / "huggingface.json").read_text(encoding="utf-8"))
    assert origin["problem_type"] == "multi_label_classification"
    assert "problem_type" not in describe(model, None, None, origin).config


# -- files -------------------------------------------------------------------------------------------------------

IDLE = [
    *("README.md", "LICENSE", "NOTICE.txt", ".gitattributes", "picture.png", "training_args.bin", "optimizer.pt"),
    *("trainer_state.json", "rng_state_0.pth", "events.out.tfevents.1.x", "tf_model.h5", "flax_model.msgpack"),
    *("rust_model.ot", "pytorch_model.bin", "model.safetensors.index.json.lock", "scheduler.pt", "all_results.json"),
]


def test_files_that_say_nothing_of_a_model_are_passed_over(bert: Path) -> None:
    for name in IDLE:
        (bert / name).write_text("x")
    for name in ("onnx", "original", "runs", ".cache"):
        (bert / name).mkdir()
        (bert / name / "model.onnx").write_text("x")
    assert not converted(bert)


def test_files_that_are_not_used_are_named_in_one_note(bert: Path) -> None:
    (bert / "labels.txt").write_text("good\nbad\n")
    (bert / "thresholds.json").write_text("{}")
    (bert / "heads").mkdir()
    save_file({"x": torch.ones(1)}, bert / "model_head.safetensors")
    assert converted(bert) == ["not read: heads/, labels.txt, model_head.safetensors, thresholds.json"]


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"])
def test_an_adapter_is_refused_with_what_to_do(bert: Path, name: str) -> None:
    (bert / name).write_text("{}")
    with pytest.raises(TPError, match=rf"{name}: this is an adapter.*merge_and_unload"):
        converted(bert)


def test_an_adapter_alone_is_told_from_a_folder_without_a_model(tmp_path: Path) -> None:
    (tmp_path / "lora").mkdir()
    (tmp_path / "lora" / "adapter_config.json").write_text("{}")
    with pytest.raises(TPError, match="this is an adapter"):
        converted(tmp_path / "lora")
