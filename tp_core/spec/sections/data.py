"""The ``data:`` part of a validated spec. Torch-free."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

from tp_core.interfaces.tokenizer import TokenizerFacts
from tp_core.options.choice import Chosen
from tp_core.options.marks import PathStr
from tp_core.options.processor import ProcessorConfig
from tp_core.options.section import Section
from tp_core.options.source import SourceConfig
from tp_core.options.tokenizer import TokenizerConfig


class _ChosenByLoader:
    """Marks an option as a module that the loader has chosen. Choices that the loader has reported as wrong pass."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def chosen(value: Any) -> Any:
            if isinstance(value, Chosen | dict):
                return value
            raise PydanticKnownError("dict_type")

        dump = core_schema.plain_serializer_function_ser_schema(Chosen.dump)
        return core_schema.no_info_plain_validator_function(chosen, serialization=dump)

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        return {"type": "object"}  # tp_core.spec.json_schema adds the schemas of the modules


#: One data input: a path, or a source.
Given = PathStr | Annotated[Chosen[SourceConfig], _ChosenByLoader()]


class DataOptions(Section):
    """The plain keys of ``data:``; tokenizer and processor are module choices beside them."""

    train: Given | list[Given] | None = Field(
        None,
        description="training files or folders; patterns (*, **, {000..099}) are expanded; {name: {options}} names a "
        "source",
    )
    eval: Given | list[Given] | None = Field(
        None, description="files, or named sources, that evaluations during training use"
    )
    columns: dict[str, str] = Field(default_factory=dict, description="field the processor reads → column of the file")
    labels: dict[str, str] = Field(
        default_factory=dict, description="target → column of its labels, for targets that have their own labels"
    )
    folder_labels: Literal["first", "path", "last"] | None = Field(
        None,
        description="the folder, on the path from the given folder to a picture or recording, whose name is the label; "
        "default: last, if different folders then have different labels",
    )
    on_bad_record: Literal["fatal", "skip"] = Field(
        "fatal", description="reaction to a record that cannot be read or used"
    )
    bucket: int | None = Field(
        None,
        gt=0,
        description="number of batches whose samples are sorted by length together, to reduce padding; default: no "
        "sorting",
    )
    balance: float | None = Field(
        None,
        ge=0,
        le=1,
        description="draw the samples of each epoch by class: the share of a class is proportional to its number of "
        "samples to the power of 1 - balance; 1: all classes are equally frequent; default: each sample once per epoch",
    )
    cache: PathStr | None = Field(
        None, description="folder of prepared data; default: $TP_CACHE, else $XDG_CACHE_HOME/tp, else ~/.cache/tp"
    )

    def given(self, key: Literal["train", "eval"]) -> list[Given]:
        """The paths and sources of the data, in order; empty if there are none."""
        value = self.train if key == "train" else self.eval
        return value if isinstance(value, list) else [] if value is None else [value]


#: Keys of data that hold paths and sources.
SOURCES: tuple[Literal["train"], Literal["eval"]] = ("train", "eval")


class SetOptions(Section):
    """Keys of one of several data sets that are beside those of ``data:`` itself."""

    share: float = Field(1.0, gt=0, description="how often a batch comes from this set, relative to the others")
    targets: list[str] | None = Field(None, description="targets that the set feeds; default: all")
    streams: list[str] | None = Field(None, description="streams that the set feeds; default: all")


@dataclass(frozen=True)
class DataSpec:
    """The sources of the data, and the modules that make batches of records.

    Attributes:
        target_tokenizer: the tokenizer of the decoder's side, if it differs from that of the encoder's side.
        vocabulary: the facts about the tokenizer's vocabulary; None without a tokenizer.
        sets: the data sets of a mixture, by name. Keys that a set lacks are taken from the common keys. Empty if there
            is only one data set.
        name: name of one of several sets; empty for the data as a whole.
        mixing: the options of a set within a mixture.
    """

    options: DataOptions = field(default_factory=DataOptions)
    tokenizer: Chosen[TokenizerConfig] | None = None
    processor: Chosen[ProcessorConfig] | None = None
    target_tokenizer: Chosen[TokenizerConfig] | None = None
    vocabulary: TokenizerFacts | None = field(default=None, compare=False)
    target_vocabulary: TokenizerFacts | None = field(default=None, compare=False)
    sets: "dict[str, DataSpec]" = field(default_factory=dict)
    name: str = ""
    mixing: SetOptions = field(default_factory=SetOptions)

    def chosen(self) -> list[Chosen[Any]]:
        own = [each for each in (self.tokenizer, self.target_tokenizer, self.processor) if each is not None]
        inside = [part.processor for part in self.sets.values() if part.processor not in (None, self.processor)]
        return [*own, *inside]

    def sources(self) -> "list[Chosen[SourceConfig]]":
        """The named sources of all sets, each once."""
        parts = self.sets.values() or [self]
        given = (each for part in parts for key in SOURCES for each in part.options.given(key))
        return list({id(each): each for each in given if isinstance(each, Chosen)}.values())

    def extra_ids(self) -> int:
        """The number of ids that processors add after the tokenizer's ids. The ids of each processor begin there."""
        processors = (each.config for each in self.chosen() if each.kind == "processor")
        return max((config.extra_ids() for config in processors), default=0)

    def dump(self) -> dict[str, Any]:
        plain = self._own() | self.options.model_dump(mode="json", exclude_none=True)
        if self.sets:
            plain["sets"] = {name: part._dump_set() for name, part in self.sets.items()}
        return plain

    def _own(self) -> dict[str, Any]:
        parts: dict[str, Any] = {
            "tokenizer": self.tokenizer,
            "target_tokenizer": self.target_tokenizer,
            "processor": self.processor,
        }
        return {key: each.dump() for key, each in parts.items() if each is not None}

    def _dump_set(self) -> dict[str, Any]:
        common = ("tokenizer", "target_tokenizer", "cache")
        own = self._own() | self.options.model_dump(mode="json", exclude_none=True)
        return {k: v for k, v in own.items() if k not in common} | self.mixing.model_dump(exclude_none=True)
