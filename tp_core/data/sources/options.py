"""Options of our own sources, and the formats by file ending. Torch-free."""

import functools
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.marks import PathStr
from tp_core.options.source import SourceConfig

if TYPE_CHECKING:
    from tp_core.data.sources.file import FileSource

HUB = "hf://"

#: The path that means the standard input, which can be read only once.
STDIN = "<stdin>"


class FileConfig(SourceConfig):
    """Base class of the options of our own formats. One source is made per file of a folder."""

    #: The name of the format.
    form: ClassVar[str] = ""
    #: Endings of compressed files, which follow the ending of the format.
    compressed_endings: ClassVar[tuple[str, ...]] = ()
    #: True if a file is a single record, such as a picture or a recording.
    is_record: ClassVar[bool] = False
    #: True if the first record determines the columns.
    is_table: ClassVar[bool] = False
    #: True if a file is read only if it is given by its own path; in a folder, it may belong to a cache.
    only_named: ClassVar[bool] = False

    path: PathStr = Field(
        description="a file with any name; a pattern; or a folder, whose files of this format are read"
    )

    @classmethod
    def file(cls, path: str, label: str | None = None, lists: frozenset[str] | None = None) -> "FileSource":
        """The source for a file of this format, with the defaults of other options."""
        return _implementation(cls)(cls.model_construct(path=path), label, lists)

    def at(self, path: str) -> "FileSource":
        """The source for a file of this format, with these options."""
        return _implementation(type(self))(self.model_copy(update={"path": path}))

    def build(self) -> "FileSource":
        return self.at(self.path)


@functools.cache
def _implementation(config: type[FileConfig]) -> "type[FileSource]":
    """The source class of a format, cached since it is needed once per file of a folder."""
    found: type[FileSource] = config.implemented()
    return found


class TextConfig(FileConfig):
    """Plain text: a line is a record, as ``text``."""

    implementation: ClassVar[str] = "tp_core.data.sources.text:TextFile"
    form: ClassVar[str] = "text"
    endings: ClassVar[tuple[str, ...]] = (".txt",)
    compressed_endings: ClassVar[tuple[str, ...]] = (".gz",)


class JsonLinesConfig(FileConfig):
    """JSON lines: an object per line."""

    implementation: ClassVar[str] = "tp_core.data.sources.json_objects:JsonLines"
    form: ClassVar[str] = "jsonl"
    endings: ClassVar[tuple[str, ...]] = (".jsonl", ".ndjson")
    compressed_endings: ClassVar[tuple[str, ...]] = (".gz",)
    is_table: ClassVar[bool] = True


class JsonConfig(FileConfig):
    """JSON: a list of objects, an object per line, or questions in the form of SQuAD."""

    implementation: ClassVar[str] = "tp_core.data.sources.json_objects:JsonFile"
    form: ClassVar[str] = "json"
    endings: ClassVar[tuple[str, ...]] = (".json",)
    compressed_endings: ClassVar[tuple[str, ...]] = (".gz",)
    is_table: ClassVar[bool] = True


class SquadConfig(FileConfig):
    """Questions about texts, in the nested JSON form of SQuAD, CMRC 2018 and DRCD: a question is a record.

    A ``.json`` file of this form is recognised by itself.
    """

    implementation: ClassVar[str] = "tp_core.data.sources.squad:SquadFile"
    form: ClassVar[str] = "squad"


class TableConfig(FileConfig):
    """Base of the options of files with rows of cells."""

    names: list[str] | None = Field(
        None,
        min_length=1,
        description="names of the columns, in order, for a file whose first line has none; default: those of the first "
        "line",
    )

    def check(self, context: BuildContext) -> Iterator[Problem]:
        names = self.names or []
        twice = [name for number, name in enumerate(names) if name in names[:number]]
        if twice:
            yield Problem("names", f"two columns are named '{twice[0]}'")


class TsvConfig(TableConfig):
    """Tab-separated values: the first line names the columns, and quotes have no special meaning."""

    implementation: ClassVar[str] = "tp_core.data.sources.table:TsvFile"
    form: ClassVar[str] = "tsv"
    endings: ClassVar[tuple[str, ...]] = (".tsv",)
    compressed_endings: ClassVar[tuple[str, ...]] = (".gz",)
    is_table: ClassVar[bool] = True


class CsvConfig(TableConfig):
    """Comma-separated values: the first line names the columns, and quoted cells may span lines."""

    implementation: ClassVar[str] = "tp_core.data.sources.csv_table:CsvFile"
    form: ClassVar[str] = "csv"
    endings: ClassVar[tuple[str, ...]] = (".csv",)
    compressed_endings: ClassVar[tuple[str, ...]] = (".gz",)
    is_table: ClassVar[bool] = True


