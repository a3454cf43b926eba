"""``init_from`` with a mapping: each part of a model starts from a trained model of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.building import CONTENT, build, randomised
from tests.core import runs
from tp_core import Model, TPError, load_spec
from tp_core.artifacts.layout import WEIGHTS
from tp_core.errors import CheckpointError
from tp_core.spec.checks.run import check_run
from tp_core.training.init_from import initialise_from

ENCODER = {"transformer": {"num_layers": 1, "num_heads": 2, "hidden_size": 16}}
SIDE: dict[str, Any] = {"embedding": [CONTENT, "pos"], "encoder": ENCODER, "pooling": "mean"}
PAIR = {"streams": {"a": SIDE, "b": {**SIDE, "embedding": [CONTENT]}}, "target": [{"clr": {"projection_size": 8}}]}


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., str]:
    """Writes a model with random weights; gives back its folder."""
    from safetensors.torch import save_file

    def save(name: str, model: dict[str, Any], seed: int) -> str:
        folder = tmp_path / name
        folder.mkdir()
        made = randomised(build(folder, {"vocab_size": 41, **model}), seed=seed)
        save_file({key: value.detach().clone() for key, value in made.weights().items()}, folder / WEIGHTS)
        return str(folder)

    return save


def pair(folder: Path) -> tuple[Model, dict[str, Tensor]]:
    """A model of two streams, and its weights before they are changed."""
    model = randomised(build(folder, {"vocab_size": 41, **PAIR}), seed=9)
    return model, {name: value.detach().clone() for name, value in model.weights().items()}


def weights_of(folder: str) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    return load_file(f"{folder}/{WEIGHTS}")


def test_a_stream_starts_from_a_model_without_streams_and_the_rest_is_as_it_was(
    tmp_path: Path, saved: Callable[..., str]
) -> None:
    source = saved("single", {**SIDE, "target": ["cls"]}, 1)
    model, before = pair(tmp_path)
    said: list[str] = []
    initialise_from(model, {"a": source}, said.append)
    theirs = weights_of(source)
    for name, value in model.weights().items():
        inside = name.removeprefix("streams.a.")
        assert torch.equal(value, theirs[inside] if inside != name else before[name]), name
    own = sum(name.startswith("streams.a.") for name in before)
    assert said[0] == f"loaded {own} weights of a from {source}"


def test_each_stream_and_the_targets_have_a_source_of_their_own(tmp_path: Path, saved: Callable[..., str]) -> None:
    other, single = saved("pair", PAIR, 2), saved("single", {**SIDE, "embedding": [CONTENT]}, 3)
    model, _ = pair(tmp_path)
    initialise_from(model, {"a": other, "b": single, "target": other}, lambda _: None)
    first, second = weights_of(other), weights_of(single)
    for name, value in model.weights().items():
        stream = name.startswith("streams.b.")
        assert torch.equal(value, second[name.removeprefix("streams.b.")] if stream else first[name]), name


def test_a_module_of_an_embedding_that_the_other_lacks_is_new(tmp_path: Path, saved: Callable[..., str]) -> None:
    source = saved("single", {**SIDE, "embedding": [CONTENT]}, 1)
    model, before = pair(tmp_path)
    said: list[str] = []
    initialise_from(model, {"a": source}, said.append)
    (table,) = (name for name in before if name.startswith("streams.a.embedding.parts.pos."))
    assert torch.equal(model.weights()[table], before[table])
    rows = [line.split(maxsplit=1) for line in said[1].splitlines()]
    assert ["streams.a.embedding.parts.pos", f"1 tensor, {before[table].numel():,} parameters: not in {source}"] in rows


def test_components_of_a_model_without_streams_are_parts(tmp_path: Path, saved: Callable[..., str]) -> None:
    source = saved("single", {**SIDE, "target": ["cls"]}, 1)
    model = randomised(build(tmp_path, {"vocab_size": 41, **SIDE, "target": [{"cls": {"num_labels": 5}}]}), seed=9)
    before = {name: value.detach().clone() for name, value in model.weights().items()}
    initialise_from(model, {"encoder": source, "target": source}, lambda _: None)
    theirs = weights_of(source)
    kept = [name for name, value in model.weights().items() if torch.equal(value, before[name])]
    assert all(name.startswith(("embedding.", "targets.cls.classifier.")) for name in kept)
    assert torch.equal(model.weights()["targets.cls.dense.weight"], theirs["targets.cls.dense.weight"])


@pytest.mark.parametrize(
    ("source", "part", "message"),
    [
        (
            {**SIDE, "encoder": {"transformer": {**ENCODER["transformer"], "num_heads": 4, "hidden_size": 32}}},
            "a",
            "shape",
        ),
        (
            {**SIDE, "encoder": "identity", "hidden_size": 16},
            "a",
            r"it has no encoder\.layers\.0.* and \d+ more, which a needs",
        ),
        ({"streams": {"x": SIDE, "y": SIDE}}, "a", "the model has no stream 'a', and no encoder without streams"),
    ],
)
def test_a_model_that_does_not_fit_changes_nothing(
    tmp_path: Path, saved: Callable[..., str], source: dict[str, Any], part: str, message: str
) -> None:
    model, before = pair(tmp_path)
    with pytest.raises(CheckpointError, match=message):
        initialise_from(model, {part: saved("other", source, 1)}, lambda _: None)
    assert all(torch.equal(value, before[name]) for name, value in model.weights().items())


def test_a_run_starts_from_parts_and_its_spec_says_so(tmp_path: Path) -> None:
    folder = runs.write_project(tmp_path, log_every=2)
    runs.train(folder, "--run", "first", "train.steps=2")
    said = runs.train(folder, "--run", "second", "train.steps=2", "init_from.encoder=first")
    assert "weights of encoder from" in said
    assert load_spec(folder / "second" / "spec.yaml").init_from == {"encoder": str(folder / "first")}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["init_from.encodr=first"], "the model has no part 'encodr' with weights of its own; did you mean 'encoder'?"),
        (["init_from.fusion=first"], "no part 'fusion' with weights of its own; it has embedding, encoder, target"),
        (["init_from.encoder=nothing"], "there is no model at"),
        (["init_from.encoder=4"], "init_from.encoder: expected a path, got the number 4"),
        (["init_from={}"], "expected a path, or a mapping of parts of the model to paths"),
    ],
)
def test_parts_and_paths_that_do_not_exist_are_said(tmp_path: Path, settings: list[str], message: str) -> None:
    folder = runs.write_project(tmp_path)
    with pytest.raises(TPError) as error:
        check_run(load_spec(folder / "spec.yaml", settings))
    assert message in str(error.value)


def test_a_folder_of_hugging_face_is_answered_with_the_command_that_converts_it(tmp_path: Path) -> None:
    folder = runs.write_project(tmp_path)
    (folder / "other").mkdir()
    for name in ("config.json", WEIGHTS):
        (folder / "other" / name).write_text("{}")
    with pytest.raises(TPError, match="other is a model of Hugging Face; tp convert --from huggingface"):
        check_run(load_spec(folder / "spec.yaml", [f"init_from={folder / 'other'}"]))


def test_null_takes_away_what_the_parent_starts_from(tmp_path: Path) -> None:
    folder = runs.write_project(tmp_path)
    spec = load_spec(folder / "spec.yaml", ["init_from={encoder: first, embedding: first}", "init_from.encoder=null"])
    assert list(spec.init_from) == ["embedding"]
    assert load_spec(folder / "spec.yaml", ["init_from=first", "init_from=null"]).init_from == {}
