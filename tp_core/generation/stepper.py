"""A model that generates one token per step with a KV cache."""

from __future__ import annotations

import torch
from torch import Tensor

from tp_core.errors import TPError
from tp_core.interfaces import Batch, GenerationTokens, Inputs, KVCache, Target
from tp_core.model import Model


class ModelStepper:
    """Continues a batch: from its prompts, or from the start of the decoder's side.

    Args:
        target: target that scores the next token.
        batch: batch made by the processor, on the model's device.
        known: number of known tokens. Higher ids are rows of the output matrix without a token, and are never
            generated. It is ignored if ``tokens`` lists the ids.
    """

    def __init__(
        self, model: Model, target: Target, batch: Batch, tokens: GenerationTokens, known: int | None = None
    ) -> None:
        self.model, self.target = model, target
        self.ids = tokens.ids if tokens.ids is not None or known is None else range(known)
        self.kv_cache = KVCache()
        self.carried: Inputs = {}
        if model.decoder is None:
            source = padded_left(batch.inputs)
            self.prompt_lengths = _lengths(source)
            self.first = Batch.of(source, batch.size)
            self.carried = _carried(source, tokens)
        else:
            device = next(model.parameters()).device
            start = torch.tensor(tokens.start, device=device).expand(batch.size, -1)
            self.prompt_lengths = [len(tokens.start)] * batch.size
            self.first = Batch(batch.source, batch.size, {"input_ids": start})

    def logits(self, ids: Tensor | None) -> Tensor:
        batch = self.first if ids is None else self._next(ids)
        try:
            features = self.model.encode(batch, self.kv_cache)
        except NotImplementedError as error:
            raise TPError(f"this model cannot write: {error}") from None
        scores = self.target.next_logits(features)
        if self.ids is not None:
            scores[:, : self.ids.start] = -torch.inf
            scores[:, self.ids.stop :] = -torch.inf
        return scores

    def _next(self, ids: Tensor) -> Batch:
        inputs = {"input_ids": ids.unsqueeze(1), **self.carried}
        if self.model.decoder is None:
            return Batch.of(inputs, len(ids))
        return Batch({}, len(ids), inputs)

    def reorder(self, index: Tensor) -> None:
        self.kv_cache.reorder(index)
        self.carried = {name: value.index_select(0, index) for name, value in self.carried.items()}


def padded_left(source: Inputs) -> Inputs:
    """Prompts with their padding moved to the left, so that generated tokens follow directly.

    Positions and documents are dropped: a prompt is one document, and the cache counts its positions.
    """
    source = {name: value for name, value in masked(source).items() if name not in ("position_ids", "document_ids")}
    mask = source.get("attention_mask")
    if mask is None:
        return source
    width = mask.shape[1]
    place = torch.arange(width, device=mask.device)
    behind = width - 1 - torch.where(mask.bool(), place, 0).amax(dim=1, keepdim=True)
    order = (place - behind) % width
    needless = width - int(mask.sum(dim=1).amax())
    moved: Inputs = {}
    for name, value in source.items():
        if name == "prefix_lengths":
            moved[name] = value + behind.squeeze(1) - needless
        elif value.dim() == 2 and value.shape[1] == width:
            moved[name] = value.gather(1, order)[:, needless:]
        else:
            moved[name] = value
    return moved


def masked(source: Inputs) -> Inputs:
    """Inputs with ``attention_mask`` in place of ``lengths``."""
    if "lengths" not in source:
        return source
    rest = {name: value for name, value in source.items() if name != "lengths"}
    place = torch.arange(source["input_ids"].shape[1], device=source["lengths"].device)
    return {"attention_mask": (place < source["lengths"].unsqueeze(1)).long(), **rest}


def rows_of(source: Inputs) -> list[list[int]]:
    """The ids of each sample, without padding."""
    source = masked(source)
    ids: list[list[int]] = source["input_ids"].tolist()
    mask = source.get("attention_mask")
    if mask is None:
        return ids
    return [[index for index, real in zip(*each) if real] for each in zip(ids, mask.tolist())]


def _lengths(source: Inputs) -> list[int]:
    mask = source.get("attention_mask")
    if mask is not None:
        lengths: list[int] = mask.sum(dim=1).tolist()
        return lengths
    rows, width = source["input_ids"].shape
    return [width] * rows


def _carried(source: Inputs, tokens: GenerationTokens) -> Inputs:
    """The inputs besides the ids, for the generated tokens.

    An input with one value per sample stays as it is. An input with one value per position gets the value of
    ``tokens.inputs``, or else its value at the last position.
    """
    width = source["input_ids"].shape[1]
    carried = {}
    for name, value in source.items():
        if name in ("input_ids", "attention_mask", "prefix_lengths"):
            continue
        if value.dim() == 1:
            carried[name] = value
        elif value.dim() == 2 and value.shape[1] == width:
            last = value[:, -1:]
            carried[name] = torch.full_like(last, tokens.inputs[name]) if name in tokens.inputs else last
    return carried
