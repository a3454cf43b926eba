"""The report of an evaluation: a folder with its metrics and tables. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from tp_core.errors import TPError
from tp_core.files.whole_files import write_whole
from tp_core.metrics.plain import as_json
from tp_core.metrics.table_forms import as_text, as_tsv
from tp_core.metrics.tables import Table
from tp_core.processes.shared import Processes
from tp_core.suggest import instead

#: Name of the file with the metrics.
METRICS = "metrics.json"


def report_folder(name: str, overwrite: bool, processes: Processes) -> Path:
    """Check that a report can be written to a folder, and return its path.

    Raises:
        TPError: it exists and has files that must not be replaced, or its parent does not exist.
    """
    path = Path(name).absolute()
    if processes.first:
        if path.exists() and not path.is_dir():
            raise TPError(f"{name}: this is a file; expected the name of a folder")
        if path.is_dir() and any(path.iterdir()) and not overwrite:
            raise TPError(f"{name}: the folder is not empty; --overwrite replaces files of an earlier report in it")
        if path.is_dir() and (other := next((each.name for each in path.iterdir() if not _of_report(each)), "")):
            raise TPError(f"{name}: the folder has files that are not of a report, such as {other}; name another one")
        if not path.parent.is_dir():
            raise TPError(f"{path.parent}: there is no such folder{instead(path.parent)}")
    return path


def _of_report(file: Path) -> bool:
    """True if a file may be of an earlier report."""
    return file.is_file() and (file.name == METRICS or file.suffix in (".tsv", ".svg"))


def write_report(folder: Path, metrics: Mapping[str, float], tables: Mapping[str, Table]) -> str:
    """Write metrics, tables and pictures of matrices; returns a sentence about them.

    Raises:
        TPError: a file cannot be written.
    """
    try:
        folder.mkdir(exist_ok=True)
        write_whole(folder / METRICS, as_json(metrics) + "\n")
        written = [METRICS]
        for name, table in tables.items():
            stem = name.replace("/", ".")
            write_whole(folder / f"{stem}.tsv", as_tsv(table))
            written.append(f"{stem}.tsv")
            if table.matrix is not None:
                from tp_core.diagram.matrix import draw_matrix

                write_whole(folder / f"{stem}.svg", draw_matrix(table.matrix, name))
                written.append(f"{stem}.svg")
    except OSError as error:
        raise TPError(f"{folder}: cannot be written: {error.strerror or error}") from error
    return f"report in {folder}: {', '.join(written)}"


def texts_of(tables: Mapping[str, Table]) -> Iterator[str]:
    """Tables as text for a terminal, without matrices."""
    for name, table in tables.items():
        if table.matrix is None:
            yield f"\n{name}\n{as_text(table).rstrip()}"
