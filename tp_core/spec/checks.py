"""Whether the chosen modules fit each other, proved from what they declare, before anything is built."""

from __future__ import annotations

from typing import Any

from tp_core import discovery
from tp_core.errors import TPError
from tp_core.options.context import BuildContext, DataContext
from tp_core.options.facts import FieldSpec
from tp_core.spec.context import context_of, data_context
from tp_core.spec.errors import Problems
from tp_core.spec.files import no_file
from tp_core.spec.module_nodes import node_of, with_context
from tp_core.spec.nodes import Node
from tp_core.spec.plugin_problems import fields, files_of, listed
from tp_core.spec.schema import Spec
from tp_core.spec.schema_common import Chosen
from tp_core.spec.schema_embedding import EmbeddingSpec
from tp_core.suggest import did_you_mean
from tp_core.tokenizer import TokenizerFacts

#: What gives states of a kind that a target needs.
_STATES = {
    "causal": "an encoder with mask: causal, or a decoder",
    "two_directions": "an encoder whose directions are kept apart: birnn, bilstm or bigru",
}


def read_vocabulary(tokenizer: Chosen[Any], root: Node, problems: Problems) -> TokenizerFacts | None:
    """What is to be known of the tokenizer's vocabulary, or None with a problem added."""
    before = len(problems)
    for option, path in files_of(tokenizer.config).items():
        if why := no_file(path):
            problems.add(f"{tokenizer.path}.{option}", why, node_of(root, tokenizer, option))
    if len(problems) > before:
        return None
    try:
        facts: TokenizerFacts = tokenizer.config.facts(DataContext())
        return facts
    except TPError as error:
        problems.add(tokenizer.path, str(error), node_of(root, tokenizer), key=True)
        return None


def check_model(spec: Spec, problems: Problems) -> None:
    """Add what is wrong between modules: options, widths, what is required and what is provided."""
    root = spec.tree
    if not _check_sets(spec, root, problems):
        return
    before: set[tuple[str, str]] = set()
    for part in spec.sets().values():
        # What is wrong with the model itself is found once, not once for each of its data sets.
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
    _check_fit(spec, root, problems)
    _check_tokenizer(spec, root, problems)


def _check_sets(spec: Spec, root: Node, problems: Problems) -> bool:
    """Whether the targets and streams that the data sets name are the model's."""
    known = {"targets": [t.called for t in spec.model.targets], "streams": [n for n in spec.model.streams if n]}
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
            if given == [] and key == "streams":  # of targets, training alone needs one
                message = f"is empty; leave it out for all of the model's {key}"
                problems.add(f"data.sets.{name}.{key}", message, root.find(("data", "sets", name, key)))
                right = False
    for chosen, context in with_context(spec) if spec.data.sets else ():
        tasks = fields(chosen.config, "requires", context).get("task_ids")
        if tasks is not None and tasks.high < len(spec.data.sets):
            message = f"is {tasks.high}, less than the {len(spec.data.sets)} data sets"
            problems.add(f"{chosen.path}.num_tasks", message, node_of(root, chosen, "num_tasks"))
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
    """No target may take a causal model's first position for the whole: it sees nothing but itself."""
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
    """Whether no position of a module's states sees those behind it, not even in a prefix."""
    prefix = getattr(chosen.config, "mask", None) == "causal_with_prefix"
    return "states:causal" in fields(chosen.config, "provides", context) and not prefix


