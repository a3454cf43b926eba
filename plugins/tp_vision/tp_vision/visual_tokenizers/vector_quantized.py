"""The codes of a trained VQ-VAE."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from tp_core.artifacts.load import load_model
from tp_core.errors import TPError
from tp_core.interfaces import Batch
from tp_core.options.context import BuildContext
from tp_core.spec.context import context_of
from tp_vision.embeddings.options import grid_of
from tp_vision.facts import GridFacts
from tp_vision.targets.vq import VectorQuantization
from tp_vision.visual_tokenizers.base import VisualTokenizer
from tp_vision.visual_tokenizers.vector_quantized_options import VectorQuantizedConfig


class VectorQuantized(VisualTokenizer):
    """Tokens from the target ``vq`` of another model.

    Raises:
        TPError: the model does not exist, has no target ``vq``, or has other patches or codes than expected.
    """

    def __init__(self, config: VectorQuantizedConfig, context: BuildContext) -> None:
        super().__init__()
        try:
            self.model = load_model(config.model, "cpu").model
        except TPError as error:
            raise TPError(f"the visual tokenizer cannot be loaded: {error}") from error
        found = [(name, t) for name, t in self.model.named_targets().items() if isinstance(t, VectorQuantization)]
        if not found:
            names = ", ".join(self.model.named_targets()) or "none"
            raise TPError(f"the visual tokenizer {config.model} has no target vq; its targets are {names}")
        (self.name, self.target), grid = found[0], context_of(self.model.spec).fact(GridFacts)
        if self.target.config.num_tokens != config.num_tokens:
            counts = f"{self.target.config.num_tokens} codes, but num_tokens is {config.num_tokens}"
            raise TPError(f"the visual tokenizer {config.model} has {counts}")
        ours = context.fact(GridFacts)
        if grid is not None and ours is not None:
            own, other = ((g.patch_size, g.channels) for g in (grid, ours))
            if own != other:
                message = f"patches of {own[0]} pixels in {own[1]} channels, but the model has {other[0]} in {other[1]}"
                raise TPError(f"the visual tokenizer {config.model} has {message}")

        own_grid = ours or grid_of(context_of(self.model.spec))
        self.places = (own_grid.height, own_grid.width)

    def forward(self, pixels: Tensor) -> Tensor:
        features = self.model.encode(Batch.of({"pixel_values": pixels}, pixels.shape[0]))
        return self.target.tokens(self.model.view(features, self.name))

    def decode(self, tokens: Tensor) -> Tensor:
        rows, columns = self.places
        if tokens.shape[1] != rows * columns:
            raise TPError(f"{tokens.shape[1]} tokens do not make a picture of {rows} x {columns} patches")
        return self.target.decoded(F.normalize(self.target.codes(tokens).float(), dim=-1), self.places)
