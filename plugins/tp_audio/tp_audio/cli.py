"""``tp wer``: the word error rate of a trained model."""

from __future__ import annotations

import click

from tp_core.cli.output import new_file, shown_output, whole_file
from tp_core.cli.processes import in_several_processes, joined
from tp_core.cli.records import input_records, model_options, new_rules, parse_columns, skipped, speaker
from tp_core.cli.row_files import form_of_output, is_binary, row_file
from tp_core.cli.usage import examples
from tp_core.terminal import tell


@in_several_processes
@click.command(
    epilog=examples(
        "tp wer runs/conformer --data test.tsv",
        "tp wer runs/s2t --data test.tsv --beams 5 --output texts.jsonl",
    )
)
@click.argument("model")
@click.option(
    "--data",
    required=True,
    multiple=True,
    metavar="PATH",
    help="Recordings with their texts: a manifest, a folder or tar shards. The option may be given several times.",
)
@click.option("--output", help="Write texts and recognised texts to this file: .jsonl, .tsv, .csv or .parquet.")
@click.option("--overwrite", is_flag=True, help="Replace an existing output file.")
@click.option("--beams", type=click.IntRange(1), help="Number of beams; 1 is greedy. Default: the spec's value.")
@click.option(
    "--max-new-tokens",
    type=click.IntRange(1),
    help="Maximum number of tokens that a decoder generates. Default: the spec's value, else 256.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@model_options
def wer(
    model: str,
    data: tuple[str, ...],
    output: str | None,
    overwrite: bool,
    beams: int | None,
    max_new_tokens: int | None,
    as_json: bool,
    batch_size: int,
    device: str,
    columns: tuple[str, ...],
    data_set: str | None,
) -> None:
    """Compute the word and character error rates of MODEL on recordings with texts."""
    import json

    from tp_core.errors import DataError, TPError

    with joined(model) as processes:
        form = "jsonl" if output is None else form_of_output(output, None, ("jsonl", "tsv", "csv", "parquet"))
        path, say = None if output is None else new_file(output, overwrite, processes), speaker(processes)
        from tp_audio.processors.transcribed import text_of
        from tp_audio.recognition import recognised
        from tp_core.artifacts.load import load_model
        from tp_core.data.sources.unreadable import Unreadable
        from tp_core.inference.predict import skips

        loaded = load_model(model, device, say, data_set, processes)
        records, wanted, bad = [], [], []
        names = parse_columns(columns) or loaded.spec.data.options.columns
        skip = skips(loaded)
        for record in input_records(data, names, skip=skip, rules=new_rules(names, loaded), report=say, output=path):
            try:
                if isinstance(record, Unreadable):
                    raise DataError(record.error)
                wanted.append(text_of(record))
            except DataError as error:
                if not skip:
                    raise
                bad.append(str(error))
            else:
                records.append(record)
        total = len(records) + len(bad)
        if not total:
            raise TPError(f"--data {', '.join(data)}: there is no recording")
        results = recognised(loaded, records, batch_size, beams, max_new_tokens, processes)
        if not processes.first:
            return
        bad += [each["error"] for each in results if "error" in each]
        wanted = [text for text, each in zip(wanted, results) if "text" in each]
        found = [each["text"] for each in results if "text" in each]
        if not found:
            raise TPError(f"--data {', '.join(data)}: no recording can be used; {bad[0]}")
        if path is not None:
            with whole_file(path, "wb" if is_binary(form) else "w") as file, row_file(file, path, form) as rows:
                for text, heard in zip(wanted, found):
                    rows.write({"text": text, "recognised": heard})
            say(f"{len(found)} texts in {shown_output(path)}{skipped(bad, total)}")
        elif bad:
            say(f"{len(found)} recordings{skipped(bad, total)}")
        rates = _rates(wanted, found)
        if as_json:
            tell(json.dumps(rates))
        else:
            for name, rate in rates.items():
                tell(f"{name}\t{rate:.4f}")


def _rates(wanted: list[str], found: list[str]) -> dict[str, float]:
    from tp_audio.error_rate import character_errors, word_errors

    counts = {"word_error_rate": word_errors(wanted, found), "character_error_rate": character_errors(wanted, found)}
    return {name: errors / count for name, (errors, count) in counts.items()}
