"""Base of converters between Hugging Face and specs. Torch-free."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tp_core.options.base import ModuleConfig

if TYPE_CHECKING:
    from tp_core.interop.keys import Keys
    from tp_core.interop.rules import WeightRule
    from tp_core.interop.tensors import Tensors
    from tp_core.spec.schema import Spec


class ConverterConfig(ModuleConfig):
    """Base of converters between one architecture of Hugging Face and specs.

    A converter has the architecture's ``model_type`` for its name. It is three things: a config.json as the ``model:``
    part of a spec, the way back, and one table of weights that is used in both directions.

    Every key of a config.json is accounted for. It counts as mapped where :meth:`to_spec`, :meth:`processor` or
    :meth:`weights` read its value. Of the other keys, those pass that have transformers' default, that ``irrelevant``
    names, or that belong to heads which the architecture does not have; a note tells of ``training_only``. A model with
    any other key is refused. A key inside an object is written with a dot, ``text_config.hidden_act``.
    """

    kind: ClassVar[str] = "converter"

    #: The architecture's classes in transformers → the names of the targets that stand for their heads.
    architectures: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    #: Beginning of the names of all tensors but the heads'; checkpoints of the body alone may lack it.
    prefix: ClassVar[str] = ""
    #: The values that transformers takes for keys that a config.json leaves out; also of objects inside it.
    defaults: ClassVar[Mapping[str, Any]] = {}
    #: Other spellings of keys → the spelling of ``defaults``.
    aliases: ClassVar[Mapping[str, str]] = {}
    #: Keys that may have these values only, the first being what transformers takes for a key that is left out.
    required: ClassVar[Mapping[str, tuple[Any, ...]]] = {}
    #: Keys that never change what a model computes; those of any model are known without (``interop/known_keys.py``).
    irrelevant: ClassVar[frozenset[str]] = frozenset()
    #: Keys that change training only, and are not kept → transformers' default.
    training_only: ClassVar[Mapping[str, Any]] = {}
    #: Names of targets → keys that are for their heads alone, and irrelevant for architectures without them.
    head_keys: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    #: Keys that :meth:`to_config` and :meth:`as_stored` add and transformers does not have; they are not written.
    unwritten: ClassVar[frozenset[str]] = frozenset()
    #: What to know of converted models, in sentences.
    notes: ClassVar[tuple[str, ...]] = ()

    def complete(self, config: "Keys") -> Mapping[str, Any]:
        """A config that has ``defaults`` with values that follow from others.

        Args:
            config: notes which keys are read; ``config | {...}`` is the same with other values, and a plain copy such
                as ``{**config}`` notes nothing.
        """
        return config

    def as_stored(self, config: "Keys", tensors: "Tensors") -> Mapping[str, Any]:
        """A config with what only the tensors say. That an output matrix is not tied is found out without this."""
        return config

    def to_spec(self, config: "Keys", architecture: str) -> dict[str, Any]:
        """The ``model:`` part of a spec.

        Args:
            config: a completed config.json, which notes the keys that are read.
            architecture: one of ``architectures``.

        Raises:
            TPError: the config asks for something that specs cannot say.
        """
        raise TypeError(f"{type(self).__name__} does not implement to_spec()")

    def to_config(self, spec: "Spec", architecture: str) -> dict[str, Any]:
        """The config.json of a spec's model. Whether it describes the model is checked with :meth:`to_spec`.

        Raises:
            TPError: the spec lacks a component that the architecture has.
        """
        raise TypeError(f"{type(self).__name__} does not implement to_config()")

    def written_notes(self, spec: "Spec") -> tuple[str, ...]:
        """Notes on a spec's model that is written for transformers, in sentences."""
        return ()

    def weights(self, config: "Keys") -> "Sequence[WeightRule]":
        """The table of weights, for a completed config, whose ``architectures`` is the one that is converted."""
        raise TypeError(f"{type(self).__name__} does not implement weights()")

    def processor(self, config: "Keys", architecture: str) -> dict[str, Any] | None:
        """A processor for using the model, as a spec writes it; or None.

        It is left out where it needs a tokenizer and the checkpoint has none. What the checkpoint's
        preprocessor_config.json says is added by the processor itself (:class:`tp_core.PreprocessorFile`).
        """
        return None
