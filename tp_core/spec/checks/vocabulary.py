"""Vocabularies: their files, sizes, special tokens and segments."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tp_core.errors import TPError
from tp_core.interfaces.tokenizer import TokenizerFacts
from tp_core.options.base import Problem
from tp_core.options.choice import Chosen
from tp_core.options.context import DataContext
from tp_core.options.ports import TARGET_INPUT_IDS, TOKEN_TYPE_IDS
from tp_core.spec.checks.module_files import check_files
from tp_core.spec.checks.plugin_problems import listed
from tp_core.spec.choices.module_nodes import node_of
from tp_core.spec.choices.module_ports import fields
from tp_core.spec.context import context_of
from tp_core.spec.errors import Problems
from tp_core.spec.schema import Spec
from tp_core.spec.tree.nodes import Node


def read_vocabulary(tokenizer: Chosen[Any], root: Node, problems: Problems) -> TokenizerFacts | None:
    """The facts of the tokenizer's vocabulary; None if a problem was reported."""
    before = len(problems)
    check_files([tokenizer], root, problems)
    if len(problems) > before:
        return None
    try:
        facts: TokenizerFacts = tokenizer.config.facts(DataContext())
        return facts
    except TPError as error:
        problems.add(tokenizer.path, str(error), node_of(root, tokenizer), key=True)
        return None


def check_tokenizer(spec: Spec, root: Node, problems: Problems) -> None:
    tokenizer, processor, facts = spec.data.tokenizer, spec.data.processor, spec.data.vocabulary
    _check_target_side(spec, root, problems)
    if tokenizer is None or facts is None or problems:
        return
    extra = spec.data.extra_ids()
    if facts.vocab_size + extra > spec.model.vocab_size:
        message = f"is {spec.model.vocab_size}, less than the {facts.vocab_size} ids of {tokenizer.path}"
        if extra and processor is not None:
            message += f" and the {extra} of {processor.path}"
        problems.add("model.vocab_size", message, root.find(("model", "vocab_size")))
    if processor is None:
        return
    _check_segments(spec, processor, facts, root, problems)
    _add_of_tokenizer(listed(processor.config, "check_tokenizer", facts), processor, tokenizer, root, problems)


def _add_of_tokenizer(
    found: Iterable[Problem], processor: Chosen[Any], tokenizer: Chosen[Any], root: Node, problems: Problems
) -> None:
    """Report a processor's problems with a tokenizer: at the processor's option, else at the tokenizer."""
    for problem in found:
        if problem.option:
            path, node = f"{processor.path}.{problem.option}", node_of(root, processor, problem.option)
            problems.add(path, problem.message, node)
        else:
            problems.add(tokenizer.path, problem.message, node_of(root, tokenizer), key=True)


def _check_segments(spec: Spec, processor: Chosen[Any], facts: TokenizerFacts, root: Node, problems: Problems) -> None:
    """Check that the model has a vector for each segment that the processor makes."""
    made = processor.config.segments(facts)
    for name, stream in spec.model.streams.items() if made is not None else ():
        for chosen in stream.embedding.modules:
            wanted = fields(chosen.config, "requires", context_of(spec, name)).get(TOKEN_TYPE_IDS)
            if wanted is None or made is None or wanted.high is None or wanted.high >= made:
                continue
            option = wanted.option
            message = f"is {wanted.high}, and the rows of {processor.path} have {made} segments"
            place = f"{chosen.path}.{option}".removesuffix(".")
            problems.add(place, message, node_of(root, chosen, option))


def _check_target_side(spec: Spec, root: Node, problems: Problems) -> None:
    """Check the tokenizer of the decoder's side: its own or the shared one."""
    if problems:
        return
    own, processor = spec.data.target_tokenizer, spec.data.processor
    if own is not None and spec.model.decoder is None:
        message = "is the tokenizer of the decoder's side, and the model has no decoder"
        problems.add("data.target_tokenizer", message, node_of(root, own), key=True)
    tokenizer, facts = own or spec.data.tokenizer, spec.data.target_vocabulary or spec.data.vocabulary
    if spec.model.decoder is None or tokenizer is None or facts is None:
        return
    # For a shared tokenizer, the source side's size is checked first.
    alone = own is not None or facts.vocab_size <= spec.model.vocab_size
    if alone and facts.vocab_size > spec.model.target_vocab_size:
        message = f"is {spec.model.target_vocab_size}, less than the {facts.vocab_size} ids of {tokenizer.path}"
        problems.add("model.target_vocab_size", message, root.find(("model", "target_vocab_size")))
    if processor is None or TARGET_INPUT_IDS not in fields(processor.config, "provides", context_of(spec)):
        return
    found = listed(processor.config, "check_target_tokenizer", facts)
    if own is not None:
        found += listed(processor.config, "check_separate_tokenizers")
    _add_of_tokenizer(found, processor, tokenizer, root, problems)
