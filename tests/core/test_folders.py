"""Folders of media: what is a record and what is passed over, links, classes, tables of metadata, endings."""

from __future__ import annotations

import io
import json
import os
import pickle
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tp_core.data.sources.fingerprint import fingerprint
from tp_core.data.sources.folder_rules import FolderRules
from tp_core.data.sources.media import media_bytes
from tp_core.data.sources.named import named_files
from tp_core.data.sources.records import BadRecords, read_records
from tp_core.errors import DataError
from tp_core.spec.checks.files import expand

IMAGES = FolderRules(frozenset({"image"}))
RECORDINGS = FolderRules(frozenset({"audio"}))
TEXTS = FolderRules(frozenset())


def files(folder: Path, *names: str, **content: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content.get(name, f"of {name}\n"))
    return folder


def images(**options: Any) -> FolderRules:
    return FolderRules(frozenset({"image"}), **options)


def read(folder: Path, rules: FolderRules, bad: BadRecords | None = None) -> tuple[list[dict[str, Any]], list[str]]:
    """Values of records, with paths inside the folder, and what was told of it."""
    records = read_records([str(folder)], rules.columns, bad, rules=rules)
    values = [record.value for record in records]
    told: list[str] = []
    records.passed.tell(told.append)
    begin = f"{folder}{os.sep}"
    plain = [{k: v.removeprefix(begin) if isinstance(v, str) else v for k, v in value.items()} for value in values]
    return plain, [message.replace(str(folder), "HERE") for message in told]


# -- what is read ------------------------------------------------------------------------------------------------------


def test_in_a_folder_of_recordings_files_of_other_kinds_are_no_records_and_are_counted(tmp_path: Path) -> None:
    files(tmp_path, "README.TXT", "SPEAKERS.TXT", "84/121/84-121.trans.txt", "84/121/84-121-0.flac", "85/7/85-7-1.FLAC")
    found, told = read(tmp_path, RECORDINGS)
    assert [value["audio"] for value in found] == ["84/121/84-121-0.flac", "85/7/85-7-1.FLAC"]
    assert told == ["passed over in HERE: .txt (3)"]


def test_only_names_that_begin_with_a_dot_are_hidden(tmp_path: Path) -> None:
    files(tmp_path, *(f"_DSC{n:04}.JPG" for n in range(8)), "a.png", "_old/b.png", ".trash/c.png", ".d.png", "._a.png")
    found, told = read(tmp_path, IMAGES)
    assert len(found) == 10
    assert told == []


def test_texts_are_read_beside_pictures_that_are_passed_over(tmp_path: Path) -> None:
    files(tmp_path, "a.txt", "b.png", "c.wav", "d.md", "LICENSE", "e.jpg.gz", "notes.md.gz")
    found, told = read(tmp_path, TEXTS)
    assert found == [{"text": "of a.txt"}]
    kinds = [".jpg.gz (1)", ".md (1)", ".md.gz (1)", ".png (1)", ".wav (1)", "without ending (1)"]
    assert told == ["passed over in HERE: " + ", ".join(kinds)]


def test_a_folder_without_anything_to_read_says_what_it_has(tmp_path: Path) -> None:
    files(tmp_path, "a.png", "b.md", "c.md")
    message = r"no file in this folder holds records that have 'audio' \(audio files, tables, shards\); "
    with pytest.raises(DataError, match=message + r"it has \.md \(2\), \.png \(1\)"):
        read(tmp_path, RECORDINGS)


def test_tables_that_name_pictures_are_read_where_no_pictures_are_or_where_columns_mean_them(tmp_path: Path) -> None:
    rows = "{}\tlabel\nimages/1.png\tcat\n"
    files(tmp_path / "alone", "list.tsv", "notes.tsv", **{"list.tsv": rows.format("image")})
    assert read(tmp_path / "alone", IMAGES) == (
        [{"image": "images/1.png", "label": "cat"}],
        ["passed over in HERE: .tsv (1)"],
    )
    files(tmp_path / "beside", "list.tsv", "images/1.png", **{"list.tsv": rows.format("image")})
    found, told = read(tmp_path / "beside", IMAGES)
    assert found == [{"image": "images/1.png", "label": "images"}]
    assert told == ["passed over in HERE: .tsv with a column 'image' (name it to read its rows) (1)"]
    files(tmp_path / "meant", "list.tsv", "images/1.png", **{"list.tsv": rows.format("path")})
    found, told = read(tmp_path / "meant", images(columns={"image": "path"}))
    assert found == [{"image": "images/1.png", "label": "cat"}]
    assert told == ["passed over in HERE: .png (1)"]


