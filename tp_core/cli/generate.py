"""``tp generate``: write texts with a trained model."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from tp_core.cli.lazy_options import GenerationCommand, given
from tp_core.cli.records import input_records, model_options, parse_columns, refuse_existing, say, skipped
from tp_core.cli.usage import examples


@click.command(
    cls=GenerationCommand,
    epilog=examples(
        "tp generate runs/translation --input test.en --output test.de.txt --beams 4",
        "tp generate runs/my_gpt --input prompts.txt --output texts.jsonl --sample --top-p 0.9",
        "tp generate models/bart-large-cnn --input articles.txt --output summaries.txt --no-repeat-ngram-size 3",
        "tp generate runs/my_gpt --input prompts.txt --output texts.jsonl --max-new-tokens 200 --truncation-side right",
    ),
)
@click.argument("model")
@click.option("--input", "source", required=True, help="Prompts or sources: TSV, CSV, JSON lines, text, Parquet.")
@click.option("--output", required=True, help="File to write: .txt with a text per line, or JSON lines.")
@click.option("--overwrite", is_flag=True, help="Replace an output file that exists.")
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

    A causal model goes on from the record; a model with a decoder writes the record's counterpart. Options that are not
    given are as inference.generate of the model's spec says. A prompt that leaves no room for the new tokens is cut.
    """
    path = refuse_existing(output, overwrite)
    from tp_core.inference.generate import generate as run
    from tp_core.inference.load import load_model

    loaded = load_model(model, device, say, data_set)
    records = input_records(source, parse_columns(columns) or loaded.spec.data.options.columns)
    temporary = path.with_name(f".{path.name}.tmp")
    count, finished, errors, cuts = 0, 0, list[str](), list[int]()
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            for text in run(loaded, records, batch_size, **given(options)):
                plain = " ".join(text["text"].splitlines())
                file.write((plain if path.suffix == ".txt" else json.dumps(text, ensure_ascii=False)) + "\n")
                count, finished = count + 1, finished + text["finished"]
                errors += [text["error"]] if "error" in text else []
                cuts += [text["truncated"]] if "truncated" in text else []
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)
    cut = f"; {count - finished} stopped at their longest length" if finished < count else ""
    say(f"{count - len(errors)} texts in {path}{cut}{skipped(errors, count)}")
    if cuts:
        lost = f"lost {sum(cuts)} tokens in all ('truncated' in JSON lines)"
        say(f"{len(cuts)} of {count} prompts were too long and {lost}")
