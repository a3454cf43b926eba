"""The sources for given paths and for choices of modules of the kind ``source``. Torch-free."""

from __future__ import annotations

import os
from collections.abc import Sequence

from tp_core.data.sources.base import Source
from tp_core.data.sources.file import FileSource
from tp_core.data.sources.folder import folder_classes, folder_sources
from tp_core.data.sources.folder_rules import ANY_FORM, FolderRules
from tp_core.data.sources.librispeech import is_transcript
from tp_core.data.sources.options import FORMATS, HUB, STDIN, FileConfig, LibriSpeechConfig, form_of
from tp_core.data.sources.passed_over import PassedOver, ending
from tp_core.errors import DataError
from tp_core.packages.plugin_errors import built_by
from tp_core.spec.checks.files import expand
from tp_core.spec.patterns import Match
from tp_core.spec.sections.data import Given
from tp_core.suggest import instead


def find_sources(
    given: Sequence[Given], rules: FolderRules = ANY_FORM, passed: PassedOver | None = None, form: str | None = None
) -> list[Source]:
    """The sources for files, folders, ``hf://`` names and choices, in order. The files of a folder are sorted.

    A file that is given by its own path is always read; :mod:`tp_core.data.sources.folder` describes which files of a
    folder are read. Pictures and recordings that match a pattern get the same classes as if the folder before the first
    pattern character were given.

    Args:
        rules: rules for the files of folders.
        passed: counts the skipped files of folders.
        form: form of all files that are given by their paths; overrides their endings.

    Raises:
        DataError: a path does not exist, or a folder has no file that can be read.
        TPError: the source of a package cannot be read.
    """
    counted = PassedOver() if passed is None else passed
    found: list[Source] = []
    for each in given:
        if isinstance(each, str):
            files = _at(each, rules, counted)
            found += files if form is None else [FORMATS[form].file(own.path, own.label, own.lists) for own in files]
        elif isinstance(config := each.config, FileConfig):
            found += [file for path in expand(config.path) for file in _of_form(config, path, rules, counted)]
        else:
            source = built_by(config, Source)  # type: ignore[type-abstract]
            found.append(source.by_rules(rules, counted))
    _label([each for each in found if isinstance(each, FileSource)], rules, counted)
    return found


def paths_of(given: Sequence[Given]) -> list[str]:
    """The paths of the inputs that are files of our own formats, also of those that another source reads."""
    found: list[str] = []
    for each in given:
        if isinstance(each, str):
            found += expand(each)
        elif isinstance(each.config, FileConfig):
            found += expand(each.config.path)
        else:
            found += paths_of(each.config.inputs())
    return found


def _at(path: str, rules: FolderRules, passed: PassedOver, named: str = "") -> list[FileSource]:
    """The sources at a path, of the format that the spec names, or of any format."""
    if path.startswith(HUB):
        return [FORMATS["hub"].file(path)]
    if path == STDIN:
        return [FORMATS["text"].file(path)]
    if os.path.isdir(path):
        try:
            return folder_sources(path, rules, passed, named)
        except OSError as error:
            raise DataError(f"cannot be read: {error.strerror}", file=error.filename or path) from error
    if os.path.exists(path):
        form = LibriSpeechConfig.form if rules.transcribed and is_transcript(os.path.basename(path)) else form_of(path)
        return [FORMATS[form or "text"].file(path)]
    raise DataError(f"no such file or folder{instead(path)}", file=path)


def _of_form(config: FileConfig, path: str, rules: FolderRules, passed: PassedOver) -> list[FileSource]:
    """The sources of a format at a path: the file itself, or the files of this format in a folder."""
    found = []
    for each in _at(path, rules, passed, config.form):
        if each.path == path:
            found.append(config.at(path))
        elif each.form == config.form:
            made = config.at(each.path)
            made.label, made.lists = each.label, each.lists
            found.append(made)
        elif config.is_record and each.lists is not None:
            found.append(each)
        else:
            passed.add(path, {ending(each.path): 1})
    if not found:
        raise DataError(f"no file in this folder is of the form '{config.form}'", file=path)
    return found


def _label(files: Sequence[FileSource], rules: FolderRules, passed: PassedOver) -> None:
    """Set the classes of the pictures and recordings that match patterns.

    Raises:
        DataError: two folders would have the same class.
    """
    matches = [(each, each.path) for each in files if each.is_record and isinstance(each.path, Match)]
    for base in dict.fromkeys(path.base for _, path in matches):
        inside = [(each, _inside(path)) for each, path in matches if path.base == base]
        classes, note = folder_classes({folder for _, folder in inside} - {""}, rules)
        if note and rules.labelled:
            raise DataError(note, file=base or ".")
        if note:
            passed.note(f"{base or '.'}: {note}")
        for each, folder in inside:
            each.label = classes.get(folder, each.label)


def _inside(path: Match) -> str:
    """The folder of a file, as a path inside the pattern's base with ``/``; empty for the base itself."""
    folder = os.path.dirname(path).replace(os.sep, "/")
    return folder.removeprefix(path.base).strip("/")
