"""``tp evaluate``: measure a trained model on labelled data."""

from __future__ import annotations

from typing import Any

import click

from tp_core.cli.counting import counting
from tp_core.cli.inputs import input_form_option
from tp_core.cli.processes import in_several_processes, joined
from tp_core.cli.records import input_sources, is_pipe, model_options, parse_columns, speaker
from tp_core.cli.reports import report_folder, texts_of, write_report
from tp_core.cli.usage import examples
from tp_core.metrics.tables import Table
from tp_core.terminal import tell


@in_several_processes
@click.command(
    epilog=examples(
        "tp evaluate runs/my_bert --data held_out.txt",
        "tp evaluate runs/reviews/model --data test.tsv --json",
        "tp evaluate runs/reviews --data 'test/*.tsv' --data more.tsv",
        "tp evaluate runs/reviews --data test.tsv --report report",
    )
)
@click.argument("model")
@click.option(
    "--data",
    multiple=True,
    required=True,
    metavar="PATH",
    help="Records with labels: a file of any form, a folder, a pattern such as 'test/*.tsv', a source such as "
    "'{acme.sqlite: {path: a.db, table: t}}', or - for the standard input. It may be given several times.",
)
@input_form_option
@click.option(
    "--report",
    metavar="FOLDER",
    help="Folder to make, with figures per class or type (TSV), and the confusion matrix (TSV and SVG).",
)
@click.option("--overwrite", is_flag=True, help="Replace files of an earlier report.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; null means that a metric is not defined.")
@model_options
def evaluate(
    model: str,
    data: tuple[str, ...],
    input_form: str | None,
    report: str | None,
    overwrite: bool,
    as_json: bool,
    batch_size: int,
    device: str,
    columns: tuple[str, ...],
    data_set: str | None,
) -> None:
    """Compute losses and metrics of MODEL (a run's folder, an exported model or a checkpoint) on labelled data."""
    with joined(model) as processes:
        given = input_sources(data, "--data")
        folder = None if report is None else report_folder(report, overwrite, processes)
        from tp_core.artifacts.load import load_model
        from tp_core.data.sources.records import BadRecords, read_records
        from tp_core.inference.evaluate import evaluate as run
        from tp_core.metrics.plain import as_json as metrics_as_json
        from tp_core.metrics.plain import as_text

        say = speaker(processes)
        loaded = load_model(model, device, say, data_set, processes)
        named = parse_columns(columns)
        records: Any = given
        if input_form or any(
            isinstance(each, str) and is_pipe(each) for each in given
        ):  # a pipe can be read only once, and its name does not tell its form
            options = loaded.spec.data.options
            bad = BadRecords(options.on_bad_record)
            records = list(read_records(given, named or options.columns, bad, input_form))
            if summary := bad.summary():
                say(summary)
        tables: dict[str, Table] | None = None if folder is None else {}
        with counting("evaluate", processes.first) as done:
            found = run(loaded, records, batch_size, named or None, device, say, processes, done=done, tables=tables)
        if not processes.first:
            return
        if folder is not None and tables is not None:
            say(write_report(folder, found, tables))
        if as_json:
            tell(metrics_as_json(found))
        else:
            for name, value in found.items():
                tell(f"{name}\t{as_text(value)}")
            for text in texts_of(tables or {}):
                tell(text)
