"""Rules for the files of a folder that a processor reads, and for the classes in the folder. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tp_core.data.classes.options import ClassLabelOptions
from tp_core.data.sources.options import MEDIA
from tp_core.spec.sections.data import DataSpec


@dataclass(frozen=True)
class FolderRules:
    """The rules for reading the files of folders and the members of shards.

    Attributes:
        media: fields of records that hold pictures, recordings or the like; empty for texts. None if unknown; then
            every file of a known form is read.
        columns: field → column.
        labels: the choice of the folder, on the path from the given folder to the file, whose name is the class. None
            for the last one, if no two different folders then have the same class.
        labelled: True if the class is needed.
        needs_media: True if a record without any of the media fields cannot be used.
        transcribed: ``needed`` or ``welcome`` if recordings are read with their texts; None without texts.
    """

    media: frozenset[str] | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    labels: Literal["first", "path", "last"] | None = None
    labelled: bool = False
    needs_media: bool = True
    transcribed: Literal["needed", "welcome"] | None = None

    @property
    def media_columns(self) -> frozenset[str]:
        """The columns of files with the media fields."""
        return frozenset(self.columns.get(name, name) for name in self.media or ())

    @property
    def media_forms(self) -> frozenset[str]:
        """Forms whose files are one record each."""
        if self.media is None:
            return frozenset(MEDIA)
        return frozenset(MEDIA) & (self.media | self.media_columns)


#: Rules that read every file of a known form.
ANY_FORM = FolderRules()


def folder_rules(data: DataSpec, columns: Mapping[str, str] | None = None, new: bool = False) -> FolderRules:
    """The rules for the data of a spec.

    Args:
        columns: field → column; None for those of the spec.
        new: True for new records that a model processes. They need no classes, and may lack the
            :attr:`~tp_core.options.processor.ProcessorConfig.optional_fields`.
    """
    names = data.options.columns if columns is None else columns
    config = None if data.processor is None else data.processor.config
    if config is None or not (config.media_fields or config.needs_tokenizer):
        return FolderRules(None, names, data.options.folder_labels)
    labelled = not new and (isinstance(config, ClassLabelOptions) or "label" in names.values())
    needs_media = not (new and config.media_fields <= config.optional_fields)
    transcribed: Literal["needed", "welcome"] | None = None
    # Texts that data.columns takes from elsewhere, such as the names of folders, are not in transcripts.
    if "audio" in config.media_fields and "text" in config.optional_fields and not {"audio", "text"} & names.keys():
        transcribed = "welcome" if new else "needed"
    return FolderRules(config.media_fields, names, data.options.folder_labels, labelled, needs_media, transcribed)
