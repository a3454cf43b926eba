"""The folders of LibriSpeech: transcripts beside recordings, as records and in training."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import yaml

from tests.audio.test_speech_recognition import FEATURES, MODELS
from tests.audio.tones import RATE, texts, tone, vocabulary
from tests.core import runs
from tp_core import load_spec
from tp_core.data.sources.fingerprint import fingerprint
from tp_core.data.sources.folder_rules import FolderRules, folder_rules
from tp_core.data.sources.media import media_bytes
from tp_core.data.sources.named import named_files
from tp_core.data.sources.options import LibriSpeechConfig
from tp_core.data.sources.records import BadRecords, read_records
from tp_core.errors import DataError
from tp_core.options.choice import Chosen
from tp_core.testing import check_module

TRAINING = FolderRules(frozenset({"audio"}), transcribed="needed")
NEW = FolderRules(frozenset({"audio"}), transcribed="welcome")


def corpus(folder: Path, chapters: dict[str, list[str]], ending: str = ".flac") -> Path:
    """Chapters such as ``84/121``, with a recording for each text, in the layout of LibriSpeech."""
    for chapter, spoken in chapters.items():
        inside, begin = folder / chapter, chapter.replace("/", "-")
        inside.mkdir(parents=True)
        names = [f"{begin}-{number:04}" for number in range(len(spoken))]
        for number, (name, text) in enumerate(zip(names, spoken)):
            soundfile.write(inside / f"{name}{ending}", tone(text, seed=number), RATE)
        lines = [f"{name} {text}\n" for name, text in zip(names, spoken)]
        (inside / f"{begin}.trans.txt").write_text("".join(lines))
    (folder / "README.TXT").write_text("LibriSpeech is a corpus\n")
    return folder


SMALL = {"84/121": ["low top", "middle"], "174/50": ["high"]}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return corpus(tmp_path / "train-clean", SMALL)


def read(
    folder: Path | Chosen[Any], rules: FolderRules = TRAINING, bad: BadRecords | None = None
) -> tuple[list[tuple[Any, ...]], list[str]]:
    """(name of the file, line, fields) of each record, and what was told."""
    records = read_records([str(folder) if isinstance(folder, Path) else folder], rules.columns, bad, rules=rules)
    found = [(Path(record.file).name, record.line, record.value) for record in records]
    told: list[str] = []
    records.passed.tell(told.append)
    return found, told


def chosen(path: Path) -> Chosen[Any]:
    return Chosen("source", "librispeech", "data.train", LibriSpeechConfig(path=str(path)))


# -- records -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".flac", ".wav"])
def test_each_line_is_a_record_with_its_recording_and_its_place(tmp_path: Path, ending: str) -> None:
    folder = corpus(tmp_path / "train-clean", SMALL, ending)
    found, told = read(folder)
    assert found == [
        ("174-50.trans.txt", 1, {"audio": f"174-50-0000{ending}", "text": "high", "id": "174-50-0000"}),
        ("84-121.trans.txt", 1, {"audio": f"84-121-0000{ending}", "text": "low top", "id": "84-121-0000"}),
        ("84-121.trans.txt", 2, {"audio": f"84-121-0001{ending}", "text": "middle", "id": "84-121-0001"}),
    ]
    assert told == [f"passed over in {folder}: .txt (1)"]
    records = list(read_records([str(folder)], rules=TRAINING))
    for record in records:
        recording = Path(record.file).parent / record.value["audio"]
        assert media_bytes(record, "audio") == recording.read_bytes()


def test_blank_lines_and_white_space_around_texts_mean_nothing(small: Path) -> None:
    path = small / "84" / "121" / "84-121.trans.txt"
    path.write_bytes(b"\xef\xbb\xbf84-121-0000  low\ttop \r\n\r\n \n84-121-0001\tmiddle")
    found, _ = read(small / "84")
    assert [(line, value["id"], value["text"]) for _, line, value in found] == [
        (1, "84-121-0000", "low\ttop"),
        (4, "84-121-0001", "middle"),
    ]


def damaged(folder: Path) -> list[str]:
    """Damage a corpus in each way; the messages, with the places of the damage."""
    inside = folder / "84" / "121"
    path = inside / "84-121.trans.txt"
    lines = ["84-121-0000 low top", "84-121-0001", "84-121-0007 high", "84-121-0000 low", "84-121-0002 top"]
    path.write_text("\n".join(lines) + "\n")
    soundfile.write(inside / "84-121-0002.flac", tone("top"), RATE)
    soundfile.write(inside / "84-121-0002.wav", tone("top"), RATE)
    soundfile.write(inside / "84-121-0003.flac", tone("top"), RATE)
    return [
        f"{path}:2: '84-121-0001' has no text; expected the name of a recording and its text, separated by a space",
        f"{path}:3: there is no recording '84-121-0007' in this folder, such as 84-121-0007.flac",
        f"{path}:4: the recording '84-121-0000' occurs twice, first in line 1",
        f"{path}:5: several recordings have the name '84-121-0002': 84-121-0002.flac, 84-121-0002.wav",
        f"{inside / '84-121-0003.flac'}: this recording has no text: there is no line '84-121-0003 ...' in {path}",
    ]


def test_what_does_not_belong_together_is_counted_with_file_and_line(small: Path) -> None:
    messages = damaged(small)
    bad = BadRecords("skip")
    found, _ = read(small, bad=bad)
    assert [value["id"] for _, _, value in found] == ["174-50-0000", "84-121-0000"]
    assert bad.messages == messages
    assert bad.count == 5


def test_the_first_bad_record_is_fatal_by_default(small: Path) -> None:
    messages = damaged(small)
    with pytest.raises(DataError) as caught:
        read(small)
    assert str(caught.value) == messages[0]


def test_a_new_recording_needs_no_text(small: Path) -> None:
    """For prediction: a recording without a line is a record of its own."""
    soundfile.write(small / "84" / "121" / "84-121-0005.flac", tone("top"), RATE)
    found, _ = read(small / "84", NEW)
    assert [(value["id"], value.get("text")) for _, _, value in found] == [
        ("84-121-0000", "low top"),
        ("84-121-0001", "middle"),
        ("84-121-0005", None),
    ]
    assert found[-1][:2] == ("84-121-0005.flac", 1)


def test_recordings_of_a_folder_without_transcripts_are_records_without_a_text(small: Path) -> None:
    (small / "174" / "50" / "174-50.trans.txt").unlink()
    found, _ = read(small)
    recording = small / "174" / "50" / "174-50-0000.flac"
    assert found[0] == (recording.name, 1, {"audio": str(recording), "label": "50"})
    assert len(found) == 3


def test_recordings_whose_texts_are_not_read_are_read_alone(small: Path) -> None:
    found, told = read(small, FolderRules(frozenset({"audio"})))
    assert [set(value) for _, _, value in found] == [{"audio", "label"}] * 3
    assert told == [f"passed over in {small}: .txt (3)"]


def test_several_transcripts_in_a_folder_have_the_recordings_that_begin_like_them(tmp_path: Path) -> None:
    folder = corpus(tmp_path / "parts", {"84/1": ["low"], "84/12": ["top", "high"]})
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in [*folder.glob("84/*/*")]:
        shutil.move(path, flat)
    (flat / "9-9-0000.flac").write_bytes(b"of none")
    found, _ = read(flat)
    assert [(file, value.get("id"), value.get("text")) for file, _, value in found] == [
        ("84-1.trans.txt", "84-1-0000", "low"),
        ("84-12.trans.txt", "84-12-0000", "top"),
        ("84-12.trans.txt", "84-12-0001", "high"),
        ("9-9-0000.flac", None, None),
    ]
    (flat / "84-12-0001.flac").rename(flat / "84-12-0002.flac")
    bad = BadRecords("skip")
    read(flat, bad=bad)
    assert [message.partition(": ")[0].rpartition("/")[2] for message in bad.messages] == [
        "84-12.trans.txt:2",
        "84-12-0002.flac",
    ]


def test_a_table_of_metadata_comes_before_transcripts(small: Path) -> None:
    (small / "metadata.csv").write_text("file_name,text\n84/121/84-121-0000.flac,another\n")
    found, told = read(small)
    assert [value for _, _, value in found] == [{"audio": "84/121/84-121-0000.flac", "text": "another"}]
    assert f"passed over in {small}: .txt (3)" in told


def test_a_file_of_transcripts_may_be_given_by_itself_and_by_name(small: Path) -> None:
    path = small / "84" / "121" / "84-121.trans.txt"
    expected, _ = read(small / "84")
    assert read(path)[0] == read(chosen(path))[0] == read(chosen(small / "84"))[0] == expected
    shutil.copy(path, path.with_name("other"))
    path.unlink()
    assert [value for _, _, value in read(chosen(path.with_name("other")))[0]] == [value for _, _, value in expected]


def test_texts_alone_need_no_recordings(small: Path) -> None:
    """As for the training of a tokenizer: the source is named, and no processor reads recordings."""
    for recording in small.glob("*/*/*.flac"):
        recording.unlink()
    found, _ = read(chosen(small), FolderRules(frozenset()))
    assert [value["text"] for _, _, value in found] == ["high", "low top", "middle"]
    plain, _ = read(small / "84" / "121" / "84-121.trans.txt", FolderRules(frozenset()))
    assert plain[0][2] == {"text": "84-121-0000 low top"}  # not named: plain text


@pytest.mark.parametrize(
    "change",
    [
        lambda inside: (inside / "84-121.trans.txt").write_text("84-121-0000 low\n84-121-0001 middle\n"),
        lambda inside: soundfile.write(inside / "84-121-0000.flac", tone("top"), RATE),
        lambda inside: soundfile.write(inside / "84-121-0009.flac", tone("top"), RATE),
    ],
)
def test_a_changed_text_and_a_changed_or_new_recording_are_other_data(small: Path, change: Any) -> None:
    def state() -> tuple[Any, ...]:
        given = [str(small)]
        return fingerprint(given, rules=TRAINING), named_files(given, {}, {"audio"}, rules=TRAINING).fingerprint

    before = state()
    assert state() == before
    change(small / "84" / "121")
    assert state() != before


def test_it_meets_the_contracts_of_its_kind(small: Path) -> None:
    path = small / "84" / "121" / "84-121.trans.txt"
    path.write_text(path.read_text() + "84-121-0001 twice\n")
    other = "84-121-0000 top\n84-121-0001 middle\n84-121-0001 twice\n"
    check_module("librispeech", "source", {"path": str(path)}, change=lambda: path.write_text(other), bad=1)


# -- training ----------------------------------------------------------------------------------------------------------


def project(folder: Path, kind: str, processor: str) -> Path:
    """A spec whose data are a corpus in the layout of LibriSpeech."""
    spoken = texts(24)
    corpus(folder / "train", {"84/121": spoken[:10], "84/122": spoken[10:14], "174/50": spoken[14:]})
    corpus(folder / "test", {"1/2": texts(8, seed=1)})
    vocabulary(folder)
    parts = {
        "model": {"hidden_size": 32, "dropout": 0.0, **MODELS[kind]},
        "data": {
            "tokenizer": {"space": {"vocab": "words.txt", "eos_token": "[EOS]"}},
            "processor": {processor: FEATURES},
            "train": "train",
            "eval": "test",
            "cache": "cache",
        },
        "train": {"steps": 2, "batch_size": 8, "loggers": [], "device": "cpu"},
    }
    (folder / "spec.yaml").write_text(yaml.safe_dump(parts, sort_keys=False))
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a model that was trained on such folders."""
    folder = project(tmp_path_factory.mktemp("librispeech"), "ctc", "speech_ctc")
    runs.train(folder, "--run", "run")
    return folder