def _check_modules(spec: Spec, root: Node, problems: Problems) -> None:
    for chosen, context in with_context(spec):
        for problem in listed(chosen.config, "check", context):
            path = f"{chosen.path}.{problem.option}" if problem.option else chosen.path
            problems.add(path, problem.message, node_of(root, chosen, problem.option))
        if chosen is spec.data.processor:
            for problem in listed(chosen.config, "check_targets", data_context(spec)):
                node = node_of(root, chosen, problem.option)
                problems.add(f"{chosen.path}.{problem.option}".removesuffix("."), problem.message, node)
        if chosen.kind not in ("tokenizer", "source"):  # which are checked when they are read
            for option, path in files_of(chosen.config).items():
                if why := no_file(path):
                    node = node_of(root, chosen, option)
                    problems.add(f"{chosen.path}.{option}", why, node)


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
    length, option = None, "max_length"
    if processor is not None:
        length = processor.config.sequence_length()
        if component is spec.model.target_embedding:
            length, option = processor.config.target_sequence_length(), "target_max_length"
    # Of modules that reach to a number of places of their own, only the first can be about the processor's sequences.
    for chosen in component.modules[: None if places is None else 1] if length is not None else ():
        limit = chosen.config.length_limit()
        if processor is not None and limit is not None and length is not None and length > limit:
            message = f"sequences of {length} are longer than the {limit} positions of {chosen.path}"
            problems.add(f"{processor.path}.{option}", message, node_of(root, processor, option))


def provided(spec: Spec) -> dict[str, FieldSpec]:
    """Everything that the model's own modules make available to each other."""
    names: dict[str, FieldSpec] = {}
    for chosen, context in with_context(spec):
        if chosen.kind not in ("processor", "tokenizer"):
            names |= fields(chosen.config, "provides", context)
    return names


def _check_fit(spec: Spec, root: Node, problems: Problems) -> None:
    inside = provided(spec)
    processor = spec.data.processor
    outside: dict[str, FieldSpec] = {}
    if processor is not None:
        outside = fields(processor.config, "provides", context_of(spec))
        if spec.data.name:  # batches of data sets trained in turn say which of them they come from
            outside["task_ids"] = FieldSpec(("batch",))
        _check_streams(spec, processor, root, problems)
        if spec.model.decoder is None and any(name.startswith("target:") for name in outside):
            message = "makes a decoder's side, and the model has no decoder; add target_embedding and decoder"
            problems.add(processor.path, message, node_of(root, processor), key=True)
    behind = spec.model.target_embedding.modules if spec.model.target_embedding is not None else ()
    for chosen, context in with_context(spec):
        for required, wanted in fields(chosen.config, "requires", context).items():
            kind, _, what = required.rpartition(":")
            name = f"target:{required}" if not kind and any(chosen is each for each in behind) else required
            given = inside.get(name)
            if kind == "side" and given is not None and _differ(given.shape, wanted.shape):
                found, expected = (", ".join(map(str, spec.shape)) for spec in (given, wanted))
                message = f"needs the side value '{what}' of shape ({expected}); the model's has ({found})"
                problems.add(chosen.path, message, node_of(root, chosen), key=True)
            if given is not None or name in outside:
                continue
            node = node_of(root, chosen)
            if kind == "weight":
                message = f"needs the weights of a '{what}' embedding to tie to, and the model has none; add '{what}'"
                problems.add(chosen.path, message, node, key=True)
            elif kind == "states":
                hint = _STATES.get(what, "another encoder")
                message = f"needs {what} states, which {_before(spec)} does not give; use {hint}"
                problems.add(chosen.path, message, node, key=True)
            elif kind == "side":
                message = f"needs the side value '{what}', which no module of the model provides"
                problems.add(chosen.path, message, node, key=True)
            elif processor is not None:
                side = "the decoder side's field" if name != required else "the batch field"
                thing = f"the labels '{what}'" if kind == "labels" else f"{side} '{what}'"
                gives = sorted(n.removeprefix("labels:") for n in outside if n.startswith("labels:") == bool(kind))
                only = f"{', '.join(gives)} only" if gives else "none"
                message = f"needs {thing}; {processor.path} provides {only}" + _providers(name, context)
                problems.add(chosen.path, message, node, key=True)


def _differ(left: tuple[int | str, ...], right: tuple[int | str, ...]) -> bool:
    """Whether two shapes with as many dimensions have other sizes, where both know them."""
    known = (a != b for a, b in zip(left, right) if isinstance(a, int) and isinstance(b, int))
    return len(left) == len(right) and any(known)


