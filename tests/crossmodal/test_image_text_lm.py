"""Pictures and texts as one sequence of tokens: samples, sizes, writing and drawing, and what cannot work."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from click.testing import CliRunner
from PIL import Image
from safetensors.torch import save_file

import tp_core
from tests.building import build, randomised
from tests.core import runs
from tests.crossmodal.mistakes import problems_of
from tests.crossmodal.pictures import VOCABULARY, captioned, png, reported, rows_of, tokenizer
from tp_core import SpecError
from tp_core.cli.main import cli
from tp_core.data.cache.prepared import prepared_rows
from tp_core.data.sampling.order import TRAIN, generator
from tp_core.errors import DataError, TPError
from tp_core.evaluation.mode import evaluating
from tp_core.generation.writer import TextWriter
from tp_core.interfaces import IGNORE, GenerationTokens, PromptRoom, Record
from tp_core.options.context import DataContext
from tp_core.spec.checks.run import check_run
from tp_core.spec.sections.generate import GenerateOptions
from tp_core.testing import check_module
from tp_crossmodal.drawing import draw
from tp_crossmodal.processors.image_text_lm import ImageTextLmProcessor
from tp_crossmodal.processors.image_text_lm_options import ImageTextLmConfig

PAD, CLS, SEP, A, ONE, TWO = 0, 2, 3, 15, 6, 7
FIRST = len(VOCABULARY)
RANDOM: dict[str, Any] = {
    "image_tokenizer": {"random_projection": {"num_tokens": 9, "normalize": False}},
    "image_size": 8,
    "patch_size": 4,
    "channels": 1,
    "max_length": 6,
}


def made(folder: Path, **options: Any) -> ImageTextLmProcessor:
    return ImageTextLmProcessor(ImageTextLmConfig(**{**RANDOM, **options}), DataContext(), tokenizer(folder))


def rows(processor: ImageTextLmProcessor, folder: Path) -> Any:
    return rows_of(processor, [{"image": png(200), "text": "a one"}, {"image": png(20), "text": "a two " * 9}], folder)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"direction": "text_to_image", "prefix_loss": True},
        {"direction": "image_to_text"},
        {"pad_text": False, "pad": "max_length"},
    ],
    ids=str,
)
def test_the_processor_keeps_its_contracts(tmp_path: Path, options: dict[str, Any]) -> None:
    check_module(ImageTextLmConfig, options=RANDOM | options, records=captioned(), tokenizer=tokenizer(tmp_path))


# -- samples -----------------------------------------------------------------------------------------------------


def test_a_picture_stands_behind_its_filled_up_text_and_is_predicted(tmp_path: Path) -> None:
    processor = made(tmp_path, direction="text_to_image")
    data = rows(processor, tmp_path)
    image = [FIRST + int(token) for token in data.get("image", 0)]
    assert len(image) == 4
    assert image[0] < FIRST + 9
    sample = processor.sample(data, 0, generator(0, TRAIN, 0, 0))
    assert sample["input_ids"].tolist() == [CLS, A, ONE, SEP, PAD, PAD, *image]
    assert sample["token_type_ids"].tolist() == [0] * 6 + [1] * 4
    assert sample["labels"].tolist() == [IGNORE] * 5 + [*image, IGNORE]
    batch = processor.collate([sample])
    assert batch.inputs["prefix_lengths"].tolist() == [6]
    assert "attention_mask" not in batch.inputs  # what fills a text up is read, too
    long = processor.sample(data, 1, generator(0, TRAIN, 0, 1))["input_ids"]
    assert long[:6].tolist() == [CLS, A, TWO, A, TWO, SEP]


def test_a_text_stands_behind_its_picture_and_is_predicted_to_its_end(tmp_path: Path) -> None:
    processor = made(tmp_path, direction="image_to_text")
    data = rows(processor, tmp_path)
    image = [FIRST + int(token) for token in data.get("image", 0)]
    sample = processor.sample(data, 0, generator(0, TRAIN, 0, 0))
    assert sample["input_ids"].tolist() == [CLS, *image, SEP, A, ONE, SEP]
    assert sample["token_type_ids"].tolist() == [0, 1, 1, 1, 1, 0, 0, 0, 0]
    assert sample["labels"].tolist() == [IGNORE] * 5 + [A, ONE, SEP, IGNORE]
    longest = processor.sample(data, 1, generator(0, TRAIN, 0, 1))["input_ids"]
    assert len(longest) == processor.max_length == 6 + 4 + 1


def test_with_prefix_loss_all_but_what_fills_up_is_predicted_and_no_prefix_is_read_ahead(tmp_path: Path) -> None:
    processor = made(tmp_path, direction="text_to_image", prefix_loss=True)
    data = rows(processor, tmp_path)
    sample = processor.sample(data, 0, generator(0, TRAIN, 0, 0))
    image = sample["input_ids"][6:].tolist()
    assert sample["labels"].tolist() == [A, ONE, SEP, IGNORE, IGNORE, *image, IGNORE]
    assert "prefix_lengths" not in processor.collate([sample]).source


def test_both_directions_are_drawn_by_seed_epoch_and_sample(tmp_path: Path) -> None:
    processor = made(tmp_path)
    data = rows(processor, tmp_path)
    drawn = [processor.sample(data, 0, generator(0, TRAIN, epoch, 0))["prefix_length"] for epoch in range(200)]
    assert set(drawn) == {6}  # both parts are of six tokens here: [CLS] a one [SEP] and two to fill, [CLS] image [SEP]
    first = [int(processor.sample(data, 0, generator(0, TRAIN, epoch, 0))["input_ids"][1]) for epoch in range(200)]
    assert 0.4 < np.mean([token == A for token in first]) < 0.6


def test_image_tokens_are_made_once_and_are_integers_in_the_cache(tmp_path: Path) -> None:
    processor = made(tmp_path)
    data = rows(processor, tmp_path)
    expected = processor._tokens([processor.inner.read(Record({"image": png(200)}, "r", 1))[1]])[0]
    assert data.get("image", 0).tolist() == expected.tolist()
    processor._image_tokenizer = None
    processor.sample(data, 0, generator(0, TRAIN, 0, 0))
    assert processor._image_tokenizer is None


# -- models ------------------------------------------------------------------------------------------------------


def coder(folder: Path, **processor: Any) -> Path:
    """A model with the target ``vq`` of pictures of 8 x 16 pixels, with random weights."""
    folder.mkdir(parents=True, exist_ok=True)
    small = {"width": 8, "blocks": 0}
    sizes = {"hidden_size": 8, "image_size": [8, 16], "patch_size": 4, "channels": 1}
    parts = {
        **sizes,
        "embedding": {"modules": [{"conv_patch": small}], "norm": "none", "dropout": 0.0},
        "encoder": "identity",
        "target": [{"vq": {"num_tokens": 6, "code_size": 4, **small}}],
    }
    model = randomised(build(folder, parts), std=1.0)
    data = {"processor": {"plain_image": {"mean": [0.25], "std": [0.5], **processor}}}
    (folder / "spec.yaml").write_text(yaml.safe_dump({"tp": 1, "model": parts, "data": data}), encoding="utf-8")
    save_file(model.weights(), folder / "model.safetensors")
    return folder


def spec_of(folder: Path, model: dict[str, Any] | None = None, **options: Any) -> Path:
    """A spec of a small model beside its coder (``coder``) and data."""
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    (folder / "pictures").mkdir(exist_ok=True)
    lines = ["image\ttext"]
    for number, record in enumerate(captioned(6)):
        Image.fromarray(np.full((8, 16), 20 * number, dtype=np.uint8)).save(folder / "pictures" / f"{number}.png")
        lines.append(f"pictures/{number}.png\t{record['text']}")
    (folder / "pairs.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    encoder = {"transformer": {"num_layers": 1, "num_heads": 2, "mask": "causal_with_prefix"}}
    embedding = ["word", {"pos": {"max_length": 24}}, "seg"]
    chosen = {"image_tokenizer": {"vq": {"model": "coder", "num_tokens": 6}}, "max_length": 8}
    tree = {
        "tp": 1,
        "model": {"hidden_size": 16, "embedding": embedding, "encoder": encoder, "target": "lm", **(model or {})},
        "data": {
            "tokenizer": {"space": {"vocab": "vocab.txt"}},
            "processor": {"image_text_lm": chosen | options},
            "train": "pairs.tsv",
            "cache": "cache",
        },
        "train": {"steps": 3, "batch_size": 6, "workers": 0, "device": "cpu", "loggers": []},
    }
    file = folder / "spec.yaml"
    file.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a coder, data and a trained model (``run``)."""
    folder = tmp_path_factory.mktemp("lm")
    coder(folder / "coder")
    tp_core.train(tp_core.load_spec(spec_of(folder)), folder / "run")
    return folder


