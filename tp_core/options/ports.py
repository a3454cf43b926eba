"""Typed names of what modules make available and ask for. Torch-free."""

from typing import Literal, NamedTuple

PortKind = Literal["input", "target_input", "labels", "weight", "published", "states"]

#: How messages call a port of each kind.
_WORDS: dict[str, str] = {
    "input": "the batch field",
    "target_input": "the decoder side's field",
    "labels": "the labels",
    "weight": "the shared weights",
    "published": "the published value",
    "states": "the property of states",
}


class Port(NamedTuple):
    """One thing that a module makes available and others ask for.

    Attributes:
        kind: ``input``, a field of the source side's batches; ``target_input``, one of the decoder side's; ``labels``;
            ``weight``, shared by an embedding; ``published``, a value that a module leaves for those after it;
            ``states``, a property of its states.
        name: within the kind.
        of: of an input, the stream that it is for; of labels, the target's own name. Empty: for each that asks. A
            module that asks leaves it empty: where it stands says it.
    """

    kind: PortKind
    name: str
    of: str = ""

    @classmethod
    def input(cls, name: str, stream: str = "") -> "Port":
        """A field of the source side's batches; what an embedding asks for, on whichever side it stands."""
        return cls("input", name, stream)

    @classmethod
    def target_input(cls, name: str) -> "Port":
        """A field of the decoder side's batches."""
        return cls("target_input", name)

    @classmethod
    def labels(cls, name: str, target: str = "") -> "Port":
        """Labels of a kind: for every target that asks for it, or for one."""
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


#: Ids of tokens, segments, which positions are real, and how many.
INPUT_IDS = Port.input("input_ids")
TOKEN_TYPE_IDS = Port.input("token_type_ids")
ATTENTION_MASK = Port.input("attention_mask")
LENGTHS = Port.input("lengths")

#: Number of the data set that a batch comes from.
TASK_IDS = Port.input("task_ids")

#: Ids of the decoder's side, and which of its positions are real.
TARGET_INPUT_IDS = Port.target_input("input_ids")
TARGET_ATTENTION_MASK = Port.target_input("attention_mask")

#: The matrix of the word embedding.
WORD = Port.weight("word")

#: No state depends on later positions.
CAUSAL = Port.states("causal")
#: The states of two directions that never see each other stand side by side.
TWO_DIRECTIONS = Port.states("two_directions")
