"""The sources in a folder: pictures and recordings with the tables that list them, or files of records. Torch-free.

If a processor reads pictures or recordings, each of them in a folder is a record. So is each row or member of a file
that contains some (shards, Parquet). ``metadata.csv``, ``metadata.jsonl`` or ``metadata.parquet`` with a column
``file_name`` provides the fields of the files in its folder and below, as in Hugging Face's ImageFolder. If texts of
recordings are read, ``*.trans.txt`` provides those of the recordings in its folder, as in LibriSpeech. Other tables are
read only in folders that have no pictures and recordings. All other files are skipped and counted.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from tp_core.data.classes.names import as_compared
from tp_core.data.sources.file import FileSource
from tp_core.data.sources.folder_rules import FolderRules
from tp_core.data.sources.librispeech import belonging, is_transcript
from tp_core.data.sources.listing import FILE_NAME
from tp_core.data.sources.options import FORMATS, FORMS, MEDIA, AudioConfig, LibriSpeechConfig, form_of
from tp_core.data.sources.passed_over import PassedOver, ending
from tp_core.errors import DataError
from tp_core.files.folders import Folder, Found, Kind, tree

_METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")


def folder_sources(path: str, rules: FolderRules, passed: PassedOver, named: str = "") -> list[FileSource]:
    """The sources in a folder and below, in the order of their names.

    Args:
        passed: counts the skipped files.
        named: the format that the spec names. Its files are read even if folders otherwise do not include this format.

    Raises:
        DataError: nothing can be read, the folder is a saved dataset of several splits, or two folders would have the
            same class.
        OSError: a folder cannot be read.
    """
    begin = str(Path(path))
    root = tree("" if begin == "." else begin, _is_closed)
    if root.closed:
        return [FORMATS["saved"].file(path)]
    inside = _Inside(root, path, rules, named)
    found = list(inside.sources())
    if inside.passed:
        passed.add(path, inside.passed)
    if inside.note:
        passed.note(f"{path}: {inside.note}")
    if not found:
        raise DataError(_nothing(rules, passed.of(path)), file=path)
    return found


def _nothing(rules: FolderRules, passed: str) -> str:
    if rules.media is None:
        return f"no file in this folder is of a known form ({', '.join(FORMS)})" + (f"; it has {passed}" * bool(passed))
    wanted = " or ".join(sorted(f"'{name}'" for name in rules.media_columns)) or "text"
    found = f"; it has {passed}" if passed else ""
    kinds = ", ".join(sorted(rules.media_forms & set(MEDIA))) or "text"
    return f"no file in this folder holds records that have {wanted} ({kinds} files, tables, shards){found}"


def _is_closed(path: str, names: Collection[str]) -> bool:
    """True for the folder of a saved dataset.

    Raises:
        DataError: the dataset has several splits.
    """
    if "dataset_dict.json" in names:
        splits = sorted(name for name in names if _is_saved_dataset(os.path.join(path, name)))
        example = os.path.join(path, splits[0] if splits else "train")
        raise DataError(
            f"this is a saved dataset of several splits ({', '.join(splits)}); name one of them: {example}", file=path
        )
    return "dataset_info.json" in names and "state.json" in names


def _is_saved_dataset(folder: str) -> bool:
    return all(os.path.isfile(os.path.join(folder, name)) for name in ("dataset_info.json", "state.json"))


class _Inside:
    """The files of a folder, divided into those that are read and those that are skipped.

    Attributes:
        passed: number of skipped files by kind.
        note: the reason why files have no labels; empty if they have.
    """

    def __init__(self, root: Folder, path: str, rules: FolderRules, named: str) -> None:
        self.path, self.rules, self.named, self.passed, self.note = path, rules, named, Counter[str](), ""
        self._every = [(each, form_of(each.name) if each.kind is Kind.FILE else None) for each in root.files()]
        self._transcripts: dict[str, frozenset[str]] = {}  # path → names of the recordings in its folder that it lists
        self._transcribed = frozenset[str]()  # paths of all these recordings
        self._tables: dict[str, str] = {}  # path → the reason why it is skipped; empty if it is read
        self._forms = rules.media_forms if rules.media is None or rules.media else frozenset[str]()
        self._media = [each for each, form in self._every if form in self._forms]
        self._listings = self._find_listings()
        if named == LibriSpeechConfig.form or (rules.transcribed and not named):
            self._find_transcripts()
        if rules.media and (rules.needs_media or self._media):
            self._choose_tables()
        self._labels = self._find_labels()

    def sources(self) -> Iterator[FileSource]:
        listed = self._listed()
        for each, form in self._every:
            if each.path in self._transcripts:
                yield LibriSpeechConfig.file(each.path, lists=self._transcripts[each.path])
            elif each.path in self._transcribed:
                continue
            elif form in self._forms:
                if not listed or _around(each.folder, self._listings) is None:
                    yield FORMATS[form].file(each.path, self._labels.get(each.folder))
            elif each.kind is Kind.CLOSED:
                yield FORMATS["saved"].file(each.path)
            elif each.path in listed:
                assert form is not None
                yield FORMATS[form].file(each.path, lists=listed[each.path])
            elif why := self._passed_over(each, form):
                self.passed[why] += 1
            else:
                assert form is not None
                yield FORMATS[form].file(each.path)

    def _passed_over(self, each: Found, form: str | None) -> str:
        """The reason why a file is skipped; empty if it is read."""
        if each.kind is not Kind.FILE:
            return str(each.kind.value)
        read = form is not None and (form == self.named or not FORMATS[form].only_named)
        if form in MEDIA or (form == "text" and self.rules.media and not self._text_is_read()):
            read = self.rules.media is None
        return self._tables.get(each.path, "") if read else ending(each.name)

    def _text_is_read(self) -> bool:
        return not self._media and ("text" in self.rules.media_columns or not self.rules.needs_media)

    # -- tables ------------------------------------------------------------------------------------------------------

    def _find_listings(self) -> dict[str, Found]:
        """Tables of metadata, by folder.

        Raises:
            DataError: a folder has two such tables.
        """
        found: dict[str, Found] = {}
        for each, form in self._every if self._media else ():
            if each.name not in _METADATA or each.kind is not Kind.FILE:
                continue
            assert form is not None
            if FILE_NAME not in (_columns(each.path, form) or ()):
                self._tables[each.path] = f"{each.name} without a column '{FILE_NAME}'"
            elif each.folder in found:
                message = f"this folder has two metadata files: {found[each.folder].name} and {each.name}"
                raise DataError(message, file=os.path.dirname(each.path))
            else:
                found[each.folder] = each
        return found

    def _listed(self) -> dict[str, frozenset[str]]:
        """Path of each metadata table → the pictures or recordings in its folder and below."""
        names: dict[str, list[str]] = {folder: [] for folder in self._listings}
        for each in self._media if names else ():
            folder = _around(each.folder, self._listings)
            if folder is not None:
                inside = f"{each.folder}/{each.name}" if each.folder else each.name
                names[folder].append(inside.removeprefix(f"{folder}/") if folder else inside)
        return {self._listings[folder].path: frozenset(each) for folder, each in names.items()}

    def _find_transcripts(self) -> None:
        """Find the files of transcripts, and the recordings that belong to each. Metadata tables come before them."""
        folders: dict[str, tuple[dict[str, str], dict[str, str]]] = {}  # folder → paths of both kinds of files by name
        for each, form in self._every:
            if each.kind is not Kind.FILE or _around(each.folder, self._listings) is not None:
                continue
            transcripts, recordings = folders.setdefault(each.folder, ({}, {}))
            if is_transcript(each.name):
                transcripts[each.name] = each.path
            elif form == AudioConfig.form:
                recordings[each.name] = each.path
        for transcripts, recordings in folders.values():
            for name, listed in belonging([*transcripts], recordings).items():
                self._transcripts[transcripts[name]] = listed
                self._transcribed |= {recordings[each] for each in listed}

    def _choose_tables(self) -> None:
        """Find tables to skip: they have no column that is read, or only name files that are read anyway."""
        wanted = self.rules.media_columns
        listings = self._listings.values()
        tables = [(each, form) for each, form in self._every if form is not None and FORMATS[form].is_table]
        columns = {each.path: _columns(each.path, form) for each, form in tables if each not in listings}
        chosen = wanted - frozenset(self.rules.media or ())
        if any(chosen & (names or {}).keys() for names in columns.values()):
            # data.columns names a column of tables, so the user means the tables and not the single files.
            self._forms, self._media, self._listings = frozenset(), [], {}
        for path, names in columns.items():
            has = [name for name in wanted if name in (names or ())]
            if names is None and not self._media:
                continue  # the reader reports why it cannot be read
            if not has:
                self._tables.setdefault(path, ending(path))
            elif self._media and not any((names or {})[name] for name in has):
                self._tables.setdefault(path, f"{ending(path)} with a column '{has[0]}' (name it to read its rows)")

    # -- classes -----------------------------------------------------------------------------------------------------

    def _find_labels(self) -> dict[str, str]:
        """The class of each folder that has pictures or recordings.

        Raises:
            DataError: two folders would have the same class, and the user has not asked for that.
        """
        folders = {each.folder for each in self._media if each.folder and each.path not in self._transcribed}
        folders = {folder for folder in folders if _around(folder, self._listings) is None}
        labels, self.note = folder_classes(folders, self.rules)
        if self.note and self.rules.labelled:
            raise DataError(self.note, file=self.path)
        return labels


def folder_classes(folders: Iterable[str], rules: FolderRules) -> tuple[dict[str, str], str]:
    """The class of each folder of pictures or recordings, and the reason if no folder has a class.

    Args:
        folders: their paths relative to the given folder, with ``/``.
    """
    labels = {folder: _label(folder, rules.labels or "last") for folder in sorted(folders)}
    first: dict[str, str] = {}
    for folder, label in labels.items() if rules.labels is None else ():
        if (other := first.setdefault(as_compared(label), folder)) == folder:
            continue
        pair = f"the folders '{other}' and '{folder}' would both be the class '{label}'"
        options = ", ".join(f"{each} ({_label(folder, each)})" for each in ("first", "path", "last"))
        note = f"{pair}; data.folder_labels says which of the names of '{folder}' is the class: {options}"
        return {}, note if rules.labelled else f"{note}; until then, none has a label"
    return labels, ""


def _label(folder: str, which: str) -> str:
    names = folder.split("/")
    return {"first": names[0], "path": folder, "last": names[-1]}[which]


def _around(folder: str, places: Collection[str]) -> str | None:
    """The innermost one of some folders that is this folder or contains it."""
    while folder not in places:
        if not folder:
            return None
        folder = folder.rpartition("/")[0]
    return folder


def _columns(path: str, form: str) -> dict[str, bool] | None:
    """The columns of a table, each with True if it holds bytes; None if the table cannot be read."""
    try:
        return FORMATS[form].file(path).first_columns()
    except DataError:
        return None
