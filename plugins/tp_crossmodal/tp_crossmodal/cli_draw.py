"""``tp draw``: pictures of texts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tp_core.cli.lazy_options import SearchCommand, given
from tp_core.cli.records import input_records, model_options, parse_columns, say
from tp_core.cli.usage import examples
from tp_core.errors import TPError

if TYPE_CHECKING:
    from tp_core.interfaces import Record

INDEX = "index.tsv"


@click.command(
    cls=SearchCommand,
    epilog=examples(
        "tp draw runs/my_dalle --input captions.txt --output drawings",
        "tp draw runs/my_dalle --input captions.tsv --output drawings --sample --top-k 50 --seed 1",
    ),
)
@click.argument("model")
@click.option("--input", "source", required=True, help="Texts: TSV, CSV, JSON lines, text, Parquet.")
@click.option("--output", required=True, help=f"Folder for 1.png, 2.png, ... and {INDEX}, which says their texts.")
@click.option("--overwrite", is_flag=True, help="Replace the pictures of a folder that has some.")
@model_options
def draw(
    model: str,
    source: str,
    output: str,
    overwrite: bool,
    batch_size: int,
    device: str,
    columns: tuple[str, ...],
    data_set: str | None,
    **options: Any,
) -> None:
    """Pictures that MODEL draws, one per text of the input and in its order.

    MODEL was trained with the processor image_text_lm from texts to pictures.
    """
    folder = _folder(Path(output), overwrite)
    from torchvision.io import write_png

    from tp_core.inference.load import load_model
    from tp_crossmodal.drawing import draw as run

    loaded = load_model(model, device, say, data_set)
    records = input_records(source, parse_columns(columns) or loaded.spec.data.options.columns)
    texts: list[str] = []
    pictures = run(loaded, _noted(records, texts), batch_size, **given(options))
    count = 0
    for count, picture in enumerate(pictures, 1):
        if count == 1:  # what is there stays if nothing can be drawn
            _emptied(folder)
        write_png(picture, str(folder / f"{count}.png"))
    if not count:
        raise TPError(f"{source}: there is nothing to draw: no text")
    lines = ["image\ttext", *(f"{number}.png\t{text}" for number, text in enumerate(texts, 1))]
    temporary = folder / f".{INDEX}.tmp"
    temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    os.replace(temporary, folder / INDEX)
    say(f"{count} pictures in {folder}")


def _folder(folder: Path, overwrite: bool) -> Path:
    if folder.exists() and not folder.is_dir():
        raise TPError(f"{folder}: this is a file; --output names a folder")
    if folder.is_dir() and any(folder.iterdir()) and not overwrite:
        raise TPError(f"{folder}: the folder is not empty; --overwrite replaces the pictures in it")
    return folder


def _emptied(folder: Path) -> None:
    """Make the folder, without pictures that were drawn before."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in [*folder.glob("[0-9]*.png"), folder / INDEX] if (folder / INDEX).is_file() else []:
        old.unlink()


def _noted(records: Iterator[Record], texts: list[str]) -> Iterator[Record]:
    """The records, while their texts are written down, without what a table's cell may not have."""
    for record in records:
        texts.append(" ".join(str(record.value.get("text", "")).split()))
        yield record
