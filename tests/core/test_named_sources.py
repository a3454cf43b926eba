"""Sources that a spec names: those of a package, of a file beside the spec, and our own formats by their names."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.feather
import pytest
import yaml
from click.testing import CliRunner

import tp_core
from tests.core import runs
from tests.core.acme import shelve
from tp_core import SpecError, discovery, load_spec
from tp_core.cli.main import cli
from tp_core.data.sources.file import FileSource
from tp_core.data.sources.fingerprint import fingerprint
from tp_core.data.sources.options import FORMATS, FORMS, FileConfig
from tp_core.data.sources.records import BadRecords, read_records
from tp_core.data.sources.text import TextFile
from tp_core.spec.sections.data import Given
from tp_core.testing import check_module

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "modules" / "source.md"

MODEL: dict[str, Any] = {"embedding": ["word"], "encoder": "lstm", "target": ["mlm"], "vocab_size": 50}


def database(path: Path, lines: list[str]) -> Path:
    """A table of lines."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table lines (body text)")
        connection.executemany("insert into lines values (?)", [(line,) for line in lines])
        connection.commit()
    return path


def execute(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for place in reversed(shelve(tmp_path / "site")):
        monkeypatch.syspath_prepend(place)
    discovery.index.cache_clear()
    yield
    discovery.index.cache_clear()


def given(train: Any, **data: Any) -> list[Given]:
    """The training data of a spec with this under data.train."""
    return load_spec({"model": MODEL, "data": {"train": train, **data}}).data.options.given("train")


def values(train: Any) -> list[dict[str, Any]]:
    return [record.value for record in read_records(given(train))]


# -- our own formats ---------------------------------------------------------------------------------------------------


def test_our_own_formats_are_the_installed_sources_and_read_what_they_say() -> None:
    entries = [entry for entry in discovery.index().entries("source") if entry.distribution == "tp-core"]
    configs = {entry.name: discovery.load(entry) for entry in entries}
    assert {name: each for name, each in configs.items() if issubclass(each, FileConfig)} == FORMATS
    for name, config in FORMATS.items():
        assert config.form == name
        assert isinstance(config.file("a path"), FileSource)
    assert len(FORMS) == sum(len(config.endings) for config in FORMATS.values())  # no ending is of two


def test_a_named_format_says_the_form_whatever_the_file_is_called(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.dat").write_text("text,n\nx y,1\n")
    Path("b.txt").write_text("z\n")
    assert values("a.dat") == [{"text": "text,n"}, {"text": "x y,1"}]
    assert values({"csv": {"path": "a.dat"}}) == [{"text": "x y", "n": "1"}]
    assert values([{"csv": {"path": "*.dat"}}, "b.txt"]) == [{"text": "x y", "n": "1"}, {"text": "z"}]
    # The name says no more than the ending would: it is the same data.
    Path("a.csv").write_text(Path("a.dat").read_text())
    assert fingerprint(given({"csv": {"path": "a.dat"}})) == fingerprint(["a.csv"]) != fingerprint(["a.dat"])


def test_of_a_folder_a_named_format_reads_its_own_files(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text("text\nx\n")
    (tmp_path / "in" / "b.txt").write_text("y\n")
    assert values({"text": {"path": str(tmp_path / "in")}}) == [{"text": "y"}]
    pa.feather.write_feather(pa.table({"text": ["z"]}), tmp_path / "in" / "c.arrow")
    assert values({"arrow": {"path": str(tmp_path / "in")}}) == [{"text": "z"}]
    assert len(values(str(tmp_path / "in"))) == 2  # else an Arrow file in a folder may belong to a cache
    with pytest.raises(tp_core.DataError, match="no file in this folder is of the form 'tsv'"):
        values({"tsv": {"path": str(tmp_path / "in")}})


def test_pictures_of_a_named_pattern_have_the_classes_of_their_folders(tmp_path: Path) -> None:
    for name in ("cat/1.dat", "dog/2.dat"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"picture")
    found = values({"image": {"path": f"{tmp_path}/**/*.dat"}})
    assert [(Path(each["image"]).name, each["label"]) for each in found] == [("1.dat", "cat"), ("2.dat", "dog")]


# -- specs -------------------------------------------------------------------------------------------------------------


def test_paths_of_a_source_are_relative_to_the_file_that_has_them_and_a_child_replaces_another_source(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "parents"
    folder.mkdir()
    parent = {"model": MODEL, "data": {"train": {"csv": {"path": "a.dat"}}, "eval": ["b.txt", {"tsv": {"path": "c"}}]}}
    (folder / "parent.yaml").write_text(yaml.safe_dump(parent))

    def child(**data: Any) -> dict[str, Any]:
        (tmp_path / "child.yaml").write_text(yaml.safe_dump({"extends": "parents/parent.yaml", "data": data}))
        found: dict[str, Any] = load_spec(tmp_path / "child.yaml").dump()["data"]
        return found

    assert child()["train"] == {"csv": {"path": str(folder / "a.dat"), "names": None}}
    assert child()["eval"] == [str(folder / "b.txt"), {"tsv": {"path": str(folder / "c"), "names": None}}]
    assert child(train={"tsv": {"path": "b"}})["train"] == {"tsv": {"path": str(tmp_path / "b"), "names": None}}
    assert child(train="b")["train"] == str(tmp_path / "b")
    assert child(eval={"csv": {"path": "d"}})["eval"] == {"csv": {"path": str(tmp_path / "d"), "names": None}}
    set_ = load_spec(tmp_path / "child.yaml", "data.train={jsonl: {path: e}}").dump()["data"]["train"]
    assert list(set_) == ["jsonl"]


def test_a_setting_of_a_source_in_a_list_leaves_what_stands_beside_it(tmp_path: Path) -> None:
    train = ["a.txt", {"csv": {"path": "b.dat"}}]
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump({"model": MODEL, "data": {"train": train}}))

    def set_(*overrides: str) -> Any:
        return load_spec(tmp_path / "spec.yaml", overrides).dump()["data"]["train"]

    assert set_("data.train.csv.path=/c.dat") == [str(tmp_path / "a.txt"), {"csv": {"path": "/c.dat", "names": None}}]
    with pytest.raises(SpecError, match=r"data\.train\.cvs: the spec has no module 'cvs' there; it has csv; did you"):
        set_("data.train.cvs.path=/c.dat")
    with pytest.raises(SpecError, match=r"data\.train\.csv: the spec has 2 modules 'csv' there"):
        set_("data.train=[csv: {path: a}, csv: {path: b}]", "data.train.csv.path=/c.dat")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return None", r"OddConfig\.records\(\) gave back None; expected an iterator of Records"),
        ("report('bad')", r"OddConfig\.records\(\) gave back 'bad' to report\(\); expected a DataError"),
    ],
)
def test_a_source_that_gives_back_something_else_is_one_message(tmp_path: Path, body: str, message: str) -> None:
    (tmp_path / "odd.py").write_text(
        "from typing import ClassVar\nfrom tp_core import Source, SourceConfig\n"
        "class OddConfig(SourceConfig):\n    'Odd.'\n    implementation: ClassVar[str] = 'Odd'\n"
        f"class Odd(Source):\n    def records(self, report):\n        {body}\n        return []\n"
    )
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump({"model": MODEL, "data": {"train": {"odd:OddConfig": {}}}}))
    (given,) = load_spec(tmp_path / "spec.yaml").data.options.given("train")
    with pytest.raises(tp_core.TPError, match=message):
        list(read_records([given], {}, BadRecords()))


