"""Files of pictures: what they hold, how they are turned, whether they are whole, and how large they may be."""

from __future__ import annotations

import io
import re
import resource
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from tests.contexts import targets
from tests.vision.pictures import encoded, pixels
from tests.vision.tiffs import tiff
from tp_core.interfaces import Record
from tp_core.options.context import DataContext
from tp_vision.png import write_png
from tp_vision.processors.decoding import decode
from tp_vision.processors.image import ImageProcessor
from tp_vision.processors.image_options import ImageProcessorConfig
from tp_vision.processors.options import Augmentation, PictureProcessorConfig
from tp_vision.processors.scaling import scaled_middle
from tp_vision.processors.transforms import Pictures

ROOT = Path(__file__).resolve().parents[2]
COLOURS = pixels(20, 24)
GREYS = COLOURS[..., 0]


def seen(data: bytes, channels: int = 3) -> NDArray[np.float64]:
    """(height, width, channels)."""
    return decode(data, channels).permute(1, 2, 0).numpy().astype(float)


# -- formats -----------------------------------------------------------------------------------------------------


def test_colours_of_every_format_without_loss_are_those_that_were_written() -> None:
    for form, options in {"TGA": {"compression": "tga_rle"}, "PPM": {}, "BMP": {}, "WEBP": {"lossless": True}}.items():
        assert (seen(encoded(COLOURS, form, **options)) == COLOURS).all(), form
    assert (seen(encoded(COLOURS, "TGA", "RGBA")) == COLOURS).all()
    assert np.abs(seen(encoded(COLOURS, "AVIF", quality=100, subsampling="4:4:4")) - COLOURS).max() <= 3
    palette = Image.fromarray(COLOURS).quantize(16)
    for form in ("TGA", "PNG", "BMP", "TIFF"):
        file = io.BytesIO()
        palette.save(file, form)
        assert (seen(file.getvalue()) == np.asarray(palette.convert("RGB"))).all(), form


@pytest.mark.parametrize("whitest", [1, 15, 255, 1000, 4095, 65535])
def test_grey_of_the_netpbm_formats_is_scaled_by_its_own_white(whitest: int) -> None:
    values = np.random.default_rng(0).integers(0, whitest + 1, (5, 7))
    binary = b"P5 7 5 %d\n" % whitest + values.astype(">u2" if whitest > 255 else np.uint8).tobytes()
    plain = b"P2\n# a comment\n7 5\n%d\n" % whitest + b"\n".join(b"%d" % value for value in values.flat) + b"\n"
    for data in (binary, plain):
        assert np.abs(seen(data, 1)[..., 0] - values * 255 / whitest).max() <= 0.51
    if whitest == 1:
        bits = b"P4 7 5\n" + np.packbits(1 - values, axis=1).tobytes()
        assert (seen(bits, 1)[..., 0] == 255 * values).all()


@pytest.mark.parametrize(
    "data",
    [
        b"PK\x03\x04 no picture of ours at all",
        b"P7 no picture",
        b"Plain text is no picture, nor TGA",
        bytes(200),
        b"\0\0\1\0\1\0\x10\x10\0\0\1\0\x08\0\x68\5\x08\0\x16\0\0\0" + bytes(200),  # an icon, nearly the header of TGA
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200),
        b"\0\0\0\x18ftypmp42\0\0\0\0" + bytes(200),
        b"<!DOCTYPE html><html><body>Not found</body></html>",
    ],
)
def test_other_files_are_no_pictures(data: bytes) -> None:
    says = "^it is not a picture; JPEG, PNG, GIF, WebP, BMP, TIFF, PPM, PGM, PBM, AVIF and TGA can be read$"
    with pytest.raises(ValueError, match=says):
        decode(data, 3)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_that_is_written_is_the_same_when_it_is_read(channels: int, tmp_path: Path) -> None:
    picture = torch.from_numpy(COLOURS).permute(2, 0, 1)[:channels]
    write_png(picture, tmp_path / "written.png")
    assert torch.equal(decode((tmp_path / "written.png").read_bytes(), channels), picture)


