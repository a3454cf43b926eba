"""A module that an option of another module chooses is a choice like any other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from pydantic import ValidationError

from tests.core.json_schema_subset import valid
from tests.core.shelf import Shelf
from tests.core.shelf import shelf as shelf
from tp_core import Chosen, SpecError, TPError, load_spec
from tp_core.artifacts.export import portable_spec
from tp_core.cli.main import cli
from tp_core.data.cache.identity import module_identity
from tp_core.interop.comparison import differences
from tp_core.options.context import BuildContext
from tp_core.spec.checks.run import check_run
from tp_core.spec.choices.module_nodes import all_modules
from tp_core.spec.json_schema import spec_schema
from tp_core.spec.trained.portable import for_use
from tp_core.spec.trained.provenance import facts_of
from tp_core.testing import check_module

CODE = '''\
from typing import ClassVar

from pydantic import Field

from tp_core import BuildContext, Chosen, EncoderConfig, FieldSpec, ModuleConfig, Problem
from tp_core.options.ports import INPUT_IDS
from tp_core.options.marks import PathStr


class PartConfig(ModuleConfig):
    """Base of parts."""

    kind: ClassVar[str] = "acme_part"


class HeadConfig(PartConfig):
    """A head."""

    hidden_size: int = 8
    width: int = Field(4, gt=0)

    def check(self, context):
        if self.hidden_size % self.width:
            yield Problem("width", f"does not divide {self.hidden_size}")

    def requires(self, context):
        return {INPUT_IDS: FieldSpec()} if self.width == 3 else {}


class TailConfig(PartConfig):
    """A tail, with a part of its own."""

    hidden_size: int = 8
    dropout: float = 0.5
    tip: Chosen[PartConfig] | None = None
    table: PathStr | None = None
    libraries_: ClassVar[tuple[str, ...]] = ("numpy",)

    def libraries(self):
        return self.libraries_


class Config(EncoderConfig):
    """An encoder of parts."""

    passed_on: ClassVar[frozenset[str]] = frozenset({"hidden_size", "dropout"})
    makes_labels: ClassVar[frozenset[str]] = frozenset({"teacher"})

    dropout: float = 0.25
    first: Chosen[PartConfig] = Chosen.by_default("acme.head", description="what reads first")
    second: Chosen[PartConfig] | None = None
    others: list[Chosen[PartConfig]] = []
    teacher: Chosen[PartConfig] | None = None
'''

POINTS = {
    "kinds": {"acme_part": "acme:PartConfig"},
    "acme_part": {"acme.head": "acme:HeadConfig", "acme.tail": "acme:TailConfig"},
    "encoder": {"acme.parts": "acme:Config"},
}


#: Of two models: the width of a part, and what made their labels.
TEACHERS = ((4, "acme.head"), (8, "acme.tail"))


@pytest.fixture
def acme(shelf: Shelf) -> Shelf:
    shelf.add("acme", POINTS, CODE)
    return shelf


def spec(model: dict[str, Any] | None = None, **encoder: Any) -> dict[str, Any]:
    usual = {"embedding": ["word"], "encoder": {"acme.parts": encoder}, "target": ["mlm"], "vocab_size": 20}
    return {"model": usual | (model or {})}


def encoder_of(written: Any, *settings: str) -> Any:
    return load_spec(written, settings).model.streams[""].encoder


def write(folder: Path, name: str, content: dict[str, Any]) -> Path:
    file = folder / name
    file.write_text(yaml.dump(content, sort_keys=False))
    return file


def said(written: Any, *settings: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load_spec(written, settings)
    return [f"{each.path}: {each.message}" for each in caught.value.problems]


# -- the value ---------------------------------------------------------------------------------------------------


def test_the_value_of_the_option_is_the_module_with_its_validated_options(acme: Shelf) -> None:
    found = encoder_of(spec(second={"acme.tail": {"dropout": 0.1}})).config
    assert (found.second.name, found.second.kind, found.second.distribution) == ("acme.tail", "acme_part", "acme")
    assert type(found.second.config).__name__ == "TailConfig"
    assert found.second.config.dropout == 0.1
    assert found.second.path == "model.encoder.acme.parts.second.acme.tail"


def test_a_resolved_spec_has_every_option_and_loads_again(acme: Shelf) -> None:
    tree = spec(second={"acme.tail": {"tip": "acme.head"}}, others=["acme.head", {"acme.tail": None}])
    before = load_spec(tree)
    plain = before.dump()["model"]["encoder"]["acme.parts"]
    assert plain["first"] == {"acme.head": {"width": 4}}, "hidden_size is that of the module around"
    assert plain["second"]["acme.tail"]["tip"] == {"acme.head": {"width": 4}}
    assert [next(iter(each)) for each in plain["others"]] == ["acme.head", "acme.tail"]
    again = load_spec(before.dump())
    assert again.dump() == before.dump()
    assert again.model.streams[""].encoder == before.model.streams[""].encoder


def test_what_is_passed_on_is_changed_in_one_place_of_a_resolved_spec(acme: Shelf) -> None:
    plain = load_spec(spec(first="acme.head")).dump()
    plain["model"]["encoder"]["acme.parts"]["hidden_size"] = 64
    encoder: Any = load_spec(plain).model.streams[""].encoder
    assert encoder.config.first.config.hidden_size == 64


def test_an_unset_option_has_its_default_module_and_null_takes_one_away(acme: Shelf) -> None:
    assert encoder_of(spec()).config.first.name == "acme.head"
    assert encoder_of(spec(first="acme.tail")).config.first.name == "acme.tail"
    assert encoder_of(spec(second="acme.tail"), "model.encoder.acme.parts.second=null").config.second is None


# -- defaults ----------------------------------------------------------------------------------------------------


def test_sizes_of_the_model_are_defaults_of_modules_inside_modules(acme: Shelf) -> None:
    tree = spec({"hidden_size": 24, "width": 6}, second={"acme.tail": {"tip": {"acme.head": {"width": 12}}}})
    found = encoder_of(tree).config
    assert (found.first.config.hidden_size, found.first.config.width) == (24, 6)
    tip = found.second.config.tip.config
    assert (tip.hidden_size, tip.width) == (24, 12)
    with pytest.raises(SpecError, match="no module of this model has an option 'widht'; did you mean 'width'"):
        load_spec(spec({"widht": 6}))


def test_a_default_of_the_model_that_is_wrong_for_a_module_inside_is_told_at_its_own_place(acme: Shelf) -> None:
    assert said(spec({"width": 0})) == ["model.width: must be greater than 0, got 0"]


def test_a_module_gives_defaults_to_those_that_it_chooses(acme: Shelf) -> None:
    assert encoder_of(spec(second="acme.tail")).config.second.config.dropout == 0.25
    assert encoder_of(spec(second="acme.tail", dropout=0.0)).config.second.config.dropout == 0.0
    own = spec(second={"acme.tail": {"dropout": 0.125}}, dropout=0.0)
    assert encoder_of(own).config.second.config.dropout == 0.125
    assert encoder_of(spec({"dropout": 0.375}, second="acme.tail")).config.second.config.dropout == 0.375


def test_an_option_of_the_model_may_be_the_choice_of_a_module(acme: Shelf) -> None:
    assert encoder_of(spec({"first": {"acme.tail": {"dropout": 0.75}}})).config.first.config.dropout == 0.75
    assert said(spec({"first": "acme.tial"})) == [
        "model.first: unknown acme part 'acme.tial'; did you mean 'acme.tail'?"
    ]


# -- what is wrong -----------------------------------------------------------------------------------------------


def test_a_fault_inside_stands_at_its_own_place_with_line_and_caret(acme: Shelf, tmp_path: Path) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text(
        "model:\n  embedding: [word]\n  hidden_size: 10\n  encoder:\n    acme.parts:\n      second:\n"
        "        acme.tail:\n          tip: {acme.head: {width: 3}}\n  vocab_size: 20\n"
    )
    with pytest.raises(SpecError) as caught:
        load_spec(file)
    place = "model.encoder.acme.parts"
    first, tip = sorted(caught.value.problems, key=lambda each: len(each.path))
    assert (first.path, first.message) == (f"{place}.first.acme.head.width", "does not divide 10")
    assert (tip.path, tip.message) == (f"{place}.second.acme.tail.tip.acme.head.width", "does not divide 10")
    assert (tip.origin.line, tip.origin.column) == (8, 36)
    line, caret = tip.render().splitlines()[-2:]
    assert line[caret.index("^")] == "3"


def test_options_and_names_that_are_wrong_are_told_once_and_beside_those_of_the_module_around(acme: Shelf) -> None:
    place = "model.encoder.acme.parts"
    assert said(spec(first={"acme.head": {"width": "w", "wdith": 2}}, dropout="x", second="acme.haed")) == [
        f"{place}.first.acme.head.wdith: unknown option 'wdith'; did you mean 'width'?",
        f"{place}.first.acme.head.width: expected an integer, got the text 'w'",
        f"{place}.second: unknown acme part 'acme.haed'; did you mean 'acme.head'?",
        f"{place}.dropout: expected a number, got the text 'x'",
    ]
    assert said(spec(first=["acme.head"])) == [f"{place}.first: expected the name of one module, got a list"]
    assert said(spec(others=["acme.head", "acme.head"])) == [f"{place}.others: 'acme.head' is listed twice"]


def test_a_choice_that_has_no_form_is_told_without_calling_its_options_unknown(acme: Shelf) -> None:
    assert said(spec({"width": 2}, second={"acme.head": {}, "acme.tail": {}})) == [
        "model.encoder.acme.parts.second: expected one module, as 'name' or '{name: {options}}', "
        "got acme.head, acme.tail"
    ]


def test_a_file_that_is_missing_is_told_at_the_option_that_names_it(acme: Shelf, tmp_path: Path) -> None:
    file = write(tmp_path, "spec.yaml", spec(second={"acme.tail": {"table": "t.txt"}}))
    place = "model.encoder.acme.parts.second.acme.tail.table"
    assert said(file) == [f"{place}: there is no file {tmp_path / 't.txt'}"]


def test_files_of_a_module_that_makes_labels_are_asked_for_by_training_alone(acme: Shelf, tmp_path: Path) -> None:
    spec_ = load_spec(write(tmp_path, "spec.yaml", spec(teacher={"acme.tail": {"table": "t.txt"}})))
    with pytest.raises(SpecError, match=r"parts\.teacher\.acme\.tail\.table: there is no file .*t\.txt"):
        check_run(spec_)


def test_fields_that_a_module_inside_requires_count(acme: Shelf) -> None:
    tree = {**spec({"hidden_size": 9}, first={"acme.head": {"width": 3}}), "data": {"processor": "image"}}
    tree["model"]["embedding"], tree["model"]["target"] = [{"patch": {"image_size": 8, "patch_size": 4}}], []
    place = "model.encoder.acme.parts.first.acme.head"
    assert any(each.startswith(f"{place}: needs the batch field 'input_ids'") for each in said(tree))


# -- merging -----------------------------------------------------------------------------------------------------


def test_choices_merge_key_by_key_at_any_depth(acme: Shelf, tmp_path: Path) -> None:
    head = {"acme.head": {"width": 2, "hidden_size": 16}}
    write(tmp_path, "parent.yaml", spec(second={"acme.tail": {"dropout": 0.5, "tip": head}}))
    child = {"second": {"acme.tail": {"tip": {"acme.head": {"width": 4}}}}}
    over = {"extends": "parent.yaml", "model": {"encoder": {"acme.parts": child}}}
    found = encoder_of(write(tmp_path, "child.yaml", over)).config.second.config
    assert (found.dropout, found.tip.config.width, found.tip.config.hidden_size) == (0.5, 4, 16)
    key = "model.encoder.acme.parts.second.acme.tail.tip"
    found = encoder_of(tmp_path / "child.yaml", f"{key}.acme.head.width=8").config.second.config
    assert (found.dropout, found.tip.config.width, found.tip.config.hidden_size) == (0.5, 8, 16)


def test_choices_that_are_defaults_of_the_model_merge_in_the_same_way(acme: Shelf, tmp_path: Path) -> None:
    write(tmp_path, "parent.yaml", spec({"first": {"acme.tail": {"dropout": 0.5, "hidden_size": 4}}}))
    change = {"extends": "parent.yaml", "model": {"first": {"acme.tail": {"dropout": 0.75}}}}
    child = write(tmp_path, "child.yaml", change)
    first = encoder_of(child).config.first.config
    assert (first.dropout, first.hidden_size) == (0.75, 4)
    first = encoder_of(child, "model.first.acme.tail.hidden_size=6").config.first.config
    assert (first.dropout, first.hidden_size) == (0.75, 6)
    other = {"extends": "parent.yaml", "model": {"first": {"acme.head": {"width": 2}}}}
    assert encoder_of(write(tmp_path, "other.yaml", other)).config.first.config.width == 2


def test_another_module_inside_drops_the_options_of_the_one_before_and_the_same_keeps_them(
    acme: Shelf, tmp_path: Path
) -> None:
    parent = write(tmp_path, "parent.yaml", spec(second={"acme.tail": {"tip": {"acme.head": {"width": 2}}}}))
    key = "model.encoder.acme.parts.second.acme.tail.tip"
    assert encoder_of(parent, f"{key}=acme.head").config.second.config.tip.config.width == 2
    assert encoder_of(parent, f"{key}.acme.tail.dropout=0").config.second.config.tip.name == "acme.tail"
    assert encoder_of(parent, f"{key}=acme.tail", f"{key}=acme.head").config.second.config.tip.config.width == 4
    found = encoder_of(parent, f"{key}.acme.head@acme.hidden_size=6")
    inner = found.config.second.config.tip
    assert (inner.written, inner.name, inner.config.width) == ("acme.head@acme", "acme.head", 2)
    assert inner.path == f"{key}.acme.head@acme"
    assert inner.place == f"{key}.acme.head"


def test_a_list_of_choices_is_replaced_and_modules_that_stay_keep_their_options(acme: Shelf, tmp_path: Path) -> None:
    parent = write(tmp_path, "parent.yaml", spec(others=["acme.tail", {"acme.head": {"width": 2}}]))
    over = {"extends": "parent.yaml", "model": {"encoder": {"acme.parts": {"others": ["acme.head"]}}}}
    (only,) = encoder_of(write(tmp_path, "child.yaml", over)).config.others
    assert only.config.width == 2
    tail, head = encoder_of(parent, "model.encoder.acme.parts.others.acme.tail.dropout=0").config.others
    assert (tail.config.dropout, head.config.width) == (0, 2)
    assert said(parent, "model.encoder.acme.parts.others.acme.tall.dropout=0") == [
        "model.encoder.acme.parts.others.acme: the spec has no module 'acme' there; it has acme.tail, acme.head; "
        "did you mean 'acme.tail'?"
    ]


OWN = """
from typing import ClassVar
from acme import PartConfig
from tp_core import Chosen