def test_tables_that_hold_pictures_are_read_beside_pictures(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    files(tmp_path, "a.png")
    rows = [{"image": {"bytes": b"encoded", "path": "b.png"}}]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "b.parquet")
    assert [value["image"] for value in read(tmp_path, IMAGES)[0]] == ["a.png", rows[0]["image"]]


def test_new_records_may_lack_pictures_where_the_processor_says_so(tmp_path: Path) -> None:
    rules = images(needs_media=False)
    files(tmp_path / "texts", "a.txt")
    assert read(tmp_path / "texts", rules)[0] == [{"text": "of a.txt"}]
    files(tmp_path / "both", "a.txt", "b.png")
    assert read(tmp_path / "both", rules) == ([{"image": "b.png"}], ["passed over in HERE: .txt (1)"])


def test_columns_of_tables_do_not_concern_pictures_of_their_own(tmp_path: Path) -> None:
    files(tmp_path, "cat/a.png")
    found, _ = read(tmp_path, images(columns={"image": "path", "label": "class"}))
    assert found == [{"image": "cat/a.png", "label": "cat"}]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_a_pipe_in_a_folder_is_passed_over(tmp_path: Path) -> None:
    files(tmp_path, "a.png")
    os.mkfifo(tmp_path / "b.png")
    (tmp_path / "c.png").symlink_to("b.png")
    assert read(tmp_path, IMAGES) == ([{"image": "a.png"}], ["passed over in HERE: pipes, sockets and devices (2)"])


# -- links -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "links",
    [
        {"loop": "."},
        {"cat/up": "..", "dog/up": ".."},
        {"cat/other": "../dog", "dog/other": "../cat"},  # each leads to the other
        {"again": "cat", "cat/out": "../..", "self": "self"},
    ],
)
def test_each_folder_is_read_once_under_its_own_name_whatever_links_lead_to_it(
    tmp_path: Path, links: dict[str, str]
) -> None:
    root = files(tmp_path / "root", "cat/1.png", "dog/2.png")
    for name, target in links.items():
        (root / name).symlink_to(target)
    found, told = read(root, IMAGES)
    assert found == [{"image": "cat/1.png", "label": "cat"}, {"image": "dog/2.png", "label": "dog"}]
    count = sum(name != "self" for name in links)
    assert told[0].startswith(f"passed over in HERE: links to folders that are read already ({count})")


def test_many_folders_with_links_to_each_other_are_read_once(tmp_path: Path) -> None:
    for name in "abcdefghijkl":
        files(tmp_path, f"{name}/1.txt")
        for other in "abcdefghijkl":
            (tmp_path / name / f"to-{other}").symlink_to(f"../{other}")
    assert len(read(tmp_path, TEXTS)[0]) == 12


def test_a_link_to_a_folder_elsewhere_is_followed(tmp_path: Path) -> None:
    files(tmp_path, "pool/1.png", "pool/big/2.png", "root/z/3.png")
    (tmp_path / "root" / "a").symlink_to("../pool")
    (tmp_path / "pool" / "back").symlink_to("../root")
    found, _ = read(tmp_path / "root", IMAGES)
    assert [value["image"] for value in found] == ["a/1.png", "a/big/2.png", "z/3.png"]


# -- classes -----------------------------------------------------------------------------------------------------------

PLACES = ("church/indoor/1.jpg", "church/outdoor/2.jpg", "market/outdoor/3.jpg")


