"""Which files a list of paths names, and in which form each of them is. Torch-free."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tp_core.errors import DataError
from tp_core.suggest import did_you_mean

HUB = "hf://"

#: File name extension → form; any other extension, and none, is plain text.
FORMS = {
    ".txt": "text",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".tsv": "tsv",
    ".csv": "csv",
    ".parquet": "parquet",
    **dict.fromkeys((".arrow", ".feather"), "arrow"),
    ".tar": "tar",
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"), "image"),
    **dict.fromkeys((".wav", ".flac", ".ogg", ".opus", ".mp3"), "audio"),
}

#: Forms that a file has only where it is named itself: in a folder, it may belong to a cache.
_NAMED_ONLY = ("arrow",)

#: Forms of which a file is one record: a picture, a recording.
MEDIA = ("image", "audio")


@dataclass(frozen=True)
class Source:
    """One thing that records are read from.

    Attributes:
        path: file or folder, or the ``hf://`` name as written.
        form: a value of :data:`FORMS`, ``saved`` (a Hugging Face dataset on disk) or ``hub``.
        label: of a picture or recording in a folder inside the one that was named, that folder's name.
    """

    path: str
    form: str
    label: str | None = None

    @property
    def compressed(self) -> bool:
        return self.form not in ("saved", "hub", "tar", *MEDIA) and self.path.lower().endswith(".gz")


def find_sources(paths: list[str]) -> list[Source]:
    """The sources that files, folders and ``hf://`` names stand for, in order; a folder's files are sorted.

    Hidden files, files of no known form and Arrow files are passed over in folders.

    Raises:
        DataError: a path that does not exist, or a folder without any file of a known form.
    """
    found: list[Source] = []
    for path in paths:
        if path.startswith(HUB):
            found.append(Source(path, "hub"))
        elif os.path.isdir(path):
            try:
                inside = list(_walk(Path(path)))
            except OSError as error:
                raise DataError(f"cannot be read: {error.strerror}", file=error.filename or path) from error
            if not inside:
                raise DataError(f"no file in this folder is of a known form ({', '.join(FORMS)})", file=path)
            found += inside
        elif os.path.exists(path):
            found.append(Source(path, form_of(path) or "text"))
        else:
            raise DataError(_missing(Path(path)), file=path)
    return found


def form_of(path: str) -> str | None:
    """The form that a file's name says, or None for an extension that says nothing."""
    name = path.lower().removesuffix(".gz")
    return FORMS.get(os.path.splitext(name)[1])


def _walk(folder: Path, label: str | None = None) -> Iterator[Source]:
    if (folder / "dataset_dict.json").is_file():
        splits = sorted(p.name for p in folder.iterdir() if _is_saved_dataset(p))
        example = folder / (splits[0] if splits else "train")
        raise DataError(
            f"this is a saved dataset of several splits ({', '.join(splits)}); name one of them: {example}",
            file=str(folder),
        )
    if _is_saved_dataset(folder):
        yield Source(str(folder), "saved")
        return
    with os.scandir(folder) as entries:  # says of most what they are: of a million files, none is asked
        inside = sorted((entry.name, entry.is_dir(follow_symlinks=False), entry.is_symlink()) for entry in entries)
    begin = str(folder / "_")[:-1]  # nothing for the present folder
    for name, is_folder, is_link in inside:
        if name.startswith((".", "_")):
            continue
        if is_folder or (is_link and (folder / name).is_dir()):
            yield from _walk(folder / name, name)
        elif (form := form_of(name)) and form not in _NAMED_ONLY:
            yield Source(begin + name, form, label if form in MEDIA else None)


def _is_saved_dataset(folder: Path) -> bool:
    return (folder / "dataset_info.json").is_file() and (folder / "state.json").is_file()


def _missing(path: Path) -> str:
    near = ""
    if path.parent.is_dir():
        near = did_you_mean(path.name, (p.name for p in path.parent.iterdir()))
    return "no such file or folder" + (f"; {near}" if near else "")
