"""``tp wer``: the word error rate of a trained model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tp_core.cli.records import input_records, model_options, parse_columns, say
from tp_core.cli.usage import examples

if TYPE_CHECKING:
    from tp_core.inference.load import LoadedModel
    from tp_core.interfaces import Record


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
@click.option("--beams", default=1, show_default=True, type=click.IntRange(1), help="Of a model with a decoder.")
@click.option("--max-new-tokens", default=256, show_default=True, type=click.IntRange(1), help="Longest text.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@model_options
def wer(
    model: str,
    data: str,
    output: str | None,
    overwrite: bool,
    beams: int,
    max_new_tokens: int,
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
    from tp_core.cli.records import refuse_existing
    from tp_core.errors import TPError
    from tp_core.inference.load import load_model

    path = None if output is None else refuse_existing(output, overwrite)
    loaded = load_model(model, device, say, data_set)
    records = list(input_records(data, parse_columns(columns) or loaded.spec.data.options.columns))
    wanted = [text_of(record) for record in records]
    if not wanted:
        raise TPError(f"--data {data}: there is no recording")
    found = recognised(loaded, records, batch_size, beams, max_new_tokens)
    if path is not None:
        lines = [json.dumps({"text": w, "recognised": f}, ensure_ascii=False) for w, f in zip(wanted, found)]
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        say(f"{len(lines)} texts in {path}")
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


def recognised(
    model: LoadedModel, records: list[Record], batch_size: int = 32, beams: int = 1, max_new_tokens: int = 256
) -> list[str]:
    """The text of each recording: written by the decoder, or found by the target ``ctc``.

    Raises:
        TPError: the model has neither, or a recording cannot be read.
    """
    from tp_core.errors import TPError
    from tp_core.inference.generate import generate
    from tp_core.inference.predict import predict

    options: dict[str, Any] = {"beams": beams, "max_new_tokens": max_new_tokens}
    if model.model.decoder is not None:
        return [each["text"] for each in generate(model, records, batch_size, **options)]
    if beams > 1:
        raise TPError("--beams is for models with a decoder; ctc takes the most probable token of each state")
    found = [each.get("ctc", each) for each in predict(model, records, batch_size)]
    if any("text" not in each for each in found):
        raise TPError("the model recognises no speech: it has neither a decoder nor the target ctc")
    return [each["text"] for each in found]
