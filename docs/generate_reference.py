"""Write ``docs/reference.md``: every key of a spec and every module of our packages, from their config classes.

    python docs/generate_reference.py

A test compares the file with what this script would write.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from tp_core.cli.main import BUILT_IN
from tp_core.cli.modules import rows
from tp_core.discovery import PluginEntry, article, index, load
from tp_core.options.base import ModuleConfig
from tp_core.options.choice import Slot
from tp_core.options.context import BuildContext
from tp_core.options.facts import FieldSpec
from tp_core.options.marks import PathMark
from tp_core.options.ports import Port
from tp_core.options.processor import ProcessorConfig
from tp_core.options.slices import Slices
from tp_core.options.target import TargetConfig
from tp_core.spec.schema import ModelOptions
from tp_core.spec.sections.data import DataOptions
from tp_core.spec.sections.embedding import EmbeddingOptions
from tp_core.spec.sections.inference import SECTIONS
from tp_core.spec.sections.train import EarlyStopping, TrainOptions

#: The packages of this repository; others that happen to be installed are not described.
PACKAGES = ("tp-core", "tp-text", "tp-vision", "tp-audio", "tp-crossmodal", "tp-tencentpretrain")

FILE = Path(__file__).with_name("reference.md")

#: Keys that hold modules, beside the plain ones of their section: key → (form, default, description).
_MODULE_KEYS = {
    "model": {
        "embedding": ("embedding modules", "required", "summed in order; the first gives content"),
        "encoder": ("an encoder", "required", ""),
        "target_embedding": ("embedding modules", "unset", "the decoder side's; `tgt_embedding` is the same key"),
        "decoder": ("a decoder", "unset", ""),
        "target": ("targets", "none", "trained together; training needs one at least"),
        "streams": ("name → a side", "unset", "several input sides, instead of `embedding` and `encoder`"),
    },
    "data": {
        "tokenizer": ("a tokenizer", "unset", "required by processors of text"),
        "processor": ("a processor", "unset", "what turns records into samples; training needs one"),
    },
    "train": {
        "optimizer": ("an optimizer", "`adamw`", ""),
        "schedule": ("a schedule", "`linear`", "of the learning rate"),
        "strategy": ("a strategy", "`auto`", "how the model is spread over processes"),
        "hooks": ("hooks", "none", "act in this run only because they are listed here"),
    },
}


def type_of(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """A type in the words of the spec's error messages."""
    names = {int: "integer", float: "number", str: "text", bool: "true or false", Any: "any value"}
    names |= {EarlyStopping: "mapping, see below", Slices: "mapping of slices to options of a layer"}
    if isinstance(annotation, type) and issubclass(annotation, BaseModel) and annotation is not EarlyStopping:
        return "mapping of the options below"
    if any(isinstance(mark, Slot) and mark.paths for mark in metadata):
        return "path or a source"
    if any(isinstance(mark, PathMark) for mark in metadata):
        return "path"
    if annotation in names:
        return names[annotation]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if slot := next((mark for mark in metadata if isinstance(mark, Slot)), None):
        return article(slot.kind)
    if origin is Annotated:
        return type_of(arguments[0], arguments[1:])
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(type_of(each) for each in arguments if each is not type(None))
    if origin is list:
        bounds = {n: getattr(mark, n) for mark in metadata for n in ("min_length", "max_length") if hasattr(mark, n)}
        length = f"{bounds['min_length']} " if len(set(bounds.values())) == 1 < len(bounds) else ""
        inner = type_of(arguments[0]).replace(" or a ", "s or ").removeprefix("a ").removeprefix("an ")
        return f"list of lists{inner.removeprefix('list')}" if inner.startswith("list") else f"list of {length}{inner}s"
    if origin is dict:
        return f"{type_of(arguments[0])} → {type_of(arguments[1])}"
    raise TypeError(f"say what {annotation} is called")


def bounds_of(field: FieldInfo) -> str:
    """The limits of a number, as they stand after its type."""
    signs = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
    found = [f"{signs[n]} {getattr(m, n)}" for m in field.metadata for n in signs if hasattr(m, n)]
    return f" {', '.join(found)}" if found else ""


def default_of(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "unset"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (dict, list)) and not value:
        return "none"
    if isinstance(value, BaseModel):
        return "their defaults"
    return f"`{value}`"


