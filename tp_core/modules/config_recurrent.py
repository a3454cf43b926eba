"""Options of the recurrent modules. Torch-free: torch is imported when a module is built."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from tp_core.config import BuildContext, EncoderConfig, FieldSpec, ModuleConfig, Problem

if TYPE_CHECKING:
    from tp_core.interfaces import Encoder

Cell = Literal["rnn", "lstm", "gru"]


class RecurrentOptions(ModuleConfig):
    """Options that recurrent encoders and decoders share."""

    cell: ClassVar[Cell]

    hidden_size: int = Field(768, gt=0, description="width of the hidden states")
    num_layers: int = Field(1, gt=0, description="number of layers")
    residual: bool = Field(False, description="add the input of each layer after the first to its output (ELMo)")
    dropout: float = Field(0.1, ge=0, lt=1, description="on the output of each layer")

    def directions(self) -> int:
        """Number of directions that have a part of ``hidden_size`` each."""
        return 1

    def direction_size(self) -> int:
        """Width of the states of one direction."""
        return self.hidden_size // self.directions()

    def cell_options(self) -> dict[str, int]:
        """Sizes of one direction of a layer, in the names of ``torch.nn``."""
        return {"hidden_size": self.direction_size()}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        if self.hidden_size % self.directions():
            message = f"must be even, as each direction has half of it; got {self.hidden_size}"
            yield Problem("hidden_size", message)


class RecurrentConfig(EncoderConfig, RecurrentOptions):
    """Options that all recurrent encoders share."""


class ProjectedCellConfig(RecurrentConfig):
    """The option of LSTMs to be wider inside than their states are."""

    cell_size: int | None = Field(
        None,
        gt=1,
        description="units of each direction's cells, projected to the width of its states (ELMo); that width if unset",
    )

    def cell_options(self) -> dict[str, int]:
        size = self.direction_size()
        return {"hidden_size": size} if self.cell_size is None else {"hidden_size": self.cell_size, "proj_size": size}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from super().check(context)
        if self.cell_size is not None and self.cell_size <= self.direction_size():
            message = f"must be greater than the {self.direction_size()} that it is projected to, got {self.cell_size}"
            yield Problem("cell_size", message)


class OneStackConfig(RecurrentConfig):
    """One stack of layers, each of which may read in both directions."""

    bidirectional: bool = Field(False, description="read in both directions; hidden_size is that of both together")

    def directions(self) -> int:
        return 2 if self.bidirectional else 1

    def provides(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {} if self.bidirectional else {"states:causal": FieldSpec()}

    def build(self, context: BuildContext) -> "Encoder":
        from tp_core.modules.encoders.recurrent import RecurrentEncoder

        return RecurrentEncoder(self, context)


class TwoStacksConfig(RecurrentConfig):
    """Two stacks of layers, one for each direction, that never see each other's states."""

    def directions(self) -> int:
        return 2

    def provides(self, context: BuildContext) -> dict[str, FieldSpec]:
        return {"states:two_directions": FieldSpec()}

    def build(self, context: BuildContext) -> "Encoder":
        from tp_core.modules.encoders.recurrent import TwoDirectionsEncoder

        return TwoDirectionsEncoder(self, context)


class RNNConfig(OneStackConfig):
    """Simple recurrent network with tanh (Elman, 1990)."""

    cell: ClassVar[Cell] = "rnn"


class LSTMConfig(OneStackConfig, ProjectedCellConfig):
    """Long short-term memory (Hochreiter & Schmidhuber, 1997)."""

    cell: ClassVar[Cell] = "lstm"


class GRUConfig(OneStackConfig):
    """Gated recurrent units (Cho et al., 2014)."""

    cell: ClassVar[Cell] = "gru"


class BiRNNConfig(TwoStacksConfig):
    """Two simple recurrent networks, one for each direction, kept apart in all layers."""

    cell: ClassVar[Cell] = "rnn"


class BiLSTMConfig(TwoStacksConfig, ProjectedCellConfig):
    """Two LSTMs, one for each direction, kept apart in all layers (ELMo; Peters et al., 2018)."""

    cell: ClassVar[Cell] = "lstm"


class BiGRUConfig(TwoStacksConfig):
    """Two networks of gated recurrent units, one for each direction, kept apart in all layers."""

    cell: ClassVar[Cell] = "gru"
