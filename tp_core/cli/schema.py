"""``tp schema``: the JSON Schema of specs, for editors."""

from __future__ import annotations

import click

from tp_core.cli.usage import examples
from tp_core.errors import TPError


@click.command(
    epilog=examples(
        "tp schema --output tp.schema.json",
        "# then, in the first line of a spec, for editors with a YAML language server:",
        "# yaml-language-server: $schema=tp.schema.json",
    )
)
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="File to write; standard output if not given.")
def schema(output: str | None) -> None:
    """Write the JSON Schema of spec files, with the options of every installed module.

    Write it again after installing or removing a package of modules.
    """
    import json

    from tp_core.spec.json_schema import spec_schema

    text = json.dumps(spec_schema(), indent=2, ensure_ascii=False)
    if output is None:
        click.echo(text)
        return
    try:
        with open(output, "w", encoding="utf-8") as file:
            file.write(text + "\n")
    except OSError as error:
        raise TPError(f"{output}: cannot be written: {error.strerror}") from error
