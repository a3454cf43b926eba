"""Every spec of tests/specs/good is accepted and means what it says; the paper's configs are read as printed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.core.spec_files import FOLDER, SpecFile, spec_files
from tp_core import SpecError, discovery, load_spec
from tp_core.spec.errors import Problems
from tp_core.spec.schema import spec_dumper
from tp_core.spec.tree.inherit import read
from tp_core.spec.tree.yaml_loader import parse

GOOD = spec_files("good")


def at(tree: Any, path: str) -> Any:
    for part in path.split("."):
        tree = tree[int(part)] if isinstance(tree, list) else tree.get(part)
    return tree


@pytest.mark.parametrize("file", GOOD, ids=lambda file: file.path.stem)
def test_a_good_spec_is_accepted_with_the_values_that_it_says(file: SpecFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.path.parent)
    resolved = file.load().dump()
    assert {path: at(resolved, path) for path in file.values} == file.values


@pytest.mark.parametrize("file", GOOD, ids=lambda file: file.path.stem)
def test_a_resolved_spec_loads_again_as_the_same_spec(
    file: SpecFile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(file.path.parent)
    spec = file.load()
    for local in file.path.parent.glob("*.py"):
        (tmp_path / local.name).write_text(local.read_text())
    written = tmp_path / "resolved.yaml"
    written.write_text(spec.to_yaml(), encoding="utf-8")
    assert load_spec(written).dump() == spec.dump()


@pytest.mark.parametrize("emitter", ["CSafeDumper", "SafeDumper"])
def test_any_text_of_a_spec_is_read_again_as_it_was_written(emitter: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not hasattr(yaml, emitter):
        pytest.skip("PyYAML was built without libyaml")
    if emitter == "SafeDumper":
        monkeypatch.delattr(yaml, "CSafeDumper", raising=False)
    texts = ["a\x85b", "\u2028", "a: b # c", "1e3", "yes", "", " ", "\n\nä'\"", "😀: \t", "\ufeff\x00", "x y " * 60]
    tree = {text: [text, {"of": text}] for text in texts}
    written = yaml.dump(tree, Dumper=spec_dumper(), sort_keys=False, allow_unicode=True)
    assert parse(written, "spec.yaml").plain() == tree


def test_the_papers_bert_loads() -> None:
    spec = load_spec(FOLDER / "paper" / "bert.json")
    assert [module.name for module in spec.model.chosen()] == [
        "word",
        "pos",
        "seg",
        "layernorm",
        "transformer",
        "mlm",
        "sp",
    ]


def missing_modules(name: str) -> list[str]:
    needed = {"vilt": ("embedding", "patch_word"), "clip": ("embedding", "patch"), "t5": ("decoder", "transformer")}
    kind, module = needed[name]
    return [module] if module not in discovery.index().names(kind) else []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("vilt", "unknown embedding 'patch_word'; it comes with tp-crossmodal: pip install tp-crossmodal"),
        ("clip", "unknown embedding 'patch'; it comes with tp-vision: pip install tp-vision"),
        ("t5", "unknown decoder 'transformer'; 'transformer' is the name of an encoder, not of a decoder"),
    ],
)
def test_the_papers_other_configs_load_or_name_the_package_that_is_missing(name: str, said: str) -> None:
    if not missing_modules(name):
        assert load_spec(FOLDER / "paper" / f"{name}.json").model.streams
        return
    with pytest.raises(SpecError) as caught:
        load_spec(FOLDER / "paper" / f"{name}.json")
    assert said in str(caught.value)


def test_the_papers_configs_become_the_model_part_as_printed() -> None:
    problems = Problems()
    t5, clip = (read(str(FOLDER / "paper" / f"{name}.json"), problems).plain() for name in ("t5", "clip"))
    assert not problems
    word: dict[str, Any] = {"modules": [{"word": {}}]}
    transformer: dict[str, Any] = {"transformer": {}}
    assert t5 == {
        "model": {
            "embedding": word,
            "encoder": transformer,
            "target_embedding": word,
            "decoder": transformer,
            "target": [{"lm": {}}],
        }
    }

    def stream(first: str) -> dict[str, Any]:
        return {"embedding": {"modules": [{first: {}}, {"pos": {}}]}, "encoder": transformer, "pooling": "first"}

    assert clip == {
        "model": {"streams": {"stream_0": stream("word"), "stream_1": stream("patch")}, "target": [{"clr": {}}]}
    }
