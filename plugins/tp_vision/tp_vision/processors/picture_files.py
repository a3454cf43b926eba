"""Format, completeness and size of picture files, checked before pixels are decoded.

Pillow decodes. ``Image.open`` is not used, because it tries every registered reader, also those of other libraries.
Here, the first bytes of a file choose its reader, and one limit of size holds for all formats.
"""

from __future__ import annotations

import io
import re
import struct
import warnings
import zlib
from typing import NamedTuple

from PIL import Image, ImageFile
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.TgaImagePlugin import TgaImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from tp_vision.processors.jpeg import Scans, read_scans
from tp_vision.processors.tiff import Tiff, read_tiff, with_planes

# Pillow warns of invalid metadata, such as the EXIF of some pictures of ImageNet, although the pixels are valid.
warnings.filterwarnings("ignore", module=r"PIL\.")

#: The formats that can be read, for messages.
KINDS = "JPEG, PNG, GIF, WebP, BMP, TIFF, PPM, PGM, PBM, AVIF and TGA"

_BEGINNINGS: tuple[tuple[bytes, type[ImageFile.ImageFile]], ...] = (
    (b"\xff\xd8\xff", JpegImageFile),
    (b"\x89PNG\r\n\x1a\n", PngImageFile),
    (b"GIF87a", GifImageFile),
    (b"GIF89a", GifImageFile),
    (b"BM", BmpImageFile),
    (b"II*\x00", TiffImageFile),
    (b"MM\x00*", TiffImageFile),
    (b"II+\x00", TiffImageFile),  # BigTIFF
    (b"MM\x00+", TiffImageFile),
)

#: A header of the Netpbm formats: a kind and two or three numbers, separated by spaces and comments.
_NETPBM = re.compile(rb"P(?:[14]|[2356](?:\s|#[^\r\n]*[\r\n])+\d+)(?:(?:\s|#[^\r\n]*[\r\n])+\d+){2}\s")

#: Maximum size of such a header in bytes, because Pillow reads it byte by byte.
_NETPBM_HEADER = 1 << 16

#: Brands of the AVIF container; other formats use the last two as well.
_AVIF = (b"avif", b"avis", b"mif1", b"msf1")


class DamagedPictureError(ValueError):
    """Error for a file that is incomplete or violates its format."""

    def __init__(self, detail: str, unread: bool = False) -> None:
        lines = detail.strip().splitlines()
        kinds = "damaged, cut off or of an unsupported variant of its format" if unread else "damaged or cut off"
        super().__init__(f"it is {kinds}" + (f" ({lines[0].rstrip('.')})" if lines else ""))


class Opened(NamedTuple):
    """A picture whose pixels are not decoded yet, its file, and additional facts about a TIFF or JPEG."""

    picture: ImageFile.ImageFile
    data: bytes
    tiff: Tiff | None
    scans: Scans | None


def opened(data: bytes, max_pixels: int) -> Opened:
    """Open a picture file without decoding its pixels.

    Raises:
        ValueError: the file is not a picture, is damaged, or has more pixels than ``max_pixels``.
    """
    reader = _reader(data)
    if reader is None:
        raise ValueError(f"it is not a picture; {KINDS} can be read")
    if reader is PngImageFile:
        _check_png(data)
    if reader is PpmImageFile and len(data) > _NETPBM_HEADER and not _NETPBM.match(data, 0, _NETPBM_HEADER):
        raise DamagedPictureError("its header does not end")
    if reader is WebPImageFile:  # its reader allocates memory when it opens a file
        _check_size(_webp_size(data), max_pixels)
    tiff = _tiff(data) if reader is TiffImageFile else None
    scans = _scans(data) if reader is JpegImageFile else None
    try:
        picture = reader(io.BytesIO(data if tiff is None else tiff.data))
    except Image.DecompressionBombError as error:
        raise ValueError(f"it has too many pixels ({error})") from None
    except Exception as error:
        ends = isinstance(error.__cause__, (IndexError, EOFError, struct.error))
        raise DamagedPictureError(
            str(error) or type(error).__name__, isinstance(error, SyntaxError) and not ends
        ) from None
    _check_size(picture.size, max_pixels)
    if not isinstance(picture.info.get("xmp", b""), (bytes, str)):
        del picture.info["xmp"]  # a TIFF tag of another type, with which Pillow fails to decode
    if tiff is not None and tiff.planes and isinstance(picture, TiffImageFile):
        with_planes(picture, tiff.order)
    return Opened(picture, data, tiff, scans)


def _reader(data: bytes) -> type[ImageFile.ImageFile] | None:
    for beginning, reader in _BEGINNINGS:
        if data.startswith(beginning):
            return reader
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return WebPImageFile
    if data[4:8] == b"ftyp" and data[8:12] in _AVIF:
        return AvifImageFile
    if data[:1] == b"P" and data[1:2] in b"123456" and data[2:3].isspace():
        return PpmImageFile
    return TgaImageFile if _is_tga(data) else None


def _is_tga(data: bytes) -> bool:
    """Recognise TGA by the valid values of its 18-byte header, because it has no signature."""
    if len(data) < 18:
        return False
    palette, kind, depth = data[1], data[2], data[16]
    depths = {1: (8,), 2: (16, 24, 32), 3: (1, 8, 16)}.get(kind & ~8, ())
    return kind < 16 and depth in depths and palette in ((1,) if kind & ~8 == 1 else (0, 1)) and data[17] < 0x40


def _tiff(data: bytes) -> Tiff:
    try:
        return read_tiff(data)
    except (struct.error, OverflowError):
        raise DamagedPictureError("the end of the file is missing") from None


def _scans(data: bytes) -> Scans | None:
    try:
        scans = read_scans(data)
    except EOFError:
        raise DamagedPictureError("the end of the file is missing") from None
    if scans is not None and scans.lacking:
        raise DamagedPictureError("some of its scans are missing")
    return scans


def _check_size(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        message = f"it has {height} x {width} pixels; at most {max_pixels:,} are decoded (the option max_pixels)"
        raise ValueError(message)


def _webp_size(data: bytes) -> tuple[int, int]:
    """Width and height, from the first chunk of a WebP; (0, 0) if the chunk is of an unknown type."""
    part = data[12:16]
    if part == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if part == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if part == b"VP8 ":
        return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF
    return 0, 0


def _check_png(data: bytes) -> None:
    """Verify the checksums of a PNG. Pillow ignores those of pixel data.

    Raises:
        DamagedPictureError: a checksum is wrong, or the end of the file is missing.
    """
    view, place, name = memoryview(data), 8, b""
    while name != b"IEND":
        length, name = int.from_bytes(view[place : place + 4], "big"), bytes(view[place + 4 : place + 8])
        end = place + 8 + length
        if end + 4 > len(view):
            raise DamagedPictureError("the end of the file is missing")
        if zlib.crc32(view[place + 4 : end]) != int.from_bytes(view[end : end + 4], "big"):
            raise DamagedPictureError(f"wrong checksum of the part {name.decode('ascii', 'backslashreplace')}")
        place = end + 4
