"""``tp wer``: the word error rate of a trained model."""

from __future__ import annotations

import click

from tp_core.cli.records import input_records, model_options, parse_columns, say, skipped
from tp_core.cli.usage import examples


@click.command(
    epilog=examples(
        "tp wer runs/conformer --data test.tsv",
        "tp wer runs/s2t --data test.tsv --beams 5 --output texts.jsonl",
    )
)
@click.argument("model")
@click.option("--data", required=True, help="Recordings with their texts: a manifest, a folder, tar shards.")
@click.option("--output", help="JSON lines to write: text, and what was recognised.")
@click.option("--overwrite", is_flag=True, help="Replace an output file that exists.")
@click.option(
    "--beams", type=click.IntRange(1), help="Texts that are followed, 1 is greedy; by default as the spec says."
)
@click.option(
    "--max-new-tokens",
    type=click.IntRange(1),
    help="Most tokens that a decoder writes; by default as the spec says, else 256.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@model_options
def wer(
    model: str,
    data: str,
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
    """Word and character error rates of what MODEL recognises in recordings."""
    import json

    from tp_audio.error_rate import character_errors, word_errors
    from tp_audio.processors.transcribed import text_of
    from tp_audio.recognition import recognised
    from tp_core.cli.records import refuse_existing
    from tp_core.errors import DataError, TPError
    from tp_core.inference.load import load_model

    path = None if output is None else refuse_existing(output, overwrite)
    loaded = load_model(model, device, say, data_set)
    records, wanted, bad = [], [], []
    for record in input_records(data, parse_columns(columns) or loaded.spec.data.options.columns):
        try:
            wanted.append(text_of(record))
        except DataError as error:
            if loaded.spec.data.options.on_bad_record != "skip":
                raise
            bad.append(str(error))
        else:
            records.append(record)
    total = len(records) + len(bad)
    if not total:
        raise TPError(f"--data {data}: there is no recording")
    results = recognised(loaded, records, batch_size, beams, max_new_tokens)
    bad += [each["error"] for each in results if "error" in each]
    wanted = [text for text, each in zip(wanted, results) if "text" in each]
    found = [each["text"] for each in results if "text" in each]
    if not found:
        raise TPError(f"--data {data}: no recording can be used; {bad[0]}")
    if path is not None:
        lines = [json.dumps({"text": w, "recognised": f}, ensure_ascii=False) for w, f in zip(wanted, found)]
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        say(f"{len(lines)} texts in {path}{skipped(bad, total)}")
    elif bad:
        say(f"{len(found)} recordings{skipped(bad, total)}")
    rates = {}
    for name, (errors, count) in {
        "word_error_rate": word_errors(wanted, found),
        "character_error_rate": character_errors(wanted, found),
    }.items():
        rates[name] = errors / count
    if as_json:
        click.echo(json.dumps(rates))
    else:
        for name, rate in rates.items():
            click.echo(f"{name}\t{rate:.4f}")
