"""Options that all targets of masked patches share. Torch-free."""

from pydantic import Field

from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec, Usual
from tp_core.options.marks import TrainingOnly
from tp_core.options.ports import Port
from tp_core.options.target import TargetConfig
from tp_vision.embeddings.options import grid_of
from tp_vision.ports import PATCHES


class MaskedTargetConfig(TargetConfig):
    """Base of targets that predict masked patches."""

    init_std: TrainingOnly[float] = Field(0.02, gt=0)

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        patches = grid_of(context).height * grid_of(context).width
        masked = FieldSpec(("batch", Usual(max(1, patches // 2))), "int64", patches)
        return {PATCHES: FieldSpec(), Port.labels("masked"): masked}

    def label_fields(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {"positions": self.requires(context)[Port.labels("masked")]}
