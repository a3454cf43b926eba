"""``tp embed``: turn records into vectors with a trained model."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from tp_core.cli.records import input_records, model_options, parse_columns, refuse_existing, say
from tp_core.cli.usage import examples
from tp_core.errors import DataError, TPError

if TYPE_CHECKING:
    from tp_core.interfaces import Record


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
    path = refuse_existing(output, overwrite)
    if path.suffix not in (".npy", ".parquet"):
        raise TPError(f"--output {output}: expected a name that ends in .npy or .parquet")
    import numpy as np

    from tp_core.inference.embed import embed as run
    from tp_core.inference.load import load_model

    loaded = load_model(model, device, say, data_set)
    records = list(input_records(source, parse_columns(columns) or loaded.spec.data.options.columns))
    fields = _columns(records) if path.suffix == ".parquet" else {}
    vectors = run(
        loaded,
        records,
        pooling,
        batch_size,
        stream=stream,
        projection=projection,
        normalize=normalize,
        prompt=prompt,
        say=say,
    )
    temporary = path.with_name(f".tmp-{path.name}")
    if path.suffix == ".npy":
        np.save(temporary, vectors)
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        size = vectors.shape[1]
        column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), size)
        pq.write_table(pa.table({**fields, "embedding": column}), temporary)
    os.replace(temporary, path)
    say(f"{vectors.shape[0]} vectors of {vectors.shape[1]} in {path}")


def _columns(records: list[Record]) -> dict[str, Any]:
    """The fields of records as columns of a table.

    Raises:
        DataError: the values of a field are of several types, or not valid Unicode.
    """
    import pyarrow as pa

    columns: dict[str, Any] = {}
    for name in dict.fromkeys(name for record in records for name in record.value):
        try:
            columns[name] = pa.array([record.value.get(name) for record in records])
        except (pa.ArrowException, UnicodeError, TypeError, OverflowError) as error:
            message = f"the field '{name}' cannot be a column of a Parquet file: {error}; write a .npy instead"
            raise DataError(message, file=records[0].file) from error
    return columns
