"""Classification by the mean of the patches."""

from __future__ import annotations

from torch import Tensor

from tp_core.interfaces import Features, Sequence
from tp_core.modules import built
from tp_core.modules.targets.classification import Classification
from tp_core.options.context import BuildContext
from tp_vision.targets.masked import patch_states
from tp_vision.targets.patch_classification_options import PatchClassificationConfig


class PatchClassification(Classification):
    """Classification by the normalised mean state of the patches, without the tokens before them."""

    def __init__(self, config: PatchClassificationConfig, context: BuildContext) -> None:
        super().__init__(config, context._replace(streams={}))
        self.norm = built(config.norm.config, context.hidden_size)

    def pooled(self, features: Features) -> Tensor:
        return self.pool(features.sequence, "")

    def pool(self, sequence: Sequence, stream: str) -> Tensor:
        mean: Tensor = self.norm(patch_states(Features(sequence)).mean(dim=1))
        return mean
