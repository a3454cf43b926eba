"""Recordings and texts become batches; what cannot be used is named, counted, and nothing else is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from tests.audio.tones import EOS, PAD, RATE, SPECIAL, WORDS, drawn, processor, record, recordings, rows_of, tone
from tests.contexts import targets
from tp_audio.audio.features import filter_banks, normalised
from tp_core.data.sampling.order import EVALUATION, generator
from tp_core.data.sources.records import BadRecords, read_records
from tp_core.errors import DataError
from tp_core.interfaces import IGNORE, Record
from tp_core.options.context import DataContext
from tp_core.spec.errors import SpecError
from tp_core.spec.load import load_spec

FIRST = len(SPECIAL)
IDS = {word: FIRST + number for number, word in enumerate(WORDS)}


def written(folder: Path, *texts: str) -> list[Record]:
    """Records of recordings of these texts."""
    manifest = folder / "list.tsv"
    for number, text in enumerate(texts):
        soundfile.write(folder / f"{number}.wav", tone(text, seed=number), RATE)
    return [record(manifest, audio=f"{number}.wav", text=text) for number, text in enumerate(texts)]


def test_a_ctc_batch_has_features_with_zeros_behind_them_and_ids_of_the_texts(tmp_path: Path) -> None:
    made = processor(tmp_path, "speech_ctc")
    rows = rows_of(made, written(tmp_path, "low high", "top"), tmp_path)
    batch = made.collate([drawn(made, rows, 0), drawn(made, rows, 1)])
    labels = [[IDS["low"], IDS["high"]], [IDS["top"], IGNORE]]
    assert batch.labels["ctc"]["labels"].tolist() == labels
    features, mask = batch.inputs["input_features"], batch.inputs["attention_mask"]
    for row, text in enumerate(("low high", "top")):
        samples = np.rint(tone(text, seed=row) * 32767) / 32768  # as soundfile wrote them
        expected = normalised(filter_banks(samples.astype(np.float32), RATE, 20), "mean_variance")
        assert mask[row].sum() == len(expected)
        assert np.abs(features[row, : len(expected)].numpy() - expected).max() < 0.05
        assert not features[row, len(expected) :].any()
    alone = made.collate([drawn(made, rows, 0)])
    assert "attention_mask" not in alone.inputs
    assert batch.tokens() == features.shape[0] * features.shape[1]


def test_a_decoder_reads_the_start_and_the_text_and_learns_the_text_and_the_end(tmp_path: Path) -> None:
    for start, first in ((None, EOS), ("pad", PAD)):
        made = processor(tmp_path, "speech_text", start=start)
        rows = rows_of(made, written(tmp_path, "low high", "top"), tmp_path)
        batch = made.collate([drawn(made, rows, 0), drawn(made, rows, 1)])
        assert batch.target is not None
        assert batch.target["input_ids"].tolist() == [[first, IDS["low"], IDS["high"]], [first, IDS["top"], PAD]]
        assert batch.target["attention_mask"].tolist() == [[1, 1, 1], [1, 1, 0]]
        assert batch.labels["lm"]["labels"].tolist() == [[IDS["low"], IDS["high"], EOS], [IDS["top"], EOS, IGNORE]]
        assert made.generation().start == (first,)
        assert made.decode([IDS["low"], IDS["top"]]) == "low top"


def test_augmentation_is_drawn_anew_at_each_epoch_and_never_in_evaluations(tmp_path: Path) -> None:
    options: dict[str, Any] = {"speeds": [0.8, 1.0, 1.25], "time_masks": 2, "time_mask_width": 4}
    made, plain = processor(tmp_path, "speech_ctc", **options), processor(tmp_path, "speech_ctc")
    rows = rows_of(made, written(tmp_path, "low high top"), tmp_path)
    each = [drawn(made, rows, 0, epoch)["input_features"] for epoch in range(12)]
    again = [drawn(made, rows, 0, epoch)["input_features"] for epoch in range(12)]
    assert all(np.array_equal(a, b) for a, b in zip(each, again))
    assert len({len(frames) for frames in each}) == 3
    assert len({frames.tobytes() for frames in each}) == 12
    evaluated = made.evaluation_sample(rows, 0, generator(3, EVALUATION, 0, 0))["input_features"]
    assert np.array_equal(evaluated, drawn(plain, rows, 0)["input_features"])
    assert np.array_equal(evaluated, made.encode(written(tmp_path, "low high top"))[0]["input_features"])


def test_a_recording_that_is_too_short_to_be_played_faster_is_played_as_it_is(tmp_path: Path) -> None:
    made = processor(tmp_path, "speech_ctc", speeds=[2.0])
    soundfile.write(tmp_path / "0.wav", tone("low")[:300], RATE)
    rows = rows_of(made, [record(tmp_path / "list.tsv", audio="0.wav", text="low")], tmp_path)
    assert drawn(made, rows, 0)["input_features"].shape == (2, 20)


def bad_messages(folder: Path, manifest: Path, name: str = "speech_ctc", **options: Any) -> tuple[int, BadRecords]:
    made, bad = processor(folder, name, **options), BadRecords("skip")
    chunks = list(made.prepare(read_records([str(manifest)], {}, bad), bad.report))
    return sum(len(chunk["text"]) for chunk in chunks), bad


def test_every_bad_row_of_a_manifest_is_counted_and_named_by_its_line(tmp_path: Path) -> None:
    manifest = recordings(tmp_path, 3)
    whole = (tmp_path / "0.wav").read_bytes()
    (tmp_path / "cut.wav").write_bytes(whole[:-500])
    (tmp_path / "noise.wav").write_bytes(b"this is no recording")
    soundfile.write(tmp_path / "none.wav", np.zeros(0, np.float32), RATE)
    soundfile.write(tmp_path / "short.wav", tone("low")[:150], RATE)
    soundfile.write(tmp_path / "long.wav", tone("low " * 20), RATE)
    rows = ["gone.wav\tlow", "cut.wav\tlow", "noise.wav\tlow", "none.wav\tlow", "short.wav\tlow", "long.wav\tlow"]
    rows += ["0.wav\t ", "0.wav\t[PAD] low", "0.wav\tдва LOW"]
    manifest.write_text(manifest.read_text() + "\n".join(rows) + "\n", encoding="utf-8")
    count, bad = bad_messages(tmp_path, manifest, max_seconds=2)
    assert (count, bad.count) == (3, len(rows))
    expected = [
        "audio 'gone.wav' cannot be read: No such file or directory",
        "the recording 'cut.wav' is truncated: 500 bytes are missing at the end",
        "the recording 'noise.wav' cannot be decoded: format not recognised; WAV, FLAC, Ogg",
        "the recording 'none.wav' has no samples",
        "the recording has 150 samples, but one frame needs 200",
        "the recording 'long.wav' is 3.0 seconds long; max_seconds is 2",
        "the text is empty",
        "the text contains '[PAD]' (id 0), the blank; set model.target.ctc.blank to another id",
        "the text 'два LOW' has no token of the vocabulary",
    ]
    found = sorted(bad.messages, key=lambda message: int(message.split(":")[1]))
    for line, (message, wanted) in enumerate(zip(found, expected, strict=True), 5):
        assert message.startswith(f"{manifest}:{line}: {wanted}")


def test_a_text_with_no_room_for_it_is_refused(tmp_path: Path) -> None:
    manifest = tmp_path / "list.tsv"
    (tmp_path / "0.wav").write_bytes(b"")
    soundfile.write(tmp_path / "0.wav", tone("low high"), RATE)
    manifest.write_text("audio\ttext\n0.wav\tlow low low low\n0.wav\tlow low low\n", encoding="utf-8")
    count, bad = bad_messages(tmp_path, manifest, "speech_text", target_max_length=4)
    assert count == 1
    assert bad.messages == [f"{manifest}:2: the text has 4 tokens; target_max_length leaves room for 3"]


def test_a_record_without_a_text_says_what_it_has(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no field 'text'; the fields are audio, label"):
        rows_of(processor(tmp_path, "speech_ctc"), [record(tmp_path / "x", audio=b"..", label="yes")], tmp_path)


def test_a_folder_of_recordings_takes_its_texts_from_the_names_of_folders(tmp_path: Path) -> None:
    for word in ("low", "top"):
        (tmp_path / "words" / word).mkdir(parents=True)
        soundfile.write(tmp_path / "words" / word / "a.wav", tone(word), RATE)
    made = processor(tmp_path, "speech_ctc")
    records = list(read_records([str(tmp_path / "words")], {"audio": "audio", "text": "label"}))
    rows = rows_of(made, records, tmp_path)
    assert [rows.get("text", i).tolist() for i in range(2)] == [[IDS["low"]], [IDS["top"]]]


def test_the_blank_may_be_any_id_that_texts_do_not_hold(tmp_path: Path) -> None:
    data = DataContext(targets=targets(ctc={"blank": IDS["low"]}))
    made = processor(tmp_path, "speech_ctc", data)
    with pytest.raises(DataError, match="the text contains 'low'"):
        rows_of(made, written(tmp_path, "top low"), tmp_path)


def test_predictions_are_texts_and_are_scored_by_words(tmp_path: Path) -> None:
    made = processor(tmp_path, "speech_ctc")
    rows = rows_of(made, written(tmp_path, "low high", "top"), tmp_path)
    samples = [made.evaluation_sample(rows, index, generator(3, EVALUATION, 0, index)) for index in (0, 1)]
    predicted = [{"token_ids": [IDS["low"], IDS["top"]]}, {"token_ids": [IDS["top"], IDS["top"]]}]
    described = made.describe(predicted)
    assert described == [{"text": "low top"}, {"text": "top top"}]
    carried = [[made.carried(sample)] for sample in samples]
    assert made.score(described, carried)["word_error_rate"] == (2, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("{low_frequency: 5000.0, sampling_rate: 8000}", "is 5000 Hz, but the filter banks end at 4000 Hz"),
        ("{high_frequency: 9000.0}", "is 9000 Hz; 16000 samples per second have nothing above 8000 Hz"),
        ("{frequency_masks: 1, num_mel_bins: 20}", "is 27, but there are only 20 filter banks"),
        ("{num_mel_bins: 40}", "num_mel_bins: is 40, but the embedding 'speech' has 80"),
        ("{frame_length: 0.1}", "frame_length: is 0.1 ms, too short for 16000 samples per second"),
        ("{frame_shift: 0.05}", "frame_shift: is 0.05 ms, too short for 16000 samples per second"),
    ],
)
def test_options_that_cannot_work_are_refused(tmp_path: Path, options: str, message: str) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text(f"extends: conformer-ctc-small\ndata: {{processor: {{speech_ctc: {options}}}}}\n")
    with pytest.raises(SpecError, match=message):
        load_spec(file)


def test_the_decoders_rows_have_no_more_columns_than_the_longest_text(tmp_path: Path) -> None:
    made = processor(tmp_path, "speech_text")
    samples = made.encode([Record({"audio": (recordings(tmp_path, 1).parent / "0.wav").read_bytes()}, "x", 1)])
    batch = made.collate(samples)
    assert batch.target is not None
    assert torch.equal(batch.target["input_ids"], torch.tensor([[EOS]]))
