"""Modules in files beside a spec, and what these files import: what runs is what was there, and all of it is kept."""

from __future__ import annotations

import importlib
import json
import pickle
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.core.runs import read_spec, run_code, run_tp, weights, write_project, write_spec
from tp_core import TPError, evaluate, load_model, load_spec, train
from tp_core.local import namespace_of
from tp_core.spec.choices.module_nodes import all_modules
from tp_core.spec.trained.local_files import local_files

#: An encoder whose weights tell how large the mark was in the code that built it.
ENCODER = """\
{imports}
import torch
from tp_core.modules.encoders.transformer_options import TransformerConfig
from tp_core.modules.encoders.transformer import TransformerEncoder

class Config(TransformerConfig):
    def build(self, context):
        return Marked(self, context)

class Marked(TransformerEncoder):
    def __init__(self, config, context):
        super().__init__(config, context)
        self.register_buffer("mark", torch.empty({size}))

    def reset_parameters(self):
        self.mark.zero_()
"""


def project(folder: Path, files: dict[str, str], encoder: str = "my_encoder:Config", **options: Any) -> Path:
    """A project with local files, and a spec whose encoder is in one of them; gives back the spec."""
    write_project(folder, **{"steps": 1, "checkpoint_every": 1, **options})
    write(folder, files)
    spec = read_spec(folder)
    spec["model"]["encoder"] = encoder
    write_spec(folder, spec)
    return folder / "spec.yaml"


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def encoder(imports: str = "", size: str = "3") -> str:
    return ENCODER.replace("{imports}", imports).replace("{size}", size)


def mark(run: Path) -> int:
    """The size of the mark in a run's exported weights."""
    (found,) = (value for name, value in weights(run).items() if name.endswith("mark"))
    return int(found.numel())


def kept(folder: Path) -> dict[str, str]:
    """The Python files of a run or an export, without those of the export in the run."""
    files = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*.py")}
    return {name: text for name, text in files.items() if not name.startswith("model/")}


# -- a file that is edited ---------------------------------------------------------------------------------------------


def test_an_edited_file_is_trained_and_stored_as_it_is_now(tmp_path: Path) -> None:
    spec = project(tmp_path / "project", {"my_encoder.py": encoder(size="3")})
    train(load_spec(spec), tmp_path / "one")
    (tmp_path / "project" / "my_encoder.py").write_text(encoder(size="5"))
    train(load_spec(spec), tmp_path / "two")
    assert (mark(tmp_path / "one"), mark(tmp_path / "two")) == (3, 5)
    for run, size in (("one", "3"), ("two", "5")):
        for folder in (tmp_path / run, tmp_path / run / "model"):
            assert kept(folder) == {"my_encoder.py": encoder(size=size)}
        assert "loss" in evaluate(tmp_path / run, str(tmp_path / "project" / "held_out.txt"), trust_code=True)


def test_a_spec_trains_and_stores_the_file_that_it_was_loaded_with(tmp_path: Path) -> None:
    files = {"my_encoder.py": encoder("from mark import SIZE", "SIZE"), "mark.py": "SIZE = 4"}
    spec = load_spec(project(tmp_path / "project", files))
    write(tmp_path / "project", {"my_encoder.py": "raise RuntimeError", "mark.py": "SIZE = 9"})
    train(spec, tmp_path / "run")
    assert mark(tmp_path / "run") == 4
    assert kept(tmp_path / "run") == kept(tmp_path / "run" / "model") == files


def test_a_file_that_has_not_changed_is_the_same_module(tmp_path: Path) -> None:
    spec = project(tmp_path, {"my_encoder.py": encoder()})
    one, other = (load_spec(spec).model.streams[""].encoder.config for _ in range(2))
    assert type(one) is type(other)
    assert one == other


# -- files that it imports ---------------------------------------------------------------------------------------------