def test_no_module_decodes_by_torchvision_io() -> None:
    files = [*ROOT.glob("tp_core/**/*.py"), *ROOT.glob("plugins/*/tp_*/**/*.py"), *ROOT.glob("examples/**/*.py")]
    assert len(files) > 100
    pattern = re.compile(r"torchvision\.io|from torchvision import .*\bio\b")
    assert [str(file) for file in files if pattern.search(file.read_text(encoding="utf-8"))] == []


# -- TIFF --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bits", "order", "big"),
    [
        (bits, order, big)
        for bits in (1, 2, 4, 8, 12, 16)
        for order, big in (("<", False), (">", False), ("<", True))
        if (bits, order) != (12, ">")  # which is refused
    ],
)
@pytest.mark.parametrize("photometric", [0, 1])
def test_grey_of_any_depth_is_scaled_whether_0_is_black_or_white(
    photometric: int, bits: int, order: str, big: bool
) -> None:
    whitest = 2**bits - 1
    values = np.random.default_rng(bits).integers(0, whitest + 1, (6, 9, 1))
    light = values if photometric else whitest - values
    for channels in (1, 3):
        found = seen(tiff(values, bits, photometric, order=order, big=big), channels)
        assert found.shape == (6, 9, channels)
        assert np.abs(found - light * 255 / whitest).max() <= 0.51


@pytest.mark.parametrize(("order", "big"), [("<", False), (">", False), ("<", True)])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("planes", [False, True])
def test_colours_are_read_pixel_by_pixel_or_plane_by_plane(planes: bool, bits: int, order: str, big: bool) -> None:
    values = np.random.default_rng(bits).integers(0, 2**bits, (6, 9, 3))
    found = seen(tiff(values, bits, 2, planes=planes, order=order, big=big))
    assert np.abs(found - values * 255 / (2**bits - 1)).max() <= 1  # 16 bits of colours are cut to 8, not rounded


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_deep_grey_that_is_compressed_is_the_same(compression: str) -> None:
    deep = np.random.default_rng(1).integers(0, 65536, (20, 24), dtype=np.uint16)
    data = bytearray(encoded(deep, "TIFF", compression=compression))
    assert np.abs(seen(bytes(data), 1)[..., 0] - deep / 257).max() <= 0.51
    place = data.index(struct.pack("<HHLHH", 262, 3, 1, 1, 0))
    data[place : place + 12] = struct.pack("<HHLHH", 262, 3, 1, 0, 0)  # white is zero
    assert np.abs(seen(bytes(data), 1)[..., 0] - (65535 - deep.astype(int)) / 257).max() <= 0.51


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (tiff(GREYS[..., None], 8, 1, extra={339: 2}), "its pixels are signed integers of 8 bits; unsigned integers"),
        (tiff(GREYS[..., None].astype(int), 10, 1), "its pixels are integers of 10 bits; unsigned integers of 8 or 16"),
        (encoded(np.zeros((3, 3), np.float32), "TIFF"), "its pixels are floating-point numbers of 32 bits"),
        (tiff(GREYS[..., None], 8, 1, order=">", big=True), "it is a BigTIFF whose bytes are in big-endian order"),
        (
            tiff(GREYS[..., None].astype(int), 12, 1, order=">"),
            "its pixels are integers of 12 bits in big-endian order",
        ),
        (
            tiff(pixels(4, 4)[..., [0, 1, 2, 0]].astype(int), 16, 5, planes=True),
            "colours are CMYK of 16 bits in planes",
        ),
        (tiff(GREYS[..., None], 8, 1)[:200], "it is damaged or cut off"),
    ],
)
def test_a_tiff_that_is_not_read_is_explained(data: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        decode(data, 3)


# -- turned pictures ---------------------------------------------------------------------------------------------

#: What undoes each value of the tag, as EXIF 2.3 defines it by the places of the first row and the first column.
TURNS: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],  # top, right
    3: lambda a: a[::-1, ::-1],  # bottom, right
    4: lambda a: a[::-1],  # bottom, left
    5: lambda a: a.transpose(1, 0, 2),  # left, top
    6: lambda a: np.rot90(a, -1),  # right, top
    7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),  # right, bottom
    8: lambda a: np.rot90(a),  # left, bottom
}
XMP = (
    b"http://ns.adobe.com/xap/1.0/\0"
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description tiff:Orientation="%d"/></rdf:RDF></x:xmpmeta>'
)


