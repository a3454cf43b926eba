"""Checks that the options under ``inference:`` fit the model."""

from __future__ import annotations

from tp_core.errors import TPError
from tp_core.spec.checks.streams import is_causal
from tp_core.spec.context import context_of
from tp_core.spec.errors import Problems
from tp_core.spec.schema import Spec
from tp_core.spec.sections.embed import unknown_prompt
from tp_core.spec.trained.vectors import vector_plan
from tp_core.suggest import did_you_mean


def check_inference(spec: Spec, problems: Problems) -> None:
    """Report problems of ``inference.embed``: unknown names, and options that no target or encoder supports."""
    options, streams = spec.inference.embed, [name for name in spec.model.streams if name]
    before = len(problems)
    if options.stream is not None and options.stream not in streams:
        near = did_you_mean(options.stream, streams) or f"the streams are {', '.join(streams) or 'none'}"
        _add(problems, spec, "stream", f"the model has no stream '{options.stream}'; {near}")
    if options.prompt is not None and options.prompt not in options.prompts:
        _add(problems, spec, "prompt", unknown_prompt(options))
    if before or len(problems) > before:
        return
    try:
        plan = vector_plan(spec, options)
    except TPError as error:
        _add(problems, spec, "projection", str(error))
        return
    encoder = spec.model.streams[plan.stream].encoder
    alone = spec.model.fusion is None and is_causal(encoder, context_of(spec, plan.stream))
    if options.pooling == "first" and alone:
        message = f"is first, and '{encoder.name}' is causal: its first position sees nothing else; set it to last"
        _add(problems, spec, "pooling", message)


def _add(problems: Problems, spec: Spec, option: str, message: str) -> None:
    problems.add(f"inference.embed.{option}", message, spec.tree.find(("inference", "embed", option)))
