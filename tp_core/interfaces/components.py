"""The components that make and map sequences: embeddings, encoders, decoders."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping

from torch import nn

from tp_core.interfaces.batch import Inputs
from tp_core.interfaces.kv_cache import KVCache
from tp_core.interfaces.sequence import Sequence


class Module(nn.Module):
    """Base of all modules of the five components.

    A module is built on the meta device and gets its values from :meth:`reset_parameters`, which the model calls on
    every submodule that has one; buffers that are not saved are filled there too.
    """

    def shared_weights(self) -> dict[str, nn.Parameter]:
        """Weights that other modules may tie to, by role (``word``: the word embedding matrix)."""
        return {}

    def tie_weights(self, shared: Mapping[str, nn.Parameter]) -> None:
        """Adopt weights that another module shares. Called once, after the model is put together."""

    def residual_scales(self) -> Iterator[tuple[nn.Parameter, float]]:
        """Parameters whose initial values are multiplied by a factor after initialisation."""
        yield from ()


class Embedding(Module, ABC):
    """One module of the embedding component. Modules of a component are summed, in order."""

    @abstractmethod
    def forward(self, inputs: Inputs, sequence: Sequence | None) -> Sequence:
        """Make or extend a sequence.

        Args:
            inputs: the named tensors of this side.
            sequence: None for the component's first module, which sets content and length; for the others, the sum
                so far, to which this module adds.

        Returns:
            The sequence, states (batch, length, embedding_size).
        """


class Encoder(Module, ABC):
    """Maps a sequence to a sequence. ``checkpoint_activations`` asks it to recompute instead of remember."""

    checkpoint_activations: bool = False

    @abstractmethod
    def forward(self, sequence: Sequence, kv_cache: KVCache | None = None) -> Sequence:
        """States (batch, length, embedding_size) → (batch, length, hidden_size).

        Args:
            kv_cache: what the module kept of the positions before these, which are new; it adds what it needs of them.
                The model has added their mask and positions.

        Raises:
            NotImplementedError: a kv_cache is given, and the module can read whole texts only.
        """


class FusionEncoder(Module, ABC):
    """Maps the sequences of all streams together: co-attention, merged attention. Its config ``joins_streams``."""

    checkpoint_activations: bool = False

    @abstractmethod
    def forward(self, sequences: dict[str, Sequence]) -> dict[str, Sequence]:
        """The streams' final sequences, by name → the same names, each as wide as before."""


class Decoder(Module, ABC):
    """Maps the target side's sequence, given the encoder's memory."""

    checkpoint_activations: bool = False

    @abstractmethod
    def forward(self, sequence: Sequence | None, memory: Sequence, kv_cache: KVCache | None = None) -> Sequence:
        """States (batch, length, embedding_size) → (batch, length, hidden_size).

        Args:
            sequence: None for a decoder whose config says that it needs no target embedding.
            memory: the encoder's states, (batch, source length, memory_size).
            kv_cache: as of an encoder; at later calls, ``memory`` is the same.

        Raises:
            NotImplementedError: a kv_cache is given, and the module can read whole texts only.
        """
