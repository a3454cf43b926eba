"""Checks that the chosen modules fit each other, from their declarations and before anything is built."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tp_core.errors import TPError
from tp_core.interfaces.tokenizer import TokenizerFacts
from tp_core.options.base import Problem
from tp_core.options.choice import Chosen, label_makers
from tp_core.options.context import BuildContext, DataContext
from tp_core.options.ports import CAUSAL, TARGET_INPUT_IDS, TASK_IDS, TOKEN_TYPE_IDS
from tp_core.spec.checks.files import no_file
from tp_core.spec.checks.fit import check_fit
from tp_core.spec.checks.plugin_problems import files_of, listed
from tp_core.spec.checks.shared import check_shared_parts
from tp_core.spec.choices.module_nodes import all_modules, node_of, placed
from tp_core.spec.choices.module_ports import fields
from tp_core.spec.context import context_of, data_context
from tp_core.spec.errors import Problems
from tp_core.spec.schema import Spec
from tp_core.spec.sections.embedding import EmbeddingSpec
from tp_core.spec.tree.nodes import Node
from tp_core.suggest import did_you_mean


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
    _check_target_streams(spec, root, problems)
    if not problems:
        _check_pooling(spec, root, problems)
    _check_modules(spec, root, problems)
    for name, stream in spec.model.streams.items():
        _check_embedding(spec, stream.embedding, context_of(spec, name), root, problems)
    if spec.model.target_embedding is not None:
        _check_embedding(spec, spec.model.target_embedding, context_of(spec, side="target"), root, problems)
        if spec.model.decoder is None:
            message = "is what a decoder reads, and the model has no decoder; add model.decoder"
            problems.add("model.target_embedding", message, root.find(("model", "target_embedding")), key=True)
    check_shared_parts(spec, root, problems)
    _check_streams(spec, root, problems)
    check_fit(spec, root, problems)
    _check_tokenizer(spec, root, problems)


def check_sets(spec: Spec, problems: Problems) -> bool:
    """True if the model has all targets and streams that the data sets name; otherwise problems are reported."""
    root = spec.tree
    known = {"targets": [t.instance_name for t in spec.model.targets], "streams": [n for n in spec.model.streams if n]}
    right = True
    for name, part in spec.data.sets.items():
        for key, names in known.items():
            given = getattr(part.mixing, key)
            for number, each in enumerate(given or ()):
                if each not in names:
                    near = did_you_mean(each, names) or f"the {key} are {', '.join(names) or 'none'}"
                    node = root.find(("data", "sets", name, key, number))
                    problems.add(f"data.sets.{name}.{key}", f"the model has no {key[:-1]} '{each}'; {near}", node)
                    right = False
            if given == [] and key == "streams":  # an empty list of targets is only a problem for training
                message = f"is empty; leave it out for all of the model's {key}"
                problems.add(f"data.sets.{name}.{key}", message, root.find(("data", "sets", name, key)))
                right = False
    for name in spec.data.options.labels if spec.data.sets else ():
        if name not in known["targets"]:
            near = did_you_mean(name, known["targets"]) or f"the targets are {', '.join(known['targets']) or 'none'}"
            node = root.find(("data", "labels", name))
            problems.add(f"data.labels.{name}", f"the model has no target '{name}'; {near}", node, key=True)
            right = False
    for place in placed(spec) if spec.data.sets else ():
        chosen, tasks = place.chosen, fields(place.chosen.config, "requires", place.context).get(TASK_IDS)
        if tasks is not None and tasks.high is not None and tasks.high < len(spec.data.sets):
            message = f"is {tasks.high}, less than the {len(spec.data.sets)} data sets"
            problems.add(
                f"{chosen.path}.{tasks.option}".removesuffix("."), message, node_of(root, chosen, tasks.option)
            )
            right = False
    return right


def _check_target_streams(spec: Spec, root: Node, problems: Problems) -> None:
    names = [name for name in spec.model.streams if name]
    for chosen in spec.model.targets:
        stream = chosen.config.stream
        if stream is not None and stream not in names:
            near = did_you_mean(stream, names) or f"the streams are {', '.join(names) or 'none'}"
            node = node_of(root, chosen, "stream")
            problems.add(f"{chosen.path}.stream", f"the model has no stream '{stream}'; {near}", node)


def _check_pooling(spec: Spec, root: Node, problems: Problems) -> None:
    """Report targets that pool the first position of a causal model, which sees nothing but itself."""
    for chosen in spec.model.targets:
        for stream, how in chosen.config.pools(context_of(spec, chosen.config.stream or "", side="target")).items():
            encoder = spec.model.streams[stream].encoder
            last = encoder if stream else spec.model.decoder or encoder
            if how != "first" or spec.model.fusion is not None or not is_causal(last, context_of(spec, stream)):
                continue
            message = f"is first, and '{last.name}' is causal: its first position sees nothing else; set it to last"
            if hasattr(chosen.config, "pooling"):
                problems.add(f"{chosen.path}.pooling", message, node_of(root, chosen, "pooling"))
            else:
                place = ("model", "streams", stream, "pooling") if stream else ("model", "pooling")
                problems.add(".".join(place), message, root.find(place))


def is_causal(chosen: Chosen[Any], context: BuildContext) -> bool:
    """True if no position of a module's states sees later ones, not even in a prefix."""
    prefix = getattr(chosen.config, "mask", None) == "causal_with_prefix"
    return CAUSAL in fields(chosen.config, "provides", context) and not prefix


