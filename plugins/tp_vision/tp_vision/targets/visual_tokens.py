"""Prediction of the visual tokens of masked patches."""

from __future__ import annotations

import torch
from torch import Tensor

from tp_core.errors import TPError
from tp_core.interfaces import IGNORE, Batch, Features, TargetOutput
from tp_core.local.trust import trusted, trusting
from tp_core.modules import built
from tp_core.modules.layers.cross_entropy import linear_cross_entropy
from tp_core.modules.layers.linear import Linear
from tp_core.options.context import BuildContext
from tp_vision.embeddings.options import grid_of
from tp_vision.targets.masked import MaskedTarget, patch_states, rows_at
from tp_vision.targets.visual_tokens_options import VisualTokensConfig
from tp_vision.visual_tokenizers.base import VisualTokenizer


class VisualTokens(MaskedTarget):
    """Norm, output matrix and cross entropy at the masked patches.

    A frozen tokenizer makes the labels from the whole picture, on the device. It is not a part of the model.
    """

    def __init__(self, config: VisualTokensConfig, context: BuildContext) -> None:
        super().__init__()
        self.config, self.context, self.stream = config, context, config.stream
        self.norm = built(config.norm.config, context.hidden_size)
        self.output = Linear(context.hidden_size, config.token_count(), std=config.init_std)
        self._trust_code = trusted()  # the tokenizer is built later, but with the trust of the model
        self._tokenizer: tuple[VisualTokenizer, ...] = ()  # a tuple, so that torch does not register it as a submodule

    def patch_logits(self, features: Features) -> Tensor:
        """Logits of all tokens for all patches, (batch, patches, tokens)."""
        scores: Tensor = self.output(self.norm(patch_states(features)))
        return scores

    def forward(self, features: Features, batch: Batch) -> TargetOutput:
        positions = self.positions(batch)
        tokens = self.labels(batch)
        if int(tokens.shape[1]) != features.sequence.published["patches"].numel():
            patches = features.sequence.published["patches"].numel()
            raise TPError(f"visual_tokens: got {tokens.shape[1]} tokens for a picture of {patches} patches")
        labels = rows_at(tokens.unsqueeze(-1), positions).squeeze(-1).masked_fill(positions == IGNORE, IGNORE)
        states = self.norm(rows_at(patch_states(features), positions)).flatten(0, 1)
        loss, correct = linear_cross_entropy(
            states, self.output.weight, self.output.bias, labels.flatten(), self.config.label_smoothing
        )
        count = self.denominator(batch)
        return TargetOutput(loss, count, {"accuracy": (correct, count)})

    @torch.no_grad()
    def labels(self, batch: Batch) -> Tensor:
        """The token of each patch, (batch, patches), int64."""
        if self.config.tokenizer is None:
            return self.labels_of(batch)["labels"]
        pixels = self.pixels(batch)
        if pixels.is_meta:
            (rows, columns), (height, width) = grid_of(self.context).patch_size, pixels.shape[2:]
            return torch.zeros(len(pixels), (height // rows) * (width // columns), dtype=torch.long, device="meta")
        first = not self._tokenizer
        if first:
            self._tokenizer = (self._built(),)
        tokens: Tensor = self._tokenizer[0].to(pixels.device)(pixels)
        if first:  # only the first batch, because the check makes the host wait for the device
            self._check(tokens, len(pixels))
        return tokens

    def _built(self) -> VisualTokenizer:
        """Build the frozen tokenizer.

        Raises:
            TPError: the tokenizer is missing or does not fit the model.
        """
        chosen = self.config.tokenizer
        assert chosen is not None
        if chosen.missing:
            raise TPError(f"visual_tokens: the tokenizer that makes the labels is not there: {chosen.missing}")
        with trusting(self._trust_code):
            found: VisualTokenizer = built(chosen.config, self.context, VisualTokenizer)
            return found.requires_grad_(False).eval()

    def _check(self, tokens: Tensor, pictures: int) -> None:
        """Check the output of the tokenizer.

        Raises:
            TPError: tokens have another type or shape, or are out of range.
        """
        count = self.config.token_count()
        if tokens.dtype != torch.int64 or tokens.dim() != 2 or len(tokens) != pictures:
            found = f"{tuple(tokens.shape)} {str(tokens.dtype).removeprefix('torch.')}"
            raise TPError(f"visual_tokens: the tokenizer gives {found}; expected (pictures, patches) int64")
        low, high = int(tokens.min()), int(tokens.max())
        if low < 0 or high >= count:
            message = (
                f"the tokenizer gives tokens from {low} to {high}; expected 0 to {count - 1}, as token_count() says"
            )
            raise TPError(f"visual_tokens: {message}")
