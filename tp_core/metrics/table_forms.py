"""Tables as plain text, as TSV and as JSON. Torch-free."""

import json
import math
import re
import unicodedata

from tp_core.metrics.tables import Cell, Table


def as_text(table: Table) -> str:
    """A table in aligned columns for a terminal, with four decimal places. Empty cells have no value."""
    lines = [table.columns, *(tuple(map(_shown, row)) for row in table.rows)]
    lines = [tuple(" ".join(cell.split()) for cell in line) for line in lines]
    widths = [max(map(_width, column)) for column in zip(*lines)]
    return "".join(f"{_line(line, widths)}\n" for line in lines)


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    """Cells in columns; the first one is aligned to the left, numbers to the right."""
    spaces = [" " * (width - _width(cell)) for cell, width in zip(cells, widths)]
    first = cells[0] + spaces[0]
    return "  ".join([first, *(space + cell for space, cell in zip(spaces[1:], cells[1:]))]).rstrip()


def _width(text: str) -> int:
    """The number of columns of a text in a terminal, where wide characters take two."""
    each = (0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text)
    return sum(each)


def _shown(cell: Cell) -> str:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    return f"{cell:.4f}" if isinstance(cell, float) else str(cell)


def as_tsv(table: Table) -> str:
    """A table as tab-separated values with a header line. Numbers have all digits; empty cells have no value."""
    lines = [table.columns, *table.rows]
    return "".join("\t".join(map(_cell, line)) + "\n" for line in lines)


def _cell(cell: Cell) -> str:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    return repr(cell) if isinstance(cell, float) else re.sub(r"[\t\r\n]", " ", str(cell))


def as_json(table: Table) -> str:
    """A table as a JSON object with ``columns`` and ``rows``; null for cells without a value."""
    rows = [[None if isinstance(cell, float) and math.isnan(cell) else cell for cell in row] for row in table.rows]
    return json.dumps({"columns": list(table.columns), "rows": rows}, ensure_ascii=False, allow_nan=False)
