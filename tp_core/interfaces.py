"""The five components and the values that pass between them.

``embedding → encoder → (target embedding → decoder) → target``. Embeddings make a :class:`Sequence`, encoders and
decoders map it, targets read the resulting :class:`Features`. Processors and tokenizers stand before the model and
make its :class:`Batch`. Everything a module author implements is in this file.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tp_core.errors import TPError
from tp_core.interfaces.framing import Frame
from tp_core.interfaces.kv_cache import Cache
from tp_core.interfaces.record import Record, Report
from tp_core.interfaces.tokenizer import Tokenizer

__all__ = [
    "IGNORE",
    "ONLY",
    "Batch",
    "Cache",
    "Decoder",
    "Embedding",
    "Encoder",
    "Features",
    "FusionEncoder",
    "GenerationTokens",
    "Inputs",
    "Joined",
    "MetricState",
    "Module",
    "Processor",
    "PromptRoom",
    "Record",
    "Report",
    "Rows",
    "Sample",
    "Sequence",
    "Target",
    "TargetOutput",
    "Tokenizer",
    "VisualTokenizer",
]

#: Named tensors of one side of the model, with the ecosystem's names: ``input_ids`` (batch, length),
#: ``attention_mask`` (batch, length), ``token_type_ids``, ``pixel_values``, ``input_features``, ...
#: Where anything is padded, a side has ``attention_mask`` or, if all its padding stands behind the real positions and
#: a causal model shall attend without a mask, ``lengths`` (batch,) in its place: numbers of real positions.
Inputs = dict[str, Tensor]

#: Label value that no loss counts.
IGNORE = -100

#: Name of the stream of a batch, and of a model, that has one without a name.
ONLY = ""


@dataclass
class Batch:
    """One batch of samples.

    Attributes:
        source: the encoder side's inputs, by stream; :data:`ONLY` names that of a processor which feeds one.
        size: number of samples.
        target: the decoder side's inputs, or None.
        labels: named tensors, by the target's own name. As a processor makes them they are by the kind of label
            (``Port.labels("cls")``), or by the target that its config says they are for (``Port.labels("cls",
            "topic")``); each target that asks for them then gets them under its own name.
        targets: names of the target modules that the batch is for; None for all. Data sets that are trained in turn
            feed different ones.
    """

    source: dict[str, Inputs]
    size: int
    target: Inputs | None = None
    labels: dict[str, Inputs] = field(default_factory=dict)
    targets: tuple[str, ...] | None = None

    @classmethod
    def of(
        cls, inputs: Inputs, size: int, target: Inputs | None = None, labels: Mapping[str, Inputs] | None = None
    ) -> Batch:
        """A batch of one stream."""
        return cls({ONLY: inputs}, size, target, dict(labels or {}))

    @property
    def inputs(self) -> Inputs:
        """The inputs of the only stream.

        Raises:
            TPError: the batch has several.
        """
        if len(self.source) != 1:
            there = ", ".join(self.source) or "none"
            named = any(isinstance(each, Tensor) for each in self.source.values())
            hint = "; Batch.of(inputs, size) makes a batch of one stream" if named else ""
            raise TPError(f"the batch has the streams {there}; one was expected{hint}")
        return next(iter(self.source.values()))

    def to(self, device: torch.device) -> Batch:
        """The batch on ``device``; copies from pinned memory do not block."""
        return self if device.type == "cpu" else self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Batch:
        return self._each(Tensor.pin_memory)

    def _each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """The batch with every tensor changed."""

        def changed(tensors: Inputs) -> Inputs:
            return {name: change(tensor) for name, tensor in tensors.items()}

        source = {name: changed(inputs) for name, inputs in self.source.items()}
        labels = {name: changed(inputs) for name, inputs in self.labels.items()}
        target = None if self.target is None else changed(self.target)
        return replace(self, source=source, target=target, labels=labels)

    def tokens(self) -> int:
        """Number of positions in the batch, padding included: what the model computes on."""
        total = 0
        for side in [*self.source.values(), *([self.target] if self.target else [])]:
            lead = side.get("input_ids")
            if lead is None:
                lead = next(iter(side.values()))
            total += lead.shape[0] * (lead.shape[1] if lead.dim() in (2, 3) else 1)
        return total


@dataclass(frozen=True)
class Sequence:
    """Hidden states and what attention needs to know of them.

    Attributes:
        states: (batch, length, hidden).
        mask: (batch, length), True where real; None when every position is real, which lets attention take the
            fastest path. An embedding that changes the length changes the mask with it.
        padded_behind: whether all padding stands behind the real positions of its row, where causal attention does not
            look, so that it needs no mask. Who changes the mask makes this false.
        prefix_lengths: (batch,) number of leading places, padding on the left included, that ``causal_with_prefix``
            shows to everyone.
        document_ids: (batch, length) of packed rows; attention stays within equal ids.
        positions: (batch, length) position of each state where it is not simply its index.
        published: values that modules leave by name for those after them, such as the positions that were masked.
    """

    states: Tensor
    mask: Tensor | None = None
    prefix_lengths: Tensor | None = None
    document_ids: Tensor | None = None
    positions: Tensor | None = None
    published: Mapping[str, Tensor] = field(default_factory=dict)
    padded_behind: bool = False

    @classmethod
    def of(cls, states: Tensor, inputs: Inputs) -> Sequence:
        """A sequence with all that inputs say of its positions: for embeddings that make one state of each.

        Args:
            states: (batch, length, hidden).
            inputs: may have ``attention_mask`` (batch, length) or ``lengths`` (batch,), ``prefix_lengths`` (batch,),
                ``document_ids`` and ``position_ids`` (batch, length).
        """
        mask, lengths = inputs.get("attention_mask"), inputs.get("lengths")
        behind = mask is None and lengths is not None
        if mask is not None:
            mask = mask.bool()
        elif lengths is not None:
            mask = torch.arange(states.shape[1], device=states.device) < lengths.unsqueeze(1)
        return cls(
            states,
            mask=mask,
            prefix_lengths=inputs.get("prefix_lengths"),
            document_ids=inputs.get("document_ids"),
            positions=inputs.get("position_ids"),
            padded_behind=behind,
        )

    def with_states(self, states: Tensor) -> Sequence:
        """The same sequence with other states of the same length."""
        return replace(self, states=states)

    def real(self) -> Tensor:
        """The mask, made explicit: (batch, length) bool."""
        if self.mask is not None:
            return self.mask
        return torch.ones(self.states.shape[:2], dtype=torch.bool, device=self.states.device)

    def places(self) -> Tensor:
        """The positions, made explicit: (batch or 1, length); each state's index where there are none."""
        if self.positions is not None:
            return self.positions
        return torch.arange(self.states.shape[1], device=self.states.device).unsqueeze(0)

    def select(self, index: Tensor) -> Sequence:
        """The sequences of the samples that ``index`` names, (new batch,), in its order."""
        per_sample = ("states", "mask", "prefix_lengths", "document_ids", "positions")
        values = {name: value for name in per_sample if (value := getattr(self, name)) is not None}
        return replace(self, **{name: v if len(v) == 1 < len(self.states) else v[index] for name, v in values.items()})

    def pooled(self, how: str) -> Tensor:
        """One vector per sample, (batch, hidden), from the real positions.

        Args:
            how: ``first``, ``last``, ``mean`` or ``max``.
        """
        states = self.states
        if how == "first" and self.mask is None:
            return states[:, 0]
        mask = self.real()
        if how == "first":
            first = mask.to(torch.uint8).argmax(dim=1)
            return states[torch.arange(states.shape[0], device=states.device), first]
        if how == "last":
            index = torch.arange(states.shape[1], device=states.device)
            last = torch.where(mask, index, 0).amax(dim=1)
            return states[torch.arange(states.shape[0], device=states.device), last]
        if how == "mean":
            weights = mask.unsqueeze(-1).to(states.dtype)
            return (states * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)
        if how == "max":
            return states.masked_fill(~mask.unsqueeze(-1), torch.finfo(states.dtype).min).amax(dim=1)
        raise ValueError(f"unknown pooling '{how}'; expected first, last, mean or max")


