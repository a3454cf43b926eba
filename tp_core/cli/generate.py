"""``tp generate``: write texts with a trained model."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from tp_core.cli.records import (
    input_records,
    model_options,
    parse_columns,
    refuse_existing,
    sampling_options,
    say,
    skipped,
)
from tp_core.cli.usage import examples


@click.command(
    epilog=examples(
        "tp generate runs/translation --input test.en --output test.de.txt --beams 4",
        "tp generate runs/my_gpt --input prompts.txt --output texts.jsonl --sample --top-p 0.9",
    )
)
@click.argument("model")
@click.option("--input", "source", required=True, help="Prompts or sources: TSV, CSV, JSON lines, text, Parquet.")
@click.option("--output", required=True, help="File to write: .txt with a text per line, or JSON lines.")
@click.option("--overwrite", is_flag=True, help="Replace an output file that exists.")
@click.option("--max-new-tokens", default=64, show_default=True, type=click.IntRange(1), help="Longest text.")
@click.option("--beams", default=1, show_default=True, type=click.IntRange(1), help="1 is greedy search.")
@click.option("--length-penalty", default=1.0, show_default=True, help="Of beams; above 0, longer texts are preferred.")
@sampling_options
@model_options
def generate(
    model: str,
    source: str,
    output: str,
    overwrite: bool,
    batch_size: int,
    device: str,
    columns: tuple[str, ...],
    data_set: str | None,
    **options: Any,
) -> None:
    """Texts that MODEL writes, one per record of the input and in its order.

    A causal model goes on from the record; a model with a decoder writes the record's counterpart.
    """
    path = refuse_existing(output, overwrite)
    from tp_core.inference.generate import generate as run
    from tp_core.inference.load import load_model

    loaded = load_model(model, device, say, data_set)
    records = input_records(source, parse_columns(columns) or loaded.spec.data.options.columns)
    temporary = path.with_name(f".{path.name}.tmp")
    count, finished, errors = 0, 0, list[str]()
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            for text in run(loaded, records, batch_size, **options):
                plain = " ".join(text["text"].splitlines())
                file.write((plain if path.suffix == ".txt" else json.dumps(text, ensure_ascii=False)) + "\n")
                count, finished = count + 1, finished + text["finished"]
                errors += [text["error"]] if "error" in text else []
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)
    cut = f"; {count - finished} stopped at their longest length" if finished < count else ""
    say(f"{count - len(errors)} texts in {path}{cut}{skipped(errors, count)}")
