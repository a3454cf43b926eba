"""The files of a folder that a processor reads, and the names of the classes in it. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tp_core.data.classes.options import ClassLabelOptions
from tp_core.data.sources.options import MEDIA
from tp_core.spec.sections.data import DataSpec


@dataclass(frozen=True)
class FolderRules:
    """The rules by which the files of folders, and the members of shards, are read.

    Attributes:
        media: fields of records that hold pictures, recordings or the like; none for texts. None if nothing says what
            is read: then every file of a known form is.
        columns: field → column.
        labels: which of the folders that a picture or recording is in, from the one that is named on, is its class;
            None: the last one, if no two become one class by that.
        labelled: whether the class is needed.
        needs_media: whether a record without any of the media fields is of no use.
    """

    media: frozenset[str] | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    labels: Literal["first", "path", "last"] | None = None
    labelled: bool = False
    needs_media: bool = True

    @property
    def media_columns(self) -> frozenset[str]:
        """The columns of files that the media fields are read from."""
        return frozenset(self.columns.get(name, name) for name in self.media or ())

    @property
    def media_forms(self) -> frozenset[str]:
        """Forms of files that are a record each."""
        if self.media is None:
            return frozenset(MEDIA)
        return frozenset(MEDIA) & (self.media | self.media_columns)


#: Nothing says what is read.
ANY_FORM = FolderRules()


def folder_rules(data: DataSpec, columns: Mapping[str, str] | None = None, new: bool = False) -> FolderRules:
    """The rules for the data of a spec.

    Args:
        columns: field → column; the spec's if None.
        new: records of which a model is to say something. They need no classes, and may lack what
            :attr:`~tp_core.options.processor.ProcessorConfig.optional_fields` says.
    """
    names = data.options.columns if columns is None else columns
    config = None if data.processor is None else data.processor.config
    if config is None or not (config.media_fields or config.needs_tokenizer):
        return FolderRules(None, names, data.options.folder_labels)
    labelled = not new and (isinstance(config, ClassLabelOptions) or "label" in names.values())
    needs_media = not (new and config.media_fields <= config.optional_fields)
    return FolderRules(config.media_fields, names, data.options.folder_labels, labelled, needs_media)
