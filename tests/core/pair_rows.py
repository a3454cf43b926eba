"""A processor for test projects with streams: JSON lines ``{"a": [ids], "b": [ids], "label": n}``, and ``hard``."""

from __future__ import annotations

from typing import Any, ClassVar

from tp_core.options.context import BuildContext, DataContext
from tp_core.options.facts import FieldSpec
from tp_core.options.ports import INPUT_IDS, Port
from tp_core.options.processor import ProcessorConfig


class Config(ProcessorConfig):
    """Ids of equal length for the streams ``a`` and ``b``, and ``hard``; a row without a label is no anchor."""

    needs_tokenizer: ClassVar[bool] = False
    feeds_streams: ClassVar[bool] = True

    hard: bool = False

    def provides(self, context: BuildContext) -> dict[Port, FieldSpec]:
        labels = {Port.labels(name): FieldSpec(("batch",)) for name in ("clr", "cls")}
        return {INPUT_IDS: FieldSpec()} | labels

    def build(self, data: DataContext, tokenizer: Any) -> Any:
        import numpy as np
        import torch

        from tp_core.interfaces import Batch, Processor

        streams = ("a", "b", "hard") if self.hard else ("a", "b")

        class Pairs(Processor):
            def prepare(self, records: Any, report: Any) -> Any:
                values = [record.value for record in records]
                yield {name: [value[name] for value in values] for name in (*streams, "label")}

            def sample(self, rows: Any, index: int, generator: np.random.Generator) -> Any:
                return {name: rows.get(name, index) for name in (*streams, "label")}

            def encode(self, records: Any) -> Any:
                return [record.value for record in records]

            def collate(self, samples: Any) -> Batch:
                def stacked(name: str) -> torch.Tensor:
                    return torch.tensor(np.array([sample[name] for sample in samples]), dtype=torch.long)

                labels = {"labels": stacked("label")}
                source = {name: {"input_ids": stacked(name)} for name in streams}
                return Batch(source, len(samples), labels={"clr": labels, "cls": labels})

        return Pairs()
