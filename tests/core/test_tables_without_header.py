"""TSV and CSV files whose first line names no columns: the spec names them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.core import runs
from tp_core import DataError, SpecError, load_spec
from tp_core.data.sources.options import FORMATS
from tp_core.data.sources.records import read_records
from tp_core.options.choice import Chosen


def source(form: str, path: Path | str) -> Chosen:  # type: ignore[type-arg]
    return Chosen.of("source", form, FORMATS[form](path=str(path), names=["label", "text_a"]), None)  # type: ignore[call-arg]


@pytest.mark.parametrize(("form", "text"), [("tsv", "1\tba be\n\n0\tdo\n"), ("csv", '1,ba be\n0,"do"\n')])
def test_rows_have_the_names_of_the_spec(tmp_path: Path, form: str, text: str) -> None:
    (tmp_path / f"a.{form}").write_text(text)
    for path in (tmp_path / f"a.{form}", tmp_path, tmp_path / f"*.{form}"):
        assert [each.value for each in read_records([source(form, path)])] == [
            {"label": "1", "text_a": "ba be"},
            {"label": "0", "text_a": "do"},
        ]


def test_other_columns_than_those_of_the_spec_are_bad(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("1\tba\tbe\n")
    with pytest.raises(DataError, match=r"a\.tsv:1: expected 2 columns \(label, text_a\), found 3"):
        list(read_records([source("tsv", tmp_path / "a.tsv")]))


def test_a_name_may_not_occur_twice(tmp_path: Path) -> None:
    home = runs.write_project(tmp_path, steps=2)
    written = runs.read_spec(home)
    written["data"]["train"] = {"tsv": {"path": "corpus.txt", "names": ["x", "x"]}}
    runs.write_spec(home, written)
    with pytest.raises(SpecError, match="two columns are named 'x'"):
        load_spec(home / "spec.yaml")


def test_a_classifier_trains_on_such_a_file(tmp_path: Path) -> None:
    home = runs.write_project(tmp_path, steps=2)
    (home / "labels.txt").write_text("".join(f"{n % 2}\tba be\n" for n in range(20)))
    written = runs.read_spec(home)
    written["model"]["target"] = ["cls"]
    written["data"]["processor"] = "cls"
    written["data"]["train"] = {"tsv": {"path": "labels.txt", "names": ["label", "text_a"]}}
    runs.write_spec(home, written)
    runs.train(home, "--run", "run")
    assert json.loads((home / "run" / "metrics.jsonl").read_text().splitlines()[-1])["step"] == 2