IMPORTS = {
    "plain": ("import mark", "mark.SIZE"),
    "renamed": ("import mark as other", "other.SIZE"),
    "a name": ("from mark import SIZE", "SIZE"),
    "everything": ("from mark import *", "SIZE"),
    "several at once": ("import os, mark, json", "mark.SIZE"),
    "relative": ("from . import mark", "mark.SIZE"),
    "relative, a name": ("from .mark import SIZE as N", "N"),
    "package": ("import parts", "parts.SIZE"),
    "inside a package": ("import parts.inner.sizes", "parts.inner.sizes.SIZE"),
    "inside a package, renamed": ("import parts.inner.sizes as s", "s.SIZE"),
    "a module of a package": ("from parts.inner import sizes", "sizes.SIZE"),
    "inside a package, relative": ("from .parts.inner.sizes import SIZE", "SIZE"),
    "indirectly": ("import above", "above.mark.SIZE"),
    "in a function": ("def size():\n    import mark\n    return mark.SIZE", "size()"),
    "in a branch": ("try:\n    import mark\nexcept ImportError:\n    raise", "mark.SIZE"),
    "by name at run time": (
        "import importlib\nmark = importlib.import_module('.mark', __package__)",
        "mark.SIZE",
    ),
    "by a plain name when it is built": ("import importlib", "importlib.import_module('mark').SIZE"),
    "by a name that running makes": ("from importlib import import_module as load", "load('ma' + 'rk').SIZE"),
    "by the function behind the statement": ("", "__import__('parts.inner.sizes').inner.sizes.SIZE"),
}

HELPERS = {
    "mark.py": "SIZE = 7\n",
    "above.py": "import mark\n",
    "parts/__init__.py": "from .inner.sizes import SIZE\n",
    "parts/inner/__init__.py": "",
    "parts/inner/sizes.py": "from mark import SIZE\n",
}


@pytest.mark.parametrize(("imports", "size"), IMPORTS.values(), ids=IMPORTS.keys())
def test_imports_of_files_beside_a_local_file_work_and_are_exported(tmp_path: Path, imports: str, size: str) -> None:
    code = encoder(imports, size)
    spec = project(tmp_path / "project", {"my_encoder.py": code, **HELPERS, "unrelated.py": "raise RuntimeError"})
    train(load_spec(spec), tmp_path / "run")
    assert mark(tmp_path / "run") == 7
    stored = kept(tmp_path / "run")
    assert stored == kept(tmp_path / "run" / "model")
    assert {"my_encoder.py", "mark.py"} <= stored.keys()
    assert "unrelated.py" not in stored
    assert not {"mark", "parts", "above"} & sys.modules.keys()
    # Elsewhere, without the project; a change of the helper would not fit the weights.
    shutil.move(tmp_path / "run" / "model", tmp_path / "moved")
    held_out = shutil.move(tmp_path / "project" / "held_out.txt", tmp_path / "held_out.txt")
    shutil.rmtree(tmp_path / "project")
    assert "loss" in evaluate(tmp_path / "moved", str(held_out), trust_code=True)


def test_a_name_that_is_imported_by_value_is_that_of_the_own_folder_or_an_installed_one(tmp_path: Path) -> None:
    use = (
        "import importlib as i\nfrom tp_core.modules.encoders.transformer_options import TransformerConfig as Config\n"
    )
    code = (
        use
        + "mark = i.import_module('mark'); json = i.import_module('json'); name = __import__('json.decoder').__name__"
    )
    found = []
    for number in (1, 2):
        spec = project(tmp_path / str(number), {"my_encoder.py": code, "mark.py": f"SIZE = {number}"})
        cls = type(load_spec(spec).model.streams[""].encoder.config)
        found.append(namespace_of(str(spec.parent), "my_encoder"))
        module = sys.modules[f"{found[-1].name}.my_encoder"]
        assert cls.__name__ == "TransformerConfig"
        assert (module.mark.SIZE, module.json, module.name) == (number, json, "json")
        assert found[-1].needed("my_encoder").keys() == {"my_encoder.py", "mark.py"}


def test_a_traceback_of_a_local_file_has_its_own_lines(tmp_path: Path) -> None:
    code = "import importlib\nfrom tp_core.modules.encoders.transformer_options import TransformerConfig as Config\n"
    spec = project(tmp_path, {"my_encoder.py": code + "importlib.import_module(\n    'nothing_of_that_name')\n"})
    with pytest.raises(TPError, match=r"No module named 'nothing_of_that_name' \(my_encoder\.py, line 3\)"):
        load_spec(spec)


def test_an_export_with_helpers_loads_in_another_process_when_all_else_is_gone(tmp_path: Path) -> None:
    code = encoder("import above\nfrom parts import SIZE", "SIZE")
    spec = project(tmp_path / "project", {"my_encoder.py": code, **HELPERS})
    model = train(load_spec(spec), tmp_path / "run").model
    assert model is not None
    shutil.copytree(model, tmp_path / "elsewhere" / "moved")
    shutil.move(tmp_path / "project" / "held_out.txt", tmp_path / "elsewhere" / "held_out.txt")
    shutil.rmtree(tmp_path / "project")
    shutil.rmtree(tmp_path / "run")
    run_tp(tmp_path / "elsewhere", "evaluate", "moved", "--trust-code", "--data", "held_out.txt")


