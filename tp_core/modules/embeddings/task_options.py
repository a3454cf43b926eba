"""Options of the task embedding. Torch-free."""

from typing import ClassVar

from pydantic import Field

from tp_core.options.context import BuildContext
from tp_core.options.embedding import EmbeddingConfig
from tp_core.options.facts import FieldSpec
from tp_core.options.marks import TrainingOnly
from tp_core.options.ports import TASK_IDS, Port


class TaskConfig(EmbeddingConfig):
    """Task embedding: a vector for each of the data sets that are trained in turn (ERNIE 2.0; Sun et al., 2020)."""

    implementation: ClassVar[str] = "tp_core.modules.embeddings.task:Task"
    makes_sequence: ClassVar[bool] = False

    num_tasks: int = Field(3, gt=0, description="number of data sets")
    init_std: TrainingOnly[float] = Field(0.02, gt=0)

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {TASK_IDS: FieldSpec(("batch",), high=self.num_tasks, option="num_tasks")}
