"""``tp evaluate``: measure a trained model on labelled data."""

from __future__ import annotations

import click

from tp_core.cli.records import model_options, parse_columns, say
from tp_core.cli.usage import examples
from tp_core.errors import TPError


@click.command(
    epilog=examples(
        "tp evaluate runs/my_bert --data held_out.txt",
        "tp evaluate runs/reviews/model --data test.tsv --json",
    )
)
@click.argument("model")
@click.option("--data", required=True, help="File with labels, in any form that training reads.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@model_options
def evaluate(
    model: str,
    data: str,
    as_json: bool,
    batch_size: int,
    device: str,
    columns: tuple[str, ...],
    data_set: str | None,
) -> None:
    """Losses and metrics of MODEL (a run's folder, an exported model or a checkpoint) on labelled data."""
    import json
    import os

    if not data.startswith("hf://") and not os.path.exists(data):
        raise TPError(f"--data {data}: there is no such file")
    from tp_core.inference.evaluate import evaluate as run
    from tp_core.inference.load import load_model

    loaded = load_model(model, device, say, data_set)
    found = run(loaded, data, batch_size, parse_columns(columns) or None, device, say)
    if as_json:
        click.echo(json.dumps(found))
    else:
        for name, value in found.items():
            click.echo(f"{name}\t{value:.4f}")
