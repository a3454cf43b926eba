"""``tp import-spec``: a spec for a config and a command line of the original."""

from __future__ import annotations

from pathlib import Path

import click

from tp_core.cli.output import STDOUT, new_file, shown_output, whole_file
from tp_core.cli.records import say
from tp_core.cli.usage import examples


@click.command(
    "import-spec",
    context_settings={"ignore_unknown_options": True},
    epilog=examples(
        "tp import-spec models/bert/base_config.json --output bert.yaml",
        "tp import-spec models/bert/base_config.json -- --corpus_path corpus.txt --vocab_path vocab.txt",
    ),
)
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--output", default="-", show_default=True, help="File to write; - for the standard output.")
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
@click.argument("options", nargs=-1, metavar="[-- THE ORIGINAL'S OPTIONS]")
def import_spec(config: Path, output: str, overwrite: bool, options: tuple[str, ...]) -> None:
    """Write a spec for CONFIG, a model's config of TencentPretrain or UER, and a command line of its scripts.

    Options of preprocess.py and pretrain.py may stand together. Options without a counterpart are named.
    """
    from tp_tencentpretrain.spec_import.build import import_spec as run

    path = new_file(output, overwrite)
    found = run(config, options)
    for note in found.notes:
        say(note)
    with whole_file(path, "w") as file:
        file.write(found.text(None if path == STDOUT else path.parent))
    say(f"the spec is in {shown_output(path)}")