@pytest.mark.parametrize(("kind", "processor"), [("ctc", "speech_ctc"), ("lm", "speech_text")])
def test_a_model_is_trained_on_the_folder(tmp_path: Path, kind: str, processor: str) -> None:
    folder = project(tmp_path, kind, processor)
    said = runs.train(folder, "--run", "run")
    assert "prepared 24 instances" in said
    assert "prepared 8 instances" in said
    assert np.isfinite(runs.metrics(folder / "run")[-1]["eval/loss"])


def test_a_trained_model_reads_the_folder(home: Path) -> None:
    rates = json.loads(runs.run_tp(home, "wer", "run", "--data", "test", "--json").splitlines()[-1])
    assert set(rates) == {"word_error_rate", "character_error_rate"}
    assert "loss/ctc" in runs.run_tp(home, "evaluate", "run", "--data", "test")
    runs.run_tp(home, "predict", "run", "--input", "test", "--output", "out.jsonl", "--keep", "id", "--keep", "text")
    rows = [json.loads(line) for line in (home / "out.jsonl").read_text().splitlines()]
    assert [row["input_id"] for row in rows] == [f"1-2-{number:04}" for number in range(8)]
    assert [row["input_text"] for row in rows] == texts(8, seed=1)


@pytest.mark.parametrize("policy", ["fatal", "skip"])
def test_the_spec_decides_about_bad_records(home: Path, policy: str) -> None:
    shutil.copytree(home / "train", home / policy)
    path = home / policy / "84" / "122" / "84-122.trans.txt"
    path.write_text(path.read_text() + "84-122-0009 low\n")
    (home / policy / "174" / "50" / "174-50-0003.flac").rename(home / policy / "174" / "50" / "174-50-0077.flac")
    settings = (f"data.train={policy}", f"data.on_bad_record={policy}")
    said = runs.train(home, "--run", f"run-{policy}", *settings, status=2 if policy == "fatal" else 0)
    transcript = home / policy / "174" / "50" / "174-50.trans.txt"
    first = f"{transcript}:4: there is no recording '174-50-0003' in this folder, such as 174-50-0003.flac"
    assert first in said
    assert "Traceback" not in said
    if policy == "skip":
        assert "3 bad records were skipped" in said
        assert f"{transcript.with_name('174-50-0077.flac')}: this recording has no text" in said
        assert f"{path}:5: there is no recording '84-122-0009'" in said


