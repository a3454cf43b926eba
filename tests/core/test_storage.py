"""Stored files are whole, are verified before they are used, and leave nothing behind."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.core import runs
from tests.core.scarcity import no_more_files
from tp_core import TPError
from tp_core.artifacts.checkpoint import CheckpointStore
from tp_core.artifacts.find import find_model
from tp_core.artifacts.weights import read_weights
from tp_core.data.build import build_processor, build_tokenizer
from tp_core.data.cache.contents import file_contents
from tp_core.data.cache.manifest import MANIFEST, damage, read_manifest, verifying, write_manifest
from tp_core.data.cache.prepared import prepared_rows
from tp_core.data.cache.rows import ArrowRows, write_rows
from tp_core.errors import CheckpointError, DataError
from tp_core.files.whole_files import clear, draft, replace_folder, sync, temporary_name, write_whole
from tp_core.interop.tensors import open_files
from tp_core.spec.load import load_spec
from tp_core.suggest import instead
from tp_core.training.metrics import MetricsFile


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a run that has been killed after step 7 of 12, and one that is complete, ``calm``."""
    folder = runs.write_project(tmp_path_factory.mktemp("storage"), steps=12, checkpoint_every=3)
    shutil.copy(Path(__file__).with_name("sudden_death.py"), folder)
    runs.train(folder, "--run", "calm")
    return folder


def flip(path: Path, place: int = -100) -> None:
    """Change one bit of a file, and nothing else that a look at the file would tell."""
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


# -- prepared data --------------------------------------------------------------------------------------------------


def prepare(home: Path, say: list[str]) -> ArrowRows:
    spec = load_spec(home / "spec.yaml", ["data.on_bad_record=skip"])
    processor = build_processor(spec, build_tokenizer(spec))
    assert processor is not None
    return prepared_rows(spec, processor, str(home / "corpus.txt"), say.append)


def contents(rows: ArrowRows) -> list[object]:
    return [[rows.get(column, row) for column in rows._columns[0]] for row in range(len(rows))]


@pytest.fixture
def cached(tmp_path: Path) -> Path:
    """A project of its own with prepared rows."""
    runs.write_project(tmp_path)
    with open(tmp_path / "corpus.txt", "ab") as file:
        file.write(b"ba\xff\n")
    prepare(tmp_path, [])
    return tmp_path


