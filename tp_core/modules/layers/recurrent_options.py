"""Options of recurrent layers. Torch-free."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from tp_core.options.base import ModuleConfig, Problem
from tp_core.options.context import BuildContext
from tp_core.options.marks import ModelSize, TrainingOnly

Cell = Literal["rnn", "lstm", "gru"]


class RecurrentOptions(ModuleConfig):
    """Options that recurrent encoders and decoders share."""

    cell: ClassVar[Cell]

    hidden_size: ModelSize[int] = Field(768, gt=0, description="width of the hidden states")
    num_layers: ModelSize[int] = Field(1, gt=0, description="number of layers")
    residual: bool = Field(False, description="add the input of each layer after the first to its output (ELMo)")
    padding: bool = Field(
        False,
        description="read padding like real positions, so that states that read from the end depend on its amount, as "
        "in code that does not pack its sequences",
    )
    dropout: TrainingOnly[float] = Field(0.1, ge=0, lt=1, description="dropout on the output of each layer")

    def directions(self) -> int:
        """Number of directions, which share ``hidden_size`` equally."""
        return 1

    def direction_size(self) -> int:
        """Width of the states of one direction."""
        return self.hidden_size // self.directions()

    def cell_options(self) -> dict[str, int]:
        """Sizes of one direction of a layer, as arguments of the ``torch.nn`` class."""
        return {"hidden_size": self.direction_size()}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        if self.hidden_size % self.directions():
            message = f"must be even, as each direction has half of it; got {self.hidden_size}"
            yield Problem("hidden_size", message)
