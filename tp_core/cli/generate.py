"""``tp generate``: write texts with a trained model."""

from __future__ import annotations

import json
from typing import Any

import click

from tp_core.cli.lazy_options import GenerationCommand, given
from tp_core.cli.output import new_file, whole_file
from tp_core.cli.processes import in_several_processes, joined
from tp_core.cli.records import input_records, model_options, parse_columns, skipped, speaker
from tp_core.cli.usage import examples


@in_several_processes
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
    with joined(model) as processes:
        path, say = new_file(output, overwrite, processes), speaker(processes)
        from tp_core.inference.generate import generate as run
        from tp_core.inference.load import load_model

        loaded = load_model(model, device, say, data_set, processes)
        records = input_records(source, parse_columns(columns) or loaded.spec.data.options.columns)
        count, finished, errors, cuts = 0, 0, list[str](), list[int]()
        with whole_file(path, processes=processes) as file:
            for text in run(loaded, records, batch_size, processes=processes, **given(options)):
                plain = " ".join(text["text"].splitlines())
                file.write((plain if path.suffix == ".txt" else json.dumps(text, ensure_ascii=False)) + "\n")
                count, finished = count + 1, finished + text["finished"]
                errors += [text["error"]] if "error" in text else []
                cuts += [text["truncated"]] if "truncated" in text else []
        cut = f"; {count - finished} stopped at their longest length" if finished < count else ""
        say(f"{count - len(errors)} texts in {path}{cut}{skipped(errors, count)}")
        if cuts:
            lost = f"lost {sum(cuts)} tokens in all ('truncated' in JSON lines)"
            say(f"{len(cuts)} of {count} prompts were too long and {lost}")
