"""Options of the modules. Torch-free: torch is imported when a module is built, so that listing stays fast."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from tp_core import BuildContext, EmbeddingConfig, EncoderConfig, FieldSpec, HooksConfig, Problem

if TYPE_CHECKING:
    from tp_core import Embedding, Encoder


class MixerConfig(EncoderConfig):
    """Gated convolutions over neighbouring positions, instead of attention (Dauphin et al., 2017)."""

    num_layers: int = Field(4, gt=0, description="number of layers")
    kernel_size: int = Field(5, gt=0, description="neighbouring positions that a layer mixes, its own included")
    mask: Literal["fully_visible", "causal"] = Field("fully_visible", description="causal: earlier positions only")
    dropout: float = Field(0.1, ge=0, lt=1, description="on the output of each layer")
    init_std: float = Field(0.02, gt=0, description="standard deviation of the initial weights")

    def provides(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {"states:causal": FieldSpec()} if self.mask == "causal" else {}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        if self.mask == "fully_visible" and self.kernel_size % 2 == 0:
            yield Problem("kernel_size", f"must be odd to look equally far both ways, got {self.kernel_size}")

    def build(self, context: BuildContext) -> Encoder:
        from tp_acme.mixer import Mixer

        return Mixer(self, context)


class FromEndConfig(EmbeddingConfig):
    """Learned positions that are counted from the last real position."""

    makes_sequence: ClassVar[bool] = False  # it adds to a sequence and cannot stand first

    max_length: int = Field(512, gt=0, description="longest sequence")
    init_std: float = Field(0.02, gt=0, description="standard deviation of the initial weights")

    def length_limit(self) -> int | None:
        return self.max_length

    def build(self, context: BuildContext) -> Embedding:
        from tp_acme.from_end import FromEnd

        return FromEnd(self, context)


class PrintNormsConfig(HooksConfig):
    """Prints the norm of each component's weights from time to time."""

    observes = True

    every: int = Field(100, gt=0, description="steps between two prints")

    def build(self) -> object:
        from tp_acme.print_norms import PrintNorms

        return PrintNorms(self)
