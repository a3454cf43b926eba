"""``tp convert``: models of Hugging Face as models of tp, and back."""

from __future__ import annotations

import click

from tp_core.cli.trust import trust_code_option
from tp_core.cli.usage import examples
from tp_core.cli.verify import verify_option

_FORMAT = click.Choice(["huggingface", "tp"])


@click.command(
    epilog=examples(
        "tp convert --from huggingface downloads/bert-base-uncased --to tp models/bert",
        "tp convert --from tp runs/my_bert --to huggingface exported/my_bert",
        "tp convert --from huggingface downloads/bert --to tp models/body --architecture BertModel",
    )
)
@click.option("--from", "source", required=True, type=(_FORMAT, str), metavar="FORMAT FOLDER", help="What to convert.")
@click.option(
    "--to", "target", required=True, type=(_FORMAT, str), metavar="FORMAT FOLDER", help="What to write; a new folder."
)
@click.option(
    "--architecture",
    metavar="CLASS",
    help="Class in transformers, such as BertForMaskedLM; by default what config.json says, or what the targets are.",
)
@click.option(
    "--model-type", metavar="NAME", help="Which converter: tp modules --kind converter; by default the one that fits."
)
@click.option(
    "--max-shard-size", default="5GB", show_default=True, metavar="SIZE", help="Most that a file of weights holds."
)
@click.option(
    "--resize-vocabulary",
    is_flag=True,
    help="Allow a vocabulary of another size than config.json says: cut rows off, or draw new ones like the old.",
)
@click.option(
    "--ignore-key",
    "ignore_keys",
    multiple=True,
    metavar="KEY",
    help="A key of config.json, or of another JSON file, to leave out where it cannot be converted; may be repeated.",
)
@trust_code_option
@verify_option
def convert(
    source: tuple[str, str],
    target: tuple[str, str],
    architecture: str | None,
    model_type: str | None,
    max_shard_size: str,
    resize_vocabulary: bool,
    ignore_keys: tuple[str, ...],
) -> None:
    """Convert a model between the formats huggingface and tp.

    FORMAT is huggingface (a folder with config.json and weights) or tp (a model, a run or a checkpoint). Large
    models are converted tensor by tensor. A pickle that holds code is refused.
    """
    from tp_core.cli.records import say
    from tp_core.interop.convert import convert as run

    folder = run(
        source[0],
        source[1],
        target[0],
        target[1],
        architecture=architecture,
        model_type=model_type,
        max_shard_size=max_shard_size,
        resize_vocabulary=resize_vocabulary,
        ignore_keys=ignore_keys,
        say=say,
    )
    say(f"the model is in {folder}")
