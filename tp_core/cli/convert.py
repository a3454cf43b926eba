"""``tp convert``: convert models of other formats to models of tp, and back."""

from __future__ import annotations

import itertools
from typing import Any

import click

from tp_core.cli.trust import trust_code_option
from tp_core.cli.usage import examples
from tp_core.cli.verify import verify_option

_DEFAULT = "huggingface"

#: Key of the options of the named formats in the context of a call.
_OPTIONS = "tp.format_options"


class ConvertCommand(click.Command):
    """A command with the options of the formats that its arguments name, or of the default format."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return [*super().get_params(ctx), *ctx.meta.get(_OPTIONS, ())]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        from tp_core import discovery
        from tp_core.cli.format_options import parameters
        from tp_core.interop.convert import OWN, format_options

        named = [name for option, name in itertools.pairwise(args) if option in ("--from", "--to") and name != OWN]
        known = discovery.index().names("format")
        chosen = dict.fromkeys(each for each in named or [_DEFAULT] if each in known)
        found = {option.name: option for name in chosen for option in parameters(format_options(name))}
        ctx.meta[_OPTIONS] = list(found.values())
        return super().parse_args(ctx, ["--help"] if "--help" in args else args)  # --from takes two values


@click.command(
    cls=ConvertCommand,
    epilog=examples(
        "tp convert --from huggingface downloads/bert-base-uncased --to tp models/bert",
        "tp convert --from tp runs/my_bert --to huggingface exported/my_bert",
        "tp convert --from huggingface downloads/bert --to tp models/body --architecture BertModel",
    ),
)
@click.option("--from", "source", required=True, type=(str, str), metavar="FORMAT PATH", help="The model to convert.")
@click.option(
    "--to", "target", required=True, type=(str, str), metavar="FORMAT FOLDER", help="The new folder to write."
)
@trust_code_option
@verify_option
def convert(source: tuple[str, str], target: tuple[str, str], **options: Any) -> None:
    """Convert a model of another format to a model of tp, or back.

    FORMAT is tp (a model, a run or a checkpoint), huggingface (a folder with config.json and weights), or another one
    that tp modules --kind format lists. The other options are those of the format: tp convert --from FORMAT --help.
    Large models are converted tensor by tensor. A pickle file that contains code is rejected.
    """
    from tp_core.cli.records import say
    from tp_core.interop.convert import convert as run

    given = {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()}
    chosen: dict[str, Any] = {name: value for name, value in given.items() if value not in (None, [])}
    folder = run(source[0], source[1], target[0], target[1], say=say, **chosen)
    say(f"the model is in {folder}")
