"""Typed names of the things that modules provide and require. Torch-free."""

from typing import Literal, NamedTuple

PortKind = Literal["input", "target_input", "labels", "weight", "published", "states"]

#: Names of port kinds in messages.
_WORDS: dict[str, str] = {
    "input": "the batch field",
    "target_input": "the decoder side's field",
    "labels": "the labels",
    "weight": "the shared weights",
    "published": "the published value",
    "states": "the property of states",
}


class Port(NamedTuple):
    """Something that one module provides and others require.

    Attributes:
        kind: ``input``, a field of batches on the source side; ``target_input``, a field on the decoder's side;
            ``labels``; ``weight``, a weight shared by an embedding; ``published``, a value that a module leaves for
            later modules; ``states``, a property of its states.
        name: name within the kind.
        of: the stream of an input, or the own name of the target of labels. Empty: for all. A module that requires a
            port leaves it empty, since its place in the model determines it.
    """

    kind: PortKind
    name: str
    of: str = ""

    @classmethod
    def input(cls, name: str, stream: str = "") -> "Port":
        """A field of batches on the source side. Embeddings on either side request this port."""
        return cls("input", name, stream)

    @classmethod
    def target_input(cls, name: str) -> "Port":
        """A field of batches on the decoder's side."""
        return cls("target_input", name)

    @classmethod
    def labels(cls, name: str, target: str = "") -> "Port":
        """Labels of a kind, for all targets that need them or for one target."""
        return cls("labels", name, target)

    @classmethod
    def weight(cls, name: str) -> "Port":
        """Weights that an embedding shares (``Module.shared_weights``)."""
        return cls("weight", name)

    @classmethod
    def published(cls, name: str) -> "Port":
        """A value that a module publishes in ``Sequence.published``."""
        return cls("published", name)

    @classmethod
    def states(cls, name: str) -> "Port":
        """A property of a module's states."""
        return cls("states", name)

    def __str__(self) -> str:
        whose = {"input": "stream", "labels": "target"}.get(self.kind)
        return f"{_WORDS[self.kind]} '{self.name}'" + (f" of the {whose} '{self.of}'" if self.of else "")


#: Token ids, segments, attention mask and lengths.
INPUT_IDS = Port.input("input_ids")
TOKEN_TYPE_IDS = Port.input("token_type_ids")
ATTENTION_MASK = Port.input("attention_mask")
LENGTHS = Port.input("lengths")

#: Number of the data set that a batch comes from.
TASK_IDS = Port.input("task_ids")

#: Token ids and attention mask of the decoder's side.
TARGET_INPUT_IDS = Port.target_input("input_ids")
TARGET_ATTENTION_MASK = Port.target_input("attention_mask")

#: Matrix of the word embedding.
WORD = Port.weight("word")

#: No state depends on later positions.
CAUSAL = Port.states("causal")
#: The states of two independent directions are concatenated.
TWO_DIRECTIONS = Port.states("two_directions")