@dataclass
class Features:
    """The sequences that targets read.

    Attributes:
        sequence: the final sequence: the decoder's if there is one, else the encoder's (of the only stream).
        streams: the final sequence of each named stream; empty without streams.
        memory: the encoder's sequence when a decoder stands after it.
    """

    sequence: Sequence
    streams: dict[str, Sequence] = field(default_factory=dict)
    memory: Sequence | None = None


@dataclass
class Joined:
    """Rows of a metric that no sums are enough for, such as scores and labels: those of all data are joined.

    Evaluations alone do so, in the order of the data, whatever the batches and processes; log lines of the training
    leave such metrics out.

    Attributes:
        columns: tensors (rows, ...), one row for each thing that is measured, on the device.
    """

    columns: tuple[Any, ...]


#: A metric of some of the data, as ``compute`` of its :class:`tp_core.metrics.MetricFacts` takes it: tensors (numbers
#: and arrays from a processor) that add up over all data, any number and of any shape, such as (sum, count); or
#: :class:`Joined` ones.
MetricState = tuple[Any, ...] | Joined


@dataclass
class TargetOutput:
    """A target's loss as a sum and its denominator, so that micro-batches and processes add up exactly.

    Attributes:
        loss_sum: sum of the losses of all counted elements, a scalar on the device.
        denominator: number of counted elements, a scalar on the device.
        metrics: name → the metric of this batch, on the device: (sum, count), scalars of which the value reported is
            the ratio, or whatever else ``TargetConfig.measures`` says how to make a number of.
    """

    loss_sum: Tensor
    denominator: Tensor
    metrics: Mapping[str, MetricState] = field(default_factory=dict)


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
    def forward(self, sequence: Sequence, cache: Cache | None = None) -> Sequence:
        """States (batch, length, embedding_size) → (batch, length, hidden_size).

        Args:
            cache: what the module kept of the positions before these, which are new; it adds what it needs of them.
                The model has added their mask and positions.

        Raises:
            NotImplementedError: a cache is given, and the module can read whole texts only.
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
    def forward(self, sequence: Sequence | None, memory: Sequence, cache: Cache | None = None) -> Sequence:
        """States (batch, length, embedding_size) → (batch, length, hidden_size).

        Args:
            sequence: None for a decoder whose config says that it needs no target embedding.
            memory: the encoder's states, (batch, source length, memory_size).
            cache: as of an encoder; at later calls, ``memory`` is the same.

        Raises:
            NotImplementedError: a cache is given, and the module can read whole texts only.
        """


class Target(Module, ABC):
    """A pre-training task or a downstream task: reads features and labels, gives a loss and metrics.

    Attributes:
        name: what the model calls the target; the model sets it.
    """

    name: str = ""

    def labels_of(self, batch: Batch) -> Inputs:
        """The target's own labels in a batch.

        Raises:
            TPError: the batch has none for it.
        """
        labels = batch.labels.get(self.name)
        if labels is None:
            there = ", ".join(batch.labels) or "none"
            raise TPError(f"the batch has no labels for the target '{self.name}'; it has those of: {there}")
        if not isinstance(labels, Mapping):
            raise TPError(f"the labels of the target '{self.name}' are no named tensors; expected {{'labels': tensor}}")
        return labels

    @abstractmethod
    def denominator(self, batch: Batch) -> Tensor:
        """Number of elements whose losses are summed, from the labels alone; a float scalar.

        The trainer adds it up over micro-batches and processes *before* the backward pass, so that gradients do not
        depend on how a batch was cut.
        """

    @abstractmethod
    def forward(self, features: Features, batch: Batch) -> TargetOutput:
        """Loss and metrics of a batch that has labels."""

    def meet(self, targets: Mapping[str, Target]) -> None:
        """Get to know the model's other targets, by name. Called once, after the model is put together.

        A target that reads another's scores (distillation) remembers it, outside of its own submodules.
        """

    def pool(self, sequence: Sequence, stream: str) -> Tensor:
        """One vector per sample of a stream, (batch, hidden), of a target that pools in a way of its own.

        Its config says so: the ``pooling`` of ``TargetConfig.embeds`` is None.
        """
        raise TypeError(f"{type(self).__name__} has no pooling of its own")

    def project(self, vectors: Tensor, stream: str) -> Tensor:
        """Pooled vectors of a stream, (batch, hidden) → (batch, size), the space that the target works in.

        Its config says so: ``TargetConfig.embeds`` has a ``projection_size``.
        """
        raise TypeError(f"{type(self).__name__} projects no vectors")

    def scores(self, features: Features, batch: Batch) -> tuple[Tensor, Tensor]:
        """The scores from which the loss is computed, for a target that learns from this one or compares with it.

        Returns:
            Logits (rows, classes); and a mask (rows,), bool, True for a row that has a label.
        """
        raise TypeError(f"{type(self).__name__} gives no scores")

    def next_scores(self, features: Features) -> Tensor:
        """Scores (logits) of what comes after the last real position, (batch, vocabulary): what generation needs."""
        raise TypeError(f"{type(self).__name__} does not score a next token")

    def predict(self, features: Features, batch: Batch) -> list[dict[str, Any]]:
        """One JSON-ready dictionary per sample, from a batch without labels."""
        raise TypeError(f"{type(self).__name__} makes no predictions")


class VisualTokenizer(nn.Module, ABC):
    """Turns pictures into discrete tokens, one for each patch, for models that predict them.

    It is no part of the model: it is neither trained nor saved with it.
    """

    @abstractmethod
    def forward(self, pixels: Tensor) -> Tensor:
        """Pictures (batch, channels, height, width), as the model gets them → tokens (batch, patches), int64."""

    def decode(self, tokens: Tensor) -> Tensor:
        """Tokens (batch, patches), int64 → pictures (batch, channels, height, width), as the model gets them.

        Raises:
            TPError: the tokenizer has no way back.
        """
        raise TPError(f"the visual tokenizer {type(self).__name__} cannot turn tokens into pictures; a vq can")


#: One training sample: named arrays of one sample, as a processor's ``collate`` wants them.
Sample = dict[str, Any]


class Rows(ABC):
    """Prepared instances, read at random: what a processor wrote to the cache."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def get(self, column: str, index: int) -> Any:
        """One cell, as the processor wrote it: see :meth:`Processor.prepare`.

        Returns:
            Python's bool, int or float for a single number; else an array of the cell's shape and the column's type of
            numbers, which views the cache's memory and is read-only. Bytes are uint8 of one dimension.
        """

    def lengths(self, column: str) -> NDArray[np.int64]:
        """Lengths of the first dimension of each cell of a column of arrays, (rows,)."""
        return np.fromiter((len(self.get(column, i)) for i in range(len(self))), np.int64, len(self))

    def integers(self, column: str) -> NDArray[np.int64]:
        """All cells of a column of integers, (rows,)."""
        return np.fromiter((self.get(column, i) for i in range(len(self))), np.int64, len(self))


