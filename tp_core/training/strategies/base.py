"""The interface of strategies, which distribute a model over processes and devices and update it."""

from __future__ import annotations

import contextlib
from abc import ABC
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from tp_core.artifacts.layout import STEM
from tp_core.artifacts.stored_tensors import forms_of, read_into, read_tensors
from tp_core.files.tensor_paths import stored_at
from tp_core.model import Model
from tp_core.model_output import ModelOutput
from tp_core.options.optimizer import OptimizerConfig
from tp_core.processes.group import ProcessGroup
from tp_core.spec.sections.train import TrainOptions
from tp_core.training.optimizers.base import is_sharded
from tp_core.training.optimizers.build import build_optimizer
from tp_core.training.strategies.master_weights import MasterWeights
from tp_core.training.strategies.snapshot import Snapshot, optimizer_tensors, read_optimizer
from tp_core.training.strategies.update import Update

if TYPE_CHECKING:
    from tp_core.interfaces import Batch


class Applied(NamedTuple):
    """The result of an update, on the device.

    Attributes:
        norm: norm of the gradients before clipping, a scalar.
        skipped: 1 if something was not finite and the update was skipped, else 0; a scalar.
    """

    norm: Tensor
    skipped: Tensor


class Strategy(ABC):
    """Distribution and update of the model, one object per run. By default, every process holds the whole model.

    The trainer calls, in this order: :meth:`setup`; :meth:`place`, which allocates and initialises a model on the meta
    device; :meth:`load_weights`, if the run starts from saved weights; :meth:`wrap`; :meth:`make_optimizer`. In each
    step it calls :meth:`forward_backward` for every micro-batch, then :meth:`apply`. It ends with :meth:`teardown`.
    A run that goes on calls :meth:`restore` after :meth:`make_optimizer`; one that exports its best weights calls
    :meth:`restore_weights`.

    A strategy that shards weights implements :meth:`shard`, :meth:`part` and :meth:`whole`; placing, loading and saving
    then work with its parts. If the parts are DTensors, each process writes its own into checkpoints.

    Attributes:
        processes: processes that train together, with the ``rank`` of this one.
        device: device on which this process computes.
        options: plain keys of ``train:``.
        optimizer: result of :meth:`make_optimizer`.
        sets_aside: True in the context of :meth:`gradients_set_aside`.
    """

    #: False if each process only holds parts of the model's weights.
    replicated: bool = True

    processes: ProcessGroup
    device: torch.device
    options: TrainOptions
    optimizer: torch.optim.Optimizer
    _trained: list[nn.Parameter]
    sets_aside: bool = False
    _update: Update | None = None
    _masters: MasterWeights | None = None

    def __init__(self) -> None:
        self.processes = ProcessGroup()

    @property
    def rank(self) -> int:
        """Index of this process; rank 0 writes."""
        return self.processes.rank

    @property
    def world_size(self) -> int:
        """Number of processes."""
        return self.processes.world_size

    @property
    def data_parallel(self) -> ProcessGroup:
        """The processes that divide the samples of a step among them; of those that compute a sample together, one."""
        return self.processes

    def setup(self, options: TrainOptions) -> None:
        """Join the other processes, according to the options of ``train:``.

        Raises:
            TPError: the device is missing, or the other processes did not join in time.
        """
        self.options = options
        self.device = self.processes.join(options.device)

    def teardown(self) -> None:
        """Leave the other processes."""
        self.processes.leave()

    def notes(self) -> list[str]:
        """Notes for the user on how the model is distributed, once it is placed; one line each."""
        return []

    # -- the model ---------------------------------------------------------------------------------------------

    def place(self, model: Model, seed: int) -> None:
        """Allocate and initialise a model on the meta device.

        The values equal those of ``single`` with the same seed: each module's weights are drawn as a whole, then
        sharded.
        """
        self.shard(model)
        model.materialise(self.device).initialise(seed, self._cut())

    def shard(self, model: Model) -> None:
        """Shard the weights of a model on the meta device: each process gets a part of each parameter."""

    def part(self, values: Tensor, like: Tensor) -> Tensor:
        """This process's part of whole values, in the layout of ``like``, a tensor of the model or of the optimizer."""
        return values

    def whole(self, tensor: Tensor) -> Tensor:
        """The whole tensor, joined from all parts. Every process calls this; only the first needs the result."""
        return tensor

    def load_weights(
        self, model: Model, tensors: Mapping[str, Tensor], optional: Iterable[str] = ()
    ) -> tuple[list[str], list[str]]:
        """Load whole tensors into the model, like :meth:`tp_core.Model.load_weights`."""
        found = model.load_weights(tensors, optional, self._cut())
        if self._masters is not None:
            self._masters.load({**model.weights(), **tensors})
        return found

    def _cut(self) -> Any:
        return None if self.replicated else self.part

    def wrap(self, module: nn.Module) -> nn.Module:
        """Wrap the module that the training calls.

        Args:
            module: (batch, denominators) → :class:`tp_core.ModelOutput`: the model, or its forward pass changed by
                hooks.
        """
        return module

    def lower_weights(self, model: Model) -> None:
        """Keep trained matrices in bf16, and their fp32 masters for the optimizer (``train.weight_precision``).

        The trainer calls it before :meth:`wrap`.
        """
        self._masters = MasterWeights(model)

    def sync_buffers(self, model: Model) -> None:
        """Copy the first process's buffers to all processes; batch statistics may differ between processes."""
        if self.world_size > 1:
            for buffer in model.buffers():
                self.processes.broadcast(buffer)

    # -- one step ----------------------------------------------------------------------------------------------

    def make_optimizer(self, config: OptimizerConfig, groups: Iterable[dict[str, Any]]) -> torch.optim.Optimizer:
        """The optimizer of the wrapped model's parameters.

        Args:
            groups: groups returned by :func:`tp_core.training.optimizers.groups.checked_groups`.
        """
        groups = list(groups)
        self._trained = [weight for group in groups for _, weight in group["params"]]
        if self._masters is not None:
            groups = [self._masters.in_place_of(group) for group in groups]
        self.optimizer = build_optimizer(config, groups)
        self._update = Update(self.optimizer, self, self.options.clip_norm, self.options.precision == "fp16")
        return self.optimizer

    def autocast(self) -> AbstractContextManager[Any]:
        """The autocast context of a forward pass, in the precision of the options."""
        dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self.options.precision)
        return torch.autocast(self.device.type, dtype=dtype, enabled=dtype is not None)

    def forward(self, module: nn.Module, batch: Batch, denominators: Mapping[str, Tensor] | None) -> ModelOutput:
        """The output of the wrapped module; call ``backward`` on its loss."""
        output: ModelOutput = module(batch, denominators)
        return output

    def forward_backward(
        self, module: nn.Module, batch: Batch, denominators: Mapping[str, Tensor] | None, last: bool
    ) -> ModelOutput:
        """One forward and backward pass. Gradients accumulate; the step's last pass sums them over processes.

        Args:
            module: result of :meth:`wrap`.
            denominators: number of elements in the whole step, for each target; None for those of the batch.
            last: True for the last pass of the step.
        """
        with contextlib.nullcontext() if last else self.no_sync(module), self.autocast():
            output = self.forward(module, batch, denominators)
            self.backward(output.loss)
        return output

    def backward(self, loss: Tensor) -> None:
        """Compute the gradients of this process's share of the step's loss."""
        # Gradients are averaged over processes, but the shares of the loss must be summed.
        shares = self.data_parallel.world_size
        loss = loss * shares if shares > 1 else loss
        scaled = loss if self._scale is None else loss * self._scale
        scaled.backward()  # type: ignore[no-untyped-call]

    def no_sync(self, module: nn.Module) -> AbstractContextManager[Any]:
        """A context in which gradients are not exchanged between processes."""
        return contextlib.nullcontext()

    def gradient(self, parameter: nn.Parameter) -> Tensor | None:
        """Copy of a parameter's gradient so far in this step, over all processes and without the loss scale; or None.

        Every process calls this, for passes that depend on a gradient (``tp_further_passes``). If weights are sharded,
        it is this process's part, and each pass must have summed its gradients over the processes.
        """
        found = parameter.grad
        if self.replicated and self.world_size > 1:
            # A batch need not reach all parameters on every process.
            if not self.processes.agree(found is not None):
                return None
            found = torch.zeros_like(parameter) if found is None else found.detach().clone()
            found = self.processes.all_reduce(found) / self.world_size
        elif found is None:
            return None
        else:
            found = found.detach().clone()
        return found if self._scale is None else found / self._scale

    @contextlib.contextmanager
    def gradients_set_aside(self) -> Iterator[None]:
        """A context whose passes begin without gradients. At its end, the gradients from before are back.

        For passes whose gradients only serve to find the weights of a later pass (``tp_further_passes``).
        :meth:`gradient` returns their gradients within the context.
        """
        parameters = self._trained
        # Copies: the memory of a gradient may belong to a buffer in which the passes of the context sum theirs.
        kept = [None if parameter.grad is None else parameter.grad.detach().clone() for parameter in parameters]
        for parameter in parameters:
            parameter.grad = None
        self.sets_aside = True
        try:
            yield
        finally:
            self.sets_aside = False
            for parameter, gradient in zip(parameters, kept, strict=True):
                parameter.grad = gradient

    def norm(self, tensors: list[Tensor]) -> Tensor:
        """Norm of several tensors together, in which each process has its part of the values; a scalar on the device.

        The tensors are gradients or weights, or have their layout.
        """
        return torch.nn.utils.get_total_norm(tensors)

    def apply(self, lr: float) -> Applied:
        """Update the weights: unscale the gradients, clip their norm, step, and clear them.

        If something is not finite, the update is skipped; the loss scale adapts.

        Args:
            lr: scheduled learning rate; each parameter group uses its share ``lr_factor``.
        """
        assert self._update is not None, "a strategy with another optimizer has its own apply()"
        if self._masters is None:
            return Applied(*self._update(lr))
        self._masters.take_gradients()
        found = Applied(*self._update(lr))
        self._masters.round()
        return found

    @property
    def adapts_scale(self) -> bool:
        """True if half-precision gradients may overflow; the loss scale then adapts."""
        return self._scale is not None

    @property
    def _scale(self) -> Tensor | None:
        return None if self._update is None else self._update.scale

    # -- state: every process calls these ------------------------------------------------------------------------

    def weights(self, model: Model) -> dict[str, Tensor]:
        """The weights by name, as this process holds them: whole, or its parts (:meth:`whole` joins them).

        Of weights with masters, these are the masters.
        """
        masters = {} if self._masters is None else self._masters.masters
        return {name: masters.get(name, weight).detach() for name, weight in model.weights().items()}

    def model_state(self, model: Model) -> dict[str, Tensor]:
        """The whole weights by name, on the CPU of the first process; an empty dictionary on the others.

        For small models and for hooks: checkpoints and exports write one weight after the other.
        """
        found: dict[str, Tensor] = {}
        for name, value in self.weights(model).items():
            whole = self.whole(value)  # every process takes part
            if self.rank == 0:
                found[name] = whole.detach().cpu()
        return found

    def snapshot(self, model: Model) -> Snapshot:
        """The weights and the state of the optimizer, to be written into a checkpoint.

        Weights that are divided in another way than as DTensors are joined, one by one, when they are written.
        """
        weights = self.weights(model)
        optimizer, values = optimizer_tensors(self.optimizer)
        trained = [name for group in self.optimizer.param_groups for name in group["param_names"]]
        group = None
        if any(map(is_sharded, weights.values())):
            group = self.state_group()
        whole = None if self.replicated or group is not None else self.whole
        return Snapshot(weights, optimizer, values, trained, self.rank, group, whole)

    def restore(self, model: Model, folder: Path, facts: Mapping[str, Any]) -> None:
        """Load the weights and the state of the optimizer from a checkpoint, which any strategy may have written.

        Args:
            folder: the checkpoint.
            facts: result of :meth:`Snapshot.facts`.

        Raises:
            CheckpointError: a file cannot be read, or the weights do not fit the model.
            ValueError: the optimizer trains other parameters.
        """
        self.restore_weights(model, folder)
        self.optimizer.load_state_dict(read_optimizer(self, folder, facts))

    def restore_weights(self, model: Model, folder: Path) -> None:
        """Load only the weights from a checkpoint."""
        path = stored_at(folder, STEM)
        if path.is_dir() and any(map(is_sharded, self.weights(model).values())):
            model.missing_weights({name: torch.empty(f.shape, device="meta") for name, f in forms_of(path).items()})
            read_into(path, self.weights(model), self.state_group())
            model.fill_buffers()
        else:
            self.load_weights(model, read_tensors(path))

    def state_group(self) -> Any:
        """The torch process group in which parts of tensors are written and read; None for a single process."""
        return self.processes.state_group()

    def scale_state(self) -> dict[str, Any]:
        """The loss scale; empty if there is none."""
        return {} if self._update is None else self._update.state()

    def load_scale_state(self, state: dict[str, Any]) -> None:
        """Load the result of :meth:`scale_state`."""
        if self._update is not None:
            self._update.load(state)