def test_sizes_and_normalisation_are_the_tokenizers_and_the_vocabulary_has_room_for_image_tokens(home: Path) -> None:
    spec = tp_core.load_spec(home / "spec.yaml")
    assert spec.model.vocab_size == FIRST + 6
    assert spec.data.processor is not None
    config: Any = spec.data.processor.config
    pictures = config.pictures()
    assert (pictures.image_size, pictures.channels, pictures.mean, pictures.std) == ([8, 16], 1, [0.25], [0.5])
    assert (config.grid.height, config.grid.width, config.sequence_length()) == (2, 4, 8 + 8 + 1)


def tp(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(cli, [str(each) for each in arguments])
    return result.exit_code, result.stderr


def test_generate_writes_texts_of_pictures_with_words_alone(home: Path, tmp_path: Path) -> None:
    status, said = tp("generate", home / "run", "--input", home / "pictures", "--output", tmp_path / "texts.txt")
    assert status == 0
    assert said.startswith(f"6 texts in {tmp_path / 'texts.txt'}")
    assert len((tmp_path / "texts.txt").read_text().splitlines()) == 6


def test_neither_direction_writes_ids_of_the_other_modality(home: Path) -> None:
    loaded = tp_core.load_model(home / "run", "cpu")
    processor: Any = loaded.processor
    assert isinstance(processor, ImageTextLmProcessor)
    records = [Record({"image": str(home / "pictures" / "1.png"), "text": "a one"}, "records", n) for n in (1, 2, 3)]
    options = GenerateOptions(max_new_tokens=8, sample=True, temperature=50.0)  # any id that is not excluded

    def written(samples: list[Any], tokens: GenerationTokens) -> set[int]:
        batch = processor.collate(samples)
        writer = TextWriter(loaded.model, loaded.spec, processor, options, tokens)
        with evaluating(loaded.model):
            return {i for text in writer(batch, [1, 2, 3], records) for i in text.ids}

    texts = written(processor.prompts(records, PromptRoom()), processor.generation())
    images = written(processor.drawing_prompts(records), processor.drawing())
    assert texts < set(range(FIRST))
    assert len(texts) > 3
    assert images <= set(range(FIRST, FIRST + 6))
    assert len(images) > 3


def test_draw_writes_a_picture_for_each_text_and_an_index_that_is_a_data_set(home: Path, tmp_path: Path) -> None:
    (tmp_path / "captions.txt").write_text("a one\n\na two and and\na three\n", encoding="utf-8")
    command = ["draw", home / "run", "--input", tmp_path / "captions.txt", "--output", tmp_path / "drawn"]
    status, said = tp(*command)
    assert (status, said.strip()) == (0, f"3 pictures in {tmp_path / 'drawn'}")
    assert sorted(file.name for file in (tmp_path / "drawn").iterdir()) == ["1.png", "2.png", "3.png", "index.tsv"]
    assert Image.open(tmp_path / "drawn" / "2.png").size == (16, 8)
    index = (tmp_path / "drawn" / "index.tsv").read_text(encoding="utf-8").splitlines()
    assert index == ["image\ttext", "1.png\ta one", "2.png\ta two and and", "3.png\ta three"]
    status, said = tp("evaluate", home / "run", "--data", tmp_path / "drawn" / "index.tsv")
    assert status == 0
    status, said = tp(*command)
    assert (status, "the folder is not empty; --overwrite replaces the pictures in it" in said) == (2, True)
    (tmp_path / "captions.txt").write_text("a one\n", encoding="utf-8")
    before = np.array(Image.open(tmp_path / "drawn" / "1.png"))
    assert tp(*command, "--overwrite")[0] == 0
    assert sorted(file.name for file in (tmp_path / "drawn").iterdir()) == ["1.png", "index.tsv"]
    assert np.array_equal(np.array(Image.open(tmp_path / "drawn" / "1.png")), before)
    for nothing in ("text\n", "image\nlost.png\n"):
        (tmp_path / "nothing.tsv").write_text(nothing, encoding="utf-8")
        status, said = tp(*command[:2], "--input", tmp_path / "nothing.tsv", "--overwrite", *command[4:])
        assert status == 2, said
    assert np.array_equal(np.array(Image.open(tmp_path / "drawn" / "1.png")), before)


def test_two_processes_draw_what_one_draws(home: Path, tmp_path: Path) -> None:
    (tmp_path / "captions.txt").write_text("a one\n" * 5, encoding="utf-8")
    command = ["draw", home / "run", "--input", "captions.txt", "--batch-size", "2", "--sample", "--output"]
    assert "5 pictures in one" in runs.run_tp(tmp_path, *command, "one")
    assert runs.run_group(tmp_path, *command, "two").count("5 pictures in two") == 1
    one, two = ({file.name: file.read_bytes() for file in (tmp_path / each).iterdir()} for each in ("one", "two"))
    assert one == two
    assert len(set(one.values())) > 2


def test_drawings_are_searched_for_as_the_spec_says_and_have_their_own_length(home: Path) -> None:
    loaded = tp_core.load_model(home / "run", "cpu")
    explicit = list(draw(loaded, ["a one"] * 3, sample=True, temperature=9.0, seed=3))
    usual = GenerateOptions(sample=True, temperature=9.0, seed=3, max_new_tokens=2, eos_token_id=[FIRST, FIRST + 1])
    loaded.spec = replace(loaded.spec, inference=replace(loaded.spec.inference, generate=usual))
    assert all(torch.equal(a, b) for a, b in zip(draw(loaded, ["a one"] * 3), explicit, strict=True))
    with pytest.raises(TPError, match=r"unknown option 'max_new_tokens'; .*beams"):
        draw(loaded, ["a one"], max_new_tokens=3)


def test_a_drawing_is_what_the_tokenizer_makes_of_the_tokens_and_follows_the_seed(home: Path) -> None:
    loaded = tp_core.load_model(home / "run", "cpu")
    processor: Any = loaded.processor
    tokens = torch.tensor([[0, 1, 2, 3, 4, 5, 0, 1]])
    pixels = processor.image_tokenizer().decode(tokens)
    expected = ((pixels * 0.5 + 0.25).clamp(0, 1) * 255).round().to(torch.uint8)
    assert torch.equal(processor.drawn([(tokens[0] + FIRST).tolist()]), expected)
    options = {"sample": True, "temperature": 9.0}
    one, again, other = (list(draw(loaded, ["a one"] * 3, seed=seed, **options)) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(one, again))
    assert not torch.equal(one[0], one[1])
    assert not torch.equal(one[0], other[0])


def test_a_model_that_is_being_trained_draws_the_same_pictures_which_are_the_callers_own(home: Path) -> None:
    loaded = tp_core.load_model(home / "run", "cpu")
    expected = list(draw(loaded, ["a one"] * 3))
    loaded.model.train()
    for picture, other in zip(draw(loaded, ["a one"] * 3), expected, strict=True):
        assert torch.equal(picture, other)
        assert all(module.training for module in loaded.model.modules())
        picture.mul_(0)


def test_an_exported_model_has_its_image_tokenizer_with_it(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home / "run" / "model", tmp_path / "export")
    (home / "coder").rename(home / "elsewhere")
    try:
        assert next(draw(tmp_path / "export", ["a one"], device="cpu")).shape == (1, 8, 16)
    finally:
        (home / "elsewhere").rename(home / "coder")
    plain = yaml.safe_load((tmp_path / "export" / "spec.yaml").read_text())
    chosen = plain["data"]["processor"]["image_text_lm"]["image_tokenizer"]
    assert chosen == {"vq": {"model": "processor_image_text_lm_image_tokenizer_vq", "num_tokens": 6}}


def test_a_tokenizer_that_was_trained_anew_makes_the_data_anew(tmp_path: Path) -> None:
    coder(tmp_path / "coder")
    spec = tp_core.load_spec(spec_of(tmp_path))
    assert spec.data.processor is not None
    config: Any = spec.data.processor.config

    def prepared() -> list[str]:
        said: list[str] = []
        processor = config.build(DataContext(), tokenizer(tmp_path))
        prepared_rows(spec, processor, str(tmp_path / "pairs.tsv"), said.append)
        return said

    assert prepared()
    assert not prepared()
    weights = tmp_path / "coder" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    assert prepared()


def test_another_tokenizer_on_the_command_line_replaces_the_one_in_the_spec(home: Path) -> None:
    key = "data.processor.image_text_lm"
    other = f"{key}.image_tokenizer={{random_projection: {{num_tokens: 12}}}}"
    spec = tp_core.load_spec(home / "spec.yaml", [other, f"{key}.image_size=8", f"{key}.patch_size=4"])
    assert spec.model.vocab_size == FIRST + 12
    spec = tp_core.load_spec(home / "spec.yaml", [f"{key}.image_tokenizer.vq.model={home / 'coder'}"])
    assert list(spec.dump()["data"]["processor"]["image_text_lm"]["image_tokenizer"]["vq"]) == ["model", "num_tokens"]


# -- what cannot work --------------------------------------------------------------------------------------------


def said_of(folder: Path, model: dict[str, Any] | None = None, **options: Any) -> str:
    with pytest.raises(SpecError) as caught:
        tp_core.load_spec(spec_of(folder, model, **options))
    return "; ".join(f"{problem.path}: {problem.message}" for problem in caught.value.problems)


def test_options_that_contradict_the_tokenizer_are_refused(tmp_path: Path) -> None:
    coder(tmp_path / "coder")
    at = "data.processor.image_text_lm"
    for option, value, message in (
        ("num_image_tokens", 8, "is 8; the tokenizer has 6 tokens"),
        ("image_size", 16, "is 16; the tokenizer was trained with [8, 16]: leave it out"),
        ("patch_size", 2, "is 2; the tokenizer was trained with [4, 4]: leave it out"),
        ("channels", 3, "is 3; the tokenizer was trained with 1: leave it out"),
        ("mean", [0.5], "is [0.5]; the tokenizer was trained with [0.25]: leave it out"),
    ):
        assert f"{at}.{option}: {message}" in said_of(tmp_path, **{option: value})
    same = {"image_size": [8, 16], "patch_size": 4, "channels": 1, "mean": [0.25], "num_image_tokens": 6}
    tp_core.load_spec(spec_of(tmp_path, **same))


def test_a_vocabulary_without_room_for_image_tokens_is_refused(tmp_path: Path) -> None:
    coder(tmp_path / "coder")
    expected = "is 20, less than the 17 ids of data.tokenizer.space and the 6 of data.processor.image_text_lm"
    assert said_of(tmp_path, {"vocab_size": 20}) == f"model.vocab_size: {expected}"


def test_too_few_positions_are_refused(tmp_path: Path) -> None:
    coder(tmp_path / "coder")
    found = said_of(tmp_path, max_length=20)
    assert "sequences of 29 are longer than the 24 positions of model.embedding.pos" in found


def test_a_tokenizer_that_is_not_there_is_refused_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "codes").mkdir()
    assert f"there is no file {tmp_path / 'coder'}" in said_of(tmp_path)
    gone = said_of(tmp_path, image_tokenizer={"vq": {"model": "codes"}})
    assert f"data.processor.image_text_lm.image_tokenizer.vq.model: {tmp_path / 'codes'}: there is no model" in gone


