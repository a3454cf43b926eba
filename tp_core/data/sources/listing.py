"""Pictures and recordings that a table beside them lists, as in Hugging Face's ImageFolder. Torch-free."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

from tp_core.data.sources.folder_rules import FolderRules
from tp_core.data.sources.options import MEDIA, form_of
from tp_core.errors import DataError

if TYPE_CHECKING:
    from tp_core.data.sources.base import Reading
    from tp_core.data.sources.file import FileSource, Rows

#: The column of a metadata table with the path of the picture or recording.
FILE_NAME = "file_name"

_OTHER_NAME = f"_{FILE_NAME}"


def listed_records(source: FileSource, rows: Rows, reading: Reading) -> Rows:
    """One record per row: the file in ``file_name`` becomes ``image`` or ``audio``; other columns become fields.

    A column such as ``image_file_name`` becomes the field ``image``. Pictures and recordings that no row names are
    skipped and counted.

    Args:
        source: the table.
        rows: rows of the table, with its own columns.

    Raises:
        DataError: the table cannot be read, or a bad row is fatal.
    """
    assert source.lists is not None
    left = set(source.lists)
    for line, value in rows:
        try:
            record = _record(value, reading.rules)
        except ValueError as error:
            reading.bad.report(DataError(str(error), file=source.path, line=line))
            continue
        left.difference_update(each for each in record.values() if isinstance(each, str))
        yield line, record
    if left:
        reading.passed.add(source.path, {"pictures or recordings that it does not list": len(left)})


def _record(value: dict[str, Any], rules: FolderRules) -> dict[str, Any]:
    name = value.get(FILE_NAME)
    if not isinstance(name, str) or not name:
        raise ValueError(f"no '{FILE_NAME}'; expected the path of a file in this table's folder or below")
    forms = sorted(rules.media_forms & set(MEDIA))
    form = form_of(name)
    record = {}
    for column, cell in value.items():
        field = column.removesuffix(_OTHER_NAME)
        if field != column and field in (rules.media or MEDIA) and isinstance(cell, str):
            record[field] = _inside(cell)
        elif column != FILE_NAME:
            record[column] = cell
    return {**record, form if form in forms else forms[0]: _inside(name)}


def _inside(name: str) -> str:
    """The normalised path of a file in the table's folder or below."""
    path = posixpath.normpath(name.replace("\\", "/"))
    if "://" in name or posixpath.isabs(path) or path.split("/")[0] == ".." or path[1:2] == ":":
        raise ValueError(f"'{FILE_NAME}' is '{name}'; expected a path in this table's folder or below")
    return path
