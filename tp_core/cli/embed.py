"""``tp embed``: turn records into vectors with a trained model."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from tp_core.cli.counting import counting
from tp_core.cli.inputs import Inputs, input_options
from tp_core.cli.output import is_stream, new_file, on_terminal, shown_output, whole_file
from tp_core.cli.processes import in_several_processes, joined
from tp_core.cli.records import model_options, new_columns, new_rules, speaker
from tp_core.cli.usage import examples
from tp_core.errors import TPError

if TYPE_CHECKING:
    from tp_core.cli.vector_files import VectorFile


@in_several_processes
@click.command(
    epilog=examples(
        "tp embed runs/my_bert --input sentences.txt --output vectors.npy",
        "tp embed runs/my_bert --input reviews.tsv --output vectors.parquet --pooling first",
        "tp embed runs/my_clip --input photos --output photos.npy --stream image",
        "tp embed models/e5 --input questions.txt --output questions.npy --prompt query",
        'tp embed models/e5 --text "a question" --prompt query',
    )
)
@click.argument("model")
@input_options
@click.option(
    "--output",
    default="-",
    show_default=True,
    help="File to write: .npy, .parquet (which also has the records' fields) or .jsonl; - for JSON lines on stdout.",
)
@click.option(
    "--pooling",
    type=click.Choice(["mean", "first", "max", "last"]),
    help="Method that reduces a sequence to one vector.",
)
@click.option(
    "--projection/--no-projection", default=None, help="Apply the projection of the target that compares vectors."
)
@click.option("--normalize/--no-normalize", default=None, help="Scale each vector to length 1.")
@click.option("--stream", metavar="NAME", help="Stream of the model, if it has several.")
@click.option("--prompt", metavar="NAME", help="Name of a prompt in inference.embed.prompts; '' for no prompt.")
@click.option("--overwrite", is_flag=True, help="Replace an output file that exists.")
@model_options
def embed(
    model: str,
    sources: tuple[str, ...],
    texts: tuple[str, ...],
    input_form: str | None,
    output: str,
    pooling: str | None,
    projection: bool | None,
    normalize: bool | None,
    stream: str | None,
    prompt: str | None,
    overwrite: bool,
    batch_size: int,
    device: str,
    columns: tuple[str, ...],
    data_set: str | None,
) -> None:
    """Write one vector per record, from the last layer of MODEL.

    Pooling, projection and normalisation follow inference.embed of the model's spec. Settings that are missing there
    follow the model's targets. The options of this command take precedence over both.
    """
    with joined(model) as processes:
        inputs, form = Inputs(sources, texts, input_form, columns), _form(output)
        form = form if processes.first else "npy"  # the other processes write nothing; any form will do
        path, say = new_file(output, overwrite, processes), speaker(processes)
        from tp_core.artifacts.load import load_model
        from tp_core.cli.vector_files import field_types
        from tp_core.inference.embed import Embedder

        loaded = load_model(model, device, say, data_set, processes)
        columns_read = new_columns(columns, loaded)
        rules = new_rules(columns_read, loaded)
        fields, records = None, inputs.records(columns_read, rules=rules, report=say, output=path)
        if form == "parquet":
            # Values that a table cannot hold are found before the vectors are computed.
            kept = list(records) if inputs.once() else None
            fields = field_types(records if kept is None else kept)
            records = inputs.records(columns_read, rules=rules) if kept is None else iter(kept)
        given = {
            "pooling": pooling,
            "projection": projection,
            "normalize": normalize,
            "stream": stream,
            "prompt": prompt,
        }
        embedder = Embedder(loaded, given, say)
        count, mode = 0, "w" if form == "jsonl" else "wb"
        with (
            whole_file(path, mode, processes) as file,
            _vector_file(file, form, embedder.size, fields) as vectors,
            counting("embed", processes.first and not on_terminal(path)) as done,
        ):
            for chunk, made in embedder(records, batch_size, processes, done):
                vectors.write(chunk, made)
                count += len(made)
        say(f"{count} vectors of {embedder.size} in {shown_output(path)}")


def _form(output: str) -> str:
    """The form of the output: ``npy``, ``parquet`` or ``jsonl``.

    Raises:
        TPError: the file's ending is none of these, or the form cannot be written to a pipe.
    """
    if output == "-":
        return "jsonl"
    form = Path(output).suffix.lower().removeprefix(".")
    if form not in ("npy", "parquet", "jsonl"):
        if not form and is_stream(Path(output)):
            return "jsonl"
        raise TPError(f"--output {output}: expected a name that ends in .npy, .parquet or .jsonl, or -")
    if form != "jsonl" and is_stream(Path(output)):
        raise TPError(f"--output {output}: a pipe gets JSON lines; a .{form} is written in a file")
    return form


def _vector_file(file: IO[Any], form: str, size: int, fields: Any) -> contextlib.closing[VectorFile]:
    """A writer of vectors for the given form. A Parquet file also has the given fields of the records."""
    from tp_core.cli.vector_files import JsonFile, NpyFile, ParquetFile

    made: VectorFile
    if form == "parquet":
        made = ParquetFile(file, size, fields)
    else:
        made = NpyFile(file, size) if form == "npy" else JsonFile(file)
    return contextlib.closing(made)