@pytest.mark.parametrize(
    ("which", "labels"),
    [
        ("first", ["church", "church", "market"]),
        ("path", ["church/indoor", "church/outdoor", "market/outdoor"]),
        ("last", ["indoor", "outdoor", "outdoor"]),
    ],
)
def test_the_spec_says_which_folder_is_the_class(tmp_path: Path, which: Any, labels: list[str]) -> None:
    files(tmp_path, *PLACES)
    assert [value["label"] for value in read(tmp_path, images(labels=which))[0]] == labels


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (PLACES, r"'church/outdoor' and 'market/outdoor' would both be the class 'outdoor'.* path \(market/outdoor\)"),
        (("n01/images/1.JPEG", "n02/images/2.JPEG"), r"would both be the class 'images'.* first \(n02\)"),
        (("a/caf\u00e9/1.jpg", "b/cafe\u0301/2.jpg"), "would both be the class"),
    ],
)
def test_two_folders_are_not_merged_in_silence(tmp_path: Path, names: tuple[str, ...], message: str) -> None:
    files(tmp_path, *names)
    with pytest.raises(DataError, match=message):
        read(tmp_path, images(labelled=True))
    found, told = read(tmp_path, IMAGES)  # no class is needed
    assert not any("label" in value for value in found)
    assert told[0].endswith("; until then, none has a label")


def test_a_class_inside_another_one_keeps_its_name(tmp_path: Path) -> None:
    files(tmp_path, "cat/1.png", "cat/big/2.png", "3.png")
    found, _ = read(tmp_path, images(labelled=True))
    assert [(value["image"], value.get("label")) for value in found] == [
        ("3.png", None),
        ("cat/1.png", "cat"),
        ("cat/big/2.png", "big"),
    ]


# -- metadata ----------------------------------------------------------------------------------------------------------


def metadata(folder: Path, form: str) -> Path:
    rows = [{"file_name": "1.png", "text": "one"}, {"file_name": "./sub/2.png", "text": "two,\nlines"}]
    files(folder, "1.png", "sub/2.png", "notes.txt")
    if form == "csv":
        (folder / "metadata.csv").write_text('file_name,text\n1.png,one\n./sub/2.png,"two,\nlines"\n')
    elif form == "jsonl":
        (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "metadata.parquet")
    return folder


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_metadata_give_the_fields_of_pictures_as_in_hugging_faces_imagefolder(tmp_path: Path, form: str) -> None:
    datasets = pytest.importorskip("datasets")
    folder = metadata(tmp_path / "data", form)
    theirs = datasets.load_dataset("imagefolder", data_dir=str(folder), split="train", cache_dir=str(tmp_path / "hf"))
    theirs = theirs.cast_column("image", datasets.Image(decode=False))
    records = list(read_records([str(folder)], rules=IMAGES))
    assert [record.value["text"] for record in records] == list(theirs["text"])
    assert [media_bytes(record, "image") for record in records] == [
        Path(image["path"]).read_bytes() for image in theirs["image"]
    ]
    assert set(records[0].value) == {"image", "text"}


def test_metadata_lines_that_are_bad_and_pictures_that_they_do_not_list_are_told(tmp_path: Path) -> None:
    files(tmp_path, "1.png", "2.png", "a/3.png", "b/4.png")
    names = ["1.png", "../secret.png", "/etc/passwd", "", "gone.png", "file://1.png", "..\\x.png"]
    (tmp_path / "metadata.csv").write_text("file_name\n" + "".join(f'"{name}"\n' for name in names))
    bad = BadRecords("skip")
    found, told = read(tmp_path, IMAGES, bad)
    assert [value["image"] for value in found] == ["1.png", "gone.png"]
    assert bad.count == 5
    assert f"{tmp_path}/metadata.csv:3: 'file_name' is '../secret.png'; expected a path in this" in bad.messages[0]
    assert told == ["passed over in HERE/metadata.csv: pictures or recordings that it does not list (3)"]
    (_, gone) = read_records([str(tmp_path)], bad=bad, rules=IMAGES)
    with pytest.raises(DataError, match=r"metadata.csv:6: image 'gone.png' cannot be read: No such file"):
        media_bytes(gone, "image")


def test_metadata_hold_for_their_folder_and_below_and_the_nearest_counts(tmp_path: Path) -> None:
    files(tmp_path, "a/1.png", "a/b/2.png", "c/3.png")
    (tmp_path / "a" / "metadata.jsonl").write_text('{"file_name": "1.png", "label": "outer"}\n')
    (tmp_path / "a" / "b" / "metadata.csv").write_text("file_name,label\n2.png,inner\n")
    found, told = read(tmp_path, images(labelled=True))
    assert sorted((value["label"], value["image"]) for value in found) == [
        ("c", "c/3.png"),
        ("inner", "2.png"),
        ("outer", "1.png"),
    ]
    assert told == []


