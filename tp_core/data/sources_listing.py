"""Pictures and recordings that a table beside them lists, as in Hugging Face's ImageFolder. Torch-free."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Any

from tp_core.data.folder_rules import FolderRules
from tp_core.data.passed_over import PassedOver
from tp_core.data.sources_arrow import arrow_records
from tp_core.data.sources_bad import BadRecords
from tp_core.data.sources_find import MEDIA, Source, form_of
from tp_core.data.sources_folder import FILE_NAME
from tp_core.data.sources_json import json_records
from tp_core.data.sources_table import table_records
from tp_core.errors import DataError

_OTHER_NAME = f"_{FILE_NAME}"


def listed_records(
    source: Source, rules: FolderRules, bad: BadRecords, passed: PassedOver
) -> Iterator[tuple[int, dict[str, Any]]]:
    """A record for each row: what its ``file_name`` names, as ``image`` or ``audio``, and its other columns.

    A column such as ``image_file_name`` gives the field ``image``.

    Args:
        passed: counts pictures and recordings that no row names.

    Raises:
        DataError: the table cannot be read, or ``bad`` says that a row is fatal.
    """
    assert source.lists is not None
    rows: Iterator[tuple[int, dict[str, Any]]]
    if source.form == "parquet":
        rows = arrow_records(source, {}, bad)
    elif source.form == "jsonl":
        rows = json_records(source, bad)
    else:
        rows = table_records(source, {}, bad)
    left = set(source.lists)
    for line, value in rows:
        try:
            record = _record(value, rules)
        except ValueError as error:
            bad.report(DataError(str(error), file=source.path, line=line))
            continue
        left.difference_update(each for each in record.values() if isinstance(each, str))
        yield line, record
    if left:
        passed.add(source.path, {"pictures or recordings that it does not list": len(left)})


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
    """The path of a file in the table's folder or below, in one spelling."""
    path = posixpath.normpath(name.replace("\\", "/"))
    if "://" in name or posixpath.isabs(path) or path.split("/")[0] == ".." or path[1:2] == ":":
        raise ValueError(f"'{FILE_NAME}' is '{name}'; expected a path in this table's folder or below")
    return path
