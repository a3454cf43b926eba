"""Reduction of a spec to the parts that a trained model needs. Torch-free."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tp_core.options.choice import Chosen, with_choices
from tp_core.spec.schema import Spec, TrainSpec
from tp_core.spec.sections.data import DataSpec
from tp_core.spec.sections.embedding import EmbeddingSpec
from tp_core.spec.sections.train import TrainOptions

#: Options of ``data:`` for the place and the order of training data.
_OF_TRAINING = ("train", "eval", "cache", "bucket", "balance")

#: A function of a module that returns its replacement, or None to remove it.
Change = Callable[[Chosen[Any]], Chosen[Any] | None]


def for_use(spec: Spec) -> Spec:
    """The spec of a trained model for inference.

    Data, hooks, optimizer and init_from are removed, as are targets that only training can use
    (:meth:`tp_core.options.base.ModuleConfig.for_use`). The seed stays, as evaluations draw masks with it.
    """
    from tp_core.training.optimizers.options import AdamWConfig
    from tp_core.training.schedules.options import LinearConfig
    from tp_core.training.strategies.options import SingleConfig

    usual = TrainSpec(
        TrainOptions(seed=spec.train.options.seed),
        Chosen("optimizer", "adamw", "train.optimizer.adamw", AdamWConfig()),
        Chosen("schedule", "linear", "train.schedule.linear", LinearConfig()),
        Chosen("strategy", "single", "train.strategy.single", SingleConfig()),
    )
    bare = replace(spec, train=usual, init_from={}, require_init=(), data=_without_training(spec.data))
    return replaced(bare, _as_used)


def dump_for_use(spec: Spec) -> dict[str, Any]:
    """The resolved spec of :func:`for_use` as plain values."""
    plain = spec.dump()
    seed, usual = spec.train.options.seed, TrainOptions().seed
    del plain["train"]
    return plain if seed == usual else plain | {"train": {"seed": seed}}


def dump_by_names(spec: Spec) -> dict[str, Any]:
    """The resolved spec as plain values, with module names without distributions, for comparisons."""

    def bare(chosen: Chosen[Any]) -> Chosen[Any]:
        return replace(chosen, written=chosen.name)

    return replaced(spec, bare).dump()


def _as_used(chosen: Chosen[Any]) -> Chosen[Any] | None:
    config = chosen.config.for_use()
    return None if config is None else replace(chosen, config=config)


def _without_training(data: DataSpec) -> DataSpec:
    options = data.options.model_copy(update=dict.fromkeys(_OF_TRAINING))
    return replace(data, options=options, sets={name: _without_training(part) for name, part in data.sets.items()})


def replaced(spec: Spec, change: Change, labels: bool = True) -> Spec:
    """A copy of a spec with replaced modules. Modules that options choose are replaced before their owners.

    Args:
        change: returns the replacement of a module. It may return None for targets, which are removed, and for modules
            that options choose, which are then kept.
        labels: True to also replace modules that options choose and that only make labels.
    """
    done: dict[int, Chosen[Any] | None] = {}  # parts that share a module continue to share it

    def changed(chosen: Any) -> Any:
        if chosen is None:
            return None
        if id(chosen) not in done:
            done[id(chosen)] = change(with_choices(chosen, change, labels))
        return done[id(chosen)]

    def data_of(data: DataSpec) -> DataSpec:
        kept = {target.instance_name for target in spec.model.targets if changed(target) is not None}
        fed = data.mixing.targets  # a set without targets is kept, as sets are numbered
        mixing = data.mixing.model_copy(update={"targets": None if fed is None else [n for n in fed if n in kept]})
        modules = {name: changed(getattr(data, name)) for name in ("tokenizer", "target_tokenizer", "processor")}
        return replace(data, **modules, mixing=mixing, sets={name: data_of(part) for name, part in data.sets.items()})

    def component(embedding: EmbeddingSpec) -> EmbeddingSpec:
        norm = embedding.options.norm
        options = embedding.options.model_copy(update={"norm": changed(norm) or norm})
        return EmbeddingSpec(tuple(map(changed, embedding.modules)), options)

    model = spec.model
    streams = {
        name: stream._replace(embedding=component(stream.embedding), encoder=changed(stream.encoder))
        for name, stream in model.streams.items()
    }
    behind = None if model.target_embedding is None else component(model.target_embedding)
    targets = tuple(target for target in map(changed, model.targets) if target is not None)
    modules = {"decoder": changed(model.decoder), "fusion": changed(model.fusion)}
    made = model._replace(streams=streams, targets=targets, target_embedding=behind, **modules)
    training: dict[str, Any] = {key: changed(getattr(spec.train, key)) for key in ("optimizer", "schedule", "strategy")}
    training |= {key: tuple(map(changed, getattr(spec.train, key))) for key in ("hooks", "loggers")}
    return replace(spec, model=made, data=data_of(spec.data), train=spec.train._replace(**training))
