"""Options of sources of published data sets. Torch-free."""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from tp_core.options.base import Problem
from tp_core.options.marks import PathStr
from tp_core.options.source import SourceConfig


class C3Config(SourceConfig):
    """C3 (Sun et al., 2020): multiple choice on Chinese texts and dialogues, for the processor choice."""

    implementation: ClassVar[str] = "tp_text.sources.c3:C3"

    path: PathStr = Field(description="a JSON file, such as c3-m-train.json or d-dev.json")


class RaceConfig(SourceConfig):
    """RACE (Lai et al., 2017): multiple choice of English examinations, for the processor choice."""

    implementation: ClassVar[str] = "tp_text.sources.race:Race"

    path: PathStr = Field(description="a folder such as RACE/train or RACE/train/high, or a file of one passage")

    def check_data(self) -> Iterator[Problem]:
        if Path(self.path).is_dir() and not any(Path(self.path).rglob("*.txt")):
            yield Problem("path", "this folder has no .txt files; expected a file for each passage")


class ChidConfig(SourceConfig):
    """ChID (Zheng et al., 2019): idioms that are left out of Chinese texts, for the processor cloze."""

    implementation: ClassVar[str] = "tp_text.sources.chid:Chid"

    path: PathStr = Field(description="JSON lines of texts with their candidates, such as train.json")
    answers: PathStr | None = Field(
        None, description="a JSON file of the answers by blank, such as train_answer.json; default: those in path"
    )