def _check_streams(spec: Spec, processor: Chosen[Any], root: Node, problems: Problems) -> None:
    streams = [name for name in spec.model.streams if name]
    node = node_of(root, processor)
    if processor.config.feeds_streams and not streams:
        problems.add(processor.path, "feeds streams, and the model has none; give it model.streams", node, key=True)
    elif len(streams) > 1 and not processor.config.feeds_streams:
        message = f"makes one input, and the model has the streams {', '.join(streams)}; use a processor of several"
        problems.add(processor.path, message, node, key=True)


def _providers(name: str, context: BuildContext) -> str:
    """A hint at the installed processors that provide a label or batch field when no option says otherwise."""
    found = []
    for entry in discovery.index().entries("processor"):
        try:
            config = discovery.load(entry)()
            if name in config.provides(context):
                found.append(f"'{entry.name}'")
        except Exception:  # one that is broken, or needs options, is no hint
            continue
    what = name.removeprefix("labels:").removeprefix("target:")
    return f" (by default, '{what}' comes from the processor {' or '.join(found)})" if found else ""


def _before(spec: Spec) -> str:
    if spec.model.decoder is not None:
        return spec.model.decoder.path
    return next(iter(spec.model.streams.values())).encoder.path


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
    for problem in listed(processor.config, "check_tokenizer", facts):
        if problem.option:
            path, node = f"{processor.path}.{problem.option}", node_of(root, processor, problem.option)
            problems.add(path, problem.message, node)
        else:
            problems.add(tokenizer.path, problem.message, node_of(root, tokenizer), key=True)


def _check_segments(spec: Spec, processor: Chosen[Any], facts: TokenizerFacts, root: Node, problems: Problems) -> None:
    """The model has a vector for each segment that the processor makes."""
    made = processor.config.segments(facts)
    for name, stream in spec.model.streams.items() if made is not None else ():
        for chosen in stream.embedding.modules:
            wanted = fields(chosen.config, "requires", context_of(spec, name)).get("token_type_ids")
            if wanted is None or made is None or wanted.high >= made:
                continue
            option = next((o for o in ("num_segments", "text_segments") if hasattr(chosen.config, o)), "")
            message = f"is {wanted.high}, and the rows of {processor.path} have {made} segments"
            place = f"{chosen.path}.{option}".removesuffix(".")
            problems.add(place, message, node_of(root, chosen, option))


def _check_target_side(spec: Spec, root: Node, problems: Problems) -> None:
    """The decoder side's tokenizer: its own, or the one that both sides share."""
    if problems:
        return
    own, processor = spec.data.target_tokenizer, spec.data.processor
    if own is not None and spec.model.decoder is None:
        message = "is the tokenizer of the decoder's side, and the model has no decoder"
        problems.add("data.target_tokenizer", message, node_of(root, own), key=True)
    tokenizer, facts = own or spec.data.tokenizer, spec.data.target_vocabulary or spec.data.vocabulary
    if spec.model.decoder is None or tokenizer is None or facts is None:
        return
    if own is not None and facts.vocab_size > spec.model.target_vocab_size:
        message = f"is {spec.model.target_vocab_size}, less than the {facts.vocab_size} ids of {own.path}"
        problems.add("model.target_vocab_size", message, root.find(("model", "target_vocab_size")))
    if spec.model.options.share_embeddings and spec.model.vocab_size != spec.model.target_vocab_size:
        message = f"the two sides have vocabularies of {spec.model.vocab_size} and {spec.model.target_vocab_size} ids"
        problems.add("model.share_embeddings", message, root.find(("model", "share_embeddings")))
    if processor is None or "target:input_ids" not in processor.config.provides(context_of(spec)):
        return
    found = [*processor.config.check_target_tokenizer(facts)]
    if own is not None:
        found += processor.config.check_separate_tokenizers()
    for problem in found:
        if problem.option:
            path, node = f"{processor.path}.{problem.option}", node_of(root, processor, problem.option)
            problems.add(path, problem.message, node)
        else:
            problems.add(tokenizer.path, problem.message, node_of(root, tokenizer), key=True)
