"""Options of VQGAN. Torch-free."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from tp_core.errors import TPError
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.marks import PathStr
from tp_vision.facts import GridFacts, PictureFacts
from tp_vision.visual_tokenizers.options import VisualTokenizerConfig

if TYPE_CHECKING:
    from tp_vision.visual_tokenizers.architecture import Architecture


class VQGANConfig(VisualTokenizerConfig):
    """The codes of a published VQGAN (taming-transformers; Esser et al., 2021), from a local file."""

    implementation: ClassVar[str] = "tp_vision.visual_tokenizers.vqgan:VQGAN"

    weights: PathStr = Field(..., description="its checkpoint, such as last.ckpt, or a safetensors file")
    config: PathStr = Field(..., description="the model.yaml that was published with it")
    num_tokens: int = Field(..., gt=1, description="number of codes: n_embed in model.yaml")
    mean: list[float] = Field([0.5], min_length=1, description="the same as mean of the processor")
    std: list[float] = Field([0.5], min_length=1, description="the same as std of the processor")

    def token_count(self) -> int:
        return self.num_tokens

    def pictures(self) -> PictureFacts:
        from tp_vision.visual_tokenizers.architecture import read_architecture

        sizes = read_architecture(self.config)
        patch, convolutions = sizes.patch_size, sizes.convolutions
        places = max(1, convolutions.resolution // patch)
        grid = GridFacts(places, places, (patch, patch), convolutions.in_channels)
        return PictureFacts(grid, tuple(self.mean), tuple(self.std))

    def misfits(self, sizes: "Architecture", context: BuildContext) -> Iterator[Problem]:
        """Yield a problem for each size that does not fit the options or the model."""
        if sizes.n_embed != self.num_tokens:
            yield Problem("num_tokens", f"has {sizes.n_embed} codes, but num_tokens is {self.num_tokens}")
        channels, patch = sizes.convolutions.in_channels, (sizes.patch_size, sizes.patch_size)
        grid = context.fact(GridFacts)
        if grid is not None and (grid.patch_size, grid.channels) != (patch, channels):
            rows, columns = grid.patch_size
            own = f"patches of {patch[0]} x {patch[1]} pixels in {channels} channels"
            yield Problem("", f"has {own}, but the model has {rows} x {columns} in {grid.channels}")
        for name in ("mean", "std"):
            if len(getattr(self, name)) not in (1, channels):
                yield Problem(name, f"has {channels} channels, but {name} has {len(getattr(self, name))} numbers")

    def check(self, context: BuildContext) -> Iterator[Problem]:
        from tp_vision.visual_tokenizers.architecture import read_architecture

        if min(self.std) <= 0:
            yield Problem("std", f"must be greater than 0, got {min(self.std):g}")
        if not os.path.exists(self.config):
            return  # the check of files reports it
        try:
            sizes = read_architecture(self.config)
        except TPError as error:
            yield Problem("config", str(error))
            return
        for option, message in self.misfits(sizes, context):
            yield Problem(option, f"{self.config} {message}")
