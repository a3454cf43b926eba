"""The interface of visual tokenizers."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from tp_core.errors import TPError


class VisualTokenizer(nn.Module, ABC):
    """Turns pictures into discrete tokens, one for each patch, for models that predict them.

    It is not a part of the model: it is neither trained nor saved with the model.
    """

    @abstractmethod
    def forward(self, pixels: Tensor) -> Tensor:
        """Pictures (batch, channels, height, width), normalised as for the model → tokens (batch, patches), int64."""

    def decode(self, tokens: Tensor) -> Tensor:
        """Tokens (batch, patches), int64 → pictures (batch, channels, height, width), normalised as for the model.

        Raises:
            TPError: the tokenizer cannot turn tokens into pictures.
        """
        raise TPError(f"the visual tokenizer {type(self).__name__} cannot turn tokens into pictures; vq and vqgan can")