def test_damaged_rows_are_made_anew(cached: Path) -> None:
    said: list[str] = []
    rows = prepare(cached, said)
    before = repr(contents(rows))
    assert "prepared before" in said[-1]
    for place in (-100, 300, rows.path.stat().st_size // 2):
        flip(rows.path, place)
        said.clear()
        assert repr(contents(prepare(cached, said))) == before
        assert f"the cached file {rows.path} is damaged and will be prepared again" in said


def test_rows_without_their_facts_are_made_anew_and_say_what_was_skipped(cached: Path) -> None:
    rows = prepare(cached, [])
    rows.path.with_suffix(".json").unlink()
    said: list[str] = []
    prepare(cached, said)
    assert "is damaged" in said[0]
    assert "1 bad record was skipped" in said[-2]


def test_a_process_that_is_killed_when_rows_get_their_name_does_not_lose_what_was_skipped(cached: Path) -> None:
    rows = prepare(cached, [])
    before = json.loads(rows.path.with_suffix(".json").read_text())["skipped"]
    for each in cached.glob("cache/*"):
        if each.suffix in (".arrow", ".json"):
            each.unlink()
    # Rows have their name by the only os.replace of an arrow file; what is there then is all that a kill leaves.
    (cached / "script.py").write_text(
        "import os, signal\n"
        "from pathlib import Path\n"
        "from tests.core.test_storage import prepare\n"
        "replace = os.replace\n"
        "def last(old, new):\n"
        "    replace(old, new)\n"
        "    if str(new).endswith('.arrow'):\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "os.replace = last\n"
        "prepare(Path.cwd(), [])\n"
    )
    run = runs.start_tp(cached, script=cached / "script.py")
    assert run.wait() == -signal.SIGKILL, run.said()
    (facts,) = cached.glob("cache/*.json")
    assert json.loads(facts.read_text())["skipped"] == before
    said: list[str] = []
    prepare(cached, said)
    assert "prepared before:\n1 bad record was skipped" in said[0]
    assert not list(cached.glob("cache/.tmp-*"))  # what the killed one left


def test_content_is_read_once_and_always_where_it_is_to_be_verified(
    cached: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, read = prepare(cached, []), []
    young = time.time() - 10  # the memo remembers no file that may be changing
    os.utime(rows.path, (young, young))
    monkeypatch.setattr("tp_core.data.cache.digest_cache._SETTLED", 0.0)
    opened = open

    def watched(file: object, *arguments: object, **options: object) -> object:
        if str(file) == str(rows.path):
            read.append(file)
        return opened(file, *arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr("builtins.open", watched)
    time.sleep(0.05)
    prepare(cached, [])
    prepare(cached, [])
    assert len(read) == 1
    with verifying():
        prepare(cached, [])
    assert len(read) == 2


# -- models ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer/vocab.txt"])
def test_an_export_that_has_changed_is_refused(home: Path, tmp_path: Path, name: str) -> None:
    model = Path(shutil.copytree(home / "calm" / "model", tmp_path / "model"))
    assert find_model(model)[0] == model / "spec.yaml"
    target = model / name
    if not target.exists():
        (target,) = (each for each in (model / "tokenizer").iterdir())
    flip(target, -3)
    with pytest.raises(CheckpointError, match=rf"the content of .*{target.name} has changed; if the change is yours"):
        find_model(model)
    (model / MANIFEST).unlink()
    find_model(model)


def test_a_file_that_an_export_lacks_is_named(home: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(home / "calm" / "model", tmp_path / "model"))
    (vocabulary,) = (model / "tokenizer").iterdir()
    os.truncate(vocabulary, 5)
    with pytest.raises(CheckpointError, match=rf"{vocabulary.name} has 5 bytes instead of \d+"):
        find_model(model)
    vocabulary.unlink()
    with pytest.raises(CheckpointError, match=rf"{vocabulary.name}: No such file"):
        find_model(model)


def test_what_people_edit_of_an_export_is_told(home: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(home / "calm" / "model", tmp_path / "model"))
    with open(model / "spec.yaml", "a") as file:
        file.write("# edited\n")
    (model / "training.yaml").unlink()
    said = list[str]()
    assert find_model(model, said.append)[0] == model / "spec.yaml"
    assert said == [f"{model}: not as it was written: spec.yaml, training.yaml"]


@pytest.mark.parametrize("name", ["/dev/zero", "../spec.yaml"])
def test_a_manifest_names_no_files_outside_its_folder(home: Path, tmp_path: Path, name: str) -> None:
    model = Path(shutil.copytree(home / "calm" / "model", tmp_path / "model"))
    (model / MANIFEST).write_text(json.dumps({"files": {name: {"size": 0, "digest": "00"}}}))
    with pytest.raises(CheckpointError, match="its manifest cannot be read"):
        find_model(model)


def test_every_file_of_an_export_is_listed(home: Path) -> None:
    model = home / "calm" / "model"
    files = {each.relative_to(model).as_posix() for each in model.rglob("*") if each.is_file()}
    assert set(read_manifest(model / MANIFEST)) == files - {MANIFEST}


def test_exports_are_flushed_before_they_get_their_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "new" / "inside").mkdir(parents=True)
    for name in ("a", "inside/b"):
        (tmp_path / "new" / name).write_text(name)
    flushed: list[str] = []
    flush = os.fsync

    def watched(descriptor: int) -> None:
        flushed.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    write_manifest(tmp_path / "new")
    replace_folder(tmp_path / "new", tmp_path / "model")
    inside = {os.path.relpath(path, tmp_path) for path in flushed if ".tmp-" not in path}
    assert {"new", "new/a", "new/inside", "new/inside/b", "."} <= inside
    assert damage(tmp_path / "model") is None


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_a_folder_that_cannot_be_flushed_is_tolerated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    sync(tmp_path)


def test_a_disk_that_is_full_when_it_is_flushed_is_not_tolerated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="No space"):
        sync(tmp_path)


@pytest.mark.parametrize("mask", [0o022, 0o027, 0o002])
def test_weights_have_the_mode_that_the_umask_says(home: Path, mask: int) -> None:
    from tp_core.artifacts.weights import save_weights

    before = os.umask(mask)
    try:
        save_weights(runs.weights(home / "calm"), home / f"{mask}.safetensors")
    finally:
        os.umask(before)
    assert (home / f"{mask}.safetensors").stat().st_mode & 0o777 == 0o666 & ~mask


# -- temporary names ------------------------------------------------------------------------------------------------


def test_temporary_names_are_unique_and_fit(tmp_path: Path) -> None:
    long = tmp_path / ("ä" * 127)
    names = {temporary_name(long) for _ in range(100)}
    assert len(names) == 100
    assert max(len(os.fsencode(each.name)) for each in names) < 250
    write_whole(long, "text")
    assert long.read_text() == "text"
    assert os.listdir(tmp_path) == [long.name]


def test_what_a_killed_writer_left_is_cleared_and_what_another_one_writes_is_not(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys, time\n"
        "from pathlib import Path\n"
        "from tp_core.files.whole_files import draft\n"
        f"with draft(Path({str(tmp_path)!r}, sys.argv[1])) as path:\n"
        "    path.write_text('half')\n"
        "    path.with_name(path.name + '.wider').write_text('half')\n"
        "    print('here', flush=True)\n"
        "    time.sleep(60)\n"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", script, name], env=runs.environment(), stdout=subprocess.PIPE)
        for name in ("one", "two")
    ]
    try:
        for each in started:
            assert each.stdout is not None
            assert each.stdout.readline() == b"here\n"
        started[0].kill()
        started[0].wait()
        assert len(os.listdir(tmp_path)) == 6
        with draft(tmp_path / "three") as mine:
            mine.write_text("mine")
            clear(tmp_path)
            left = {name.split(".")[1] for name in os.listdir(tmp_path)}
            assert left == {"tmp-two", "tmp-three"}
        assert {name.split(".")[1] for name in os.listdir(tmp_path)} == {"tmp-two"}
    finally:
        for each in started:
            each.kill()
            each.wait()


def test_writers_of_the_same_rows_do_not_disturb_each_other(tmp_path: Path) -> None:
    def chunks() -> object:
        yield {"a": [1]}
        write_rows(tmp_path / "rows.arrow", [{"a": [1]}, {"a": [2]}])
        yield {"a": [2]}

    write_rows(tmp_path / "rows.arrow", chunks())  # type: ignore[arg-type]
    assert ArrowRows(tmp_path / "rows.arrow").integers("a").tolist() == [1, 2]
    assert os.listdir(tmp_path) == ["rows.arrow"]


# -- runs -----------------------------------------------------------------------------------------------------------


def test_lines_of_metrics_that_do_not_parse_are_kept_and_told(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path / "metrics.jsonl")
    good = [json.dumps({"step": step, "loss": 1.0}) for step in (1, 2, 3)]
    lines = [good[0], "{gar\xffbage", good[1], "[1]", good[2], '{"step": 4, "lo']
    file.path.write_bytes("\n".join(lines).encode("latin-1"))
    said: list[str] = []
    file.cut(2, say=said.append)
    assert file.path.read_text() == f"{good[0]}\n{good[1]}\n"
    assert file.damaged.read_bytes() == b"{gar\xffbage\n[1]\n"
    assert said == [f"{file.path}: not the figures of a run in line 2, 4; moved to {file.damaged}"]


def write(folder: Path) -> None:
    (folder / "model.safetensors").write_text("weights")


def test_retention_that_a_kill_has_cut_short_is_made_up_for(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "checkpoints", keep=9)
    for step in range(1, 6):
        store.save(step, write)
    (store.folder / ".tmp-step_000006.abc").mkdir()
    later = CheckpointStore(store.folder, keep=2)
    later.clean(protect=1)
    assert sorted(each.name for each in store.folder.iterdir()) == ["step_000001", "step_000004", "step_000005"]


@pytest.mark.slow
def test_no_kill_leaves_a_superfluous_checkpoint_behind_a_resumed_run(home: Path) -> None:
    options = ["train.hooks=[sudden_death:Config]", "train.keep_checkpoints=1"]
    survived = 0
    for number in range(5, 60, 6):
        (home / "death.json").write_text(json.dumps(["any file", number]))
        run = runs.start(home, "--run", f"killed-{number}", *options)
        run.wait()
        (home / "death.json").unlink(missing_ok=True)
        runs.train(home, "--run", f"killed-{number}", *options, "--resume")
        left = runs.checkpoints(home / f"killed-{number}")
        assert left == ["step_000012"], (number, left)
        assert not list((home / f"killed-{number}").glob(".tmp-*"))
        survived += 1
    assert survived == 10


def test_a_run_that_was_moved_is_told_and_not_split(home: Path) -> None:
    options = ["train.steps=20000", "train.checkpoint_every=null", "train.log_every=100000"]
    run = runs.start(home, "--run", "moving", *options)
    run.wait_for(lambda: (home / "moving" / "spec.yaml").exists())
    time.sleep(0.5)
    (home / "moving").rename(home / "moved")
    run.kill(signal.SIGTERM)
    assert run.wait() == 2
    assert "moving/checkpoints/step_" in run.said()
    assert "cannot be written: No such file or directory" in run.said()
    assert "Traceback" not in run.said()
    assert not (home / "moving").exists()


def test_a_folder_that_cannot_be_written_is_found_before_data_are_prepared(home: Path) -> None:
    (home / "file").write_text("")
    locked = "/proc/tp-run" if os.path.isdir("/proc") else str(home / "file" / "run")
    said = runs.train(home, "--run", locked, "data.cache=elsewhere", status=2)
    assert locked in said or "/proc" in said
    assert "preparing" not in said
    assert "Traceback" not in said


@pytest.mark.parametrize("option", ["data.train=pipe.txt", "data.tokenizer={space: {vocab: pipe.txt}}"])
def test_a_named_pipe_is_neither_waited_for_nor_data(home: Path, option: str) -> None:
    if not (home / "pipe.txt").exists():
        os.mkfifo(home / "pipe.txt")
    for command in ("train", "check"):
        said = runs.run_tp(home, command, "spec.yaml", option, status=2)
        assert f"{home / 'pipe.txt'} is a named pipe; expected a file" in said


def test_a_named_pipe_is_not_hashed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(DataError, match="this is a named pipe; expected a file"):
        file_contents([str(tmp_path / "pipe.txt")])


@pytest.mark.parametrize(
    "arguments",
    [
        ("predict", "calm", "--input", "link.yaml", "--output", "out.jsonl"),
        ("predict", "link.yaml", "--text", "ba"),
        ("check", "link.yaml"),
        ("check", "spec.yaml", "data.train=link.yaml"),
        ("check", "spec.yaml", "init_from=link.yaml"),
        ("cache", "list", "--folder", "link.yaml"),
        ("convert", "--from", "huggingface", "link.yaml", "--to", "tp", "there"),
    ],
    ids=" ".join,
)
def test_a_link_to_nothing_is_not_answered_with_its_own_name(home: Path, arguments: tuple[str, ...]) -> None:
    link = home / "link.yaml"
    link.unlink(missing_ok=True)
    link.symlink_to("moved away")
    said = runs.run_tp(home, *arguments, status=2)
    assert "link.yaml" in said
    assert "; it is a link to moved away, which is not there" in said
    assert "did you mean" not in said


@pytest.mark.parametrize("number", [errno.EACCES, errno.ESTALE])
def test_what_cannot_be_looked_at_is_not_called_missing(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(path: object) -> None:
        raise OSError(number, os.strerror(number), path)

    monkeypatch.setattr(os, "stat", refuse)
    with pytest.raises(TPError, match=f"^private/a.txt: {os.strerror(number)}$"):
        instead("private/a.txt")


@pytest.mark.parametrize("read", [read_weights, lambda path: open_files([path])], ids=["ours", "others"])
def test_weights_that_cannot_be_opened_are_not_called_missing(tmp_path: Path, read: Callable[[Path], object]) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"a": torch.ones(3)}, str(path))
    read(path)
    with no_more_files(), pytest.raises(CheckpointError, match=f"{path}: cannot be read: {os.strerror(errno.EMFILE)}"):
        read(path)


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EIO, errno.EMFILE, errno.ENOLCK, errno.ENOSPC])
def test_every_error_of_the_system_is_told_with_its_path(
    home: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    import tp_core.training.prepare
    from tp_core import train

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number), str(home / "there"))

    monkeypatch.setattr(tp_core.training.prepare, "run_contents", refuse)
    with pytest.raises(TPError, match=rf"there: .*{os.strerror(number)}"):
        train(load_spec(home / "spec.yaml"), home / "refused")


