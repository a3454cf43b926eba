"""``tp preprocess``: fill the cache ahead of training."""

from __future__ import annotations

import click

from tp_core.cli.trust import trust_code_option
from tp_core.cli.usage import examples
from tp_core.cli.verify import verify_option
from tp_core.terminal import tell


@click.command(epilog=examples("tp preprocess my_bert.yaml", "tp preprocess my_bert.yaml data.cache=/scratch/cache"))
@click.argument("spec")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@trust_code_option
@verify_option
def preprocess(spec: str, overrides: tuple[str, ...]) -> None:
    """Tokenize and prepare the training and evaluation data of a spec.

    Training does this by itself if needed. This command does it in advance, on a machine without an accelerator. The
    cache folder is data.cache, else $TP_CACHE, else $XDG_CACHE_HOME/tp, else ~/.cache/tp.
    """
    from tp_core.spec.checks.run import check_data
    from tp_core.spec.load import load_spec

    loaded = load_spec(spec, overrides)
    check_data(loaded)
    from tp_core.data.build import build_processor, build_tokenizer
    from tp_core.data.cache.prepared import prepared_rows
    from tp_core.spec.sections.data import SOURCES

    tokenizer = build_tokenizer(loaded)
    for name, own in loaded.sets().items():
        processor = build_processor(loaded, tokenizer, name)
        assert processor is not None
        for key in SOURCES:
            if given := own.data.options.given(key):
                rows = prepared_rows(own, processor, given, lambda message: tell(message, err=True))
                shown = f"{name}.{key}" if name else key
                tell(f"{shown}\t{len(rows)} instances\t{rows.path}")