def exif(value: int) -> bytes:
    made = Image.Exif()
    made[0x0112] = value
    return made.tobytes()


def app1(content: bytes) -> bytes:
    return b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content


@pytest.mark.parametrize("value", TURNS)
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_a_picture_is_turned_as_each_value_of_its_exif_says(form: str, value: int) -> None:
    blocks = np.zeros((16, 32, 3), np.uint8)  # a corner, and an edge beside it: no turn leaves them where they are
    blocks[:8, :8], blocks[:8, 8:16] = 255, (255, 0, 0)
    options: dict[str, Any] = {"lossless": True} if form == "WEBP" else {"quality": 100, "subsampling": "4:4:4"}
    data = encoded(blocks, form, exif=exif(value), **({} if form in ("PNG", "TIFF") else options))
    expected = TURNS[value](blocks)
    found = seen(data)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 12


@pytest.mark.parametrize("before", [True, False])
def test_exif_counts_wherever_the_xmp_is(before: bool) -> None:
    plain = encoded(COLOURS, "JPEG")
    parts = [app1(XMP % 1), app1(b"Exif\0\0" + exif(6).removeprefix(b"Exif\0\0"))]
    data = plain[:2] + b"".join(parts if before else parts[::-1]) + plain[2:]
    assert (seen(data) == np.rot90(seen(plain), -1)).all()


def test_xmp_counts_where_there_is_no_exif() -> None:
    plain = encoded(COLOURS, "JPEG")
    assert (seen(plain[:2] + app1(XMP % 8) + plain[2:]) == np.rot90(seen(plain))).all()


def test_metadata_that_cannot_be_read_do_no_harm_even_where_warnings_are_errors() -> None:
    plain = encoded(COLOURS, "JPEG")
    cut = b"Exif\0\0II*\0\x08\0\0\0\2\0\x0f\1\2\0\xff\0\0\0\0\xff\0\0\x12\1\3\0"
    data = plain[:2] + app1(cut) + plain[2:]
    assert (seen(data) == seen(plain)).all()
    entries = tiff(GREYS[..., None], 8, 1, extra={700: 3})  # of XMP, a number
    palette = encoded(COLOURS, "PNG", "P", transparency=bytes(range(256)))
    for other in (entries, palette):
        decode(other, 3)
    code = f"from tp_vision.processors.picture_files import opened\nfor data in {[data, entries, palette]!r}:\n"
    code += "    picture = opened(data, 10**6).picture\n    picture.load()\n    picture.getexif()"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


# -- whole files -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [b"IHDR", b"tEXt", b"PLTE", b"IDAT", b"IEND"])
def test_a_wrong_checksum_of_a_png_is_told_whatever_part_it_is_of(name: bytes) -> None:
    from PIL.PngImagePlugin import PngInfo

    words = PngInfo()
    words.add_text("title", "a picture")
    data = bytearray(encoded(COLOURS, "PNG", "P", pnginfo=words))
    decode(bytes(data), 3)
    place = data.index(name)
    (length,) = struct.unpack(">L", data[place - 4 : place])
    data[place + 4 + length + 2] ^= 1
    with pytest.raises(ValueError, match=f"damaged or cut off .wrong checksum of the part {name.decode()}."):
        decode(bytes(data), 3)


def test_a_png_without_its_last_part_is_cut_off_and_one_with_more_behind_it_is_whole() -> None:
    data = encoded(COLOURS, "PNG")
    with pytest.raises(ValueError, match=r"damaged or cut off \(the end of the file is missing\)"):
        decode(data[:-12], 3)
    assert (seen(data + b"more") == COLOURS).all()


