"""Torch-free base classes of module options.

A module's config class is what an entry point names. It validates the module's options, says what the module
requires and provides, and builds the module. Torch is imported inside :meth:`build` only, so that listing,
checking and documenting modules costs nothing.

Modules of config classes do without ``from __future__ import annotations``: pydantic would compile the text of every
annotation, those of class variables once more for each subclass, which shows in the start-up time of every command.
"""

import inspect
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from tp_core.marks import paths_in
from tp_core.metrics.facts import MetricFacts

if TYPE_CHECKING:
    from tp_core.interfaces import (
        Decoder,
        Embedding,
        Encoder,
        FusionEncoder,
        Processor,
        Target,
        VisualTokenizer,
    )
    from tp_core.interop.keys import Keys
    from tp_core.interop.rules import Entry
    from tp_core.interop.tensors import Tensors
    from tp_core.spec.schema import Spec
    from tp_core.tokenizer import Tokenizer, TokenizerFacts

NormKind = Literal["layernorm", "rmsnorm", "none"]
Pooling = Literal["first", "last", "mean", "max"]


def _copied(files: Mapping[str, str], folder: Path, inside: str) -> dict[str, Any]:
    """Copy files and folders to ``folder/inside``; gives back option → the copy's path relative to ``folder``."""
    import shutil

    options: dict[str, Any] = {}
    for number, (option, path) in enumerate(files.items()):
        # Two files may have one name.
        name = f"{inside}/{Path(path).name}"
        name = name if not (folder / name).exists() else f"{inside}/{number}-{Path(path).name}"
        (folder / inside).mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if Path(path).is_dir() else shutil.copyfile
        copy(path, folder / name)
        key, _, place = option.partition(".")
        if place:
            options.setdefault(key, []).append(name)
        else:
            options[key] = name
    return options


class FieldSpec(NamedTuple):
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


class StreamFacts(NamedTuple):
    """What targets may know of a stream.

    Attributes:
        hidden_size: width of the stream's final states.
        pooling: how the stream's sequence becomes one vector where the target does not say.
    """

    hidden_size: int
    pooling: Pooling = "first"


class VectorFacts(NamedTuple):
    """The way in which a target makes one vector of each sample of a stream.

    Attributes:
        pooling: how the stream's states become one; None: in the target's own way (``Target.pool``).
        projection_size: width that the target projects this to (``Target.project``); None without a projection.
        normalize: the vector is brought to length 1.
        compared: the target compares such vectors with each other, so that their distances mean something.
    """

    pooling: Pooling | None
    projection_size: int | None = None
    normalize: bool = False
    compared: bool = False


class GridFacts(NamedTuple):
    """How an embedding divides pictures of its configured size into a grid of patches.

    Attributes:
        height: rows of patches.
        width: columns of patches.
        patch_size: height and width of a patch, in pixels.
        channels: colours of a pixel.
        leading: tokens before the patches that have positions of their own: the class token, a distillation token.
        registers: tokens between those and the patches; they have no position.
    """

    height: int
    width: int
    patch_size: tuple[int, int]
    channels: int
    leading: int = 0
    registers: int = 0

    @property
    def patches(self) -> int:
        """Number of patches of a picture."""
        return self.height * self.width

    @property
    def before(self) -> int:
        """Number of places of the sequence before the first patch."""
        return self.leading + self.registers


class PictureFacts(NamedTuple):
    """The pictures that a trained visual tokenizer knows.

    Attributes:
        grid: how it divides them into patches, one token for each.
        mean: subtracted from their pixels, which are from 0 to 1; of all channels, or one of each.
        std: what divides them then.
    """

    grid: GridFacts
    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.5,)


class BuildContext(NamedTuple):
    """What a module may know of the model around it when it is checked and built.

    Attributes:
        embedding_size: width of the embedding component's output.
        hidden_size: width of the states at this module: the encoder's output (the decoder's, if there is one).
        vocab_size: rows of the word embedding on this module's side.
        length_limit: longest sequence the position embeddings allow, or None.
        pooling: how a sequence becomes one vector where the module does not say.
        memory_size: width of the encoder's states that a decoder attends to.
        streams: the named streams, in order; empty without.
        grid: the grid of patches that the embedding component makes of pictures, or None.
    """

    embedding_size: int = 768
    hidden_size: int = 768
    vocab_size: int = 30522
    length_limit: int | None = None
    pooling: Pooling = "first"
    memory_size: int = 768
    streams: Mapping[str, StreamFacts] = {}
    grid: GridFacts | None = None


