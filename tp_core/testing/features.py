"""Checks of a module's outputs: shapes, masks, independence, causality, losses, predictions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from tp_core.interfaces import Batch, Features, Inputs, KVCache, Sequence, Target, TargetOutput
from tp_core.metrics.facts import MetricFacts
from tp_core.metrics.tables import TableFacts
from tp_core.model import Model
from tp_core.model_readers import for_readers
from tp_core.modules.embeddings.component import EmbeddingComponent
from tp_core.modules.targets.vectors import vector_of
from tp_core.spec.context import context_of
from tp_core.testing import metrics
from tp_core.testing.batches import has_padded_side, random_batch, sequence_count, single_batches
from tp_core.testing.explained import explained


@torch.no_grad()
def run(model: Model, batch: Batch) -> Features:
    """The features of a batch in evaluation mode."""
    model.eval()
    with explained("the forward pass"):
        return model.encode(batch)


def sequences_of(features: Features) -> dict[str, Sequence]:
    """All sequences of the features, by their names in messages."""
    found = {f"the stream '{name}'": sequence for name, sequence in features.streams.items()}
    if not found:
        found["the final sequence"] = features.sequence
    if features.memory is not None:
        found["the memory"] = features.memory
    return found


def check_shapes(model: Model, lengths: list[int]) -> None:
    """Check that embedding components and the model output sequences of the declared width with matching masks."""
    batch = random_batch(model, lengths)
    components = [stream.embedding for stream in model.streams.values()] or [model.embedding]
    for name, component in zip(model.spec.model.streams, components):
        assert isinstance(component, EmbeddingComponent)
        with torch.no_grad(), explained("the embedding"):
            embedded = component(batch.source[name])
        _check_sequence(embedded, sequence_count(batch), "the embedding's sequence")
        expected, found = context_of(model.spec, name).embedding_size, embedded.states.shape[-1]
        assert found == expected, f"the embedding is {found} wide; the model's embedding_size is {expected}"
    for name, sequence in sequences_of(run(model, batch)).items():
        _check_sequence(sequence, sequence_count(batch), name)
    width = context_of(model.spec, side="target").hidden_size
    final = run(model, batch).sequence.states
    assert final.shape[-1] == width, f"the states are {final.shape[-1]} wide; the config's hidden_size is {width}"


def _check_sequence(sequence: Sequence, size: int, name: str) -> None:
    states, mask = sequence.states, sequence.mask
    assert (states.dim(), states.shape[0]) == (3, size), (
        f"the states of {name} have shape {tuple(states.shape)}; expected (batch, length, width)"
    )
    if mask is not None:
        assert mask.dtype == torch.bool, f"the mask of {name} is {mask.dtype}; expected bool, True at real positions"
        assert mask.shape == states.shape[:2], (
            f"the mask of {name} has shape {tuple(mask.shape)} and its states {tuple(states.shape)}; a "
            "module that changes the length must change the mask with it"
        )
    assert not sequence.padded_behind or (mask is not None and bool((mask[:, 1:] <= mask[:, :-1]).all())), (
        f"{name} has padded_behind, but its mask has a real position after padding; a module that changes the mask "
        "must set padded_behind to False"
    )


def check_lengths(model: Model, lengths: list[int], tolerance: float) -> None:
    """Check that ``lengths`` instead of ``attention_mask`` give the same features for ids."""
    batch = random_batch(model, lengths)
    source = {name: _told_by_lengths(model, batch, name) for name in model.spec.model.streams}
    if not any(source.values()):
        return
    told = {name: side or batch.source[name] for name, side in source.items()}
    masked, found = sequences_of(run(model, batch)), sequences_of(run(model, replace(batch, source=told)))
    for name, expected in masked.items():
        _check_sequence(found[name], sequence_count(batch), name)
        same = torch.equal(found[name].real(), expected.real())
        assert same, (
            f"{name} has other real positions when the batch has lengths in place of attention_mask; an embedding of "
            "ids must make its sequence with Sequence.of(states, inputs)"
        )
        worst = _difference(found[name].states[found[name].real()], expected.states[expected.real()])
        assert worst <= tolerance, (
            f"{name} differs by {worst:.2g} when the batch has lengths in place of attention_mask; something does not "
            "respect the mask"
        )


def _told_by_lengths(model: Model, batch: Batch, stream: str) -> Inputs:
    """A stream's inputs with ``lengths`` instead of ``attention_mask``; empty if a module requires this mask."""
    inputs: Inputs = batch.source[stream]
    if not {"input_ids", "attention_mask"} <= inputs.keys() or "attention_mask" in model.fields().source[stream]:
        return {}
    rest = {key: value for key, value in inputs.items() if key != "attention_mask"}
    return {**rest, "lengths": inputs["attention_mask"].sum(dim=1)}


