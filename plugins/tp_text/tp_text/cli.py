"""``tp tokenizer``: commands for tokenizers."""

from __future__ import annotations

import click

from tp_core.terminal import tell

_KINDS = ("wordpiece", "bpe", "sentencepiece", "char", "space")


@click.group()
def tokenizer() -> None:
    """Train tokenizers."""


@tokenizer.command()
@click.argument("files", nargs=-1, required=True, metavar="FILES...")
@click.option("--kind", type=click.Choice(_KINDS), required=True, help="Kind of tokenizer to train.")
@click.option(
    "--vocab-size",
    type=click.IntRange(min=1),
    required=True,
    help="Maximum number of tokens, including special tokens.",
)
@click.option("--output", required=True, help="File to write; for bpe, the folder for vocab.json and merges.txt.")
@click.option(
    "--min-frequency",
    type=click.IntRange(min=1),
    help="Leave out tokens and merges with a lower frequency (default: 2; not for sentencepiece).",
)
@click.option(
    "--lowercase/--no-lowercase",
    default=None,
    help="Lower-case the text (default: only for wordpiece; not available for bpe).",
)
@click.option("--special", multiple=True, metavar="TOKEN", help="Additional special token; repeatable.")
@click.option(
    "--character-coverage",
    type=click.FloatRange(0, 1, min_open=True),
    help="Share of the text's characters that the vocabulary must cover (default: 0.9995; only for wordpiece and "
    "sentencepiece).",
)
@click.option("--overwrite", is_flag=True, help="Replace the output if it exists.")
def train(
    files: tuple[str, ...],
    kind: str,
    vocab_size: int,
    output: str,
    min_frequency: int | None,
    lowercase: bool | None,
    special: tuple[str, ...],
    character_coverage: float | None,
    overwrite: bool,
) -> None:
    """Train a tokenizer on text FILES (UTF-8, or gzipped as .gz) and write its vocabulary.

    The same text gives the same vocabulary. wordpiece, char and space write a text file with one token per
    line, bpe a folder with vocab.json and merges.txt, sentencepiece a .model file.

    \b
    Example:
      tp tokenizer train corpus/*.txt --kind wordpiece --vocab-size 8000 --output vocab.txt
    """
    import sys

    import yaml

    from tp_text.tokenizers.train import train_tokenizer

    trained = train_tokenizer(
        files,
        kind,
        vocab_size,
        output,
        min_frequency=min_frequency,
        lowercase=lowercase,
        special=special,
        character_coverage=character_coverage,
        overwrite=overwrite,
        progress=sys.stderr.isatty(),
    )
    few = "" if trained.vocab_size >= vocab_size else f"; the text gives no more, although {vocab_size} were requested"
    tell(f"wrote {' and '.join(map(str, trained.files))} ({trained.vocab_size} tokens{few})")
    tell("\nTo use it, put this into a spec (paths are relative to the spec's folder):\n")
    lines = {"data": {"tokenizer": {trained.kind: trained.options}}}
    tell(yaml.safe_dump(lines, sort_keys=False, allow_unicode=True).rstrip("\n"))
