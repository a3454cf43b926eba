"""The composition of the five components into one model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from tp_core.errors import TPError
from tp_core.interfaces import (
    ONLY,
    Batch,
    Decoder,
    Embedding,
    Encoder,
    Features,
    FusionEncoder,
    Joined,
    KVCache,
    Module,
    Sequence,
    Target,
    TargetOutput,
)
from tp_core.local.trust import trusting
from tp_core.metrics.facts import no_mean, ratio
from tp_core.model_output import ModelOutput, detached, together
from tp_core.model_readers import for_readers
from tp_core.model_weights import ModelWeights
from tp_core.modules.build import built
from tp_core.modules.embeddings.component import EmbeddingComponent
from tp_core.options.choice import within
from tp_core.options.context import BuildContext
from tp_core.options.facts import BatchFields, FieldSpec
from tp_core.options.target import TargetConfig
from tp_core.spec.choices.part_names import key_of
from tp_core.spec.context import context_of
from tp_core.spec.schema import Spec, need_spec
from tp_core.spec.sections.embedding import EmbeddingSpec


class Stream(nn.Module):
    """One input side: an embedding component and an encoder."""

    def __init__(self, embedding: EmbeddingComponent, encoder: Encoder) -> None:
        super().__init__()
        self.embedding, self.encoder = embedding, encoder


class MissingStreamError(TPError):
    """The error for a batch of records without labels that do not feed a stream that a target reads."""


class _Streams(dict[str, Sequence]):
    """Sequences of streams. Without labels, records need not feed streams that no target reads."""

    def __missing__(self, name: str) -> Sequence:
        raise MissingStreamError(f"the records have nothing for the stream '{name}', which the predictions need")


class Model(ModelWeights):
    """Embedding → encoder → (target embedding → decoder) → targets, as a spec names them.

    A plain ``nn.Module``: :meth:`encode` gives features, ``forward`` gives loss and metrics. Weights have no values
    before :meth:`initialise` or :meth:`load_weights`; :func:`build_model` does both.
    """

    embedding: EmbeddingComponent
    encoder: Encoder

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec
        model = spec.model
        self.streams = nn.ModuleDict()
        for name, stream in model.streams.items():
            if stream.same_as:
                self.streams[key_of(name)] = self.streams[key_of(stream.same_as)]
                continue
            context = context_of(spec, name)
            embedding = EmbeddingComponent(*stream.embedding.parts(), context)
            if stream.encoder_of:
                lender = self.streams[key_of(stream.encoder_of)]
                assert isinstance(lender, Stream)
                self.streams[key_of(name)] = Stream(embedding, lender.encoder)
                continue
            encoder = built(stream.encoder.config, context)
            if name:
                self.streams[key_of(name)] = Stream(embedding, encoder)
            else:
                self.embedding, self.encoder = embedding, encoder
        target_context = context_of(spec, side="target")
        self.target_embedding: EmbeddingComponent | None = None
        if model.target_embedding is not None:
            self.target_embedding = EmbeddingComponent(*model.target_embedding.parts(), target_context)
            if model.options.share_embeddings:
                source = cast(Stream, next(iter(self.streams.values()), self))  # the decoder reads the first stream
                for key, part in source.embedding.parts.items():
                    # Each side has its own positions (BART); only modules for the vocabulary are shared.
                    if key in self.target_embedding.parts and isinstance(part, Embedding) and part.shared_weights():
                        self.target_embedding.parts[key] = part
        self.decoder: Decoder | None = None if model.decoder is None else built(model.decoder.config, target_context)
        fusion: Any = None if model.fusion is None else built(model.fusion.config, target_context)
        self.fusion: FusionEncoder | None = fusion
        self.targets = nn.ModuleDict(
            {
                key_of(t.instance_name): built(t.config, context_of(spec, t.config.stream or "", "target"))
                for t in model.targets
            }
        )
        self.reads = {t.instance_name: t.config.stream for t in model.targets if t.config.stream is not None}
        self.loss_weights = {t.instance_name: t.config.weight for t in model.targets}
        self._no_means = {name: _no_means(t.config, spec) for name, t in zip(self.loss_weights, model.targets)}
        for name, target in self.named_targets().items():
            target.name = name
            target.connect(self.named_targets())
        self._compiled: Callable[[Batch], tuple[Tensor, dict[str, TargetOutput]]] | None = None
        self._tie()

    # -- forward -----------------------------------------------------------------------------------------------

    def encode(
        self, batch: Batch, kv_cache: KVCache | None = None, readers: Mapping[str, Target] | None = None
    ) -> Features:
        """Features of a batch: the final sequence of every stream, or the decoder's.

        Args:
            kv_cache: cache of the positions before the batch, to which the batch's positions are added. It belongs to
                the decoder's side, or to the encoder's if there is no decoder. With a decoder, the source is only read
                in the first call. A ``causal_with_prefix`` prefix must be part of the first call.
            readers: targets by name, if nothing but these will read the features. States of positions that none of
                them reads (:meth:`Target.read_positions`) may then be zero.
        """
        if self.decoder is None:
            return self.encode_source(batch, kv_cache, readers)
        features = (
            self.encode_source(batch) if kv_cache is None or kv_cache.memory is None else Features(kv_cache.memory)
        )
        memory = features.sequence
        if kv_cache is not None:
            kv_cache.memory = memory
        target = None
        if self.target_embedding is not None:
            if batch.target is None:
                raise TPError("the batch has no target side for the model's decoder; tp generate writes one")
            target = for_readers(self.target_embedding(batch.target, kv_cache), batch, ONLY, readers)
        decoded = self.decoder(target, memory, kv_cache)
        return replace(features, sequence=decoded, memory=memory)

    def encode_source(
        self, batch: Batch, kv_cache: KVCache | None = None, readers: Mapping[str, Target] | None = None
    ) -> Features:
        """Features of a batch's source side only: the final sequence of its streams, or of the encoder."""
        if not len(self.streams):
            sequence = for_readers(self.embedding(batch.inputs, kv_cache), batch, ONLY, readers)
            return Features(self.encoder(sequence, kv_cache))
        sequences = {}
        # Not the module's items(): they return a stream that two names share only once.
        for name in self.spec.model.streams:
            stream = self.streams[key_of(name)]
            assert isinstance(stream, Stream)
            if name in batch.source:  # a data set may feed only some streams
                sequence = stream.embedding(batch.source[name])
                if readers is not None and self.fusion is None:  # a fusion reads all positions
                    own = {each: target for each, target in readers.items() if self.reads.get(each, name) == name}
                    sequence = for_readers(sequence, batch, name, own)
                sequences[name] = stream.encoder(sequence)
        if self.fusion is not None:
            sequences = self.fusion(sequences)
        return Features(next(iter(sequences.values())), streams=sequences)

    def view(self, features: Features, target: str) -> Features:
        """Features as a target reads them: with its option ``stream``, that stream becomes the sequence."""
        stream = self.reads.get(target)
        return features if stream is None else replace(features, sequence=features.streams[stream])

    def forward(
        self,
        batch: Batch,
        denominators: Mapping[str, Tensor] | None = None,
        predict: bool = False,
        tables: bool = False,
    ) -> ModelOutput:
        """Loss and metrics of a batch with labels.

        Args:
            denominators: divisor of each target's loss, if this batch is part of a larger one; default: the batch's own
                counts.
            predict: True to add the predictions of :meth:`predict`, from the same features.
            tables: True to add the states of the targets' tables.
        """
        if predict or tables:
            features = self.encode(batch, readers=self.active(batch))
            found = self.losses_of(features, batch, denominators)
            if predict:
                found.predictions = self.predictions_of(features, batch)
            for name, target in self.active(batch).items() if tables else ():
                states = target.tables(self.view(features, name), batch)
                found.tables |= {f"{name}/{table}": state for table, state in states.items()}
            return found
        outputs = self._outputs(batch) if self._compiled is None else together(*self._compiled(batch))
        return self._result(outputs, denominators)

    def losses_of(
        self, features: Features, batch: Batch, denominators: Mapping[str, Tensor] | None = None
    ) -> ModelOutput:
        """Like :meth:`forward`, for features that :meth:`encode` made from the batch."""
        outputs = {name: target(self.view(features, name), batch) for name, target in self.active(batch).items()}
        return self._result(outputs, denominators)

    def _result(self, outputs: dict[str, TargetOutput], denominators: Mapping[str, Tensor] | None) -> ModelOutput:
        loss: Tensor | None = None
        result = ModelOutput(torch.zeros((), device=next(self.parameters()).device), outputs=outputs)
        for name, output in outputs.items():
            count = output.denominator if denominators is None else denominators[name]
            part = output.loss_sum / _divisor(count)
            if self.loss_weights[name]:  # with weight 0, the loss is only measured
                weighted = part * self.loss_weights[name]
                loss = weighted if loss is None else loss + weighted
            result.losses[name] = part.detach()
            for metric, state in output.metrics.items():
                if metric not in self._no_means[name]:
                    if isinstance(state, Joined) or len(state) != 2:
                        raise no_mean(f"{name}/{metric}")
                    total, number = state
                    result.metrics[f"{name}/{metric}"] = total / _divisor(number)
        if loss is not None:
            result.loss = loss
        return result

    def compile(self, *arguments: Any, **options: Any) -> None:
        """Compile the computation of :meth:`forward`; the arguments are those of ``torch.compile``."""
        from torch._dynamo import config

        # Torch compiles once per set of targets, for training and evaluation, and for fixed and dynamic lengths; above
        # its limit, torch would continue without compiling.
        config.recompile_limit = max(config.recompile_limit, 8 * len(self.spec.data.sets))
        self._compiled = torch.compile(self._outputs_apart, *arguments, **options)

    def _outputs(self, batch: Batch) -> dict[str, TargetOutput]:
        """The outputs of the batch's targets."""
        features = self.encode(batch, readers=self.active(batch))
        return {name: target(self.view(features, name), batch) for name, target in self.active(batch).items()}

    def _outputs_apart(self, batch: Batch) -> tuple[Tensor, dict[str, TargetOutput]]:
        """The losses of the batch's targets, (targets + 1,), and their outputs without gradients.

        The compiler may find that two results are equal, such as a loss and its detached copy among the metrics, and
        return one tensor for both; torch then treats the loss as detached, too. An appended zero makes the losses'
        tensor different from all other results.
        """
        outputs = self._outputs(batch)
        plain = {name: detached(output) for name, output in outputs.items()}
        losses = [(output if self.loss_weights[name] else plain[name]).loss_sum for name, output in outputs.items()]
        return torch.stack([*losses, torch.zeros((), device=losses[0].device)]), plain

    def denominators(self, batch: Batch) -> Tensor:
        """The denominators of the batch's targets as one tensor (targets,), computed from the labels alone."""
        counts = [target.denominator(batch) for target in self.active(batch).values()]
        return torch.stack([count.float() for count in counts])

    def active(self, batch: Batch) -> dict[str, Target]:
        """The targets that a batch trains or evaluates, by name."""
        every = self.named_targets()
        return every if batch.targets is None else {name: every[name] for name in batch.targets}

    def predict(self, batch: Batch) -> list[dict[str, Any]]:
        """The predictions of the batch's targets, per sample, keyed by target if there are several."""
        return self.predictions_of(self.encode(batch, readers=self.active(batch)), batch)

    def predictions_of(self, features: Features, batch: Batch) -> list[dict[str, Any]]:
        """Like :meth:`predict`, for features that :meth:`encode` made from the batch."""
        features = replace(features, streams=_Streams(features.streams))
        able = {name: t for name, t in self.active(batch).items() if type(t).predict is not Target.predict}
        if not able:
            raise TPError(f"no target of this model makes predictions: {', '.join(self.active(batch)) or 'none'}")
        each = {name: target.predict(self.view(features, name), batch) for name, target in able.items()}
        if len(each) == 1:
            return list(next(iter(each.values())))
        return [dict(zip(each, values)) for values in zip(*each.values())]

    def named_targets(self) -> dict[str, Target]:
        """The targets by their names in the spec, which are also part of their weights' names."""
        return dict(zip(self.loss_weights, self._targets()))

    def _targets(self) -> Iterator[Target]:
        for target in self.targets.values():
            assert isinstance(target, Target)
            yield target

    def checkpoint_activations(self, how: bool | Literal["selective"] = True) -> None:
        """Recompute activations in the backward pass instead of keeping them.

        Args:
            how: False: none; ``selective``: all but results of matrix products, convolutions and attention.
        """
        for module in self.modules():
            if isinstance(module, (Encoder, FusionEncoder, Decoder)):
                module.checkpoint_activations = how

    def _tie(self) -> None:
        shared: dict[str, nn.Parameter] = {}
        for module in self.modules():
            if isinstance(module, Embedding):
                for role, weight in module.shared_weights().items():
                    shared.setdefault(role, weight)
        if self.target_embedding is not None:  # modules after the decoder use the target vocabulary
            for part in self.target_embedding.parts.values():
                if isinstance(part, Module):
                    shared.update(part.shared_weights())
        for target in self._targets():
            target.tie_weights(shared)

    # -- description -------------------------------------------------------------------------------------------

    def fields(self) -> BatchFields:
        """The inputs and labels that the model's modules require of a batch."""
        model = self.spec.model
        target_context = context_of(self.spec, side="target")
        return BatchFields(
            {name: _inputs(each.embedding, context_of(self.spec, name)) for name, each in model.streams.items()},
            {} if model.target_embedding is None else _inputs(model.target_embedding, target_context),
            {
                each.instance_name: dict(
                    each.config.label_fields(context_of(self.spec, each.config.stream or "", "target"))
                )
                for each in model.targets
            },
            {each.instance_name: each.config.sequences_per_sample for each in model.targets},
        )