class DataContext(NamedTuple):
    """What tokenizers and processors may know of the model they feed.

    Attributes:
        base: folder that relative paths of the spec are relative to.
        length_limit: longest sequence the model accepts, or None.
        target_options: options of the model's targets, by module; of several of one module, the first's.
        seed: the run's seed.
        target_length_limit: longest sequence of the decoder's side, or None.
        target_tokenizer: the tokenizer of the decoder's side, where it has one of its own (``data.target_tokenizer``).
        streams: names of the model's streams, in order; empty without.
        grid: the grid of patches that the model makes of pictures, or None.
        embedding_options: options of the source side's embedding modules, by name; of the first stream that has one.
    """

    base: str = "."
    length_limit: int | None = None
    target_options: Mapping[str, Mapping[str, Any]] = {}
    seed: int = 0
    target_length_limit: int | None = None
    target_tokenizer: "Tokenizer | None" = None
    streams: tuple[str, ...] = ()
    grid: GridFacts | None = None
    embedding_options: Mapping[str, Mapping[str, Any]] = {}


class Problem(NamedTuple):
    """An option that is well-formed but cannot work; ``option`` is empty when the module as a whole is meant."""

    option: str
    message: str


class Preprocessing(NamedTuple):
    """How pictures or recordings become tensors, on the way to Hugging Face or back.

    Attributes:
        content: of a preprocessor_config.json, or options of a processor; None where there can be none.
        notes: what the other side does not do so, in sentences for the user.
    """

    content: dict[str, Any] | None
    notes: tuple[str, ...] = ()


class ModuleConfig(BaseModel):
    """Options of one module. Subclass the base of the module's kind, not this class."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True, allow_inf_nan=False)

    kind: ClassVar[str] = ""
    #: Endings of files that the module does not read of folders that its options name: they are no part of it.
    unread: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def summary(cls) -> str:
        """The first line of the class's docstring: the module's one-line description."""
        doc = inspect.cleandoc(cls.__doc__ or "").strip()
        return doc.splitlines()[0] if doc else ""

    def requires(self, context: BuildContext) -> dict[str, FieldSpec]:
        """What must be there for this module, by name.

        Names are batch fields (``input_ids``), labels (``labels:mlm``), shared weights (``weight:word``), side
        values (``side:latents``) and properties of the states (``states:causal``). What an embedding of the
        decoder's side requires by a bare name is looked for under ``target:`` (``target:input_ids``).
        """
        return {}

    def provides(self, context: BuildContext) -> dict[str, FieldSpec]:
        """What this module makes available, in the same names as :meth:`requires`."""
        return {}

    def check(self, context: BuildContext) -> Iterator[Problem]:
        """Yield what pydantic cannot see: options that contradict each other or the model around them."""
        yield from ()

    def files(self) -> dict[str, str]:
        """Options that name existing files or folders, as option → path: those that are a ``PathStr``.

        Those of :meth:`training_files` are none of them.
        """
        training = self.training_files()
        return {option: path for option, path in paths_in(self).items() if option not in training}

    def training_files(self) -> dict[str, str]:
        """Like :meth:`files`, of what only training needs: a trained model is used without them."""
        return {}

    def models(self) -> dict[str, str]:
        """Options that name trained models which are a part of what the module does, as option → folder.

        Such a model counts by its content, its weights and what of its spec using it needs, wherever it lies; so do its
        modules, with their files and code.
        """
        return {}

    def contents(self) -> list[str]:
        """The files and folders that decide what the module does; runs and caches know them by their content.

        Those of :meth:`models` are none of them.
        """
        models = self.models()
        return [path for option, path in self.files().items() if option not in models]

    def libraries(self) -> Collection[str]:
        """Distributions of others whose versions decide what the module makes: rows made with another are made anew."""
        return ()

    def for_use(self) -> "ModuleConfig | None":
        """The options with which a trained model is exported: without what only training needs.

        None: the module itself is of no use then. Only targets without weights can say so.
        """
        return self

    def save(self, folder: Path, inside: str) -> dict[str, Any]:
        """Copy the files that using a trained model needs into its export.

        Args:
            folder: of the export.
            inside: name of a folder in it, which may be made.

        Returns:
            The options that change by it, with the copies' paths relative to ``folder``.
        """
        return _copied(self.files(), folder, inside)

    def effective(self, context: BuildContext) -> dict[str, Any]:
        """The options with what the unset ones stand for, without those that have no effect beside the others.

        Two models whose modules are effectively equal compute the same.
        """
        return self.model_dump(mode="json")


class EmbeddingConfig(ModuleConfig):
    """Base of embedding configs. ``embedding_size`` unset follows the model's."""

    kind: ClassVar[str] = "embedding"

    #: Whether the module makes content and so can stand first; positions and segments only add to a sequence.
    makes_sequence: ClassVar[bool] = True

    embedding_size: int | None = Field(None, gt=0, description="width of the vectors; the model's if unset")

    def length_limit(self) -> int | None:
        """The longest sequence that this embedding can represent; None if there is no limit."""
        return None

    def grid(self) -> GridFacts | None:
        """The grid of patches that this embedding makes of pictures; None for one that does not cut pictures."""
        return None

    def places(self) -> int | None:
        """How many positions the embedding's sequences reach to, where its options say; None where inputs decide."""
        grid = self.grid()
        return None if grid is None else grid.before + grid.patches

    def build(self, context: BuildContext) -> "Embedding":
        raise TypeError(f"{type(self).__name__} does not implement build()")