def check_independence(model: Model, lengths: list[int], tolerance: float) -> None:
    """Check that a sample has the same features alone and in a batch, with and without padding."""
    even = [lengths[0]] * len(lengths)
    _compare(model, even, tolerance, "batch-mates change a sample's features; something mixes samples of a batch")
    if has_padded_side(model):
        message = "padding changes a sample's features; something ignores the mask"
        _compare(model, lengths, tolerance, message)


def check_packing(model: Model, lengths: list[int], tolerance: float) -> None:
    """Check that a sample has the same features in a batch that layers compute without its padding."""
    if has_padded_side(model):
        message = (
            "features change in a batch with much padding, which layers leave out; forward_packed() of a mixer must "
        )
        message += "give the states of forward(), and feed-forward layers and norms must map each position separately"
        _compare(model, [lengths[0], *[min(lengths)] * 8], tolerance, message)


def _compare(model: Model, lengths: list[int], tolerance: float, message: str) -> None:
    together = sequences_of(run(model, random_batch(model, lengths)))
    for number, batch in enumerate(single_batches(model, lengths)):
        each = sequence_count(batch)
        for name, alone in sequences_of(run(model, batch)).items():
            for place in range(each):
                expected, found = _real(alone, place), _real(together[name], number * each + place)
                assert found.shape == expected.shape, (
                    f"{name} has {found.shape[0]} real positions for a sample in a batch and {expected.shape[0]} "
                    "for it alone; the mask must fit the states (an embedding takes it from attention_mask)"
                )
                worst = _difference(found, expected)
                assert worst <= tolerance, f"{message}: {name} differs by {worst:.2g}"


def _real(sequence: Sequence, number: int) -> Tensor:
    states = sequence.states[number].float()
    return states if sequence.mask is None else states[sequence.mask[number]]


def _difference(found: Tensor, expected: Tensor) -> float:
    """The largest difference, divided by the largest value if that is above one."""
    if not found.numel():
        return 0.0
    return (found - expected).abs().max().item() / max(1.0, expected.abs().max().item())


def check_causality(model: Model, length: int, tolerance: float) -> None:
    """Check that states do not depend on later positions, as ``CAUSAL`` promises."""
    first, other = random_batch(model, [length], seed=0), random_batch(model, [length], seed=5)
    half = length // 2
    changed = first.target if first.target is not None else first.inputs
    replacement = other.target if other.target is not None else other.inputs
    before = run(model, first).sequence.states
    for name, value in changed.items():
        if value.dim() > 1 and value.shape[1] == length:
            value[:, half:] = replacement[name][:, half:]
    after = run(model, first).sequence.states
    if before.shape[1] != length:
        return
    worst = _difference(after[:, :half], before[:, :half])
    assert worst <= tolerance, (
        f"provides causal states, but a state depends on later positions: it changes by {worst:.2g}"
    )


