"""``tp import-spec``: a spec for a config and a command line of the original."""

from __future__ import annotations

from pathlib import Path

import click

from tp_core.cli.records import say
from tp_core.cli.usage import examples
from tp_core.terminal import tell


@click.command(
    "import-spec",
    context_settings={"ignore_unknown_options": True},
    epilog=examples(
        "tp import-spec models/bert/base_config.json --output bert.yaml",
        "tp import-spec models/bert/base_config.json -- --corpus_path corpus.txt --vocab_path vocab.txt",
    ),
)
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="File to write; default: the terminal.")
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
@click.argument("options", nargs=-1, metavar="[-- THE ORIGINAL'S OPTIONS]")
def import_spec(config: Path, output: Path | None, overwrite: bool, options: tuple[str, ...]) -> None:
    """Write a spec for CONFIG, a model's config of TencentPretrain or UER, and a command line of its scripts.

    Options of preprocess.py and pretrain.py may stand together. Options without a counterpart are named.
    """
    from tp_core.errors import TPError
    from tp_tencentpretrain.spec_import.build import import_spec as run

    if output is not None and output.exists() and not overwrite:
        raise TPError(f"{output} exists already; --overwrite replaces it")
    found = run(config, options)
    for note in found.notes:
        say(note)
    if output is None:
        tell(found.text().rstrip("\n"))
        return
    output.write_text(found.text(), encoding="utf-8")
    say(f"the spec is in {output}")
