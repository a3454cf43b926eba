"""``tp units``: cluster units of recordings."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from tp_core.cli.output import new_file, whole_file
from tp_core.cli.processes import in_several_processes, joined
from tp_core.cli.records import input_records, parse_columns, speaker
from tp_core.cli.row_files import form_of_output
from tp_core.cli.trust import trust_code_option
from tp_core.cli.usage import examples
from tp_core.cli.verify import verify_option
from tp_core.terminal import tell

if TYPE_CHECKING:
    from pathlib import Path

    from tp_core.errors import DataError
    from tp_core.interfaces import Record
    from tp_core.processes.shared import Processes


@in_several_processes
@click.command(
    epilog=examples(
        "tp units train.tsv --clusters 100 --output units.jsonl",
        "tp units dev.tsv --centres units.centres.npy --output dev.jsonl",
        "tp units train.tsv --model runs/hubert --layer 6 --clusters 500 --output again.jsonl",
    )
)
@click.argument("data")
@click.option("--output", required=True, help="JSON lines file to write: the records with their units.")
@click.option("--clusters", type=click.IntRange(2), help="Number of new clusters. Centres go to OUTPUT.centres.npy.")
@click.option("--centres", help="File of existing centres, instead of new clusters.")
@click.option("--model", help="Cluster the states of this model. Default: cluster MFCCs with their differences.")
@click.option("--layer", type=int, help="Layer of --model whose output is clustered, from 1.")
@click.option("--sampling-rate", default=16000, show_default=True, type=click.IntRange(1000))
@click.option("--max-frames", default=2_000_000, show_default=True, type=click.IntRange(1), help="Frames for k-means.")
@click.option("--seed", default=0, show_default=True)
@click.option("--device", default="auto", show_default=True, type=click.Choice(["auto", "cpu", "cuda"]))
@click.option("--column", "columns", multiple=True, metavar="FIELD=COLUMN", help="Read a field from another column.")
@click.option("--overwrite", is_flag=True, help="Replace existing output files.")
@trust_code_option
@verify_option
def units(
    data: str,
    output: str,
    clusters: int | None,
    centres: str | None,
    model: str | None,
    layer: int | None,
    sampling_rate: int,
    max_frames: int,
    seed: int,
    device: str,
    columns: tuple[str, ...],
    overwrite: bool,
) -> None:
    """Label the frames of recordings with cluster units, for the target 'units'.

    DATA is a manifest or a folder of recordings. Recordings that cannot be read are reported and left out.
    """
    from tp_core.errors import TPError

    if (clusters is None) == (centres is None):
        raise TPError("give either --clusters (make new clusters) or --centres (use centres from a file)")
    if (model is None) != (layer is None):
        raise TPError("--model and --layer must be given together")
    with joined(model or "") as processes:
        form_of_output(output, None, ("jsonl",))
        path, say = new_file(output, overwrite, processes), speaker(processes)
        new = None if clusters is None else new_file(f"{path.with_suffix('')}.centres.npy", overwrite, processes)
        import numpy as np

        from tp_audio import clusters as making
        from tp_core.artifacts.load import load_model
        from tp_core.data.sources.folder_rules import FolderRules

        vectors: Any = making.MelCepstrum(sampling_rate)
        if model is not None and layer is not None:
            vectors = making.LayerStates(load_model(model, device, say, processes=processes), layer)
        skipped: set[str] = set()

        def report(error: DataError) -> None:
            if str(error) not in skipped:  # recordings are read twice
                say(f"left out: {error}")
            skipped.add(str(error))

        names = parse_columns(columns)
        rules = FolderRules(frozenset({"audio"}), names)
        given = input_records(data, names, rules=rules, report=say, option="DATA", output=path)
        records = [_named(record) for record in given]
        if new is not None and clusters is not None:
            frames = making.sampled(records, vectors, max_frames, seed, report, processes)
            found = making.centres(frames, clusters, seed) if processes.first else frames
            with whole_file(new, "wb", processes) as file:
                np.save(file, found)
            say(f"{clusters} centres of {len(frames):,} frames in {new}")
            found = processes.from_first(found)
        else:
            found = _read_centres(str(centres))

        def label(record: Record) -> str:
            frames = vectors(record)
            if frames.shape[1] != found.shape[1]:
                raise TPError(f"each centre has {found.shape[1]} values, but each frame has {frames.shape[1]}")
            return " ".join(map(str, making.nearest(frames, found)))

        count = _write(path, records, processes, making.readable(label), report)
        say(f"{count} recordings in {path}" + (f", {len(skipped)} left out" if skipped else ""))
        if processes.first:
            tell(f"data:\n  processor: {{units: {{unit_rate: {vectors.rate:g}}}}}\n  train: {path}")


def _write(
    path: Path,
    records: list[Record],
    processes: Processes,
    label: Callable[[Record], str | DataError],
    report: Callable[[DataError], None],
) -> int:
    """Write the readable records with their units. Returns the number of records that were written."""
    import json

    from tp_core.errors import DataError

    count, left = 0, iter(records)
    with whole_file(path, processes=processes) as file:
        for turn in processes.mapped(label, records):
            for found in turn:
                record = next(left)
                if isinstance(found, DataError):
                    report(found)
                    continue
                file.write(json.dumps(_line(record, path.parent) | {"units": found}, ensure_ascii=False) + "\n")
                count += 1
    return count


def _named(record: Record) -> Record:
    """The unchanged record, if a JSON line can name its recording. A missing recording is reported later, at reading.

    Raises:
        DataError: the recording is not a file of its own.
    """
    from tp_core.errors import DataError

    if not isinstance(record.value.get("audio", ""), str):
        message = "the recording is not a file of its own, so a JSON line cannot name it"
        raise DataError(message, file=record.file, line=record.line)
    return record


def _line(record: Record, folder: Path) -> dict[str, Any]:
    """The fields of a record. ``audio`` becomes a path relative to the folder of the output."""
    audio = record.value["audio"]
    place = os.path.join(os.path.dirname(os.path.abspath(record.file)), audio)
    return {**record.value, "audio": os.path.relpath(place, folder.resolve())}


def _read_centres(file: str) -> Any:
    import numpy as np

    from tp_core.errors import TPError

    try:
        found = np.load(file, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise TPError(f"--centres {file}: cannot be read: {error}") from None
    if found.ndim != 2:
        raise TPError(f"--centres {file}: expected a matrix (clusters, values), got shape {found.shape}")
    return found.astype(np.float32)
