"""Things that records are read from, and their forms, which the names of files say. Torch-free."""

from __future__ import annotations

import os
from typing import NamedTuple

HUB = "hf://"

#: The path of the standard input, which is read once.
STDIN = "<stdin>"

#: Endings of pictures and recordings.
_PICTURES = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".gif", ".webp", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".avifs", ".tga"),
)
_RECORDINGS = (
    *(".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3"),
    *(".au", ".snd", ".aif", ".aiff", ".aifc", ".caf", ".w64", ".rf64", ".sph", ".nist"),
)

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
    **dict.fromkeys((".tgz", ".tbz", ".tbz2", ".txz"), "tar"),
    **dict.fromkeys(_PICTURES, "image"),
    **dict.fromkeys(_RECORDINGS, "audio"),
}

#: Endings of compressed files, and the forms that are unpacked as they are read.
_COMPRESSED = {
    ".gz": ("text", "jsonl", "json", "tsv", "csv", "parquet", "arrow", "tar"),
    ".bz2": ("tar",),
    ".xz": ("tar",),
}

#: Forms of which a file is one record: a picture, a recording.
MEDIA = ("image", "audio")


class Source(NamedTuple):
    """One thing that records are read from.

    Attributes:
        path: file or folder, or the ``hf://`` name as written.
        form: a value of :data:`FORMS`, ``saved`` (a Hugging Face dataset on disk) or ``hub``.
        label: of a picture or recording in a folder inside the one that was named, the class that this folder stands
            for.
        lists: of a table of pictures or recordings beside them, which of these there are, by their paths inside the
            table's folder; None for any other file.
    """

    path: str
    form: str
    label: str | None = None
    lists: frozenset[str] | None = None

    @property
    def compressed(self) -> bool:
        return self.form not in ("saved", "hub", "tar", *MEDIA) and self.path.lower().endswith(".gz")


def form_of(path: str) -> str | None:
    """The form that a file's name says, or None for an extension that says nothing."""
    stem, dot, extension = path.rpartition(".")
    extension = dot + extension.lower()
    if stem[-1:] in ("", "/", os.sep):
        return None  # a hidden file
    if extension in _COMPRESSED:
        form = FORMS.get(os.path.splitext(stem.lower())[1])
        return form if form in _COMPRESSED[extension] else None
    return FORMS.get(extension)
