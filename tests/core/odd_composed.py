"""The parts of layers that ``odd_compositions`` builds."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tests.core.odd_compositions import MeanSoFarConfig, ReadsPositionBeforeConfig
from tp_core.interfaces.kv_cache import CacheEntry
from tp_core.interfaces.layer_parts import FeedForward, Mixer, Positions, StackPass
from tp_core.interfaces.packing import Packing
from tp_core.modules.layers.linear import Linear
from tp_core.modules.layers.mask import visible
from tp_core.options.context import BuildContext
from tp_core.options.norm import NormConfig


class MeanSoFar(Mixer):
    def __init__(self, config: MeanSoFarConfig, context: BuildContext) -> None:
        super().__init__()
        self.mask = config.mask
        self.output = Linear(context.hidden_size, context.hidden_size)

    def prepare(self, run: StackPass) -> Tensor:
        states, places = run.sequence.states, run.key_positions.shape[-1]
        seen = visible(run.sequence, self.mask, run.kv_cache)
        seen = torch.ones(1, 1, 1, 1, dtype=torch.bool) if seen is None else seen
        return seen[:, 0].expand(-1, states.shape[1], places).to(states.dtype)

    def forward(
        self, states: Tensor, prepared: Tensor, carried: Tensor | None = None, cache: CacheEntry | None = None
    ) -> tuple[Tensor, Tensor | None]:
        keys = states
        if cache is not None:
            before = cache.get()
            keys = keys if before is None else torch.cat([before[0], keys], dim=1)
            cache.put(keys)
        return self.output(prepared @ keys / prepared.sum(dim=-1, keepdim=True)), None


class OtherPositions(MeanSoFar):
    def forward_at(
        self, states: Tensor, positions: Tensor, prepared: Tensor, carried: Tensor | None = None
    ) -> Tensor | None:
        return self(states, prepared)[0][:, -positions.shape[1] :]


class OtherPacked(MeanSoFar):
    def forward_packed(self, states: Tensor, packing: Packing, prepared: list[Tensor]) -> Tensor | None:
        return self.output(states)


class IgnoresMask(MeanSoFar):
    def prepare(self, run: StackPass) -> Tensor:
        whole = super().prepare(run)
        return torch.ones_like(whole) if self.mask == "fully_visible" else whole


class SeesTheFuture(MeanSoFar):
    def prepare(self, run: StackPass) -> Tensor:
        real = run.sequence.real().to(run.sequence.states.dtype)
        return real.unsqueeze(1).expand(-1, real.shape[1], -1)


class ForgetsEarlier(MeanSoFar):
    def prepare(self, run: StackPass) -> Tensor:
        return super().prepare(StackPass(run.sequence))

    def forward(
        self, states: Tensor, prepared: Tensor, carried: Tensor | None = None, cache: CacheEntry | None = None
    ) -> tuple[Tensor, Tensor | None]:
        return super().forward(states, prepared)


class Shortens(MeanSoFar):
    def forward(
        self, states: Tensor, prepared: Tensor, carried: Tensor | None = None, cache: CacheEntry | None = None
    ) -> tuple[Tensor, Tensor | None]:
        return super().forward(states, prepared, carried, cache)[0][:, :-1], None


class ReadsPositionBefore(FeedForward):
    def __init__(self, config: ReadsPositionBeforeConfig, context: BuildContext) -> None:
        super().__init__()
        self.output = Linear(context.hidden_size, context.hidden_size)

    def forward(self, states: Tensor) -> Tensor:
        return self.output(torch.cat([torch.zeros_like(states[:, :1]), states[:, :-1]], dim=1))


class SpareWeight(FeedForward):
    def __init__(self, config: object, context: BuildContext) -> None:
        super().__init__()
        self.output = Linear(context.hidden_size, context.hidden_size)
        self.spare = Linear(context.hidden_size, 1)

    def forward(self, states: Tensor) -> Tensor:
        output: Tensor = self.output(states)
        return output


class SinglePrecision(nn.LayerNorm):
    def __init__(self, config: NormConfig, size: int) -> None:
        super().__init__(size)

    def forward(self, states: Tensor) -> Tensor:
        return super().forward(states).float()


class NoContext(FeedForward):
    def __init__(self, config: object) -> None:
        super().__init__()

    def forward(self, states: Tensor) -> Tensor:
        return states


class WrongBias(Positions):
    def bias(self, states: Tensor, queries: Tensor, values: object) -> Tensor:
        return queries.new_zeros(queries.shape[0], 1, 1, queries.shape[2] + 1)