class EncoderConfig(ModuleConfig):
    """Base of encoder configs: every encoder has an output width, ``hidden_size``."""

    kind: ClassVar[str] = "encoder"

    #: Whether it reads all of the model's streams together, behind their own encoders, and gives them back.
    joins_streams: ClassVar[bool] = False

    hidden_size: int = Field(768, gt=0, description="width of the hidden states")

    def build(self, context: BuildContext) -> "Encoder":
        raise TypeError(f"{type(self).__name__} does not implement build()")


class FusionConfig(EncoderConfig):
    """Base of configs of encoders that read all streams together; they stand at ``model.encoder``, beside those."""

    joins_streams: ClassVar[bool] = True

    def build(self, context: BuildContext) -> "FusionEncoder":  # type: ignore[override]
        raise TypeError(f"{type(self).__name__} does not implement build()")


class DecoderConfig(ModuleConfig):
    """Base of decoder configs."""

    kind: ClassVar[str] = "decoder"

    hidden_size: int = Field(768, gt=0, description="width of the hidden states")
    needs_target_embedding: ClassVar[bool] = True

    def build(self, context: BuildContext) -> "Decoder":
        raise TypeError(f"{type(self).__name__} does not implement build()")


class TargetConfig(ModuleConfig):
    """Base of target configs. ``weight`` is the factor of this target's loss in the sum.

    ``name`` is what the model calls the target, in losses, metrics, weights and data sets. It is needed where a model
    has several of one kind, such as a classifier for each modality (PolyViT).
    """

    kind: ClassVar[str] = "target"
    #: Samples that a micro-batch, over all processes, must have for the target to learn from it.
    least_samples: ClassVar[int] = 1
    #: Whether, without ``stream``, it reads all of the model's streams, and not the first only; for drawings of it.
    reads_streams: ClassVar[bool] = False

    name: str | None = Field(None, description="what the model calls it; unset: as the module")
    weight: float = Field(1.0, ge=0, description="factor of this target's loss in the total")
    stream: str | None = Field(None, description="the stream that the target reads; unset: the first, or all of them")

    def label_fields(self, context: BuildContext) -> dict[str, FieldSpec]:
        """The tensors of the required labels, as ``label:tensor``: one called ``labels`` each, if not overridden."""
        required = self.requires(context).items()
        return {f"{name.removeprefix('labels:')}:labels": spec for name, spec in required if name.startswith("labels:")}

    def check_training(self, spec: "Spec") -> Iterator[Problem]:
        """Yield what training needs of the whole spec, or of files, and does not find."""
        yield from ()

    def learns_through(self, others: Sequence[str]) -> Sequence[str]:
        """Those of the model's other targets whose weights its loss trains, as it reads their scores."""
        return ()

    def pools(self, context: BuildContext) -> dict[str, Pooling]:
        """The streams of which it reads one vector, and how that is made; a model without streams has one, ``""``."""
        return {}

    def embeds(self, context: BuildContext) -> Mapping[str, VectorFacts]:
        """The vector that a trained model has of each of these streams: those that :meth:`pools` names, as it says."""
        return {stream: VectorFacts(how) for stream, how in self.pools(context).items()}

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        """The metrics that the target gives (``TargetOutput.metrics``), with the side on which they are better.

        All of them are there in every evaluation; in training, the target may leave some out. The first that has a
        better side is shown while a run trains.
        """
        return {}

    def build(self, context: BuildContext) -> "Target":
        raise TypeError(f"{type(self).__name__} does not implement build()")


