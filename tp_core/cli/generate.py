"""``tp generate``: generate texts with a trained model."""

from __future__ import annotations

from typing import Any

import click

from tp_core.cli.counting import counting
from tp_core.cli.inputs import Inputs, input_options
from tp_core.cli.lazy_options import GenerationCommand, given
from tp_core.cli.output import new_file, on_terminal, shown_output, whole_file
from tp_core.cli.processes import in_several_processes, joined
from tp_core.cli.records import model_options, new_columns, new_rules, skipped, speaker
from tp_core.cli.results import Numbered, result_options
from tp_core.cli.row_files import form_of_output, is_binary, row_file
from tp_core.cli.usage import examples

#: The forms of the output.
FORMS = ("txt", "jsonl", "tsv", "csv", "parquet")


@in_several_processes
@click.command(
    cls=GenerationCommand,
    epilog=examples(
        "tp generate runs/translation --input test.en --output test.de.txt --beams 4",
        "tp generate runs/my_gpt --input prompts.txt --output texts.jsonl --sample --top-p 0.9",
        'tp generate runs/my_gpt --text "Once upon a time" --output-form txt',
        "tp generate models/bart-large-cnn --input articles.txt --output summaries.txt --no-repeat-ngram-size 3",
        "tp generate runs/my_gpt --input prompts.txt --output texts.jsonl --max-new-tokens 200 --truncation-side right",
    ),
)
@click.argument("model")
@input_options
@result_options(FORMS)
@model_options
def generate(
    model: str,
    sources: tuple[str, ...],
    texts: tuple[str, ...],
    input_form: str | None,
    output: str,
    output_form: str | None,
    keep: tuple[str, ...],
    overwrite: bool,
    batch_size: int,
    device: str,
    columns: tuple[str, ...],
    data_set: str | None,
    **options: Any,
) -> None:
    """Generate texts with MODEL, one per record of the input and in the same order.

    A causal model continues the record. A model with a decoder generates the target text of the record. Options that
    are not given default to inference.generate of the model's spec. A prompt that leaves no room for new tokens is
    truncated. A .txt file has one text per line; other forms have one row per text, with the number of its record.
    """
    with joined(model) as processes:
        inputs, form = Inputs(sources, texts, input_form, columns), form_of_output(output, output_form, FORMS)
        path, say = new_file(output, overwrite, processes), speaker(processes)
        from tp_core.artifacts.load import load_model
        from tp_core.inference.generate import generate as run
        from tp_core.inference.predict import skips

        loaded = load_model(model, device, say, data_set, processes)
        rows, skip = Numbered(keep if processes.first else ()), skips(loaded)
        named = new_columns(columns, loaded)
        records = rows.records(inputs.records(named, skip, new_rules(named, loaded), say, path))
        table = form in ("tsv", "csv")
        count, finished, errors, cuts = 0, 0, list[str](), list[int]()
        with (
            whole_file(path, "wb" if is_binary(form) else "w", processes) as file,
            row_file(file, path, form, skip) as written,
            counting("generate", processes.first and not on_terminal(path)) as done,
        ):
            for text in run(loaded, records, batch_size, processes=processes, done=done, **given(options)):
                # The first row determines the columns of a table.
                written.write(rows.row({**text, "truncated": text.get("truncated", 0)} if table else text))
                count, finished = count + 1, finished + text["finished"]
                errors += [text["error"]] if "error" in text else []
                cuts += [text["truncated"]] if "truncated" in text else []
        cut = f"; {count - finished} stopped at their longest length" if finished < count else ""
        say(f"{count - len(errors)} texts in {shown_output(path)}{cut}{skipped(errors, count)}")
        if cuts:
            lost = f"lost {sum(cuts)} tokens in all ('truncated' in rows)"
            say(f"{len(cuts)} of {count} prompts were too long and {lost}")
