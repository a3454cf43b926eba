"""The surroundings in which a module is checked and built. Torch-free."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from tp_core.options.facts import Facts, Pooling, StreamFacts, fact_in
from tp_core.options.marks import ModelSize

if TYPE_CHECKING:
    from tp_core.interfaces.tokenizer import Tokenizer

T = TypeVar("T")


class BuildContext(NamedTuple):
    """The facts of the model around it that a module may know when it is checked and built.

    Attributes:
        embedding_size: width of the embedding component's output.
        hidden_size: width of the states at this module: the encoder's output (the decoder's, if there is one).
        vocab_size: rows of the word embedding on this module's side.
        length_limit: longest sequence the position embeddings allow, or None.
        pooling: how a sequence becomes one vector where the module does not say.
        memory_size: width of the encoder's states that a decoder attends to.
        streams: the named streams, in order; empty without.
        labels: target → the column of its labels, for targets that have one of their own (``data.labels``).
        facts: what the embedding modules of this side, and the module that this one belongs to, publish by type.
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
        """The same context with further facts; they replace those of the same types."""
        return self._replace(facts={**self.facts, **{type(fact): fact for fact in facts}})


class TargetFacts(NamedTuple):
    """A target of the model, as processors may know it.

    Attributes:
        module: the name of its module.
        facts: what it publishes by type: its options among them.
        labels: the kinds of labels that it asks for.
    """

    module: str
    facts: Facts = {}
    labels: tuple[str, ...] = ()

    def fact(self, kind: type[T]) -> T | None:
        """The fact of a type; None if the target publishes none."""
        return fact_in(self.facts, kind)


class DataContext(NamedTuple):
    """The facts of the model they feed that tokenizers and processors may know.

    Attributes:
        base: folder that relative paths of the spec are relative to.
        length_limit: longest sequence the model accepts, or None.
        targets: the model's targets, by their own names, in order.
        seed: the run's seed.
        target_length_limit: longest sequence of the decoder's side, or None.
        target_tokenizer: the tokenizer of the decoder's side, where it has one of its own (``data.target_tokenizer``).
        streams: names of the model's streams, in order; empty without.
        facts: what the source side's embedding modules publish by type; the first stream that has one counts.
        labels: target → the column of its labels, for targets that have one of their own (``data.labels``).
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
        """The fact of a type that an embedding publishes, or else the first target that does; None without one."""
        places = (self.facts, *(target.facts for target in self.targets.values()))
        return next((fact for facts in places if (fact := fact_in(facts, kind)) is not None), None)

    def asked(self, labels: str) -> bool:
        """True if a target asks for labels of a kind."""
        return any(labels in target.labels for target in self.targets.values())