def test_data_sets_name_sources_and_share_one_that_is_common(tmp_path: Path) -> None:
    data = {"train": {"csv": {"path": "a"}}, "sets": {"one": {}, "two": {"train": [{"tsv": {"path": "b"}}]}}}
    spec = load_spec({"model": MODEL, "data": data})
    assert [(each.name, each.path) for each in spec.data.sources()] == [
        ("csv", "data.train.csv"),
        ("tsv", "data.sets.two.train[0].tsv"),
    ]


def test_without_its_package_a_source_is_unknown_and_a_key_of_its_is_told_its_place(acme: None, tmp_path: Path) -> None:
    spec = {"model": MODEL, "data": {"train": {"acme.sqlite": {"path": "a.db", "table": "t"}}}}
    assert load_spec(spec).data.sources()[0].distribution == "tp-acme"
    with pytest.raises(SpecError, match=r"unknown source 'acme\.sqlit'; did you mean 'acme\.sqlite'"):
        given({"acme.sqlit": {"path": "a.db", "table": "t"}})
    with pytest.raises(SpecError, match=r"data\.train\.acme\.sqlite\.tabel: unknown option 'tabel'; did you mean"):
        given({"acme.sqlite": {"path": "a.db", "tabel": "t"}})
    with pytest.raises(SpecError, match=r"unknown key 'table'.*it belongs at data\.train\.acme\.sqlite\.table"):
        given({"acme.sqlite": {"path": "a.db", "table": "t"}}, table="t")


# -- a package's source, in processes of its own -----------------------------------------------------------------------


