"""The JSON Schema of specs: what it accepts and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.core.json_schema_subset import valid
from tp_core.cli.main import cli
from tp_core.spec.json_schema import spec_schema
from tp_core.spec.tree.yaml_loader import parse, parse_file

ROOT = Path(__file__).parents[2]
# The example plugin uses modules of its own, which are installed only where its tests install them.
OWN = [p for p in ROOT.glob("examples/*/*.yaml") if p.parent.name != "plugin"]
SPECS = sorted([*ROOT.glob("plugins/*/*/presets/*.yaml"), *OWN])

Validate = Callable[[Any], bool]


@pytest.fixture(scope="module")
def accepts() -> Validate:
    schema = spec_schema()
    try:
        from jsonschema import Draft202012Validator
    except ImportError:
        return lambda value: valid(value, schema, schema)
    Draft202012Validator.check_schema(schema)
    return lambda value: bool(Draft202012Validator(schema).is_valid(value))


@pytest.mark.parametrize("file", SPECS, ids=lambda file: file.stem)
def test_every_preset_and_example_fits_the_schema(file: Path, accepts: Validate) -> None:
    assert accepts(parse_file(file).plain())


@pytest.mark.parametrize(
    "text",
    [
        '{"embedding": ["word", "pos", "seg"], "encoder": "transformer", "target": ["mlm", "sp"]}',
        "{extends: bert-base, train: {optimizer: {adamw: {lr: 1e-4}}, schedule: cosine, steps: 10}}",
        "{model: {embedding: {word: {}, pos: {max_length: 8}}, encoder: my_file:MyConfig, target: mlm}}",
        "{extends: bert-base, data: {train: [a.txt, b.txt], tokenizer: {wordpiece: {vocab: vocab.txt}}}}",
        "{extends: bert-base, data: {train: {csv: {path: a.dat}}, eval: [b.txt, my_file:MySource: {}]}}",
        "{extends: bert-base, data: {sets: {one: {train: [{tsv: {path: a}}, b]}}}}",
        "{extends: bert-base, train: }",
    ],
)
def test_the_forms_that_the_loader_takes_fit_the_schema(text: str, accepts: Validate) -> None:
    assert accepts(parse(text, "test").plain())


@pytest.mark.parametrize(
    "text",
    [
        "{model: {encoder: transfomer}}",
        "{model: {encoder: {transformer: {num_layer: 2}}}}",
        "{model: {encoder: {transformer: {num_layers: two}}}}",
        "{model: {encoder: {transformer: {num_layers: 0}}}}",
        "{model: {encoder: [transformer]}}",
        "{model: {hiden_size: 2}}",
        "{train: {steps: 10}}",
        "{extends: bert-base, trian: {steps: 10}}",
        "{extends: bert-base, train: {optimizer: adam}}",
        "{extends: bert-base, data: {train: {csvv: {path: a.dat}}}}",
        "{extends: bert-base, data: {train: [{csv: {paht: a.dat}}]}}",
        "{extends: bert-base, data: {eval: {csv: {path: a}, tsv: {path: b}}}}",
        "{extends: bert-base, data: {train: 3}}",
        "{tp: 2, extends: bert-base}",
        "[a, list]",
    ],
)
def test_what_the_loader_refuses_by_its_form_does_not_fit(text: str, accepts: Validate) -> None:
    assert not accepts(parse(text, "test").plain())


def test_the_command_writes_the_schema_to_a_file(tmp_path: Path) -> None:
    file = tmp_path / "tp.schema.json"
    assert CliRunner().invoke(cli, ["schema", "--output", str(file)]).exit_code == 0
    written = json.loads(file.read_text())
    assert written["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert written["$defs"]["encoder.transformer"]["properties"]["num_layers"]["description"] == "number of layers"


def test_a_schema_that_cannot_be_written_is_a_message(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["schema", "--output", str(tmp_path / "no" / "file.json")])
    assert result.exit_code == 2
    assert f"error: {tmp_path / 'no'}: there is no such folder" in result.output


def test_a_schema_replaces_an_earlier_one_and_no_other_file_unasked(tmp_path: Path) -> None:
    file = tmp_path / "schema.json"
    assert CliRunner().invoke(cli, ["schema"]).output == CliRunner().invoke(cli, ["schema", "--output", "-"]).output
    for _ in range(2):
        assert CliRunner().invoke(cli, ["schema", "--output", str(file)]).exit_code == 0
    file.write_text("{}")
    result = CliRunner().invoke(cli, ["schema", "--output", str(file)])
    assert (result.exit_code, file.read_text()) == (2, "{}")
    assert "the file exists; --overwrite replaces it" in result.output
    assert CliRunner().invoke(cli, ["schema", "--output", str(file), "--overwrite"]).exit_code == 0
    assert json.loads(file.read_text())["$schema"]