def test_an_edited_helper_is_trained_and_stored_as_it_is_now(tmp_path: Path) -> None:
    files = {"my_encoder.py": encoder("from parts import SIZE", "SIZE"), **HELPERS}
    spec = project(tmp_path / "project", files)
    train(load_spec(spec), tmp_path / "one")
    (tmp_path / "project" / "mark.py").write_text("SIZE = 8\n")  # of mark, parts.inner.sizes, parts, my_encoder
    train(load_spec(spec), tmp_path / "two")
    assert (mark(tmp_path / "one"), mark(tmp_path / "two")) == (7, 8)
    assert kept(tmp_path / "one" / "model")["mark.py"] == "SIZE = 7\n"
    assert kept(tmp_path / "two" / "model")["mark.py"] == "SIZE = 8\n"
    held_out = str(tmp_path / "project" / "held_out.txt")
    for run in ("one", "two"):
        assert "loss" in evaluate(tmp_path / run, held_out, trust_code=True)


def test_a_helper_that_appears_beside_a_file_is_seen(tmp_path: Path) -> None:
    files = {"my_encoder.py": encoder("try:\n    from mark import SIZE\nexcept ImportError:\n    SIZE = 2", "SIZE")}
    spec = project(tmp_path / "project", files)
    train(load_spec(spec), tmp_path / "one")
    (tmp_path / "project" / "mark.py").write_text("SIZE = 8\n")
    train(load_spec(spec), tmp_path / "two")
    assert (mark(tmp_path / "one"), mark(tmp_path / "two")) == (2, 8)


def test_two_folders_with_files_of_the_same_names_do_not_mix(tmp_path: Path) -> None:
    specs = {}
    for name, size in (("one", 3), ("other", 5)):
        files = {"my_encoder.py": encoder("import mark", "mark.SIZE"), "mark.py": f"SIZE = {size}"}
        specs[name] = load_spec(project(tmp_path / name, files))
    for name, spec in specs.items():
        train(spec, tmp_path / "runs" / name)
    assert {name: mark(tmp_path / "runs" / name) for name in specs} == {"one": 3, "other": 5}
    loaded = {name: load_model(tmp_path / "runs" / name, trust_code=True).model for name in specs}
    assert {name: int(model.encoder.mark.numel()) for name, model in loaded.items()} == {"one": 3, "other": 5}


def test_modules_of_one_folder_share_what_they_import(tmp_path: Path) -> None:
    hooks = """\
from my_encoder import Marked
from tp_core import HooksConfig, hookimpl

class Watch(HooksConfig):
    def build(self):
        return self

    @hookimpl
    def tp_model_built(self, model, spec):
        assert isinstance(model.encoder, Marked)
"""
    spec = project(tmp_path, {"my_encoder.py": encoder(), "my_hooks.py": hooks}, hooks=["my_hooks:Watch"])
    train(load_spec(spec), tmp_path / "run")


