"""Weights are named by the modules that they belong to, however the spec spells these."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from tests.core import runs
from tp_core import Spec, build_model, load_model, load_spec
from tp_core.spec.choices.module_nodes import node_of
from tp_core.spec.choices.part_names import TAKEN, key_of

NAMES = [
    "a.c",
    "a_c",
    "a:c",
    "a@c",
    "a-c",
    "a.b.c",
    "a_b.c",
    "a.b_c",
    "file.py:Class",
    "file_py:Class",
    "ac",
    *sorted(TAKEN),
]


def test_no_two_names_have_one_key() -> None:
    assert all(key_of(one) != key_of(other) for one, other in combinations(NAMES, 2))


def test_a_key_can_hold_a_module_and_its_weights() -> None:
    for name in NAMES:
        modules = torch.nn.ModuleDict({key_of(name): torch.nn.Linear(1, 1)})
        assert sorted(modules.state_dict()) == [f"{key_of(name)}.bias", f"{key_of(name)}.weight"]


def spelled(spec: dict[str, Any]) -> dict[str, Any]:
    """A spec with its modules written together with their distributions."""
    model = spec["model"]
    text, core = "@tp-text", "@tp-core"
    model["embedding"] = [f"word{text}", {f"pos{core}": {"max_length": 32}}, f"seg{text}"]
    model["encoder"], model["target"] = f"transformer{core}", [f"mlm{text}", f"sp{text}"]
    data = spec["data"]
    data["tokenizer"] = {f"space{text}": data["tokenizer"]["space"]}
    data["processor"] = {f"bert{text}": data["processor"]["bert"]}
    return spec


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return runs.write_project(tmp_path)


def load(folder: Path, change: Any = lambda spec: spec, *overrides: str) -> Spec:
    (folder / "other.yaml").write_text(yaml.dump(change(runs.read_spec(folder)), sort_keys=False))
    return load_spec(folder / "other.yaml", list(overrides))


def test_the_distribution_in_a_spec_changes_no_weight(home: Path) -> None:
    plain, long = build_model(load(home)).weights(), build_model(load(home, spelled)).weights()
    assert list(plain) == list(long)
    assert all(torch.equal(plain[name], long[name]) for name in plain)


def test_a_longer_spelling_stays_in_the_resolved_spec(home: Path) -> None:
    resolved = load(home, spelled).dump()
    assert next(iter(resolved["model"]["embedding"]["modules"][0])) == "word@tp-text"
    assert list(resolved["data"]["tokenizer"]) == ["space@tp-text"]


def test_a_setting_finds_a_module_by_either_spelling(home: Path) -> None:
    for setting in ("model.embedding.pos.max_length=40", "model.embedding.pos@tp-core.max_length=40"):
        for change in (spelled, lambda spec: spec):
            spec = load(home, change, setting)
            (positions,) = (m for m in spec.model.streams[""].embedding.modules if m.name == "pos")
            assert positions.config.max_length == 40  # type: ignore[attr-defined]
    spec = load(home, spelled, "data.processor.bert.max_length=16")
    assert spec.data.processor is not None
    assert spec.data.processor.config.max_length == 16  # type: ignore[attr-defined]


def test_a_parent_and_its_child_may_spell_a_module_in_two_ways(home: Path) -> None:
    for parent, child in (("pos", "pos@tp-core"), ("pos@tp-core", "pos")):
        base = runs.read_spec(home)
        base["model"]["embedding"] = ["word", {parent: {"max_length": 64}}, "seg"]
        (home / "base.yaml").write_text(yaml.dump(base, sort_keys=False))
        (home / "child.yaml").write_text(f"extends: base.yaml\nmodel:\n  embedding: [word, {child}, seg]\n")
        spec = load_spec(home / "child.yaml")
        assert spec.model.streams[""].embedding.modules[1].config.max_length == 64  # type: ignore[attr-defined]


def test_a_problem_of_a_module_with_its_distribution_is_shown_at_its_option(home: Path) -> None:
    spec = load(home, spelled)
    assert spec.data.processor is not None
    assert node_of(spec.tree, spec.data.processor, "max_length").value == 32


def test_a_model_trained_under_one_spelling_is_used_and_continued_under_the_other(home: Path, tmp_path: Path) -> None:
    from tp_core import train

    first = train(load(home, spelled, "train.steps=2"), tmp_path / "first")
    assert first.model is not None
    before = load_model(first.model).model.weights()

    def continued(spec: dict[str, Any]) -> dict[str, Any]:
        return spec | {"init_from": str(first.model), "require_init": "all"}

    second = train(load(home, continued, "train.steps=1", "train.optimizer.adamw.lr=1e-30"), tmp_path / "second")
    assert second.model is not None
    after = load_model(second.model).model.weights()
    assert list(before) == list(after)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_model_with_distributions_in_its_spec_converts(home: Path, tmp_path: Path) -> None:
    from tp_core.artifacts.export import export_model
    from tp_core.data.build import tokenizers_of
    from tp_core.interop.convert import convert

    def bert(spec: dict[str, Any]) -> dict[str, Any]:
        long = spelled(spec)
        long["data"]["tokenizer"] = {"wordpiece@tp-text": {"vocab": "vocab.txt"}}
        return long

    spec = load(home, bert)
    export_model(spec, build_model(spec).weights(), tokenizers_of(spec), tmp_path / "ours")
    convert("tp", tmp_path / "ours", "huggingface", tmp_path / "theirs")
    assert (tmp_path / "theirs" / "config.json").is_file()
