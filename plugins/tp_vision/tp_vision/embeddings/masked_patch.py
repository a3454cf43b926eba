"""Patch embedding with masked patches."""

from __future__ import annotations

import torch
from torch import nn

from tp_core.interfaces import Inputs, Sequence
from tp_core.modules.layers.linear import draw
from tp_core.options.context import BuildContext
from tp_vision.embeddings.masked_patch_options import MaskedPatchConfig
from tp_vision.embeddings.patch import Patch


class MaskedPatch(Patch):
    """Patches, with a learned vector in place of those that ``bool_masked_pos`` (batch, patches) masks.

    Batches without masks, as at inference, keep all patches.
    """

    def __init__(self, config: MaskedPatchConfig, context: BuildContext) -> None:
        super().__init__(config, context)
        size = self.projection.out_channels
        self.mask_token = nn.Parameter(torch.empty(size)) if config.mask_token else None

    def reset_parameters(self) -> None:
        super().reset_parameters()
        if self.mask_token is not None:
            draw(self.mask_token, self.config.init_std)

    def forward(self, inputs: Inputs, sequence: Sequence | None) -> Sequence:
        """``pixel_values`` and ``bool_masked_pos`` → states (batch, tokens before + rows × columns, size)."""
        content = self.content(inputs["pixel_values"])
        masked = inputs.get("bool_masked_pos")
        if masked is not None and self.mask_token is not None:
            masked = masked.view(content.shape[0], 1, *content.shape[2:]).bool()
            content = torch.where(masked, self.mask_token.to(content.dtype).view(1, -1, 1, 1), content)
        return self.arranged(content)