class PieceConfig(PartConfig):
    "A piece of a file."
    hidden_size: int = 8
    size: int = 1
    part: Chosen[PartConfig] | None = None
"""


def test_modules_of_files_choose_and_are_chosen(acme: Shelf, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(OWN)
    inner = {"mine:PieceConfig": {"size": 3, "part": {"acme.head": {"width": 2}}}}
    write(tmp_path, "parent.yaml", spec({"hidden_size": 16}, second=inner))
    (tmp_path / "below").mkdir()
    change = {"second": {"mine:PieceConfig": {"part": {"acme.head": {"hidden_size": 4}}}}}
    over = {"extends": "../parent.yaml", "model": {"encoder": {"acme.parts": change}}}
    piece = encoder_of(write(tmp_path / "below", "child.yaml", over)).config.second
    assert (piece.portable, piece.config.size, piece.config.hidden_size) == (False, 3, 16)
    assert (piece.config.part.config.width, piece.config.part.config.hidden_size) == (2, 4)


# -- beside the spec ---------------------------------------------------------------------------------------------


def test_modules_inside_are_listed_with_where_they_came_from(acme: Shelf) -> None:
    found = facts_of(all_modules(load_spec(spec(second={"acme.tail": {"tip": "acme.head"}}))))
    inside = {each["path"]: each["version"] for each in found if each["kind"] == "acme_part"}
    place = "model.encoder.acme.parts"
    assert inside == {
        f"{place}.first.acme.head": "1.5",
        f"{place}.second.acme.tail": "1.5",
        f"{place}.second.acme.tail.tip.acme.head": "1.5",
    }


def test_the_schema_has_the_options_of_all_modules_that_options_choose(acme: Shelf, tmp_path: Path) -> None:
    schema = spec_schema()
    right = spec(second={"acme.tail": {"tip": {"acme.tail": {"tip": "acme.head"}}}}, others=["acme.head"])
    assert valid(right, schema, schema)
    assert valid(spec({"width": 2}), schema, schema), "a default of modules inside modules"
    for wrong in (
        spec({"width": "w"}),
        spec(second="acme.tial"),
        spec(second={"acme.tail": {"tip": {"acme.tail": {"tpi": "acme.head"}}}}),
        spec(others=[{"acme.head": {"width": "w"}}]),
    ):
        assert not valid(wrong, schema, schema)
    described = schema["$defs"]["encoder.acme.parts"]["properties"]["first"]
    assert described["description"] == "what reads first"


def test_the_command_line_checks_a_spec_with_modules_inside(acme: Shelf, tmp_path: Path) -> None:
    file = write(tmp_path, "spec.yaml", spec(second="acme.tail"))
    result = CliRunner().invoke(cli, ["check", str(file), "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["ok"]
    result = CliRunner().invoke(
        cli, ["check", str(file), "model.encoder.acme.parts.second.acme.tail.tip=acme.haed", "--json"]
    )
    assert result.exit_code == 2
    (problem,) = json.loads(result.stdout)["problems"]
    assert problem["path"] == "model.encoder.acme.parts.second.acme.tail.tip"


def test_what_makes_labels_is_left_out_of_use_where_it_is_not_there(acme: Shelf, tmp_path: Path) -> None:
    from tp_core.spec.trained.use import using

    file = write(tmp_path, "spec.yaml", spec(teacher={"acme.gone": {"size": 3}}, second="acme.tail"))
    assert any("unknown acme part 'acme.gone'" in each for each in said(file))
    with using():
        used = for_use(load_spec(file))
    teacher = used.model.streams[""].encoder.config.teacher  # type: ignore[attr-defined]
    assert "unknown acme part 'acme.gone'" in teacher.missing
    assert teacher.dump() == {"acme.gone": {"size": 3}}
    with pytest.raises(TPError, match=r"unknown acme part 'acme\.gone'"):
        teacher.config.token_count()
    assert [each.name for each in all_modules(used) if each.kind == "acme_part"] == ["acme.head", "acme.tail"]
    effective = used.model.streams[""].encoder.config.effective(BuildContext())
    assert "teacher" not in effective


def test_files_inside_are_copied_into_an_export_but_for_those_that_make_labels(acme: Shelf, tmp_path: Path) -> None:
    for name in ("second.txt", "labels.txt"):
        (tmp_path / name).write_text(name)
    tails = {
        name: {"acme.tail": {"table": f"{file}.txt"}} for name, file in (("second", "second"), ("teacher", "labels"))
    }
    before = load_spec(write(tmp_path, "spec.yaml", spec(**tails)))
    (tmp_path / "export").mkdir()
    exported = portable_spec(before, {}, tmp_path / "export").dump()["model"]["encoder"]["acme.parts"]
    copy = exported["second"]["acme.tail"]["table"]
    assert (tmp_path / "export" / copy).read_text() == "second.txt"
    assert exported["teacher"]["acme.tail"]["table"] == str(tmp_path / "labels.txt")


def test_what_a_module_inside_is_made_of_is_a_part_of_the_module_around_it(acme: Shelf, tmp_path: Path) -> None:
    table = tmp_path / "table.txt"

    def identity(content: str, **options: Any) -> Any:
        table.write_text(content)
        return module_identity(encoder_of(spec(second={"acme.tail": {"table": str(table), **options}})))

    first = identity("one")
    assert identity("one") == first
    assert identity("two") != first
    assert identity("one", dropout=0.75) != first
    assert identity("one", tip={"acme.head": {"width": 2}}) != identity("one", tip={"acme.head": {"width": 8}})
    assert {"numpy"} in [set(inner["libraries"]) for _, inner in first["within"]]


def test_models_whose_modules_inside_differ_are_others(acme: Shelf) -> None:
    one, other = (load_spec(spec(first={"acme.head": {"width": width}}, teacher=name)) for width, name in TEACHERS)
    place = "model.encoder.acme.parts.first"
    assert list(differences(one, other, "theirs").values()) == [f"{place}.acme.head.width is 4; theirs has 8"]
    assert list(differences(one, load_spec(spec(first="acme.tail")), "theirs").values()) == [
        f"{place} is acme.head; theirs has acme.tail"
    ]


# -- in Python ---------------------------------------------------------------------------------------------------


def test_python_code_gives_a_name_options_a_config_or_a_chosen_module(acme: Shelf) -> None:
    import acme as package  # type: ignore[import-not-found]

    named = package.Config(second="acme.tail")
    assert named.second.config == package.TailConfig(dropout=0.25, hidden_size=768)
    assert (named.first.name, named.first.distribution, named.first.version) == ("acme.head", "acme", "1.5")
    written = package.Config(second={"acme.tail": {"tip": {"acme.head": {"width": 2}}}}, hidden_size=32)
    tip = written.second.config.tip.config
    assert (written.second.config.hidden_size, tip.hidden_size, tip.width) == (32, 32, 2)
    config = package.Config(second=package.TailConfig(dropout=0.0), others=[package.HeadConfig(), "acme.tail"])
    assert (config.second.name, config.second.config.dropout) == ("acme.tail", 0.0)
    assert [each.name for each in config.others] == ["acme.head", "acme.tail"]
    assert isinstance(config.second, Chosen)
    assert package.Config(second=config.second).second is config.second
    assert package.Config(**config.model_dump()).model_dump() == config.model_dump()


def test_python_code_is_told_of_modules_that_there_are_not(acme: Shelf) -> None:
    import acme as package

    with pytest.raises(ValidationError, match=r"second\n.*unknown acme part 'acme\.tial'; did you mean 'acme\.tail'"):
        package.Config(second="acme.tial")
    with pytest.raises(ValidationError, match=r"second\.width\n.*valid integer"):
        package.Config(second={"acme.head": {"width": "w"}})
    with pytest.raises(ValidationError, match=r"expected one module, as 'name', \{name: \{options\}\} or a config"):
        package.Config(second={"acme.head": {}, "acme.tail": {}})
    with pytest.raises(ValidationError, match="expected a module whose options are a PartConfig, got a Config"):
        package.Config(second=package.Config())


# -- trained -----------------------------------------------------------------------------------------------------

MODULE = """
import torch
from torch import nn
from tp_core import Encoder


