"""The task embedding."""

from __future__ import annotations

from tp_core.interfaces import Embedding, Inputs, Sequence
from tp_core.modules.embeddings.task_options import TaskConfig
from tp_core.modules.layers import linear
from tp_core.options.context import BuildContext


class Task(Embedding):
    """Adds one learned vector per task, equal at all positions (ERNIE 2.0; Sun et al., 2020)."""

    def __init__(self, config: TaskConfig, context: BuildContext) -> None:
        super().__init__()
        size = config.embedding_size or context.embedding_size
        self.table = linear.Embedding(config.num_tasks, size, std=config.init_std)

    def forward(self, inputs: Inputs, sequence: Sequence | None) -> Sequence:
        """``task_ids`` (batch,) → the sequence with the tasks' vectors added."""
        assert sequence is not None
        return sequence.with_states(sequence.states + self.table(inputs["task_ids"]).unsqueeze(1))
