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
def evaluate(model: str, data: str, as_json: bool, batch_size: int, device: str, columns: tuple[str, ...]) -> None:
    """Losses and metrics of MODEL (a run's folder, an exported model or a checkpoint) on labelled data."""
    import json
    import os

    if not data.startswith("hf://") and not os.path.exists(data):
        raise TPError(f"--data {data}: there is no such file")
    from tp_core.inference.evaluate import evaluate as run

    found = run(model, data, batch_size, parse_columns(columns) or None, device, say)
    if as_json:
        click.echo(json.dumps(found))
    else:
        for name, value in found.items():
            click.echo(f"{name}\t{value:.4f}")