def test_a_table_of_that_name_without_file_names_is_no_metadata(tmp_path: Path) -> None:
    files(tmp_path, "wavs/LJ001-0001.wav")
    (tmp_path / "metadata.csv").write_text('LJ001-0001|Printing, in the "only" sense|Printing\n')
    found, told = read(tmp_path, RECORDINGS)
    assert [value["audio"] for value in found] == ["wavs/LJ001-0001.wav"]
    assert told == ["passed over in HERE: metadata.csv without a column 'file_name' (1)"]


def test_two_tables_of_metadata_in_a_folder_are_an_error(tmp_path: Path) -> None:
    metadata(metadata(tmp_path, "csv"), "jsonl")
    with pytest.raises(DataError, match=r"this folder has two metadata files: metadata.csv and metadata.jsonl"):
        read(tmp_path, IMAGES)


def test_changes_of_metadata_and_of_what_they_list_are_seen_by_the_cache(tmp_path: Path) -> None:
    folder = metadata(tmp_path, "csv")

    def key() -> tuple[str, str | None]:
        paths = [str(folder)]
        return fingerprint(paths, rules=IMAGES), named_files(paths, {}, {"image"}, rules=IMAGES).fingerprint

    first = key()
    (folder / "notes.txt").write_text("more")
    assert key() == first
    (folder / "sub" / "2.png").write_text("drawn anew")
    second = key()
    (folder / "metadata.csv").write_text("file_name,text\n1.png,other\n")
    assert len({first, second, key()}) == 3


# -- shards ------------------------------------------------------------------------------------------------------------


def shard(path: Path, *members: tuple[str, bytes], mode: Any = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize(
    ("name", "mode"),
    [("s.tgz", "w:gz"), ("s.tar.gz", "w:gz"), ("s.tbz2", "w:bz2"), ("s.tar.bz2", "w:bz2"), ("s.tar.xz", "w:xz")],
)
def test_compressed_shards_are_read_named_and_in_folders(tmp_path: Path, name: str, mode: str) -> None:
    path = shard(tmp_path / name, ("0.jpg", b"picture"), mode=mode)
    for each in (path, tmp_path):
        assert [value["image"] for value in read(each, IMAGES)[0]] == [b"picture"]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (("0.jpg", "0.jpg"), "0.jpg is there twice"),
        (("0.jpg", "1.jpg", "0.jpg"), "0.jpg is there twice"),
        (("0.jpg", "0.JPG"), "0.jpg and 0.JPG are both the field 'image'; data.columns says which one is"),
        (("0.jpg", "0.png"), "0.jpg and 0.png are both the field 'image'"),
        (("0.txt", "0.caption"), "0.txt and 0.caption are both the field 'text'"),
    ],
)
def test_a_field_that_is_there_twice_is_an_error(tmp_path: Path, members: tuple[str, ...], message: str) -> None:
    path = shard(tmp_path / "s.tar", *((name, name.encode()) for name in members), ("9.jpg", b"last"))
    with pytest.raises(DataError, match=rf"s.tar:\d: {message}"):
        list(read_records([str(path)]))
    bad = BadRecords("skip")
    assert list(read_records([str(path)], bad=bad))[-1].value == {"key": "9", "image": b"last"}
    assert bad.count == 1


def test_columns_choose_among_members_of_one_kind(tmp_path: Path) -> None:
    path = shard(tmp_path / "s.tar", ("0.jpg", b"picture"), ("0.png", b"mask"), ("0.json", b'{"a": 1}'))
    for ending, wanted in (("jpg", b"picture"), ("png", b"mask")):
        (value,) = read(path, images(columns={"image": ending}))[0]
        assert value["image"] == wanted