def option_rows(model: type[BaseModel]) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        kind = type_of(field.annotation, field.metadata) + bounds_of(field)
        yield f"`{name}`", kind, default_of(field), (field.description or "").replace("``", "`")
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel) and inner is not EarlyStopping:
            for key, *rest in option_rows(inner):
                yield f"`{name}.{key.strip('`')}`", *rest


def table(head: tuple[str, ...], lines: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for line in lines:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |"
    yield ""


def options(model: type[BaseModel], before: Iterable[tuple[str, ...]] = ()) -> Iterator[str]:
    found = [*before, *option_rows(model)]
    if found:
        yield from table(("option", "value", "default", ""), found)
    else:
        yield from ("No options.", "")


def section(name: str, model: type[BaseModel]) -> Iterator[str]:
    keys = [(f"`{key}`", *rest) for key, rest in _MODULE_KEYS.get(name, {}).items()]
    yield from (f"### `{name}:`", "")
    yield from options(model, keys)


def needs(config: ModuleConfig) -> Iterator[str]:
    """The lines on what a module with default options requires, provides and measures, in the terms of ``tp check``."""
    for verb, names in (("Requires", config.requires(BuildContext())), ("Provides", config.provides(BuildContext()))):
        if names:
            yield f"{verb}: {', '.join(f'{named(port)}{shape(spec)}' for port, spec in names.items())}."
    measured = config.measures(BuildContext()) if isinstance(config, TargetConfig | ProcessorConfig) else {}
    if measured:
        shown = (f"`{name}` ({facts.better or 'neither low nor high'} is better)" for name, facts in measured.items())
        yield f"Measures: {', '.join(shown)}."


def named(port: Port) -> str:
    """A port as the reference calls it: ``labels `mlm```, and a field of batches by its name alone."""
    words = {"input": "", "target_input": "decoder side's ", "published": "published ", "states": "states "}
    return f"{words.get(port.kind, f'{port.kind} ')}`{port.name}`"


def shape(spec: FieldSpec) -> str:
    return "" if spec.shape == ("batch", "length") else f" ({', '.join(map(str, spec.shape))})"


def module(entry: PluginEntry) -> Iterator[str]:
    config: type[ModuleConfig] = load(entry)
    yield from (f"#### `{entry.name}` ({entry.distribution})", "", config.summary().replace("``", "`"), "")
    try:
        usual = config()  # with the modules that options choose by default
    except ValidationError:
        usual = config.model_construct()
    lines = list(needs(usual))
    if lines:
        yield from (" ".join(lines), "")
    yield from options(config)


def reference() -> str:
    """The whole file."""
    lines = [
        "# Reference",
        "",
        "Written by `docs/generate_reference.py` from the config classes; `tp modules` lists what is installed where",
        "you are. `tp schema` gives the same to editors.",
        "",
        "## The spec",
        "",
        "At the top level: `tp` (1), `name`, `extends`, `model`, `data`, `train`, `inference`,",
        "`init_from`. See [spec.md](spec.md).",
        "",
        *section("model", ModelOptions),
        "Any other key is a default for the options of that name of all modules of the model.",
        "",
        "An embedding component has options of its own:",
        "",
        *options(EmbeddingOptions),
        *section("data", DataOptions),
        *section("train", TrainOptions),
        "#### `train.early_stopping:`",
        "",
        *options(EarlyStopping),
        *(line for name, each in SECTIONS.items() for line in section(f"inference.{name}", each)),
        "## Modules",
        "",
        "*Requires*, *provides* and *measures* are of the default options. The first two are what `tp check` compares:",
        "batch fields, `labels:`, `weight:` and `states:`. Shapes are (batch, length) where nothing else is said.",
        "",
    ]
    for kind in index().kinds:
        entries = [e for e in index().entries(kind) if e.distribution in PACKAGES]
        if not entries or kind in ("presets", "commands"):
            continue
        lines += [f"### kind: {kind}", ""]
        for entry in entries:
            lines += module(entry)
    presets = [r for r in rows("presets") if r.distribution in PACKAGES]
    lines += ["## Presets", "", "`extends: NAME` starts from one; `tp show NAME` prints it.", ""]
    lines += table(("preset", "package", ""), [(f"`{r.name}`", r.distribution, r.description) for r in presets])
    commands = [(f"`tp {name}`", command.help) for name, command in BUILT_IN.items()]
    commands += [(f"`tp {r.name}`", r.description) for r in rows("commands") if r.distribution in PACKAGES]
    lines += ["## Commands", "", "Each has `--help` with examples.", "", *table(("command", ""), commands)]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    FILE.write_text(reference(), encoding="utf-8")
    print(FILE)
