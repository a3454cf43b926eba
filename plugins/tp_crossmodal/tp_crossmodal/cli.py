"""``tp retrieve``: search between pictures and texts."""

from __future__ import annotations

import json
from typing import Any

import click

from tp_core.cli.processes import in_several_processes, joined
from tp_core.cli.records import input_records, model_options, new_columns, new_rules, shown, speaker
from tp_core.cli.usage import examples
from tp_core.errors import TPError
from tp_core.terminal import tell


@in_several_processes
@click.command(
    epilog=examples(
        "tp retrieve runs/my_clip --data held_out.parquet",
        'tp retrieve runs/my_clip --data photos/ --query "a dog on a beach" --top 5',
        "tp retrieve runs/my_clip --data captions.tsv --query dog.jpg",
    )
)
@click.argument("model")
@click.option(
    "--data",
    required=True,
    multiple=True,
    metavar="PATH",
    help="Pictures, texts, or both: folder, TSV, JSON lines, Parquet, tar. It may be given several times.",
)
@click.option("--query", help="A text, or the file of a picture. Without it, print recall@1/5/10 in both directions.")
@click.option("--top", default=10, show_default=True, type=click.IntRange(1), help="Number of results of a query.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@model_options
def retrieve(
    model: str,
    data: tuple[str, ...],
    query: str | None,
    top: int,
    as_json: bool,
    batch_size: int,
    device: str,
    columns: tuple[str, ...],
    data_set: str | None,
) -> None:
    """Find pictures by text, or texts by picture, with MODEL, which was trained with the target clr."""
    with joined(model) as processes:
        from tp_core.data.sources.options import form_of

        if query is not None and form_of(query) == "image" and " " not in query:
            import os

            if not os.path.isfile(query):
                raise TPError(f"--query {query}: there is no such file")
        from tp_core.artifacts.load import load_model
        from tp_core.inference.predict import skips
        from tp_crossmodal.retrieval import retrieve as run

        say = speaker(processes)
        loaded = load_model(model, device, say, data_set, processes)
        names = new_columns(columns, loaded)
        rules = new_rules(names, loaded)
        records = input_records(data, names, skip=skips(loaded), rules=rules, report=say)
        errors: list[str] = []
        found = run(loaded, records, query, top, batch_size, skipped=errors, processes=processes)
        if errors:
            say("\n".join([f"{len(errors)} records could not be used:", *shown(errors)]))
        if processes.first:
            _print(found, as_json)


def _print(found: dict[str, float] | list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        tell(json.dumps(found, ensure_ascii=False))
    elif isinstance(found, dict):
        for name, value in found.items():
            tell(f"{name:28} {value:.1%}")
    else:
        for answer in found:
            tell(f"{answer['similarity']:7.4f}  {answer['name']}")
