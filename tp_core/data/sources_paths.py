"""Which sources a list of paths stands for. Torch-free."""

from __future__ import annotations

import os

from tp_core.data.folder_rules import ANY_FORM, FolderRules
from tp_core.data.passed_over import PassedOver
from tp_core.data.sources_find import HUB, MEDIA, STDIN, Source, form_of
from tp_core.data.sources_folder import folder_classes, folder_sources
from tp_core.errors import DataError
from tp_core.spec.patterns import Match
from tp_core.suggest import instead


def find_sources(paths: list[str], rules: FolderRules = ANY_FORM, passed: PassedOver | None = None) -> list[Source]:
    """The sources that files, folders and ``hf://`` names stand for, in order; a folder's files are sorted.

    A file that is named itself is read whatever it is; :mod:`tp_core.data.sources_folder` says what of a folder is. The
    pictures and recordings that a pattern stands for have the classes that they had if the folder before its first sign
    were named.

    Args:
        rules: of folders.
        passed: counts what is passed over in folders.

    Raises:
        DataError: a path that does not exist, or a folder without any file that can be read.
    """
    found: list[Source] = []
    counted = PassedOver() if passed is None else passed
    for path in paths:
        if path.startswith(HUB):
            found.append(Source(path, "hub"))
        elif path == STDIN:
            found.append(Source(path, "text"))
        elif os.path.isdir(path):
            try:
                found += folder_sources(path, rules, counted)
            except OSError as error:
                raise DataError(f"cannot be read: {error.strerror}", file=error.filename or path) from error
        elif os.path.exists(path):
            found.append(Source(path, form_of(path) or "text"))
        else:
            raise DataError(f"no such file or folder{instead(path)}", file=path)
    return _with_classes(found, paths, rules, counted)


def _with_classes(found: list[Source], paths: list[str], rules: FolderRules, passed: PassedOver) -> list[Source]:
    """The sources, those that patterns stand for with their classes.

    Raises:
        DataError: two folders would be one class.
    """
    inside = {path: _inside(path) for path in paths if isinstance(path, Match) and form_of(path) in MEDIA}
    labels: dict[tuple[str, str], str] = {}
    for base in {path.base: None for path in inside}:
        classes, note = folder_classes({folder for path, folder in inside.items() if path.base == base} - {""}, rules)
        if note and rules.labelled:
            raise DataError(note, file=base or ".")
        if note:
            passed.note(f"{base or '.'}: {note}")
        labels |= {(base, folder): label for folder, label in classes.items()}
    given = {str(path): labels[path.base, folder] for path, folder in inside.items() if (path.base, folder) in labels}
    return [source._replace(label=given[source.path]) if source.path in given else source for source in found]


def _inside(path: Match) -> str:
    """The folder of a file, as a path inside the pattern's base with ``/``; empty for the base itself."""
    folder = os.path.dirname(path).replace(os.sep, "/")
    return folder.removeprefix(path.base).strip("/")