def test_a_spec_in_whose_folders_two_files_of_a_name_differ_is_refused_with_both(tmp_path: Path) -> None:
    project(tmp_path / "base", {"my_encoder.py": encoder("import mark", "mark.SIZE"), "mark.py": "SIZE = 3"})
    hooks = "import mark\nfrom tp_core import HooksConfig\nclass Config(HooksConfig):\n    def build(self):\n"
    hooks += "        return self\n"
    write(tmp_path / "over", {"my_hooks.py": hooks, "mark.py": "SIZE = 5"})
    text = "extends: ../base/spec.yaml\ntrain: {hooks: [my_hooks:Config]}\n"
    (tmp_path / "over" / "spec.yaml").write_text(text)
    with pytest.raises(TPError, match=r"base/mark\.py and .*over/mark\.py, which differ.*rename one of them"):
        train(load_spec(tmp_path / "over" / "spec.yaml"), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    (tmp_path / "over" / "mark.py").write_text("SIZE = 3")
    train(load_spec(tmp_path / "over" / "spec.yaml"), tmp_path / "run")
    assert kept(tmp_path / "run").keys() == {"my_encoder.py", "my_hooks.py", "mark.py"}


def test_an_installed_package_is_no_helper(tmp_path: Path) -> None:
    code = encoder("import yaml, numpy.linalg\nfrom click import echo")
    spec = project(tmp_path / "project", {"my_encoder.py": code})
    train(load_spec(spec), tmp_path / "run")
    assert kept(tmp_path / "run").keys() == {"my_encoder.py"}


def test_a_file_named_like_an_installed_package_can_import_that(tmp_path: Path) -> None:
    code = encoder("import yaml", "len(yaml.safe_load('[1, 2]'))")
    train(load_spec(project(tmp_path / "project", {"yaml.py": code}, "yaml:Config")), tmp_path / "run")
    assert mark(tmp_path / "run") == 2


def test_folders_of_a_run_hide_no_installed_package(tmp_path: Path) -> None:
    code = encoder("import tensorboard.version", "len(tensorboard.version.VERSION[:1])")
    spec = project(tmp_path / "project", {"my_encoder.py": code}, loggers=["tensorboard"])
    train(load_spec(spec), tmp_path / "run")
    assert (tmp_path / "run" / "tensorboard").is_dir()
    checkpoint = tmp_path / "run" / "checkpoints" / "step_000001"
    assert "loss" in evaluate(checkpoint, str(tmp_path / "project" / "held_out.txt"), trust_code=True)


def test_a_package_that_is_called_like_a_folder_of_the_run_is_kept(tmp_path: Path) -> None:
    files = {"my_encoder.py": encoder("import model", "model.SIZE"), "model/__init__.py": "SIZE = 6"}
    train(load_spec(project(tmp_path / "project", files)), tmp_path / "run")
    held_out = str(tmp_path / "project" / "held_out.txt")
    for used in ("run/model", "run/checkpoints/step_000001"):
        assert "loss" in evaluate(tmp_path / used, held_out, trust_code=True)


def test_a_module_may_be_in_a_folder_or_a_package(tmp_path: Path) -> None:
    code = encoder("import mark", "mark.SIZE")
    files = {"parts/own.py": code, "parts/mark.py": "SIZE = 4"}
    files |= {"whole/__init__.py": encoder("from .mark import SIZE", "SIZE"), "whole/mark.py": "SIZE = 6"}
    for number, name in enumerate(("parts.own:Config", "whole:Config")):
        spec = project(tmp_path / "project", files, name)
        train(load_spec(spec), tmp_path / f"run{number}")
        assert "loss" in evaluate(
            tmp_path / f"run{number}", str(tmp_path / "project" / "held_out.txt"), trust_code=True
        )
    assert [mark(tmp_path / f"run{number}") for number in (0, 1)] == [4, 6]


def test_a_class_that_a_local_file_only_imports_is_exported_with_the_file(tmp_path: Path) -> None:
    files = {"my_encoder.py": "from parts import Config\n", "parts.py": encoder()}
    train(load_spec(project(tmp_path / "project", files)), tmp_path / "run")
    assert kept(tmp_path / "run" / "model").keys() == {"my_encoder.py", "parts.py"}
    written = json.loads((tmp_path / "run" / "provenance.json").read_text())
    assert [m["name"] for m in written if not m["portable"]] == ["my_encoder:Config"]
    shutil.rmtree(tmp_path / "project")
    assert load_model(tmp_path / "run", trust_code=True).model is not None


MISTAKES = {
    "missing": ("import helpr", "my_encoder.py, line 1", "No module named 'helpr'"),
    "missing relative": ("from . import helpr", "my_encoder.py, line 1", "cannot import name 'helpr'"),
    "missing name": ("from mark import size", "my_encoder.py, line 1", "cannot import name 'size' from 'mark'"),
    "raises": ("\nimport fails", "fails.py, line 2", "ZeroDivisionError: division by zero"),
    "no Python": ("import broken", "broken.py, line 2", "SyntaxError"),
    "beyond the folder": ("from .. import mark", "my_encoder.py, line 1", "beyond the folder of the spec"),
}


@pytest.mark.parametrize(("imports", "place", "cause"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_in_what_is_imported_is_placed(tmp_path: Path, imports: str, place: str, cause: str) -> None:
    files = {"my_encoder.py": encoder(imports), "mark.py": "SIZE = 1", "fails.py": "\n1 / 0", "broken.py": "\n(("}
    spec = project(tmp_path, files)
    with pytest.raises(TPError) as caught:
        load_spec(spec)
    said = str(caught.value)
    assert said.count(place) == 1, said
    assert cause in said
    assert "tp_core.local" not in said
    write(tmp_path, {"my_encoder.py": encoder()})  # mended, in the same process
    load_spec(spec)


# -- options that are set elsewhere ------------------------------------------------------------------------------------


def test_an_option_of_a_local_module_is_set_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project(tmp_path / "project", {"my_encoder.py": encoder(size="3")})
    write(tmp_path / "elsewhere", {"my_encoder.py": encoder(size="5")})
    for folder in (tmp_path, tmp_path / "elsewhere"):  # a path of options names the module that the spec has
        monkeypatch.chdir(folder)
        spec = load_spec(tmp_path / "project" / "spec.yaml", ["model.encoder.my_encoder:Config.dropout=0.25"])
        chosen = spec.model.streams[""].encoder
        assert chosen.config.dropout == 0.25
        assert chosen.local is not None
        assert chosen.local.folder == str(tmp_path / "project")


def test_an_option_of_a_hook_in_a_file_is_set_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hooks = "from tp_core import HooksConfig\nclass Config(HooksConfig):\n    size: int = 1\n    def build(self):\n"
    spec = project(tmp_path / "project", {"my_hooks.py": hooks + "        return self\n"}, "transformer")
    monkeypatch.chdir(tmp_path)
    for given in ("[my_hooks:Config]", "{my_hooks:Config: {size: 2}}"):
        tree = read_spec(spec.parent)
        tree["train"]["hooks"] = yaml.safe_load(given)
        write_spec(spec.parent, tree)
        (chosen,) = load_spec(spec, ["train.hooks.my_hooks:Config.size=7"]).train.hooks
        assert chosen.config.size == 7


def test_a_child_changes_options_of_its_parents_local_module_or_has_one_of_its_own(tmp_path: Path) -> None:
    project(tmp_path / "parent", {"my_encoder.py": encoder("import mark", "mark.SIZE"), "mark.py": "SIZE = 3"})
    text = "extends: ../parent/spec.yaml\nmodel:\n  encoder: {my_encoder:Config: {dropout: 0.25}}\n"
    write(tmp_path / "child", {"spec.yaml": text})
    chosen = load_spec(tmp_path / "child" / "spec.yaml").model.streams[""].encoder
    assert chosen.config.dropout == 0.25
    assert chosen.local is not None
    assert chosen.local.folder == str(tmp_path / "parent")
    write(tmp_path / "child", {"my_encoder.py": encoder(size="5")})
    train(load_spec(tmp_path / "child" / "spec.yaml"), tmp_path / "run")
    assert mark(tmp_path / "run") == 5


# -- what is prepared, what is resumed ---------------------------------------------------------------------------------

PREPARES = """\
import itertools, words
from tp_text.processors.bert import BertProcessor
from tp_text.processors.bert_options import BertProcessorConfig

class Config(BertProcessorConfig):
    def build(self, data, tokenizer):
        return Mine(self, data, tokenizer)

class Mine(BertProcessor):
    def prepare(self, records, report=None):
        return super().prepare(itertools.islice(records, words.COUNT), report)
"""


def test_data_that_a_local_file_prepared_are_prepared_anew_when_it_changes(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    spec = processing(tmp_path / "project")
    instances = []
    for number, (count, anew) in enumerate([(40, True), (80, True), (40, False)]):
        write(tmp_path / "project", {"my_processor.py": PREPARES, "words.py": f"COUNT = {count}"})
        capfd.readouterr()
        train(load_spec(spec, ["train.workers=0"]), tmp_path / f"run{number}")
        said = "".join(capfd.readouterr())
        assert ("preparing" in said) == anew
        instances.append(re.search(r"([\d,]+) instances, 2 steps", said)[1])  # type: ignore[index]
    assert instances[0] == instances[2] != instances[1]


def test_a_resumed_run_says_which_local_files_have_changed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    files = {"my_encoder.py": encoder("import mark", "mark.SIZE"), "mark.py": "SIZE = 3"}
    spec = project(tmp_path / "project", files)
    train(load_spec(spec), tmp_path / "run")
    for text, changed in (("SIZE = 3", False), ("SIZE = 1 + 2", True)):
        write(tmp_path / "project", {"mark.py": text})
        capfd.readouterr()
        train(load_spec(spec, ["train.steps=2"]), tmp_path / "run", resume=True, allow_change="steps")
        assert ("used as they are now: mark.py\n" in "".join(capfd.readouterr())) == changed
    assert kept(tmp_path / "run" / "model")["mark.py"] == "SIZE = 1 + 2"


# -- other processes ---------------------------------------------------------------------------------------------------

PROCESSOR = """\
import words
from tp_text.processors.bert import BertProcessor
from tp_text.processors.bert_options import BertProcessorConfig

class Config(BertProcessorConfig):
    def build(self, data, tokenizer):
        return Mine(self, data, tokenizer)

class Mine(BertProcessor):
    def sample(self, rows, index, generator):
        import late
        assert (words.VALUE, late.VALUE) == (1, 1), "a file that was edited after the spec was loaded"
        return super().sample(rows, index, generator)
"""

TRAIN = """\
import multiprocessing, pathlib
import tp_core

if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    spec = tp_core.load_spec("project/spec.yaml")
    for name in ("words", "late"):
        pathlib.Path("project", name + ".py").write_text("VALUE = 2")
    tp_core.train(spec, "run")
"""


def processing(folder: Path) -> Path:
    """A project with a local processor, which samples in a process of its own; gives back the spec."""
    files = {"my_processor.py": PROCESSOR, "words.py": "VALUE = 1", "late.py": "VALUE = 1"}
    project(folder, files, "transformer", workers=1, steps=2)
    spec = read_spec(folder)
    spec["data"]["processor"] = {"my_processor:Config": {"max_length": 32}}
    write_spec(folder, spec)
    return folder / "spec.yaml"


def test_workers_run_the_files_that_the_spec_was_loaded_with(tmp_path: Path) -> None:
    spec = load_spec(processing(tmp_path / "project"))
    write(tmp_path / "project", {"words.py": "VALUE = 2", "late.py": "VALUE = 2"})
    train(spec, tmp_path / "run")
    assert kept(tmp_path / "run" / "model")["late.py"] == "VALUE = 1"


def test_so_do_workers_that_are_no_forks(tmp_path: Path) -> None:
    processing(tmp_path / "project")
    run_code(tmp_path, TRAIN)
    assert kept(tmp_path / "run" / "model")["late.py"] == "VALUE = 1"


def test_an_object_of_a_local_class_can_be_unpickled_in_a_new_process(tmp_path: Path) -> None:
    spec = load_spec(project(tmp_path, {"my_encoder.py": encoder("import mark", "mark.SIZE"), "mark.py": "SIZE = 1"}))
    config = spec.model.streams[""].encoder.config
    (tmp_path / "config.pickle").write_bytes(pickle.dumps(config))
    code = "import pickle; print(repr(pickle.load(open('config.pickle', 'rb'))))"
    assert run_code(tmp_path, code).strip() == repr(config)


def test_a_module_that_an_option_chooses_is_of_the_spec_that_names_it(tmp_path: Path) -> None:
    tokenizer = """\
import torch
from sizes import TOKENS
from tp_vision import VisualTokenizer, VisualTokenizerConfig

class Config(VisualTokenizerConfig):
    def token_count(self):
        return TOKENS

    def build(self, context):
        return Zero()

class Zero(VisualTokenizer):
    def forward(self, pixels):
        return torch.zeros(len(pixels), 16, dtype=torch.long)
"""
    model = {"hidden_size": 16, "image_size": 8, "patch_size": 2, "embedding": ["masked_patch"]}
    model |= {"encoder": {"transformer": {"num_layers": 1, "num_heads": 2}}}
    model |= {"target": [{"visual_tokens": {"tokenizer": "tokens:Config"}}]}
    specs = []
    for name, count in (("one", 8), ("other", 12)):
        write(tmp_path / name, {"tokens.py": tokenizer, "sizes.py": f"TOKENS = {count}"})
        write_spec(tmp_path / name, {"model": model})
        specs.append(load_spec(tmp_path / name / "spec.yaml"))
    write(tmp_path / "one", {"sizes.py": "TOKENS = 99"})
    assert [spec.model.targets[0].config.token_count() for spec in specs] == [8, 12]
    stored = [{file.inside: file.content for file in local_files(spec)} for spec in specs]
    assert [each["sizes.py"] for each in stored] == [b"TOKENS = 8", b"TOKENS = 12"]


def test_an_importable_module_is_found_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "library", {"my_library_of_encoders.py": encoder(size="2")})
    monkeypatch.syspath_prepend(str(tmp_path / "library"))
    spec = load_spec(project(tmp_path / "project", {}, "my_library_of_encoders:Config"))
    found = importlib.import_module("my_library_of_encoders")
    assert type(spec.model.streams[""].encoder.config) is found.Config
    assert local_files(spec) == []
    assert [chosen.name for chosen in all_modules(spec) if not chosen.portable] == ["my_library_of_encoders:Config"]
