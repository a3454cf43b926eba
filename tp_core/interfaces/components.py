"""The components that make and map sequences: embeddings, encoders, decoders."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Literal

from torch import nn

from tp_core.interfaces.batch import Inputs
from tp_core.interfaces.kv_cache import KVCache
from tp_core.interfaces.sequence import Sequence
from tp_core.interfaces.share import Share


class Module(nn.Module):
    """Base of all modules of the five components.

    A module is built on the meta device. The model then calls :meth:`reset_parameters` on every submodule that has this
    method; it initialises the parameters and also fills the buffers that are not saved.
    """

    def shared_weights(self) -> dict[str, nn.Parameter]:
        """Weights that other modules may reuse, by role (``word``: the word embedding matrix)."""
        return {}

    def tie_weights(self, shared: Mapping[str, nn.Parameter]) -> None:
        """Replace own weights by shared weights of other modules. Called once, after the model is built."""

    def repeated_layers(self) -> Iterator[nn.Module]:
        """Layers that run one after the other, each called equally often by every process in a forward pass.

        A strategy that divides weights among processes joins those of one such layer at a time.
        """
        yield from ()

    def divide(self, share: Share) -> Mapping[str, str]:
        """Divide the module's computation among processes that compute each sample together (tensor parallelism).

        The model has no memory yet. The module changes its own sizes, such as its number of heads, to those of its
        share.

        Returns:
            How the module's own layers are divided, by attribute. ``columns``: each process computes a part of the
            outputs of a linear layer. ``rows``: each has a part of the inputs of a linear layer, whose outputs are
            summed. ``summed``: each has all weights of the layer and uses them for its part, so that their gradients
            are summed. By default nothing is divided: every process computes the whole module.

        Raises:
            ValueError: the processes cannot divide a size of the module into equal parts.
        """
        return {}

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
            sequence: None for the component's first module, which creates the sequence and so sets its length. Each
                other module gets the sum of the modules before it, and adds to that.

        Returns:
            The sequence, with states (batch, length, embedding_size).
        """


class Encoder(Module, ABC):
    """Maps a sequence to a sequence.

    Attributes:
        checkpoint_activations: True if activations are recomputed in the backward pass instead of being stored;
            ``selective`` if results of costly operations are stored (:mod:`tp_core.modules.layers.recompute`).
    """

    checkpoint_activations: bool | Literal["selective"] = False

    @abstractmethod
    def forward(self, sequence: Sequence, kv_cache: KVCache | None = None) -> Sequence:
        """States (batch, length, embedding_size) → (batch, length, hidden_size).

        Args:
            kv_cache: tensors that the module stored for earlier positions; ``sequence`` holds the new positions only.
                The module reads these tensors and adds those of the new positions. The model has already added the
                mask and the position numbers of the new positions to the cache.

        Raises:
            NotImplementedError: a kv_cache is given, but the module can only read whole texts.
        """


class FusionEncoder(Module, ABC):
    """Maps the sequences of all streams together, such as by co-attention or merged attention.

    Its config sets ``joins_streams``.
    """

    checkpoint_activations: bool | Literal["selective"] = False

    @abstractmethod
    def forward(self, sequences: dict[str, Sequence]) -> dict[str, Sequence]:
        """The sequences of all streams, by name → sequences of the same names and widths."""


class Decoder(Module, ABC):
    """Maps the target side's sequence, given the encoder's memory."""

    checkpoint_activations: bool | Literal["selective"] = False

    @abstractmethod
    def forward(self, sequence: Sequence | None, memory: Sequence, kv_cache: KVCache | None = None) -> Sequence:
        """States (batch, length, embedding_size) → (batch, length, hidden_size).

        Args:
            sequence: None for a decoder whose config declares that it needs no target embedding.
            memory: the encoder's sequence, with states (batch, source length, memory_size).
            kv_cache: as in :meth:`Encoder.forward`; ``memory`` is the same in all calls.

        Raises:
            NotImplementedError: a kv_cache is given, but the module can only read whole texts.
        """
