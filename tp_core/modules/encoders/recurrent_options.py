"""Options of recurrent encoders. Torch-free."""

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from tp_core.modules.layers.recurrent_options import Cell, RecurrentOptions
from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_core.options.encoder import EncoderConfig
from tp_core.options.facts import FieldSpec
from tp_core.options.ports import CAUSAL, TWO_DIRECTIONS, Port


class RecurrentConfig(EncoderConfig, RecurrentOptions):
    """Options that all recurrent encoders share."""


class ProjectedCellConfig(RecurrentConfig):
    """The option of LSTMs for cells that are wider than the states."""

    cell_size: int | None = Field(
        None,
        gt=1,
        description="width of a direction's cells, which are projected to its states (ELMo); default: no projection",
    )

    def cell_options(self) -> dict[str, int]:
        size = self.direction_size()
        return {"hidden_size": size} if self.cell_size is None else {"hidden_size": self.cell_size, "proj_size": size}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from super().check(context)
        if self.cell_size is not None and self.cell_size <= self.direction_size():
            message = f"must be greater than {self.direction_size()}, the width of the projection; got {self.cell_size}"
            yield Problem("cell_size", message)


class OneStackConfig(RecurrentConfig):
    """One stack of layers, each of which may read in both directions."""

    implementation: ClassVar[str] = "tp_core.modules.encoders.recurrent:RecurrentEncoder"

    bidirectional: bool = Field(False, description="read in both directions, which have half of hidden_size each")

    def directions(self) -> int:
        return 2 if self.bidirectional else 1

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {} if self.bidirectional else {CAUSAL: FieldSpec()}


class TwoStacksConfig(RecurrentConfig):
    """Two separate stacks of layers, one for each direction."""

    implementation: ClassVar[str] = "tp_core.modules.encoders.recurrent:TwoDirectionsEncoder"

    def directions(self) -> int:
        return 2

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        return {TWO_DIRECTIONS: FieldSpec()}


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
    """Two simple recurrent networks, one for each direction, separate in all layers."""

    cell: ClassVar[Cell] = "rnn"


class BiLSTMConfig(TwoStacksConfig, ProjectedCellConfig):
    """Two LSTMs, one for each direction, separate in all layers (ELMo; Peters et al., 2018)."""

    cell: ClassVar[Cell] = "lstm"


class BiGRUConfig(TwoStacksConfig):
    """Two networks of gated recurrent units, one for each direction, separate in all layers."""

    cell: ClassVar[Cell] = "gru"
