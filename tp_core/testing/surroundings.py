"""Stand-in modules around the module under test."""

from __future__ import annotations

from torch import Tensor, nn, tensor

from tp_core.interfaces import Batch, Embedding, Features, Inputs, Sequence, Target, TargetOutput
from tp_core.modules.layers import linear
from tp_core.options.context import BuildContext
from tp_core.testing.options import ContentConfig, ReadoutConfig


class Content(Embedding):
    """Looks up ``input_ids`` and takes mask, lengths and documents of the sequence from the inputs."""

    def __init__(self, config: ContentConfig, context: BuildContext) -> None:
        super().__init__()
        size = config.embedding_size or context.embedding_size
        self.table = linear.Embedding(context.vocab_size, size, std=1.0)

    def forward(self, inputs: Inputs, sequence: Sequence | None) -> Sequence:
        """``input_ids`` (batch, length) → states (batch, length, embedding_size)."""
        return Sequence.of(self.table(inputs["input_ids"]), inputs)

    def shared_weights(self) -> dict[str, nn.Parameter]:
        weight: nn.Parameter = self.table.weight  # type: ignore[assignment]
        return {"word": weight}


class Readout(Target):
    """Mean over the real positions of the squared projection of each state."""

    def __init__(self, config: ReadoutConfig, context: BuildContext) -> None:
        super().__init__()
        self.projection = linear.Linear(context.hidden_size, 1, std=1.0)

    def denominator(self, batch: Batch) -> Tensor:
        return tensor(float(batch.size))

    def forward(self, features: Features, batch: Batch) -> TargetOutput:
        total = tensor(0.0)
        for sequence in list(features.streams.values()) or [features.sequence]:  # torch.compile takes a view as true
            squares = self.projection(sequence.states).square()
            total = total + sequence.with_states(squares).pooled("mean").sum()
        return TargetOutput(total, self.denominator(batch))