# -- sizes -------------------------------------------------------------------------------------------------------


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def with_size(form: str, width: int, height: int) -> bytes:
    """A small file that says it were larger."""
    data = bytearray(encoded(COLOURS, form, "P" if form == "GIF" else None))
    if form == "JPEG":
        place = data.index(b"\xff\xc0") + 5
        data[place : place + 4] = struct.pack(">HH", height, width)
    elif form == "PNG":
        data[8:33] = chunk(b"IHDR", struct.pack(">II", width, height) + data[24:29])
    elif form == "GIF":
        data[6:10] = struct.pack("<HH", width, height)
    elif form == "WEBP":
        data[26:30] = struct.pack("<HH", width, height)
    elif form == "BMP":
        data[18:26] = struct.pack("<ii", width, height)
    elif form == "TIFF":
        for tag, length in ((256, width), (257, height)):
            place = next(m.start() for m in re.finditer(re.escape(struct.pack("<HH", tag, 4)), bytes(data)))
            data[place : place + 12] = struct.pack("<HHLL", tag, 4, 1, length)
    elif form == "PPM":
        data = bytearray(b"P6 %d %d 255\n" % (width, height)) + data[-100:]
    elif form == "TGA":
        data[12:16] = struct.pack("<HH", width, height)
    else:
        place = data.index(b"ispe") + 8
        data[place : place + 8] = struct.pack(">II", width, height)
    return bytes(data)


