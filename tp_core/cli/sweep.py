"""``tp sweep``: train the runs of a grid of settings, seeds and folds, and compare them."""

from __future__ import annotations

import click

from tp_core.cli.lasting_streams import lasting_streams
from tp_core.cli.trust import trust_code_option
from tp_core.cli.usage import examples
from tp_core.cli.verify import verify_option
from tp_core.terminal import tell


@click.command(
    epilog=examples(
        "tp sweep reviews.yaml --grid train.optimizer.adamw.lr=1e-4,3e-4 --grid train.seed=1,2,3 --folds 5",
        "tp sweep reviews.yaml --grid train.optimizer.adamw.lr=1e-4,3e-4 --parallel 2 --run runs/rates",
        "tp sweep reviews.yaml --grid 'train.optimizer.adamw.lr={low: 1e-5, high: 1e-3, log: true}' --search random "
        "--trials 20",
        "tp sweep sweep.yaml --resume",
    )
)
@click.argument("spec")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "--grid",
    multiple=True,
    metavar="KEY=VALUE,VALUE",
    help="Values of a key, or a range {low: ..., high: ..., log: true} for a search; may be repeated. All combinations "
    "of the values are trained. The values of train.seed are repetitions of each combination.",
)
@click.option("--folds", type=click.IntRange(2, 1000), metavar="N", help="Cross-validation with N folds of data.train.")
@click.option(
    "--stratify/--no-stratify",
    default=None,
    help="Give each class the same share of all folds.  [default: if records have class labels]",
)
@click.option("--group", metavar="COLUMN", help="Records with the same value in this column are in the same fold.")
@click.option(
    "--search", type=click.Choice(["grid", "random", "optuna"]), help="Choice of combinations [default: grid]"
)
@click.option(
    "--trials", type=click.IntRange(1), metavar="N", help="Number of combinations of --search random or optuna."
)
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="Seed of the folds and of the search.  [default: 0]")
@click.option(
    "--metric", metavar="NAME", help="Evaluation metric that tells the best combination, such as cls/accuracy."
)
@click.option("--parallel", type=click.IntRange(1), metavar="N", help="Number of runs at the same time.  [default: 1]")
@click.option("--run", type=click.Path(), help="Folder of the sweep.  [default: runs/<spec name>-sweep]")
@click.option("--resume", is_flag=True, help="Continue the sweep in the folder: finished runs are kept.")
@click.option("--dry-run", is_flag=True, help="Check all specs and list the runs, without training.")
@trust_code_option
@verify_option
def sweep(
    spec: str,
    overrides: tuple[str, ...],
    grid: tuple[str, ...],
    resume: bool,
    dry_run: bool,
    **given: object,
) -> None:
    """Train the runs of a grid of settings, seeds and folds of SPEC, and compare their evaluations.

    SPEC is a spec, or a sweep's file: YAML with the keys spec, settings, grid, folds, metric and the names of the other
    options here. Each run is a "tp train" in its own process and folder. All specs are checked first. The tables
    results.tsv (a row per run) and summary.tsv (means and standard deviations of each combination) are written to the
    folder; with --folds also out_of_fold/, the prediction for each record by the model that has not seen it. A failed
    run does not end the sweep, and its exit status is then 1. SIGTERM or Ctrl-C saves the runs and stops; --resume goes
    on.
    """
    ctx = click.get_current_context()
    ctx.with_resource(lasting_streams())
    from tp_core.sweep.plan import read_plan
    from tp_core.sweep.prepare import prepared_sweep

    def say(message: str) -> None:
        tell(message, err=True)

    made = prepared_sweep(read_plan(spec, overrides, grid, given), resume, say)
    say(made.describe())
    if dry_run:
        for run in made.known_runs():
            tell(run.name)
        return
    outcome = made.run()
    tell("\n".join(outcome.lines))
    if outcome.best is not None and made.search.total() > 1:
        tell(f"best by {made.measure.name}: {' '.join(outcome.best)}")
    predicted = ", out_of_fold/" if made.folder.out_of_fold("").parent.is_dir() else ""
    tell(f"{outcome.folder}: results.tsv, summary.tsv{predicted}")
    if left := outcome.unfinished:
        names = ", ".join(f"{each.run.name} ({each.status})" for each in left[:5])
        more = f" and {len(left) - 5} more" if len(left) > 5 else ""
        say(f"{len(left)} of {len(outcome.results)} runs are not finished: {names}{more}; --resume tries them again")
        ctx.exit(1)
