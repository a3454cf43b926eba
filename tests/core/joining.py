"""A fusion encoder for tests: each stream is given the mean of the others."""

from tp_core.interfaces import FusionEncoder, Sequence
from tp_core.options.context import BuildContext
from tp_core.options.encoder import FusionConfig


class Config(FusionConfig):
    """Add the mean of every other stream."""

    def build(self, context: BuildContext) -> FusionEncoder:
        return Exchange()


class Exchange(FusionEncoder):
    def forward(self, sequences: dict[str, Sequence]) -> dict[str, Sequence]:
        means = {name: sequence.pooled("mean") for name, sequence in sequences.items()}
        return {
            name: sequence.with_states(
                sequence.states + sum(mean for other, mean in means.items() if other != name).unsqueeze(1)  # type: ignore[union-attr]
            )
            for name, sequence in sequences.items()
        }