def test_what_a_preset_leaves_open_is_said_before_training(tmp_path: Path) -> None:
    spec_of(tmp_path)
    file = tmp_path / "mine.yaml"
    file.write_text(
        "extends: dall-e-base\ndata: {tokenizer: {space: {vocab: vocab.txt}}, train: pairs.tsv}\ntrain: {steps: 1}\n"
    )
    with pytest.raises(SpecError, match="image_tokenizer: is required to turn pictures into tokens, such as"):
        check_run(tp_core.load_spec(file))
    missing = {"processor": {"image_text_lm": {"max_length": 8}}}
    found = problems_of(tmp_path, {"model": {"embedding": ["word"], "encoder": "transformer"}, "data": missing})
    for option in ("num_image_tokens", "image_size", "patch_size"):
        assert f"data.processor.image_text_lm.{option}: is required, because no image_tokenizer defines it" in found


def test_records_without_a_side_are_reported_with_their_place(tmp_path: Path) -> None:
    records = [
        {"image": png(0), "text": "a one"},
        {"title": "a one"},
        {"text": "a one"},
        {"image": png(0)},
        {"image": png(0), "text": " "},
        {"image": png(0)[:20], "text": "a one"},
    ]
    count, said = reported(made(tmp_path), records)
    assert (count, len(said)) == (1, 5)
    hint = "(data.columns renames them)"
    assert said[0] == f"records.jsonl:2: no field 'image' or 'text'; the fields are title {hint}"
    assert said[1] == f"records.jsonl:3: no field 'image'; the fields are text {hint}"
    assert said[2] == f"records.jsonl:4: no field 'text' for the image; the fields are image {hint}"
    assert said[3] == "records.jsonl:5: the image has no text: the field 'text' is empty"
    assert said[4].startswith("records.jsonl:6: the image cannot be read: ")


