"""Checks that the chosen modules fit each other, from their declarations and before anything is built."""

from __future__ import annotations

from tp_core.options.choice import label_makers
from tp_core.spec.checks.embeddings import check_embedding
from tp_core.spec.checks.fit import check_fit
from tp_core.spec.checks.module_files import check_files
from tp_core.spec.checks.plugin_problems import listed
from tp_core.spec.checks.shared import check_shared_parts
from tp_core.spec.checks.streams import check_pooling, check_streams, check_target_streams
from tp_core.spec.checks.vocabulary import check_tokenizer
from tp_core.spec.choices.module_nodes import all_modules, node_of, placed
from tp_core.spec.context import context_of, data_context
from tp_core.spec.errors import Problems
from tp_core.spec.schema import Spec
from tp_core.spec.tree.nodes import Node


def check_model(spec: Spec, problems: Problems) -> None:
    """Report problems between modules: options, widths, required and provided ports."""
    root = spec.tree
    before: set[tuple[str, str]] = set()
    for part in spec.sets().values():
        # Report problems of the model itself once, not once per data set.
        found = Problems()
        _check_set(part, root, found)
        for problem in found:
            if (problem.path, problem.message) not in before:
                before.add((problem.path, problem.message))
                problems.append(problem)


def _check_set(spec: Spec, root: Node, problems: Problems) -> None:
    check_target_streams(spec, root, problems)
    if not problems:
        check_pooling(spec, root, problems)
    _check_modules(spec, root, problems)
    for name, stream in spec.model.streams.items():
        check_embedding(spec, stream.embedding, context_of(spec, name), root, problems)
    if spec.model.target_embedding is not None:
        check_embedding(spec, spec.model.target_embedding, context_of(spec, side="target"), root, problems)
        if spec.model.decoder is None:
            message = "is what a decoder reads, and the model has no decoder; add model.decoder"
            problems.add("model.target_embedding", message, root.find(("model", "target_embedding")), key=True)
    check_shared_parts(spec, root, problems)
    check_streams(spec, root, problems)
    check_fit(spec, root, problems)
    check_tokenizer(spec, root, problems)


def _check_modules(spec: Spec, root: Node, problems: Problems) -> None:
    training = {id(maker) for chosen in all_modules(spec) for maker in label_makers(chosen)}
    for place in placed(spec):
        chosen, found = place.chosen, listed(place.chosen.config, "check", place.context)
        if chosen is spec.data.processor:
            found += listed(chosen.config, "check_targets", data_context(spec))
        for problem in found:
            path = f"{chosen.path}.{problem.option}".removesuffix(".")
            problems.add(path, problem.message, node_of(root, chosen, problem.option))
        # Files of tokenizers and sources are checked when they are read.
        elsewhere = chosen.kind == "source" or chosen in (spec.data.tokenizer, spec.data.target_tokenizer)
        if not elsewhere and id(chosen) not in training:
            check_files([chosen], root, problems)