def test_a_run_ends_well_where_nobody_reads_what_it_says(home: Path) -> None:
    (home / "unread.py").write_text(
        "import os, sys\n"
        "from tp_core.cli.main import run\n"
        "reader, writer = os.pipe()\n"
        "os.dup2(writer, 1), os.dup2(writer, 2), os.close(writer), os.close(reader)\n"
        "sys.stdout = sys.__stdout__ = open(1, 'w', closefd=False)\n"
        "sys.stderr = sys.__stderr__ = open(2, 'w', closefd=False)\n"
        "sys.argv = ['tp', *sys.argv[1:]]\n"
        "run()\n"
    )
    runs.run_tp(home, "train", "spec.yaml", "--run", "unread", "train.log_every=1", script=home / "unread.py")
    assert (home / "unread" / "model" / "model.safetensors").exists()


@pytest.mark.slow
@pytest.mark.parametrize("where", ["stdout", "stderr"])
def test_a_run_outlives_the_reader_of_its_log(home: Path, where: str) -> None:
    arguments = [sys.executable, "-m", "tp_core", "train", "spec.yaml", "--run", f"head-{where}", "train.log_every=1"]
    reader, writer = os.pipe()
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, where: writer}
    process = subprocess.Popen(arguments, cwd=home, env=runs.environment(), **streams)  # type: ignore[call-overload]
    os.close(writer)
    if where == "stderr":
        os.read(reader, 1)
    os.close(reader)
    assert process.wait(120) == 0
    assert (home / f"head-{where}" / "model" / "model.safetensors").exists()
