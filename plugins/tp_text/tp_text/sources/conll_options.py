"""Options of files with a word per line. Torch-free."""

from typing import ClassVar

from pydantic import Field

from tp_core.data.sources.options import FileConfig


class ConllConfig(FileConfig):
    """CoNLL columns: a word with its tags per line, and a blank line after each sentence."""

    implementation: ClassVar[str] = "tp_text.sources.conll:ConllFile"
    form: ClassVar[str] = "conll"

    token_column: int = Field(0, description="number of the column of words, from 0; -1 is the last one")
    tag_column: int | None = Field(-1, description="number of the column of tags; null for a file without tags")
    comment: str | None = Field(None, min_length=1, description="lines that begin with this text are left out")
