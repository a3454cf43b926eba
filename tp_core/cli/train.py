"""``tp train``: train the model of a spec."""

from __future__ import annotations

import click

from tp_core.cli.lasting_streams import lasting_streams
from tp_core.cli.nproc import nproc_option, run_here
from tp_core.cli.processes import in_several_processes
from tp_core.cli.trust import trust_code_option
from tp_core.cli.usage import examples
from tp_core.cli.verify import verify_option
from tp_core.errors import TPError
from tp_core.processes.launch import launch, start_error
from tp_core.processes.orphans import stop_with_launcher
from tp_core.terminal import tell


@in_several_processes
@click.command(
    epilog=examples(
        "tp train my_bert.yaml",
        "tp train my_bert.yaml train.steps=100 model.encoder.transformer.num_layers=2 --run runs/short",
        "tp train my_bert.yaml --resume",
        "tp train my_bert.yaml train.optimizer.adamw.lr=1e-5 --resume --allow-change lr",
        "tp train my_bert.yaml train.strategy=fsdp --nproc 8",
        "torchrun --nnodes 2 --nproc-per-node 8 ... -m tp_core -- train my_bert.yaml --run runs/big",
    )
)
@click.argument("spec")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--run", type=click.Path(), help="Folder of the run.  [default: runs/<spec name>]")
@click.option("--resume", is_flag=True, help="Continue from the newest complete checkpoint in the run's folder.")
@click.option(
    "--allow-change",
    "allowed",
    metavar="KEY[,KEY]",
    multiple=True,
    help="With --resume: options that may differ from the checkpoint's, such as lr or batch_size. The result then "
    "differs from that of an uninterrupted run; changes.jsonl records each change and its step.",
)
@nproc_option
@trust_code_option
@verify_option
def train(
    spec: str,
    overrides: tuple[str, ...],
    run: str | None,
    resume: bool,
    allowed: tuple[str, ...],
    nproc: int | str | None,
) -> None:
    """Train, or continue to train, the model of a spec.

    The run's folder gets the resolved spec, metrics.jsonl, TensorBoard events, checkpoints and, at the end, the model
    in model/. A checkpoint is written every 30 minutes (train.checkpoint_every), at the end, and when the run ends with
    an error between two steps. SIGTERM, SIGHUP or Ctrl-C saves and stops; a second Ctrl-C stops at once; SIGUSR1 saves
    and continues. The run ends with an error if it waits longer than 10 minutes (train.timeout) for a batch or for
    another process.
    """
    click.get_current_context().with_resource(lasting_streams())
    from tp_core.spec.load import load_spec

    try:
        loaded = load_spec(spec, overrides)
    except TPError as error:
        told = start_error(error)  # each process reads the spec, and only one reports its problems
        if told is error:
            raise
        raise told from error
    if nproc is not None:
        run_here(nproc)
    stop_with_launcher()
    from tp_core.training.run import train as run_training

    result = run_training(loaded, run, resume, allowed)
    if result.model is not None and launch().rank == 0:  # only one process prints
        tell(str(result.model))
