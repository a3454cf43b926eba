"""Reads tables with random damage; a process of its own, which a reader may end.

Prints a line of JSON per file: how the reading ended, and how many of the good rows came back.
"""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tp_core.data.sources.records import BadRecords, read_records
from tp_core.errors import TPError

ROWS = 40


def text(number: int) -> str:
    return f'row {number}, "quoted" and\nof two lines, café' if number % 3 == 0 else f"row {number}"


def written(folder: Path, form: str) -> bytes:
    """A table of rows with an integer and a text, each row of which has an id of its own."""
    rows = [{"id": f"id{number:03d}", "text": text(number)} for number in range(ROWS)]
    if form == "csv":
        lines = ['{},"{}"'.format(row["id"], row["text"].replace('"', '""')) for row in rows]
        return ("id,text\n" + "\n".join(lines) + "\n").encode()
    if form == "tsv":
        return ("id\ttext\n" + "".join(f"{row['id']}\t{row['text'].split(chr(10))[0]}\n" for row in rows)).encode()
    if form == "jsonl":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    if form == "json":
        return json.dumps(rows, ensure_ascii=False, indent=1).encode()
    table, file = pa.Table.from_pylist(rows), folder / f"whole.{form}"
    if form == "parquet":
        pq.write_table(table, file, compression="none", use_dictionary=False)
    else:
        with pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
    return file.read_bytes()


def damaged(whole: bytes, draws: np.random.Generator) -> tuple[bytes, int]:
    """A file with one to three bytes changed, removed or put in, and how many."""
    data, count = bytearray(whole), int(draws.integers(1, 4))
    for _ in range(count):
        at, byte = int(draws.integers(len(data))), int(draws.choice([0, 10, 34, 44, 92, 123, 125, 0xC3, 0xFF]))
        kind = draws.integers(3)
        if kind == 0:
            data[at] = byte
        elif kind == 1:
            del data[at]
        else:
            data.insert(at, byte)
    return bytes(data), count


def main(folder: Path, form: str, seeds: range) -> None:
    whole = written(folder, form)
    expected = {f"id{number:03d}": text(number).split("\n")[0] for number in range(ROWS)}
    for seed in seeds:
        print(json.dumps({"begin": seed}), flush=True)
        data, count = damaged(whole, np.random.default_rng(seed))
        path = folder / f"damaged.{form}"
        path.write_bytes(data)
        found: dict[str, Any] = {"damage": count}
        bad = BadRecords("skip")
        good: set[str] = set()
        try:
            for record in read_records([str(path)], bad=bad):
                name, value = record.value.get("id"), record.value.get("text")
                if isinstance(name, str) and isinstance(value, str) and value.split("\n")[0] == expected.get(name):
                    good.add(name)
            found["ended"] = "records"
        except TPError:
            found["ended"] = "message"
        except Exception:
            found["ended"] = traceback.format_exc()
        print(json.dumps({**found, "good": len(good), "bad": bad.count}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], range(int(sys.argv[3]), int(sys.argv[4])))
