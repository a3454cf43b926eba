"""``tp retrieve``: search in texts or pictures by vectors, and measure how well pairs are found."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tp_core.cli.output import new_file, shown_output, whole_file
from tp_core.cli.processes import in_several_processes, joined
from tp_core.cli.records import (
    input_records,
    model_options,
    new_columns,
    new_rules,
    shown,
    skipped,
    speaker,
)
from tp_core.cli.results import Numbered, result_options
from tp_core.cli.row_files import form_of_output, row_file
from tp_core.cli.usage import examples
from tp_core.errors import TPError
from tp_core.terminal import tell

if TYPE_CHECKING:
    from tp_core.artifacts.load import LoadedModel
    from tp_core.inference.retrieve import Searcher
    from tp_core.interfaces import Record

#: Options that belong to a search, and those that belong to a search for many queries.
_OF_SEARCH = ("top", "search")
_OF_QUERIES = ("output", "output_form", "keep", "overwrite")


@in_several_processes
@click.command(
    epilog=examples(
        "tp retrieve runs/simcse --data pairs.tsv                                  recall of text_a and text_b",
        'tp retrieve runs/simcse --data faq.tsv --query "how do I pay" --top 5',
        "tp retrieve runs/simcse --data faq.tsv --queries asked.txt --output found.jsonl",
        "tp retrieve runs/simcse --data sts.tsv --correlation                      with the similarities in label",
        "tp retrieve runs/my_clip --data held_out.parquet                          recall of pictures and texts",
        "tp retrieve runs/my_clip --data captions.tsv --query dog.jpg",
    )
)
@click.argument("model")
@click.option(
    "--data",
    required=True,
    multiple=True,
    metavar="PATH",
    help="Texts, pictures, or both: a file of any form, a folder, a pattern. It may be given several times.",
)
@click.option("--query", metavar="TEXT", help="A text, or the file of a picture. Print the nearest items of the data.")
@click.option(
    "--queries", multiple=True, metavar="PATH", help="Records of queries. Write the nearest items of each to --output."
)
@click.option("--top", type=click.IntRange(1), help="Number of results of a query.  [default: 10]")
@click.option(
    "--search",
    metavar="SIDE",
    help="Side of the data to search in, such as text_a. Default: text_b if the data have it, else text_a; pictures "
    "for a text, texts for a picture.",
)
@click.option(
    "--correlation", is_flag=True, help="Correlation of the similarity of each pair with the number in its field label."
)
@click.option(
    "--by",
    type=click.Choice(["cosine", "dot", "euclidean", "manhattan"]),
    help="Function that compares vectors; default: as the model's target compares them, else the cosine.",
)
@click.option("--prompt", metavar="NAME", help="Prompt of inference.embed.prompts before the texts of the data.")
@click.option("--query-prompt", metavar="NAME", help="Prompt before queries; of pairs, before text_a.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@result_options(("jsonl",))
@model_options
@click.pass_context
def retrieve(
    context: click.Context,
    model: str,
    data: tuple[str, ...],
    query: str | None,
    queries: tuple[str, ...],
    top: int | None,
    search: str | None,
    correlation: bool,
    by: Any,
    prompt: str | None,
    query_prompt: str | None,
    as_json: bool,
    output: str,
    output_form: str | None,
    keep: tuple[str, ...],
    overwrite: bool,
    batch_size: int,
    device: str,
    columns: tuple[str, ...],
    data_set: str | None,
) -> None:
    """Search in data with MODEL, or measure how well it finds what belongs together.

    Without queries, print recall@1/5/10 and the mean reciprocal rank (mrr) of the pairs in the data, in both
    directions: text_a and text_b, or pictures and texts.
    """
    _check_options(context, query, queries, correlation)
    with joined(model) as processes:
        say = speaker(processes)
        path = new_file(output, overwrite, processes) if queries else None
        form_of_output(output, output_form, ("jsonl",))
        from tp_core.artifacts.load import load_model
        from tp_core.inference.predict import skips
        from tp_core.inference.retrieve import Searcher

        loaded = load_model(model, device, say, data_set, processes)
        searcher = Searcher(loaded, device, batch_size, processes, by, prompt, query_prompt, say)
        asked = None if query is None else searcher.sides.query(query, "--query")
        names, skip = new_columns(columns, loaded), skips(loaded)
        records = input_records(data, names, skip=skip, rules=new_rules(names, loaded), report=say, output=path)
        errors: list[str] = []
        if queries:
            assert path is not None
            rows = Numbered(keep if processes.first else ())
            given = rows.records(_queries(queries, columns, loaded, skip, path))
            count, failed = 0, list[str]()
            with whole_file(path, "w", processes) as file, row_file(file, path, "jsonl", skip) as written:
                for answer in searcher.search(given, records, top or 10, search, errors):
                    error = getattr(answer, "error", None)
                    written.write(rows.row({"nearest": answer} if error is None else {"error": error}))
                    count += 1
                    failed += [] if error is None else [error]
            say(f"{count - len(failed)} answers in {shown_output(path)}{skipped(failed, count)}")
        else:
            found = _found(searcher, asked, records, top or 10, search, correlation, errors)
            if processes.first:
                _print(found, as_json)
        if errors:
            say("\n".join([f"{len(errors)} records could not be used:", *shown(errors)]))


def _check_options(context: click.Context, query: str | None, queries: tuple[str, ...], correlation: bool) -> None:
    """Raise a :class:`TPError` if options do not belong together."""
    modes = {"--query": query is not None, "--queries": bool(queries), "--correlation": correlation}
    given = [name for name, is_given in modes.items() if is_given]
    if len(given) > 1:
        raise TPError(f"give either {given[0]} or {given[1]}")
    mode = given[0] if given else ""

    def explicit(name: str) -> bool:
        return context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE

    for name in _OF_SEARCH:
        if explicit(name) and mode not in ("--query", "--queries"):
            raise TPError(f"--{name} belongs to --query or --queries")
    for name in _OF_QUERIES:
        if explicit(name) and mode != "--queries":
            raise TPError(f"--{name.replace('_', '-')} belongs to --queries")
    if explicit("as_json") and mode == "--queries":
        raise TPError("--json is for results that are printed; --queries always writes JSON lines")


def _queries(
    given: tuple[str, ...], columns: tuple[str, ...], loaded: LoadedModel, skip: bool, output: Path
) -> Iterator[Record]:
    """The records of queries. They need only some of the columns of the data."""
    from tp_core.data.sources.columns import NewColumns

    named = new_columns(columns, loaded)
    return input_records(given, NewColumns(named, tuple(named)), skip=skip, option="--queries", output=output)


def _found(
    searcher: Searcher,
    asked: Record | None,
    records: Iterator[Record],
    top: int,
    side: str | None,
    correlation: bool,
    errors: list[str],
) -> dict[str, float] | list[dict[str, Any]]:
    if correlation:
        return searcher.correlation(records, errors)
    if asked is None:
        return searcher.measure(records, errors)
    answers = list(searcher.search([asked], records, top, side, errors))
    if answers and not isinstance(answers[0], list):
        raise TPError(answers[0].error)
    return answers[0] if answers else []  # type: ignore[return-value]


def _print(found: dict[str, float] | list[dict[str, Any]], as_json: bool) -> None:
    if isinstance(found, dict):
        from tp_core.metrics.plain import as_json as metrics_as_json
        from tp_core.metrics.plain import as_text

        if as_json:
            tell(metrics_as_json(found))
            return
        for name, value in found.items():
            tell(f"{name:28} {value:.1%}" if "recall@" in name else f"{name:28} {as_text(value)}")
    elif as_json:
        tell(json.dumps(found, ensure_ascii=False))
    else:
        for answer in found:
            tell(f"{answer['similarity']:7.4f}  {answer['name']}")
