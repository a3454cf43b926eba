"""Pictures from folders, tar shards, Parquet and Arrow columns, saved data sets and the hub, some of them bad."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.vision.pictures import encoded, pixels, png
from tp_core import TPError, load_spec, train

COLOURS = pixels(12, 10)
#: What every form of source has to give: kinds of pictures, and ways for one to be bad.
GOOD = {
    "colour.jpg": encoded(COLOURS, "JPEG"),
    "cmyk.jpg": encoded(COLOURS, "JPEG", "CMYK"),
    "grey.png": encoded(COLOURS, "PNG", "L"),
    "palette.png": encoded(COLOURS, "PNG", "P"),
    "clear.png": encoded(COLOURS, "PNG", "RGBA"),
    "deep.png": encoded(COLOURS[..., 0].astype(np.uint16) * 257, "PNG"),
}
DAMAGED = bytearray(png(12, 12))
DAMAGED[len(DAMAGED) // 2] ^= 255
BAD = {
    "cut.jpg": (GOOD["colour.jpg"][:-100], "it is damaged or cut off"),
    "cut.png": (png(12, 12)[:-60], "it is damaged or cut off"),
    "damaged.png": (bytes(DAMAGED), "it is damaged or cut off"),
    "page.png": (b"<html></html>", "it is not a picture; JPEG, PNG"),
    "empty.png": (b"", "is empty"),
}
EVERY = {**GOOD, **{name: data for name, (data, _) in BAD.items()}}


def folder(place: Path) -> str:
    for number, (name, data) in enumerate(EVERY.items()):
        file = place / "pictures" / str(number % 2) / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    return "pictures"


def shard(place: Path) -> str:
    with tarfile.open(place / "shard.tar", "w") as archive:
        for number, (name, data) in enumerate(EVERY.items()):
            stem, _, extension = name.partition(".")
            for member, content in ((extension, data), ("cls", str(number % 2).encode())):
                info = tarfile.TarInfo(f"{stem}-{extension}.{member}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return "shard.tar"


def rows() -> list[dict[str, Any]]:
    """As Hugging Face keeps pictures."""
    return [
        {"image": {"bytes": data, "path": name}, "label": number % 2}
        for number, (name, data) in enumerate(EVERY.items())
    ]


def parquet(place: Path) -> str:
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows()), place / "rows.parquet")
    return "rows.parquet"


def parquet_of_paths(place: Path) -> str:
    import pyarrow
    import pyarrow.parquet

    folder(place)
    files = [{"image": f"pictures/{n % 2}/{name}", "label": n % 2} for n, name in enumerate(EVERY)]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(files), place / "paths.parquet")
    return "paths.parquet"


def arrow(place: Path) -> str:
    import pyarrow

    table = pyarrow.Table.from_pylist(rows())
    with pyarrow.OSFile(str(place / "rows.arrow"), "wb") as file, pyarrow.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=3)
    return "rows.arrow"


def arrow_stream(place: Path) -> str:
    import pyarrow

    table = pyarrow.Table.from_pylist(rows())
    with pyarrow.OSFile(str(place / "s.arrow"), "wb") as file, pyarrow.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)
    return "s.arrow"


def saved(place: Path) -> str:
    datasets = pytest.importorskip("datasets")
    made = datasets.Dataset.from_list(rows()).cast_column("image", datasets.Image(decode=False))
    made.save_to_disk(str(place / "saved"))
    return "saved"


SOURCES = [folder, shard, parquet, parquet_of_paths, arrow, arrow_stream, saved]


def write_spec(place: Path, source: str, **data: Any) -> Path:
    model = {
        "hidden_size": 8,
        "image_size": 8,
        "patch_size": 4,
        "embedding": ["patch"],
        "encoder": "identity",
        "target": [{"cls": {"num_labels": 2, "pooling": "mean"}}],
    }
    run = {"steps": 1, "batch_size": 4, "workers": 0, "loggers": [], "device": "cpu"}
    file = place / "spec.yaml"
    part = {"processor": "image", "train": source, "cache": "cache", **data}
    file.write_text(yaml.safe_dump({"tp": 1, "model": model, "data": part, "train": run}))
    return file


@pytest.mark.parametrize("write", SOURCES, ids=lambda write: write.__name__)
def test_bad_pictures_are_named_and_skipped_or_fatal(
    tmp_path: Path, write: Callable[[Path], str], capsys: pytest.CaptureFixture[str]
) -> None:
    source = write(tmp_path)
    train(load_spec(write_spec(tmp_path, source, on_bad_record="skip")), tmp_path / "run")
    told = capsys.readouterr().err
    assert f"{len(BAD)} bad records were skipped:" in told
    for name, (_, message) in BAD.items():
        shown = name.replace(".", "-") if write is shard else name
        (line,) = [each for each in told.splitlines() if f"{shown}:" in each or f"{shown}'" in each]
        assert message in line
    assert f"prepared {len(GOOD)} instances" in told
    with pytest.raises(TPError, match=r"the image .*(cannot be read|is empty)"):
        train(load_spec(write_spec(tmp_path, source)), tmp_path / "again")


def test_arrow_files_in_a_folder_are_passed_over_and_damaged_ones_refused(tmp_path: Path) -> None:
    file = tmp_path / arrow(tmp_path)
    folder(tmp_path)
    shutil.copy(file, tmp_path / "pictures")
    spec = load_spec(write_spec(tmp_path, "pictures", on_bad_record="skip"))
    assert train(spec, tmp_path / "run") is not None
    (tmp_path / "cut.arrow").write_bytes(file.read_bytes()[:-200])
    (tmp_path / "cut_stream.arrow").write_bytes((tmp_path / arrow_stream(tmp_path)).read_bytes()[:-400])
    for name in ("cut.arrow", "cut_stream.arrow"):
        with pytest.raises(TPError, match=rf"{name}: not an Arrow file that can be read"):
            train(load_spec(write_spec(tmp_path, name)), tmp_path / "again")


_HUB = """
import sys
from tp_core.cli.main import cli
for line in ("train spec.yaml --run run",
             "predict run --input hf://some/pictures:test --output found.jsonl --device cpu"):
    cli.main(line.split(), prog_name="tp", standalone_mode=False)
"""


@pytest.mark.slow
def test_a_data_set_of_the_hub_is_read_as_it_was_downloaded(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    # What the library keeps of a data set that was loaded before, and takes where there is no network.
    import pyarrow.parquet

    files = {}
    for split, count in (("train", len(EVERY)), ("test", len(GOOD))):
        files[split] = str(tmp_path / f"{split}.parquet")
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows()[:count]), files[split])
    datasets.load_dataset("parquet", data_files=files, cache_dir=str(tmp_path / "made"))
    (info,) = (tmp_path / "made" / "parquet").rglob("dataset_info.json")
    home = tmp_path / "home" / "datasets" / "some___pictures" / "default" / "0.0.0" / info.parent.name
    shutil.copytree(info.parent, home)
    for split in files:
        (home / f"parquet-{split}.arrow").rename(home / f"pictures-{split}.arrow")
    told = {**json.loads(info.read_text()), "dataset_name": "pictures", "config_name": "default"}
    (home / "dataset_info.json").write_text(json.dumps(told))
    write_spec(tmp_path, "hf://some/pictures", eval="hf://some/pictures:test", on_bad_record="skip")
    environment = {**os.environ, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", _HUB], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "hf://some/pictures:7: the image 'cut.jpg' cannot be read: it is damaged or cut off" in done.stderr
    assert len((tmp_path / "found.jsonl").read_text().splitlines()) == len(GOOD)
