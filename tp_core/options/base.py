"""Torch-free base classes of module options.

A module's config class is what an entry point names. It validates the module's options, says what the module
requires and provides, and builds the module. Torch is imported inside :meth:`build` only, so that listing,
checking and documenting modules costs nothing.

Modules of config classes do without ``from __future__ import annotations``: pydantic would compile the text of every
annotation, those of class variables once more for each subclass, which shows in the start-up time of every command.
"""

import importlib
import inspect
import itertools
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema

from tp_core.options.choice import completed
from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec
from tp_core.options.marks import paths_in
from tp_core.options.ports import Port
from tp_core.options.section import Section


def imported(value: str) -> Any:
    """The object that ``package.file:Name`` names."""
    module, _, name = value.partition(":")
    return getattr(importlib.import_module(module), name)


def copied_files(files: Mapping[str, str], folder: Path, inside: str) -> dict[str, Any]:
    """Copy files and folders to ``folder/inside``; gives back option → the copy's path relative to ``folder``."""
    import shutil

    options: dict[str, Any] = {}
    for option, path in files.items():
        # Files may have one name, and modules of layers that differ one folder.
        last = Path(path).name
        names = (f"{inside}/{number}-{last}" if number else f"{inside}/{last}" for number in itertools.count())
        name = next(name for name in names if not (folder / name).exists())
        (folder / inside).mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if Path(path).is_dir() else shutil.copyfile
        copy(path, folder / name)
        key, _, place = option.partition(".")
        if place:
            options.setdefault(key, []).append(name)
        else:
            options[key] = name
    return options


class Problem(NamedTuple):
    """An option that is well-formed but cannot work; ``option`` is empty when the module as a whole is meant."""

    option: str
    message: str


class Preprocessing(NamedTuple):
    """The way in which pictures or recordings become tensors, on the way to Hugging Face or back.

    Attributes:
        content: of a preprocessor_config.json, or options of a processor; None where there can be none.
        notes: what the other side does not do so, in sentences for the user.
    """

    content: dict[str, Any] | None
    notes: tuple[str, ...] = ()


class Choosing(Section):
    """Options, some of which may choose modules (:class:`tp_core.Chosen`)."""

    #: Options whose values are defaults of the modules that other options choose.
    passed_on: ClassVar[frozenset[str]] = frozenset()
    #: Options that choose modules which make labels and nothing else: a trained model is used without them.
    makes_labels: ClassVar[frozenset[str]] = frozenset()
    #: Options that choose what makes token ids beside the tokenizer's.
    makes_ids: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return completed(cls, handler(source))


class ModuleConfig(Choosing):
    """Options of one module. Subclass the base of the module's kind, not this class."""

    kind: ClassVar[str] = ""
    #: The class of the module, ``package.file:Class``, or ``Class`` of the options' own file; imported to be built.
    implementation: ClassVar[str] = ""
    #: Endings of files that the module does not read of folders that its options name: they are no part of it.
    unread: ClassVar[frozenset[str]] = frozenset()

    #: The option that gives some layers of a stack options of their own (:class:`tp_core.options.slices.Slices`).
    sliced: ClassVar[str] = ""
    #: The options that these layers may have.
    of_slices: ClassVar[frozenset[str]] = frozenset()

    def slice_count(self) -> int:
        """The number of layers of the stack."""
        raise NotImplementedError

    @classmethod
    def implemented(cls) -> Any:
        """The class that :attr:`implementation` names.

        Raises:
            TypeError: it names nothing, and the class has no ``build`` of its own.
        """
        if not cls.implementation:
            raise TypeError(f"{cls.__name__} has neither an implementation nor a build() of its own")
        return cls.class_of("implementation")

    @classmethod
    def class_of(cls, variable: str) -> Any:
        """The class that a class variable names: ``"package.file:Class"``, or ``"Class"`` of the variable's file."""
        named: str = getattr(cls, variable)
        if ":" in named:
            return imported(named)
        owner = next(each for each in cls.__mro__ if variable in vars(each))
        return getattr(sys.modules[owner.__module__], named)

    @classmethod
    def summary(cls) -> str:
        """The first line of the class's docstring: the module's one-line description."""
        doc = inspect.cleandoc(cls.__doc__ or "").strip()
        return doc.splitlines()[0] if doc else ""

    def requires(self, context: BuildContext) -> dict[Port, FieldSpec]:
        """The ports that must be there for this module, with what it needs of each.

        Inputs are looked for where the module stands: in its stream, or on the decoder's side. Sizes and numbers of
        ids that both sides state must agree.
        """
        return {}

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        """The ports that this module makes available, with what is known of each."""
        return {}

    def withdraws(self, context: BuildContext) -> Collection[Port]:
        """The published values of modules before this one that are not true after it any more."""
        return ()

    def check(self, context: BuildContext) -> Iterator[Problem]:
        """Yield what pydantic cannot see: options that contradict each other or the model around them."""
        yield from ()

    def published_facts(self) -> Iterable[Any]:
        """Facts about the module that others may ask for by their type, at most one of each type.

        Its options are such a fact, too: those of ``WordConfig`` are found by that class.
        """
        return ()

    def inner_context(self, option: str, context: BuildContext) -> BuildContext:
        """The facts of the model around them that modules which an option chooses may know.

        Override it where this module knows more than what is around itself.
        """
        return context

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
        return copied_files(self.files(), folder, inside)

    def effective(self, context: BuildContext) -> dict[str, Any]:
        """The options with what the unset ones stand for, without those that have no effect beside the others.

        Two models whose modules are effectively equal compute the same. Modules that options choose are compared by
        their own effective options; those that make labels only matter in training alone.
        """
        return self.model_dump(mode="json", exclude=set(self.makes_labels))
