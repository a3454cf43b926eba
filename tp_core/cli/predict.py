"""``tp predict``: predict with a trained model."""

from __future__ import annotations

import click

from tp_core.cli.counting import counting
from tp_core.cli.inputs import Inputs, input_options
from tp_core.cli.output import new_file, on_terminal, shown_output, whole_file
from tp_core.cli.processes import in_several_processes, joined
from tp_core.cli.records import model_options, new_columns, new_rules, skipped, speaker
from tp_core.cli.results import Numbered, result_options
from tp_core.cli.row_files import form_of_output, is_binary, row_file
from tp_core.cli.usage import examples

#: The forms of the output.
FORMS = ("jsonl", "tsv", "csv", "parquet")


@in_several_processes
@click.command(
    epilog=examples(
        "tp predict runs/reviews --input new.tsv --output predicted.tsv --keep id",
        "tp predict runs/my_bert --input masked.txt --output filled.jsonl",
        "tp predict runs/digits --input pictures/ --output predicted.csv",
        'tp predict runs/reviews --text "a fine film"',
        "tp predict runs/seed_1 runs/seed_2 runs/seed_3 --input new.tsv --output averaged.tsv",
        "zcat new.txt.gz | tp predict runs/reviews --input - > predicted.jsonl",
        "torchrun --nproc-per-node 2 -m tp_core -- predict runs/reviews --input new.tsv --output predicted.tsv",
    )
)
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@input_options
@result_options(FORMS)
@model_options
def predict(
    models: tuple[str, ...],
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
) -> None:
    """Write predictions of MODEL with probabilities, one per record of the input and in the same order.

    Each line of a plain text file is a record, also a blank line. Each row of the output has the number of its record.
    Of several models, the probabilities and other numbers are averaged, and the labels follow from the averages.
    """
    with joined(*models) as processes:
        inputs, form = Inputs(sources, texts, input_form, columns), form_of_output(output, output_form, FORMS)
        path, say = new_file(output, overwrite, processes), speaker(processes)
        from tp_core.artifacts.load import load_model
        from tp_core.inference.ensemble import predict_ensemble
        from tp_core.inference.predict import predict as run
        from tp_core.inference.predict import skips

        every = [load_model(model, device, say, data_set, processes) for model in models]
        loaded = every[0]
        rows, skip = Numbered(keep if processes.first else ()), skips(loaded)
        named = new_columns(columns, loaded)
        records = rows.records(inputs.records(named, skip, new_rules(named, loaded), say, path))
        count, errors = 0, list[str]()
        chosen = loaded.spec.data.processor
        same_classes = chosen is None or not chosen.config.several_sequences  # not the choices of different questions
        with (
            whole_file(path, "wb" if is_binary(form) else "w", processes) as file,
            row_file(file, path, form, skip, same_classes) as written,
            counting("predict", processes.first and not on_terminal(path)) as done,
        ):
            made = (
                run(loaded, records, batch_size, processes=processes, done=done)
                if len(every) == 1
                else predict_ensemble(every, records, batch_size, processes=processes, done=done)
            )
            for prediction in made:
                written.write(rows.row(prediction))
                count += 1
                errors += [prediction["error"]] if "error" in prediction else []
        say(f"{count - len(errors)} predictions in {shown_output(path)}{skipped(errors, count)}")
