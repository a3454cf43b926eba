"""Folders of pictures: files of every ending that is decoded, nested classes, other files beside, wrong pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from PIL import Image, features

from tests.vision.pictures import pixels, png
from tests.vision.test_sources import write_spec
from tp_core import TPError, load_spec, predict, train
from tp_core.cli.main import cli
from tp_core.data.sources.options import FORMS
from tp_vision.processors.decoding import decode

#: Formats of Pillow that are decoded, as tp_vision says (KINDS).
DECODED = {"JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "AVIF", "TGA"}
#: Endings of these that mostly belong to other kinds of files, or to pictures of floating-point numbers.
AMBIGUOUS = {".icb", ".vda", ".vst", ".pfm"}


def writers() -> dict[str, str]:
    """Ending → format of Pillow."""
    Image.init()
    known = {ending: form for ending, form in Image.registered_extensions().items() if form in DECODED}
    return {ending: form for ending, form in known.items() if ending not in AMBIGUOUS} | {".dib": "BMP"}


def test_every_ending_of_a_format_that_is_decoded_is_one_of_a_picture() -> None:
    assert {ending for ending, form in FORMS.items() if form == "image"} == set(writers())


@pytest.mark.parametrize("ending", sorted(ending for ending, form in FORMS.items() if form == "image"))
def test_a_picture_of_every_ending_is_found_in_a_folder_and_decoded(tmp_path: Path, ending: str) -> None:
    from tp_core.data.sources.folder_rules import FolderRules
    from tp_core.data.sources.media import media_bytes
    from tp_core.data.sources.records import read_records

    form = writers()[ending]
    if form == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    wanted = Image.fromarray(pixels(12, 10))
    if ending in (".pbm", ".pgm"):
        wanted = wanted.convert({".pbm": "1", ".pgm": "L"}[ending])
    wanted.save(tmp_path / f"X{ending.upper()}", form)
    (record,) = read_records([str(tmp_path)], rules=FolderRules(frozenset({"image"})))
    assert tuple(decode(media_bytes(record, "image"), 3).shape) == (3, 12, 10)


def pictures(folder: Path, *names: str) -> None:
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(png(12, 10, number))


def test_classes_of_nested_folders_are_trained_evaluated_and_predicted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = ["church/indoor", "church/outdoor", "market/outdoor"]
    pictures(tmp_path / "data", *(f"{label}/_{n}.png" for label in labels for n in range(2)))
    (tmp_path / "data" / "README.txt").write_text("No picture.\n")
    (tmp_path / "data" / "back").symlink_to(".")
    processor = {"image": {"labels": labels}}
    file = write_spec(tmp_path, "data", processor=processor, folder_labels="path")
    text = file.read_text().replace("num_labels: 2", "num_labels: 3")
    file.write_text(text)
    train(load_spec(file), tmp_path / "run")
    told = capsys.readouterr().err
    assert "data: .txt (1), links to folders that are read already (1)" in told
    assert "prepared 6 instances" in told
    output = tmp_path / "out.jsonl"
    arguments = ["predict", str(tmp_path / "run"), "--input", str(tmp_path / "data"), "--output", str(output)]
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert [Path(row["image"]).name for row in rows] == ["_0.png", "_1.png"] * 3
    assert "data: .txt (1)" in done.output
    file.write_text(text.replace("folder_labels: path", "folder_labels: null"))
    with pytest.raises(TPError, match="'church/outdoor' and 'market/outdoor' would both be the class 'outdoor'"):
        train(load_spec(file), tmp_path / "other")
    assert len(list(predict(str(tmp_path / "run"), [{"image": png(12, 10)}]))) == 1


@pytest.mark.parametrize("braces", ["shard-{00..01}.tar", "shard-{00,01}.tar", "**/shard-*.tar"])
def test_shards_that_a_pattern_names_are_all_read(
    tmp_path: Path, braces: str, capsys: pytest.CaptureFixture[str]
) -> None:
    import io
    import tarfile

    for number in range(2):
        members: dict[str, Any] = {f"{number}.png": png(12, 10, number), f"{number}.cls": b"1", "README.md": b"#"}
        with tarfile.open(tmp_path / f"shard-0{number}.tar", "w") as archive:
            for name, data in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    train(load_spec(write_spec(tmp_path, braces)), tmp_path / "run")
    told = capsys.readouterr().err
    assert "prepared 2 instances" in told
    assert "shard-01.tar: .md (1)" in told
