"""Tables with random damage end in records or in a message, and lose few of their good rows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

FILES = 300


@pytest.mark.slow
@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "json", "parquet", "arrow"])
def test_damage_to_a_table_is_a_bad_record_or_a_message(tmp_path: Path, form: str) -> None:
    command = [sys.executable, "-m", "tests.core.damaged_tables", str(tmp_path), form, "0", str(FILES)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"{lines[-1:]} {done.stderr[-1000:]}"
    ends = [line for line in lines if "ended" in line]
    assert len(ends) == FILES
    assert [line["ended"] for line in ends if line["ended"] not in ("records", "message")] == []
    if form in ("csv", "tsv", "jsonl", "json"):
        read = [line for line in ends if line["ended"] == "records"]
        assert len(read) > FILES * 0.8
        # Damage to the header leaves no good row; a quote that is put in or lost takes its neighbour with it.
        few = [line for line in read if 40 - line["good"] > 3 * line["damage"]]
        assert len(few) < FILES * 0.05
