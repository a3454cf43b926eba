"""A child spec and the command line change what they name, or say why they cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from tp_core import TPError, load_spec

PARENT = """
model:
  hidden_size: 16
  embedding: [word]
  encoder: {transformer: {num_layers: 2, num_heads: 2}}
  target: [cls: {num_labels: 2}]
train: {steps: 2000, batch_size: 4}
"""


def write(folder: Path, child: str) -> Path:
    (folder / "parent.yaml").write_text(PARENT)
    (folder / "child.yaml").write_text(f"extends: parent.yaml\n{child}\n")
    return folder / "child.yaml"


def test_epochs_replace_inherited_steps_and_steps_epochs(tmp_path: Path) -> None:
    child = write(tmp_path, "train: {epochs: 3}")
    options = load_spec(child).train.options
    assert (options.steps, options.epochs, options.batch_size) == (None, 3, 4)
    options = load_spec(child, ["train.steps=0"]).train.options
    assert (options.steps, options.epochs) == (0, None)
    assert load_spec(write(tmp_path, "train: {epochs: null}")).train.options.steps == 2000


def test_a_default_that_no_module_takes_is_an_error_that_names_the_option_to_set(tmp_path: Path) -> None:
    child = write(tmp_path, "name: child")
    with pytest.raises(TPError) as caught:
        load_spec(child, ["model.num_layers=4"])
    assert (
        "command line: model.num_layers: changes nothing: model.encoder.transformer.num_layers is the number 2"
        in str(caught.value)
    )
    assert "parent.yaml:5:39); set that option" in str(caught.value)
    assert load_spec(child, ["model.num_layers=2"])  # the same value is no mistake
    streams = load_spec(child, ["model.encoder.transformer.num_layers=4"])
    assert streams.model.streams[""].encoder.config.num_layers == 4


def test_a_default_that_one_of_several_modules_takes_is_no_error(tmp_path: Path) -> None:
    child = write(tmp_path, "model: {dropout: 0.3, encoder: {transformer: {dropout: 0.1}}}")
    assert load_spec(child).model.streams[""].encoder.config.dropout == 0.1


def test_a_default_of_a_stream_that_its_modules_do_not_take_is_an_error(tmp_path: Path) -> None:
    inner = "embedding: [word], encoder: {transformer: {num_layers: 2, num_heads: 2}}"
    streams = f"streams: {{a: {{{inner}}}, b: {{{inner}}}}}"
    (tmp_path / "parent.yaml").write_text(f"model: {{hidden_size: 16, {streams}, target: [clr]}}")
    (tmp_path / "child.yaml").write_text("extends: parent.yaml\nmodel: {streams: {a: {num_layers: 3}}}")
    with pytest.raises(TPError) as caught:
        load_spec(tmp_path / "child.yaml")
    (line,) = [each for each in str(caught.value).splitlines() if "changes nothing" in each]
    assert "model.streams.a.num_layers: changes nothing: model.streams.a.encoder.transformer.num_layers is" in line


def test_an_option_of_a_module_takes_precedence_over_a_default_in_any_order(tmp_path: Path) -> None:
    child = write(tmp_path, "model: {num_layers: 1, encoder: {transformer: {num_layers: 3}}}")
    assert load_spec(child).model.streams[""].encoder.config.num_layers == 3
    again = load_spec(child, ["model.encoder.transformer.num_layers=5"])
    assert again.model.streams[""].encoder.config.num_layers == 5