def memory() -> int:
    """The most that this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


FORMS = ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "TGA", "AVIF"]


@pytest.mark.parametrize("form", FORMS)
def test_in_every_format_a_size_beyond_the_limit_is_told_before_memory_is_asked_for(form: str) -> None:
    width, height = (16001, 16002) if form in ("WEBP", "AVIF") else (65500, 65501)
    before = memory()
    with pytest.raises(ValueError, match=f"has {height} x {width} pixels; at most 89,478,485 are decoded"):
        decode(with_size(form, width, height), 3)
    assert memory() - before < 100


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
def test_the_limit_is_an_option(form: str) -> None:
    assert decode(encoded(COLOURS, form), 3, max_pixels=480).shape == (3, 20, 24)
    with pytest.raises(ValueError, match=r"it has 20 x 24 pixels; at most 479 are decoded"):
        decode(encoded(COLOURS, form), 3, max_pixels=479)


def test_a_picture_that_is_too_large_is_a_bad_record_and_the_others_are_prepared() -> None:
    data = DataContext(targets=targets(cls={"num_labels": 2}))
    made = ImageProcessor(ImageProcessorConfig(image_size=8, max_pixels=500), data)
    told: list[str] = []
    values = [encoded(COLOURS), encoded(pixels(20, 26)), with_size("JPEG", 65500, 65500), encoded(COLOURS, "BMP")]
    records = (Record({"image": value, "label": 0}, "list.tsv", n) for n, value in enumerate(values, 2))
    rows = [row for columns in made.prepare(records, lambda error: told.append(str(error))) for row in columns["image"]]
    assert rows == [values[0], values[3]]
    limit = "at most 500 are decoded (the option max_pixels)"
    assert told == [
        f"list.tsv:3: the image cannot be read: it has 20 x 26 pixels; {limit}",
        f"list.tsv:4: the image cannot be read: it has 65500 x 65500 pixels; {limit}",
    ]


def pictures(size: int, **options: Any) -> Pictures:
    return Pictures(PictureProcessorConfig(image_size=size, **options), (size, size), 3)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("shape", [(30000, 1), (1, 30000), (20000, 3)])
def test_of_a_line_only_what_is_kept_is_scaled(shape: tuple[int, int], interpolation: Any) -> None:
    line = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, *shape), dtype=np.uint8))
    before = memory()
    made = pictures(224, interpolation=interpolation, augment=Augmentation(crop="padded", flip=0.5, rand_augment=2))
    assert made.plain(line).shape == (3, 224, 224)
    assert made.augmented(line, np.random.default_rng(0)).shape == (3, 224, 224)
    assert memory() - before < 300


@pytest.mark.parametrize("mode", [InterpolationMode.BILINEAR, InterpolationMode.BICUBIC])
@pytest.mark.parametrize(
    ("shape", "scaled", "size"), [((3, 9000), (100, 300_000), (100, 100)), ((4000, 9), (16_000, 36), (9, 36))]
)
def test_what_is_kept_of_a_line_is_what_scaling_the_whole_gives(
    shape: tuple[int, int], scaled: tuple[int, int], size: tuple[int, int], mode: InterpolationMode
) -> None:
    import tp_vision.processors.scaling as scaling

    line = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, *shape), dtype=np.uint8))
    whole: Tensor = functional.resize(line, list(scaled), mode, antialias=True)
    top, left = (scaled[0] - size[0]) // 2, (scaled[1] - size[1]) // 2
    expected = whole[:, top : top + size[0], left : left + size[1]]
    assert scaled[0] * scaled[1] > scaling._TIMES * size[0] * size[1]
    part = scaling._part(line, scaled, (top, left), size, mode)
    assert int((part.int() - expected.int()).abs().max()) <= 2
    chosen = part if whole[0].numel() > scaling._LARGE else expected
    assert torch.equal(scaled_middle(line, scaled, size, mode), chosen)


# -- JPEG of which a part is missing -----------------------------------------------------------------------------------

NOISE = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
#: Sequential files with one scan of all, one for each restart, and one for each component; and one of ten scans.
JPEGS = {
    "plain": encoded(NOISE, "JPEG"),
    "grey": encoded(NOISE, "JPEG", "L"),
    "cmyk": encoded(NOISE, "JPEG", "CMYK"),
    "restarts": encoded(NOISE, "JPEG", restart_marker_rows=1),
    "progressive": encoded(NOISE, "JPEG", progressive=True),
}


def of_missing(data: bytes, channels: int = 3) -> str:
    with pytest.raises(ValueError, match="it is damaged or cut off") as error:
        decode(data, channels)
    return str(error.value)


@pytest.mark.parametrize("name", JPEGS)
def test_a_jpeg_that_was_cut_or_overwritten_with_zeros_is_damaged_even_with_an_end_mark(name: str) -> None:
    data = JPEGS[name]
    start, end = data.index(b"\xff\xda") + 20, data.rindex(b"\xff\xd9")
    for channels in (1, 3):
        decode(data, channels)
        for part in (0.1, 0.4, 0.6):
            place = start + int(part * (end - start))
            of_missing(data[:place], channels)
            of_missing(data[:place] + b"\xff\xd9", channels)
            of_missing(data[:place] + bytes(end - place), channels)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 1}, {"subsampling": 0}])
def test_a_jpeg_that_is_grey_itself_and_one_with_more_behind_it_are_whole(mode: str, options: dict[str, Any]) -> None:
    grey = encoded(np.full((33, 47, 3), 128, np.uint8), "JPEG", mode, **options)
    assert np.abs(seen(grey) - 128).max() <= 1
    assert (seen(grey + b"\0" * 100 + grey) == seen(grey)).all()


def test_scans_of_the_components_of_a_jpeg_must_all_be_there() -> None:
    """Written by hand: 8 x 8 pixels, each component in a scan of its own, all of 0 but for their first values."""
    quantum = b"\xff\xdb\0\x43\0" + b"\x01" * 64
    frame = b"\xff\xc0\0\x11\x08\0\x08\0\x08\x03" + b"".join(bytes([part, 0x11, 0]) for part in (1, 2, 3))
    # Of each table, one code of one bit: 8 bits more for the first values, and for the others the end of the block.
    tables = b"".join(
        b"\xff\xc4\0\x14" + bytes([kind, 1]) + bytes(15) + bytes([value]) for kind, value in ((0, 8), (0x10, 0))
    )
    # 0, then 11001000 (200 of 8, so that all pixels are 128 + 25), then 0 and ones to the end of the byte.
    scans = [b"\xff\xda\0\x08\x01" + bytes([part, 0, 0, 63, 0]) + b"\x64\x3f" for part in (1, 2, 3)]
    whole = b"\xff\xd8" + quantum + frame + tables + b"".join(scans) + b"\xff\xd9"
    expected = 128 + 25 + np.array([1.402, -0.344136 - 0.714136, 1.772]) * 25
    assert np.abs(seen(whole) - expected.clip(0, 255)).max() <= 1
    assert "some of its scans are missing" in of_missing(whole.replace(scans[2], b""))


def test_a_header_without_an_end_is_not_read_byte_by_byte() -> None:
    large = NOISE.repeat(40, 0).repeat(2, 1)
    for header in (b"P6\n# a comment\n100 #\n1600\n255\n", b"P6 100 1600 255 "):
        assert (seen(header + large.tobytes()) == large).all()
    for data in (b"P6 #" + b"a" * (1 << 17), b"P5 " + b"1 2" + b" " * (1 << 17)):
        assert "its header does not end" in of_missing(data)