def _divisor(count: Tensor) -> Tensor:
    """A count, or 1 in place of 0, which is the count of a batch without labels. It may be a sum of small weights."""
    return count.masked_fill(count == 0, 1)


def _inputs(component: EmbeddingSpec, context: BuildContext) -> dict[str, FieldSpec]:
    """The fields that an embedding component reads."""
    required = (each.config.requires(context) for each in component.modules)
    return {port.name: spec for ports in required for port, spec in ports.items() if port.kind == "input"}


def _no_means(config: TargetConfig, spec: Spec) -> set[str]:
    """A target's metrics that are not ratios of two sums."""
    measured = config.measures(context_of(spec, config.stream or "", side="target"))
    return {name for name, facts in measured.items() if facts.compute is not ratio}


def build_model(spec: Spec, device: torch.device | str = "cpu", seed: int | None = None) -> Model:
    """Build a spec's model with freshly drawn weights.

    Args:
        seed: seed of the initial weights; default: the spec's ``train.seed``.

    Raises:
        TPError: ``spec`` is not a spec.
    """
    need_spec(spec)
    with trusting(spec.trust_code):
        model = meta_model(spec).materialise(device)
    return model.initialise(spec.train.options.seed if seed is None else seed)


def meta_model(spec: Spec) -> Model:
    """Build a spec's model on the meta device: shapes without memory."""
    for chosen in spec.model.chosen():
        for each in (chosen, *within(chosen)):
            # Tensors that a file makes at import inside the block would have no values.
            with suppress(Exception):  # building the module reports the error
                each.config.implemented()
    with torch.device("meta"):
        return Model(spec)