def test_at_inference_one_side_is_enough_and_neither_is_an_error(tmp_path: Path) -> None:
    processor = made(tmp_path)
    sides = [{"text": "a one"}, {"image": png(0)}, {"image": png(0), "text": "a one"}]
    lengths = [len(s["input_ids"]) for s in processor.encode([Record(side, "r", 1) for side in sides])]
    assert lengths == [6, 6, 9]

    def prompts(records: list[Record]) -> list[Any]:
        return processor.prompts(records, PromptRoom())

    for ask, value, message in (
        (processor.encode, {"title": "x"}, "r:1: no field 'image' or 'text'; the fields are title"),
        (prompts, {"title": "x"}, "r:1: no field 'image' or 'text'; the fields are title"),
        (prompts, {"text": "a"}, "r:1: no field 'image': texts are generated from pictures; use tp draw"),
        (processor.drawing_prompts, {"image": png(0)}, "r:1: no field 'text' for the record"),
    ):
        with pytest.raises(DataError) as caught:
            ask([Record(value, "r", 1)])
        assert str(caught.value).startswith(message)


def test_what_a_model_was_not_trained_for_is_said(home: Path, tmp_path: Path) -> None:
    with pytest.raises(TPError, match=r"makes pictures from texts .*; use tp draw"):
        made(tmp_path, direction="text_to_image").generation()
    with pytest.raises(TPError, match=r"makes texts from pictures .*; use tp generate"):
        made(tmp_path, direction="image_to_text").drawing()
    loaded = tp_core.load_model(home / "run", "cpu")
    loaded.processor = made(tmp_path)
    with pytest.raises(TPError, match="the image tokenizer random_projection cannot turn tokens into pictures"):
        draw(loaded, ["a one"])
    loaded.processor = None
    with pytest.raises(TPError, match="pictures are drawn by models with the processor image_text_lm"):
        draw(loaded, ["a one"])
