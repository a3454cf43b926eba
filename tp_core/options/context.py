"""The surroundings in which a module is checked and built. Torch-free."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from tp_core.options.facts import GridFacts, HeadFacts, Pooling, StreamFacts

if TYPE_CHECKING:
    from tp_core.interfaces.tokenizer import Tokenizer


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
        grid: the grid of patches that the embedding component makes of pictures, or None.
        labels: target → the column of its labels, for targets that have one of their own (``data.labels``).
        heads: those of the attention that a module belongs to, or None.
    """

    embedding_size: int = 768
    hidden_size: int = 768
    vocab_size: int = 30522
    length_limit: int | None = None
    pooling: Pooling = "first"
    memory_size: int = 768
    streams: Mapping[str, StreamFacts] = {}
    grid: GridFacts | None = None
    labels: Mapping[str, str] = {}
    heads: HeadFacts | None = None


class TargetFacts(NamedTuple):
    """A target of the model, as processors may know it.

    Attributes:
        module: the name of its module.
        options: its options.
        labels: the kinds of labels that it asks for.
    """

    module: str
    options: Mapping[str, Any] = {}
    labels: tuple[str, ...] = ()


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
        grid: the grid of patches that the model makes of pictures, or None.
        embedding_options: options of the source side's embedding modules, by name; of the first stream that has one.
        labels: target → the column of its labels, for targets that have one of their own (``data.labels``).
    """

    base: str = "."
    length_limit: int | None = None
    targets: Mapping[str, TargetFacts] = {}
    seed: int = 0
    target_length_limit: int | None = None
    target_tokenizer: "Tokenizer | None" = None
    streams: tuple[str, ...] = ()
    grid: GridFacts | None = None
    embedding_options: Mapping[str, Mapping[str, Any]] = {}
    labels: Mapping[str, str] = {}

    def options_of(self, module: str) -> Mapping[str, Any]:
        """The options of the first target of a module; empty without one."""
        return next((target.options for target in self.targets.values() if target.module == module), {})

    def asked(self, labels: str) -> bool:
        """True if a target asks for labels of a kind."""
        return any(labels in target.labels for target in self.targets.values())