class TokenizerConfig(ModuleConfig):
    """Base of tokenizer configs."""

    kind: ClassVar[str] = "tokenizer"

    @classmethod
    def from_huggingface(cls, source: Path, folder: Path) -> Preprocessing | None:
        """Bring the tokenizer of a Hugging Face model's folder into a model's folder of ours.

        Args:
            source: the folder of the model.
            folder: where to put the files; it is made where there is a tokenizer.

        Returns:
            The options that load it, with paths relative to the folder above ``folder``, and notes for the user; None:
            the source has no tokenizer that this class reads.

        Raises:
            TPError: there is one, and it cannot be read.
        """
        return None

    def facts(self, data: DataContext) -> "TokenizerFacts":
        """What checking a spec asks of the vocabulary, read as cheaply as its format allows.

        Raises:
            TPError: what :meth:`build` would raise.
        """
        return self.build(data).facts()

    def build(self, data: DataContext) -> "Tokenizer":
        raise TypeError(f"{type(self).__name__} does not implement build()")


class VisualTokenizerConfig(ModuleConfig):
    """Base of configs of visual tokenizers, which others choose by an option marked with ``ModuleMark``."""

    kind: ClassVar[str] = "visual_tokenizer"

    def token_count(self) -> int:
        """How many different tokens there are.

        Raises:
            TPError: what says so cannot be read.
        """
        raise TypeError(f"{type(self).__name__} does not implement token_count()")

    def pictures(self) -> PictureFacts | None:
        """The pictures that it was trained with; None for one that takes any.

        Raises:
            TPError: what says so cannot be read.
        """
        return None

    def contents(self) -> list[str]:
        """The files that decide which tokens a picture gets."""
        models = self.models()
        return [path for option, path in {**self.files(), **self.training_files()}.items() if option not in models]

    def save(self, folder: Path, inside: str) -> dict[str, Any]:
        """Copy the files that the tokenizer needs into an exported model; gives back all options."""
        return self.model_dump(mode="json") | _copied({**self.files(), **self.training_files()}, folder, inside)

    def build(self, context: BuildContext) -> "VisualTokenizer":
        """The tokenizer with its values, on the CPU. It is built when the first tokens are made."""
        raise TypeError(f"{type(self).__name__} does not implement build()")


