"""The context in which a module is checked and built. Torch-free."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from tp_core.options.facts import Facts, Pooling, StreamFacts, fact_in
from tp_core.options.marks import ModelSize

if TYPE_CHECKING:
    from tp_core.interfaces.tokenizer import Tokenizer

T = TypeVar("T")


class BuildContext(NamedTuple):
    """Facts about the surrounding model that a module may use when it is checked and built.

    Attributes:
        embedding_size: width of the embedding component's output.
        hidden_size: width of the states at this module: the output of the encoder, or of the decoder if there is one.
        vocab_size: number of rows of the word embedding on this module's side.
        length_limit: longest sequence that the position embeddings allow, or None.
        pooling: default way to reduce a sequence to one vector.
        memory_size: width of the encoder states that a decoder attends to.
        streams: names of the streams, in order; empty for a model without named streams.
        labels: target → column of its labels, for targets with a column of their own (``data.labels``).
        facts: facts by type, published by the embedding modules of this side and by the module that contains this one.
    """

    embedding_size: int = 768
    hidden_size: ModelSize[int] = 768
    vocab_size: int = 30522
    length_limit: int | None = None
    pooling: Pooling = "first"
    memory_size: int = 768
    streams: Mapping[str, StreamFacts] = {}
    labels: Mapping[str, str] = {}
    facts: Facts = {}

    def fact(self, kind: type[T]) -> T | None:
        """The fact of a type, such as :class:`tp_core.HeadFacts`; None if no module publishes one."""
        return fact_in(self.facts, kind)

    def with_facts(self, *facts: Any) -> "BuildContext":
        """The same context with further facts; they replace facts of the same types."""
        return self._replace(facts={**self.facts, **{type(fact): fact for fact in facts}})


class TargetFacts(NamedTuple):
    """A target of the model, as seen by processors.

    Attributes:
        module: name of the target's module.
        facts: facts that the target publishes, by type, including its options.
        labels: kinds of labels that the target needs.
    """

    module: str
    facts: Facts = {}
    labels: tuple[str, ...] = ()

    def fact(self, kind: type[T]) -> T | None:
        """The fact of a type; None if the target publishes none."""
        return fact_in(self.facts, kind)


class DataContext(NamedTuple):
    """Facts about the model for its tokenizers and processors.

    Attributes:
        base: folder to which relative paths in the spec are relative.
        length_limit: longest sequence that the model accepts, or None.
        targets: targets of the model, by their own names, in order.
        seed: the run's seed.
        target_length_limit: longest sequence on the decoder's side, or None.
        target_tokenizer: separate tokenizer of the decoder's side (``data.target_tokenizer``), or None.
        streams: names of the model's streams, in order; empty for a model without named streams.
        facts: facts by type, published by the embedding modules of the source side; the first stream with a fact
            counts.
        labels: target → column of its labels, for targets with a column of their own (``data.labels``).
    """

    base: str = "."
    length_limit: int | None = None
    targets: Mapping[str, TargetFacts] = {}
    seed: int = 0
    target_length_limit: int | None = None
    target_tokenizer: "Tokenizer | None" = None
    streams: tuple[str, ...] = ()
    facts: Facts = {}
    labels: Mapping[str, str] = {}

    def fact(self, kind: type[T]) -> T | None:
        """The fact of a type, published by an embedding or else by the first target with it; None if missing."""
        places = (self.facts, *(target.facts for target in self.targets.values()))
        return next((fact for facts in places if (fact := fact_in(facts, kind)) is not None), None)

    def asked(self, labels: str) -> bool:
        """True if a target needs labels of this kind."""
        return any(labels in target.labels for target in self.targets.values())
