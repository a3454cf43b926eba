"""Options of visual tokenizers. Torch-free."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from tp_core.config import BuildContext, GridFacts, PictureFacts, Problem, VisualTokenizerConfig
from tp_core.errors import TPError
from tp_core.marks import PathStr

if TYPE_CHECKING:
    from tp_core.interfaces import VisualTokenizer
    from tp_core.spec.schema import Spec
    from tp_vision.visual_tokenizers.architecture import Architecture


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"


class RandomProjectionConfig(VisualTokenizerConfig):
    """The nearest of random codes to a random projection of each patch, fixed by a seed (Chiu et al., 2022)."""

    num_tokens: int = Field(8192, gt=1, description="number of codes")
    code_size: int = Field(16, gt=0, description="width of the projection and the codes")
    seed: int = Field(0, ge=0, description="of the projection and the codes")
    normalize: bool = Field(True, description="take each patch less its mean, by its deviation")

    def token_count(self) -> int:
        return self.num_tokens

    def build(self, context: BuildContext) -> "VisualTokenizer":
        from tp_vision.visual_tokenizers.random_projection import RandomProjection

        return RandomProjection(self, context)


class VectorQuantizedConfig(VisualTokenizerConfig):
    """The codes of a trained VQ-VAE: a model with the target vq."""

    model: PathStr = Field(..., description="folder of its run, or of the exported model")
    num_tokens: int = Field(512, gt=1, description="number of its codes")

    def token_count(self) -> int:
        return self.num_tokens

    def training_files(self) -> dict[str, str]:
        return {"model": self.model}

    def models(self) -> dict[str, str]:
        return {"model": self.model}

    def spec(self) -> "Spec":
        """The model's.

        Raises:
            TPError: there is none, or one that cannot be read.
        """
        from tp_core.use import load_for_use

        folder = Path(self.model)  # an export, a run, or a checkpoint of one
        files = [place / "spec.yaml" for place in (folder, folder / "model", folder.parent.parent)]
        file = next((each for each in files if each.is_file()), None)
        if file is None:
            raise TPError(f"{folder}: there is no model")
        return load_for_use(file)

    def check(self, context: BuildContext) -> Iterator[Problem]:
        from tp_core.spec.context import context_of
        from tp_vision.config_vq import VectorQuantizationConfig

        if not os.path.exists(self.model):
            return  # a trained model is used without it
        try:
            spec = self.spec()
        except TPError as error:
            yield Problem("model", str(error))
            return
        targets, own = [target.config for target in spec.model.targets], context_of(spec).grid
        found = next((each for each in targets if isinstance(each, VectorQuantizationConfig)), None)
        if found is None:
            names = ", ".join(target.name for target in spec.model.targets) or "none"
            yield Problem("model", f"{self.model} has no target vq; its targets are {names}")
        elif found.num_tokens != self.num_tokens:
            yield Problem("num_tokens", f"is {self.num_tokens}, and {self.model} has {found.num_tokens} codes")
        if own is not None and context.grid is not None:
            theirs, ours = (f"{_by(grid.patch_size)} pixels in {grid.channels}" for grid in (own, context.grid))
            if theirs != ours:
                yield Problem("model", f"{self.model} has patches of {theirs} channels, the model of {ours}")

    def pictures(self) -> PictureFacts | None:
        """Its model's: patches, and how its processor normalises pixels."""
        from tp_core.spec.context import context_of
        from tp_vision.processors.config import PictureProcessorConfig

        spec = self.spec()
        grid, processor = context_of(spec).grid, spec.data.processor
        if grid is None or processor is None or not isinstance(processor.config, PictureProcessorConfig):
            return None
        return PictureFacts(grid, tuple(processor.config.mean), tuple(processor.config.std))

    def save(self, folder: Path, inside: str) -> dict[str, Any]:
        from tp_core.training.export import copy_model

        return self.model_dump(mode="json") | {"model": copy_model(self.model, folder, inside)}

    def build(self, context: BuildContext) -> "VisualTokenizer":
        from tp_vision.visual_tokenizers.vector_quantized import VectorQuantized

        return VectorQuantized(self, context)


class VQGANConfig(VisualTokenizerConfig):
    """The codes of a published VQGAN (taming-transformers; Esser et al., 2021), of a local file."""

    weights: PathStr = Field(..., description="its checkpoint, such as last.ckpt or model.ckpt, or a safetensors file")
    config: PathStr = Field(..., description="the model.yaml that was published with it")
    num_tokens: int = Field(..., gt=1, description="number of its codes: n_embed in that file")
    mean: list[float] = Field([0.5], min_length=1, description="as the processor's: what it subtracts from pixels")
    std: list[float] = Field([0.5], min_length=1, description="as the processor's: what it divides them by")

    def token_count(self) -> int:
        return self.num_tokens

    def training_files(self) -> dict[str, str]:
        return {"weights": self.weights, "config": self.config}

    def pictures(self) -> PictureFacts:
        from tp_vision.visual_tokenizers.architecture import read_architecture

        sizes = read_architecture(self.config)
        patch, convolutions = sizes.patch_size, sizes.convolutions
        places = max(1, convolutions.resolution // patch)
        grid = GridFacts(places, places, (patch, patch), convolutions.in_channels)
        return PictureFacts(grid, tuple(self.mean), tuple(self.std))

    def misfits(self, sizes: "Architecture", context: BuildContext) -> Iterator[Problem]:
        """What of an architecture does not fit the options and the model."""
        if sizes.n_embed != self.num_tokens:
            yield Problem("num_tokens", f"has {sizes.n_embed} codes, and num_tokens is {self.num_tokens}")
        channels, patch = sizes.convolutions.in_channels, (sizes.patch_size, sizes.patch_size)
        if context.grid is not None and (context.grid.patch_size, context.grid.channels) != (patch, channels):
            rows, columns = context.grid.patch_size
            own = f"patches of {patch[0]} x {patch[1]} pixels in {channels} channels"
            yield Problem("", f"has {own}, the model {rows} x {columns} in {context.grid.channels}")
        for name in ("mean", "std"):
            if len(getattr(self, name)) not in (1, channels):
                yield Problem(name, f"has {channels} channels, and {name} has {len(getattr(self, name))} numbers")

    def check(self, context: BuildContext) -> Iterator[Problem]:
        from tp_vision.visual_tokenizers.architecture import read_architecture

        if min(self.std) <= 0:
            yield Problem("std", f"must be greater than 0, got {min(self.std):g}")
        if not os.path.exists(self.config):
            return  # a trained model is used without it
        try:
            sizes = read_architecture(self.config)
        except TPError as error:
            yield Problem("config", str(error))
            return
        for option, message in self.misfits(sizes, context):
            yield Problem(option, f"{self.config} {message}")

    def build(self, context: BuildContext) -> "VisualTokenizer":
        from tp_vision.visual_tokenizers.vqgan import VQGAN

        return VQGAN(self, context)
