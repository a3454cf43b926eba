"""Pictures with texts become samples for the model's targets; bad ones are reported with their place."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.crossmodal.mistakes import problems_of
from tests.crossmodal.pictures import VOCABULARY, captioned, context, png, reported, rows_of, tokenizer
from tp_core.data.sampling.order import TRAIN, generator
from tp_core.errors import DataError, TPError
from tp_core.interfaces import IGNORE, Processor, Record, Rows, Sample
from tp_core.options.context import BuildContext
from tp_core.testing import check_module
from tp_crossmodal.processors.image_text_options import ImageTextProcessorConfig, RegionTextProcessorConfig
from tp_crossmodal.processors.image_text_pair_options import ImageTextPairProcessorConfig, RegionTextPairProcessorConfig

STREAMS = ("text", "image")


def regions(count: int = 6) -> list[dict[str, Any]]:
    records = []
    for n, record in enumerate(captioned(count)):
        values, boxes = np.arange((1 + n % 3) * 4).reshape(-1, 4) + n, np.full((1 + n % 3, 5), n / 10)
        records.append({"text": record["text"], "label": 0, "regions": values.tolist(), "boxes": boxes.tolist()})
    return records


@pytest.mark.parametrize("targets", [("mlm", "itm", "cls"), ("itm",), ("mlm",), ()], ids=", ".join)
def test_the_processors_keep_their_contracts(tmp_path: Path, targets: tuple[str, ...]) -> None:
    options = {"mlm": "mlm" in targets, "itm": "itm" in targets, "labelled": "cls" in targets}
    words, size = tokenizer(tmp_path), {"region_size": 4, "max_regions": 3}
    for streams, (images, given) in (
        ((), (ImageTextProcessorConfig, RegionTextProcessorConfig)),
        (STREAMS, (ImageTextPairProcessorConfig, RegionTextPairProcessorConfig)),
    ):
        data = context(*targets, streams=streams)
        augment = {"augment": {"crop": "padded", "flip": 0.5}}
        check_module(images, "processor", options | augment, records=captioned(), tokenizer=words, data=data)
        check_module(given, "processor", options | size, records=regions(), tokenizer=words, data=data)
        check_module(
            given, "processor", options | size | {"boxes": True}, records=regions(), tokenizer=words, data=data
        )


def test_predictions_are_told_in_tokens_and_names_of_classes(tmp_path: Path) -> None:
    options: dict[str, Any] = {"labels": ["even", "odd"]}
    processor = ImageTextProcessorConfig(**options).build(context("mlm", "itm", "cls"), tokenizer(tmp_path))
    both = {"label": 1, "probabilities": [0.25, 0.75]}
    word = [[{"id": VOCABULARY.index("three"), "probability": 0.5}]]
    (told,) = processor.describe([{"mlm": {"tokens": word}, "itm": both, "cls": both}])
    assert told["mlm"] == {"tokens": [[{"token": "three", "probability": 0.5}]]}
    assert told["cls"] == {"label": "odd", "probabilities": {"even": 0.25, "odd": 0.75}}
    assert told["itm"] == both
    (alone,) = processor.describe([{"tokens": word}])  # of the target mlm alone
    assert alone == {"tokens": [[{"token": "three", "probability": 0.5}]]}


def draw(processor: Processor, rows: Rows, index: int, epoch: int = 0) -> Sample:
    return processor.sample(rows, index, generator(0, TRAIN, epoch, index))


def shade_of(sample: Sample) -> int:
    """The number of the picture: see :func:`captioned`."""
    return round((float(sample["pixel_values"].mean()) * 0.5 + 0.5) * 255 / 20)


def many(processor: Processor, rows: Rows, epochs: int = 60) -> list[tuple[int, Sample]]:
    return [(index, draw(processor, rows, index, epoch)) for epoch in range(epochs) for index in range(len(rows))]


def test_half_of_the_texts_get_another_records_picture_by_seed_epoch_and_sample(tmp_path: Path) -> None:
    processor = ImageTextProcessorConfig().build(context("itm"), tokenizer(tmp_path))
    rows = rows_of(processor, captioned(), tmp_path)
    drawn = many(processor, rows)
    assert all(sample["itm"] == (shade_of(sample) == index) for index, sample in drawn)
    assert 0.42 < np.mean([sample["itm"] for _, sample in drawn]) < 0.58
    others = {shade_of(sample) for index, sample in drawn if index == 3 and not sample["itm"]}
    assert len(others) > 5
    again = draw(processor, rows, 3, 5)
    assert (again["itm"], shade_of(again)) == (drawn[53][1]["itm"], shade_of(drawn[53][1]))


def test_a_picture_of_the_same_text_is_no_mismatch(tmp_path: Path) -> None:
    records = [{"image": png(20 * n), "text": "a one" if n < 7 else "a two"} for n in range(8)]
    processor = ImageTextProcessorConfig().build(context("itm"), tokenizer(tmp_path))
    rows = rows_of(processor, records, tmp_path)
    drawn = many(processor, rows)
    assert {shade_of(sample) for index, sample in drawn if index < 7 and not sample["itm"]} == {7}


def test_a_text_with_another_picture_has_no_probabilities_of_the_teacher(tmp_path: Path) -> None:
    config = ImageTextProcessorConfig(probabilities="taught", labels={0: "even", 1: "odd"})
    processor = config.build(context("itm", "cls"), tokenizer(tmp_path))
    records = [{**record, "taught": [0.25, 0.75]} for record in captioned()]
    drawn = [sample for _, sample in many(processor, rows_of(processor, records, tmp_path), epochs=4)]
    labels = processor.collate(drawn).labels
    own = labels["itm"]["labels"] == 1
    assert 0 < own.sum() < len(own)
    assert torch.equal(labels["cls"]["classes"] != IGNORE, own)
    assert torch.equal(labels["cls"]["labels"][own], torch.tensor([0.25, 0.75]).expand(int(own.sum()), 2))
    off = ImageTextProcessorConfig(probabilities="taught", labelled=False)
    assert ("probabilities", "is for the classes of labelled records, but labelled is false") in [
        tuple(problem) for problem in off.check(BuildContext())
    ]


def test_with_both_tasks_each_sample_is_for_one_and_its_words_do_not_tell_which_pair_it_is(tmp_path: Path) -> None:
    processor = ImageTextProcessorConfig(mask_replace=1.0, random_replace=0.0).build(
        context("mlm", "itm"), tokenizer(tmp_path)
    )
    drawn = many(processor, rows_of(processor, captioned(), tmp_path))
    masked = [sample for _, sample in drawn if len(sample["mlm_positions"])]
    assert all(sample["itm"] == IGNORE for sample in masked)
    assert all(shade_of(sample) == index for index, sample in drawn if len(sample["mlm_positions"]))
    assert all(4 not in sample["input_ids"] for _, sample in drawn if sample["itm"] != IGNORE)
    assert 0.42 < len(masked) / len(drawn) < 0.58
    batch = processor.collate([sample for _, sample in drawn[:40]])
    counted = (batch.labels["mlm"]["labels"] != IGNORE).any(dim=1)
    assert torch.equal(counted, batch.labels["itm"]["labels"] == IGNORE)


def test_masked_tokens_alone_are_of_every_sample(tmp_path: Path) -> None:
    processor = ImageTextProcessorConfig().build(context("mlm"), tokenizer(tmp_path))
    drawn = many(processor, rows_of(processor, captioned(), tmp_path), 3)
    assert all(len(sample["mlm_positions"]) and "itm" not in sample for _, sample in drawn)


def test_each_stream_gets_its_side_and_only_texts_with_their_own_picture_are_anchors(tmp_path: Path) -> None:
    for streams in (("image", "text"), ("stream_0", "stream_1"), ("photo", "caption")):
        option = {"text_stream": "caption"} if "caption" in streams else {}
        config = ImageTextPairProcessorConfig(**option)
        processor = config.build(context("clr", "itm", streams=streams), tokenizer(tmp_path))
        rows = rows_of(processor, captioned(), tmp_path)
        samples = [draw(processor, rows, index) for index in range(10)]
        batch = processor.collate(samples)
        text = "stream_0" if "stream_0" in streams else streams[1]
        assert list(batch.source) == list(streams)
        assert "input_ids" in batch.source[text]
        (image,) = (name for name in streams if name != text)
        assert batch.source[image]["pixel_values"].shape == (10, 1, 8, 8)
        expected = [1 if sample["itm"] else IGNORE for sample in samples]
        assert batch.labels["clr"]["labels"].tolist() == expected


def test_at_inference_records_may_have_one_side_only_the_same_in_all(tmp_path: Path) -> None:
    processor = ImageTextPairProcessorConfig().build(context("clr", streams=STREAMS), tokenizer(tmp_path))
    records = captioned(3)
    for keep, stream in (("text", "text"), ("image", "image")):
        some = [Record({keep: record[keep]}, "records", n) for n, record in enumerate(records, 1)]
        assert list(processor.collate(processor.encode(some)).source) == [stream]
    whole = [Record(record, "records", n) for n, record in enumerate(records, 1)]
    assert list(processor.collate(processor.encode(whole)).source) == ["text", "image"]
    whole[1] = Record({"image": records[1]["image"]}, "records", 2)
    with pytest.raises(DataError, match="records:2: no field 'text', which other records have"):
        processor.encode(whole)


def test_the_text_begins_and_ends_with_bos_and_eos_where_there_is_no_cls_and_sep(tmp_path: Path) -> None:
    words = tokenizer(tmp_path, ["[PAD]", "[UNK]", "[BOS]", "[EOS]", "a", "one"], bos_token="[BOS]", eos_token="[EOS]")
    processor = ImageTextPairProcessorConfig().build(context("clr", streams=STREAMS), words)
    (sample,) = processor.encode([Record({"text": "a one"}, "records", 1)])
    assert sample["input_ids"].tolist() == [2, 4, 5, 3]
    long = processor.encode([Record({"text": "one " * 100}, "records", 1)])[0]["input_ids"]
    assert (len(long), long[-1]) == (77, 3)


def test_regions_are_padded_to_the_most_of_the_batch_and_cut_at_the_limit(tmp_path: Path) -> None:
    config = RegionTextProcessorConfig(region_size=4, max_regions=2, boxes=True)
    processor = config.build(context(), tokenizer(tmp_path))
    file = tmp_path / "regions.npy"
    np.save(file, np.ones((5, 4), dtype=np.float16))
    records = [*regions(3), {"text": "a", "regions": str(file), "boxes": np.zeros((5, 5)).tolist()}]
    rows = rows_of(processor, records, tmp_path)
    batch = processor.collate([draw(processor, rows, index) for index in range(4)])
    assert batch.inputs["visual_attention_mask"].tolist() == [[True, False], [True, True], [True, True], [True, True]]
    assert batch.inputs["visual_embeds"][0].tolist() == [[0.0, 1.0, 2.0, 3.0], [0.0] * 4]
    assert batch.inputs["visual_embeds"][3].tolist() == [[1.0] * 4] * 2
    assert batch.inputs["visual_boxes"].shape == (4, 2, 5)


# -- bad input ---------------------------------------------------------------------------------------------------


def test_a_text_without_a_picture_and_a_picture_without_a_text_are_reported_with_their_place(tmp_path: Path) -> None:
    (tmp_path / "good.png").write_bytes(png(0))
    (tmp_path / "cut.png").write_bytes(png(0)[:30])
    records = [
        {"image": "good.png", "text": "a one"},
        {"text": "a two and three and four and five and six and seven"},
        {"image": "good.png"},
        {"image": "good.png", "text": "  "},
        {"image": "lost.png", "text": "a one"},
        {"image": "cut.png", "text": "a one"},
        {"image": "good.png", "text": ["a", "b"]},
        {"image": "", "text": "a one"},
        {"image": png(0), "caption": "a one"},
    ]
    file = str(tmp_path / "pairs.jsonl")
    processor = ImageTextProcessorConfig().build(context(base=str(tmp_path)), tokenizer(tmp_path))
    count, said = reported(processor, records, file)
    assert (count, len(said)) == (1, 8)
    fields = "(data.columns renames them)"
    assert said[0] == (
        f"{file}:2: no field 'image' for the text 'a two and three and four and five and...'; the fields are text "
        + fields
    )
    assert said[1] == f"{file}:3: no field 'text' for the image 'good.png'; the fields are image {fields}"
    assert said[2] == f"{file}:4: the image 'good.png' has no text: the field 'text' is empty"
    assert said[3].startswith(f"{file}:5: image 'lost.png' cannot be read: No such file or directory")
    assert said[4].startswith(f"{file}:6: the image 'cut.png' cannot be read: ")
    assert said[5] == f"{file}:7: expected a text in 'text', got a list"
    assert said[6] == f"{file}:8: no field 'image' for the text 'a one'; the fields are image (empty), text {fields}"
    assert said[7] == f"{file}:9: no field 'text' for the image; the fields are image, caption {fields}"


def test_regions_that_cannot_be_used_are_reported_with_what_is_expected(tmp_path: Path) -> None:
    config = RegionTextProcessorConfig(region_size=4, max_regions=2, boxes=True)
    processor = config.build(context(), tokenizer(tmp_path))
    box = [[0.0] * 5]
    count, said = reported(
        processor,
        [
            {"text": "a", "regions": [[1.0, 2.0, 3.0]], "boxes": box},
            {"text": "a", "regions": [[1.0, 2.0, 3.0, 4.0]], "boxes": box * 2},
            {"text": "a", "regions": [[1.0, 2.0, 3.0, float("nan")]], "boxes": box},
            {"text": "a", "regions": [[1.0], [2.0, 3.0]], "boxes": box},
            {"text": "a", "boxes": box},
            {"text": "a", "regions": "lost.npy", "boxes": box},
            {"text": "a", "regions": [], "boxes": box},
        ],
    )
    assert count == 0
    assert said[0] == "records.jsonl:1: 'regions' has the shape 1 x 3; expected regions x 4"
    assert said[1] == "records.jsonl:2: 1 regions and 2 boxes; expected a box for each region"
    assert said[2] == "records.jsonl:3: 'regions' has values that are not finite numbers"
    assert said[3].startswith("records.jsonl:4: 'regions' cannot be read: ")
    assert said[4].startswith("records.jsonl:5: no field 'regions' for the text 'a'; the fields are text, boxes")
    assert said[5].startswith("records.jsonl:6: regions 'lost.npy' cannot be read: No such file")
    assert said[6].startswith("records.jsonl:7: 'regions' has the shape 0; expected regions x 4")


def test_the_target_mlm_needs_a_mask_token(tmp_path: Path) -> None:
    words = tokenizer(tmp_path, ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a"])
    with pytest.raises(TPError, match="the target mlm needs a vocabulary with a mask token"):
        ImageTextProcessorConfig().build(context("mlm"), words)


def test_streams_that_do_not_fit_are_found_when_the_spec_is_checked(tmp_path: Path) -> None:
    patches = {"patch": {"image_size": 8, "patch_size": 4, "channels": 1}}
    stream = {"embedding": [patches], "encoder": "identity"}
    text = {"embedding": ["word"], "encoder": "identity"}
    spec = {"model": {"hidden_size": 8, "streams": {"words": text, "picture": stream}, "target": "clr"}}
    data = {"processor": {"image_text_pair": {"text_stream": "text", "channels": 3}}}
    said = problems_of(tmp_path, {**spec, "data": data})
    assert "data.processor.image_text_pair.text_stream: the streams are words and picture" in said
    assert "data.processor.image_text_pair.channels: the model's patches have 1" in said


def test_labels_that_an_option_switches_off_are_missed_by_their_target(tmp_path: Path) -> None:
    embedding = {"word_patch": {"image_size": 8, "patch_size": 4}}
    model = {"hidden_size": 8, "embedding": [embedding], "encoder": "identity", "target": "itm"}
    said = problems_of(tmp_path, {"model": model, "data": {"processor": {"image_text": {"itm": False}}}})
    assert "model.target.itm: needs the labels 'itm'; data.processor.image_text provides cls, mlm only" in said


def test_processors_of_pairs_refuse_a_model_of_one_input(tmp_path: Path) -> None:
    with pytest.raises(TPError, match="needs a model with two streams"):
        ImageTextPairProcessorConfig().build(context(), tokenizer(tmp_path))


def npy(values: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values)
    return stream.getvalue()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int64"])
def test_regions_of_training_are_those_of_inference(tmp_path: Path, dtype: str) -> None:
    random = np.random.default_rng(0)
    words = tokenizer(tmp_path)
    processor = RegionTextProcessorConfig(region_size=4, max_regions=3, boxes=True).build(context("cls"), words)
    given = [
        {"regions": (9 * random.normal(size=(count, 4))).astype(dtype), "boxes": np.ones((count, 5), dtype)}
        for count in (1, 3, 5, 2)
    ]
    records = [
        {"text": "a one", "label": 0, **{name: keep(values) for name, values in each.items()}}
        for keep in (np.ndarray.tolist, npy)
        for each in given
    ]
    rows = rows_of(processor, records, tmp_path)
    encoded = processor.encode([Record(record, "records", 1) for record in records])
    for index, expected in enumerate(encoded):
        sample = draw(processor, rows, index)
        for name in ("regions", "boxes"):
            assert sample[name].dtype == np.float32
            assert np.array_equal(sample[name], given[index % 4][name][:3].astype(np.float32))
            assert np.array_equal(sample[name], expected[name])
