"""``tp predict``: predict with a trained model."""

from __future__ import annotations

import re
from typing import IO, Any

import click

from tp_core.cli.output import new_file, whole_file
from tp_core.cli.processes import in_several_processes, joined
from tp_core.cli.records import input_records, model_options, parse_columns, skipped, speaker
from tp_core.cli.usage import examples


@in_several_processes
@click.command(
    epilog=examples(
        "tp predict runs/reviews --input new.tsv --output predicted.tsv",
        "tp predict runs/my_bert --input masked.txt --output filled.jsonl",
        "tp predict runs/digits --input pictures/ --output predicted.tsv",
        "torchrun --nproc-per-node 2 -m tp_core -- predict runs/reviews --input new.tsv --output predicted.tsv",
    )
)
@click.argument("model")
@click.option("--input", "source", required=True, help="Records without labels: a file of any form, or a folder.")
@click.option("--output", required=True, help="File to write: .tsv, or JSON lines.")
@click.option("--overwrite", is_flag=True, help="Replace an output file that exists.")
@model_options
def predict(
    model: str,
    source: str,
    output: str,
    overwrite: bool,
    batch_size: int,
    device: str,
    columns: tuple[str, ...],
    data_set: str | None,
) -> None:
    """Predictions of MODEL, with probabilities, one per record of the input and in its order."""
    with joined(model) as processes:
        path, say = new_file(output, overwrite, processes), speaker(processes)
        from tp_core.inference.load import load_model
        from tp_core.inference.predict import predict as run

        loaded = load_model(model, device, say, data_set, processes)
        records = input_records(source, parse_columns(columns) or loaded.spec.data.options.columns)
        count, errors = 0, list[str]()
        with whole_file(path, processes=processes) as file:
            write = _tsv_writer(file) if path.suffix == ".tsv" else _json_writer(file)
            for prediction in run(loaded, records, batch_size, processes=processes):
                write(prediction)
                count += 1
                errors += [prediction["error"]] if "error" in prediction else []
        say(f"{count - len(errors)} predictions in {path}{skipped(errors, count)}")


def _json_writer(file: IO[str]) -> Any:
    import json

    return lambda prediction: file.write(json.dumps(prediction, ensure_ascii=False) + "\n")


def _tsv_writer(file: IO[str]) -> Any:
    """Rows of a table whose header is that of the first prediction; nested values are JSON.

    The cells of a record that could not be used are empty.
    """
    import json

    names: list[str] = []
    before: list[dict[str, Any]] = []  # records without a prediction that stand before the first

    def cell(value: Any) -> str:
        return f"{value:.6f}" if isinstance(value, float) else " ".join(re.split(r"[\t\r\n]", str(value)))

    def write(prediction: dict[str, Any]) -> None:
        flat: dict[str, Any] = {}
        for name, value in prediction.items():
            if name == "probabilities":
                classes = value.items() if isinstance(value, dict) else enumerate(value)
                flat |= {f"probability_{each}": probability for each, probability in classes}
            else:
                flat[name] = json.dumps(value, ensure_ascii=False) if isinstance(value, (list, dict)) else value
        rows = [flat]
        if not names:
            before.append(flat)
            if "error" in flat:
                return
            names.extend(flat)
            file.write("\t".join(names) + "\n")
            rows = before
        for row in rows:
            file.write("\t".join(cell(row.get(name, "")) for name in names) + "\n")

    return write
