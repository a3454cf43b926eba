"""``tp schema``: the JSON Schema of specs, for editors."""

from __future__ import annotations

import os

import click

from tp_core.cli.usage import examples

#: The beginning of each file that this command writes.
_BEGINNING = '{\n  "$schema": "https://json-schema.org/draft/2020-12/schema",\n  "title": "tp spec",'


@click.command(
    epilog=examples(
        "tp schema --output tp.schema.json",
        "# then, in the first line of a spec, for editors with a YAML language server:",
        "# yaml-language-server: $schema=tp.schema.json",
    )
)
@click.option("-o", "--output", default="-", metavar="FILE", help="File to write; standard output if not given, or -.")
@click.option("--overwrite", is_flag=True, help="Replace a file that exists, other than an earlier schema of specs.")
def schema(output: str, overwrite: bool) -> None:
    """Write the JSON Schema of spec files, with the options of every installed module.

    Run this command again after installing or removing a package of modules.
    """
    import json

    from tp_core.cli.output import new_file, whole_file
    from tp_core.spec.json_schema import spec_schema

    path = new_file(output, overwrite or _is_schema(output))
    with whole_file(path) as file:
        file.write(json.dumps(spec_schema(), indent=2, ensure_ascii=False) + "\n")


def _is_schema(output: str) -> bool:
    """True for a file that this command wrote before. It may be replaced without ``--overwrite``."""
    if not os.path.isfile(output):
        return False
    try:
        with open(output, encoding="utf-8") as file:
            return file.read(len(_BEGINNING)) == _BEGINNING
    except (OSError, ValueError):
        return False