class ParquetConfig(FileConfig):
    """Parquet: a row is a record."""

    implementation: ClassVar[str] = "tp_core.data.sources.arrow_tables:ParquetFile"
    form: ClassVar[str] = "parquet"
    endings: ClassVar[tuple[str, ...]] = (".parquet",)
    compressed_endings: ClassVar[tuple[str, ...]] = (".gz",)  # the reader rejects it with advice
    is_table: ClassVar[bool] = True


class ArrowConfig(FileConfig):
    """Arrow files and streams, including Feather: a row is a record."""

    implementation: ClassVar[str] = "tp_core.data.sources.arrow_tables:ArrowFile"
    form: ClassVar[str] = "arrow"
    endings: ClassVar[tuple[str, ...]] = (".arrow", ".feather")
    compressed_endings: ClassVar[tuple[str, ...]] = (".gz",)  # the reader rejects it, too
    only_named: ClassVar[bool] = True


class TarConfig(FileConfig):
    """Shards of a web dataset: members with the same name before the first dot are a record."""

    implementation: ClassVar[str] = "tp_core.data.sources.shards:TarShard"
    form: ClassVar[str] = "tar"
    endings: ClassVar[tuple[str, ...]] = (".tar", ".tgz", ".tbz", ".tbz2", ".txz")
    compressed_endings: ClassVar[tuple[str, ...]] = (".gz", ".bz2", ".xz")


class ImageConfig(FileConfig):
    """Pictures: a file is a record with the field ``image``; its folder is the label."""

    implementation: ClassVar[str] = "tp_core.data.sources.media:MediaFile"
    form: ClassVar[str] = "image"
    endings: ClassVar[tuple[str, ...]] = (
        *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".gif", ".webp", ".tif", ".tiff"),
        *(".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".avifs", ".tga"),
    )
    is_record: ClassVar[bool] = True


class AudioConfig(FileConfig):
    """Recordings: a file is a record with the field ``audio``; its folder is the label."""

    implementation: ClassVar[str] = "tp_core.data.sources.media:MediaFile"
    form: ClassVar[str] = "audio"
    endings: ClassVar[tuple[str, ...]] = (
        *(".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3"),
        *(".au", ".snd", ".aif", ".aiff", ".aifc", ".caf", ".w64", ".rf64", ".sph", ".nist"),
    )
    is_record: ClassVar[bool] = True


class LibriSpeechConfig(FileConfig):
    """Transcripts of LibriSpeech: a line of ``*.trans.txt`` names a recording beside the file, and has its text."""

    implementation: ClassVar[str] = "tp_core.data.sources.librispeech:TranscriptFile"
    form: ClassVar[str] = "librispeech"
    #: The ending of a file of transcripts, where texts of recordings are read. Elsewhere, it is that of plain text.
    ending: ClassVar[str] = ".trans.txt"


class SavedConfig(FileConfig):
    """A folder saved by the ``datasets`` library of Hugging Face (``pip install 'tp-core[hub]'``)."""

    implementation: ClassVar[str] = "tp_core.data.sources.huggingface:SavedDataset"
    form: ClassVar[str] = "saved"

    path: PathStr = Field(description="the folder")


class HubConfig(FileConfig):
    """A dataset of the Hugging Face hub (``pip install 'tp-core[hub]'``)."""

    implementation: ClassVar[str] = "tp_core.data.sources.huggingface:HubDataset"
    form: ClassVar[str] = "hub"

    path: PathStr = Field(description="hf://name[/config][:split]")

    def check(self, context: BuildContext) -> Iterator[Problem]:
        if not self.path.startswith(HUB):
            yield Problem("path", "expected hf://name[/config][:split], for example hf://nyu-mll/glue/mrpc:train")


_EVERY: tuple[type[FileConfig], ...] = (
    *(TextConfig, JsonLinesConfig, JsonConfig, SquadConfig, TsvConfig, CsvConfig, ParquetConfig, ArrowConfig),
    *(TarConfig, ImageConfig, AudioConfig, LibriSpeechConfig, SavedConfig, HubConfig),
)

#: Our own formats, by name.
FORMATS = {config.form: config for config in _EVERY}

#: Ending of a file's name → format; files with another ending or none are plain text.
FORMS = {ending: config.form for config in _EVERY for ending in config.endings}

#: Formats whose files are one record each.
MEDIA = tuple(config.form for config in _EVERY if config.is_record)


def form_of(path: str) -> str | None:
    """The format according to a file's name; None for an unknown ending."""
    stem, dot, extension = path.rpartition(".")
    extension = dot + extension.lower()
    if stem[-1:] in ("", "/", os.sep):
        return None  # a hidden file
    if extension in FORMS:
        return FORMS[extension]
    form = FORMS.get(os.path.splitext(stem.lower())[1], "")
    return form if form and extension in FORMATS[form].compressed_endings else None
