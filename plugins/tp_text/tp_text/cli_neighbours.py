"""``tp neighbours``: the nearest words in a model's word embedding."""

from __future__ import annotations

import json
from typing import Any

import click

from tp_core.cli.records import say
from tp_core.cli.trust import trust_code_option
from tp_core.cli.usage import examples
from tp_core.cli.verify import verify_option
from tp_core.terminal import tell


@click.command(
    epilog=examples(
        "tp neighbours runs/word2vec paris berlin --top 5",
        "tp neighbours runs/my_bert good --json",
        "tp neighbours runs/word2vec paris --matrix output --by dot",
    )
)
@click.argument("model")
@click.argument("words", nargs=-1, required=True, metavar="WORD...")
@click.option("--top", default=10, show_default=True, type=click.IntRange(1), help="Number of tokens for each word.")
@click.option(
    "--by",
    type=click.Choice(["cosine", "dot"]),
    default="cosine",
    show_default=True,
    help="Function that compares vectors: the cosine or the dot product.",
)
@click.option(
    "--matrix",
    type=click.Choice(["input", "output"]),
    default="input",
    show_default=True,
    help="The word embedding (input), or the matrix of the target that predicts tokens (output).",
)
@click.option("--stream", metavar="NAME", help="Stream of the word embedding, if the model has several.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list with one object per word.")
@trust_code_option
@verify_option
def neighbours(
    model: str, words: tuple[str, ...], top: int, by: Any, matrix: Any, stream: str | None, as_json: bool
) -> None:
    """Print the tokens whose vectors in MODEL are nearest to those of each WORD.

    A word of several tokens is compared by the mean of their vectors. Special tokens are left out.
    """
    from tp_core.artifacts.load import load_model
    from tp_text.neighbours import neighbours as run

    found = run(load_model(model, "cpu", say), words, top, by, matrix, stream)
    if as_json:
        tell(json.dumps([each._asdict() for each in found], ensure_ascii=False))
        return
    for each in found:
        several = f" (mean of {' '.join(each.tokens)})" if each.tokens != [each.word] else ""
        tell(f"{each.word}{several}")
        for answer in each.nearest:
            tell(f"  {answer['similarity']:7.4f}  {answer['name']}")
