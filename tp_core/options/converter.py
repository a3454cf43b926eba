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
    """Base of converters between one Hugging Face architecture and specs.

    A converter is named after the architecture's ``model_type``. It has three parts: config.json → the ``model:`` part
    of a spec, the way back, and one table of weights that is used in both directions.

    Every key of a config.json must be accounted for. A key is mapped if :meth:`to_spec`, :meth:`processor` or
    :meth:`weights` reads its value. Other keys are accepted if they have transformers' default, if ``irrelevant`` lists
    them, or if they belong to heads that the architecture does not have. Keys of ``training_only`` produce a note. A
    model with any other key is refused. Keys of nested objects are written with a dot: ``text_config.hidden_act``.
    """

    kind: ClassVar[str] = "converter"

    #: Class names of the architecture in transformers → names of the targets that correspond to their heads.
    architectures: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    #: Common prefix of all tensor names except those of heads; checkpoints without heads may lack it.
    prefix: ClassVar[str] = ""
    #: The defaults of transformers for keys that a config.json omits, also in nested objects.
    defaults: ClassVar[Mapping[str, Any]] = {}
    #: Alternative names of keys → the name used in ``defaults``.
    aliases: ClassVar[Mapping[str, str]] = {}
    #: Keys with a fixed set of allowed values; the first value is transformers' default.
    required: ClassVar[Mapping[str, tuple[Any, ...]]] = {}
    #: Keys that never change what a model computes. ``interop/known_keys.py`` lists the keys common to all models.
    irrelevant: ClassVar[frozenset[str]] = frozenset()
    #: Keys that only affect training and are dropped → transformers' default.
    training_only: ClassVar[Mapping[str, Any]] = {}
    #: Names of targets → keys that only matter for their heads; they are irrelevant for architectures without the
    #: target.
    head_keys: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    #: Names of targets → other targets that may stand for the same head; the config decides which one does.
    head_variants: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    #: Keys that :meth:`to_config` and :meth:`as_stored` add but transformers does not know; they are not written.
    unwritten: ClassVar[frozenset[str]] = frozenset()
    #: Notes on converted models, as sentences.
    notes: ClassVar[tuple[str, ...]] = ()

    def complete(self, config: "Keys") -> Mapping[str, Any]:
        """Fill in default values that depend on other values, for a config that already contains ``defaults``.

        Args:
            config: records which keys are read. ``config | {...}`` replaces values and keeps recording; a plain copy
                such as ``{**config}`` does not record.
        """
        return config

    def as_stored(self, config: "Keys", tensors: "Tensors") -> Mapping[str, Any]:
        """A config with values that only the tensors show. Untied output matrices are detected separately."""
        return config

    def to_spec(self, config: "Keys", architecture: str) -> dict[str, Any]:
        """The ``model:`` part of a spec.

        Args:
            config: a completed config.json, which records the keys that are read.
            architecture: one of ``architectures``.

        Raises:
            TPError: the config has a feature that specs cannot express.
        """
        raise TypeError(f"{type(self).__name__} does not implement to_spec()")

    def to_config(self, spec: "Spec", architecture: str) -> dict[str, Any]:
        """The config.json of a spec's model. The caller checks the result with :meth:`to_spec`.

        Raises:
            TPError: the spec lacks a component that the architecture has.
        """
        raise TypeError(f"{type(self).__name__} does not implement to_config()")

    def written_notes(self, spec: "Spec") -> tuple[str, ...]:
        """Notes on a spec's model that is exported to transformers, as sentences."""
        return ()

    def weights(self, config: "Keys") -> "Sequence[WeightRule]":
        """The table of weights for a completed config; its ``architectures`` names the architecture to convert."""
        raise TypeError(f"{type(self).__name__} does not implement weights()")

    def processor(self, config: "Keys", architecture: str) -> dict[str, Any] | None:
        """A processor for the converted model, as written in a spec; or None.

        The processor is left out if it needs a tokenizer and the checkpoint has none. The processor itself adds the
        values of the checkpoint's preprocessor_config.json (:class:`tp_core.PreprocessorFile`).
        """
        return None