@dataclass(frozen=True)
class GenerationTokens:
    """The ids that a generated text begins and ends with.

    Attributes:
        start: what the decoder's side begins with: T5's ``(pad,)``, BART's ``(eos, bos)``. Empty for a model without a
            decoder, which goes on from the record itself.
        end: a text is over at any of these; they are no part of it.
        pad: fills rows that are shorter than others.
        inputs: values of further inputs at each written token, such as ``{"token_type_ids": 1}``; where none is given,
            the value at the prompt's last token.
        ids: the ids that may be written; None for those of the tokenizer.
    """

    start: tuple[int, ...] = ()
    end: tuple[int, ...] = ()
    pad: int = 0
    inputs: Mapping[str, int] = field(default_factory=dict)
    ids: range | None = None


@dataclass(frozen=True)
class PromptRoom:
    """The limit on the prompt of a generated text.

    Attributes:
        length: the largest number of tokens, special ones included; None if the model sets no limit below the
            processor's.
        side: the end at which a longer prompt is cut: its beginning (``left``) or its end (``right``).
    """

    length: int | None = None
    side: Literal["left", "right"] = "left"


class Processor(ABC):
    """Turns records into training instances for a set of targets, in two steps.

    :meth:`prepare` is slow and deterministic and its result is cached; :meth:`sample` is fast and may be random, with
    the generator it is given and no other, so that a sample is a function of (seed, epoch, index).
    """

    @abstractmethod
    def prepare(self, records: Iterable[Record], report: Report) -> Iterator[dict[str, list[Any]]]:
        """Yield chunks of rows as columns: each a list with a cell for every row, the same columns in each chunk.

        All cells of a column are single numbers (bool, int, float), or all are bytes, or all are arrays of one number
        of dimensions: NumPy's, tensors, or lists, nested or not. Their shapes may differ. Numbers are bool, integers,
        and floats of 16, 32 or 64 bits, and none is changed. Where the types of a column's cells differ, it has the one
        that NumPy joins them to, if that holds each number exactly. Python's ints count as int64 and floats as float64,
        but lists of ints are int32 where that holds them all, else int64 or uint64. All else is an error.

        A record that cannot be used is given to ``report``, which raises or counts it, as the spec says.
        """

    def remarks(self) -> list[str]:
        """Lines for the user on the data that were prepared last, beside records that were skipped.

        It is said when data have been prepared, and again when they are taken from the cache.
        """
        return []

    @abstractmethod
    def sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        """The sample at ``index``."""

    def evaluation_sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        """The sample at ``index`` as evaluations see it: one that augments in training does not do so here."""
        return self.sample(rows, index, generator)

    @property
    def read_ahead(self) -> int:
        """Most records that inference encodes together, all in memory, to put those of like length into a batch."""
        return 4096

    @abstractmethod
    def encode(self, records: list[Record]) -> list[Sample]:
        """Samples for inference, from records without labels and without randomness."""

    def describe(self, predictions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Predictions in the user's terms: names of classes for their numbers, tokens for ids."""
        return predictions

    @property
    def scores(self) -> bool:
        """True if the processor has metrics of its own."""
        return type(self).score is not Processor.score

    def score(self, predictions: list[dict[str, Any]], batch: Batch) -> Mapping[str, MetricState]:
        """Metrics of an evaluation that need the data's own terms, such as an error rate of words.

        Predictions are made for it only where a processor overrides it. Its config declares the metrics
        (``ProcessorConfig.measures``).

        Args:
            predictions: ``Model.predict`` of the batch, one per sample.
            batch: with labels, on the model's device.

        Returns:
            Name → the metric of this batch, numbers or arrays: (sum, count), or as of a target.
        """
        return {}

    @abstractmethod
    def collate(self, samples: list[Sample]) -> Batch:
        """Stack samples into a batch."""

    def frame(self, pair: bool = False) -> Frame | None:
        """The special tokens that :meth:`encode` puts around a text, or around and between the texts of a pair.

        None: it reads no texts.
        """
        return None

    def prompts(self, records: list[Record], room: PromptRoom) -> list[Sample]:
        """Samples of what generation goes on from; those of :meth:`encode` unless it is more than that.

        A prompt that is too long is cut, and its sample says by how many tokens: ``truncated``. Special tokens stay.

        Raises:
            DataError: a record has no text, or what must stay of it has no room.
        """
        return self.encode(records)

    def generation(self) -> GenerationTokens:
        """The tokens with which generated texts begin and end.

        Generation calls :meth:`prompts` and :meth:`collate` for the records. In an encoder-decoder model, the batch is
        the source side, and the target side begins with ``start``. In a causal model, the batch is the prompt, up to
        the place where the text continues and without tokens that would end it. Its padding may be on the right and is
        moved to the left.

        Raises:
            TPError: the processor is not for models that generate.
        """
        raise TPError(f"{type(self).__name__} is not for generation: it does not say how texts begin and end")

    def decode(self, ids: list[int], prompt: list[int] | None = None) -> str:
        """The text of generated ids: without start and end, of the target side where there are two.

        Args:
            prompt: the ids that the text goes on from, for the space between the two; None for a text of its own.

        Raises:
            TPError: the processor is not for models that generate.
        """
        raise TPError(f"{type(self).__name__} is not for generation: it cannot turn ids into a text")
