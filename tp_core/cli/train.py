"""``tp train``: train the model of a spec."""

from __future__ import annotations

import os

import click

from tp_core.cli.usage import examples
from tp_core.errors import EndedElsewhere, TPError


@click.command(
    epilog=examples(
        "tp train my_bert.yaml",
        "tp train my_bert.yaml train.steps=100 model.encoder.transformer.num_layers=2 --run runs/short",
        "tp train my_bert.yaml --resume",
        "torchrun --nproc-per-node 2 -m tp_core -- train my_bert.yaml --run runs/pair",
    )
)
@click.argument("spec")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--run", type=click.Path(), help="Folder of the run.  [default: runs/<spec name>]")
@click.option("--resume", is_flag=True, help="Go on from the newest whole checkpoint of the run's folder.")
def train(spec: str, overrides: tuple[str, ...], run: str | None, resume: bool) -> None:
    """Train, or continue to train, the model of a spec.

    The run's folder gets the resolved spec, metrics.jsonl, TensorBoard events, checkpoints and, at the end, the model
    in model/. SIGTERM or Ctrl-C saves and stops; a second Ctrl-C stops at once.
    """
    from tp_core.spec.load import load_spec

    try:
        loaded = load_spec(spec, overrides)
    except TPError as error:
        if int(os.environ.get("LOCAL_RANK", 0)):  # the machine's first process reads the same spec
            raise EndedElsewhere(str(error)) from error
        raise
    from tp_core.training.run import train as run_training

    result = run_training(loaded, run, resume)
    if result.model is not None and not int(os.environ.get("RANK", 0)):  # one process speaks
        click.echo(str(result.model))