class Project:
    """A project whose training text stands in a database."""

    def __init__(self, folder: Path, **train: Any) -> None:
        self.home = runs.write_project(folder / "project", steps=10, checkpoint_every=5, **train)
        self.path = os.pathsep.join([*shelve(folder / "site"), str(Path(__file__).resolve().parents[2])])
        self.database = database(self.home / "shop.db", (self.home / "corpus.txt").read_text().split("\n")[:-1])
        self.write({"acme.sqlite": {"path": "shop.db", "table": "lines"}}, columns={"text": "body"})

    def write(self, train: Any, **data: Any) -> None:
        spec = runs.read_spec(self.home)
        spec["data"] |= {"train": train, **data}
        runs.write_spec(self.home, spec)

    def start(self, *arguments: str, path: str | None = None) -> subprocess.Popen[str]:
        environment = {**runs.environment(), "PYTHONPATH": self.path if path is None else path}
        return subprocess.Popen(
            [sys.executable, "-m", "tp_core", *arguments],
            cwd=self.home,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str, status: int = 0, path: str | None = None) -> str:
        process = self.start(*arguments, path=path)
        said = process.communicate(timeout=120)[0]
        assert process.returncode == status, said
        return said


def test_a_database_is_trained_on_as_the_same_text_is_and_the_run_goes_on_exactly(tmp_path: Path) -> None:
    project = Project(tmp_path)
    home = project.home
    assert "acme.sqlite" in project.run("check", "spec.yaml")
    project.run("train", "spec.yaml", "--run", "whole")
    process = project.start("train", "spec.yaml", "--run", "killed")
    while not (home / "killed" / "checkpoints" / "step_000005").is_dir():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    os.utime(project.database)  # contents count, and not times
    assert "resuming" in project.run("train", "spec.yaml", "--run", "killed", "--resume")
    runs.assert_same_run(home / "killed", home / "whole")
    provenance = json.loads((home / "whole" / "provenance.json").read_text())
    assert ("source", "acme.sqlite", "tp-acme") in [(m["kind"], m["name"], m["distribution"]) for m in provenance]
    # The same lines of a text are the same run.
    spec = runs.read_spec(home)
    del spec["data"]["columns"]
    (home / "text.yaml").write_text(yaml.safe_dump({**spec, "data": {**spec["data"], "train": "corpus.txt"}}))
    runs.train(home, "--run", "text", spec="text.yaml")
    runs.assert_same_weights(runs.weights(home / "text"), runs.weights(home / "whole"))
    # Another value is another run.
    execute(project.database, "update lines set body = 'ba be' where rowid = 1")
    longer = ("train.steps=12", "--resume", "--allow-change", "steps")
    said = project.run("train", "spec.yaml", "--run", "whole", *longer, status=2)
    assert f"data.train: {project.database} has changed" in said
    # The model is used without the package, and without the data.
    project.database.unlink()
    (home / "new.txt").write_text("ba be bi\n")
    project.run("embed", "whole", "--input", "new.txt", "--output", "vectors.npy", path=str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ({"path": "shpo.db", "table": "lines"}, "data.train.acme.sqlite.path: there is no file"),
        ({"path": "shop.db", "table": "line"}, "table: there is no table 'line'; did you mean 'lines'?"),
        ({"path": "shop.db", "table": "lines", "order": 1}, "data.train.acme.sqlite.order: unknown option 'order'"),
        ({"path": "corpus.txt", "table": "lines"}, "cannot be read as an SQLite database: file is not a database"),
        ({"path": "shop.db", "table": "lines", "columns": ["rowid"]}, "columns: the table has no column 'rowid'"),
    ],
)
@pytest.mark.parametrize("command", ["check", "train", "preprocess"])
def test_what_is_wrong_with_a_source_is_one_message_at_its_place(
    acme: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, train: dict[str, Any], message: str, command: str
) -> None:
    home = runs.write_project(tmp_path / "project")
    database(home / "shop.db", ["ba be"])
    spec = runs.read_spec(home)
    spec["data"] |= {"train": ["corpus.txt", {"acme.sqlite": train}], "columns": {"text": "body"}}
    runs.write_spec(home, spec)
    monkeypatch.chdir(home)
    result = CliRunner().invoke(cli, [command, "spec.yaml"])
    said = result.output
    assert result.exit_code == 2, said
    assert message in said.replace("data.train[1]", "data.train")
    assert "Traceback" not in said
    assert said.count("spec.yaml:") == 1