@pytest.mark.parametrize("last", [False, True])
def test_fields_of_json_never_replace_a_member(tmp_path: Path, last: bool) -> None:
    fields = {"image": "x.jpg", "label": "wrong", "text": "wrong", "key": "wrong", "width": 5, "url": "u"}
    members = [("0.jpg", b"picture"), ("0.cls", b"3"), ("0.txt", b"caption")]
    members.insert(3 if last else 0, ("0.json", json.dumps(fields).encode()))
    (value,) = read(shard(tmp_path / "s.tar", *members), IMAGES)[0]
    assert value == {"key": "0", "image": b"picture", "label": "3", "text": "caption", "width": 5, "url": "u"}


def test_stray_files_in_a_shard_are_no_bad_records_and_are_counted(tmp_path: Path) -> None:
    members = ["README.md", "LICENSE", "__MACOSX/._0.jpg", ".git/1.jpg", "__meta__", "0.jpg", "notes.txt", "1.jpg"]
    path = shard(tmp_path / "s.tar", *((name, b"x") for name in members))
    found, told = read(path, IMAGES)
    assert [value["key"] for value in found] == ["0", "1"]
    assert told == ["passed over in HERE: .md (1), .txt (1), without ending (1)"]
    found, told = read(path, TEXTS)
    assert [value["key"] for value in found] == ["0", "notes", "1"]
    assert told == ["passed over in HERE: .md (1), without ending (1)"]


def test_a_bad_sample_is_one_bad_record(tmp_path: Path) -> None:
    members = [("0.jpg", b"x"), ("0.txt", b"\xff"), ("0.json", b"[]"), ("1.json", b"[" * 100_000), ("2.jpg", b"y")]
    bad = BadRecords("skip")
    found, _ = read(shard(tmp_path / "s.tar", *members), IMAGES, bad)
    assert [value["key"] for value in found] == ["2"]
    assert bad.count == 2


def test_a_member_that_claims_to_be_huge_is_a_bad_record(tmp_path: Path) -> None:
    path = tmp_path / "s.tar"
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("0.jpg")
        info.pax_headers = {
            "GNU.sparse.major": "1",
            "GNU.sparse.minor": "0",
            "GNU.sparse.name": "0.jpg",
            "GNU.sparse.realsize": str(1 << 45),
        }
        data = b"0\n".ljust(512, b"\0")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    bad = BadRecords("skip")
    assert list(read_records([str(path)], bad=bad)) == []
    assert "0.jpg has 35,184,372,088,832 bytes; at most 2,147,483,648 are read" in bad.messages[0]


def test_json_in_a_shard_names_no_file_of_the_machine(tmp_path: Path) -> None:
    secret = files(tmp_path, "secret.png") / "secret.png"
    member = json.dumps({"image": str(secret), "path": str(secret), "label": 1}).encode()
    path = shard(tmp_path / "s.tar", ("0.json", member), ("1.png", b"x"), ("1.json", member))
    found, told = read(path, IMAGES)
    assert found == [{"image": b"x", "path": str(secret), "label": 1, "key": "1"}]
    assert told == ["passed over in HERE: .json (1)"]
    found, _ = read(shard(tmp_path / "t.tar", ("0.json", member)), images(columns={"image": "path"}))
    assert found == []
    texts = FolderRules(frozenset(), {"text": "image"})
    assert [value["text"] for value in read(path, texts)[0]][:1] == [str(secret)]
    numbers = json.dumps({"regions": [[0.5, 1.5]], "boxes": "boxes.npy"}).encode()
    found, _ = read(shard(tmp_path / "u.tar", ("0.json", numbers)), FolderRules(frozenset({"regions", "boxes"})))
    assert found == [{"regions": [[0.5, 1.5]], "key": "0"}]


def test_json_in_a_shard_has_as_many_fields_as_a_line_of_json_may_have(tmp_path: Path) -> None:
    many = json.dumps(dict.fromkeys(map(str, range(10_001)), 0)).encode()
    bad = BadRecords("skip")
    found, _ = read(shard(tmp_path / "s.tar", ("0.jpg", b"x"), ("0.json", many), ("1.jpg", b"y")), IMAGES, bad)
    assert [value["key"] for value in found] == ["1"]
    assert "the object has 10,001 fields; at most 10,000 are read" in bad.messages[0]


