"""``tp draw``: pictures from texts."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tp_core.cli.inputs import Inputs, input_options
from tp_core.cli.lazy_options import SearchCommand, given
from tp_core.cli.processes import in_several_processes, joined
from tp_core.cli.records import model_options, parse_columns, speaker
from tp_core.cli.usage import examples
from tp_core.errors import TPError

if TYPE_CHECKING:
    from tp_core.interfaces import Record

INDEX = "index.tsv"


@in_several_processes
@click.command(
    cls=SearchCommand,
    epilog=examples(
        "tp draw runs/my_dalle --input captions.txt --output drawings",
        "tp draw runs/my_dalle --input captions.tsv --output drawings --sample --top-k 50 --seed 1",
        'tp draw runs/my_dalle --text "a red house" --output drawings',
    ),
)
@click.argument("model")
@input_options
@click.option("--output", required=True, help=f"Folder for 1.png, 2.png, ... and {INDEX}, which lists their texts.")
@click.option("--overwrite", is_flag=True, help="Replace the pictures in a folder that is not empty.")
@model_options
def draw(
    model: str,
    sources: tuple[str, ...],
    texts: tuple[str, ...],
    input_form: str | None,
    output: str,
    overwrite: bool,
    batch_size: int,
    device: str,
    columns: tuple[str, ...],
    data_set: str | None,
    **options: Any,
) -> None:
    """Draw a picture of each text of the input with MODEL.

    MODEL was trained with the processor image_text_lm to make pictures from texts.
    """
    with joined(model) as processes:
        folder, say, inputs = Path(output), speaker(processes), Inputs(sources, texts, input_form, columns)
        if processes.first:
            _need_free(folder, overwrite)
        from tp_core.artifacts.load import load_model
        from tp_crossmodal.drawing import draw as run
        from tp_vision.png import write_png

        loaded = load_model(model, device, say, data_set, processes)
        records = inputs.records(parse_columns(columns) or loaded.spec.data.options.columns)
        drawn: list[str] = []
        pictures = run(loaded, _noted(records, drawn), batch_size, processes=processes, **given(options))
        if not processes.first:
            next(pictures, None)
            return
        with _new_pictures(folder) as new:
            count = 0
            for count, picture in enumerate(pictures, 1):
                write_png(picture, new / f"{count}.png")
            if not count:
                raise TPError(f"{', '.join(sources)}: there is no text to draw")
            lines = ["image\ttext", *(f"{number}.png\t{text}" for number, text in enumerate(drawn, 1))]
            (new / INDEX).write_text("\n".join(lines) + "\n", encoding="utf-8")
        say(f"{count} pictures in {folder}")


def _need_free(folder: Path, overwrite: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise TPError(f"{folder}: this is a file; --output names a folder")
    if folder.is_dir() and any(folder.iterdir()) and not overwrite:
        raise TPError(f"{folder}: the folder is not empty; --overwrite replaces the pictures in it")


@contextlib.contextmanager
def _new_pictures(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder whose files replace the pictures in ``folder`` at the end, unless there is an error."""
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / ".new"
    try:
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        yield new
        for old in [*folder.glob("[0-9]*.png"), folder / INDEX] if (folder / INDEX).is_file() else []:
            old.unlink()
        for path in sorted(new.iterdir(), key=lambda each: each.name == INDEX):
            os.replace(path, folder / path.name)
    finally:
        shutil.rmtree(new, ignore_errors=True)
        if made and not any(folder.iterdir()):
            folder.rmdir()


def _noted(records: Iterator[Record], texts: list[str]) -> Iterator[Record]:
    """Yield the records except blank lines, and append their texts to ``texts``.

    White space in these texts is replaced by single spaces, so that each text fits into one cell of a table.
    """
    from tp_core.data.fields import is_blank

    for record in records:
        if is_blank(record):
            continue
        texts.append(" ".join(str(record.value.get("text", "")).split()))
        yield record
