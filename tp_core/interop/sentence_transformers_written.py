"""Writing of the files with which Sentence Transformers computes the same vectors as ``tp embed``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tp_core.artifacts.layout import WEIGHTS
from tp_core.artifacts.shards import Planned, write_file
from tp_core.interop.folders import write_json
from tp_core.interop.sentence_transformers import FLAGS, MODEL, MODES, MODULES, POOLING, TRANSFORMER
from tp_core.interop.tensors import Tensors
from tp_core.interop.tokenizer_files import has_tokenizer
from tp_core.modules.targets.contrastive_options import ContrastiveConfig
from tp_core.options.facts import Pooling
from tp_core.spec.choices.part_names import key_of
from tp_core.spec.schema import Spec
from tp_core.spec.trained.vectors import VectorPlan, vector_plan

#: The package of the modules, in which releases before 6 find them too.
_PACKAGE = "sentence_transformers.models"


def write_sentence_transformer(spec: Spec, stream: str, tensors: Tensors, folder: Path) -> list[str]:
    """Write the files of Sentence Transformers beside a model, if the spec or its targets define vectors of texts.

    Args:
        spec: the spec of the model, with all its targets.
        stream: the stream that the folder contains; empty for a model without streams.
        tensors: the model's weights, for a projection.
        folder: the folder with the transformers model without a head and its tokenizer.

    Returns:
        Notes for the user.
    """
    options = spec.inference.embed
    plan = vector_plan(spec, options.model_copy(update={"stream": stream or None}))
    if not (plan.target or options.pooling) or not has_tokenizer(folder):
        return []
    facts = plan.facts
    projection = None if facts.projection_size is None else _projection(spec, plan)
    if facts.pooling is None or (facts.projection_size is not None and projection is None):
        return [f"{MODULES} is not written: Sentence Transformers cannot express {plan.describe()}"]
    modules = [("Transformer", ""), ("Pooling", "1_Pooling")]
    width = int(spec.model.streams[plan.stream].encoder.config.hidden_size)
    _write(folder, "1_Pooling", _pooling(facts.pooling, width))
    if projection is not None:
        modules.append(("Dense", "2_Dense"))
        _write_dense(folder / "2_Dense", projection, tensors)
    if facts.normalize:
        modules.append(("Normalize", f"{len(modules)}_Normalize"))
        _write(folder, modules[-1][1], {})
    listed = [
        {"idx": number, "name": str(number), "path": path, "type": f"{_PACKAGE}.{kind}"}
        for number, (kind, path) in enumerate(modules)
    ]
    (folder / MODULES).write_text(json.dumps(listed, indent=2) + "\n", encoding="utf-8")
    write_json(folder / TRANSFORMER[0], {"max_seq_length": _max_length(spec), "do_lower_case": False})
    whole: dict[str, Any] = {"model_type": "SentenceTransformer", "prompts": options.prompts}
    whole |= {"default_prompt_name": options.prompt, "similarity_fn_name": plan.compared_by(options)}
    write_json(folder / MODEL, whole)
    return [f"{MODULES} and the files that it lists are for Sentence Transformers: {plan.describe()}"]


def _pooling(how: Pooling, width: int) -> dict[str, Any]:
    """The options of a pooling, in the format that all releases read."""
    mode = next(theirs for theirs, ours in MODES.items() if ours == how)
    return {"word_embedding_dimension": width, **{flag: each == mode for flag, each in FLAGS.items()}}


def _projection(spec: Spec, plan: VectorPlan) -> str | None:
    """The name of the weight matrix that projects a stream's vectors; None if the projection is not a single matrix."""
    target = next(each for each in spec.model.targets if each.instance_name == plan.target)
    if not isinstance(target.config, ContrastiveConfig):
        return None
    number = target.config.projection_number(list(spec.model.streams), plan.stream)
    return f"targets.{key_of(plan.target)}.projections.{number}.weight"


def _write_dense(folder: Path, name: str, tensors: Tensors) -> None:
    size, width = tensors.shapes[name]
    config = {"in_features": width, "out_features": size, "bias": False}
    _write(folder.parent, folder.name, {**config, "activation_function": "torch.nn.modules.linear.Identity"})
    planned = Planned("linear.weight", (size, width), tensors.dtypes[name])
    write_file(folder / WEIGHTS, [planned], lambda _: tensors.read(name))


def _max_length(spec: Spec) -> int | None:
    """The maximum number of tokens of the processor, special tokens included."""
    processors = [part.data.processor for part in spec.sets().values()]
    return next((each.config.sequence_length() for each in processors if each is not None), None)


def _write(folder: Path, inside: str, content: dict[str, Any]) -> None:
    (folder / inside).mkdir()
    if content:
        write_json(folder / inside / POOLING, content)
