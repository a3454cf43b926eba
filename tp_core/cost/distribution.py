"""Memory, exchanged bytes and time of a step for each strategy: a model, documented in docs/scale.md."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from tp_core.cost.devices import Cluster
from tp_core.cost.model_parts import ModelParts, model_parts
from tp_core.cost.pricing import TRAINING_FACTOR, price
from tp_core.spec.schema import Spec

_FP32 = 4
_BYTES = {"fp32": 4, "bf16": 2, "fp16": 2}

#: Bytes that a CUDA context and libraries take, and the share of memory that fragmentation wastes.
_CONTEXT, _WASTE = 1.5e9, 0.05

#: A backward pass with recomputed activations runs the forward pass once more.
_RECOMPUTED = {False: 0.0, True: 1.0, "selective": 0.1}

_TOGETHER = (2, 4, 8)

#: Default of DeepSpeed's stage3_max_live_parameters and stage3_max_reuse_distance.
_LIVE = 10**9


@dataclass(frozen=True)
class Sent:
    """Bytes that a process sends in a step, by kind of exchange.

    Attributes:
        all_reduce: sums of tensors, of which every process gets the whole.
        all_gather: tensors, of which each process has a part.
        reduce_scatter: sums of tensors, of which each process gets a part.
        together: sums of values of samples that several processes compute.
    """

    all_reduce: float = 0.0
    all_gather: float = 0.0
    reduce_scatter: float = 0.0
    together: float = 0.0

    @property
    def total(self) -> float:
        return self.all_reduce + self.all_gather + self.reduce_scatter + self.together


@dataclass(frozen=True)
class Estimate:
    """The cost of a step with a strategy.

    Attributes:
        strategy: the value of ``train.strategy``.
        accumulate: the smallest ``train.accumulate`` that fits into the memory, or that of the spec.
        memory: bytes of a process.
        sent: bytes that a process sends in a step.
        seconds: of a step.
        fits: True if the memory suffices.
        note: the reason why the strategy cannot be used; empty if it can.
    """

    strategy: str
    accumulate: int = 0
    memory: float = 0.0
    sent: Sent = Sent()
    seconds: float = 0.0
    fits: bool = False
    note: str = ""

    def dump(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Layout:
    """The division of the work among processes.

    Attributes:
        replicas: groups of processes that each have all weights between them.
        shards: processes that divide something among them.
        together: processes that compute each sample together.
    """

    kind: str
    replicas: int
    shards: int
    together: int = 1

    @property
    def data_parallel(self) -> int:
        """Number of processes that divide the samples."""
        return self.replicas * self.shards


def estimates(spec: Spec, cluster: Cluster, length: int | None = None) -> list[Estimate]:
    """The costs of all strategies, the fastest that fits first."""
    parts: dict[int, ModelParts | None] = {1: model_parts(spec, length)}
    forward = price(spec, 1, length).forward_flops or 0
    found = []
    for strategy, layout in layouts(cluster):
        if layout.together not in parts:
            parts[layout.together] = model_parts(spec, length, layout.together)
        own = parts[layout.together]
        if own is None:
            found.append(Estimate(strategy, note=f"the model cannot be divided among {layout.together} processes"))
        else:
            found.append(_estimate(spec, cluster, strategy, layout, own, forward))
    # Of strategies that are equally fast, the first listed is the simplest.
    return sorted(found, key=lambda each: (bool(each.note), not each.fits, float(f"{each.seconds:.2g}")))


def layouts(cluster: Cluster) -> Iterator[tuple[str, Layout]]:
    """The strategies that these devices allow, as written in a spec."""
    count, machine = cluster.count, cluster.per_machine
    if count == 1:
        yield "single", Layout("ddp", 1, 1)
        return
    yield "ddp", Layout("ddp", count, 1)
    yield "fsdp", Layout("fsdp", 1, count)
    yield "{fsdp: {reshard_after_forward: false}}", Layout("fsdp_kept", 1, count)
    if cluster.machines > 1 and count % machine == 0:
        yield "{fsdp: {sharding: hybrid}}", Layout("fsdp", count // machine, machine)
    for stage in (1, 2, 3):
        yield f"{{deepspeed: {{stage: {stage}}}}}", Layout(f"zero{stage}", 1, count)
    for together in _TOGETHER:
        if count % together == 0 and together <= machine:
            yield f"{{fsdp: {{tensor_parallel: {together}}}}}", Layout("fsdp", 1, count // together, together)


def _estimate(spec: Spec, cluster: Cluster, strategy: str, layout: Layout, parts: ModelParts, forward: int) -> Estimate:
    options = spec.train.options
    if options.batch_size % layout.data_parallel:
        samples = f"train.batch_size {options.batch_size} is not divisible by {layout.data_parallel} processes"
        return Estimate(strategy, note=samples)
    own = options.batch_size // layout.data_parallel
    room = cluster.device.memory * (1 - _WASTE) - _CONTEXT
    counts = [n for n in range(options.accumulate, own + 1) if own % n == 0] or [own]
    chosen = next((n for n in counts if memory(spec, layout, parts, own // n) <= room), counts[-1])
    needed = memory(spec, layout, parts, own // chosen)
    bytes_sent = sent(spec, layout, parts, own, chosen)
    seconds = _seconds(spec, cluster, layout, bytes_sent, forward)
    return Estimate(strategy, chosen, needed, bytes_sent, seconds, needed <= room)


def memory(spec: Spec, layout: Layout, parts: ModelParts, samples: int) -> float:
    """Bytes of a process that trains on micro-batches of ``samples``."""
    options, shards = spec.train.options, layout.shards
    low, half = _BYTES[options.precision], options.weight_precision == "bf16"
    weights, gradients, state = _FP32 * parts.weights, _FP32 * parts.trained, float(parts.state)
    activations = parts.fixed + parts.per_sample * samples
    # Autocast keeps a copy of the weights in its precision until the end of the backward pass.
    cast = low * parts.weights if low < _FP32 and not half else 0
    layer = max(parts.layers, default=0)
    if layout.kind == "ddp" or (layout.kind.startswith("fsdp") and layout.data_parallel == 1):
        fixed = 2 * parts.weights + 2 * parts.trained + weights + state if half else weights + gradients + state + cast
    elif layout.kind.startswith("fsdp"):
        # Two layers are joined at a time, as the next one is joined ahead; also the gradients of a layer and the root.
        at_a_time = parts.weights if layout.kind == "fsdp_kept" else parts.root + parts.kept + 2 * layer
        fixed = (weights + gradients + state) / shards + low * at_a_time + _FP32 * (layer + parts.root)
    elif layout.kind == "zero3":
        fixed = (weights + gradients + state + (2 * parts.weights if half else 0)) / shards
        joined = min(parts.weights, max(parts.root + 2 * layer, _LIVE))
        fixed += (2 if half else _FP32) * joined + cast / max(1, len(parts.layers))
    else:
        divided = gradients / shards if layout.kind == "zero2" else gradients
        copy = weights / shards  # the optimizer updates flat fp32 copies of its parts
        fixed = (2 * parts.weights if half else weights) + (divided / 2 if half else divided) + copy + state / shards
        fixed += cast
    return fixed + activations


def sent(spec: Spec, layout: Layout, parts: ModelParts, samples: int, accumulate: int) -> Sent:
    """Bytes that a process sends in a step of ``samples``, with rings: ``(n - 1) / n`` of a tensor for each pass.

    Args:
        samples: number of samples of this process in a step.
        accumulate: number of micro-batches.
    """
    options, shards = spec.train.options, layout.shards
    low = _BYTES[options.precision]
    half = 2 if options.weight_precision == "bf16" else _FP32
    ring = (shards - 1) / shards
    together = 2 * (layout.together - 1) / layout.together * parts.divided * samples * low
    if options.activation_checkpointing is True:
        together *= 1.5
    if layout.kind == "ddp":
        return Sent(all_reduce=2 * (layout.replicas - 1) / layout.replicas * half * parts.trained, together=together)
    if layout.kind.startswith("fsdp"):
        # Joined for the forward pass, and again for the backward pass unless they are kept.
        again = 0 if layout.kind == "fsdp_kept" else sum(parts.layers) - parts.kept
        gather = ring * low * (parts.weights + again) * accumulate
        scatter = ring * _FP32 * parts.trained * accumulate
        copies = 2 * (layout.replicas - 1) / layout.replicas * _FP32 * parts.trained / shards * accumulate
        return Sent(copies, gather, scatter, together)
    if layout.kind == "zero3":
        # DeepSpeed keeps joined weights for the backward pass, up to a number of them.
        passes = 1 if parts.weights <= _LIVE else 2
        return Sent(0.0, ring * half * passes * parts.weights * accumulate, ring * half * parts.trained * accumulate)
    passes = accumulate if layout.kind == "zero2" else 1
    return Sent(2 * ring * half * parts.trained * passes, ring * half * parts.trained)


def _seconds(spec: Spec, cluster: Cluster, layout: Layout, bytes_sent: Sent, forward: int) -> float:
    """Seconds of a step. Exchanges of weights and gradients run beside the computation, those of samples do not.

    Args:
        forward: FLOPs of the forward pass of a sample.
    """
    options = spec.train.options
    flops = forward * (TRAINING_FACTOR + _RECOMPUTED[options.activation_checkpointing]) * options.batch_size
    peak = cluster.device.peak.get(options.precision) or cluster.device.peak["fp32"]
    compute = flops / cluster.count / (peak * cluster.efficiency)
    spans = cluster.machines > 1 and layout.data_parallel * layout.together > cluster.per_machine
    link = cluster.device.between if spans else cluster.device.inside
    within = layout.shards * layout.together <= cluster.per_machine
    gathered = (bytes_sent.all_gather + bytes_sent.reduce_scatter) / (cluster.device.inside if within else link)
    return max(compute, gathered + bytes_sent.all_reduce / link) + bytes_sent.together / cluster.device.inside
