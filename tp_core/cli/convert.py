"""``tp convert``: convert models of Hugging Face to models of tp, and back."""

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
@click.option(
    "--from", "source", required=True, type=(_FORMAT, str), metavar="FORMAT FOLDER", help="The model to convert."
)
@click.option(
    "--to", "target", required=True, type=(_FORMAT, str), metavar="FORMAT FOLDER", help="The new folder to write."
)
@click.option(
    "--architecture",
    metavar="CLASS",
    help="Class in transformers, such as BertForMaskedLM. By default, config.json or the targets determine it.",
)
@click.option(
    "--model-type",
    metavar="NAME",
    help="Converter to use; tp modules --kind converter lists them. By default, the one that fits the model.",
)
@click.option(
    "--max-shard-size", default="5GB", show_default=True, metavar="SIZE", help="Maximum size of a weights file."
)
@click.option(
    "--resize-vocabulary",
    is_flag=True,
    help="Allow a vocabulary size other than that in config.json. Surplus rows are removed; missing rows are drawn at "
    "random with the statistics of the present rows.",
)
@click.option(
    "--ignore-key",
    "ignore_keys",
    multiple=True,
    metavar="KEY",
    help="A key of config.json, or of another JSON file, to leave out if it cannot be converted; may be repeated.",
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
    models are converted tensor by tensor. A pickle file that contains code is rejected.
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
