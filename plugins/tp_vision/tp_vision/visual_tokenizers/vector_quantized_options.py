"""Options of the visual tokenizer from a trained VQ-VAE. Torch-free."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from tp_core.errors import TPError
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.marks import PathStr
from tp_vision.facts import GridFacts, PictureFacts
from tp_vision.visual_tokenizers.options import VisualTokenizerConfig

if TYPE_CHECKING:
    from tp_core.spec.schema import Spec


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"


class VectorQuantizedConfig(VisualTokenizerConfig):
    """The codes of a trained VQ-VAE, which is a model with the target vq."""

    implementation: ClassVar[str] = "tp_vision.visual_tokenizers.vector_quantized:VectorQuantized"

    model: PathStr = Field(..., description="folder of the VQ-VAE's run or exported model")
    num_tokens: int = Field(512, gt=1, description="number of codes of the VQ-VAE")

    def token_count(self) -> int:
        return self.num_tokens

    def models(self) -> dict[str, str]:
        return {"model": self.model}

    def spec(self) -> "Spec":
        """Read the spec of the VQ-VAE.

        Raises:
            TPError: there is no model, or its spec cannot be read.
        """
        from tp_core.spec.trained.load_for_use import load_for_use

        folder = Path(self.model)  # an exported model, a run, or a checkpoint of a run
        files = [place / "spec.yaml" for place in (folder, folder / "model", folder.parent.parent)]
        file = next((each for each in files if each.is_file()), None)
        if file is None:
            raise TPError(f"{folder}: there is no model")
        return load_for_use(file)

    def check(self, context: BuildContext) -> Iterator[Problem]:
        from tp_core.spec.context import context_of
        from tp_vision.targets.vq_options import VectorQuantizationConfig

        if not os.path.exists(self.model):
            return  # the check of files reports it
        try:
            spec = self.spec()
        except TPError as error:
            yield Problem("model", str(error))
            return
        targets, own = [target.config for target in spec.model.targets], context_of(spec).fact(GridFacts)
        found = next((each for each in targets if isinstance(each, VectorQuantizationConfig)), None)
        if found is None:
            names = ", ".join(target.name for target in spec.model.targets) or "none"
            yield Problem("model", f"{self.model} has no target vq; its targets are {names}")
        elif found.num_tokens != self.num_tokens:
            yield Problem("num_tokens", f"is {self.num_tokens}, but {self.model} has {found.num_tokens} codes")
        grid = context.fact(GridFacts)
        if own is not None and grid is not None:
            theirs, ours = (f"{_by(each.patch_size)} pixels in {each.channels}" for each in (own, grid))
            if theirs != ours:
                yield Problem("model", f"{self.model} has patches of {theirs} channels, but the model has {ours}")

    def pictures(self) -> PictureFacts | None:
        """Patches and normalisation of the VQ-VAE; None if it has no patches or no image processor."""
        from tp_core.spec.context import context_of
        from tp_vision.processors.options import PictureProcessorConfig

        spec = self.spec()
        grid, processor = context_of(spec).fact(GridFacts), spec.data.processor
        if grid is None or processor is None or not isinstance(processor.config, PictureProcessorConfig):
            return None
        return PictureFacts(grid, tuple(processor.config.mean), tuple(processor.config.std))

    def save(self, folder: Path, inside: str) -> dict[str, Any]:
        from tp_core.artifacts.export import copy_model

        return {"model": copy_model(self.model, folder, inside)}
