"""Torch-free base classes of module options.

An entry point names a module's config class. The class validates the module's options, states what the module
requires and provides, and builds the module. Torch is imported inside :meth:`build` only, so listing, checking and
documenting modules stays cheap.

Files with config classes do not use ``from __future__ import annotations``. With it, pydantic would compile the text of
every annotation, and those of class variables again for each subclass. This would slow down the start of every command.
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
    """Copy files and folders to ``folder/inside`` and return option → path of the copy relative to ``folder``."""
    import shutil

    options: dict[str, Any] = {}
    for option, path in files.items():
        # Several files may have the same name, and the modules of different layers share this folder.
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
    """An option that is well-formed but cannot work; ``option`` is empty if the problem concerns the whole module."""

    option: str
    message: str


class Preprocessing(NamedTuple):
    """The preprocessing of images or recordings, converted to or from Hugging Face.

    Attributes:
        content: content of a preprocessor_config.json, or options of a processor; None if no such content is possible.
        notes: differences on the other side, as sentences for the user.
    """

    content: dict[str, Any] | None
    notes: tuple[str, ...] = ()


class Equivalent(NamedTuple):
    """Another module with the same result, for toolkits that lack the first one (:meth:`ModuleConfig.equivalents`).

    Attributes:
        config: its options.
        name: name of the module, as in a spec; empty for the same module with other options.
        difference: the reason for a small difference of the results, as a part of a sentence; empty if they are equal.
    """

    config: "ModuleConfig"
    name: str = ""
    difference: str = ""


class Choosing(Section):
    """Options, some of which may choose modules (:class:`tp_core.Chosen`)."""

    #: Options whose values become defaults of the modules that other options choose.
    passed_on: ClassVar[frozenset[str]] = frozenset()
    #: Options that choose modules which only make labels. A trained model is used without these modules.
    makes_labels: ClassVar[frozenset[str]] = frozenset()
    #: Option → terms of other toolkits for it, in one text: an unknown key of a spec that is one of them is answered.
    terms: ClassVar[Mapping[str, str]] = {}
    #: Options that choose what makes token ids beside the tokenizer's.
    makes_ids: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return completed(cls, handler(source))


class ModuleConfig(Choosing):
    """Options of one module. Subclass the base of the module's kind, not this class."""

    kind: ClassVar[str] = ""
    #: The module's class: ``package.file:Class``, or ``Class`` in the file of the options. Imported when it is built.
    implementation: ClassVar[str] = ""
    #: File endings that the module ignores in folders named by its options. Such files do not count as content.
    unread: ClassVar[frozenset[str]] = frozenset()

    #: The option that sets separate options for some layers of a stack (:class:`tp_core.options.slices.Slices`).
    sliced: ClassVar[str] = ""
    #: The options that may be set for some layers only.
    of_slices: ClassVar[frozenset[str]] = frozenset()

    def slice_count(self) -> int:
        """The number of layers of the stack."""
        raise NotImplementedError

    @classmethod
    def implemented(cls) -> Any:
        """The class that :attr:`implementation` names.

        Raises:
            TypeError: ``implementation`` is empty, and the class does not override ``build``.
        """
        if not cls.implementation:
            raise TypeError(f"{cls.__name__} has neither an implementation nor a build() of its own")
        return cls.class_of("implementation")

    @classmethod
    def class_of(cls, variable: str) -> Any:
        """The class that a class variable names: ``"package.file:Class"``, or ``"Class"`` in the variable's file."""
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
        """The ports that this module needs, with the requirements on each.

        Inputs are looked up on the module's own side: in its stream, or on the decoder's side. If both sides state a
        size or a number of ids, the values must agree.
        """
        return {}

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        """The ports that this module provides, with the known facts of each."""
        return {}

    def withdraws(self, context: BuildContext) -> Collection[Port]:
        """The values published by earlier modules that are no longer true after this one."""
        return ()

    def equivalents(self) -> Iterable[Equivalent]:
        """Other forms of the module, for conversions to toolkits that lack this one, the usual ones first.

        A form with a ``difference`` says that no other toolkit has the module itself. The module's class has a method
        ``weights_for(other, weights)``, which returns the weights of the module ``other`` for its own; both are
        mappings of names within the module to tensors.
        """
        return ()

    def check(self, context: BuildContext) -> Iterator[Problem]:
        """Yield problems that pydantic cannot detect: options that contradict each other or the surrounding model."""
        yield from ()

    def published_facts(self) -> Iterable[Any]:
        """Facts about the module that other modules may look up by type, at most one of each type.

        The module's options are such a fact, too: the options of ``WordConfig`` are found by that class.
        """
        return ()

    def inner_context(self, option: str, context: BuildContext) -> BuildContext:
        """The context of the modules that an option chooses.

        Override it if this module knows more than its own context.
        """
        return context

    def files(self) -> dict[str, str]:
        """The ``PathStr`` options that name existing files or folders, as option → path.

        The options of :meth:`training_files` are not included.
        """
        training = self.training_files()
        return {option: path for option, path in paths_in(self).items() if option not in training}

    def training_files(self) -> dict[str, str]:
        """Like :meth:`files`, for files that only training needs. A trained model is used without them."""
        return {}

    def models(self) -> dict[str, str]:
        """Options that name trained models which the module uses, as option → folder.

        Such a model is identified by its content, wherever it lies: its weights, the parts of its spec that matter for
        use, and its modules with their files and code.
        """
        return {}

    def contents(self) -> list[str]:
        """The files and folders that decide what the module does. Runs and caches identify them by content.

        The folders of :meth:`models` are not included.
        """
        models = self.models()
        return [path for option, path in self.files().items() if option not in models]

    def libraries(self) -> Collection[str]:
        """Third-party distributions that influence the module's results. A changed version remakes cached rows."""
        return ()

    def for_use(self) -> "ModuleConfig | None":
        """The options of the exported model, without the options that only training needs.

        None: the export does not need the module at all. Only targets without weights may return None.
        """
        return self

    def save(self, folder: Path, inside: str) -> dict[str, Any]:
        """Copy the files that are needed to use a trained model into its export.

        Args:
            folder: folder of the export.
            inside: name of a subfolder, which may be created.

        Returns:
            The changed options, with the paths of the copies relative to ``folder``.
        """
        return copied_files(self.files(), folder, inside)

    def effective(self, context: BuildContext) -> dict[str, Any]:
        """Options with defaults filled in and ineffective ones removed.

        Two models with equal effective options compute the same. Modules that options choose are compared by their own
        effective options. Modules that only make labels are left out, since they only matter in training.
        """
        return self.model_dump(mode="json", exclude=set(self.makes_labels))
