"""The image processor: what it decodes, refuses, normalises, changes at random and mixes."""

from __future__ import annotations

import io
import re
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from tests.building import worst
from tests.contexts import targets
from tests.vision.pictures import encoded, pixels, png
from tests.vision.tiffs import tiff
from tp_core.data.cache.rows import ArrowRows, write_rows
from tp_core.data.sampling.order import TRAIN, generator
from tp_core.errors import DataError
from tp_core.interfaces import Batch, Record, Sample
from tp_core.options.context import BuildContext, DataContext
from tp_core.testing import check_module
from tp_vision.facts import GridFacts
from tp_vision.processors.decoding import decode
from tp_vision.processors.image import ImageProcessor
from tp_vision.processors.image_options import ImageProcessorConfig
from tp_vision.processors.options import Augmentation
from tp_vision.processors.transforms import mixed, seeded

THREE = DataContext(targets=targets(cls={"num_labels": 3}))
RECORDS: list[dict[str, Any]] = [{"image": png(20 + i, 24, seed=i), "label": i % 3} for i in range(9)]
ALL: dict[str, Any] = {
    "crop": "resized",
    "flip": 0.5,
    "rand_augment": 2,
    "random_erasing": 0.5,
    "mixup": 0.8,
    "cutmix": 1.0,
}


def processor(data: DataContext = THREE, **options: Any) -> ImageProcessor:
    return ImageProcessor(ImageProcessorConfig.model_validate(options), data)


def rows_of(made: ImageProcessor, folder: Path, records: Iterable[dict[str, Any]] = RECORDS) -> ArrowRows:
    def refuse(error: DataError) -> None:
        raise error

    path = folder / "rows.arrow"
    write_rows(path, made.prepare((Record(value, "list.tsv", n) for n, value in enumerate(records, 2)), refuse))
    return ArrowRows(path)


def batch_of(made: ImageProcessor, rows: ArrowRows, epoch: int = 0) -> Batch:
    return made.collate([made.sample(rows, i, generator(0, TRAIN, epoch, i)) for i in range(len(rows))])


@pytest.mark.parametrize(
    "options",
    [
        {"image_size": 16},
        {"image_size": [16, 12], "channels": 1, "augment": ALL},
        {"image_size": 16, "resize": "stretch", "augment": {"crop": "padded", "cutmix": 1.0, "mix_rate": 0.5}},
    ],
)
def test_the_image_processor_conforms(options: dict[str, Any]) -> None:
    check_module("image", "processor", options, records=RECORDS, data=THREE)


# -- decoding ----------------------------------------------------------------------------------------------------

COLOURS = pixels(20, 24)
DEEP = np.random.default_rng(1).integers(0, 65536, (20, 24), dtype=np.uint16)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("form", "mode", "tolerance"),
    [
        ("PNG", None, 1),
        ("PNG", "P", 1),
        ("PNG", "L", 1),
        ("PNG", "LA", 1),
        ("PNG", "RGBA", 1),
        ("PNG", "1", 1),
        ("JPEG", None, 12),  # grey comes from the file itself, not from its colours
        ("JPEG", "L", 1),
        ("JPEG", "CMYK", 1),
        ("GIF", "P", 1),
        ("WEBP", None, 1),
        ("BMP", None, 1),
        ("TIFF", None, 1),
        ("TIFF", "CMYK", 1),
    ],
)
def test_every_kind_of_picture_is_decoded_as_pillow_does(
    form: str, mode: str | None, tolerance: int, channels: int
) -> None:
    import io

    from PIL import Image

    data = encoded(COLOURS, form, mode)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB").convert("L" if channels == 1 else "RGB"))
    found = decode(data, channels)
    assert found.dtype == torch.uint8
    assert found.shape == (channels, 20, 24)
    planes = expected.reshape(20, 24, channels).transpose(2, 0, 1).astype(int)
    assert np.abs(found.numpy().astype(int) - planes).max() <= tolerance


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_are_rounded_to_eight(form: str, channels: int) -> None:
    found = decode(encoded(DEEP, form), channels)
    assert np.array_equal(found.numpy(), np.broadcast_to(np.round(DEEP / 257), found.shape))