def test_a_bad_record_of_a_source_is_fatal_or_counted(acme: None, tmp_path: Path) -> None:
    path = database(tmp_path / "shop.db", ["good", "bad", "fine"])
    execute(path, "update lines set body = cast(x'ff' as text) where rowid = 2")
    given_ = given({"acme.sqlite": {"path": str(path), "table": "lines"}})
    with pytest.raises(tp_core.DataError, match=r"shop\.db:2: the column 'body' is not UTF-8"):
        list(read_records(given_))
    bad = BadRecords("skip")
    assert [record.value["text"] for record in read_records(given_, {"text": "body"}, bad)] == ["good", "fine"]
    assert bad.count == 1
    with pytest.raises(tp_core.DataError, match=r"shop\.db: there is no column 'boddy'; did you mean 'body'\?"):
        list(read_records(given_, {"text": "boddy"}, BadRecords("skip")))


def test_preparing_a_source_twice_takes_the_cache_and_another_option_makes_it_anew(
    acme: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = runs.write_project(tmp_path / "project")
    path = database(home / "shop.db", (home / "corpus.txt").read_text().split("\n"))
    execute(path, "create table others as select * from lines where rowid < 40")
    monkeypatch.chdir(home)

    def prepared(table: str) -> bool:
        train = f"data.train={{acme.sqlite: {{path: shop.db, table: {table}}}}}"
        result = CliRunner().invoke(cli, ["preprocess", "spec.yaml", train, "data.columns={text: body}"])
        assert result.exit_code == 0, result.output
        return "preparing acme.sqlite" in result.output

    assert [prepared(table) for table in ("lines", "lines", "others", "lines")] == [True, False, True, False]


# -- a source of a file beside the spec --------------------------------------------------------------------------------

OWN = '''
from tp_core import PathStr, Record, Source, SourceConfig


class ReversedConfig(SourceConfig):
    """The lines of a text from the last to the first."""

    implementation = "Reversed"

    path: PathStr


class Reversed(Source):
    def records(self, report):
        with open(self.config.path, encoding="utf-8") as file:
            lines = file.read().splitlines()
        for number in range(len(lines), 0, -1):
            yield Record({"text": lines[number - 1]}, self.config.path, number)
'''


def test_a_source_of_a_file_beside_the_spec_is_trained_kept_with_the_run_and_made_anew_when_it_changes(
    tmp_path: Path,
) -> None:
    home = runs.write_project(tmp_path, steps=4, checkpoint_every=2)
    (home / "own.py").write_text(OWN)
    spec = runs.read_spec(home)
    spec["data"]["train"] = {"own:ReversedConfig": {"path": "corpus.txt"}}
    runs.write_spec(home, spec)
    assert "preparing own:ReversedConfig" in runs.train(home, "--run", "one")
    assert (home / "one" / "own.py").read_text() == OWN
    assert "preparing" not in runs.train(home, "--run", "again")
    (home / "own.py").write_text(OWN.replace("len(lines), 0, -1", "len(lines) - 1, 0, -1"))
    assert "preparing own:ReversedConfig" in runs.train(home, "--run", "other")
    provenance = json.loads((home / "one" / "provenance.json").read_text())
    assert [m["portable"] for m in provenance if m["kind"] == "source"] == [False]
    # A model is used without the code that read its data.
    assert tp_core.load_model(home / "one").spec.data.options.train is None


def test_the_source_of_the_guide_keeps_the_contracts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n([^`]*class FixedWidthConfig[^`]*)```", GUIDE.read_text(encoding="utf-8"))
    (tmp_path / "fixed_width.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    path = tmp_path / "people.txt"
    path.write_text("Ada  1\nshort\nBob  2\n")
    options = {"path": str(path), "widths": {"text": 5, "label": 1}}
    check_module("fixed_width:FixedWidthConfig", "source", options, change=lambda: path.write_text("Eve  1\n"), bad=1)


def test_an_exception_of_a_source_is_one_message_that_names_it(tmp_path: Path) -> None:
    home = runs.write_project(tmp_path)
    (home / "own.py").write_text(OWN.replace("lines = file.read().splitlines()", "raise RuntimeError('out of paper')"))
    spec = runs.read_spec(home)
    spec["data"]["train"] = {"own:ReversedConfig": {"path": "corpus.txt"}}
    runs.write_spec(home, spec)
    said = runs.train(home, status=2)
    assert "out of paper" in said
    assert "own.py" in said
    assert "Traceback" not in said


def test_a_text_by_its_name_is_read_in_runs_of_lines(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("a\nb\n")
    config: FileConfig = FORMATS["text"](path=str(tmp_path / "a.md"))
    source = config.build()
    assert isinstance(source, TextFile)
    assert [record.line for record in source.records(pytest.fail)] == [1, 2]
