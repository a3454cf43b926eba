"""``tp embed``: turn records into vectors with a trained model."""

from __future__ import annotations

import os

import click

from tp_core.cli.records import input_records, model_options, parse_columns, refuse_existing, say
from tp_core.cli.usage import examples
from tp_core.errors import TPError


@click.command(
    epilog=examples(
        "tp embed runs/my_bert --input sentences.txt --output vectors.npy",
        "tp embed runs/my_bert --input reviews.tsv --output vectors.parquet --pooling first",
    )
)
@click.argument("model")
@click.option("--input", "source", required=True, help="Records: a file of any form, or a folder.")
@click.option("--output", required=True, help="File to write: .npy, or .parquet with the records' fields beside.")
@click.option("--pooling", default="mean", show_default=True, type=click.Choice(["mean", "first", "max", "last"]))
@click.option("--stream", metavar="NAME", help="Which of a model's streams; the first if not given.")
@click.option("--overwrite", is_flag=True, help="Replace an output file that exists.")
@model_options
def embed(
    model: str,
    source: str,
    output: str,
    pooling: str,
    stream: str | None,
    overwrite: bool,
    batch_size: int,
    device: str,
    columns: tuple[str, ...],
    data_set: str | None,
) -> None:
    """One vector per record, from the last layer of MODEL."""
    path = refuse_existing(output, overwrite)
    if path.suffix not in (".npy", ".parquet"):
        raise TPError(f"--output {output}: expected a name that ends in .npy or .parquet")
    import numpy as np

    from tp_core.inference.embed import embed as run
    from tp_core.inference.load import load_model

    loaded = load_model(model, device, say, data_set)
    records = list(input_records(source, parse_columns(columns) or loaded.spec.data.options.columns))
    vectors = run(loaded, records, pooling, batch_size, stream=stream)
    temporary = path.with_name(f".tmp-{path.name}")
    if path.suffix == ".npy":
        np.save(temporary, vectors)
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        size = vectors.shape[1]
        column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), size)
        names = list(dict.fromkeys(name for record in records for name in record.value))
        fields = {name: [record.value.get(name) for record in records] for name in names}
        pq.write_table(pa.table({**fields, "embedding": column}), temporary)
    os.replace(temporary, path)
    say(f"{vectors.shape[0]} vectors of {vectors.shape[1]} in {path}")
