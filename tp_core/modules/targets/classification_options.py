"""Options of the classification of whole samples. Torch-free."""

from typing import ClassVar

from tp_core.modules.targets.options import ClassTargetConfig
from tp_core.modules.targets.pooled_options import PooledTargetConfig
from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec
from tp_core.options.ports import Port


class ClassificationConfig(ClassTargetConfig, PooledTargetConfig):
    """Classification of whole samples: pooling, optional hidden layer, linear classifier."""

    implementation: ClassVar[str] = "tp_core.modules.targets.classification:Classification"

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {Port.labels("cls"): FieldSpec(("batch",), "int64", self.num_labels)}