def deep_png(values: np.ndarray[Any, np.dtype[np.uint16]]) -> bytes:
    """A PNG of 16 bits per channel, which Pillow does not write: (height, width, channels)."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width, channels = values.shape
    header = struct.pack(">IIBBBBB", width, height, 16, {2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in values)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_colours_and_transparency_of_sixteen_bits_become_eight(channels: int) -> None:
    values = np.random.default_rng(0).integers(0, 65536, (6, 5, channels), dtype=np.uint16)
    found = decode(deep_png(values), 3).permute(1, 2, 0).numpy().astype(float)
    assert np.abs(found - values[..., : 1 if channels == 2 else 3] / 257).max() <= 1


@pytest.mark.parametrize(("kind", "says"), [(np.float32, "floating-point numbers"), (np.int32, "signed integers")])
def test_pixels_that_are_no_brightness_are_refused(kind: type, says: str) -> None:
    with pytest.raises(ValueError, match=f"its pixels are {says} of 32 bits; unsigned integers of 8 or 16 bits"):
        decode(encoded(COLOURS[..., 0].astype(kind), "TIFF"), 3)


@pytest.mark.parametrize(("form", "mode"), [("PNG", "L"), ("PNG", "LA"), ("PNG", "1"), ("PNG", "RGB"), ("WEBP", "RGB")])
def test_grey_stays_the_same_grey_in_every_kind_of_picture(form: str, mode: str) -> None:
    greys = np.arange(256, dtype=np.uint8).reshape(16, 16)
    if mode == "1":
        greys = np.where(greys > 127, 255, 0).astype(np.uint8)
    image = Image.fromarray(greys).convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, form, **({"lossless": True} if form == "WEBP" else {}))
    assert decode(buffer.getvalue(), 1).numpy().tolist() == np.asarray(image.convert("L"))[None].tolist()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_picture_is_turned_as_its_file_says(form: str) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6  # the first row is the right-hand side
    assert decode(encoded(pixels(8, 16), form, exif=turned), 3).shape == (3, 16, 8)


def test_a_recording_is_no_picture() -> None:
    with pytest.raises(ValueError, match="it is not a picture"):
        decode(b"RIFF\x24\x00\x00\x00WAVEfmt ", 3)


def test_of_an_animation_the_first_picture_is_taken() -> None:
    first, second = (Image.fromarray(pixels(6, 6, seed)).convert("P") for seed in (0, 1))
    buffer = io.BytesIO()
    first.save(buffer, "GIF", save_all=True, append_images=[second])
    assert np.array_equal(decode(buffer.getvalue(), 3).permute(1, 2, 0).numpy(), np.asarray(first.convert("RGB")))


# -- bad records -------------------------------------------------------------------------------------------------


def message(value: dict[str, Any], **options: Any) -> str:
    found: list[str] = []
    made = processor(**{"image_size": 8, **options})
    chunks = made.prepare([Record(value, "list.tsv", 3)], lambda error: found.append(str(error)))
    assert not any(column for chunk in chunks for column in chunk.values())
    return found[0]


@pytest.mark.parametrize(
    ("form", "part"), [("JPEG", 0.6), ("PNG", 0.5), ("GIF", 0.4), ("WEBP", 0.5), ("TIFF", 0.5), ("BMP", 0.5)]
)
def test_a_truncated_picture_is_named(tmp_path: Path, form: str, part: float) -> None:
    data = encoded(COLOURS, form, "P" if form == "GIF" else None)
    file = tmp_path / "cut"
    file.write_bytes(data[: int(len(data) * part)])
    # The decoder's own words follow, in brackets and on the same line.
    says = r"it is damaged or cut off \([^\n]+\)$"
    assert re.search(
        rf"list\.tsv:3: the image '{file}' cannot be read: {says}", message({"image": str(file), "label": 0})
    )
    own = Record({"image": str(file), "label": "0"}, str(file), 1)
    with pytest.raises(DataError, match=f"^{file}: the image cannot be read: {says}"):
        processor(image_size=8).encode([own])


_DAMAGED = """
import random, resource, sys
from pathlib import Path
from tp_vision.processors.decoding import decode
from tests.contexts import targets
refused = tried = 0
for file in map(Path, sys.argv[1:]):
    data = file.read_bytes()
    for seed in range(400):
        draw = random.Random(seed)
        changed = bytearray(data[: draw.randrange(len(data))] if seed % 5 == 4 else data)
        for _ in range(1 + seed % 3):
            if len(changed) > 8:  # near the beginning, where sizes are, as often as anywhere
                changed[draw.randrange(8, min(len(changed), 120 if seed % 2 else len(data)))] = draw.randrange(256)
        tried += 1
        try:
            decode(bytes(changed), 1 + 2 * (seed % 2), 10**6)
        except ValueError:
            refused += 1
