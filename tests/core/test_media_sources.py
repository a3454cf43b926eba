"""Pictures and recordings as records: files, folders, tar shards, columns of paths; and their bytes in the cache."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from tp_core.data.cache.rows import ArrowRows, write_rows
from tp_core.data.sources import shards
from tp_core.data.sources.fingerprint import fingerprint
from tp_core.data.sources.media import media_bytes
from tp_core.data.sources.named import named_files
from tp_core.data.sources.records import BadRecords, read_records
from tp_core.errors import DataError
from tp_core.interfaces import Record

PICTURE = b"\x89PNG not really"


def pictures(folder: Path) -> Path:
    """Two classes of pictures in folders of their own, and one picture beside them."""
    for name in ("cats/a.png", "cats/b.JPG", "dogs/c.png", "d.webp"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(PICTURE + name.encode())
    return folder


def shard(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def test_a_folder_of_pictures_gives_their_paths_with_the_folders_as_labels(tmp_path: Path) -> None:
    found = [record.value for record in read_records([str(pictures(tmp_path))])]
    names = [(Path(value["image"]).name, value.get("label")) for value in found]
    assert names == [("a.png", "cats"), ("b.JPG", "cats"), ("d.webp", None), ("c.png", "dogs")]


def test_a_recording_is_a_record_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "x.flac").write_bytes(b"fLaC")
    (record,) = read_records([str(tmp_path / "x.flac")])
    assert record.value == {"audio": str(tmp_path / "x.flac")}
    assert media_bytes(record, "audio") == b"fLaC"


def test_moving_a_picture_to_another_class_is_seen_by_the_cache(tmp_path: Path) -> None:
    folder = pictures(tmp_path)
    before = fingerprint([str(folder)])
    (folder / "cats" / "b.JPG").rename(folder / "dogs" / "b.JPG")
    assert fingerprint([str(folder)]) != before


def test_members_of_one_name_in_a_tar_shard_are_one_record(tmp_path: Path) -> None:
    members = {
        "one/0.jpg": b"first",
        "one/0.txt": b" a caption \n",
        "one/1.png": b"second",
        "one/1.cls": b"3",
        "one/1.json": json.dumps({"width": 5}).encode(),
        "one/2.wav": b"third",
        "one/2.npy": b"raw",
    }
    found = list(read_records([str(shard(tmp_path / "s.tar", members))]))
    assert [record.line for record in found] == [1, 2, 3]
    assert [record.value for record in found] == [
        {"key": "one/0", "image": b"first", "text": "a caption"},
        {"key": "one/1", "image": b"second", "label": "3", "width": 5},
        {"key": "one/2", "audio": b"third", "npy": b"raw"},
    ]


def test_a_bad_member_makes_its_sample_bad_and_a_damaged_shard_as_such(tmp_path: Path) -> None:
    path = shard(tmp_path / "s.tar", {"0.json": b"[1]", "1.txt": b"fine"})
    with pytest.raises(DataError, match=r"s.tar:1: 0.json cannot be read as json: expected an object"):
        list(read_records([str(path)]))
    bad = BadRecords("skip")
    assert [r.value["key"] for r in read_records([str(path)], bad=bad)] == ["1"]
    assert bad.count == 1
    path.write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"not a tar archive that can be read: [\w ]+$"):
        list(read_records([str(path)]))


def test_the_members_of_a_record_have_a_size_together_and_texts_one_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "LARGEST_FILE", 1000)
    monkeypatch.setattr(shards, "LONGEST", 100)
    members = {"1.jpg": b"a" * 900, "1.txt": b"a" * 100, "2.jpg": b"a" * 900, "2.wav": b"a" * 101, "3.txt": b"a" * 101}
    bad = BadRecords("skip")
    found = read_records([str(shard(tmp_path / "a.tar", members))], bad=bad)
    assert [record.value["key"] for record in found] == ["1"]
    assert [message.partition(": ")[2] for message in bad.messages] == [
        "2.wav has 101 bytes; at most 100 are read",
        "3.txt has 101 bytes; at most 100 are read",
    ]


def _cut(data: bytes, at: int) -> bytes:
    return data[:at]


def _overwritten(value: int) -> Callable[[bytes, int], bytes]:
    return lambda data, at: data[:at] + bytes([value]) * 512 + data[at + 512 :]


@pytest.mark.parametrize(
    ("place", "damage", "whole"),
    [
        (1024 * 4, _cut, 4),  # where a member would begin, as far as one can see a whole archive
        (1024 * 4 + 100, _cut, 4),  # in a header
        (1024 * 4 + 520, _cut, 4),  # in a member
        (1024 * 4, _overwritten(170), 4),  # a header that is none
        (1024 * 4, _overwritten(0), 4),  # a header that looks like the end
        (1024 * 6, _cut, 6),  # behind the last member
    ],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_records_lost_behind_damage_of_a_shard_are_told_and_those_before_it_are_kept(
    tmp_path: Path, place: int, damage: Callable[[bytes, int], bytes], whole: int, compressed: bool
) -> None:
    path = shard(tmp_path / "s.tar", {f"{n}.txt": b"a caption" for n in range(6)})
    data = damage(path.read_bytes(), place)
    path.write_bytes(gzip.compress(data) if compressed else data)
    message = f"s.tar: the archive is damaged or truncated after '{whole - 1}.txt'; the rest is lost"
    with pytest.raises(DataError, match=message):
        list(read_records([str(path)]))
    bad = BadRecords("skip")
    assert [r.value["key"] for r in read_records([str(path)], bad=bad)] == [str(n) for n in range(whole)]
    assert bad.count == 1
    assert message in bad.messages[0]


def test_a_shard_whose_compression_is_cut_off_is_told(tmp_path: Path) -> None:
    path = shard(tmp_path / "s.tar", {f"{n}.bin": np.random.default_rng(n).bytes(4000) for n in range(6)})
    data = gzip.compress(path.read_bytes())
    path.write_bytes(data[: len(data) // 2])
    bad = BadRecords("skip")
    assert 0 < len(list(read_records([str(path)], bad=bad))) < 6
    assert bad.count == 1
    assert "the archive is damaged or truncated after" in bad.messages[0]


def test_a_picture_in_a_folder_that_cannot_be_read_is_a_bad_record_of_its_own(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "data")
    before = fingerprint([str(folder)])
    (folder / "cats" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (folder / "cats" / "nothing.png").touch()
    assert fingerprint([str(folder)]) != before
    said = []
    for record in read_records([str(folder)]):
        try:
            media_bytes(record, "image")
        except DataError as error:
            said.append(str(error).removeprefix(f"{folder}/cats/"))
    assert said == ["gone.png: the image cannot be read: No such file or directory", "nothing.png: the image is empty"]


def table(folder: Path, form: str, names: list[str]) -> Path:
    """A table whose column ``picture`` names files."""
    path = folder / f"t.{form}"
    if form == "tsv":
        path.write_text("picture\n" + "".join(f"{name}\n" for name in names))
    elif form == "jsonl":
        path.write_text("".join(json.dumps({"picture": {"path": name}}) + "\n" for name in names))
    else:
        pyarrow.parquet.write_table(pyarrow.table({"picture": names}), path)
    return path


@pytest.mark.parametrize("form", ["tsv", "jsonl", "parquet"])
def test_what_the_files_that_a_table_names_hold_is_seen_by_the_cache(tmp_path: Path, form: str) -> None:
    folder = tmp_path / "data"
    pictures(folder)
    path = str(table(folder, form, ["cats/a.png", "dogs/c.png", "dogs/missing.png"]))

    def key() -> str | None:
        return named_files([path], {"image": "picture"}, {"image"}).fingerprint

    first = key()
    assert first is not None
    assert first == key()
    (folder / "dogs" / "c.png").write_bytes(PICTURE + b"drawn anew")
    second = key()
    (folder / "dogs" / "missing.png").write_bytes(PICTURE)
    assert len({first, second, key()}) == 3
    assert named_files([path], {}, {"image"}).fingerprint is None  # no such column
    assert named_files([str(folder / "cats")], {}, {"image"}).fingerprint is None  # hashed as the data themselves


def test_the_files_that_a_table_names_are_known_one_by_one_and_many_as_a_whole(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    pictures(folder)
    path = str(table(folder, "tsv", ["cats/a.png", "dogs/c.png", "cats/a.png"]))
    before = named_files([path], {"image": "picture"}, {"image"}).digests
    assert list(before) == [str(folder / "cats" / "a.png"), str(folder / "dogs" / "c.png")]
    (folder / "dogs" / "c.png").write_bytes(PICTURE + b"drawn anew")
    after = named_files([path], {"image": "picture"}, {"image"}).digests
    assert [name for name in after if after[name] != before[name]] == [str(folder / "dogs" / "c.png")]
    many = named_files(
        [str(table(folder, "tsv", [f"{number}.png" for number in range(1001)]))], {"image": "picture"}, {"image"}
    )
    assert many.fingerprint is not None
    assert not many.digests


def test_the_picture_of_a_manifest_is_found_beside_it(tmp_path: Path) -> None:
    pictures(tmp_path / "data")
    (tmp_path / "data" / "list.tsv").write_text("image\tlabel\ncats/a.png\tcat\ncats/z.png\tcat\n")
    good, missing = read_records([str(tmp_path / "data" / "list.tsv")])
    assert media_bytes(good, "image") == PICTURE + b"cats/a.png"
    message = r"list.tsv:3: image 'cats/z.png' cannot be read: No such file or directory; did you mean 'a.png'\?"
    with pytest.raises(DataError, match=message):
        media_bytes(missing, "image")


@pytest.mark.parametrize(
    ("value", "message"),
    [({}, "x:4: no field 'image'; the fields are none"), ({"image": b""}, "x:4: the image is empty")],
)
def test_a_record_without_a_picture_says_so(value: dict[str, bytes], message: str) -> None:
    with pytest.raises(DataError, match=message):
        media_bytes(Record(value, "x", 4), "image")


def test_hugging_faces_images_are_bytes_or_paths(tmp_path: Path) -> None:
    (tmp_path / "p.png").write_bytes(PICTURE)
    for value in ({"bytes": PICTURE, "path": None}, {"bytes": None, "path": "p.png"}):
        assert media_bytes(Record({"image": value}, str(tmp_path / "x.parquet"), 1), "image") == PICTURE


def test_bytes_and_arrays_of_numbers_come_back_from_the_cache_as_they_were(tmp_path: Path) -> None:
    columns = {
        "data": [b"ab", b"", b"cde"],
        "wave": [np.array([1, -2], np.int16), np.array([], np.int16), np.array([7], np.int16)],
        "spectrum": [np.array([0.5, 1.5], np.float32), np.array([2.5], np.float32), np.array([], np.float32)],
        "half": [np.array([0.5], np.float16), np.array([1.0], np.float16), np.array([2.0, 3.0], np.float16)],
        "ids": [[1, 2], [], [3]],
    }
    write_rows(tmp_path / "rows.arrow", [columns])
    rows = ArrowRows(tmp_path / "rows.arrow")
    for index in range(3):
        assert rows.get("data", index).tobytes() == columns["data"][index]
        for name in ("wave", "spectrum", "half"):
            found = rows.get(name, index)
            assert found.dtype == columns[name][index].dtype  # type: ignore[attr-defined]
            assert np.array_equal(found, columns[name][index])
        assert rows.get("ids", index).tolist() == columns["ids"][index]


def test_what_a_table_names_is_a_file_of_limited_size_or_a_bad_record(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with open(tmp_path / "large.png", "wb") as file:
        file.truncate((1 << 31) + 1)
    for name, message in {
        "pipe.png": "this is a named pipe; expected a file",
        "/dev/zero": "this is a device; expected a file",
        "large.png": "it has 2,147,483,649 bytes; at most 2,147,483,648 are read",
        ".": "Is a directory",
        "a\0b.png": "embedded null byte",
    }.items():
        for value in (name, {"bytes": None, "path": name}):
            with pytest.raises(DataError) as error:
                media_bytes(Record({"image": value}, str(tmp_path / "list.jsonl"), 3), "image")
            assert str(error.value).endswith(message)
            assert f"list.jsonl:3: image '{name}' cannot be read: " in str(error.value)
    with pytest.raises(DataError, match="at most 2,147,483,648 are read"):
        media_bytes(next(read_records([str(tmp_path / "large.png")])), "image")
