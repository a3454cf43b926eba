"""``tp check``: find every problem of a spec, without training and without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tp_core.cli.specs import has_own_data, spec_file
from tp_core.cli.streams import results_alone
from tp_core.cli.trust import trust_code_option, trust_of
from tp_core.cli.usage import examples
from tp_core.errors import TPError
from tp_core.terminal import tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tp_core.options.choice import Chosen
    from tp_core.spec.errors import SpecProblem
    from tp_core.spec.schema import Spec
    from tp_core.spec.sections.embedding import EmbeddingSpec


@click.command(
    epilog=examples(
        "tp check my_bert.yaml",
        "tp check my_bert.yaml train.steps=100 model.encoder.transformer.num_layers=2",
        "tp check my_bert.yaml --json | jq -r '.problems[].message'",
    )
)
@click.argument("spec")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--json", "as_json", is_flag=True, help="Print {ok, problems, notes} as JSON; same exit status.")
@trust_code_option
@click.pass_context
def check(ctx: click.Context, spec: str, overrides: tuple[str, ...], as_json: bool) -> None:
    """Check a spec: its syntax, its modules and their connections, and the files of its data.

    SPEC is a YAML or JSON file, or the name of a preset. Records are not read; tp train and tp preprocess report bad
    ones. If a spec has no data part of its own, or is that of a trained or converted model, only its model is checked.
    The exit status is 2 if the spec has a problem.
    """
    try:
        with results_alone():
            loaded, complete = checked(spec, overrides)
    except TPError as error:
        if not as_json:
            raise
        _print_json(_problems(error, spec))
        ctx.exit(2)
    from tp_core.spec.checks.training import render_note, training_notes

    notes = training_notes(loaded) if complete else []
    if as_json:
        _print_json([], [_plain(note) for note in notes])
    else:
        for note in notes:
            tell(render_note(note), err=True)
        tell("\n".join(summary(spec, loaded, complete)))


def checked(path: str, overrides: tuple[str, ...] = ()) -> tuple[Spec, bool]:
    """Load a spec and check it.

    Returns:
        The spec, and True if the checks of a training run were made, too.

    Raises:
        SpecError: the spec has problems; the error lists all of them, sorted by place.
    """
    from tp_core.spec.load import load_spec

    file = spec_file(path)
    loaded = load_spec(file, overrides, trust_of(path))
    complete = has_own_data(loaded, file)
    if complete:
        from tp_core.spec.checks.run import check_run

        check_run(loaded)
    if loaded.train.hooks:
        from tp_core.hookspecs import hook_manager, run_checks

        run_checks(hook_manager((hook.name, hook.config.build()) for hook in loaded.train.hooks), loaded)
    return loaded, complete


def _problems(error: TPError, spec: str) -> list[dict[str, Any]]:
    problems = getattr(error, "problems", None)
    if problems is None:
        return [{"path": "", "message": str(error), "file": spec, "line": None, "column": None}]
    return [_plain(problem) for problem in problems]


def _plain(problem: SpecProblem) -> dict[str, Any]:
    return {
        "path": problem.path,
        "message": problem.message,
        "file": problem.origin.source,
        "line": problem.origin.line,
        "column": problem.origin.column,
    }


def _print_json(problems: list[dict[str, Any]], notes: Sequence[dict[str, Any]] = ()) -> None:
    import json

    found = {"ok": not problems, "problems": problems, "notes": list(notes)}
    tell(json.dumps(found, indent=2, ensure_ascii=False))


def _module(chosen: Chosen[Any]) -> str:
    """A module's name and its sizes, as text."""
    options = ((key, getattr(chosen.config, key, None)) for key in ("num_layers", "hidden_size", "num_heads"))
    sizes = ", ".join(f"{key} {value}" for key, value in options if value is not None)
    shown = f"{chosen.display_name} ({sizes})" if sizes else chosen.display_name
    return shown if chosen.portable else f"{shown} (from a local file: not portable)"


def _embedding(component: EmbeddingSpec) -> str:
    return ", ".join(_module(module) for module in component.modules)


def vocabulary(spec: Spec) -> str:
    """The vocabulary size and its origin, as text."""
    size = spec.model.vocab_size
    if spec.model.options.vocab_size is not None:
        return f"{size} (model.vocab_size)"
    if spec.data.tokenizer is not None:
        extra = spec.data.extra_ids()
        return f"{size} (of the tokenizer, and {extra} of the processor)" if extra else f"{size} (of the tokenizer)"
    return f"{size} (the default: neither model.vocab_size nor a tokenizer is given)"


def summary(shown: str, spec: Spec, complete: bool) -> list[str]:
    """A summary of the spec, in a few lines."""
    from tp_core.options.ports import WORD
    from tp_core.spec.choices.available_ports import shared_weights
    from tp_core.spec.context import context_of

    rows: list[tuple[str, str]] = []
    for name, stream in spec.model.streams.items():
        stem = f"{name}: " if name else ""
        size = context_of(spec, name).embedding_size
        rows.append((f"{stem}embedding", f"{_embedding(stream.embedding)} (embedding_size {size})"))
        rows.append((f"{stem}encoder", _module(stream.encoder)))
    if spec.model.fusion is not None:
        rows.append(("encoder", _module(spec.model.fusion)))
    if spec.model.target_embedding is not None:
        rows.append(("target embedding", _embedding(spec.model.target_embedding)))
    if spec.model.decoder is not None:
        rows.append(("decoder", _module(spec.model.decoder)))
    rows.append(("target", ", ".join(_module(target) for target in spec.model.targets) or "none"))
    if spec.data.tokenizer is not None or WORD in shared_weights(spec):
        rows.append(("vocabulary", vocabulary(spec)))
    if complete:
        rows += _data_rows(spec)
    width = max(len(key) for key, _ in rows)
    head = f"{shown}: ok" if complete else f"{shown}: ok, checked as a model: it has no data part of its own"
    return [head, *(f"  {key:<{width}}  {value}" for key, value in rows)]


def _data_rows(spec: Spec) -> list[tuple[str, str]]:
    from tp_core.data.sources.names import display_name, expanded
    from tp_core.spec.sections.data import SOURCES

    train = spec.train.options
    rows = [(chosen.kind, chosen.name) for chosen in spec.data.chosen()]
    for key in SOURCES:
        if given := expanded(spec.data.options.given(key)):
            more = f" and {len(given) - 1} more" if len(given) > 1 else ""
            rows.append((f"{key} data", display_name(given[0]) + more))
    length = f"{train.steps} steps" if train.steps is not None else f"{train.epochs:g} epochs"
    chosen = f"{spec.train.optimizer.name}, {spec.train.schedule.name}, {train.precision}"
    return [*rows, ("training", f"{length} of {train.batch_size} samples, {chosen}")]
