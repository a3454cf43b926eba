"""``tp evaluate``: measure a trained model on labelled data."""

from __future__ import annotations

import click

from tp_core.cli.processes import in_several_processes, joined
from tp_core.cli.records import model_options, need_input, parse_columns, speaker
from tp_core.cli.usage import examples
from tp_core.errors import TPError


@in_several_processes
@click.command(
    epilog=examples(
        "tp evaluate runs/my_bert --data held_out.txt",
        "tp evaluate runs/reviews/model --data test.tsv --json",
    )
)
@click.argument("model")
@click.option("--data", required=True, help="File with labels, in any form that training reads.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; null: not defined.")
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
    with joined(model) as processes:
        try:
            need_input(data)
        except TPError as error:
            raise TPError(f"--data {error}") from None
        from tp_core.inference.evaluate import evaluate as run
        from tp_core.inference.load import load_model
        from tp_core.metrics.plain import as_json as metrics_as_json
        from tp_core.metrics.plain import as_text

        say = speaker(processes)
        loaded = load_model(model, device, say, data_set, processes)
        found = run(loaded, data, batch_size, parse_columns(columns) or None, device, say, processes)
        if not processes.first:
            return
        if as_json:
            click.echo(metrics_as_json(found))
        else:
            for name, value in found.items():
                click.echo(f"{name}\t{as_text(value)}")
