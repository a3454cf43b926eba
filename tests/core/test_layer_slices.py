"""Layers of a stack that differ: slices of options, their checks, their place in specs, and what they share."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from tests.core.json_schema_subset import valid
from tests.core.shelf import Shelf
from tests.core.shelf import shelf as shelf
from tp_core import SpecError, build_model, load_spec
from tp_core.artifacts.export import portable_spec
from tp_core.interfaces import Sequence
from tp_core.modules.layers.transformer_options import TransformerOptions
from tp_core.packages.plugin_errors import PluginError
from tp_core.spec.json_schema import spec_schema

#: A window in all layers but each third, which has another theta, and a gate in the first.
SLICES: dict[str, Any] = {
    "2::3": {"mixer": {"attention": {"window": None, "positions": {"rotary": {"theta": 1e6}}}}},
    ":1": {"feed_forward": "gated"},
}


def spec(slices: Any = SLICES, target: str = "lm", **encoder: Any) -> dict[str, Any]:
    attention = {"positions": {"rotary": {"theta": 1e4, "fraction": 0.5}}, "window": 3, "num_key_value_heads": 2}
    options = {"num_layers": 6, "num_heads": 4, "mask": "causal", "mixer": {"attention": attention}, "layers": slices}
    parts = {"embedding": "word", "encoder": {"transformer": options | encoder}, "target": target}
    return {"model": {"hidden_size": 16, "vocab_size": 20, **parts}}


def options_of(written: Any, *settings: str) -> TransformerOptions:
    config = load_spec(written, settings).model.streams[""].encoder.config
    assert isinstance(config, TransformerOptions)
    return config


def layers(written: Any, *settings: str) -> list[tuple[Any, Any, str]]:
    config: Any = options_of(written, *settings)
    found = []
    for number in range(config.num_layers):
        layer = config.layer(number)
        attention = layer.mixer.config
        found.append((attention.window, attention.positions.config.theta, layer.feed_forward.name))
    return found


def said(written: Any, *settings: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load_spec(written, settings)
    return [f"{each.path}: {each.message}" for each in caught.value.problems]


def test_later_slices_win_over_earlier_ones_and_both_over_the_stack() -> None:
    local, whole = (3, 1e4, "dense"), (None, 1e6, "dense")
    assert layers(spec()) == [(3, 1e4, "gated"), local, whole, local, local, whole]
    more = SLICES | {"-1": {"mixer": {"attention": {"window": 2}}}}
    assert layers(spec(more))[5] == (2, 1e6, "dense")
    assert options_of(spec()).layer(2).mixer.config.positions.config.fraction == 0.5  # type: ignore[attr-defined]


def test_another_part_drops_the_options_of_the_one_before_and_gets_the_defaults_of_the_stack() -> None:
    config: Any = options_of(spec({"1": {"mixer": "fourier"}}, "mlm", mask="fully_visible"))
    assert [config.layer(n).mixer.name for n in (0, 1, 2)] == ["attention", "fourier", "attention"]
    narrow: Any = options_of(spec({"1": {"num_heads": 2, "dropout": 0.0}}))
    assert [narrow.layer(n).mixer.config.num_heads for n in (0, 1)] == [4, 2]
    assert narrow.layer(1).mixer.config.dropout == 0.0


def test_a_stack_is_made_shorter_than_its_slices_reach() -> None:
    assert layers(spec(), "model.encoder.transformer.num_layers=2") == [(3, 1e4, "gated"), (3, 1e4, "dense")]


@pytest.mark.parametrize(
    ("slices", "message"),
    [
        ({"x": {}}, "layers.x: 'x' is no slice; expected a layer from 0 to 5, or start:stop:step as in Python"),
        ({"9": {"dropout": 0.0}}, "layers.9: names no layer; the layers are 0 to 5"),
        ({"4:2": {"dropout": 0.0}}, "layers.4:2: names no layer; the layers are 0 to 5"),
        ({"::0": {"dropout": 0.0}}, "layers.::0: '::0' is no slice"),
        ({"1": 3}, "layers.1: expected a mapping of options, got the number 3"),
        ([{}], "layers: expected a mapping of slices"),
        ({"1": {"num_layers": 3}}, "layers.1.num_layers: 'num_layers' is an option of the whole stack"),
        ({"1": {"mixr": "fourier"}}, "layers.1.mixr: unknown option 'mixr'; did you mean 'mixer'?"),
        ({"1": {"mixer": "fuorier"}}, "layers.1.mixer: unknown mixer 'fuorier'; did you mean 'fourier'?"),
        ({"1": {"mixer": {"attention": {"windw": 1}}}}, "layers.1.mixer.attention.windw: unknown option 'windw'"),
        ({"1": {"mixer": {"attention": {"num_heads": 5}}}}, "layers.1.mixer.attention.num_heads: 5 does not divide"),
        ({"1": {"dropout": 2.0}}, "layers.1.dropout: must be less than 1, got 2.0"),
        ({"1": {"parallel": True}}, "layers.1.parallel: needs norm_position: pre or both, but it is post"),
    ],
)
def test_what_is_wrong_with_a_slice_is_said_with_the_slice(slices: Any, message: str) -> None:
    assert any(each.startswith(f"model.encoder.transformer.{message}") for each in said(spec(slices))), said(
        spec(slices)
    )


def test_a_problem_stands_at_the_line_of_the_slice(tmp_path: Path) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text(yaml.safe_dump(spec({"1": {"mixer": {"attention": {"window": 0}}}}), sort_keys=False))
    with pytest.raises(SpecError) as caught:
        load_spec(file)
    (problem,) = caught.value.problems
    lines = file.read_text().splitlines()
    assert problem.origin.line == next(n for n, line in enumerate(lines, 1) if line.strip() == "window: 0")


def test_shared_layers_cannot_differ() -> None:
    assert said(spec(share_layers=True)) == [
        "model.encoder.transformer.layers: makes layers differ, but share_layers uses the same layer everywhere"
    ]


def test_a_stack_is_causal_only_if_every_layer_is() -> None:
    assert options_of(spec()).causal()
    (message,) = said(spec({"3": {"mask": "fully_visible"}}))
    assert "needs causal states, which model.encoder.transformer does not give" in message


def test_the_resolved_spec_is_the_same_model(tmp_path: Path) -> None:
    loaded = load_spec(spec())
    again = load_spec(yaml.safe_load(loaded.to_yaml()))
    assert again.to_yaml() == loaded.to_yaml()
    assert layers(yaml.safe_load(loaded.to_yaml())) == layers(spec())


ATTENTION: dict[str, Any] = {"dropout": 0.1, "init_std": 0.02, "positions": {"relative": {"init_std": 0.02}}}


@pytest.mark.parametrize(
    ("slices", "encoder", "model"),
    [
        ({":": {"dropout": 0.3}, "-1": {"dropout": 0.2}}, {}, {}),
        ({":": {"mixer": {"attention": {"window": 3}}}, "-1": {"mixer": "fourier"}}, {}, {}),
        ({":": {"mixer": {"attention": {"window": 3}}}, "::-2": {"mixer": {"attention": {"window": None}}}}, {}, {}),
        ({"0": {"norm": "rmsnorm"}}, {}, {"eps": 0.01}),
        ({"1": {"feed_forward": "gated"}, "4": {"feed_forward": "gated"}}, {}, {"activation": "relu"}),
        ({"0": {"dropout": 0.3, "init_std": 0.3}}, {"mixer": {"attention": ATTENTION}}, {}),
        ({"0": {"mixer": {"attention": {"init_std": 0.3}}}}, {"mixer": {"attention": ATTENTION}}, {}),
        ({"0": {"feed_forward_size": None}}, {"feed_forward_size": 8}, {}),
        ({"0": {"feed_forward_size": 8}}, {}, {}),
        ({"9:": {"norm": "rmsnorm"}}, {}, {}),
    ],
)
def test_the_resolved_spec_has_the_same_layers(slices: Any, encoder: Any, model: Any) -> None:
    written = spec(slices, "mlm", mask="fully_visible", **encoder)
    written["model"] |= model
    resolved = load_spec(written).to_yaml()
    before, after = (options_of(each) for each in (written, yaml.safe_load(resolved)))
    for number in range(6):
        own, again = (each.layer(number).model_dump(mode="json", exclude={"layers"}) for each in (before, after))
        assert own == again
    assert load_spec(yaml.safe_load(resolved)).to_yaml() == resolved


@pytest.mark.parametrize(
    ("slices", "message"),
    [
        ({"9:": {"mixer": {"attention": {"windw": 3}}}}, "9:.mixer.attention.windw: unknown option 'windw'"),
        ({"9:": {"mixer": "fuorier"}}, "9:.mixer: unknown mixer 'fuorier'"),
        ({"0": {"dropout": 5.0}, ":": {"dropout": 0.1}}, "0.dropout: must be less than 1, got 5.0"),
        ({"0": {"mixer": "fuorier"}, ":": {"mixer": "fourier"}}, "0.mixer: unknown mixer 'fuorier'"),
        ({"0": {"mixer": {"attention": {"windw": 3}}}, ":": {"dropout": 0.1}}, "0.mixer.attention.windw: unknown"),
    ],
)
def test_a_slice_without_effect_is_checked_once(slices: Any, message: str) -> None:
    (problem,) = said(spec(slices, "mlm", mask="fully_visible"))
    assert problem.startswith(f"model.encoder.transformer.layers.{message}")


RESIDUAL: dict[str, Any] = {"attention": {"residual": True}}


@pytest.mark.parametrize(
    ("slices", "encoder", "message"),
    [
        (
            {"2": {"num_heads": 2}},
            {"mixer": RESIDUAL},
            "layers: layer 2 adds the scores of layer 1, which has another num_heads",
        ),
        (
            {"2": {"mixer": {"attention": {"window": 3}}}},
            {"mixer": RESIDUAL},
            "layers: layer 2 adds the scores of layer 1, which has another window",
        ),
        (
            {"2": {"drop_path": 0.5}},
            {"drop_path_growing": True},
            "drop_path_growing: needs one drop_path for all layers",
        ),
        (
            {"0": {"norm_position": "post"}},
            {"norm_position": "pre", "first_norm": False},
            "first_norm: is about a norm",
        ),
    ],
)
def test_a_slice_that_would_be_without_effect_is_refused(slices: Any, encoder: Any, message: str) -> None:
    (problem,) = said(spec(slices, "mlm", **{"mask": "fully_visible"} | encoder))
    assert problem.startswith(f"model.encoder.transformer.{message}")


def test_a_decoder_has_no_layer_without_attention_to_the_memory() -> None:
    written = spec(None, "lm")
    decoder: Any = {"transformer": {"num_layers": 2, "num_heads": 4, "layers": {"1": {"parallel": True}}}}
    decoder["transformer"]["norm_position"] = "pre"
    written["model"] |= {"target_embedding": "word", "decoder": decoder}
    (message,) = said(written)
    assert message.startswith(
        "model.decoder.transformer.layers.1.parallel: leaves no place for attention to the encoder's"
    )


def test_slices_are_no_default_of_all_stacks() -> None:
    written = spec(None)
    written["model"]["layers"] = {"0": {"norm": "rmsnorm"}}
    assert said(written) == [
        "model.layers: slices of layers belong to one stack; write them in a spec, at its option 'layers'"
    ]


def test_slices_are_inherited_merged_and_set_on_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "parent.yaml").write_text(yaml.safe_dump(spec(), sort_keys=False))
    child = {"2::3": {"mixer": {"attention": {"window": 5}}}, ":1": None}
    over = {"extends": "parent.yaml", "model": {"encoder": {"transformer": {"layers": child}}}}
    (tmp_path / "child.yaml").write_text(yaml.safe_dump(over))
    file = tmp_path / "child.yaml"
    assert [each[0] for each in layers(file)] == [3, 3, 5, 3, 3, 5]
    assert layers(file)[2][1] == 1e6
    assert layers(file)[0][2] == "dense"
    set_ = layers(file, "model.encoder.transformer.layers.2::3.mixer.attention.positions.rotary.theta=7")
    assert [each[1] for each in set_] == [1e4, 1e4, 7.0, 1e4, 1e4, 7.0]


def test_the_schema_of_specs_has_the_options_of_slices() -> None:
    schema = spec_schema()
    assert valid(spec(), schema, schema)
    wrong: Any
    for wrong in ({"1": {"num_layers": 2}}, {"x": {}}, {"1": {"mixer": {"attention": {"windw": 1}}}}):
        assert not valid(spec(wrong), schema, schema)


def test_layers_with_equal_parts_share_what_is_computed_once() -> None:
    model: Any = build_model(load_spec(spec()))
    assert [type(part).__name__ for part in model.encoder.shared] == ["RotaryAngles", "RotaryAngles"]
    assert model.encoder.alike == [0, 0, 2, 0, 0, 2]


def test_each_layer_computes_as_a_stack_of_its_own_options_does() -> None:
    whole: Any = build_model(load_spec(spec())).eval().encoder
    states = torch.randn(2, 7, 16, generator=torch.Generator().manual_seed(0))
    expected = Sequence(states)
    for number in range(6):
        config = options_of(spec()).layer(number)
        plain = copy.deepcopy(spec(None, num_layers=1, feed_forward=config.feed_forward.name))
        attention = plain["model"]["encoder"]["transformer"]["mixer"]["attention"]
        mixer: Any = config.mixer.config
        attention["window"] = mixer.window
        attention["positions"]["rotary"]["theta"] = mixer.positions.config.theta
        one: Any = build_model(load_spec(plain)).eval().encoder
        one.layers[0].load_state_dict(whole.layers[number].state_dict())
        expected = one(expected)
    assert torch.allclose(whole(Sequence(states)).states, expected.states, atol=1e-6)


#: A plugin of parts that have files.
FILES = '''\
from typing import ClassVar

from tp_core import MixerConfig, NormConfig
from tp_core.options.marks import PathStr


class TableConfig(MixerConfig):
    """A mixer with a table."""

    table: PathStr


class ScaledConfig(NormConfig):
    """A norm with factors."""

    factors: PathStr
'''


def test_files_of_parts_are_copied_into_an_export_that_loads_elsewhere(shelf: Shelf, tmp_path: Path) -> None:
    points = {"mixer": {"acme.table": "acme:TableConfig"}, "norm": {"acme.scaled": "acme:ScaledConfig"}}
    shelf.add("acme", points, FILES)
    for name in "abcn":
        (tmp_path / name).mkdir()
        (tmp_path / name / "t").write_text(name)
    slices: dict[str, Any] = {
        f"{n}": {"mixer": {"acme.table": {"table": str(tmp_path / name / "t")}}} for n, name in enumerate("abc")
    }
    written = spec(slices | {":": {"dropout": 0.0}}, "mlm", mask="fully_visible")
    norm = {"acme.scaled": {"factors": str(tmp_path / "n" / "t")}}
    written["model"]["embedding"] = {"modules": ["word"], "norm": norm}
    export = tmp_path / "export"
    export.mkdir()
    exported = portable_spec(load_spec(written), {}, export)
    (export / "spec.yaml").write_text(yaml.safe_dump(exported.dump(), sort_keys=False))
    for name in "abcn":
        shutil.rmtree(tmp_path / name)
    moved = export.rename(tmp_path / "moved")
    model = load_spec(moved / "spec.yaml").model.streams[""]
    config: Any = model.encoder.config
    assert [Path(config.layer(n).mixer.config.table).read_text() for n in range(3)] == ["a", "b", "c"]
    factors: Any = model.embedding.options.norm.config
    assert Path(factors.factors).read_text() == "n"


@pytest.mark.parametrize(
    ("encoder", "slices"),
    [
        ({}, {"::2": {"norm_position": "pre"}, "2:": {"norm_position": "both"}, "-1": {"norm_position": "post"}}),
        ({}, {"::2": {"mixer": {"attention": {"window": 4}}}, "2:": {"mixer": "fourier"}}),
        ({}, {"0": {"mixer": "fourier"}, ":1": {"mixer": {"attention": {"window": 2}}}}),
        ({}, {":": {"mixer": {"attention": {"query_key_norm": "rmsnorm"}}}, "1": {"mixer": {"attention": {}}}}),
        ({"mixer": {"attention": {"num_heads": 4}}}, {"1": {"num_heads": 2}}),
        ({"mixer": "attention"}, {"1": {"num_heads": 2}}),
        ({"feed_forward": "dense"}, {"1": {"feed_forward_size": 32}}),
        ({"feed_forward": {"dense": {"feed_forward_size": None}}}, {"1": {"feed_forward_size": 32}}),
    ],
)
def test_a_resolved_spec_has_the_options_of_each_layer(encoder: dict[str, Any], slices: Any) -> None:
    loaded = load_spec(spec(slices, "mlm", mask="fully_visible", **encoder))
    again = load_spec(loaded.dump())
    assert again.dump() == loaded.dump()
    for number in range(6):
        one, other = (options_of(each.dump()).layer(number) for each in (loaded, again))
        config = loaded.model.streams[""].encoder.config
        assert isinstance(config, TransformerOptions)
        assert config.layer(number).model_dump() == one.model_dump() == other.model_dump()


@pytest.mark.parametrize("option", [{"soft_cap": 5.0}, {"residual": True}])
@pytest.mark.parametrize("layer", ["0", "1"])
def test_layers_that_need_a_mask_and_layers_that_need_none_stay_causal(layer: str, option: dict[str, Any]) -> None:
    written = spec({layer: {"mixer": {"attention": option}}}, num_layers=2, mixer="attention")
    encoder: Any = build_model(load_spec(written), seed=0).eval().encoder
    states = torch.randn(1, 7, 16, generator=torch.Generator().manual_seed(0))
    changed = torch.cat([states[:, :5], -states[:, 5:]], dim=1)
    with torch.no_grad():
        one, other = (encoder(Sequence(each)).states[:, :5] for each in (states, changed))
    torch.testing.assert_close(one, other)


@pytest.mark.parametrize("option", [{"window": 2}, {"num_heads": 2}, {"positions": "alibi"}])
def test_scores_are_added_to_those_of_the_same_places_only(option: dict[str, Any]) -> None:
    mixer = {"attention": {"residual": True}}
    (message,) = said(spec({"3": {"mixer": {"attention": option}}}, mixer=mixer))
    assert message == (
        "model.encoder.transformer.layers: layer 3 adds the scores of layer 2, which has another "
        f"{next(iter(option))}: residual needs the same in both"
    )
    assert not load_spec(spec({"3": {"mixer": {"attention": option | {"residual": False}}}}, mixer=mixer)).init_from


PARTS = '''
from typing import ClassVar
import torch
from tp_core import Mixer, MixerConfig, PositionsConfig, PositionTable, PositionValues

class Distance(PositionsConfig):
    """Minus the distance."""
    table: ClassVar[str] = "Table"

class Table(PositionTable):
    def __init__(self, config, context):
        super().__init__()

    def forward(self, run):
        distance = run.positions.unsqueeze(-1) - run.key_positions.unsqueeze(-2)
        return PositionValues(None, -distance.abs().unsqueeze(1).to(run.sequence.states.dtype))

class Wrong(MixerConfig):
    """Gives back no states."""
    implementation: ClassVar[str] = "Mixes"
    what: str = "nothing"

class Mixes(Mixer):
    def __init__(self, config, context):
        super().__init__()
        self.what = config.what

    def forward(self, states, prepared, carried=None, kv_cache=None):
        return {"nothing": None, "states": states, "one": (states[..., :1], None)}[self.what]
'''


def test_a_local_file_brings_positions_with_a_table(tmp_path: Path) -> None:
    (tmp_path / "parts.py").write_text(PARTS)
    slices = {"1": {"mixer": {"attention": {"positions": "parts:Distance"}}}}
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(spec(slices)))
    model: Any = build_model(load_spec(tmp_path / "spec.yaml"))
    assert [type(part).__name__ for part in model.encoder.shared] == ["RotaryAngles", "Table"]
    assert model.encoder(Sequence(torch.zeros(2, 3, 16))).states.shape == (2, 3, 16)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("nothing", r"Mixes.forward\(\) gave back None; expected new states, and what the next layer gets"),
        ("states", r"Mixes.forward\(\) gave back a tensor of the shape \[2, 3, 16\]; expected new states, and"),
        ("one", r"gave back a tensor of the shape \[2, 3, 1\]; expected the shape of the states, \[2, 3, 16\]"),
    ],
)
def test_a_mixer_that_gives_back_something_else_is_named(tmp_path: Path, what: str, message: str) -> None:
    (tmp_path / "parts.py").write_text(PARTS)
    written = spec({"1": {"mixer": {"parts:Wrong": {"what": what}}}}, "mlm", mask="fully_visible")
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(written))
    model: Any = build_model(load_spec(tmp_path / "spec.yaml"))
    with pytest.raises(PluginError, match=message):
        model.encoder(Sequence(torch.zeros(2, 3, 16)))


def test_an_implementation_of_another_kind_is_named(tmp_path: Path) -> None:
    (tmp_path / "parts.py").write_text(PARTS.replace('"Mixes"', '"Table"'))
    written = spec({"1": {"mixer": "parts:Wrong"}}, "mlm", mask="fully_visible")
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(written))
    with pytest.raises(PluginError, match=r"Wrong.build\(\) gave back .*expected a Mixer"):
        build_model(load_spec(tmp_path / "spec.yaml"))
