"""Options of translation. Torch-free."""

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from tp_core.options.base import Problem
from tp_core.options.context import BuildContext
from tp_text.processors.parallel_files import partner_of
from tp_text.processors.seq2seq_options import EncoderDecoderConfig
from tp_text.scoring.texts_options import TextMetricOptions


class TranslationProcessorConfig(TextMetricOptions, EncoderDecoderConfig):
    """Text to text, such as translation: a source and a target, each with its own vocabulary if there are two."""

    implementation: ClassVar[str] = "tp_text.processors.translation:TranslationProcessor"

    prefix: str = Field("", description="text before each source, such as the task of T5: 'summarize: '")
    source_extension: str | None = Field(
        None, min_length=1, description="plain text: extension (en) of the source files"
    )
    target_extension: str | None = Field(
        None, min_length=1, description="plain text: extension (de) of the files with the translations, one per line"
    )

    def check(self, context: BuildContext) -> Iterator[Problem]:
        yield from super().check(context)
        if (self.source_extension is None) != (self.target_extension is None):
            missing = "source_extension" if self.source_extension is None else "target_extension"
            yield Problem(missing, "source_extension and target_extension are given together")
        elif self.source_extension is not None and self.source_extension == self.target_extension:
            yield Problem("target_extension", "is the same as source_extension")

    def companions(self, paths: list[str]) -> list[str]:
        if self.source_extension is None or self.target_extension is None:
            return []
        found = (partner_of(path, self.source_extension, self.target_extension) for path in paths)
        return [path for path in found if path is not None]