class Parts(Encoder):
    def __init__(self, config, context):
        super().__init__()
        self.widen = nn.Linear(context.embedding_size, config.hidden_size)
        self.parts = nn.ModuleList(nn.Linear(config.hidden_size, each.config.hidden_size) for each in config.others)
        self.scale = config.first.config.width

    def forward(self, sequence, kv_cache=None):
        states = self.widen(sequence.states)
        for part in self.parts:
            states = states + self.scale * torch.tanh(part(states))
        return sequence.with_states(states)
"""


def test_the_conformance_kit_checks_a_module_with_modules_inside(acme: Shelf) -> None:
    (acme.folder / "acme_modules.py").write_text(MODULE)
    code = (acme.folder / "acme.py").read_text()
    named = '    """An encoder of parts."""\n\n    implementation: ClassVar[str] = "acme_modules:Parts"\n'
    (acme.folder / "acme.py").write_text(code.replace('    """An encoder of parts."""\n', named))
    check_module(
        "acme.parts", "encoder", {"others": [{"acme.head": {"width": 3}}], "first": {"acme.head": {"width": 2}}}
    )
    import acme as package

    check_module(package.Config(others=["acme.head"], second=package.TailConfig()), "encoder")


def test_a_setting_in_a_list_that_names_a_module_twice_is_told_where_the_list_is(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "many.py").write_text(
        "from tp_core import Chosen, EncoderConfig\n"
        "class ManyConfig(EncoderConfig):\n    'Several.'\n    more: list[Chosen[EncoderConfig]] = []\n"
    )
    spec = {"model": {"hidden_size": 8, "embedding": "word", "encoder": {"many:ManyConfig": {"more": ["gru", "gru"]}}}}
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(spec))
    with pytest.raises(SpecError, match=r"model\.encoder\.many:ManyConfig\.more: 'gru' is listed twice"):
        load_spec(tmp_path / "spec.yaml", ["model.encoder.many:ManyConfig.more.gru.num_layers=1"])
