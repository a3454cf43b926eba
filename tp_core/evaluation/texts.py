"""Generation of texts in an evaluation, for processors whose metrics compare texts."""

from __future__ import annotations

from typing import Any

import torch

from tp_core.data.sampling.portions import EvaluationBatch
from tp_core.errors import TPError
from tp_core.generation.writer import TextWriter
from tp_core.interfaces import Processor, Record
from tp_core.model import Model
from tp_core.spec.schema import Spec
from tp_core.spec.trained.generate_call import for_call


class EvaluationWriter:
    """Generates the text for each sample of an evaluation batch."""

    def __init__(self, writer: TextWriter, device: torch.device) -> None:
        self.writer, self.device = writer, device

    def __call__(self, each: EvaluationBatch) -> list[dict[str, Any]]:
        """``text`` and ``finished`` for each sample of a batch."""
        assert each.questions is not None
        batch, numbers = each.questions.to(self.device), each.portion.rows
        records = [Record({}, "the evaluation data, row", number + 1) for number in numbers]
        texts = self.writer(batch, numbers, records)
        written = self.writer.decoded(texts, batch)
        return [{"text": text, "finished": own.finished} for text, own in zip(written, texts, strict=True)]


def writer_for(
    model: Model, spec: Spec, processor: Processor | None, replicated: bool = True
) -> EvaluationWriter | None:
    """The writer for a processor whose metrics need texts; None for others.

    Args:
        spec: the spec limited to the data set.
        replicated: True if each process has whole weights.

    Raises:
        TPError: the model cannot generate, or weights are divided among processes.
    """
    if processor is None or not processor.writes:
        return None
    if not replicated:
        raise TPError(
            "metrics of generated texts need whole weights on each process, and this strategy divides them; remove the "
            "metrics of the processor, and measure the exported model with tp evaluate"
        )
    options, longest = spec.inference.generate, processor.longest_text()
    if longest is not None and options.max_new_tokens is None and options.max_length is None:
        options = for_call(options, {"max_new_tokens": max(longest, options.min_new_tokens)})
    return EvaluationWriter(TextWriter(model, spec, processor, options), next(model.parameters()).device)
