"""``tp embed``: turn records into vectors with a trained model."""

from __future__ import annotations

import contextlib
from typing import IO, TYPE_CHECKING, Any

import click

from tp_core.cli.output import new_file, whole_file
from tp_core.cli.processes import in_several_processes, joined
from tp_core.cli.records import input_records, model_options, parse_columns, speaker
from tp_core.cli.usage import examples
from tp_core.errors import TPError
from tp_core.launch import as_told

if TYPE_CHECKING:
    from tp_core.cli.vector_files import VectorFile


@in_several_processes
@click.command(
    epilog=examples(
        "tp embed runs/my_bert --input sentences.txt --output vectors.npy",
        "tp embed runs/my_bert --input reviews.tsv --output vectors.parquet --pooling first",
        "tp embed runs/my_clip --input photos --output photos.npy --stream image",
        "tp embed models/e5 --input questions.txt --output questions.npy --prompt query",
    )
)
@click.argument("model")
@click.option("--input", "source", required=True, help="Records: a file of any form, or a folder.")
@click.option("--output", required=True, help="File to write: .npy, or .parquet with the records' fields beside.")
@click.option(
    "--pooling", type=click.Choice(["mean", "first", "max", "last"]), help="How a sequence becomes one vector."
)
@click.option(
    "--projection/--no-projection", default=None, help="Into the space in which the target compares vectors, or before."
)
@click.option("--normalize/--no-normalize", default=None, help="Vectors of length 1, or as they are.")
@click.option("--stream", metavar="NAME", help="Which of a model's streams.")
@click.option("--prompt", metavar="NAME", help="Which of inference.embed.prompts; '' for none.")
@click.option("--overwrite", is_flag=True, help="Replace an output file that exists.")
@model_options
def embed(
    model: str,
    source: str,
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
    """One vector per record, from the last layer of MODEL.

    It is made as the model's spec says in inference.embed, and where that leaves something open, as its targets were
    trained: pooled, projected and normalised as they do. The options take precedence over both.
    """
    if not output.endswith((".npy", ".parquet")):
        raise as_told(TPError(f"--output {output}: expected a name that ends in .npy or .parquet"))
    with joined(model) as processes:
        path, say = new_file(output, overwrite, processes), speaker(processes)
        from tp_core.cli.vector_files import field_types
        from tp_core.inference.embed import Embedder
        from tp_core.inference.load import load_model

        loaded = load_model(model, device, say, data_set, processes)
        columns_read = parse_columns(columns) or loaded.spec.data.options.columns
        table = path.suffix == ".parquet" and processes.first
        # What no table can hold is better known before the vectors are made.
        fields = field_types(input_records(source, columns_read)) if table else None
        given = {
            "pooling": pooling,
            "projection": projection,
            "normalize": normalize,
            "stream": stream,
            "prompt": prompt,
        }
        embedder = Embedder(loaded, given, say)
        count = 0
        with whole_file(path, "wb", processes) as file, _vector_file(file, embedder.size, fields) as vectors:
            for records, made in embedder(input_records(source, columns_read), batch_size, processes):
                vectors.write(records, made)
                count += len(made)
        say(f"{count} vectors of {embedder.size} in {path}")


def _vector_file(file: IO[bytes], size: int, fields: Any) -> contextlib.closing[VectorFile]:
    """A Parquet file with the given fields of the records, or a NumPy file without any."""
    from tp_core.cli.vector_files import NpyFile, ParquetFile

    made: VectorFile = NpyFile(file, size) if fields is None else ParquetFile(file, size, fields)
    return contextlib.closing(made)