def check_pieces(model: Model, length: int, tolerance: float) -> None:
    """Check that a sample in pieces, with a cache, has the same states as the whole sample."""
    batch = random_batch(model, [length])
    whole = run(model, batch).sequence.states
    if whole.shape[1] != length:
        return
    kv_cache, found = KVCache(), []
    model.eval()
    for start, end in ((0, length // 2), (length // 2, length // 2 + 1), (length // 2 + 1, length)):
        side = batch.inputs if batch.target is None else batch.target
        piece = {
            name: value[:, start:end] if value.dim() > 1 and value.shape[1] == length else value
            for name, value in side.items()
        }
        part = Batch.of(piece, 1) if batch.target is None else Batch(batch.source, 1, piece)
        try:
            with torch.no_grad():
                found.append(model.encode(part, kv_cache).sequence.states)
        except NotImplementedError:
            return  # a module need not support a cache
    worst = _difference(torch.cat(found, dim=1), whole)
    assert worst <= tolerance, (
        f"read in pieces with a cache, a sample's states differ by {worst:.2g}; store everything that later positions "
        "need with cache.put(), or raise NotImplementedError if there is a cache"
    )


def check_losses(model: Model, lengths: list[int], independent: bool, tolerance: float) -> None:
    """Check that a target's loss and denominator are scalars that add up over the samples of a batch."""
    whole = random_batch(model, lengths)
    parts = single_batches(model, lengths)
    measured, declared = _measures(model), _tables(model)
    for name, target in model.named_targets().items():
        with torch.no_grad():
            training = target(model.train().encode(whole), whole)
            output = target(run(model, whole), whole)
            each = [target(run(model, part), part) for part in parts]
            tables = target.tables(run(model, whole), whole)
        for what, value in (("loss_sum", output.loss_sum), ("denominator", output.denominator)):
            assert value.dim() == 0, f"{what} has shape {tuple(value.shape)}; expected a scalar"
        metrics.check_declared(output.metrics, measured[name], "forward()")
        metrics.check_declared(training.metrics, measured[name], "forward() in training", complete=False)
        metrics.check_states(output.metrics, measured[name])
        metrics.check_tables(tables, declared[name])
        early = target.denominator(whole).float()
        assert torch.equal(early, output.denominator.float()), (
            f"denominator() says {early.item():g} and forward() {output.denominator.item():g}; both must be the number "
            "of summed losses"
        )
        if not independent:
            continue
        counts = torch.stack([part.denominator.float() for part in each]).sum()
        assert torch.allclose(counts, output.denominator.float(), rtol=1e-6, atol=0), (
            f"the denominators of single samples add up to {counts.item():g}, that of the batch is "
            f"{output.denominator.item():g}; the denominator must be a number of elements or a sum of weights, not "
            "a mean"
        )
        sums = torch.stack([part.loss_sum.float() for part in each]).sum()
        gap = (sums - output.loss_sum.float()).abs().item()
        assert gap <= tolerance * max(1.0, abs(sums.item())), (
            f"the losses of single samples add up to {sums.item():g}, that of the batch is "
            f"{output.loss_sum.item():g}; loss_sum of '{name}' must be a sum, not a mean"
        )
        metrics.check_adding_up(output.metrics, [part.metrics for part in each], measured[name], tolerance)


class _Reader(Target):
    """A target that reads the first two positions."""

    def denominator(self, batch: Batch) -> Tensor:
        raise NotImplementedError

    def forward(self, features: Features, batch: Batch) -> TargetOutput:
        raise NotImplementedError

    def read_positions(self, sequence: Sequence, batch: Batch, stream: str) -> Tensor:
        return torch.arange(2, device=sequence.states.device).expand(len(sequence.states), -1)


def check_some_positions(model: Model, lengths: list[int], tolerance: float) -> None:
    """Check that states are the same if the module is told that only some positions will be read."""
    batch = random_batch(model, lengths)
    whole = sequences_of(run(model, batch))
    with torch.no_grad(), explained("the forward pass for some positions"):
        some = sequences_of(model.encode(batch, readers={"": _Reader()}))
    for name, sequence in whole.items():
        worst = (sequence.states[:, :2] - some[name].states[:, :2]).abs().max().item()
        assert worst <= tolerance, (
            f"{name} differs by {worst:.2g} at positions that are read, if others are not; forward_at() of a mixer "
            "must give the states that forward() gives"
        )


def check_read_positions(model: Model, lengths: list[int]) -> None:
    """Check that the outputs of a target do not depend on positions that its ``read_positions()`` leaves out."""
    batch = random_batch(model, lengths)
    features = run(model, batch)
    for name, target in model.named_targets().items():
        own = model.view(features, name)
        changed, streams = _unread(own.sequence, target, batch, next(iter(own.streams), "")), {}
        for stream, sequence in own.streams.items():
            streams[stream] = _unread(sequence, target, batch, stream)
        with torch.no_grad():
            whole, some = target(own, batch), target(replace(own, sequence=changed, streams=streams), batch)
        assert torch.allclose(whole.loss_sum, some.loss_sum, rtol=1e-4, atol=1e-4), (
            f"read_positions() of '{name}' leaves out positions on which its loss depends: {whole.loss_sum.item():g} "
            f"with their states, {some.loss_sum.item():g} with zeros"
        )


def _unread(sequence: Sequence, target: Target, batch: Batch, stream: str) -> Sequence:
    """The sequence with zeros at the positions that the target does not read."""
    read = for_readers(sequence, batch, stream, {target.name: target}).read_positions
    if read is None:
        return sequence
    kept = torch.zeros_like(sequence.real()).scatter(1, read, True)
    return sequence.with_states(sequence.states * kept.unsqueeze(-1))


def _measures(model: Model) -> dict[str, Mapping[str, MetricFacts]]:
    """The metrics that the config of each target declares."""
    return {
        chosen.instance_name: chosen.config.measures(context_of(model.spec, chosen.config.stream or "", side="target"))
        for chosen in model.spec.model.targets
    }


def _tables(model: Model) -> dict[str, Mapping[str, TableFacts]]:
    """The tables that the config of each target declares."""
    return {
        chosen.instance_name: chosen.config.tables(context_of(model.spec, chosen.config.stream or "", side="target"))
        for chosen in model.spec.model.targets
    }


def check_vectors(model: Model, lengths: list[int]) -> None:
    """Check that a target's vectors have the streams and the width that ``embeds()`` of its config declares."""
    batch = random_batch(model, lengths)
    features = run(model, batch)
    for chosen in model.spec.model.targets:
        target = model.named_targets()[chosen.instance_name]
        context = context_of(model.spec, chosen.config.stream or "", side="target")
        for stream, facts in chosen.config.embeds(context).items():
            known = list(model.spec.model.streams)
            assert stream in known, f"embeds() names the stream '{stream}'; the model has {known}"
            sequence = features.streams[stream] if stream else features.sequence
            with torch.no_grad(), explained("making a vector as embeds() declares"):
                found = vector_of(sequence, stream, facts, target)
            expected = (sequence_count(batch), facts.projection_size or sequence.states.shape[-1])
            assert found.shape == expected, f"a vector has the shape {tuple(found.shape)}; embeds() says {expected}"


def check_predictions(model: Model, lengths: list[int]) -> None:
    """Check that a target with predictions gives one JSON object per sample."""
    batch = random_batch(model, lengths)
    for target in model.named_targets().values():
        if type(target).predict is Target.predict:
            continue
        predictions = target.predict(run(model, batch), batch)
        assert len(predictions) == batch.size, f"{len(predictions)} predictions for {batch.size} samples"
        try:
            json.dumps(predictions)
        except TypeError as error:
            raise AssertionError(f"predictions must be plain JSON values: {error}") from None
        assert all(isinstance(each, dict) for each in predictions), "a prediction must be a dictionary"