class ProcessorConfig(ModuleConfig):
    """Base of processor configs."""

    kind: ClassVar[str] = "processor"

    needs_tokenizer: ClassVar[bool] = True
    #: Whether batches hold one ``Inputs`` per named stream; their fields are then provided to every stream.
    feeds_streams: ClassVar[bool] = False
    #: Options that change only how samples are drawn, not what is prepared and cached.
    sampling_options: ClassVar[frozenset[str]] = frozenset()
    #: Fields of records that may name files, such as pictures: their contents are part of the cache's key.
    media_fields: ClassVar[frozenset[str]] = frozenset()
    #: Fields that records for inference may lack: labels, and what only one of the streams reads. ``data.columns`` may
    #: name columns for them that a file of such records does not have.
    optional_fields: ClassVar[frozenset[str]] = frozenset()
    #: Column of the prepared rows whose lengths are those of the samples, for ``data.bucket``; None if there is none.
    length_column: ClassVar[str | None] = None
    #: Keys of a preprocessor_config.json that may have these values only, the first being transformers' default.
    required_keys: ClassVar[Mapping[str, tuple[Any, ...]]] = {}
    #: Keys of it that never change what is made. One that is neither here nor read is refused.
    irrelevant_keys: ClassVar[frozenset[str]] = frozenset()

    def sequence_length(self) -> int | None:
        """The longest sequence this processor makes; None if it has no such bound."""
        return None

    def target_sequence_length(self) -> int | None:
        """The longest sequence of the decoder's side; None if there is no such bound or no such side."""
        return None

    def extra_ids(self) -> int:
        """How many ids it makes behind those of the tokenizer, for which the model has rows too: image tokens."""
        return 0

    def starting_with(self, token: int, special: Mapping[str, int]) -> Mapping[str, Any]:
        """The options with which a decoder's input begins with a token; empty for a processor that has no choice.

        Args:
            special: role → id, of the decoder's vocabulary.
        """
        return {}

    def check_data(self) -> Iterator[Problem]:
        """Yield what is missing to prepare data, which presets may leave open."""
        yield from ()

    def check_tokenizer(self, tokenizer: "TokenizerFacts") -> Iterator[Problem]:
        """Yield what this processor needs of the tokenizer and does not find, special tokens for example.

        A problem with an option is shown at this processor's option, one without at the tokenizer.
        """
        yield from ()

    def segments(self, tokenizer: "TokenizerFacts") -> int | None:
        """Number of segments (values of ``token_type_ids``) of any sequence; None where only records say."""
        return None

    def check_targets(self, data: DataContext) -> Iterator[Problem]:
        """Yield what does not agree with the options of the model's targets, numbers of classes for example."""
        yield from ()

    def check_target_tokenizer(self, tokenizer: "TokenizerFacts") -> Iterator[Problem]:
        """As :meth:`check_tokenizer`, of the decoder's side: its own tokenizer, or the one that both sides share.

        Called only for processors that provide a decoder's side.
        """
        yield from ()

    def check_separate_tokenizers(self) -> Iterator[Problem]:
        """Yield a problem where the decoder's side may not have a tokenizer of its own."""
        yield from ()

    def measures(self, context: BuildContext) -> Mapping[str, MetricFacts]:
        """The metrics of :meth:`Processor.score`, with the side on which they are better; empty without."""
        return {}

    def companions(self, paths: list[str]) -> list[str]:
        """Files that are read beside the data's own, such as the other side of a parallel corpus.

        Args:
            paths: the files and folders of ``data.train`` or ``data.eval``.
        """
        return []

    def to_huggingface(self, data: DataContext) -> Preprocessing | None:
        """The preprocessor_config.json with which transformers makes the tensors of :meth:`Processor.encode`.

        Args:
            data: of the spec that the processor belongs to.

        Returns:
            The file's content, with ``image_processor_type`` or ``feature_extractor_type``. Where no class of
            transformers makes the same tensors it is None, and a note says why. None in place of it all: this
            processor reads neither pictures nor sound.
        """
        return None

    def from_huggingface(self, content: Mapping[str, Any], data: DataContext) -> Preprocessing | None:
        """The options that a preprocessor_config.json stands for.

        Args:
            content: of the file; keys that it leaves out have the values of the class that it names. It notes which
                keys are read (:class:`tp_core.interop.keys.Keys`).
            data: of the converted model.

        Returns:
            Options to put in the place of this config's, and notes on what they cannot say; None: this processor
            reads nothing of that file.

        Raises:
            TPError: a value is none that transformers knows; the file is then left unread.
        """
        return None

    def build(self, data: DataContext, tokenizer: "Tokenizer | None") -> "Processor":
        raise TypeError(f"{type(self).__name__} does not implement build()")


class HooksConfig(ModuleConfig):
    """Base of hook configs. ``build`` returns an object with methods marked ``tp_core.hookimpl``."""

    kind: ClassVar[str] = "hooks"

    #: The hooks only look on, and change nothing that is computed: a run may go on with them or without.
    observes: ClassVar[bool] = False

    def build(self) -> object:
        raise TypeError(f"{type(self).__name__} does not implement build()")


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

    def weights(self, config: "Keys") -> "Sequence[Entry]":
        """The table of weights, for a completed config, whose ``architectures`` is the one that is converted."""
        raise TypeError(f"{type(self).__name__} does not implement weights()")

    def processor(self, config: "Keys", architecture: str) -> dict[str, Any] | None:
        """A processor for using the model, as a spec writes it; or None.

        It is left out where it needs a tokenizer and the checkpoint has none. What the checkpoint's
        preprocessor_config.json says is added by the processor itself (:meth:`ProcessorConfig.from_huggingface`).
        """
        return None
