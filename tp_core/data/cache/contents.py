"""Files and hashes of their contents, for the files of modules and of data. Torch-free."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from tp_core.data.cache.digest_cache import DigestCache
from tp_core.data.cache.file_digests import Scheme, file_digests, files_inside
from tp_core.data.sources.find import paths_of
from tp_core.data.sources.fingerprint import fingerprint, source_digests
from tp_core.data.sources.folder_rules import ANY_FORM, FolderRules, folder_rules
from tp_core.data.sources.named import named_files
from tp_core.data.sources.names import display_name
from tp_core.errors import DataError
from tp_core.spec.schema import Spec
from tp_core.spec.sections.data import Given

_WHOLE = Scheme(16)

#: Maximum number of sources for separate entries; a folder with more sources is hashed as a whole.
_MANY = 10_000


class Content(NamedTuple):
    """A file and a hash of its content.

    Attributes:
        path: the file, or a folder that is hashed as a whole.
        inside: the path inside the folder that an option names, or the file's role; empty if an option names the file
            itself.
        digest: hexadecimal digits.
    """

    path: str
    inside: str
    digest: str


def file_contents(
    paths: Iterable[str], digest_cache: DigestCache | None = None, without: Collection[str] = ()
) -> list[Content]:
    """The given files and all files in the given folders, sorted within each folder.

    Hidden files and folders, such as those of version control, are left out.

    Args:
        without: endings of file names; such files in folders are left out, too.

    Raises:
        DataError: a file cannot be read.
    """
    every = (each for path in paths for each in files_inside(path))
    named = [(path, inside) for path, inside in every if not inside or os.path.splitext(inside)[1] not in without]
    found = []
    for (path, inside), content in zip(named, file_digests((path for path, _ in named), _WHOLE, digest_cache)):
        if content.error is not None:
            reason = getattr(content.error, "strerror", None) or content.error
            raise DataError(f"cannot be read: {reason}", file=path) from content.error
        found.append(Content(path, inside, content.digests.hex()))
    return found


def data_contents(spec: Spec, given: Sequence[Given], digest_cache: DigestCache | None = None) -> list[Content]:
    """The contents of all inputs of a spec's data: the sources, in order, and the files that records name.

    Tables are read completely to find the files that their records name.

    Args:
        given: files, folders, ``hf://`` names and choices of sources.

    Raises:
        DataError: a path does not exist or cannot be read.
    """
    assert spec.data.processor is not None
    config = spec.data.processor.config
    rules = folder_rules(spec.data)
    found = source_contents([*given, *config.companions(paths_of(given))], digest_cache, rules)
    named = named_files(given, spec.data.options.columns, config.media_fields, digest_cache, rules)
    if named.fingerprint is None:
        return found
    each = [Content(path, "", digest) for path, digest in named.digests.items()]
    return [*found, *(each or [Content("a file that the records name", "", named.fingerprint)])]


def source_contents(
    given: Sequence[Given], digest_cache: DigestCache | None = None, rules: FolderRules = ANY_FORM
) -> list[Content]:
    """The contents of the given sources, in order.

    Args:
        rules: rules for the files of folders.

    Raises:
        DataError: a path does not exist or cannot be read.
    """
    found = [Content(source.path, "", digest.hex()) for source, digest in source_digests(given, digest_cache, rules)]
    if len(found) <= _MANY:
        return found
    return [Content(display_name(each), "", fingerprint([each], digest_cache, rules)) for each in given]
