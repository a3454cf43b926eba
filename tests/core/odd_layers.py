"""The modules that ``odd_modules`` builds."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tp_core.interfaces import (
    Batch,
    Decoder,
    Embedding,
    Encoder,
    Features,
    Inputs,
    Joined,
    KVCache,
    MetricState,
    Processor,
    Record,
    Report,
    Rows,
    Sample,
    Sequence,
    Target,
    TargetOutput,
)
from tp_core.modules.layers.linear import Linear


class GoodEncoder(Encoder):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.linear = Linear(size, size)

    def forward(self, sequence: Sequence, kv_cache: KVCache | None = None) -> Sequence:
        return sequence.with_states(sequence.states + self.linear(sequence.states))


class MixesBatch(GoodEncoder):
    def forward(self, sequence: Sequence, kv_cache: KVCache | None = None) -> Sequence:
        mixed = super().forward(sequence).states
        return sequence.with_states(mixed + mixed.mean(dim=(0, 1), keepdim=True))


class IgnoresMask(GoodEncoder):
    def forward(self, sequence: Sequence, kv_cache: KVCache | None = None) -> Sequence:
        mixed = super().forward(sequence).states
        return sequence.with_states(mixed + mixed.mean(dim=1, keepdim=True))


class SeesTheFuture(GoodEncoder):
    def forward(self, sequence: Sequence, kv_cache: KVCache | None = None) -> Sequence:
        mixed = super().forward(sequence)
        return mixed.with_states(mixed.states + mixed.pooled("mean").unsqueeze(1))


class ForgetsEarlier(GoodEncoder):
    def forward(self, sequence: Sequence, kv_cache: KVCache | None = None) -> Sequence:
        mixed = super().forward(sequence)
        return mixed.with_states((mixed.states * mixed.real().unsqueeze(-1)).cumsum(dim=1))


class WholeTextsOnly(ForgetsEarlier):
    def forward(self, sequence: Sequence, kv_cache: KVCache | None = None) -> Sequence:
        if kv_cache is not None:
            raise NotImplementedError("it reads whole texts only")
        return super().forward(sequence)


class UnusedWeight(GoodEncoder):
    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.spare = Linear(size, size)


class DetachedWeight(GoodEncoder):
    def forward(self, sequence: Sequence, kv_cache: KVCache | None = None) -> Sequence:
        return sequence.with_states(super().forward(sequence).states.detach())


class NoReset(GoodEncoder):
    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.shift = nn.Parameter(torch.empty(size))

    def forward(self, sequence: Sequence, kv_cache: KVCache | None = None) -> Sequence:
        return sequence.with_states(super().forward(sequence).states + self.shift)


class HalfReset(NoReset):
    def reset_parameters(self) -> None:
        pass


class OwnRandomness(NoReset):
    def reset_parameters(self) -> None:
        nn.init.constant_(self.shift, random.random())


class NotOnMeta(GoodEncoder):
    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.register_buffer("table", torch.from_numpy(np.ones(size, np.float32)))


class HiddenState(GoodEncoder):
    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.factor = random.random()

    def forward(self, sequence: Sequence, kv_cache: KVCache | None = None) -> Sequence:
        return sequence.with_states(super().forward(sequence).states * self.factor)


class LostTable(NoReset):
    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.register_buffer("table", torch.empty(size), persistent=False)

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.shift)
        nn.init.ones_(self.get_buffer("table"))


class WrongWidth(GoodEncoder):
    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.linear = Linear(size, size - 1)

    def forward(self, sequence: Sequence, kv_cache: KVCache | None = None) -> Sequence:
        return sequence.with_states(self.linear(sequence.states))


class Fails(GoodEncoder):
    def forward(self, sequence: Sequence, kv_cache: KVCache | None = None) -> Sequence:
        raise RuntimeError("nothing works")


class Undescribed(GoodEncoder):
    pass


class Grows(GoodEncoder):
    pass


class HalvesLength(Embedding):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.linear = Linear(8, size)

    def forward(self, inputs: Inputs, sequence: Sequence | None) -> Sequence:
        frames, mask = inputs["frames"], inputs.get("attention_mask")
        if mask is not None:
            frames = frames * mask.unsqueeze(-1)
        frames = nn.functional.pad(frames, (0, 0, 0, frames.shape[1] % 2))
        states = self.linear(frames.flatten(1).view(frames.shape[0], -1, 8))
        return Sequence(states, None if mask is None else self.shorter(mask.bool()))

    def shorter(self, mask: Tensor) -> Tensor | None:
        return mask[:, ::2]


class KeepsMask(HalvesLength):
    def shorter(self, mask: Tensor) -> Tensor | None:
        return mask


class DropsMask(HalvesLength):
    def shorter(self, mask: Tensor) -> Tensor | None:
        return None


class WholeImage(Embedding):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.linear = Linear(24, size)

    def forward(self, inputs: Inputs, sequence: Sequence | None) -> Sequence:
        return Sequence(self.linear(inputs["pixel_values"].permute(0, 3, 1, 2).flatten(2)))


class IgnoresLengths(Embedding):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.linear = Linear(61, size)

    def forward(self, inputs: Inputs, sequence: Sequence | None) -> Sequence:
        mask = inputs.get("attention_mask")
        states = self.linear(nn.functional.one_hot(inputs["input_ids"], 61).float())
        return Sequence(states, None if mask is None else mask.bool())


class ForgetsPadding(Embedding):
    def forward(self, inputs: Inputs, sequence: Sequence | None) -> Sequence:
        assert sequence is not None
        mask = None if sequence.mask is None else sequence.mask.flip(1)
        return replace(sequence, states=sequence.states.flip(1), mask=mask)


class GoodDecoder(Decoder):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.linear = Linear(size, size)

    def forward(self, sequence: Sequence | None, memory: Sequence, kv_cache: KVCache | None = None) -> Sequence:
        assert sequence is not None
        return sequence.with_states(sequence.states + self.linear(self.read(memory)).unsqueeze(1))

    def read(self, memory: Sequence) -> Tensor:
        return memory.pooled("mean")


class IgnoresMemoryMask(GoodDecoder):
    def read(self, memory: Sequence) -> Tensor:
        return memory.states.mean(dim=1)


class _Classes(Target):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.linear = Linear(size, 3)

    def denominator(self, batch: Batch) -> Tensor:
        return torch.tensor(float(batch.size))

    def forward(self, features: Features, batch: Batch) -> TargetOutput:
        scores = self.linear(features.sequence.pooled("mean"))
        loss = nn.functional.cross_entropy(scores, self.labels_of(batch)["labels"], reduction="sum")
        return TargetOutput(loss, self.denominator(batch))


class ReadsMore(_Classes):
    def read_positions(self, sequence: Sequence, batch: Batch, stream: str) -> Tensor | None:
        return sequence.pooled_position("first")


class MeanLoss(_Classes):
    def forward(self, features: Features, batch: Batch) -> TargetOutput:
        output = super().forward(features, batch)
        return TargetOutput(output.loss_sum / batch.size, output.denominator)


class MeanMetric(_Classes):
    def forward(self, features: Features, batch: Batch) -> TargetOutput:
        output = super().forward(features, batch)
        size = features.sequence.states.norm(dim=-1).mean(dim=1).sum()
        return TargetOutput(output.loss_sum, output.denominator, {"size": (size, output.denominator)})


class UndeclaredMetric(_Classes):
    metrics: dict[str, Any] = {"surprise": (torch.tensor(1.0), torch.tensor(2.0))}

    def forward(self, features: Features, batch: Batch) -> TargetOutput:
        output = super().forward(features, batch)
        return TargetOutput(output.loss_sum, output.denominator, self.metrics)


class UngivenMetric(_Classes):
    pass


class TrainingMetric(UndeclaredMetric):
    def forward(self, features: Features, batch: Batch) -> TargetOutput:
        output = super().forward(features, batch)
        return output if self.training else TargetOutput(output.loss_sum, output.denominator)


class NoSumAndCount(UndeclaredMetric):
    metrics = {"spread": (torch.tensor(1.0),) * 3}


class UnevenColumns(UndeclaredMetric):
    metrics = {"spearman": Joined((torch.zeros(3), torch.zeros(4)))}


class _Correlated(_Classes):
    """Scores of class 0 and labels as numbers, one row for each sample."""

    def pair(self, features: Features, batch: Batch) -> tuple[Tensor, Tensor]:
        return self.linear(features.sequence.pooled("mean"))[:, 0], self.labels_of(batch)["labels"]

    def forward(self, features: Features, batch: Batch) -> TargetOutput:
        output = super().forward(features, batch)
        predicted, wanted = self.pair(features, batch)
        joined = Joined((predicted, wanted))
        error = (predicted - wanted).abs().sum(), output.denominator
        metrics = {"pearson": joined, "spearman": joined, "absolute_error": error}
        return TargetOutput(output.loss_sum, output.denominator, metrics)


class Correlated(_Correlated):
    pass


class RanksBatches(_Correlated):
    def forward(self, features: Features, batch: Batch) -> TargetOutput:
        output = super().forward(features, batch)
        predicted, wanted = self.pair(features, batch)
        joined = Joined((predicted.argsort().argsort(), wanted))
        return TargetOutput(output.loss_sum, output.denominator, {"pearson": joined})


class ProjectsWrong(_Classes):
    def project(self, vectors: Tensor, stream: str) -> Tensor:
        projected: Tensor = self.linear(vectors)
        return projected


class NoProjection(_Classes):
    pass


class UnknownStream(_Classes):
    pass


class OwnPooling(ProjectsWrong):
    def pool(self, sequence: Sequence, stream: str) -> Tensor:
        return 2 * sequence.pooled("max")


class WrongDenominator(_Classes):
    def forward(self, features: Features, batch: Batch) -> TargetOutput:
        output = super().forward(features, batch)
        return TargetOutput(output.loss_sum, output.denominator + 1)


class PredictsTensors(_Classes):
    def predict(self, features: Features, batch: Batch) -> list[dict[str, Any]]:
        return [{"scores": row} for row in self.linear(features.sequence.pooled("mean"))]


class Contrastive(_Classes):
    def forward(self, features: Features, batch: Batch) -> TargetOutput:
        vectors = self.linear(features.sequence.pooled("mean"))
        loss = nn.functional.cross_entropy(vectors @ vectors.T, torch.arange(batch.size), reduction="sum")
        return TargetOutput(loss, self.denominator(batch))


class GoodProcessor(Processor):
    def prepare(self, records: Iterable[Record], report: Report) -> Iterator[dict[str, list[Any]]]:
        yield {"ids": [record.value["ids"] for record in records]}

    def sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        return {"input_ids": generator.permutation(rows.get("ids", index))}

    def encode(self, records: list[Record]) -> list[Sample]:
        return [{"input_ids": np.asarray(record.value["ids"])} for record in records]

    def collate(self, samples: list[Sample]) -> Batch:
        ids = np.stack([sample["input_ids"] for sample in samples])
        return Batch.of({"input_ids": torch.from_numpy(ids)}, len(samples))


class TextsInRows(GoodProcessor):
    def prepare(self, records: Iterable[Record], report: Report) -> Iterator[dict[str, list[Any]]]:
        for chunk in super().prepare(records, report):
            yield {**chunk, "text": ["some text" for _ in chunk["ids"]]}


class GlobalRandomness(GoodProcessor):
    def sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        return {"input_ids": np.random.permutation(rows.get("ids", index))}


class Remembers(GoodProcessor):
    visits = 0

    def sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        self.visits += 1
        return {"input_ids": rows.get("ids", index) + self.visits}


class TooLong(GoodProcessor):
    def sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        return {"input_ids": np.concatenate([rows.get("ids", index)] * 2)}


class ExtraField(GoodProcessor):
    def collate(self, samples: list[Sample]) -> Batch:
        batch = super().collate(samples)
        batch.inputs["token_type_ids"] = batch.inputs["input_ids"] * 0
        return batch


class Scores(GoodProcessor):
    def score(self, predictions: list[dict[str, Any]], samples: list[list[Sample]]) -> dict[str, MetricState]:
        found = [each["ids"] for each in predictions]
        wanted = [sample["input_ids"].tolist() for (sample,) in samples]
        return {"overlap": (sum(len({*f} & {*w}) for f, w in zip(found, wanted)), sum(map(len, wanted)))}


class ScoresMore(Scores):
    def score(self, predictions: list[dict[str, Any]], samples: list[list[Sample]]) -> dict[str, MetricState]:
        return {**super().score(predictions, samples), "surprise": (1, 2)}


class ScoresNothing(GoodProcessor):
    pass


class ScoresLoss(Scores):
    def score(self, predictions: list[dict[str, Any]], samples: list[list[Sample]]) -> dict[str, MetricState]:
        return {"loss": (1, 2)}


class HidesPadding(GoodProcessor):
    def sample(self, rows: Rows, index: int, generator: np.random.Generator) -> Sample:
        return {"input_ids": rows.get("ids", index)[: 1 + index % 3]}

    def collate(self, samples: list[Sample]) -> Batch:
        width = max(len(sample["input_ids"]) for sample in samples)
        padded = [np.pad(sample["input_ids"], (0, width - len(sample["input_ids"]))) for sample in samples]
        return super().collate([{"input_ids": ids} for ids in padded])


class SeveralSequences(GoodProcessor):
    """Each number of a sample is a sequence of its own."""

    def numbers(self, samples: list[Sample]) -> torch.Tensor | None:
        counts = [len(sample["input_ids"]) for sample in samples]
        ends, most = np.cumsum(counts), max(counts)
        rows = [[*range(end - count, end), *[-1] * (most - count)] for end, count in zip(ends, counts)]
        return torch.tensor(rows)

    def collate(self, samples: list[Sample]) -> Batch:
        ids = np.concatenate([sample["input_ids"] for sample in samples])
        inputs = {"input_ids": torch.from_numpy(ids)[:, None]}
        return Batch.of(inputs, len(samples), sequences=self.numbers(samples))


class HidesSequences(SeveralSequences):
    pass


class NoSequences(SeveralSequences):
    def numbers(self, samples: list[Sample]) -> None:
        return None


class SharesSequences(SeveralSequences):
    def numbers(self, samples: list[Sample]) -> torch.Tensor:
        found = super().numbers(samples)
        assert found is not None
        return found.clamp(max=1)


class GapInSequences(SeveralSequences):
    def numbers(self, samples: list[Sample]) -> torch.Tensor:
        found = super().numbers(samples)
        assert found is not None
        return torch.cat([found[:, :1], torch.full_like(found[:, :1], -1), found[:, 1:]], dim=1)


class RandomRows(GoodProcessor):
    def prepare(self, records: Iterable[Record], report: Report) -> Iterator[dict[str, list[Any]]]:
        yield {"ids": [[random.randrange(1000)] * 3 for _ in records]}