@pytest.mark.parametrize(
    ("processor", "columns", "expected"),
    [
        ({"speech_ctc": {}}, {}, "needed"),
        ({"waveform_ctc": {}}, {}, "needed"),
        ({"speech_text": {}}, {"text": "label"}, None),  # the names of folders are the texts
        ({"speech_ctc": {}}, {"audio": "path"}, None),  # tables are read
        ({"speech_cls": {"labels": ["a", "b"]}}, {}, None),
        ({"wav2vec2": {}}, {}, None),
    ],
)
def test_processors_of_recordings_with_texts_read_transcripts(
    home: Path, processor: dict[str, Any], columns: dict[str, str], expected: str | None
) -> None:
    (name,) = processor
    data = {
        "tokenizer": {"space": {"vocab": str(home / "words.txt"), "eos_token": "[EOS]"}},
        "processor": processor,
        "columns": columns,
    }
    loaded = load_spec({"model": models()[name], "data": data})
    assert folder_rules(loaded.data).transcribed == expected
    assert folder_rules(loaded.data, new=True).transcribed == ("welcome" if expected else None)


def models() -> dict[str, dict[str, Any]]:
    """A model for each processor."""
    sizes = {"hidden_size": 32}
    speech = {"embedding": {"modules": [{"speech": {"num_mel_bins": 80}}], "norm": "none"}, "encoder": "identity"}
    waves = {"embedding": {"modules": ["waveform"], "norm": "none"}, "encoder": "identity"}
    return {
        "speech_ctc": {**sizes, **speech, "target": "ctc"},
        "waveform_ctc": {**sizes, **waves, "target": "ctc"},
        "speech_text": {**sizes, **MODELS["lm"], "embedding": speech["embedding"]},
        "speech_cls": {**sizes, **speech, "target": [{"cls": {"pooling": "mean"}}]},
        "wav2vec2": {**sizes, **waves, "target": "wav2vec2"},
    }