print(tried, refused, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)
"""


@pytest.mark.slow
def test_no_damage_ends_the_process(tmp_path: Path) -> None:
    # In a process of its own, which a fault in a library would end.
    forms = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "AVIF", "TGA")
    data = {form: encoded(COLOURS, form, "P" if form == "GIF" else None) for form in forms}
    data |= {"palette": encoded(COLOURS, "PNG", "P"), "deep": deep_png(COLOURS.astype(np.uint16) * 257)}
    data |= {f"tiff_{how}": encoded(COLOURS, "TIFF", compression=how) for how in ("jpeg", "tiff_lzw")}
    data |= {"planes": tiff(COLOURS.astype(int) * 257, 16, 2, planes=True), "big": tiff(COLOURS, 8, 2, big=True)}
    data |= {"progressive": encoded(COLOURS, "JPEG", progressive=True), "rle": encoded(COLOURS, "TGA", rle=True)}
    for name, content in data.items():
        (tmp_path / name).write_bytes(content)
    files = [str(tmp_path / name) for name in data]
    done = subprocess.run([sys.executable, "-c", _DAMAGED, *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    tried, refused, memory = map(int, done.stdout.split())
    assert tried == 400 * len(data)
    assert refused > tried // 4
    assert memory < 1200  # MiB, of which most are torch's own


@pytest.mark.parametrize(
    ("value", "options", "says"),
    [
        (
            {"image": b"no picture", "label": 0},
            {},
            "list.tsv:3: the image cannot be read: it is not a picture; JPEG, PNG",
        ),
        ({"image": "gone.png", "label": 0}, {}, "list.tsv:3: image 'gone.png' cannot be read: No such file"),
        ({"image": b"", "label": 0}, {}, "list.tsv:3: the image is empty"),
        ({"label": 0}, {}, "list.tsv:3: no field 'image'; the fields are label"),
        (
            {"image": png()},
            {},
            "list.tsv:3: no field 'label'; the fields are image (data.columns renames them). A picture's label",
        ),
        ({"image": png(), "label": 3}, {}, "the label 3 is out of range; expected an integer from 0 to 2"),
        (
            {"image": png(), "label": "cat"},
            {},
            "the label 'cat' is no integer; expected an integer from 0 to 2, or list",
        ),
        ({"image": png(), "label": "cart"}, {"labels": ["cat", "dog", "cow"]}, "'cart'; did you mean 'cat'?"),
        (
            {"image": png(9, 8), "label": 0},
            {"resize": "none"},
            "the image has 9 x 8 pixels; expected 8 x 8; set resize: crop or resize: stretch to scale it",
        ),
    ],
)
def test_a_record_that_cannot_be_used_is_explained(value: dict[str, Any], options: dict[str, Any], says: str) -> None:
    assert says in message(value, **options)


# -- sizes and values --------------------------------------------------------------------------------------------


def plain(data: bytes, **options: Any) -> Tensor:
    (sample,) = processor(**options).encode([Record({"image": data}, "x", 1)])
    return torch.from_numpy(sample["pixel_values"])


def test_pictures_are_scaled_and_normalised_as_by_hugging_face() -> None:
    transformers = pytest.importorskip("transformers")
    picture = pixels(30, 22)
    theirs = transformers.ViTImageProcessor(size={"height": 16, "width": 12})
    expected = theirs(torch.from_numpy(picture).permute(2, 0, 1), return_tensors="pt")["pixel_values"][0]
    found = plain(encoded(picture), image_size=[16, 12], resize="stretch")
    assert worst(found, expected) < 1e-5
    statistics = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    theirs = transformers.DeiTImageProcessor(
        size={"height": 20, "width": 20},
        crop_size={"height": 16, "width": 16},
        image_mean=statistics["mean"],
        image_std=statistics["std"],
    )
    expected = theirs(torch.from_numpy(pixels(24, 24)).permute(2, 0, 1), return_tensors="pt")["pixel_values"][0]
    options = {"image_size": 16, "crop_fraction": 0.8, "interpolation": "bicubic", **statistics}
    assert worst(plain(encoded(pixels(24, 24)), **options), expected) < 1e-5


def test_a_picture_of_the_right_size_is_only_normalised() -> None:
    found = plain(png(8, 8), image_size=8, mean=[0.5], std=[0.25])
    expected = (torch.from_numpy(pixels(8, 8)).permute(2, 0, 1) / 255 - 0.5) / 0.25
    assert worst(found, expected) < 1e-6


@pytest.mark.parametrize(("height", "width"), [(9, 40), (40, 9), (3, 3), (1, 1)])
@pytest.mark.parametrize("resize", ["crop", "stretch"])
def test_pictures_of_any_proportions_become_of_one_size(height: int, width: int, resize: str) -> None:
    assert plain(png(height, width), image_size=[8, 12], resize=resize).shape == (3, 8, 12)


def test_cropping_keeps_the_middle() -> None:
    striped = np.zeros((8, 24, 3), dtype=np.uint8)
    striped[:, 8:16] = 255
    assert bool((plain(encoded(striped), image_size=8) == 1).all())


def test_the_models_grid_says_size_and_channels_and_another_size_is_a_problem() -> None:
    grid = GridFacts(3, 4, (2, 5), 1)
    made = processor(DataContext(facts={GridFacts: grid}, targets=THREE.targets))
    assert (made.size, made.channels) == ((6, 20), 1)
    config = ImageProcessorConfig(image_size=8, channels=3, mean=[0.5, 0.5])
    found = [(problem.option, problem.message) for problem in config.check(BuildContext().with_facts(grid))]
    assert found == [
        ("image_size", "the model's pictures have 6 x 20 pixels; leave it out, or set the same"),
        ("channels", "the model's patches have 1; leave it out, or set the same"),
        ("mean", "has 2 numbers for 3 channels"),
    ]


# -- randomness --------------------------------------------------------------------------------------------------


def same(left: Sample, right: Sample) -> bool:
    return all(np.array_equal(left[name], right[name]) for name in left)


def test_a_sample_depends_on_seed_epoch_and_index_alone(tmp_path: Path) -> None:
    made = processor(image_size=16, augment=ALL)
    rows = rows_of(made, tmp_path)
    torch.manual_seed(0)
    state = torch.get_rng_state()
    first = made.sample(rows, 2, generator(0, TRAIN, 0, 2))
    assert torch.equal(torch.get_rng_state(), state), "the run's own random state must stay as it is"
    torch.manual_seed(1)
    assert same(made.sample(rows, 2, generator(0, TRAIN, 0, 2)), first)
    assert not same(made.sample(rows, 2, generator(0, TRAIN, 1, 2)), first)
    assert not same(made.sample(rows, 2, generator(1, TRAIN, 0, 2)), first)


def test_evaluation_and_inference_change_nothing_at_random(tmp_path: Path) -> None:
    made = processor(image_size=16, augment=ALL)
    rows = rows_of(made, tmp_path)
    found = made.evaluation_sample(rows, 0, generator(0, TRAIN, 0, 0))
    assert worst(torch.from_numpy(found["pixel_values"]), plain(RECORDS[0]["image"], image_size=16)) == 0
    assert set(found) == {"pixel_values", "label"}
    assert made.collate([found]).labels["cls"]["labels"].tolist() == [0]


def test_a_padded_crop_is_a_shift(tmp_path: Path) -> None:
    made = processor(image_size=8, augment={"crop": "padded", "crop_padding": 1})
    rows = rows_of(made, tmp_path, [{"image": png(), "label": 0}])
    whole = torch.nn.functional.pad(plain(png(), image_size=8), (1, 1, 1, 1), value=-1)
    shifts = {
        (down, across): whole[:, down : down + 8, across : across + 8] for down in range(3) for across in range(3)
    }
    seen = set()
    for epoch in range(60):
        found = torch.from_numpy(made.sample(rows, 0, generator(0, TRAIN, epoch, 0))["pixel_values"])
        seen |= {place for place, expected in shifts.items() if worst(found, expected) < 1e-6}
    assert seen == set(shifts)


def test_seeding_for_the_transforms_is_undone_even_when_they_fail() -> None:
    state = torch.get_rng_state()

    def failing() -> None:
        with seeded(3):
            torch.rand(3)
            raise ValueError

    with pytest.raises(ValueError):
        failing()
    assert torch.equal(torch.get_rng_state(), state)


# -- mixing ------------------------------------------------------------------------------------------------------


def test_mixed_samples_have_labels_in_the_proportions_of_their_pixels(tmp_path: Path) -> None:
    """Every picture is of one brightness, so that the mean pixel says how much of which is in it."""
    flat = [{"image": encoded(np.full((8, 8, 3), 40 * n, np.uint8)), "label": n} for n in range(6)]
    six = DataContext(targets=targets(cls={"num_labels": 6}))
    for augment in ({"mixup": 0.8}, {"cutmix": 1.0}, {"mixup": 0.8, "cutmix": 1.0}):
        made = processor(six, image_size=8, mean=[0.0], std=[1.0], augment=augment)
        rows = rows_of(made, tmp_path, flat)
        for epoch in range(4):
            batch = batch_of(made, rows, epoch)
            labels = batch.labels["cls"]["labels"]
            assert labels.shape == (6, 6)
            assert worst(labels.sum(dim=1), torch.ones(6)) < 1e-6
            brightness = labels @ torch.arange(6.0) * (40 / 255)
            assert worst(batch.inputs["pixel_values"].mean(dim=(1, 2, 3)), brightness) < 1e-5


def test_a_rate_of_mixing_leaves_the_other_samples_alone(tmp_path: Path) -> None:
    made = processor(image_size=8, augment={"cutmix": 1.0, "mix_rate": 0.5})
    rows = rows_of(made, tmp_path, [{"image": png(seed=n), "label": n % 3} for n in range(60)])
    labels = batch_of(made, rows).labels["cls"]["labels"]
    untouched = (labels.max(dim=1).values == 1).float().mean().item()
    assert 0.5 <= untouched < 0.9  # a partner of the same class, or a cut of nothing, changes no label either


def test_a_sample_alone_is_mixed_with_itself() -> None:
    picture, label = torch.rand(1, 3, 4, 4), torch.tensor([[0.0, 1.0]])
    found = mixed(picture, label, torch.tensor([[0.1, 0.3, 0.0, 0.5, 0.5]]))
    assert worst(found[0], picture) < 1e-6
    assert torch.equal(found[1], label)


def test_augmentation_that_cannot_be_drawn_is_a_problem() -> None:
    bad = ImageProcessorConfig(augment=Augmentation(crop_scale=[0.9, 0.1], mixup=0.2))
    (problem,) = bad.check(BuildContext())
    assert problem.message == "crop_scale: expected 0 < smallest <= largest <= 1, got [0.9, 0.1]"
    (problem,) = bad.check_targets(DataContext())
    assert problem.message == "mixed labels need the number of classes, but no target has num_labels"
