"""Torch-free base classes of module options.

A module's config class is what an entry point names. It validates the module's options, says what the module
requires and provides, and builds the module. Torch is imported inside :meth:`build` only, so that listing,
checking and documenting modules costs nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from tp_core.interfaces import Decoder, Embedding, Encoder, Processor, Target
    from tp_core.tokenizer import Tokenizer, TokenizerFacts

NormKind = Literal["layernorm", "rmsnorm", "none"]
Pooling = Literal["first", "last", "mean", "max"]


@dataclass(frozen=True)
class FieldSpec:
    """The shape of a tensor that passes between components, for checks, pricing and random test input.

    Attributes:
        shape: sizes, each an integer or one of the symbols ``"batch"`` and ``"length"``.
        dtype: ``"int64"``, ``"float32"`` or ``"bool"``.
        high: for integers, the values are in ``[0, high)``.
        fraction: of labels per position, the part of the positions that carries one.
    """

    shape: tuple[int | str, ...] = ("batch", "length")
    dtype: str = "int64"
    high: int = 2
    fraction: float = 1.0


@dataclass(frozen=True)
class BuildContext:
    """What a module may know of the model around it when it is checked and built.

    Attributes:
        embedding_size: width of the embedding component's output.
        hidden_size: width of the states at this module: the encoder's output (the decoder's, if there is one).
        vocab_size: rows of the word embedding on this module's side.
        length_limit: longest sequence the position embeddings allow, or None.
        pooling: how a sequence becomes one vector where the module does not say.
    """

    embedding_size: int = 768
    hidden_size: int = 768
    vocab_size: int = 30522
    length_limit: int | None = None
    pooling: Pooling = "first"


@dataclass(frozen=True)
class DataContext:
    """What tokenizers and processors may know of the model they feed.

    Attributes:
        base: folder that relative paths of the spec are relative to.
        length_limit: longest sequence the model accepts, or None.
        target_options: options of the model's targets, by target name.
        seed: the run's seed.
    """

    base: str = "."
    length_limit: int | None = None
    target_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    seed: int = 0


@dataclass(frozen=True)
class Problem:
    """An option that is well-formed but cannot work; ``option`` is empty when the module as a whole is meant."""

    option: str
    message: str


class ModuleConfig(BaseModel):
    """Options of one module. Subclass the base of the module's kind, not this class."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True, allow_inf_nan=False)

    kind: ClassVar[str] = ""

    @classmethod
    def summary(cls) -> str:
        """The first line of the class's docstring: the module's one-line description."""
        doc = inspect.cleandoc(cls.__doc__ or "").strip()
        return doc.splitlines()[0] if doc else ""

    def requires(self, context: BuildContext) -> dict[str, FieldSpec]:
        """What must be there for this module, by name.

        Names are batch fields (``input_ids``), labels (``labels:mlm``), shared weights (``weight:word``) and side
        values (``side:latents``).
        """
        return {}

    def provides(self, context: BuildContext) -> dict[str, FieldSpec]:
        """What this module makes available, in the same names as :meth:`requires`."""
        return {}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        """Yield what pydantic cannot see: options that contradict each other or the model around them."""
        yield from ()

    def files(self) -> dict[str, str]:
        """Options that name existing files or folders, as option → path (relative to the spec's folder)."""
        return {}


class EmbeddingConfig(ModuleConfig):
    """Base of embedding configs. ``embedding_size`` unset follows the model's."""

    kind: ClassVar[str] = "embedding"

    #: Whether the module makes content and so can stand first; positions and segments only add to a sequence.
    makes_sequence: ClassVar[bool] = True

    embedding_size: int | None = Field(None, gt=0, description="width of the vectors; the model's if unset")

    def length_limit(self) -> int | None:
        """The longest sequence that this embedding can represent; None if there is no limit."""
        return None

    def build(self, context: BuildContext) -> Embedding:
        raise TypeError(f"{type(self).__name__} does not implement build()")


class EncoderConfig(ModuleConfig):
    """Base of encoder configs: every encoder has an output width, ``hidden_size``."""

    kind: ClassVar[str] = "encoder"

    hidden_size: int = Field(768, gt=0, description="width of the hidden states")

    def build(self, context: BuildContext) -> Encoder:
        raise TypeError(f"{type(self).__name__} does not implement build()")


class DecoderConfig(ModuleConfig):
    """Base of decoder configs."""

    kind: ClassVar[str] = "decoder"

    hidden_size: int = Field(768, gt=0, description="width of the hidden states")
    needs_target_embedding: ClassVar[bool] = True

    def build(self, context: BuildContext) -> Decoder:
        raise TypeError(f"{type(self).__name__} does not implement build()")


class TargetConfig(ModuleConfig):
    """Base of target configs. ``weight`` is the factor of this target's loss in the sum."""

    kind: ClassVar[str] = "target"

    weight: float = Field(1.0, ge=0, description="factor of this target's loss in the total")

    def build(self, context: BuildContext) -> Target:
        raise TypeError(f"{type(self).__name__} does not implement build()")


class TokenizerConfig(ModuleConfig):
    """Base of tokenizer configs."""

    kind: ClassVar[str] = "tokenizer"

    def facts(self, data: DataContext) -> TokenizerFacts:
        """What checking a spec asks of the vocabulary, read as cheaply as its format allows.

        Raises:
            TPError: what :meth:`build` would raise.
        """
        return self.build(data).facts()

    def build(self, data: DataContext) -> Tokenizer:
        raise TypeError(f"{type(self).__name__} does not implement build()")


class ProcessorConfig(ModuleConfig):
    """Base of processor configs."""

    kind: ClassVar[str] = "processor"

    needs_tokenizer: ClassVar[bool] = True
    #: Options that change only how samples are drawn, not what is prepared and cached.
    sampling_options: ClassVar[frozenset[str]] = frozenset()

    def sequence_length(self) -> int | None:
        """The longest sequence this processor makes; None if it has no such bound."""
        return None

    def check_tokenizer(self, tokenizer: TokenizerFacts) -> Iterator[Problem]:
        """Yield what this processor needs of the tokenizer and does not find, special tokens for example.

        A problem with an option is shown at this processor's option, one without at the tokenizer.
        """
        yield from ()

    def check_targets(self, data: DataContext) -> Iterator[Problem]:
        """Yield what does not agree with the options of the model's targets, numbers of classes for example."""
        yield from ()

    def build(self, data: DataContext, tokenizer: Tokenizer | None) -> Processor:
        raise TypeError(f"{type(self).__name__} does not implement build()")


class HooksConfig(ModuleConfig):
    """Base of hook configs. ``build`` returns an object with methods marked ``tp_core.hookimpl``."""

    kind: ClassVar[str] = "hooks"

    def build(self) -> object:
        raise TypeError(f"{type(self).__name__} does not implement build()")
