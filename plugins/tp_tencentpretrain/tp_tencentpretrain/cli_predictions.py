"""``tp original-predictions``: predictions as the original's inference scripts write them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from tp_core.cli.output import new_file, shown_output, whole_file
from tp_core.cli.records import say
from tp_core.cli.usage import examples
from tp_core.errors import TPError
from tp_tencentpretrain.predictions import TASKS, original_predictions


@click.command(
    "original-predictions",
    epilog=examples(
        "tp original-predictions predicted.jsonl --task classifier --prob --output prediction.tsv",
        "tp original-predictions answers.jsonl --task cmrc --output prediction.json",
    ),
)
@click.argument("predictions", type=click.Path(path_type=Path))
@click.option("--task", required=True, type=click.Choice(list(TASKS)), help="Task of the predictions.")
@click.option("--prob", is_flag=True, help="Add the probabilities of the classes, as --output_prob of the original.")
@click.option("--output", default="-", show_default=True, help="File to write; - for the standard output.")
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
def command(predictions: Path, task: str, prob: bool, output: str, overwrite: bool) -> None:
    """Write PREDICTIONS as the inference scripts of TencentPretrain do: JSON lines of tp predict or tp generate.

    The tasks cmrc and c3 need the ids of the records: predict with --keep id.
    """
    path = new_file(output, overwrite)
    if predictions.exists() and path.exists() and path.samefile(predictions):
        raise TPError(f"{path}: the output is also the input")
    count = 0
    with whole_file(path, "w") as file:
        for line in original_predictions(_rows(predictions), predictions, task, prob):
            file.write(f"{line}\n")
            count += 1
    say(f"{count} lines in {shown_output(path)}")


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a file of JSON lines, with their numbers.

    Raises:
        TPError: the file cannot be read, has no rows, or has a line that is no JSON object.
    """
    number = 0
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise TPError(f"{path}:{number}: expected a JSON object, the form of tp predict --output x.jsonl")
                yield number, row
    except OSError as error:
        raise TPError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError:
        message = "this is no line of JSON; expected the form of tp predict --output x.jsonl"
        raise TPError(f"{path}:{number or 1}: {message}") from None
    if not number:
        raise TPError(f"{path}: the file has no predictions")