def check_files(modules: Iterable[Chosen[Any]], root: Node, problems: Problems, training: bool = False) -> None:
    """Report missing files of modules.

    Args:
        training: True for files that only training needs.
    """
    for chosen in modules:
        for option, path in files_of(chosen.config, "training_files" if training else "files").items():
            if why := no_file(path):
                problems.add(f"{chosen.path}.{option}", why, node_of(root, chosen, option))


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


def _check_embedding(
    spec: Spec, component: EmbeddingSpec, context: BuildContext, root: Node, problems: Problems
) -> None:
    first = component.modules[0]
    places = first.config.places()
    if not first.config.makes_sequence:
        message = f"'{first.name}' adds to a sequence and cannot stand first; list an embedding such as word before it"
        problems.add(first.path, message, node_of(root, first), key=True)
    for chosen in component.modules:
        size = chosen.config.embedding_size
        if size is not None and size != context.embedding_size:
            message = f"is {size}, but the embeddings summed with it are {context.embedding_size} wide"
            problems.add(f"{chosen.path}.embedding_size", message, node_of(root, chosen, "embedding_size"))
        limit = chosen.config.length_limit()
        if chosen is not first and limit is not None and places is not None and limit < places:
            message = f"has {limit} positions, and the sequences of '{first.name}' reach to {places}"
            problems.add(chosen.path, message, node_of(root, chosen))
    processor = spec.data.processor
    if processor is None:
        return
    length, option = processor.config.sequence_length(), processor.config.length_option
    bounded = component is spec.model.target_embedding or getattr(processor.config, option, 0) is not None
    if component is spec.model.target_embedding:
        length, option = processor.config.target_sequence_length(), processor.config.target_length_option
    elif length is not None:
        length = first.config.positions(length)
    # Among modules with a fixed number of positions, only the first reads the processor's sequences.
    for chosen in component.modules[: None if places is None else 1]:
        limit = chosen.config.length_limit()
        if limit is None:
            continue
        message = f"sequences of {length} are longer than the {limit} positions of {chosen.path}"
        if length is None:
            message = f"is required: the model has the {limit} positions of {chosen.path}"
        if (length is None and not bounded) or (length is not None and length > limit):
            problems.add(f"{processor.path}.{option}", message, node_of(root, processor, option))


def _check_streams(spec: Spec, root: Node, problems: Problems) -> None:
    """Check that the processor feeds the model's streams and decoder's side."""
    processor = spec.data.processor
    if processor is None:
        return
    streams = [name for name in spec.model.streams if name]
    node = node_of(root, processor)
    provided = fields(processor.config, "provides", context_of(spec))
    if spec.model.decoder is None and any(port.kind == "target_input" for port in provided):
        message = "makes a decoder's side, and the model has no decoder; add target_embedding and decoder"
        problems.add(processor.path, message, node, key=True)
    if processor.config.feeds_streams and not streams:
        problems.add(processor.path, "feeds streams, and the model has none; give it model.streams", node, key=True)
    elif len(streams) > 1 and not processor.config.feeds_streams:
        message = f"feeds one stream, but the model has {', '.join(streams)}; use a processor that feeds named streams"
        problems.add(processor.path, message, node, key=True)


def _check_tokenizer(spec: Spec, root: Node, problems: Problems) -> None:
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