def test_links_in_a_shard_are_counted(tmp_path: Path) -> None:
    path = shard(tmp_path / "s.tar", ("0.jpg", b"x"))
    with tarfile.open(path, "a") as archive:
        for kind in (tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE):
            info = tarfile.TarInfo(f"{kind.decode()}.jpg")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    found, told = read(path, IMAGES)
    assert [value["key"] for value in found] == ["0"]
    assert told == ["passed over in HERE: links and devices (2)"]


# -- files that patterns stand for -------------------------------------------------------------------------------------


def matched(folder: Path, pattern: str, rules: FolderRules) -> dict[str, Any]:
    """The label of each file that a pattern in the folder stands for."""
    records = read_records(expand(f"{folder}/{pattern}"), rules=rules)
    begin = f"{folder}{os.sep}"
    return {record.value["image"].removeprefix(begin): record.value.get("label") for record in records}


@pytest.mark.parametrize("pattern", ["t/**/*.jpg", "t/*/*.jpg", "t/{cat,dog}/?.jpg", "t/[cd]*/**/*.jpg", "t/ca*/1.jpg"])
def test_files_of_a_pattern_have_the_classes_of_the_folder_before_its_first_sign(tmp_path: Path, pattern: str) -> None:
    files(tmp_path, "t/cat/1.jpg", "t/cat/2.jpg", "t/dog/1.jpg", "t/0.jpg")
    whole = {value["image"]: value.get("label") for value in read(tmp_path / "t", images(labelled=True))[0]}
    found = matched(tmp_path, pattern, images(labelled=True))
    assert found
    again = pickle.loads(pickle.dumps(expand(f"{tmp_path}/{pattern}")))  # to a process that is no fork
    assert [path.base for path in again] == [str(tmp_path / "t")] * len(found)
    assert found == {name: whole[name.removeprefix("t/")] for name in found}


def test_files_of_a_pattern_follow_the_rules_of_folders(tmp_path: Path) -> None:
    files(tmp_path, "t/church/out/1.jpg", "t/market/out/1.jpg")
    names = ["t/church/out/1.jpg", "t/market/out/1.jpg"]
    for which, labels in {
        "first": ["church", "market"],
        "path": ["church/out", "market/out"],
        "last": ["out", "out"],
    }.items():
        rules = images(labelled=True, labels=which)
        assert matched(tmp_path, "t/*/*/*.jpg", rules) == dict(zip(names, labels, strict=True))
    with pytest.raises(DataError, match="'church/out' and 'market/out' would both be the class 'out'"):
        matched(tmp_path, "t/**/*.jpg", images(labelled=True))
    assert matched(tmp_path, "t/**/*.jpg", IMAGES) == dict.fromkeys(names)
    assert matched(tmp_path, "t/church/out/*.jpg", images(labelled=True)) == {names[0]: None}


def test_the_class_of_a_file_of_a_pattern_is_seen_by_the_cache(tmp_path: Path) -> None:
    files(tmp_path, "t/cat/1.jpg", "t/dog/2.jpg")
    key = fingerprint(expand(f"{tmp_path}/t/*/*.jpg"))
    (tmp_path / "t" / "cat").rename(tmp_path / "t" / "bat")
    assert fingerprint(expand(f"{tmp_path}/t/*/*.jpg")) != key


def test_pictures_whose_names_have_several_dots_are_told_as_such(tmp_path: Path) -> None:
    path = shard(
        tmp_path / "s.tar", ("2020.01.05.jpg", b"a"), ("b/2020.01.06.jpg", b"b"), ("1.jpg", b"c"), ("2.txt", b"d")
    )
    found, told = read(path, IMAGES)
    assert [value["key"] for value in found] == ["1"]  # as webdataset has it: the ending begins at the first dot
    several = ".jpg of names with several dots (the ending begins at the first) (2)"
    assert told == [f"passed over in HERE: {several}, .txt (1)"]


def test_texts_of_a_shard_have_no_byte_order_mark(tmp_path: Path) -> None:
    members = (("0.txt", "a caf\u00e9"), ("0.cls", "1"), ("0.json", '{"title": "b"}'))
    path = shard(tmp_path / "s.tar", *((name, text.encode("utf-8-sig")) for name, text in members))
    assert read(path, TEXTS)[0] == [{"key": "0", "text": "a caf\u00e9", "label": "1", "title": "b"}]
